/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The page that counts its visits in Redis, and does without where that is away. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "app.h"
#include "redis.h"

#define NO_COUNTER "<i>cannot connect to Redis, counter disabled</i>"

struct visit {
	const struct replica *replica;
	struct request *request;
};

static int page_make(const struct replica *replica, const char *visits, struct reply *reply)
{
	const char *name = getenv("NAME");

	reply->type = "text/html; charset=utf-8";
	if (asprintf(&reply->body,
		     "<h3>Hello %s!</h3><br/><b>Visits:</b> %s<br/><b>Hostname:</b> %s <br/>",
		     name ? name : "world", visits, replica->identity.host) < 0) {
		reply->body = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void on_count(void *arg, bool counted, long long visits)
{
	struct visit *visit = arg;
	struct reply reply = {.status = 200};
	char text[32];

	snprintf(text, sizeof(text), "%lld", visits);
	if (page_make(visit->replica, counted ? text : NO_COUNTER, &reply))
		reply_error(&reply, 500, "out of memory");
	request_answer(visit->request, &reply);
	free(visit);
}

static int hello_root(const struct replica *replica, struct request *request, struct reply *reply)
{
	struct visit *visit = malloc(sizeof(*visit));

	if (!visit)
		return -ENOMEM;
	*visit = (struct visit){replica, request};
	if (redis_count(replica->redis, on_count, visit)) {
		free(visit);
		return page_make(replica, NO_COUNTER, reply);
	}
	return LATER;
}

static int hello_version(const struct replica *replica, struct request *request,
			 struct reply *reply)
{
	(void)request;
	reply->type = "text/html; charset=utf-8";
	if (asprintf(&reply->body, "<b>Version 1</b><br/><b>Hostname:</b> %s <br/>",
		     replica->identity.host) < 0) {
		reply->body = NULL;
		return -ENOMEM;
	}
	return 0;
}

static const struct route hello_routes[] = {
	{"/", false, hello_root},
	{"/version", false, hello_version},
	{0},
};

const struct app app_hello = {.name = "hello", .routes = hello_routes, .needs_redis = true};
