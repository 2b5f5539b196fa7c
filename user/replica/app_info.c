/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The information server: says who answers, and logs that it did. */
#include <errno.h>
#include <stdio.h>

#include "app.h"

static int info_root(const struct replica *replica, struct request *request, struct reply *reply)
{
	const struct identity *identity = &replica->identity;
	char timestamp[TIMESTAMP_STRLEN];

	(void)request;
	reply->body = identity_info(identity, timestamp_now(timestamp));
	if (!reply->body)
		return -ENOMEM;
	printf("[%s] Request received by %s (Replica %s)\n", timestamp, identity->pod,
	       identity_replica(identity));
	return 0;
}

static const struct route info_routes[] = {
	{"/", false, info_root},
	{0},
};

const struct app app_info = {.name = "info", .routes = info_routes};
