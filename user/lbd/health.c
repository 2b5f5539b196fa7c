/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "health.h"

#include <errno.h>
#include <netinet/in.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "curl_loop.h"
#include "log.h"

struct target {
	/* What it is known by; padding is zero. */
	struct target_key {
		struct addr addr;
		uint16_t port;
		struct health_check check;
	} key;
	struct health *health;
	enum health_state state;
	unsigned int in_a_row; /* answers unlike the state ... */
	bool last_good;	       /* ... and what the last of them was */
	bool wanted;	       /* by the snapshot that is followed */
	bool waits;	       /* for its turn */
	CURL *transfer;	       /* the check that runs, or NULL */
	char failure[CURL_ERROR_SIZE];
	uv_timer_t timer;
	TAILQ_ENTRY(target) turn;
	LIST_ENTRY(target) link;
};

struct health {
	struct health_options options;
	struct curl_loop *curl;
	uv_loop_t *loop;
	void (*changed)(void *arg);
	void *arg;
	void *tree; /* tsearch(3) of struct target */
	LIST_HEAD(, target) targets;
	TAILQ_HEAD(, target) waiting;
	unsigned int running;
	unsigned int seed; /* of the jitter */
};

const char *health_state_name(enum health_state state)
{
	static const char *const names[] = {
		[HEALTH_OFF] = "off",
		[HEALTH_UNKNOWN] = "unknown",
		[HEALTH_UP] = "up",
		[HEALTH_DOWN] = "down",
	};

	return names[state];
}

/* ---- a check -------------------------------------------------------------------- */

static void target_due(uv_timer_t *timer);

static void check_end(struct target *target)
{
	if (!target->transfer)
		return;
	curl_loop_remove(target->health->curl, target->transfer);
	curl_easy_cleanup(target->transfer);
	target->transfer = NULL;
	target->health->running--;
}

/* An interval later, give or take a tenth. */
static void check_later(struct target *target)
{
	struct health *health = target->health;
	uint64_t tenth = health->options.interval_ms / 10 + 1;

	uv_timer_start(&target->timer, target_due,
		       health->options.interval_ms - tenth / 2 + rand_r(&health->seed) % tenth, 0);
}

static size_t body_skip(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static bool transfer_set(CURL *transfer, struct target *target)
{
	const struct target_key *key = &target->key;
	long timeout_ms = target->health->options.interval_ms;
	char where[ADDR_PORT_STRLEN], url[ADDR_PORT_STRLEN + HEALTH_PATH_SIZE + 8];

	if (timeout_ms > HEALTH_MAX_TIMEOUT_MS)
		timeout_ms = HEALTH_MAX_TIMEOUT_MS;
	snprintf(url, sizeof(url), "http://%s%s", addr_port_format(&key->addr, key->port, where),
		 key->check.path);
	curl_easy_setopt(transfer, CURLOPT_PRIVATE, target);
	curl_easy_setopt(transfer, CURLOPT_ERRORBUFFER, target->failure);
	curl_easy_setopt(transfer, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(transfer, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(transfer, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(transfer, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(transfer, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(transfer, CURLOPT_USERAGENT, "guideway-health/" LB_VERSION);
	curl_easy_setopt(transfer, CURLOPT_WRITEFUNCTION, body_skip);
	curl_easy_setopt(transfer, CURLOPT_MAXFILESIZE, 1L << 20);
	curl_easy_setopt(transfer, CURLOPT_CONNECT_ONLY, key->check.kind == HEALTH_TCP ? 1L : 0L);
	return !curl_easy_setopt(transfer, CURLOPT_URL, url);
}

/* No memory is no answer of the target's: another time. */
static void check_begin(struct target *target)
{
	CURL *transfer = curl_easy_init();

	*target->failure = '\0';
	if (!transfer || !transfer_set(transfer, target) ||
	    curl_loop_add(target->health->curl, transfer)) {
		curl_easy_cleanup(transfer);
		check_later(target);
		return;
	}
	target->transfer = transfer;
	target->health->running++;
}

static void checks_go_on(struct health *health)
{
	struct target *target;

	while (health->running < HEALTH_MAX_RUNNING && (target = TAILQ_FIRST(&health->waiting))) {
		TAILQ_REMOVE(&health->waiting, target, turn);
		target->waits = false;
		check_begin(target);
	}
}

static void target_due(uv_timer_t *timer)
{
	struct target *target = timer->data;

	target->waits = true;
	TAILQ_INSERT_TAIL(&target->health->waiting, target, turn);
	checks_go_on(target->health);
}

/* Told once per change, not per check. */
static void target_set(struct target *target, enum health_state state, const char *why)
{
	char where[ADDR_PORT_STRLEN];

	addr_port_format(&target->key.addr, target->key.port, where);
	if (state == HEALTH_DOWN)
		log_warn("backend is down backend=%s health=%s->%s checks=%u reason=\"%s\"", where,
			 health_state_name(target->state), health_state_name(state),
			 target->health->options.fall, why);
	else
		log_info("backend is up backend=%s health=%s->%s checks=%u", where,
			 health_state_name(target->state), health_state_name(state),
			 target->health->options.rise);
	target->state = state;
}

/* Returns whether the state has changed. */
static bool target_judge(struct target *target, bool good, const char *why)
{
	const struct health_options *options = &target->health->options;
	enum health_state now = good ? HEALTH_UP : HEALTH_DOWN;
	enum health_state before = target->state;

	if (before == now) {
		target->in_a_row = 0;
		return false;
	}
	/* From unknown both ways are counted: a row of the other kind begins anew. */
	if (before == HEALTH_UNKNOWN && good != target->last_good)
		target->in_a_row = 0;
	target->last_good = good;
	if (++target->in_a_row < (good ? options->rise : options->fall))
		return false;
	target->in_a_row = 0;
	target_set(target, now, why);
	return true;
}

static void check_done(void *private, CURLcode code)
{
	struct target *target = private;
	struct health *health = target->health;
	bool good = code == CURLE_OK, changed;
	char why[CURL_ERROR_SIZE + 32];
	long status = 0;

	curl_easy_getinfo(target->transfer, CURLINFO_RESPONSE_CODE, &status);
	snprintf(why, sizeof(why), "%s",
		 *target->failure ? target->failure : curl_easy_strerror(code));
	if (target->key.check.kind == HEALTH_HTTP && status) {
		/* A body too long, or cut short, is no matter of health. */
		good = status >= 200 && status < 400;
		if (!good)
			snprintf(why, sizeof(why), "HTTP status %ld", status);
	}
	check_end(target);
	check_later(target);
	changed = target_judge(target, good, why);
	checks_go_on(health);
	if (changed)
		health->changed(health->arg);
}

/* ---- targets ---------------------------------------------------------------------- */

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct target_key));
}

static void target_freed(uv_handle_t *timer)
{
	free(timer->data);
}

static void target_remove(struct target *target)
{
	struct health *health = target->health;

	check_end(target);
	if (target->waits)
		TAILQ_REMOVE(&health->waiting, target, turn);
	tdelete(target, &health->tree, key_compare);
	LIST_REMOVE(target, link);
	uv_close((uv_handle_t *)&target->timer, target_freed);
}

static int target_add(struct health *health, const struct target_key *key)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	target->key = *key;
	if (!tsearch(target, &health->tree, key_compare)) {
		free(target);
		return -ENOMEM;
	}
	target->health = health;
	target->state = HEALTH_UNKNOWN;
	target->wanted = true;
	LIST_INSERT_HEAD(&health->targets, target, link);
	uv_timer_init(health->loop, &target->timer);
	target->timer.data = target;
	uv_timer_start(&target->timer, target_due,
		       rand_r(&health->seed) % health->options.interval_ms, 0);
	return 0;
}

/* false: it isn't checked. */
static bool key_of(const struct health *health, const struct model_service *service,
		   const struct model_endpoint *endpoint, struct target_key *ret)
{
	const struct health_check *check =
		service->check.kind == HEALTH_UNSET ? &health->options.check : &service->check;

	if (check->kind <= HEALTH_NONE || service->protocol != IPPROTO_TCP)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->addr = endpoint->addr;
	ret->port = endpoint->port;
	ret->check.kind = check->kind;
	strcpy(ret->check.path, check->path);
	return true;
}

static struct target *target_find(const struct health *health, const struct target_key *key)
{
	struct target *const *found = tfind(key, &health->tree, key_compare);

	return found ? *found : NULL;
}

int health_follow(struct health *health, const struct snapshot *snapshot)
{
	struct target *target, *next;
	struct target_key key;
	int err = 0;

	LIST_FOREACH(target, &health->targets, link)
	target->wanted = false;
	for (size_t s = 0; s < snapshot->nservices; s++) {
		const struct model_service *service = &snapshot->services[s];

		for (size_t e = 0; e < service->nendpoints; e++) {
			const struct model_endpoint *endpoint = &service->endpoints[e];

			/* Nobody sends new flows to the others. */
			if (!(endpoint->ready || (endpoint->serving && endpoint->terminating)) ||
			    !key_of(health, service, endpoint, &key))
				continue;
			target = target_find(health, &key);
			if (target)
				target->wanted = true;
			else if (target_add(health, &key))
				err = -ENOMEM;
		}
	}
	for (target = LIST_FIRST(&health->targets); target; target = next) {
		next = LIST_NEXT(target, link);
		if (!target->wanted)
			target_remove(target);
	}
	checks_go_on(health);
	return err;
}

enum health_state health_state(const struct health *health, const struct model_service *service,
			       const struct model_endpoint *endpoint)
{
	const struct target *target;
	struct target_key key;

	if (!health || !key_of(health, service, endpoint, &key))
		return HEALTH_OFF;
	target = target_find(health, &key);
	return target ? target->state : HEALTH_UNKNOWN;
}

enum plan_health health_for_plan(void *arg, const struct model_service *service,
				 const struct model_endpoint *endpoint)
{
	switch (health_state(arg, service, endpoint)) {
	case HEALTH_DOWN:
		return PLAN_HEALTH_DOWN;
	case HEALTH_UNKNOWN:
		return PLAN_HEALTH_UNKNOWN;
	default:
		return PLAN_HEALTH_UP;
	}
}

/* ---- life --------------------------------------------------------------------------- */

int health_open(uv_loop_t *loop, const struct health_options *options, void (*changed)(void *arg),
		void *arg, struct health **ret, struct error *error)
{
	struct health *health = calloc(1, sizeof(*health));
	int err;

	if (!health)
		return error_set(error, -ENOMEM, "no memory");
	health->options = *options;
	health->loop = loop;
	health->changed = changed;
	health->arg = arg;
	health->seed = (unsigned int)uv_hrtime();
	LIST_INIT(&health->targets);
	TAILQ_INIT(&health->waiting);
	err = curl_loop_open(loop, check_done, &health->curl, error);
	if (err) {
		free(health);
		return err;
	}
	*ret = health;
	return 0;
}

void health_close(struct health *health)
{
	if (!health)
		return;
	while (!LIST_EMPTY(&health->targets))
		target_remove(LIST_FIRST(&health->targets));
	curl_loop_close(health->curl);
	free(health);
}
