/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "list.h"

static const struct table_column columns[] = {
	{.header = "SERVICE", .cell = list_cell_service},
	{.header = "PROTOCOL", .wide = true, .key = "protocol"},
	{.header = "ADDRESS", .cell = list_cell_address},
	{.header = "POD", .wide = true, .key = "pod"},
	{.header = "NODE", .wide = true, .key = "node"},
	{.header = "STATUS", .judged = true, .cell = list_cell_status},
	{.header = "READY", .wide = true, .key = "ready"},
	{.header = "SERVING", .wide = true, .key = "serving"},
	{.header = "TERMINATING", .wide = true, .key = "terminating"},
	{.header = "STATE", .wide = true, .key = "state"},
	{.header = "HEALTH", .wide = true, .judged = true, .key = "health"},
	{.header = "WEIGHT", .wide = true, .key = "weight"},
	{.header = "SLOTS", .key = "slots"},
	{.header = "FLOWS", .key = "flows"},
	{.header = "CONNECTIONS", .key = "connections_total"},
	{.header = "PACKETS", .wide = true, .key = "packets_total"},
	{.header = "BYTES", .wide = true, .key = "bytes_total"},
};

static const struct list backends = {
	.resource = RESOURCE_BACKENDS,
	.key = "backends",
	.columns = columns,
	.ncolumns = sizeof(columns) / sizeof(*columns),
	.name = list_cell_address,
};

static int backends_list(struct invocation *invocation, FILE *out, struct error *error)
{
	return list_show(&backends, invocation, out, error);
}

const struct command cmd_backends_list = {
	.words = "backends list",
	.summary = "backends, their slots, flows, counters",
	.flags = COMMAND_F_WATCH | COMMAND_F_SERVICE | COMMAND_F_NAME,
	.run = backends_list,
};
