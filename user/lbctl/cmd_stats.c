/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "list.h"
#include "resource.h"

static const struct table_column reason_columns[] = {
	{.header = "REASON", .key = "reason"},	 {.header = "PACKETS", .key = "packets"},
	{.header = "BYTES", .key = "bytes"},	 {.header = "VERDICT", .key = "verdict"},
	{.header = "MEANING", .key = "meaning"},
};

static const struct table_column service_columns[] = {
	{.header = "SERVICE", .cell = list_cell_service},
	{.header = "PROTOCOL", .key = "protocol"},
	{.header = "FAMILY", .key = "family"},
	{.header = "CONNECTIONS", .key = "connections_total"},
	{.header = "PACKETS", .key = "packets_total"},
	{.header = "BYTES", .key = "bytes_total"},
};

#define TABLE(columns) columns, sizeof(columns) / sizeof(*(columns))

static int stats_print(const struct value *root, const struct invocation *invocation, FILE *out)
{
	bool wide = invocation->output == OUTPUT_WIDE;
	int err = table_print(TABLE(service_columns), value_get(root, "services"), wide, out);

	if (err)
		return err;
	fputc('\n', out);
	return table_print(TABLE(reason_columns), value_get(root, "reasons"), wide, out);
}

static int stats_show(struct invocation *invocation, FILE *out, struct error *error)
{
	struct answer *answer;
	int err = resource_get(invocation, RESOURCE_STATS, &answer, error);

	return err ? err : resource_show(answer, invocation, stats_print, out, error);
}

const struct command cmd_stats = {
	.words = "stats",
	.summary = "counters by service and by reason",
	.flags = COMMAND_F_WATCH | COMMAND_F_SERVICE,
	.run = stats_show,
};
