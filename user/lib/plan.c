/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "planner.h"

bool planner_grow(void *array, size_t n, size_t element_bytes)
{
	void *old, *new;

	if (n & (n - 1)) /* full at powers of two alone */
		return true;
	memcpy(&old, array, sizeof(old));
	new = reallocarray(old, n ? 2 * n : 1, element_bytes);
	if (!new)
		return false;
	memcpy(array, &new, sizeof(new));
	return true;
}

static int refusal_add(struct planner *p, const struct model_service *service, bool partial,
		       const char *format, va_list args)
{
	struct plan *plan = p->plan;
	struct plan_refusal *refusal;

	if (!planner_grow(&plan->refusals, plan->nrefusals, sizeof(*plan->refusals)))
		return -ENOMEM;
	refusal = &plan->refusals[plan->nrefusals++];
	refusal->service = service;
	refusal->partial = partial;
	vsnprintf(refusal->reason, sizeof(refusal->reason), format, args);
	return 0;
}

int planner_refuse(struct planner *p, const struct model_service *service, const char *format, ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = refusal_add(p, service, false, format, args);
	va_end(args);
	return err;
}

int planner_leave_out(struct planner *p, const struct model_service *service, const char *format,
		      ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = refusal_add(p, service, true, format, args);
	va_end(args);
	return err;
}

uint64_t planner_hash_text(uint64_t h, const char *text, size_t max)
{
	size_t length = strnlen(text, max);
	uint64_t word;

	h = hash_mix(h, length + 1);
	for (; length > sizeof(word); length -= sizeof(word), text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		h = hash_mix(h, word);
	}
	word = 0;
	memcpy(&word, text, length);
	return hash_mix(h, word);
}

/* Room for the endpoints and the leftovers of any service; both may be in a
 * ring. */
static int planner_alloc_scratch(struct planner *p)
{
	size_t nendpoints = 1, nleftovers = 1;

	for (size_t i = 0; i < p->wanted->nservices; i++)
		if (p->wanted->services[i].nendpoints > nendpoints)
			nendpoints = p->wanted->services[i].nendpoints;
	for (uint32_t id = 0; id < p->applied->max_services; id++)
		if (p->services[id].nbackends > nleftovers)
			nleftovers = p->services[id].nbackends;
	p->endpoints = reallocarray(NULL, nendpoints, sizeof(*p->endpoints));
	p->members = reallocarray(NULL, nendpoints + nleftovers, sizeof(*p->members));
	p->leftovers = reallocarray(NULL, nleftovers, sizeof(*p->leftovers));
	return p->endpoints && p->members && p->leftovers ? 0 : -ENOMEM;
}

static void planner_release(struct planner *p)
{
	plan_index_free(&p->keeps);
	free(p->services);
	free(p->live);
	free(p->endpoints);
	free(p->members);
	free(p->leftovers);
	free(p->drains);
	free(p->gaps);
	plan_free(p->plan);
}

static int planner_plan_service(struct planner *p, uint32_t id)
{
	int err = planner_place_endpoints(p, id);

	if (!err)
		err = planner_retain(p, id);
	if (!err)
		err = planner_plan_rings(p, id);
	if (!err)
		err = planner_plan_leftovers(p, id);
	if (!err)
		err = planner_finish_service(p, id);
	return err;
}

int plan_make(const struct snapshot *wanted, const struct applied *applied,
	      const struct plan_options *options, struct plan **ret)
{
	struct planner p = {.wanted = wanted, .applied = applied, .options = options};
	int err = -ENOMEM;

	p.plan = calloc(1, sizeof(*p.plan));
	p.services = calloc(applied->max_services + 1, sizeof(*p.services));
	if (!p.plan || !p.services)
		goto out;
	err = planner_index_keeps(&p);
	if (!err)
		err = planner_group_backends(&p);
	if (!err)
		err = planner_find_drains(&p);
	if (!err)
		err = planner_match_services(&p);
	if (!err)
		err = planner_alloc_scratch(&p);
	for (uint32_t id = 0; id < applied->max_services && !err; id++)
		err = planner_plan_service(&p, id);
	if (!err)
		err = planner_plan_frontends(&p);
	if (!err)
		err = planner_plan_sources(&p);
	if (err)
		goto out;
	/* What this plan gives back can be taken by the next one: soon. */
	if (p.short_of_room && p.gives_room)
		p.plan->due_ticks = options->now_ticks + 1;
	*ret = p.plan;
	p.plan = NULL;
out:
	planner_release(&p);
	return err;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->nrings; i++)
		free(plan->rings[i].entries);
	free(plan->services);
	free(plan->services_freed);
	free(plan->backends);
	free(plan->rings);
	free(plan->frontends);
	free(plan->frontends_deleted);
	free(plan->sources);
	free(plan->sources_deleted);
	free(plan->refusals);
	free(plan);
}

bool plan_is_empty(const struct plan *plan)
{
	return !plan->nservices && !plan->nservices_freed && !plan->nbackends && !plan->nrings &&
	       !plan->nfrontends && !plan->nfrontends_deleted && !plan->nsources &&
	       !plan->nsources_deleted;
}
