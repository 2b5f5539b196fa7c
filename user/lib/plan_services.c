/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Service ids: found by name, given out, frozen by refusals, given back. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "planner.h"

#define NAME_SIZE sizeof(((struct lb_service_name *)0)->name)

/* ---- refusals that keep what the maps hold ------------------------------- */

static uint64_t keep_hash(const char *namespace, const char *name)
{
	return planner_hash_text(planner_hash_text(0, namespace, NAME_SIZE), name, NAME_SIZE);
}

enum keep {
	KEEP_SERVICE = 1U << 0, /* a Service can't be read */
	KEEP_SLICES = 1U << 1,	/* an EndpointSlice */
};

static uint32_t refusal_keeps(const struct model_refusal *refusal)
{
	if (!strcmp(refusal->kind, "Service"))
		return KEEP_SERVICE;
	if (!strcmp(refusal->kind, "EndpointSlice"))
		return KEEP_SLICES;
	return KEEP_SERVICE | KEEP_SLICES;
}

int planner_index_keeps(struct planner *p)
{
	const struct snapshot *wanted = p->wanted;

	if (!plan_index_init(&p->keeps, wanted->nrefusals))
		return -ENOMEM;
	for (size_t i = 0; i < wanted->nrefusals; i++) {
		const struct model_refusal *refusal = &wanted->refusals[i];
		size_t at;
		uint32_t other;

		if (!refusal->keep)
			continue;
		at = plan_index_first(&p->keeps, keep_hash(refusal->namespace, refusal->name));
		while (plan_index_get(&p->keeps, at, &other))
			at = plan_index_next(&p->keeps, at);
		plan_index_set(&p->keeps, at, i);
		p->has_keeps = true;
	}
	return 0;
}

/* What refusals of exactly this name say; "" is a name as well. */
static uint32_t keep_find(const struct planner *p, const char *namespace, const char *name)
{
	size_t at = plan_index_first(&p->keeps, keep_hash(namespace, name));
	uint32_t i, keep = 0;

	for (; plan_index_get(&p->keeps, at, &i); at = plan_index_next(&p->keeps, at)) {
		const struct model_refusal *refusal = &p->wanted->refusals[i];

		if (!strcmp(refusal->namespace, namespace) && !strcmp(refusal->name, name))
			keep |= refusal_keeps(refusal);
	}
	return keep;
}

/* Where a refusal has no name or no namespace, it may be about any. */
static uint32_t keep_find_all(const struct planner *p, const char *namespace, const char *name)
{
	return keep_find(p, namespace, name) | keep_find(p, namespace, "") |
	       keep_find(p, "", name) | keep_find(p, "", "");
}

/* ---- ids ------------------------------------------------------------------ */

static uint64_t service_hash(const char *namespace, const char *name, const char *port_name,
			     uint8_t protocol, uint8_t family)
{
	uint64_t h = planner_hash_text(protocol << 8 | family, namespace, NAME_SIZE);

	return planner_hash_text(planner_hash_text(h, name, NAME_SIZE), port_name, NAME_SIZE);
}

static bool service_is(const struct applied *applied, uint32_t id,
		       const struct model_service *model)
{
	const struct lb_service *service = &applied->services[id];
	const struct lb_service_name *name = &applied->service_names[id];

	return service->flags & LB_SERVICE_F_USED && service->protocol == model->protocol &&
	       service->family == model->family && !strncmp(name->name, model->name, NAME_SIZE) &&
	       !strncmp(name->namespace, model->namespace, NAME_SIZE) &&
	       !strncmp(name->port_name, model->port_name, NAME_SIZE);
}

uint32_t applied_service_id(const struct applied *applied, const struct model_service *service)
{
	for (uint32_t id = 1; id < applied->max_services; id++)
		if (service_is(applied, id, service))
			return id;
	return 0;
}

/* Takes over what the map holds, and makes it findable by name. */
static int services_index(struct planner *p, struct plan_index *index)
{
	const struct applied *applied = p->applied;
	size_t nused = 0;

	for (uint32_t id = 1; id < applied->max_services; id++)
		nused += !!(applied->services[id].flags & LB_SERVICE_F_USED);
	if (!plan_index_init(index, nused))
		return -ENOMEM;
	for (uint32_t id = 1; id < applied->max_services; id++) {
		const struct lb_service *service = &applied->services[id];
		const struct lb_service_name *name = &applied->service_names[id];
		uint32_t other;
		size_t at;

		p->services[id].value = *service;
		if (!(service->flags & LB_SERVICE_F_USED))
			continue;
		p->services[id].used = true;
		at = plan_index_first(index,
				      service_hash(name->namespace, name->name, name->port_name,
						   service->protocol, service->family));
		while (plan_index_get(index, at, &other))
			at = plan_index_next(index, at);
		plan_index_set(index, at, id);
	}
	return 0;
}

static uint32_t services_find(const struct planner *p, const struct plan_index *index,
			      const struct model_service *model)
{
	uint64_t hash = service_hash(model->namespace, model->name, model->port_name,
				     model->protocol, model->family);
	size_t at = plan_index_first(index, hash);
	uint32_t id;

	for (; plan_index_get(index, at, &id); at = plan_index_next(index, at))
		if (service_is(p->applied, id, model))
			return id;
	return 0;
}

/* The next free id from `from` on that no backend names either; 0 = none. */
static uint32_t service_id_find_free(const struct planner *p, uint32_t from)
{
	for (uint32_t id = from; id < p->applied->max_services; id++)
		if (!p->services[id].used && !p->services[id].nbackends)
			return id;
	return 0;
}

static void service_freeze(struct planner *p, uint32_t id)
{
	struct planned_service *service = &p->services[id];
	const struct lb_service_name *name = &p->applied->service_names[id];
	uint32_t keep = p->wanted->unknown ? KEEP_SERVICE | KEEP_SLICES
			: p->has_keeps	   ? keep_find_all(p, name->namespace, name->name)
					   : 0;

	/* A Service that is there is known; one that is away may be the one
	 * that can't be read. */
	service->frozen = !service->model && keep & KEEP_SERVICE;
	service->retain = service->model && keep & KEEP_SLICES;
}

/* Gives a model an id, known or new. */
static int service_match(struct planner *p, const struct plan_index *index,
			 const struct model_service *model, uint32_t *next_id)
{
	uint32_t id = services_find(p, index, model);

	if (!id && (strlen(model->namespace) >= NAME_SIZE || strlen(model->name) >= NAME_SIZE ||
		    strlen(model->port_name) >= NAME_SIZE))
		return planner_refuse(p, model, "a name is longer than %zu characters",
				      NAME_SIZE - 1);
	if (!id) {
		id = service_id_find_free(p, *next_id);
		if (!id) {
			*next_id = p->applied->max_services;
			p->short_of_room = true;
			return planner_refuse(p, model, "all %u service ids are taken",
					      p->applied->max_services - 1);
		}
		*next_id = id + 1;
		p->services[id].used = true;
		p->services[id].fresh = true;
		memset(&p->services[id].value, 0, sizeof(p->services[id].value));
	}
	p->services[id].model = model;
	return 0;
}

int planner_match_services(struct planner *p)
{
	const struct snapshot *wanted = p->wanted;
	struct plan_index index = {};
	uint32_t next_id = 1;
	int err;

	err = services_index(p, &index);
	for (size_t i = 0; i < wanted->nservices && !err; i++)
		err = service_match(p, &index, &wanted->services[i], &next_id);
	for (uint32_t id = 1; id < p->applied->max_services; id++)
		if (p->services[id].used && !p->services[id].fresh)
			service_freeze(p, id);
	plan_index_free(&index);
	return err;
}

/* ---- the end -------------------------------------------------------------- */

static void service_name_set(struct lb_service_name *name, const struct model_service *model)
{
	memset(name, 0, sizeof(*name));
	strncpy(name->namespace, model->namespace, NAME_SIZE - 1);
	strncpy(name->name, model->name, NAME_SIZE - 1);
	strncpy(name->port_name, model->port_name, NAME_SIZE - 1);
}

static __u32 service_flags(const struct model_service *model)
{
	__u32 flags = LB_SERVICE_F_USED;

	if (model->round_robin)
		flags |= LB_SERVICE_F_ROUND_ROBIN;
	if (model_any_usable(model, false)) /* rule 30: anywhere */
		flags |= LB_SERVICE_F_ENDPOINTS;
	return flags;
}

int planner_finish_service(struct planner *p, uint32_t id)
{
	struct planned_service *service = &p->services[id];
	const struct model_service *model = service->model;
	struct plan *plan = p->plan;
	struct plan_service *change;

	if (!service->used || service->frozen)
		return 0;
	if (!model && !service->nleft) {
		if (!planner_grow(&plan->services_freed, plan->nservices_freed,
				  sizeof(*plan->services_freed)))
			return -ENOMEM;
		plan->services_freed[plan->nservices_freed++] = id;
		p->gives_room = true;
		return 0;
	}
	if (model) {
		__u32 before = service->value.flags;

		service->value.flags = service_flags(model);
		for (int scope = 0; scope < LB_SCOPE_MAX; scope++)
			if (service->unhealthy[scope])
				service->value.flags |= LB_SERVICE_F_UNHEALTHY << scope;
		if (service->retain) /* what can't be read may be some */
			service->value.flags |= before & LB_SERVICE_F_ENDPOINTS;
		service->value.affinity_ticks = LB_TICKS(model->affinity_s);
		service->value.identity = (uint32_t)service_hash(
			model->namespace, model->name, model->port_name, model->protocol, 0);
		service->value.family = model->family;
		service->value.protocol = model->protocol;
		service->value.port = htons(model->port);
	}
	if (!service->fresh &&
	    !memcmp(&service->value, &p->applied->services[id], sizeof(service->value)))
		return 0;
	if (!planner_grow(&plan->services, plan->nservices, sizeof(*plan->services)))
		return -ENOMEM;
	change = &plan->services[plan->nservices++];
	change->id = id;
	change->value = service->value;
	if (service->fresh)
		service_name_set(&change->name, model);
	else
		change->name = p->applied->service_names[id];
	return 0;
}
