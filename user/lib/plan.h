/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The plan: what has to change in the maps so that they hold a snapshot.
 *
 * plan_make() is a pure function of what is wanted and of what the maps hold
 * (struct applied, views over mapped memory or over a test's arrays).  It
 * allocates ids and arena lines but writes nothing; apply.c carries it out,
 * make before break.  A restart is no special case: the maps of the daemon
 * before are just what is applied.
 *
 * Every array of a plan belongs to it and is freed by plan_free().
 */
#ifndef GW_PLAN_H
#define GW_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "lb.h"
#include "maglev.h"
#include "model.h"

/* An entry of frontends4 or frontends6. */
struct plan_frontend {
	struct addr addr;
	__be16 port;
	uint8_t protocol;
	struct lb_frontend value;
};

/* An entry of sources4 or sources6. */
struct plan_source {
	uint32_t service;
	struct prefix prefix;
};

/* What the maps hold.  Arrays are indexed by id; entry 0 is unused. */
struct applied {
	uint32_t max_services;
	uint32_t max_backends;
	uint32_t max_frontends; /* per family */
	uint32_t max_sources;	/* likewise */
	uint32_t arena_lines;
	const struct lb_service *services;
	const struct lb_service_name *service_names;
	const __u64 *rings;		   /* LB_RING_INDEX() */
	const struct lb_arena_line *arena; /* read only to see who is in a ring */
	const struct lb_backend *backends;
	const struct plan_frontend *frontends;
	size_t nfrontends;
	const struct plan_source *sources;
	size_t nsources;
};

/* Which new flows skip the stack, and with it netfilter: those that can. */
enum plan_bypass {
	PLAN_BYPASS_AUTO, /* but for those to namespaces with a NetworkPolicy */
	PLAN_BYPASS_ON,
	PLAN_BYPASS_OFF, /* none */
};

/* How packets reach an address. */
struct plan_hop {
	/* LB_NEXT_HOP, LB_NEXT_HOP_STACK, or 0 where no device leads there: such
	 * an endpoint is left out of the rings. */
	uint64_t next_hop;
	bool stack;  /* flows there have to go through the stack */
	bool remote; /* an uplink leads there: it is on another node */
};

/* What a checker says of an endpoint. */
enum plan_health {
	PLAN_HEALTH_UP, /* or nobody checks it */
	PLAN_HEALTH_DOWN,
	PLAN_HEALTH_UNKNOWN, /* not yet: as it was before, when a lbd before this one knew */
};

struct plan_options {
	uint64_t now_ticks;    /* see LB_TICK_SHIFT */
	uint64_t linger_ticks; /* how long a backend in no slice keeps its TCP flows */
	uint64_t hash_seed;    /* for maglev_identity() */
	struct plan_hop (*next_hop)(void *arg, const struct addr *addr);
	void *arg;
	enum plan_bypass bypass;
	/* NULL = nobody checks. */
	enum plan_health (*health)(void *arg, const struct model_service *service,
				   const struct model_endpoint *endpoint);
	void *health_arg;
};

struct plan_service {
	uint32_t id;
	struct lb_service value; /* ring_digest as it will be */
	struct lb_service_name name;
};

/* A new backend, or new values of state, generation, weight, flags, next_hop,
 * gone_ticks and uid of one that is there (fresh = false). */
struct plan_backend {
	uint32_t id;
	bool fresh;
	struct lb_backend value;
};

struct plan_ring {
	uint32_t service;
	enum lb_scope scope;
	uint64_t value;		      /* LB_RING(), 0 = take the ring away */
	bool round_robin;	      /* else Maglev */
	struct maglev_entry *entries; /* of weight > 0 */
	size_t nentries;
};

/* A wanted thing that couldn't be planned; kept from the snapshot's refusals
 * apart because it depends on this node (limits, routes, claims). */
struct plan_refusal {
	const struct model_service *service; /* belongs to the snapshot */
	char reason[160];
	bool partial; /* only a part of it is left out: the rest works */
};

struct plan {
	struct plan_service *services; /* new or changed */
	size_t nservices;
	uint32_t *services_freed;
	size_t nservices_freed;
	struct plan_backend *backends;
	size_t nbackends;
	struct plan_ring *rings;
	size_t nrings;
	/* Both in the order of plan_frontend_compare().  A key that is in both
	 * moves to another service. */
	struct plan_frontend *frontends; /* to insert */
	size_t nfrontends;
	struct plan_frontend *frontends_deleted;
	size_t nfrontends_deleted;
	struct plan_source *sources; /* to insert */
	size_t nsources;
	struct plan_source *sources_deleted;
	size_t nsources_deleted;
	struct plan_refusal *refusals;
	size_t nrefusals;
	/* When a plan is due again, since a backend's linger ends or what was
	 * refused may fit; 0 = never. */
	uint64_t due_ticks;
};

/* Returns 0, or -ENOMEM (nothing is made). */
int plan_make(const struct snapshot *wanted, const struct applied *applied,
	      const struct plan_options *options, struct plan **ret);
void plan_free(struct plan *plan);

/* Order by key: address, port, protocol; <0, 0, >0. */
int plan_frontend_compare(const struct plan_frontend *a, const struct plan_frontend *b);

/* Nothing to write? (refusals and due_ticks aside) */
bool plan_is_empty(const struct plan *plan);

/* lb_backend.uid of a pod's UID; "" = 0. */
uint32_t plan_uid(const char *uid);

/* The service's id in the maps, 0 = none.  For those who show applied state. */
uint32_t applied_service_id(const struct applied *applied, const struct model_service *service);

#endif
