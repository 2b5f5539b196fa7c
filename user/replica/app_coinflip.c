/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The coin flip: work that takes time, by how lucky one is. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#include <jansson.h>

#include "app.h"

#define MAX_HEADS 20 /* 2,097,150 flips on average */

/* xorshift64* (Vigna 2016): 64 coins a call. */
static uint64_t coins_next(void)
{
	static uint64_t state;

	while (!state)
		if (getrandom(&state, sizeof(state), 0) != sizeof(state))
			state = (uint64_t)random() + 1;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

/* Flip until so many heads have come in a row. */
static uint64_t flips_until(unsigned int heads)
{
	unsigned int in_a_row = 0;
	uint64_t flips = 0;

	for (;;) {
		uint64_t coins = coins_next();

		for (int i = 0; i < 64; i++, coins >>= 1) {
			flips++;
			in_a_row = coins & 1 ? in_a_row + 1 : 0;
			if (in_a_row == heads)
				return flips;
		}
	}
}

static int coinflip_compute(const struct replica *replica, struct request *request,
			    struct reply *reply)
{
	size_t bytes;
	const char *body = request_body(request, &bytes);
	json_error_t error;
	json_t *json = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, &error), *heads, *answer;
	json_int_t wanted;

	(void)replica;
	if (!json)
		return reply_error(reply, 400, "the body is not JSON");
	heads = json_object_get(json, "heads");
	wanted = json_integer_value(heads);
	if (!json_is_integer(heads) || wanted < 1 || wanted > MAX_HEADS) {
		json_decref(json);
		return reply_error(reply, 400, "heads: a number from 1 to 20 is needed");
	}
	json_decref(json);
	answer = json_pack("{s:I, s:I}", "heads_required", wanted, "total_flips",
			   (json_int_t)flips_until(wanted));
	reply->body = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	return reply->body ? 0 : -ENOMEM;
}

static const struct route coinflip_routes[] = {
	{"/compute", true, coinflip_compute},
	{0},
};

const struct app app_coinflip = {.name = "coinflip", .routes = coinflip_routes};
