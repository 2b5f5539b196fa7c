/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"
#include "snapshot_service.h"

/* What a snapshot owns.  Its strings are the objects', so it holds them. */
struct memory {
	struct pool pool;
	struct object **objects;
	size_t nobjects;
};

struct build {
	struct snapshot *snapshot;
	struct memory *memory;
	struct service_builder services;
	size_t nobjects, nservices, nslices, npolicies, nrefusals; /* by count_entry() */

	struct object **service_objects, **slice_objects; /* good ones */
	const struct object **policies;
	const struct object *node; /* this one's, NULL = none */
};

/* ---- what the store holds ---- */

static int count_entry(void *arg, const struct objects_entry *entry)
{
	struct build *build = arg;

	build->nobjects += !!entry->good + !!entry->refused;
	if (entry->good && entry->good->kind == OBJECT_SERVICE)
		build->nservices++;
	else if (entry->good && entry->good->kind == OBJECT_NETWORK_POLICY)
		build->npolicies++;
	else if (entry->good && entry->good->kind == OBJECT_ENDPOINT_SLICE)
		build->nslices++;
	if (entry->refused)
		build->nrefusals++;
	else
		for (const struct object_note *note = entry->good->notes; note; note = note->next)
			build->nrefusals++;
	return 0;
}

static void hold(struct build *build, struct object *object)
{
	if (object)
		build->memory->objects[build->memory->nobjects++] = object_ref(object);
}

static void refusal_add(struct build *build, const struct object *object, const char *where,
			const char *reason, bool keep)
{
	build->snapshot->refusals[build->snapshot->nrefusals++] = (struct model_refusal){
		.where = where,
		.kind = object_kind_name(object->kind),
		.namespace = object->namespace,
		.name = object->service,
		.object = object->name,
		.reason = reason,
		.keep = keep,
	};
}

static int collect_entry(void *arg, const struct objects_entry *entry)
{
	const struct object *refused = entry->refused;
	struct object *good = entry->good;
	struct build *build = arg;

	hold(build, good);
	hold(build, entry->refused);
	switch (good ? good->kind : OBJECT_NONE) {
	case OBJECT_SERVICE:
		if (good->as_service.labelled || !build->services.node->labelled_only)
			build->service_objects[build->nservices++] = good;
		break;
	case OBJECT_ENDPOINT_SLICE:
		build->slice_objects[build->nslices++] = good;
		break;
	case OBJECT_NETWORK_POLICY:
		build->policies[build->npolicies++] = good;
		break;
	case OBJECT_NODE:
		if (!strcmp(good->name, build->services.node->name))
			build->node = good;
		break;
	default:
		break;
	}

	/* Of what the maps hold nothing can be kept where it isn't known whose
	 * it is; and where two files claim an object, the first is in force. */
	if (refused)
		refusal_add(build, refused, refused->where, refused->reason,
			    !good && *refused->service && !entry->stray);
	else
		for (const struct object_note *note = good->notes; note; note = note->next)
			refusal_add(build, good, note->where, note->reason, false);
	return 0;
}

static int collect(struct build *build, const struct objects *objects)
{
	struct snapshot *snapshot = build->snapshot;
	struct pool *pool = &build->memory->pool;

	objects_visit(objects, count_entry, build);
	build->memory->objects = pool_array(pool, build->nobjects, sizeof(struct object *));
	snapshot->refusals = pool_array(pool, build->nrefusals, sizeof(*snapshot->refusals));
	build->service_objects = calloc(build->nservices + 1, sizeof(struct object *));
	build->slice_objects = calloc(build->nslices + 1, sizeof(struct object *));
	build->policies = calloc(build->npolicies + 1, sizeof(struct object *));
	if (!build->memory->objects || !snapshot->refusals || !build->service_objects ||
	    !build->slice_objects || !build->policies)
		return -ENOMEM;
	build->nservices = build->nslices = build->npolicies = 0;
	return objects_visit(objects, collect_entry, build);
}

/* ---- this node ---- */

static void node_build(struct build *build)
{
	struct model_node *node = &build->snapshot->node;
	const struct object_node *from = &build->node->as_node;

	node->zone = "";
	if (build->node)
		*node = (struct model_node){
			.known = true,
			.zone = from->zone,
			.deleting = from->deleting,
			.addresses = from->addresses,
			.naddresses = from->naddresses,
			.pod_cidrs = from->pod_cidrs,
			.npod_cidrs = from->npod_cidrs,
		};
	build->services.own = node;
}

/* ---- policies ---- */

/* They come by namespace, as the services do. */
static void policies_apply(struct build *build)
{
	struct snapshot *snapshot = build->snapshot;
	size_t s = 0;

	for (size_t i = 0; i < build->npolicies; i++) {
		const struct object *policy = build->policies[i];

		snapshot->policed_clients |= policy->as_policy.egress;
		if (!policy->as_policy.ingress)
			continue;
		while (s < snapshot->nservices &&
		       strcmp(snapshot->services[s].namespace, policy->namespace) < 0)
			s++;
		for (; s < snapshot->nservices &&
		       !strcmp(snapshot->services[s].namespace, policy->namespace);
		     s++)
			snapshot->services[s].policed = true;
	}
}

/* ---- refusals and services ---- */

static int compare_refusals(const void *left, const void *right)
{
	const struct model_refusal *a = left, *b = right;
	int order = strverscmp(a->where, b->where); /* f:9 before f:10 */

	return order ? order : strcmp(a->reason, b->reason);
}

/* Slices by namespace, Service and name. */
static int compare_slices(const void *left, const void *right)
{
	const struct object *a = *(struct object *const *)left;
	const struct object *b = *(struct object *const *)right;
	int order = strcmp(a->namespace, b->namespace);

	if (!order)
		order = strcmp(a->service, b->service);
	return order ? order : strcmp(a->name, b->name);
}

static int compare_services(const void *a, const void *b)
{
	return model_service_compare(a, b);
}

/* Is the slice before (<0), of (0) or behind a Service? */
static int slice_position(const struct object *slice, const struct object *service)
{
	int order = strcmp(slice->namespace, service->namespace);

	return order ? order : strcmp(slice->service, service->name);
}

/* Services come in the order of their names and slices are brought into it, so
 * one pass joins them. */
static int services_build(struct build *build)
{
	struct snapshot *snapshot = build->snapshot;
	struct object **slices = build->slice_objects;
	size_t n = 0, i = 0;

	for (size_t s = 0; s < build->nservices; s++)
		n += snapshot_service_count(&build->service_objects[s]->as_service);
	snapshot->services = pool_array(&build->memory->pool, n, sizeof(*snapshot->services));
	if (!snapshot->services)
		return -ENOMEM;
	qsort(slices, build->nslices, sizeof(*slices), compare_slices);

	for (size_t s = 0; s < build->nservices; s++) {
		const struct object *service = build->service_objects[s];
		size_t first;
		int err;

		while (i < build->nslices && slice_position(slices[i], service) < 0)
			i++;
		for (first = i; i < build->nslices && !slice_position(slices[i], service);)
			i++;
		err = snapshot_service_build(&build->services, service, slices + first, i - first,
					     snapshot->services + snapshot->nservices);
		if (err)
			return err;
		snapshot->nservices += snapshot_service_count(&service->as_service);
	}
	qsort(snapshot->services, snapshot->nservices, sizeof(*snapshot->services),
	      compare_services);
	return 0;
}

/* ---- snapshots ---- */

int snapshot_build(const struct objects *objects, const struct source_node *node, uint64_t revision,
		   struct snapshot **ret)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct memory *memory = calloc(1, sizeof(*memory));
	struct build build = {.snapshot = snapshot, .memory = memory};
	int err = -ENOMEM;

	if (!snapshot || !memory) {
		free(snapshot);
		free(memory);
		return err;
	}
	snapshot->revision = revision;
	snapshot->memory = memory;
	build.services = (struct service_builder){.node = node, .pool = &memory->pool};

	err = collect(&build, objects);
	node_build(&build);
	if (!err)
		err = services_build(&build);
	if (!err)
		policies_apply(&build);
	if (!err)
		qsort(snapshot->refusals, snapshot->nrefusals, sizeof(*snapshot->refusals),
		      compare_refusals);
	free(build.service_objects);
	free(build.slice_objects);
	free(build.policies);
	free(build.services.candidates);
	if (err) {
		snapshot_free(snapshot);
		return err;
	}
	*ret = snapshot;
	return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
	struct memory *memory = snapshot ? snapshot->memory : NULL;

	if (!snapshot)
		return;
	for (size_t i = 0; i < memory->nobjects; i++)
		object_unref(memory->objects[i]);
	pool_free(&memory->pool);
	free(memory);
	free(snapshot);
}
