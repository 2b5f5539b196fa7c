/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>

#include "command.h"
#include "deadline.h"

#define RETRY_MS 250
#define REQUEST_MIN_MS 1000 /* also the last try gets a chance to be answered */

/* What may be different at the next try: a daemon that still starts, a source
 * that is still being written. */
static bool may_pass(int err)
{
	return err == -EAGAIN || err == -ENOENT || err == -ETIMEDOUT;
}

static int wait_synced(struct invocation *invocation, FILE *out, struct error *error)
{
	long long deadline = deadline_after(invocation->timeout_s);
	const struct value *revision;
	struct answer *answer;
	int err;

	for (;;) {
		long long left = deadline - deadline_now_ms();

		err = client_post(invocation->client, "/v1/sync",
				  left > REQUEST_MIN_MS ? left : REQUEST_MIN_MS, &answer, error);
		if (!err)
			break;
		if (!may_pass(err))
			return err;
		if (deadline_now_ms() + RETRY_MS > deadline)
			return error_prefix(error, err, "not in the maps after %u s",
					    invocation->timeout_s);
		deadline_sleep(RETRY_MS);
	}

	revision = value_get(answer_root(answer), "revision");
	if (revision->type != VALUE_NUMBER)
		err = error_set(error, -EPROTO, "the daemon's answer has no number \"revision\"");
	else if (output_is_document(invocation->output))
		err = output_document(answer, invocation->output, out, error);
	else
		fprintf(out, "revision %s is in the maps\n", revision->text);
	answer_free(answer);
	return err;
}

const struct command cmd_wait = {
	.words = "wait",
	.summary = "until the maps hold what the source does",
	.flags = COMMAND_F_TIMEOUT,
	.run = wait_synced,
};
