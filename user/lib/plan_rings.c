/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Rings: who is in them, whether they are as wanted, where in the arena they go. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "planner.h"
#include "turns.h"

static uint32_t ring_lines(uint32_t nslots)
{
	return (nslots + LB_ARENA_LINE_SLOTS - 1) / LB_ARENA_LINE_SLOTS;
}

/* ---- the arena ------------------------------------------------------------ */

static int gap_compare(const void *a, const void *b)
{
	const struct arena_gap *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

/*
 * Gaps between all rings that the maps name now.  Those that this plan takes
 * away or replaces are among them: packets read them until after the switch,
 * so their lines are for the next plan.
 */
static int arena_find_gaps(struct planner *p)
{
	const struct applied *applied = p->applied;
	uint32_t nrings = applied->max_services * LB_SCOPE_MAX, n = 0, end = 0;
	struct arena_gap *used = NULL, *gaps;

	for (uint32_t i = 0; i < nrings; i++) {
		uint64_t ring = applied->rings[i];

		if (!ring)
			continue;
		if (!planner_grow(&used, n, sizeof(*used)))
			goto no_memory;
		used[n].line = LB_RING_LINE(ring);
		used[n++].nlines = ring_lines(LB_RING_SLOTS(ring));
	}
	gaps = reallocarray(NULL, n + 1, sizeof(*gaps));
	if (!gaps)
		goto no_memory;
	if (n)
		qsort(used, n, sizeof(*used), gap_compare);
	for (uint32_t i = 0; i <= n; i++) {
		uint32_t line = i < n ? used[i].line : applied->arena_lines;

		if (line > end)
			gaps[p->ngaps++] = (struct arena_gap){end, line - end};
		if (i < n && used[i].line + used[i].nlines > end)
			end = used[i].line + used[i].nlines;
	}
	p->gaps = gaps;
	free(used);
	return 0;
no_memory:
	free(used);
	return -ENOMEM;
}

/* First fit: 0, -ENOSPC or -ENOMEM. */
static int arena_take(struct planner *p, uint32_t nlines, uint32_t *ret_line)
{
	int order = 31 - __builtin_clz(nlines);
	size_t i;

	if (!p->gaps && arena_find_gaps(p))
		return -ENOMEM;
	/* Gaps only shrink, so what was too small stays so: all searches of a
	 * plan together go once through the gaps for each size of ring. */
	for (i = p->first_gap[order]; i < p->ngaps && !(p->gaps[i].nlines >> order); i++)
		;
	p->first_gap[order] = i;
	while (i < p->ngaps && p->gaps[i].nlines < nlines)
		i++;
	if (i == p->ngaps)
		return -ENOSPC;
	*ret_line = p->gaps[i].line;
	p->gaps[i].line += nlines;
	p->gaps[i].nlines -= nlines;
	return 0;
}

/* ---- rings ---------------------------------------------------------------- */

/* Under a Local policy pods still go to all endpoints of external addresses
 * (rule 34). */
static bool ring_is_wanted(const struct planned_service *service, enum lb_scope scope)
{
	const struct model_service *model = service->model;

	return model &&
	       (scope == LB_SCOPE_CLUSTER || model->internal_local || model->external_local);
}

static void member_add(struct planner *p, size_t *n, const struct addr *addr, uint16_t port,
		       uint32_t backend, uint16_t weight)
{
	p->members[(*n)++] = (struct maglev_entry){
		.identity = maglev_identity(addr, port, p->options->hash_seed),
		.id = backend,
		.weight = weight,
	};
}

/* Who gets new flows: fills p->members. */
static int ring_collect(struct planner *p, uint32_t id, enum lb_scope scope, size_t *ret_n)
{
	const struct model_service *model = p->services[id].model;
	const struct model_endpoint *lost = NULL;
	size_t n = 0, nusable = 0, nlost = 0, nunfit = 0;
	bool local = scope == LB_SCOPE_LOCAL;
	char text[ADDR_PORT_STRLEN];

	for (size_t i = 0; i < model->nendpoints; i++) {
		const struct model_endpoint *endpoint = &model->endpoints[i];
		const struct planned_endpoint *placed = &p->endpoints[i];

		if (!placed->backend || !endpoint->weight || (local && !endpoint->local) ||
		    !model_endpoint_usable(endpoint, &p->choice[scope]))
			continue;
		nusable++;
		if (!placed->fit) {
			nunfit++;
			continue;
		}
		if (!placed->reachable) {
			lost = lost ? lost : endpoint;
			nlost++;
			continue;
		}
		member_add(p, &n, &endpoint->addr, endpoint->port, placed->backend,
			   endpoint->weight);
	}
	for (size_t i = 0; i < p->nretained; i++) {
		const struct lb_backend *backend = &p->applied->backends[p->leftovers[i]];
		struct addr addr;

		if (backend->flags & LB_BACKEND_DRAINS ||
		    (local && !(backend->flags & LB_BACKEND_F_LOCAL)))
			continue;
		addr_from_words(backend->family, backend->addr, &addr);
		member_add(p, &n, &addr, ntohs(backend->port), p->leftovers[i], backend->weight);
	}
	p->services[id].unhealthy[scope] = nunfit && nunfit == nusable;
	*ret_n = n;
	if (!lost || local) /* the other ring tells */
		return 0;
	return planner_leave_out(p, model,
				 "%zu of %zu usable endpoints left out: no device leads to %s%s",
				 nlost, nusable, addr_port_format(&lost->addr, lost->port, text),
				 nlost > 1 ? " and others" : "");
}

/* Of all that a ring depends on; a sum, since the order of the members is no
 * part of it.  Never 0. */
static uint64_t ring_digest(const struct maglev_entry *members, size_t n, uint32_t nslots,
			    bool round_robin)
{
	uint64_t digest = hash_mix((uint64_t)nslots << 1 | round_robin, n);

	for (size_t i = 0; i < n; i++)
		digest += hash_mix(hash_mix(members[i].weight, members[i].identity), members[i].id);
	return digest ? digest : 1;
}

static bool ring_is_in_arena(const struct applied *applied, uint64_t ring)
{
	return (uint64_t)LB_RING_LINE(ring) + ring_lines(LB_RING_SLOTS(ring)) <=
	       applied->arena_lines;
}

/* Marks the leftovers that a ring names. */
static void ring_find_leftovers(const struct planner *p, uint64_t ring,
				const struct plan_index *leftovers, bool *named)
{
	const uint32_t *slots = p->applied->arena[LB_RING_LINE(ring)].slots;

	for (uint32_t slot = 0; slot < LB_RING_SLOTS(ring); slot++) {
		size_t at = plan_index_first(leftovers, slots[slot]);
		uint32_t i;

		for (; plan_index_get(leftovers, at, &i); at = plan_index_next(leftovers, at))
			named[i] |= p->leftovers[i] == slots[slot];
	}
}

/*
 * A slice that can't be read may hold any of the leftovers.  Who is in a ring
 * was usable when last seen, and stays in it while a device leads there, and who
 * is drained stays drained; the others had left it, and leave as usual.
 */
int planner_retain(struct planner *p, uint32_t id)
{
	struct plan_index index = {};
	bool *named = NULL;
	int err = -ENOMEM;

	if (!p->services[id].retain || !p->nleftovers)
		return 0;
	named = calloc(p->nleftovers, sizeof(*named));
	if (!named || !plan_index_init(&index, p->nleftovers))
		goto out;
	for (size_t i = 0; i < p->nleftovers; i++) {
		size_t at = plan_index_first(&index, p->leftovers[i]);
		uint32_t other;

		if (p->applied->backends[p->leftovers[i]].state != LB_BACKEND_ACTIVE)
			continue;
		while (plan_index_get(&index, at, &other))
			at = plan_index_next(&index, at);
		plan_index_set(&index, at, i);
	}
	for (int scope = 0; scope < LB_SCOPE_MAX; scope++) {
		uint64_t ring = p->applied->rings[LB_RING_INDEX(id, scope)];

		if (ring_is_in_arena(p->applied, ring))
			ring_find_leftovers(p, ring, &index, named);
	}
	for (size_t i = 0; i < p->nleftovers; i++) {
		uint32_t leftover = p->leftovers[i];

		if (!(named[i] || p->applied->backends[leftover].flags & LB_BACKEND_DRAINS) ||
		    !LB_NEXT_HOP_DEVICE(planner_next_hop(p, &p->applied->backends[leftover])))
			continue;
		p->leftovers[i] = p->leftovers[p->nretained];
		p->leftovers[p->nretained++] = leftover;
	}
	err = 0;
out:
	plan_index_free(&index);
	free(named);
	return err;
}

static int ring_set(struct planner *p, uint32_t id, enum lb_scope scope, uint64_t value,
		    size_t nmembers, uint64_t digest)
{
	struct plan *plan = p->plan;
	const struct model_service *model = p->services[id].model;
	struct plan_ring ring = {.service = id,
				 .scope = scope,
				 .value = value,
				 .round_robin = model && model->round_robin};

	if (nmembers) {
		ring.entries = reallocarray(NULL, nmembers, sizeof(*ring.entries));
		if (!ring.entries)
			return -ENOMEM;
		memcpy(ring.entries, p->members, nmembers * sizeof(*ring.entries));
		ring.nentries = nmembers;
	}
	if (!planner_grow(&plan->rings, plan->nrings, sizeof(*plan->rings))) {
		free(ring.entries);
		return -ENOMEM;
	}
	plan->rings[plan->nrings++] = ring;
	p->services[id].value.ring_digest[scope] = digest;
	p->gives_room |= p->applied->rings[LB_RING_INDEX(id, scope)] != 0;
	return 0;
}

/* Nobody is in it. */
static int ring_plan_empty(struct planner *p, uint32_t id, enum lb_scope scope)
{
	p->services[id].value.ring_digest[scope] = 0;
	if (!p->applied->rings[LB_RING_INDEX(id, scope)])
		return 0;
	return ring_set(p, id, scope, 0, 0, 0);
}

/* It can't be built: the one before stays, if there is one. */
static int ring_refuse(struct planner *p, uint32_t id, enum lb_scope scope, const char *why)
{
	struct planned_service *service = &p->services[id];

	if (!p->applied->rings[LB_RING_INDEX(id, scope)])
		return planner_refuse(p, service->model, "no ring: %s", why);
	service->ring_stale = true;
	return planner_leave_out(p, service->model, "its ring stays as it was: %s", why);
}

static int ring_plan(struct planner *p, uint32_t id, enum lb_scope scope)
{
	struct planned_service *service = &p->services[id];
	uint64_t old = p->applied->rings[LB_RING_INDEX(id, scope)], digest;
	uint32_t nslots, line;
	char why[80];
	size_t n = 0;
	int err = 0;

	if (ring_is_wanted(service, scope))
		err = ring_collect(p, id, scope, &n);
	if (err)
		return err;
	if (!n)
		return ring_plan_empty(p, id, scope);
	nslots = service->model->round_robin ? turns_size(p->members, n) : maglev_size(n);
	digest = ring_digest(p->members, n, nslots, service->model->round_robin);
	if (old && ring_is_in_arena(p->applied, old) && digest == service->value.ring_digest[scope])
		return 0;
	if (n > nslots) {
		snprintf(why, sizeof(why), "%zu backends, and a ring takes %u", n, nslots);
		return ring_refuse(p, id, scope, why);
	}
	err = arena_take(p, ring_lines(nslots), &line);
	if (err == -ENOSPC) {
		p->short_of_room = true;
		snprintf(why, sizeof(why), "no gap of %u slots in the arena of %llu", nslots,
			 (unsigned long long)p->applied->arena_lines * LB_ARENA_LINE_SLOTS);
		return ring_refuse(p, id, scope, why);
	}
	if (err)
		return err;
	return ring_set(p, id, scope, LB_RING(line, nslots), n, digest);
}

int planner_plan_rings(struct planner *p, uint32_t id)
{
	int err = 0;

	if (p->services[id].frozen)
		return 0;
	for (int scope = 0; scope < LB_SCOPE_MAX && !err; scope++)
		err = ring_plan(p, id, scope);
	return err;
}
