/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "identity.h"

static const char *env_or(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

void identity_read(struct identity *ret)
{
	char kernel[HOST_NAME_MAX + 1] = "unknown";

	/* Fails only for names that are longer than the kernel allows. */
	gethostname(kernel, sizeof(kernel) - 1);
	snprintf(ret->host, sizeof(ret->host), "%s", env_or("HOSTNAME", kernel));
	ret->pod = env_or("POD_NAME", ret->host);
	ret->pod_ip = env_or("POD_IP", "unknown");
	ret->node = env_or("NODE_NAME", "unknown");
}

const char *identity_replica(const struct identity *identity)
{
	const char *start = identity->pod + strlen(identity->pod);
	int dashes = 0;

	while (start > identity->pod) {
		if (start[-1] == '-' && ++dashes == 2)
			break;
		start--;
	}
	return start;
}

const char *timestamp_now(char buf[TIMESTAMP_STRLEN])
{
	struct timespec now;
	struct tm local;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	n = strftime(buf, TIMESTAMP_STRLEN, "%Y-%m-%dT%H:%M:%S", &local);
	snprintf(buf + n, TIMESTAMP_STRLEN - n, ".%06ld", now.tv_nsec / 1000);
	return buf;
}

char *identity_info(const struct identity *identity, const char *timestamp)
{
	json_t *info =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "hostname", identity->host, "node_name",
			  identity->node, "pod_ip", identity->pod_ip, "pod_name", identity->pod,
			  "replica_id", identity->pod, "timestamp", timestamp);
	char *text = json_dumps(info, JSON_COMPACT);

	json_decref(info);
	return text;
}
