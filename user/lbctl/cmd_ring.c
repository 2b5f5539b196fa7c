/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>

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

static int rings_print(const struct value *root, const struct invocation *invocation, FILE *out)
{
	const char *gap = "";
	int err = 0;

	value_foreach(value_get(root, "rings"), ring)
	{
		fputs(gap, out);
		gap = "\n";
		err = err ?: ring_print(ring, invocation->output == OUTPUT_WIDE, out);
	}
	return err;
}

static int ring_show(struct invocation *invocation, FILE *out, struct error *error)
{
	struct answer *answer;
	int err;

	invocation->service = invocation->operand;
	err = resource_get(invocation, RESOURCE_RINGS, &answer, error);
	if (err)
		return err;
	if (value_count(value_get(answer_root(answer), "rings")))
		return resource_show(answer, invocation, rings_print, out, error);
	answer_free(answer);
	return error_set(error, -ENOENT, "%s: no such service", invocation->operand);
}

const struct command cmd_ring_show = {
	.words = "ring show",
	.operand = "NS/NAME[:PORT]",
	.operand_is_service = true,
	.summary = "its size, who has which share",
	.flags = COMMAND_F_WATCH,
	.run = ring_show,
};
