/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the files of the plan share (plan.c and plan_*.c); nobody else includes
 * this.
 *
 * plan_make() goes through the steps declared here in their order.  Each reads
 * the planner, adds to planner.plan, and returns 0 or -ENOMEM.  A "planned
 * service" stands for one id of the services map, taken or not; id 0 collects
 * backends whose service can't exist.
 */
#ifndef GW_PLANNER_H
#define GW_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "plan_index.h"

struct planned_service {
	const struct model_service *model; /* NULL: nobody wants it (any more) */
	struct lb_service value;	   /* what the map will hold */
	uint32_t first, nbackends;	   /* its backends of now: planner.live[first..] */
	uint32_t nleft;			   /* of them and of the new ones: not FREE in the end */
	bool used;			   /* the id is taken, before this plan or by it */
	bool fresh;			   /* ... by it */
	bool frozen;			   /* a refused Service: all stays as it is */
	bool retain;			   /* a refused slice: who is in a ring stays there */
	bool ring_stale;		   /* a ring stays that isn't as wanted */
	bool unhealthy[LB_SCOPE_MAX];	   /* usable endpoints, and not one gets new flows */
};

struct planner {
	const struct snapshot *wanted;
	const struct applied *applied;
	const struct plan_options *options;
	struct plan *plan;
	struct planned_service *services; /* by id */
	uint32_t *live;			  /* ids of backends that aren't FREE, by service */
	struct drain *drains;		  /* sorted */
	size_t ndrains;
	uint32_t next_backend;	 /* where to look for a free id next, ... */
	uint32_t nbackends_seen; /* ... and how many were looked at */
	struct plan_index keeps; /* of wanted->refusals with keep, by service name */
	bool has_keeps;
	/* Of the service in work; there is room for any. */
	struct planned_endpoint {
		uint32_t backend;		  /* id, 0 = none */
		struct lb_backend value;	  /* as the map will have it */
		bool reachable;			  /* it has a next hop */
		bool fit;			  /* neither down nor drained */
	} * endpoints;				  /* as in the model */
	struct model_choice choice[LB_SCOPE_MAX]; /* who gets new flows */
	struct maglev_entry *members;		  /* of a ring */
	uint32_t *leftovers;			  /* backends that no endpoint asks for; ... */
	size_t nleftovers, nretained;		  /* ... the first of them stay all the same */
	struct arena_gap {
		uint32_t line, nlines;
	} * gaps; /* of the arena, by line; NULL until a ring needs one */
	size_t ngaps;
	size_t first_gap[32]; /* no gap before it has 2^n lines */
	bool short_of_room;   /* something was refused that may fit when room is given back */
	bool gives_room;      /* ids or lines are given back by this plan */
};

/* Reads the refusals that keep what the maps hold. */
int planner_index_keeps(struct planner *p);

/* Steps for all services: sort backends by service; then find, give out and
 * freeze service ids. */
int planner_group_backends(struct planner *p);
int planner_match_services(struct planner *p);

/* Steps for the service of an id: backends for its endpoints; who stays though
 * no endpoint asks for him; its rings; the backends that are left over; what
 * becomes of itself. */
int planner_place_endpoints(struct planner *p, uint32_t id);
int planner_retain(struct planner *p, uint32_t id);
int planner_plan_rings(struct planner *p, uint32_t id);
int planner_plan_leftovers(struct planner *p, uint32_t id);
int planner_finish_service(struct planner *p, uint32_t id);

/* Drained pods (plan_drain.c), found among the backends that are there: what was asked
 * of one backend holds for all of the pod's, of whatever service. */
int planner_find_drains(struct planner *p);
/* LB_BACKEND_F_DRAIN* that hold for an endpoint. */
uint8_t planner_drained(const struct planner *p, const struct model_endpoint *endpoint);

/* The last steps. */
int planner_plan_frontends(struct planner *p);
int planner_plan_sources(struct planner *p);

/* Do load-balancer addresses of the service take some clients alone? */
bool planner_has_sources(const struct model_service *service);

/* Room for one more element at the end of an array of n, grown by doubling:
 * false if there is no memory.  `array` points to the array's pointer. */
bool planner_grow(void *array, size_t n, size_t element_bytes);

/* Tell that a service isn't served, or that a part of it isn't. */
int planner_refuse(struct planner *p, const struct model_service *service, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int planner_leave_out(struct planner *p, const struct model_service *service, const char *format,
		      ...) __attribute__((format(printf, 3, 4)));

/* The next hop of a backend that is there: as plan_options.next_hop says, but none by
 * an uplink where it was on this node. */
uint64_t planner_next_hop(const struct planner *p, const struct lb_backend *backend);

/* hash_mix() over a string. */
uint64_t planner_hash_text(uint64_t h, const char *text, size_t max);

#endif
