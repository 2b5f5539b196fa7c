/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "resource.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

static const struct {
	const char *path;
	int (*show)(const struct maps *maps, const struct show_filter *filter, struct rows *to);
} resources[] = {
	[RESOURCE_SERVICES] = {"/v1/services", show_services},
	[RESOURCE_BACKENDS] = {"/v1/backends", show_backends},
	[RESOURCE_FLOWS] = {"/v1/flows", show_flows},
	[RESOURCE_AFFINITY] = {"/v1/affinity", show_affinity},
	[RESOURCE_RINGS] = {"/v1/rings", show_rings},
	[RESOURCE_STATS] = {"/v1/stats", show_stats},
	[RESOURCE_STATUS] = {"/v1/status", show_status},
};

const char *resource_url(const struct invocation *invocation, const char *path,
			 char buf[RESOURCE_URL_SIZE])
{
	char separator = '?';
	size_t used = snprintf(buf, RESOURCE_URL_SIZE, "%s", path);
	const struct {
		const char *name, *value;
	} arguments[] = {
		{"service", invocation->service},
		{"backend", invocation->backend},
		{"client", invocation->client_place},
	};

	for (size_t i = 0; i < sizeof(arguments) / sizeof(*arguments); i++) {
		if (!arguments[i].value)
			continue;
		used += snprintf(buf + used, RESOURCE_URL_SIZE - used, "%c%s=%s", separator,
				 arguments[i].name, arguments[i].value);
		separator = '&';
	}
	if (invocation->limit)
		snprintf(buf + used, RESOURCE_URL_SIZE - used, "%climit=%u", separator,
			 invocation->limit);
	return buf;
}

/* The options were checked when they were read. */
static struct show_filter filter_of(const struct invocation *invocation)
{
	struct show_filter filter = {.service = invocation->service, .limit = invocation->limit};

	if (invocation->backend)
		addr_port_parse(invocation->backend, &filter.backend, &filter.backend_port);
	if (invocation->client_place)
		addr_port_parse(invocation->client_place, &filter.client, &filter.client_port);
	return filter;
}

static int pins_read(const struct invocation *invocation, enum resource resource,
		     struct answer **ret, struct error *error)
{
	struct show_filter filter = filter_of(invocation);
	struct maps *maps;
	struct rows rows;
	size_t length;
	char *text;
	int err = maps_open(invocation->bpffs, &maps, error);

	if (err)
		return err;
	rows_begin(&rows);
	err = resources[resource].show(maps, &filter, &rows);
	text = rows_end(&rows, &length);
	if (!text && !err)
		err = -ENOMEM;
	maps_close(maps);
	if (err)
		error_set(error, err, "can't read the pinned maps: %s", strerror(-err));
	else
		err = answer_parse(text, length, ret, error);
	free(text);
	return err;
}

int resource_get(struct invocation *invocation, enum resource resource, struct answer **ret,
		 struct error *error)
{
	char url[RESOURCE_URL_SIZE];
	struct error ignored;
	int err = client_get(invocation->client,
			     resource_url(invocation, resources[resource].path, url), ret, error);

	if (err != -ENOENT)
		return err;
	/* Nobody is there: then the daemon's absence is what to tell. */
	if (pins_read(invocation, resource, ret, &ignored))
		return err;
	invocation->from_pins = true;
	return 0;
}

int resource_show(struct answer *answer, const struct invocation *invocation,
		  int (*print)(const struct value *root, const struct invocation *invocation,
			       FILE *out),
		  FILE *out, struct error *error)
{
	int err;

	if (output_is_document(invocation->output))
		err = output_document(answer, invocation->output, out, error);
	else
		err = print(answer_root(answer), invocation, out);
	if (err == -ENOMEM)
		error_set(error, err, "out of memory");
	answer_free(answer);
	return err;
}
