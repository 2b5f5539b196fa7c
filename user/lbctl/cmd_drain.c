/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* No new flows to a backend, or new ones again; and until the old ones are over. */
#include <assert.h>
#include <errno.h>

#include "addr.h"
#include "command.h"
#include "deadline.h"

#define REQUEST_MS 10000
#define POLL_MS 500

struct place {
	struct addr addr;
	uint16_t port; /* 0 = all of the address */
	char text[ADDR_PORT_STRLEN];
};

/* The operand is known to be one. */
static struct place place_of(const struct invocation *invocation)
{
	struct place place;
	int err = addr_port_parse(invocation->operand, &place.addr, &place.port);

	assert(!err);
	(void)err;
	addr_place_format(&place.addr, place.port, place.text);
	return place;
}

static bool row_is_meant(const struct value *row, const struct place *place)
{
	struct addr addr;

	return !addr_parse(value_get_text(row, "address"), &addr) &&
	       !addr_compare(&addr, &place->addr) &&
	       (!place->port || value_get_number(row, "port") == place->port);
}

static int flows_left(const struct invocation *invocation, const struct place *place,
		      long long *ret, struct error *error)
{
	struct answer *answer;
	long long flows = 0;
	int err = client_get(invocation->client, "/v1/backends", &answer, error);

	if (err)
		return err;
	value_foreach(value_get(answer_root(answer), "backends"), row)
	{
		if (row_is_meant(row, place))
			flows += value_get_number(row, "flows");
	}
	answer_free(answer);
	*ret = flows;
	return 0;
}

/* Until no flow is left there. */
static int flows_await(const struct invocation *invocation, const struct place *place,
		       struct error *error)
{
	long long deadline = deadline_after(invocation->timeout_s), left;

	for (;;) {
		int err = flows_left(invocation, place, &left, error);

		if (err || !left)
			return err;
		if (deadline_now_ms() + POLL_MS > deadline)
			return error_set(error, -ETIMEDOUT,
					 "%s is drained, and %lld flows are left after %u s",
					 place->text, left, invocation->timeout_s);
		deadline_sleep(POLL_MS);
	}
}

static int drain_request(const struct invocation *invocation, const char *what, bool wait,
			 FILE *out, struct error *error)
{
	char path[128], address[ADDR_STRLEN];
	struct answer *answer;
	struct place place = place_of(invocation);
	int err;

	snprintf(path, sizeof(path), "/v1/backends/%s?address=%s&port=%u", what,
		 addr_format(&place.addr, address), place.port);
	err = client_post(invocation->client, path, REQUEST_MS, &answer, error);
	if (err)
		return err;
	if (wait)
		err = flows_await(invocation, &place, error);
	if (!err && output_is_document(invocation->output))
		err = output_document(answer, invocation->output, out, error);
	else if (!err)
		fprintf(out, "backend/%s %sed\n", place.text, what);
	answer_free(answer);
	return err;
}

static int drain(struct invocation *invocation, FILE *out, struct error *error)
{
	return drain_request(invocation, "drain", invocation->wait, out, error);
}

static int undrain(struct invocation *invocation, FILE *out, struct error *error)
{
	return drain_request(invocation, "undrain", false, out, error);
}

const struct command cmd_backends_drain = {
	.words = "backends drain",
	.operand = "ADDR[:PORT]",
	.summary = "no new flows there; those that exist stay",
	.flags = COMMAND_F_WAIT | COMMAND_F_TIMEOUT,
	.run = drain,
};

const struct command cmd_backends_undrain = {
	.words = "backends undrain",
	.operand = "ADDR[:PORT]",
	.summary = "new flows there again",
	.run = undrain,
};
