/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Any bytes as an answer of the daemon: lbctl walks all of the tree. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"

static size_t visit(const struct value *value)
{
	size_t seen = 1;

	/* Both are texts, wherever they lie. */
	if (strlen(value->key) + strlen(value->text) > SIZE_MAX / 2)
		abort();
	value_foreach(value, child)
	{
		seen += visit(child);
	}
	if (seen != value->span)
		abort();
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer *answer = NULL;
	struct error error = {""};
	int err = answer_parse((const char *)data, size, &answer, &error);

	if (err && (err != -EPROTO || !*error.text))
		abort();
	if (!err)
		visit(answer_root(answer));
	answer_free(answer);
	return 0;
}
