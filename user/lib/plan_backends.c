/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Backends of a service: active, gone, free. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "planner.h"

/* The service that answers for a backend: 0 where its own can't exist. */
static uint32_t backend_service(const struct applied *applied, const struct lb_backend *backend)
{
	return backend->service < applied->max_services ? backend->service : 0;
}

/* Counting sort by service, so that a plan takes time by what is there. */
int planner_group_backends(struct planner *p)
{
	const struct applied *applied = p->applied;
	uint32_t *ids = NULL;
	uint32_t n = 0, first = 0, highest = 0;

	for (uint32_t id = 1; id < applied->max_backends; id++) {
		const struct lb_backend *backend = &applied->backends[id];

		if (backend->state == LB_BACKEND_FREE)
			continue;
		if (!planner_grow(&ids, n, sizeof(*ids)))
			goto no_memory;
		ids[n++] = id;
		p->services[backend_service(applied, backend)].nbackends++;
		highest = id;
	}
	p->live = reallocarray(NULL, n + 1, sizeof(*p->live));
	if (!p->live)
		goto no_memory;
	for (uint32_t id = 0; id < applied->max_services; id++) {
		p->services[id].first = first;
		first += p->services[id].nbackends;
		p->services[id].nbackends = 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct planned_service *service =
			&p->services[backend_service(applied, &applied->backends[ids[i]])];

		p->live[service->first + service->nbackends++] = ids[i];
	}
	/* Ids are taken from behind the highest, so that a freed one rests. */
	p->next_backend = highest + 1;
	free(ids);
	return 0;
no_memory:
	free(ids);
	return -ENOMEM;
}

/* Backends in the order of a snapshot's endpoints: address, port. */
static int backend_compare(const struct lb_backend *a, const struct lb_backend *b)
{
	int order = (a->family > b->family) - (a->family < b->family);

	if (!order)
		order = memcmp(a->addr, b->addr, sizeof(a->addr));
	if (!order)
		order = memcmp(&a->port, &b->port, sizeof(a->port));
	return order;
}

static int backend_compare_ids(const void *a, const void *b, void *backends)
{
	const struct lb_backend *base = backends;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int order = backend_compare(&base[x], &base[y]);

	return order ? order : (x > y) - (x < y);
}

static void backends_sort(const struct planner *p, uint32_t *ids, uint32_t n)
{
	const struct lb_backend *backends = p->applied->backends;
	uint32_t sorted = 1;

	/* Ids were given out in this order: mostly there is nothing to do. */
	while (sorted < n &&
	       backend_compare(&backends[ids[sorted - 1]], &backends[ids[sorted]]) <= 0)
		sorted++;
	if (sorted < n)
		qsort_r(ids, n, sizeof(*ids), backend_compare_ids, (void *)backends);
}

static uint32_t backend_id_find_free(struct planner *p)
{
	const struct applied *applied = p->applied;

	while (p->nbackends_seen < applied->max_backends) {
		uint32_t id = p->next_backend++ % applied->max_backends;

		p->nbackends_seen++;
		if (id && applied->backends[id].state == LB_BACKEND_FREE)
			return id;
	}
	return 0;
}

uint64_t planner_next_hop(const struct planner *p, const struct lb_backend *backend)
{
	struct plan_hop hop;
	struct addr addr;

	addr_from_words(backend->family, backend->addr, &addr);
	hop = p->options->next_hop(p->options->arg, &addr);
	/* The pod is gone, and its address follows the default route. */
	if (hop.remote && !(backend->flags & LB_BACKEND_F_REMOTE))
		return 0;
	return hop.next_hop;
}

/* How packets reach an endpoint.  One of this node is behind a pod's device, or
 * nowhere. */
static struct plan_hop endpoint_hop(const struct planner *p, const struct model_endpoint *endpoint)
{
	struct plan_hop hop = p->options->next_hop(p->options->arg, &endpoint->addr);

	return hop.remote && endpoint->local ? (struct plan_hop){0} : hop;
}

/* What keeps a usable endpoint from new flows. */
#define BACKEND_UNFIT (LB_BACKEND_F_DOWN | LB_BACKEND_DRAINS)

/* LB_BACKEND_F_DOWN or 0.  old: the backend of the address as the maps have it, perhaps
 * another pod's or free. */
static __u8 backend_health(const struct planner *p, const struct model_service *service,
			   const struct model_endpoint *endpoint, const struct lb_backend *old)
{
	if (!p->options->health)
		return 0;
	switch (p->options->health(p->options->health_arg, service, endpoint)) {
	case PLAN_HEALTH_DOWN:
		return LB_BACKEND_F_DOWN;
	case PLAN_HEALTH_UNKNOWN:
		return old->state == LB_BACKEND_ACTIVE && old->uid == plan_uid(endpoint->uid)
			       ? old->flags & LB_BACKEND_F_DOWN
			       : 0;
	default:
		return 0;
	}
}

/* LB_BACKEND_F_*, but for those that say which rings it is in. */
static __u8 backend_flags(const struct planner *p, const struct model_service *service,
			  const struct model_endpoint *endpoint, const struct plan_hop *hop,
			  const struct lb_backend *old)
{
	__u8 flags = hop->remote ? LB_BACKEND_F_REMOTE : 0;
	bool stack = hop->stack;

	switch (p->options->bypass) {
	case PLAN_BYPASS_OFF:
		stack = true;
		break;
	case PLAN_BYPASS_AUTO:
		/* Its own node looks after policies for it. */
		stack |= service->policed && !hop->remote;
		break;
	case PLAN_BYPASS_ON:
		break;
	}
	if (stack)
		flags |= LB_BACKEND_F_STACK;
	flags |= planner_drained(p, endpoint);
	if (!endpoint->serving && !endpoint->ready)
		flags |= LB_BACKEND_F_NOT_SERVING;
	return flags | backend_health(p, service, endpoint, old);
}

/* Adds a backend to the plan, if it isn't so already. */
static int backend_set(struct planner *p, uint32_t id, const struct lb_backend *value)
{
	const struct lb_backend *old = &p->applied->backends[id];
	struct plan *plan = p->plan;
	struct plan_backend *change;

	if (!memcmp(old, value, sizeof(*old)))
		return 0;
	if (!planner_grow(&plan->backends, plan->nbackends, sizeof(*plan->backends)))
		return -ENOMEM;
	change = &plan->backends[plan->nbackends++];
	change->id = id;
	change->fresh = old->state == LB_BACKEND_FREE;
	change->value = *value;
	return 0;
}

/* Rules 25-28 and 41-46.  Hints that leave nobody who can serve are no hints: a zone
 * whose endpoints are all down by their health check, drained or out of reach is
 * like one without. */
static void choices_make(struct planner *p, const struct model_service *model)
{
	struct model_choice *cluster = &p->choice[LB_SCOPE_CLUSTER];

	*cluster = model_choose(model, false);
	p->choice[LB_SCOPE_LOCAL] = model_choose(model, true);
	for (size_t i = 0; i < model->nendpoints; i++)
		if (p->endpoints[i].backend && p->endpoints[i].fit && p->endpoints[i].reachable &&
		    model->endpoints[i].weight &&
		    model_endpoint_usable(&model->endpoints[i], cluster))
			return;
	cluster->topology = TOPOLOGY_ALL;
}

/* Who is in which ring: the rest of the flags.  Affinity goes by them. */
static int endpoints_store(struct planner *p, const struct model_service *model)
{
	int err = 0;

	choices_make(p, model);
	for (size_t i = 0; i < model->nendpoints && !err; i++) {
		const struct model_endpoint *endpoint = &model->endpoints[i];
		struct planned_endpoint *placed = &p->endpoints[i];
		bool serves;

		if (!placed->backend)
			continue;
		serves = placed->fit && placed->reachable && endpoint->weight;
		if (serves && model_endpoint_usable(endpoint, &p->choice[LB_SCOPE_CLUSTER]))
			placed->value.flags |= LB_BACKEND_F_CLUSTER;
		if (serves && endpoint->local &&
		    model_endpoint_usable(endpoint, &p->choice[LB_SCOPE_LOCAL]))
			placed->value.flags |= LB_BACKEND_F_LOCAL;
		err = backend_set(p, placed->backend, &placed->value);
	}
	return err;
}

/* The backend an endpoint asks for, as far as the endpoint says. */
static void backend_from_endpoint(struct lb_backend *value, uint32_t service,
				  const struct model_endpoint *endpoint)
{
	memset(value, 0, sizeof(*value));
	addr_to_words(&endpoint->addr, value->addr);
	value->port = htons(endpoint->port);
	value->family = endpoint->addr.family;
	value->service = service;
	value->state = LB_BACKEND_ACTIVE;
	value->weight = endpoint->weight;
	value->uid = plan_uid(endpoint->uid);
}

int planner_place_endpoints(struct planner *p, uint32_t id)
{
	const struct lb_backend *backends = p->applied->backends;
	struct planned_service *service = &p->services[id];
	uint32_t *ids = p->live + service->first;
	size_t nendpoints = service->model ? service->model->nendpoints : 0;
	size_t nleft_out = 0;
	uint32_t at = 0;
	int err = 0;

	p->nleftovers = p->nretained = 0;
	backends_sort(p, ids, service->nbackends);
	for (size_t i = 0; i < nendpoints; i++) {
		const struct model_endpoint *endpoint = &service->model->endpoints[i];
		struct planned_endpoint *placed = &p->endpoints[i];
		struct lb_backend value;
		struct plan_hop hop;

		backend_from_endpoint(&value, id, endpoint);
		while (at < service->nbackends && backend_compare(&backends[ids[at]], &value) < 0)
			p->leftovers[p->nleftovers++] = ids[at++];
		placed->backend = 0;
		if (at < service->nbackends && backend_compare(&backends[ids[at]], &value) == 0) {
			placed->backend = ids[at++];
		} else if (endpoint->ready || endpoint->serving) {
			placed->backend = backend_id_find_free(p);
			nleft_out += !placed->backend;
		}
		if (!placed->backend)
			continue;
		value.generation = backends[placed->backend].generation;
		hop = endpoint_hop(p, endpoint);
		value.next_hop = hop.next_hop;
		value.flags = backend_flags(p, service->model, endpoint, &hop,
					    &backends[placed->backend]);
		placed->reachable = LB_NEXT_HOP_DEVICE(value.next_hop);
		placed->fit = !(value.flags & BACKEND_UNFIT);
		placed->value = value;
		service->nleft++;
	}
	while (at < service->nbackends)
		p->leftovers[p->nleftovers++] = ids[at++];
	if (nendpoints)
		err = endpoints_store(p, service->model);
	if (!err && nleft_out) {
		p->short_of_room = true;
		err = planner_leave_out(
			p, service->model,
			"%zu of %zu endpoints left out: all %u backend ids are taken", nleft_out,
			nendpoints, p->applied->max_backends - 1);
	}
	return err;
}

/* What becomes of a backend that no endpoint asks for. */
static void backend_leave(struct planner *p, const struct planned_service *service,
			  struct lb_backend *value)
{
	const struct plan_options *options = p->options;
	/* A tick at least: a backend is freed when no ring has named it for a
	 * while, never in the plan that takes it out of the ring. */
	uint64_t linger = options->linger_ticks ? options->linger_ticks : 1;
	uint64_t due;

	if (value->state == LB_BACKEND_ACTIVE || !value->gone_ticks) {
		value->state = LB_BACKEND_GONE;
		value->gone_ticks = options->now_ticks ? options->now_ticks : 1;
		value->flags &= ~LB_BACKEND_DRAINS;
	}
	if (service->ring_stale) /* may name it */
		return;
	due = value->gone_ticks + linger;
	if (options->now_ticks >= due) {
		value->state = LB_BACKEND_FREE;
		value->generation++;
		value->next_hop = 0;
		value->gone_ticks = 0;
		p->gives_room = true;
	} else if (!p->plan->due_ticks || due < p->plan->due_ticks) {
		p->plan->due_ticks = due;
	}
}

int planner_plan_leftovers(struct planner *p, uint32_t id)
{
	struct planned_service *service = &p->services[id];
	int err = 0;

	for (size_t i = 0; i < p->nleftovers && !err; i++) {
		struct lb_backend value = p->applied->backends[p->leftovers[i]];

		/* Of whoever stays, too: the device may be gone, and its index
		 * be another one's soon. */
		value.next_hop = planner_next_hop(p, &value);
		if (!service->frozen && i >= p->nretained)
			backend_leave(p, service, &value);
		service->nleft += value.state != LB_BACKEND_FREE;
		err = backend_set(p, p->leftovers[i], &value);
	}
	return err;
}
