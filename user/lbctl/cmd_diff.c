/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The source against the maps: empty, where they say the same. */
#include <errno.h>

#include "list.h"

static const struct table_column columns[] = {
	{.header = "CHANGE", .key = "change"},
	{.header = "KIND", .key = "kind"},
	{.header = "NAME", .key = "name"},
	{.header = "DETAIL", .key = "detail"},
};

static int diff(struct invocation *invocation, FILE *out, struct error *error)
{
	const struct value *changes;
	struct answer *answer;
	size_t n;
	int err = client_get(invocation->client, "/v1/diff", &answer, error);

	if (err)
		return err;
	changes = value_get(answer_root(answer), "changes");
	n = value_count(changes);
	if (output_is_document(invocation->output))
		err = output_document(answer, invocation->output, out, error);
	else if (n)
		err = table_print(columns, sizeof(columns) / sizeof(*columns), changes,
				  invocation->output == OUTPUT_WIDE, out);
	answer_free(answer);
	if (!err && n)
		err = error_set(error, -ESTALE, "the maps differ from the source in %zu things", n);
	return err;
}

const struct command cmd_diff = {
	.words = "diff",
	.summary = "what the maps lack of the source",
	.run = diff,
};
