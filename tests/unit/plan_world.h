/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A world for tests of the plan and of apply: a source's wish that can be
 * changed piece by piece, and maps in memory.
 *
 * The maps are those of lbd, with arrays of calloc() and a list for the
 * frontends; the functions of maps.h that apply.c calls are defined here, weak,
 * so that a test which opens real maps links the real ones.  Every one of those
 * calls goes through world_step(): there a test can look at the maps as a
 * packet would see them, let a call fail, or let lbd die.
 */
#ifndef PLAN_WORLD_H
#define PLAN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "apply.h"
#include "maps.h"
#include "model.h"
#include "plan.h"

#define WORLD_SERVICES 32
#define WORLD_FRONTENDS 8
#define WORLD_ENDPOINTS 64
#define WORLD_REFUSALS 4
#define WORLD_SOURCES 8

struct world_limits {
	uint32_t services, backends, frontends, arena_lines;
};

struct world_service {
	struct model_service model;
	struct model_frontend frontends[WORLD_FRONTENDS];
	struct model_endpoint endpoints[WORLD_ENDPOINTS];
	struct prefix sources[WORLD_SOURCES];
};

struct world {
	/* wanted */
	struct world_service services[WORLD_SERVICES];
	size_t nservices;
	struct model_refusal refusals[WORLD_REFUSALS];
	size_t nrefusals;
	bool unknown;				     /* nothing is known yet */
	struct model_service sorted[WORLD_SERVICES]; /* of the last plan */
	/* applied */
	struct maps maps;
	struct plan_frontend *frontends;
	size_t nfrontends;
	struct plan_source *sources;
	size_t nsources;
	/* Options.  An address' next hop is that of its last byte. */
	uint64_t now, linger, seed;
	uint64_t hops[256];
	bool stack[256];  /* the way there asks for the stack */
	bool remote[256]; /* ... or leads out by an uplink */
	enum plan_health health[256];
	enum plan_bypass bypass;

	uint32_t max_sources; /* per family, as the plan is told */
	struct plan *plan;    /* the last one */
	unsigned int quiesces, counters_folded, next_hops_asked;
	/* Called before each call of maps.h takes effect; not 0 = it fails. */
	int (*step)(struct world *world, const char *call);
	void *step_data;
};

/* now 1000, linger 30, a next hop for every address. */
struct world *world_new(struct world_limits limits);
void world_free(struct world *world);

/* The wish.  world_clear() forgets it; a service is TCP over IPv4 on port 80,
 * an endpoint is ready and serving with weight 100. */
void world_clear(struct world *world);
struct world_service *world_service(struct world *world, const char *namespace, const char *name,
				    const char *port_name);
void world_frontend(struct world_service *service, enum frontend_kind kind, const char *addr,
		    uint16_t port);
void world_source(struct world_service *service, const char *range);
struct model_endpoint *world_endpoint(struct world_service *service, const char *addr,
				      uint16_t port);
void world_endpoint_remove(struct world_service *service, const char *addr, uint16_t port);
void world_refusal(struct world *world, const char *kind, const char *namespace, const char *name);

/* Makes world->plan, valid until the next. */
const struct plan *world_plan(struct world *world);
/* Makes a plan and applies it; fails the test if that fails. */
const struct plan *world_sync(struct world *world);

struct applied world_applied(const struct world *world);
/* Ids in the maps, 0 = none. */
uint32_t world_service_id(const struct world *world, const struct world_service *service);
uint32_t world_backend_id(const struct world *world, uint32_t service, const char *addr,
			  uint16_t port);
/* Slots of a service's cluster ring that name a backend. */
size_t world_slots(const struct world *world, uint32_t service, uint32_t backend);
/* Who is in a service's ring of a scope: bit N for the address that ends in N + 1.
 * Fails the test where the backends' flags, which affinity goes by, say otherwise. */
unsigned int world_members(const struct world *world, uint32_t service, enum lb_scope scope);
/* The service a frontend leads to, 0 = none. */
const struct lb_frontend *world_frontend_find(const struct world *world, const char *addr,
					      uint16_t port, uint8_t protocol);
/* Is the range in the maps for the service? */
bool world_has_source(const struct world *world, const struct world_service *service,
		      const char *range);
/* How many refusals of the last plan have this in their reason. */
size_t world_refused(const struct world *world, const char *text);

#endif
