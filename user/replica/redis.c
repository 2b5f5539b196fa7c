/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <hiredis/async.h>

#include "clients.h"

#define LOOKUP_POLL_MS 20 /* how often a look-up that runs is looked after */

/* Somebody who waits. */
struct question {
	struct redis *redis;
	void (*counted)(void *arg, bool ok, long long n);
	void *arg;
	int64_t until_ms;
	bool asked; /* its command is on the way; the answer finds it by pointer */
	bool over;  /* answered; it goes when its command's answer comes */
	TAILQ_ENTRY(question) link;
};

/* A look-up in a thread of glibc's, which outlives whoever has given it up. */
struct lookup {
	struct gaicb request;
	struct addrinfo hints;
};

struct redis {
	const char *host;
	redisAsyncContext *context; /* NULL: no connection */
	bool connected;
	short events;
	struct lookup *lookup; /* NULL: none runs */
	TAILQ_HEAD(, question) questions;
};

/* ---- questions ---------------------------------------------------------- */

static void question_end(struct question *question, bool ok, long long n)
{
	TAILQ_REMOVE(&question->redis->questions, question, link);
	question->over = true;
	question->counted(question->arg, ok, n);
	if (!question->asked)
		free(question);
}

static void questions_fail(struct redis *redis)
{
	struct question *question;

	while ((question = TAILQ_FIRST(&redis->questions)))
		question_end(question, false, 0);
}

/* NULL reply: the connection is gone. */
static void on_reply(redisAsyncContext *context, void *reply, void *arg)
{
	struct question *question = arg;
	const redisReply *answer = reply;
	bool ok = answer && answer->type == REDIS_REPLY_INTEGER;

	(void)context;
	question->asked = false;
	if (question->over)
		free(question);
	else
		question_end(question, ok, ok ? answer->integer : 0);
}

static void questions_ask(struct redis *redis)
{
	struct question *question;

	if (!redis->context)
		return;
	TAILQ_FOREACH(question, &redis->questions, link)
	{
		if (question->asked)
			continue;
		question->asked =
			!redisAsyncCommand(redis->context, on_reply, question, "INCR hits");
	}
}

/* ---- the connection ------------------------------------------------------- */

static void want_read(void *arg)
{
	((struct redis *)arg)->events |= POLLIN;
}

static void no_read(void *arg)
{
	((struct redis *)arg)->events &= ~POLLIN;
}

static void want_write(void *arg)
{
	((struct redis *)arg)->events |= POLLOUT;
}

static void no_write(void *arg)
{
	((struct redis *)arg)->events &= ~POLLOUT;
}

/* hiredis frees the context after these. */
static void connection_lost(struct redis *redis)
{
	redis->context = NULL;
	redis->connected = false;
	redis->events = 0;
}

static void on_connect(const redisAsyncContext *context, int status)
{
	struct redis *redis = context->data;

	if (status == REDIS_OK)
		redis->connected = true;
	else
		connection_lost(redis);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
	(void)status;
	connection_lost(context->data);
}

static void connect_to(struct redis *redis, const char *address)
{
	redisAsyncContext *context = redisAsyncConnect(address, REDIS_PORT);

	if (!context || context->err) {
		if (context)
			redisAsyncFree(context);
		questions_fail(redis);
		return;
	}
	redis->context = context;
	context->data = redis;
	context->ev.data = redis;
	context->ev.addRead = want_read;
	context->ev.delRead = no_read;
	context->ev.addWrite = want_write;
	context->ev.delWrite = no_write;
	redisAsyncSetConnectCallback(context, on_connect);
	redisAsyncSetDisconnectCallback(context, on_disconnect);
	questions_ask(redis);
}

/* ---- the name ---------------------------------------------------------------- */

static void lookup_free(struct lookup *lookup)
{
	if (lookup->request.ar_result)
		freeaddrinfo(lookup->request.ar_result);
	free(lookup);
}

/* Give it up: what can't be cancelled is left to its thread. */
static void lookup_drop(struct redis *redis)
{
	struct lookup *lookup = redis->lookup;

	redis->lookup = NULL;
	if (lookup && gai_cancel(&lookup->request) != EAI_NOTCANCELED &&
	    gai_error(&lookup->request) != EAI_INPROGRESS)
		lookup_free(lookup);
}

static void lookup_start(struct redis *redis)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct gaicb *requests[1];

	if (!lookup) {
		questions_fail(redis);
		return;
	}
	lookup->hints.ai_socktype = SOCK_STREAM;
	lookup->request.ar_name = redis->host;
	lookup->request.ar_request = &lookup->hints;
	requests[0] = &lookup->request;
	if (getaddrinfo_a(GAI_NOWAIT, requests, 1, NULL)) {
		free(lookup);
		questions_fail(redis);
		return;
	}
	redis->lookup = lookup;
}

static void lookup_check(struct redis *redis)
{
	struct lookup *lookup = redis->lookup;
	char address[INET6_ADDRSTRLEN];
	int err = gai_error(&lookup->request);

	if (err == EAI_INPROGRESS)
		return;
	redis->lookup = NULL;
	if (!err)
		err = getnameinfo(lookup->request.ar_result->ai_addr,
				  lookup->request.ar_result->ai_addrlen, address, sizeof(address),
				  NULL, 0, NI_NUMERICHOST);
	lookup_free(lookup);
	if (err)
		questions_fail(redis);
	else
		connect_to(redis, address);
}

/* ---- all of it ------------------------------------------------------------------ */

int redis_open(const char *host, struct redis **ret)
{
	struct redis *redis = calloc(1, sizeof(*redis));

	if (!redis)
		return -ENOMEM;
	redis->host = host;
	TAILQ_INIT(&redis->questions);
	*ret = redis;
	return 0;
}

void redis_close(struct redis *redis)
{
	if (!redis)
		return;
	questions_fail(redis);
	if (redis->context)
		redisAsyncFree(redis->context);
	lookup_drop(redis);
	free(redis);
}

int redis_count(struct redis *redis, void (*counted)(void *arg, bool ok, long long n), void *arg)
{
	struct question *question = calloc(1, sizeof(*question));

	if (!question)
		return -ENOMEM;
	*question = (struct question){.redis = redis,
				      .counted = counted,
				      .arg = arg,
				      .until_ms = clock_ms() + REDIS_TIMEOUT_MS};
	TAILQ_INSERT_TAIL(&redis->questions, question, link);
	questions_ask(redis); /* where it is connected */
	return 0;
}

int redis_fd(const struct redis *redis)
{
	return redis->context ? redis->context->c.fd : -1;
}

short redis_events(const struct redis *redis)
{
	return redis->events;
}

int redis_timeout_ms(const struct redis *redis)
{
	const struct question *first = TAILQ_FIRST(&redis->questions);
	int64_t left;

	if (!first)
		return -1;
	if (!redis->context && !redis->lookup)
		return 0; /* there is something to begin */
	if (redis->lookup)
		return LOOKUP_POLL_MS;
	left = first->until_ms - clock_ms();
	return left > 0 ? (int)left : 0;
}

/* Who has waited too long; a server that doesn't answer is as good as none. */
static void questions_expire(struct redis *redis)
{
	struct question *question = TAILQ_FIRST(&redis->questions);

	if (!question || question->until_ms > clock_ms())
		return;
	while ((question = TAILQ_FIRST(&redis->questions)) && question->until_ms <= clock_ms())
		question_end(question, false, 0);
	lookup_drop(redis);
	if (redis->context) {
		redisAsyncContext *context = redis->context;

		connection_lost(redis);
		redisAsyncFree(context);
	}
}

void redis_run(struct redis *redis, short revents)
{
	if (redis->context && revents & (POLLIN | POLLERR | POLLHUP))
		redisAsyncHandleRead(redis->context);
	if (redis->context && revents & (POLLOUT | POLLERR | POLLHUP))
		redisAsyncHandleWrite(redis->context);
	questions_expire(redis);
	if (redis->lookup)
		lookup_check(redis);
	else if (!redis->context && !TAILQ_EMPTY(&redis->questions))
		lookup_start(redis);
	questions_ask(redis);
}
