/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Health checks: who of a snapshot's endpoints answers, asked every interval
 * by libcurl on lbd's loop.  The one writer of health.
 *
 * A target is an address, a port and a way to check it, shared by all services
 * that have it.  It is up after `rise` good answers in a row and down after
 * `fall` bad ones; until either it is unknown, and counts as up.  Checks begin
 * at random within the interval, and at most HEALTH_MAX_RUNNING run at once.
 */
#ifndef GW_HEALTH_H
#define GW_HEALTH_H

#include <uv.h>

#include "error.h"
#include "health_check.h"
#include "model.h"
#include "plan.h"

#define HEALTH_MAX_RUNNING 128
/* A check's time: the interval, but no more. */
#define HEALTH_MAX_TIMEOUT_MS 5000

struct health;

struct health_options {
	struct health_check check; /* of services that don't say */
	unsigned int interval_ms, rise, fall;
};

enum health_state {
	HEALTH_OFF, /* nobody checks it */
	HEALTH_UNKNOWN,
	HEALTH_UP,
	HEALTH_DOWN,
};

const char *health_state_name(enum health_state state); /* "up" */

/* changed: some target's state has changed; never called within a call of this
 * header's.  The options are copied. */
int health_open(uv_loop_t *loop, const struct health_options *options, void (*changed)(void *arg),
		void *arg, struct health **ret, struct error *error);
/* The loop has to run once more. */
void health_close(struct health *health);

/* Check the endpoints of a snapshot from now on, and no others.  Known targets
 * keep their state.  Returns 0, or -ENOMEM: some may go unchecked. */
int health_follow(struct health *health, const struct snapshot *snapshot);

/* health may be NULL: off. */
enum health_state health_state(const struct health *health, const struct model_service *service,
			       const struct model_endpoint *endpoint);

/* plan_options.health; arg is the struct health or NULL. */
enum plan_health health_for_plan(void *arg, const struct model_service *service,
				 const struct model_endpoint *endpoint);

#endif
