/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <string.h>

#include "list.h"

/* Why it gets no new flows, or "active": ready, state and health in a word. */
static void cell_status(const struct value *row, FILE *out)
{
	if (!strcmp(value_get_text(row, "health"), "down"))
		fputs("down", out);
	else if (!strcmp(value_get_text(row, "state"), "draining"))
		fputs("draining", out);
	else if (value_get(row, "terminating")->type == VALUE_TRUE)
		fputs("terminating", out);
	else if (value_get(row, "ready")->type == VALUE_FALSE)
		fputs("not_ready", out);
	else if (!strcmp(value_get_text(row, "slots"), "0"))
		fputs("unused", out);
	else
		fputs(value_get_text(row, "state"), out);
}

static const struct table_column columns[] = {
	{.header = "SERVICE", .cell = list_cell_service},
	{.header = "PROTOCOL", .wide = true, .key = "protocol"},
	{.header = "ADDRESS", .cell = list_cell_address},
	{.header = "POD", .wide = true, .key = "pod"},
	{.header = "NODE", .wide = true, .key = "node"},
	{.header = "STATUS", .cell = cell_status},
	{.header = "READY", .wide = true, .key = "ready"},
	{.header = "SERVING", .wide = true, .key = "serving"},
	{.header = "TERMINATING", .wide = true, .key = "terminating"},
	{.header = "STATE", .wide = true, .key = "state"},
	{.header = "HEALTH", .wide = true, .key = "health"},
	{.header = "WEIGHT", .wide = true, .key = "weight"},
	{.header = "SLOTS", .key = "slots"},
	{.header = "FLOWS", .key = "flows"},
	{.header = "CONNECTIONS", .key = "connections_total"},
	{.header = "PACKETS", .wide = true, .key = "packets_total"},
	{.header = "BYTES", .wide = true, .key = "bytes_total"},
};

static const struct list backends = {
	.key = "backends",
	.columns = columns,
	.ncolumns = sizeof(columns) / sizeof(*columns),
	.name = list_cell_address,
};

static int backends_list(const struct invocation *invocation, FILE *out, struct error *error)
{
	char path[256];

	snprintf(path, sizeof(path), "/v1/backends%s%s", invocation->service ? "?service=" : "",
		 invocation->service ? invocation->service : "");
	return list_show(&backends, path, invocation, out, error);
}

const struct command cmd_backends_list = {
	.words = "backends list",
	.summary = "backends, their slots, flows, counters",
	.flags = COMMAND_F_WATCH | COMMAND_F_SERVICE | COMMAND_F_NAME,
	.run = backends_list,
};
