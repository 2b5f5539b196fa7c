/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Source ranges: from where load-balancer addresses may be reached, and what differs
 * in the maps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "planner.h"

struct sources {
	struct plan_source *items;
	size_t n;
};

static int source_compare(const void *left, const void *right)
{
	const struct plan_source *a = left, *b = right;

	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	return prefix_compare(&a->prefix, &b->prefix);
}

static bool source_push(struct plan_source **items, size_t *n, uint32_t service,
			const struct prefix *prefix)
{
	if (!planner_grow(items, *n, sizeof(**items)))
		return false;
	(*items)[(*n)++] = (struct plan_source){service, *prefix};
	return true;
}

/* A range that has everybody is no reason to look each client up. */
bool planner_has_sources(const struct model_service *service)
{
	for (size_t i = 0; i < service->nsources; i++)
		if (!service->sources[i].length)
			return false;
	return service->nsources;
}

/* Rule 73: where the node itself may come in, so may what it sends from the
 * service's own addresses, which others put on its devices. */
static bool sources_want(const struct model_service *model, uint32_t id, struct sources *wanted)
{
	bool ok = true, any_balancer = false;

	if (!planner_has_sources(model))
		return true;
	for (size_t i = 0; i < model->nfrontends && ok; i++) {
		const struct model_frontend *frontend = &model->frontends[i];
		const struct prefix own = {frontend->addr, frontend->addr.family == 6 ? 128 : 32};

		if (frontend->kind != FRONTEND_LOAD_BALANCER)
			continue;
		any_balancer = true;
		if (model->sources_have_node)
			ok = source_push(&wanted->items, &wanted->n, id, &own);
	}
	for (size_t i = 0; i < model->nsources && any_balancer && ok; i++)
		ok = source_push(&wanted->items, &wanted->n, id, &model->sources[i]);
	return ok;
}

static int sources_collect(const struct planner *p, struct sources *wanted, struct sources *held)
{
	for (uint32_t id = 1; id < p->applied->max_services; id++)
		if (p->services[id].model && !sources_want(p->services[id].model, id, wanted))
			return -ENOMEM;
	if (wanted->n)
		qsort(wanted->items, wanted->n, sizeof(*wanted->items), source_compare);
	held->n = p->applied->nsources;
	if (!held->n)
		return 0;
	held->items = reallocarray(NULL, held->n, sizeof(*held->items));
	if (!held->items)
		return -ENOMEM;
	memcpy(held->items, p->applied->sources, held->n * sizeof(*held->items));
	qsort(held->items, held->n, sizeof(*held->items), source_compare);
	return 0;
}

/* A new one: told where it doesn't fit.  Who isn't among the sources stays out. */
static int source_insert(struct planner *p, const struct plan_source *source, uint32_t left[2],
			 size_t *nleft_out)
{
	uint32_t *room = &left[source->prefix.addr.family == 6];

	if (!*room) {
		++*nleft_out;
		p->short_of_room = true;
		return 0;
	}
	--*room;
	return source_push(&p->plan->sources, &p->plan->nsources, source->service, &source->prefix)
		       ? 0
		       : -ENOMEM;
}

static int source_delete(struct planner *p, const struct plan_source *source)
{
	if (source->service < p->applied->max_services && p->services[source->service].frozen)
		return 0;
	p->gives_room = true;
	return source_push(&p->plan->sources_deleted, &p->plan->nsources_deleted, source->service,
			   &source->prefix)
		       ? 0
		       : -ENOMEM;
}

static int sources_compare(struct planner *p, const struct sources *wanted,
			   const struct sources *held)
{
	uint32_t left[2] = {p->applied->max_sources, p->applied->max_sources};
	size_t h = 0, nleft_out = 0;
	int err = 0;

	/* The new ones come before the old ones go. */
	for (size_t i = 0; i < held->n; i++)
		left[held->items[i].prefix.addr.family == 6]--;
	for (size_t w = 0; w < wanted->n && !err; w++) {
		const struct plan_source *source = &wanted->items[w];
		bool last = w + 1 == wanted->n || source[1].service != source->service;
		int order = 1;

		while (h < held->n && !err && (order = source_compare(&held->items[h], source)) < 0)
			err = source_delete(p, &held->items[h++]);
		if (h < held->n && !order)
			h++;
		else if (!err && (!w || source_compare(source, source - 1)))
			err = source_insert(p, source, left, &nleft_out);
		if (err || !last || !nleft_out)
			continue;
		err = planner_leave_out(p, p->services[source->service].model,
					"%zu source ranges left out: all %u are taken", nleft_out,
					p->applied->max_sources);
		nleft_out = 0;
	}
	while (h < held->n && !err)
		err = source_delete(p, &held->items[h++]);
	return err;
}

int planner_plan_sources(struct planner *p)
{
	struct sources wanted = {}, held = {};
	int err = sources_collect(p, &wanted, &held);

	if (!err)
		err = sources_compare(p, &wanted, &held);
	free(wanted.items);
	free(held.items);
	return err;
}
