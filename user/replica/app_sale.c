/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The flash sale: everybody buys something, and sees which pod sold it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "app.h"

#define GUESTS 10000

static int sale_root(const struct replica *replica, struct request *request, struct reply *reply)
{
	json_t *answer = json_pack("{s:s, s:s, s:I}", "message", "Welcome to Big Sale!", "pod",
				   replica->identity.pod, "ts", (json_int_t)time(NULL));

	(void)request;
	reply->body = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	return reply->body ? 0 : -ENOMEM;
}

static int sale_buy(const struct replica *replica, struct request *request, struct reply *reply)
{
	static const char *const items[] = {"Smartphone", "Shoes", "Headphones", "Laptop"};
	const char *user = request_parameter(request, "user");
	char guest[32], clock[16];
	time_t now = time(NULL);
	json_t *answer;

	if (!user || !*user) {
		snprintf(guest, sizeof(guest), "user%ld", 1 + random() % GUESTS);
		user = guest;
	}
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&now));
	answer = json_pack("{s:s, s:s, s:s, s:s, s:s}", "status", "success", "item",
			   items[random() % 4], "user", user, "served_by_pod",
			   replica->identity.pod, "time", clock);
	if (!answer) /* no UTF-8 */
		return reply_error(reply, 400, "user: not UTF-8");
	reply->body = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	return reply->body ? 0 : -ENOMEM;
}

static const struct route sale_routes[] = {
	{"/", false, sale_root},
	{"/buy", false, sale_buy},
	{0},
};

const struct app app_sale = {.name = "sale", .routes = sale_routes};
