/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <string.h>

#include "list.h"
#include "resource.h"

static void cell_share(const struct value *row, FILE *out)
{
	fprintf(out, "%s %%", value_get_text(row, "share_pct"));
}

static const struct table_column columns[] = {
	{.header = "BACKEND", .cell = list_cell_address},
	{.header = "WEIGHT", .key = "weight"},
	{.header = "SLOTS", .key = "slots"},
	{.header = "SHARE", .cell = cell_share},
};

static int ring_print(const struct value *ring, bool wide, FILE *out)
{
	fputs("Ring:     ", out);
	list_cell_service(ring, out);
	fprintf(out, " %s %s, %s set\nSize:     %lld slots, %s\n", value_get_text(ring, "protocol"),
		value_get_text(ring, "family"), value_get_text(ring, "scope"),
		value_get_number(ring, "size"), value_get_text(ring, "scheduler"));
	if (value_get(ring, "moved")->type == VALUE_NUMBER) {
		fputs("Changed:  ", out);
		list_age(value_get_number(ring, "changed_s"), out);
		fprintf(out, " ago, %lld slots moved\n", value_get_number(ring, "moved"));
	}
	fputc('\n', out);
	return table_print(columns, sizeof(columns) / sizeof(*columns), value_get(ring, "backends"),
			   wide, out);
}

static int ring_show(struct invocation *invocation, FILE *out, struct error *error)
{
	const struct value *rings;
	struct answer *answer;
	const char *gap = "";
	int err;

	invocation->service = invocation->operand;
	err = resource_get(invocation, RESOURCE_RINGS, &answer, error);
	if (err)
		return err;
	rings = value_get(answer_root(answer), "rings");
	if (rings->span == 1)
		err = error_set(error, -ENOENT, "%s: no such service", invocation->operand);
	else if (output_is_document(invocation->output))
		err = output_document(answer, invocation->output, out, error);
	else
		value_foreach(rings, ring)
		{
			fputs(gap, out);
			gap = "\n";
			err = err ?: ring_print(ring, invocation->output == OUTPUT_WIDE, out);
		}
	if (err == -ENOMEM)
		error_set(error, err, "out of memory");
	answer_free(answer);
	return err;
}

const struct command cmd_ring_show = {
	.words = "ring show",
	.operand = "NS/NAME[:PORT]",
	.operand_is_service = true,
	.summary = "its size, who has which share",
	.flags = COMMAND_F_WATCH,
	.run = ring_show,
};
