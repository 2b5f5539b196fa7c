/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <string.h>

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

static int stats_show(struct invocation *invocation, FILE *out, struct error *error)
{
	const struct value *root;
	struct answer *answer;
	bool wide = invocation->output == OUTPUT_WIDE;
	int err = resource_get(invocation, RESOURCE_STATS, &answer, error);

	if (err)
		return err;
	root = answer_root(answer);
	if (output_is_document(invocation->output)) {
		err = output_document(answer, invocation->output, out, error);
	} else {
		err = table_print(TABLE(service_columns), value_get(root, "services"), wide, out);
		fputc('\n', out);
		err = err
			      ?: table_print(TABLE(reason_columns), value_get(root, "reasons"),
					     wide, out);
	}
	if (err == -ENOMEM)
		error_set(error, err, "out of memory");
	answer_free(answer);
	return err;
}

const struct command cmd_stats = {
	.words = "stats",
	.summary = "counters by service and by reason",
	.flags = COMMAND_F_WATCH | COMMAND_F_SERVICE,
	.run = stats_show,
};
