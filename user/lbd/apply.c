/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The order of the steps, and why:
 *
 *	services, backends	nothing names the new ones yet
 *	rings			built in lines that nobody reads, then switched to
 *	source ranges		let in whom no frontend asks about yet
 *	frontends		lead to services that are complete
 *	rings taken away	a frontend that is left finds no backend
 *	ids freed		a flow that remembers one sees its generation change
 *	quiesce			one for all of the above
 *	source ranges away	no packet asks for them on behalf of an old frontend
 *	backends gone		no packet holds an old ring that names them any more
 *	counters, filter	of what is away, now that no packet counts for it
 *
 * What is given back here (arena lines, ids) is taken by a later plan alone, so
 * one quiesce at the end is enough for all of it; and a plan that takes nothing
 * away (new services, a first backend) has nothing to wait for.  It is kept
 * on the way out of an error, too.
 *
 * Backends become gone after the quiesce and are freed by another plan, a tick
 * or more later: then no ring has named them since a quiesce.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "apply.h"
#include "turns.h"

static void service_store(struct maps *maps, const struct plan_service *change)
{
	struct lb_service *service = &maps->services[change->id];

	if (!(service->flags & LB_SERVICE_F_USED)) {
		maps_service_counters_fold(maps, change->id);
		maps->service_names[change->id] = change->name;
	}
	service->family = change->value.family;
	service->protocol = change->value.protocol;
	service->port = change->value.port;
	service->identity = change->value.identity;
	__atomic_store_n(&service->affinity_ticks, change->value.affinity_ticks, __ATOMIC_RELAXED);
	/* Until the rings are switched they are like neither digest: a crash
	 * in between has them built anew. */
	for (int scope = 0; scope < LB_SCOPE_MAX; scope++)
		if (service->ring_digest[scope] != change->value.ring_digest[scope])
			__atomic_store_n(&service->ring_digest[scope], 0, __ATOMIC_RELEASE);
	__atomic_store_n(&service->flags, change->value.flags, __ATOMIC_RELEASE);
}

static void service_store_digests(struct maps *maps, const struct plan_service *change)
{
	struct lb_service *service = &maps->services[change->id];

	for (int scope = 0; scope < LB_SCOPE_MAX; scope++)
		__atomic_store_n(&service->ring_digest[scope], change->value.ring_digest[scope],
				 __ATOMIC_RELEASE);
}

static void service_free(struct maps *maps, uint32_t id)
{
	__atomic_store_n(&maps->services[id].flags, 0, __ATOMIC_RELEASE);
	memset(&maps->services[id], 0, sizeof(maps->services[id]));
	memset(&maps->service_names[id], 0, sizeof(maps->service_names[id]));
}

/* Nothing names the id yet, and its state says free until all else is there. */
static void backend_store_fresh(struct maps *maps, const struct plan_backend *change)
{
	struct lb_backend *backend = &maps->backends[change->id];
	struct lb_backend value = change->value;

	/* Of whoever had the id: here only where lbd died before it did so. */
	maps_backend_counters_fold(maps, change->id, 0);
	value.state = LB_BACKEND_FREE;
	*backend = value;
	__atomic_store_n(&backend->state, change->value.state, __ATOMIC_RELEASE);
}

/* Packets read it meanwhile: field by field, each as one store. */
static void backend_store_live(struct maps *maps, const struct plan_backend *change)
{
	struct lb_backend *backend = &maps->backends[change->id];
	const struct lb_backend *value = &change->value;

	/* First: once it is free, nobody may take it for the old one. */
	__atomic_store_n(&backend->generation, value->generation, __ATOMIC_RELEASE);
	/* Gone since 0 would be past its linger. */
	if (value->gone_ticks)
		__atomic_store_n(&backend->gone_ticks, value->gone_ticks, __ATOMIC_RELEASE);
	__atomic_store_n(&backend->state, value->state, __ATOMIC_RELEASE);
	__atomic_store_n(&backend->gone_ticks, value->gone_ticks, __ATOMIC_RELEASE);
	__atomic_store_n(&backend->next_hop, value->next_hop, __ATOMIC_RELEASE);
	__atomic_store_n(&backend->weight, value->weight, __ATOMIC_RELEASE);
	/* Before the UID: what was asked for the pod before isn't this one's. */
	__atomic_store_n(&backend->flags, value->flags, __ATOMIC_RELEASE);
	__atomic_store_n(&backend->uid, value->uid, __ATOMIC_RELEASE);
}

static void backends_store(struct maps *maps, const struct plan *plan, enum lb_backend_state state)
{
	for (size_t i = 0; i < plan->nbackends; i++) {
		const struct plan_backend *change = &plan->backends[i];

		if (change->value.state != state)
			continue;
		if (change->fresh)
			backend_store_fresh(maps, change);
		else
			backend_store_live(maps, change);
	}
}

/* How many slots have another backend than before; all of them, where the size is
 * another. */
static void ring_change_note(struct maps *maps, const struct plan_ring *ring, __u64 before)
{
	uint32_t n = LB_RING_SLOTS(ring->value), moved = n;
	struct maps_ring_change *change;

	if (!maps->ring_changes)
		return;
	if (n && n == LB_RING_SLOTS(before)) {
		const __u32 *old = maps->arena[LB_RING_LINE(before)].slots;
		const __u32 *new = maps->arena[LB_RING_LINE(ring->value)].slots;

		moved = 0;
		for (uint32_t slot = 0; slot < n; slot++)
			moved += old[slot] != new[slot];
	}
	change = &maps->ring_changes[LB_RING_INDEX(ring->service, ring->scope)];
	*change = (struct maps_ring_change){maps_now_ticks(), moved};
}

/* Builds the ring where no packet reads, then switches to it.  ret_broke: a
 * packet may still read the one before. */
static int ring_store(struct maps *maps, const struct plan_ring *ring, bool *ret_broke,
		      struct error *error)
{
	__u64 *stored = &maps->rings[LB_RING_INDEX(ring->service, ring->scope)];
	int err;

	if (ring->value) {
		uint32_t *slots = maps->arena[LB_RING_LINE(ring->value)].slots;
		uint32_t nslots = LB_RING_SLOTS(ring->value);

		err = ring->round_robin
			      ? turns_build(ring->entries, ring->nentries, slots, nslots)
			      : maglev_build(ring->entries, ring->nentries, slots, nslots);
		if (err)
			return error_set(error, err, "can't build the ring of service %u: %s",
					 ring->service, strerror(-err));
	}
	*ret_broke |= *stored != 0;
	ring_change_note(maps, ring, *stored);
	__atomic_store_n(stored, ring->value, __ATOMIC_RELEASE);
	return 0;
}

static int frontend_fail(struct error *error, int err, const char *what,
			 const struct plan_frontend *frontend)
{
	char text[ADDR_PORT_STRLEN];

	return error_set(error, err, "can't %s frontend %s: %s", what,
			 addr_port_format(&frontend->addr, ntohs(frontend->port), text),
			 strerror(-err));
}

static int frontend_delete(struct maps *maps, const struct plan_frontend *frontend,
			   struct error *error)
{
	int err = maps_frontend_delete(maps, frontend);

	return err && err != -ENOENT ? frontend_fail(error, err, "delete", frontend) : 0;
}

/* Deletes come first, since they make room; but one that moves to another
 * service is away only between two system calls. */
static int frontends_store(struct maps *maps, const struct plan *plan, struct error *error)
{
	const struct plan_frontend *deleted = plan->frontends_deleted;
	const struct plan_frontend *inserted = plan->frontends;
	size_t i, j;
	int err = 0;

	for (i = 0, j = 0; i < plan->nfrontends_deleted && !err; i++) {
		while (j < plan->nfrontends && plan_frontend_compare(&inserted[j], &deleted[i]) < 0)
			j++;
		if (j == plan->nfrontends || plan_frontend_compare(&inserted[j], &deleted[i]))
			err = frontend_delete(maps, &deleted[i], error);
	}
	for (i = 0, j = 0; j < plan->nfrontends && !err; j++) {
		while (i < plan->nfrontends_deleted &&
		       plan_frontend_compare(&deleted[i], &inserted[j]) < 0)
			i++;
		if (i < plan->nfrontends_deleted &&
		    !plan_frontend_compare(&deleted[i], &inserted[j]))
			err = frontend_delete(maps, &deleted[i], error);
		if (err)
			break;
		err = maps_frontend_insert(maps, &inserted[j]);
		if (err)
			frontend_fail(error, err, "insert", &inserted[j]);
	}
	return err;
}

static int source_fail(struct error *error, int err, const char *what,
		       const struct plan_source *source)
{
	char text[PREFIX_STRLEN];

	return error_set(error, err, "can't %s source range %s of service %u: %s", what,
			 prefix_format(&source->prefix, text), source->service, strerror(-err));
}

static int sources_insert(struct maps *maps, const struct plan *plan, struct error *error)
{
	for (size_t i = 0; i < plan->nsources; i++) {
		int err = maps_source_insert(maps, &plan->sources[i]);

		if (err)
			return source_fail(error, err, "insert", &plan->sources[i]);
	}
	return 0;
}

static int sources_delete(struct maps *maps, const struct plan *plan, struct error *error)
{
	for (size_t i = 0; i < plan->nsources_deleted; i++) {
		int err = maps_source_delete(maps, &plan->sources_deleted[i]);

		if (err && err != -ENOENT)
			return source_fail(error, err, "delete", &plan->sources_deleted[i]);
	}
	return 0;
}

/* What the freed ids have counted stays, as their services' and as nobody's. */
static int counters_keep(struct maps *maps, const struct plan *plan)
{
	int err = 0;

	for (size_t i = 0; i < plan->nbackends && !err; i++)
		if (plan->backends[i].value.state == LB_BACKEND_FREE)
			err = maps_backend_counters_fold(maps, plan->backends[i].id,
							 plan->backends[i].value.service);
	for (size_t i = 0; i < plan->nservices_freed; i++)
		maps_service_counters_fold(maps, plan->services_freed[i]);
	return err;
}

int apply_plan(struct maps *maps, const struct plan *plan, struct error *error)
{
	bool broke = false;
	int err;

	if (plan_is_empty(plan))
		return 0;
	err = maps_make_writable(maps, error);
	if (err)
		return err;
	for (size_t i = 0; i < plan->nservices; i++)
		service_store(maps, &plan->services[i]);
	backends_store(maps, plan, LB_BACKEND_ACTIVE);
	for (size_t i = 0; i < plan->nrings && !err; i++)
		if (plan->rings[i].value)
			err = ring_store(maps, &plan->rings[i], &broke, error);
	if (err)
		goto out;
	for (size_t i = 0; i < plan->nservices; i++)
		service_store_digests(maps, &plan->services[i]);
	err = sources_insert(maps, plan, error);
	if (err)
		goto out;
	broke |= plan->nfrontends_deleted > 0;
	err = frontends_store(maps, plan, error);
	if (err)
		goto out;
	for (size_t i = 0; i < plan->nrings; i++)
		if (!plan->rings[i].value)
			ring_store(maps, &plan->rings[i], &broke, error);
	for (size_t i = 0; i < plan->nbackends; i++)
		broke |= plan->backends[i].value.state == LB_BACKEND_FREE;
	backends_store(maps, plan, LB_BACKEND_FREE);
	broke |= plan->nservices_freed > 0;
	for (size_t i = 0; i < plan->nservices_freed; i++)
		service_free(maps, plan->services_freed[i]);
out:
	if (broke)
		maps_quiesce();
	if (err)
		return err;
	err = sources_delete(maps, plan, error);
	if (err)
		return err;
	backends_store(maps, plan, LB_BACKEND_GONE);
	err = counters_keep(maps, plan);
	if (err)
		return error_set(error, err, "can't keep the counters: %s", strerror(-err));
	if (plan->nfrontends_deleted)
		err = maps_filter_tidy(maps);
	return err ? error_set(error, err, "can't tidy the frontends' filter: %s", strerror(-err))
		   : 0;
}
