/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* "Rule N" is service-semantics. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot_service.h"

/* ---- frontends ---- */

static int frontend_compare(const void *left, const void *right)
{
	const struct model_frontend *a = left, *b = right;
	int order = (int)a->kind - (int)b->kind;

	if (!order)
		order = addr_compare(&a->addr, &b->addr);
	return order ? order : a->port - b->port;
}

/* An address and port that is there already, of whatever kind, isn't added. */
static void frontend_add(struct model_service *service, enum frontend_kind kind,
			 const struct addr *addr, uint16_t port)
{
	if (addr->family != service->family)
		return; /* rule 92 */
	for (size_t i = 0; i < service->nfrontends; i++) {
		const struct model_frontend *other = &service->frontends[i];

		if (other->port == port && !addr_compare(&other->addr, addr))
			return;
	}
	service->frontends[service->nfrontends++] =
		(struct model_frontend){.kind = kind, .addr = *addr, .port = port};
}

static int frontends_build(struct service_builder *builder, const struct object_service *from,
			   const struct object_port *port, struct model_service *service)
{
	const struct source_node *node = builder->node;
	size_t max = 1 + node->nnodeports + from->nexternal + from->nbalancer;

	service->frontends = pool_array(builder->pool, max, sizeof(*service->frontends));
	if (!service->frontends)
		return -ENOMEM;
	frontend_add(service, FRONTEND_CLUSTER_IP, &from->cluster[service->family == 6],
		     port->port);
	for (size_t i = 0; port->node_port && i < node->nnodeports; i++)
		frontend_add(service, FRONTEND_NODE_PORT, &node->nodeports[i], port->node_port);
	/* Before externalIPs: source ranges hold for an address that is both. */
	for (size_t i = 0; i < from->nbalancer; i++)
		frontend_add(service, FRONTEND_LOAD_BALANCER, &from->balancer[i], port->port);
	for (size_t i = 0; i < from->nexternal; i++)
		frontend_add(service, FRONTEND_EXTERNAL_IP, &from->external[i], port->port);
	qsort(service->frontends, service->nfrontends, sizeof(*service->frontends),
	      frontend_compare);
	return 0;
}

/* ---- source ranges ---- */

static int source_compare(const void *left, const void *right)
{
	return prefix_compare(left, right);
}

/* Rules 74 and 92: a range of the other family is none. */
static int sources_build(struct service_builder *builder, const struct object_service *from,
			 struct model_service *service)
{
	const struct source_node *node = builder->node;
	size_t n = 0;

	service->sources = pool_array(builder->pool, from->nranges, sizeof(*service->sources));
	if (!service->sources)
		return -ENOMEM;
	for (size_t i = 0; i < from->nranges; i++)
		if (from->ranges[i].addr.family == service->family)
			service->sources[n++] = from->ranges[i];
	qsort(service->sources, n, sizeof(*service->sources), source_compare);
	for (size_t i = 0; i < n; i++) {
		const struct prefix *source = &service->sources[i];

		if (i && !prefix_compare(source, source - 1))
			continue;
		service->sources[service->nsources++] = *source;
		for (size_t j = 0; j < node->naddresses; j++)
			service->sources_have_node |= prefix_contains(source, &node->addresses[j]);
		for (size_t j = 0; j < builder->own->naddresses; j++)
			service->sources_have_node |=
				prefix_contains(source, &builder->own->addresses[j]);
	}
	return 0;
}

/* ---- endpoints ---- */

static bool weight_matches(const struct object_weight *weight, const struct model_endpoint *e)
{
	switch (weight->by) {
	case WEIGHT_ADDR:
		return !addr_compare(&weight->addr, &e->addr);
	case WEIGHT_POD:
		return *e->pod && !fnmatch(weight->key, e->pod, 0);
	default:
		return !strcmp(weight->key, e->node);
	}
}

static uint16_t weight_of(const struct object_service *service, const struct model_endpoint *e)
{
	for (size_t i = 0; i < service->nweights; i++)
		if (weight_matches(&service->weights[i], e))
			return service->weights[i].weight;
	return OBJECT_DEFAULT_WEIGHT;
}

/* By address and port; of copies the local one first (rule 17), then the one
 * that came first. */
static int candidate_compare(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = addr_compare(&a->endpoint.addr, &b->endpoint.addr);

	if (!order)
		order = a->endpoint.port - b->endpoint.port;
	if (!order)
		order = b->endpoint.local - a->endpoint.local;
	return order ? order : (a->order < b->order ? -1 : 1);
}

static bool same_endpoint(const struct candidate *a, const struct candidate *b)
{
	return a->endpoint.port == b->endpoint.port &&
	       !addr_compare(&a->endpoint.addr, &b->endpoint.addr);
}

static int candidates_reserve(struct service_builder *builder, size_t n)
{
	struct candidate *candidates;

	if (n <= builder->max_candidates)
		return 0;
	candidates = reallocarray(builder->candidates, n, 2 * sizeof(*candidates));
	if (!candidates)
		return -ENOMEM;
	builder->candidates = candidates;
	builder->max_candidates = 2 * n;
	return 0;
}

/* here: this node's name or zone, "" = none (rule 45). */
static struct model_hints hints_seen(const char **names, size_t n, const char *here)
{
	struct model_hints hints = {names, n, n ? HINT_ELSEWHERE : HINT_NONE};

	for (size_t i = 0; i < n && *here; i++)
		if (!strcmp(names[i], here))
			hints.says = HINT_HERE;
	return hints;
}

/* Append a slice's endpoints at one port. */
static int candidates_add(struct service_builder *builder, const struct object_slice *slice,
			  uint16_t port, size_t *n)
{
	int err = candidates_reserve(builder, *n + slice->nendpoints);

	if (err)
		return err;
	for (size_t i = 0; i < slice->nendpoints; i++) {
		const struct object_endpoint *from = &slice->endpoints[i];

		builder->candidates[*n] = (struct candidate){
			.endpoint =
				{
					.addr = from->addr,
					.port = port,
					.ready = from->ready,
					.serving = from->serving,
					.terminating = from->terminating,
					.local = *from->node &&
						 !strcmp(from->node, builder->node->name),
					.node = from->node,
					.pod = from->pod,
					.uid = from->uid,
					.zones = hints_seen(from->zone_hints, from->nzone_hints,
							    builder->own->zone),
					.nodes = hints_seen(from->node_hints, from->nnode_hints,
							    builder->node->name),
				},
			.order = *n,
		};
		++*n;
	}
	return 0;
}

/* Rules 12-20: the slices' ports that match by name and protocol give the
 * numbers, so one service may have endpoints with different ports. */
static int endpoints_build(struct service_builder *builder, const struct object_service *from,
			   struct object *const *slices, size_t nslices,
			   struct model_service *service)
{
	size_t n = 0, unique = 0;
	int err;

	for (size_t i = 0; i < nslices; i++) {
		const struct object_slice *slice = &slices[i]->as_slice;

		for (size_t j = 0; slice->family == service->family && j < slice->nports; j++) {
			const struct object_port *port = &slice->ports[j];

			if (port->protocol != service->protocol ||
			    strcmp(port->name, service->port_name))
				continue;
			err = candidates_add(builder, slice, port->port, &n);
			if (err)
				return err;
		}
	}
	if (!n)
		return 0;
	qsort(builder->candidates, n, sizeof(*builder->candidates), candidate_compare);
	for (size_t i = 0; i < n; i++)
		if (!unique ||
		    !same_endpoint(&builder->candidates[unique - 1], &builder->candidates[i]))
			builder->candidates[unique++] = builder->candidates[i];

	service->endpoints = pool_array(builder->pool, unique, sizeof(*service->endpoints));
	if (!service->endpoints)
		return -ENOMEM;
	service->nendpoints = unique;
	for (size_t i = 0; i < unique; i++) {
		service->endpoints[i] = builder->candidates[i].endpoint;
		service->endpoints[i].weight = weight_of(from, &service->endpoints[i]);
	}
	return 0;
}

/* ---- services ---- */

/* Rule 91: a family without a ClusterIP has nothing at all. */
size_t snapshot_service_count(const struct object_service *from)
{
	return from->nports * (!!from->cluster[0].family + !!from->cluster[1].family);
}

int snapshot_service_build(struct service_builder *builder, const struct object *object,
			   struct object *const *slices, size_t nslices, struct model_service *ret)
{
	const struct object_service *from = &object->as_service;
	int err;

	for (size_t i = 0; i < 2 * from->nports; i++) {
		const struct object_port *port = &from->ports[i / 2];

		if (!from->cluster[i % 2].family)
			continue;
		*ret = (struct model_service){
			.namespace = object->namespace,
			.name = object->name,
			.port_name = port->name,
			.created = from->created,
			.family = i % 2 ? 6 : 4,
			.protocol = port->protocol,
			.port = port->port,
			.round_robin = from->round_robin,
			.internal_local = from->internal_local,
			.external_local = from->external_local,
			.affinity_s = from->affinity_s,
			.health_port = from->health_port,
			.check = from->check,
		};
		err = frontends_build(builder, from, port, ret);
		if (!err)
			err = sources_build(builder, from, ret);
		if (!err)
			err = endpoints_build(builder, from, slices, nslices, ret);
		if (err)
			return err;
		ret++;
	}
	return 0;
}
