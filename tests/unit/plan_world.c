/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "plan_world.h"

#define WEAK __attribute__((weak))

/* maps_quiesce() isn't told of which maps. */
static struct world *quiesced_world;

static struct world *world_of(struct maps *maps)
{
	return (struct world *)((char *)maps - offsetof(struct world, maps));
}

static int world_step(struct world *world, const char *call)
{
	return world->step ? world->step(world, call) : 0;
}

/* ---- maps.h --------------------------------------------------------------- */

WEAK uint64_t maps_now_ticks(void)
{
	return 0;
}

WEAK int maps_make_writable(struct maps *maps, struct error *error)
{
	(void)error;
	maps->writable = true;
	return 0;
}

static struct plan_frontend *frontend_find(struct world *world, const struct plan_frontend *key)
{
	for (size_t i = 0; i < world->nfrontends; i++)
		if (!plan_frontend_compare(&world->frontends[i], key))
			return &world->frontends[i];
	return NULL;
}

WEAK int maps_frontend_insert(struct maps *maps, const struct plan_frontend *frontend)
{
	struct world *world = world_of(maps);
	size_t same_family = 0;
	int err = world_step(world, "frontend_insert");

	if (err)
		return err;
	if (frontend_find(world, frontend))
		return -EEXIST;
	for (size_t i = 0; i < world->nfrontends; i++)
		same_family += world->frontends[i].addr.family == frontend->addr.family;
	if (same_family == maps->max_frontends)
		return -E2BIG;
	world->frontends[world->nfrontends++] = *frontend;
	return 0;
}

WEAK int maps_frontend_delete(struct maps *maps, const struct plan_frontend *frontend)
{
	struct world *world = world_of(maps);
	struct plan_frontend *found;
	int err = world_step(world, "frontend_delete");

	if (err)
		return err;
	found = frontend_find(world, frontend);
	if (!found)
		return -ENOENT;
	*found = world->frontends[--world->nfrontends];
	return 0;
}

static size_t source_find(const struct world *world, const struct plan_source *key)
{
	size_t i;

	for (i = 0; i < world->nsources; i++)
		if (world->sources[i].service == key->service &&
		    !prefix_compare(&world->sources[i].prefix, &key->prefix))
			break;
	return i;
}

WEAK int maps_source_insert(struct maps *maps, const struct plan_source *source)
{
	struct world *world = world_of(maps);
	int err = world_step(world, "source_insert");

	if (err)
		return err;
	if (source_find(world, source) < world->nsources)
		return 0;
	if (world->nsources == 2 * (size_t)LB_MAX_SOURCES)
		return -ENOSPC;
	world->sources[world->nsources++] = *source;
	return 0;
}

WEAK int maps_source_delete(struct maps *maps, const struct plan_source *source)
{
	struct world *world = world_of(maps);
	size_t i = source_find(world, source);
	int err = world_step(world, "source_delete");

	if (err)
		return err;
	if (i == world->nsources)
		return -ENOENT;
	world->sources[i] = world->sources[--world->nsources];
	return 0;
}

WEAK int maps_backend_counters_fold(struct maps *maps, uint32_t id, uint32_t service)
{
	(void)service;
	assert_int_equal(maps->backends[id].state, LB_BACKEND_FREE);
	world_of(maps)->counters_folded++;
	return world_step(world_of(maps), "counters_fold");
}

WEAK void maps_service_counters_fold(struct maps *maps, uint32_t id)
{
	assert_int_equal(maps->services[id].flags, 0);
	world_of(maps)->counters_folded++;
	world_step(world_of(maps), "counters_fold");
}

WEAK int maps_filter_tidy(struct maps *maps)
{
	return world_step(world_of(maps), "filter_tidy");
}

WEAK void maps_quiesce(void)
{
	quiesced_world->quiesces++;
	world_step(quiesced_world, "quiesce");
}

/* ---- life ----------------------------------------------------------------- */

struct world *world_new(struct world_limits limits)
{
	struct world *world = calloc(1, sizeof(*world));
	struct maps *maps = &world->maps;

	maps->max_services = limits.services;
	maps->max_backends = limits.backends;
	maps->max_frontends = limits.frontends;
	maps->arena_lines = limits.arena_lines;
	maps->services = calloc(limits.services, sizeof(*maps->services));
	maps->service_names = calloc(limits.services, sizeof(*maps->service_names));
	maps->rings = calloc(limits.services * LB_SCOPE_MAX, sizeof(*maps->rings));
	maps->arena = calloc(limits.arena_lines, sizeof(*maps->arena));
	maps->backends = calloc(limits.backends, sizeof(*maps->backends));
	world->frontends = calloc(2 * limits.frontends, sizeof(*world->frontends));
	world->max_sources = LB_MAX_SOURCES;
	world->sources = calloc(2 * (size_t)LB_MAX_SOURCES, sizeof(*world->sources));
	world->now = 1000;
	world->linger = 30;
	world->seed = 1;
	for (size_t i = 0; i < 256; i++)
		world->hops[i] = LB_NEXT_HOP(1 + i, 0x020000000000 + i);
	quiesced_world = world;
	return world;
}

void world_free(struct world *world)
{
	plan_free(world->plan);
	free(world->maps.services);
	free(world->maps.service_names);
	free(world->maps.rings);
	free(world->maps.arena);
	free(world->maps.backends);
	free(world->frontends);
	free(world->sources);
	free(world);
}

/* ---- the wish ------------------------------------------------------------- */

void world_clear(struct world *world)
{
	world->nservices = 0;
	world->nrefusals = 0;
}

struct world_service *world_service(struct world *world, const char *namespace, const char *name,
				    const char *port_name)
{
	struct world_service *service = &world->services[world->nservices++];

	assert_true(world->nservices <= WORLD_SERVICES);
	memset(service, 0, sizeof(*service));
	service->model = (struct model_service){
		.namespace = namespace,
		.name = name,
		.port_name = port_name,
		.created = "",
		.family = 4,
		.protocol = IPPROTO_TCP,
		.port = 80,
		.frontends = service->frontends,
		.sources = service->sources,
		.endpoints = service->endpoints,
	};
	return service;
}

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

void world_frontend(struct world_service *service, enum frontend_kind kind, const char *addr,
		    uint16_t port)
{
	assert_true(service->model.nfrontends < WORLD_FRONTENDS);
	service->frontends[service->model.nfrontends++] =
		(struct model_frontend){.kind = kind, .addr = address(addr), .port = port};
}

void world_source(struct world_service *service, const char *range)
{
	struct prefix *source = &service->sources[service->model.nsources++];

	assert_true(service->model.nsources <= WORLD_SOURCES);
	assert_int_equal(prefix_parse(range, source), 0);
}

struct model_endpoint *world_endpoint(struct world_service *service, const char *addr,
				      uint16_t port)
{
	struct model_endpoint *endpoint = &service->endpoints[service->model.nendpoints++];

	assert_true(service->model.nendpoints <= WORLD_ENDPOINTS);
	*endpoint = (struct model_endpoint){
		.addr = address(addr),
		.port = port,
		.weight = 100,
		.ready = true,
		.serving = true,
		.node = "",
		.pod = "",
		.uid = "",
	};
	return endpoint;
}

void world_endpoint_remove(struct world_service *service, const char *addr, uint16_t port)
{
	struct addr wanted = address(addr);
	struct model_service *model = &service->model;

	for (size_t i = 0; i < model->nendpoints; i++) {
		if (addr_compare(&model->endpoints[i].addr, &wanted) ||
		    model->endpoints[i].port != port)
			continue;
		model->endpoints[i] = model->endpoints[--model->nendpoints];
		return;
	}
	fail_msg("no endpoint %s:%u", addr, port);
}

void world_refusal(struct world *world, const char *kind, const char *namespace, const char *name)
{
	assert_true(world->nrefusals < WORLD_REFUSALS);
	world->refusals[world->nrefusals++] = (struct model_refusal){
		.where = "test.yaml:1",
		.kind = kind,
		.namespace = namespace,
		.name = name,
		.object = "",
		.reason = "broken",
		.keep = true,
	};
}

/* ---- plan and apply ------------------------------------------------------- */

static int service_order(const void *a, const void *b)
{
	const struct model_service *x = a, *y = b;
	int order = strcmp(x->namespace, y->namespace);

	if (!order)
		order = strcmp(x->name, y->name);
	if (!order)
		order = strcmp(x->port_name, y->port_name);
	if (!order)
		order = x->protocol - y->protocol;
	return order ? order : x->family - y->family;
}

static int endpoint_order(const void *a, const void *b)
{
	const struct model_endpoint *x = a, *y = b;
	int order = addr_compare(&x->addr, &y->addr);

	return order ? order : x->port - y->port;
}

static struct plan_hop next_hop(void *arg, const struct addr *addr)
{
	struct world *world = arg;
	uint8_t last = addr->bytes[addr->family == 4 ? 3 : 15];

	world->next_hops_asked++;
	return (struct plan_hop){
		.next_hop = world->hops[last],
		.stack = world->stack[last],
		.remote = world->remote[last],
	};
}

static enum plan_health health(void *arg, const struct model_service *service,
			       const struct model_endpoint *endpoint)
{
	const struct world *world = arg;

	(void)service;
	return world->health[endpoint->addr.bytes[endpoint->addr.family == 4 ? 3 : 15]];
}

struct applied world_applied(const struct world *world)
{
	const struct maps *maps = &world->maps;

	return (struct applied){
		.max_services = maps->max_services,
		.max_backends = maps->max_backends,
		.max_frontends = maps->max_frontends,
		.arena_lines = maps->arena_lines,
		.services = maps->services,
		.service_names = maps->service_names,
		.rings = maps->rings,
		.arena = maps->arena,
		.backends = maps->backends,
		.frontends = world->frontends,
		.nfrontends = world->nfrontends,
		.max_sources = world->max_sources,
		.sources = world->sources,
		.nsources = world->nsources,
	};
}

const struct plan *world_plan(struct world *world)
{
	struct applied applied = world_applied(world);
	struct plan_options options = {
		.now_ticks = world->now,
		.linger_ticks = world->linger,
		.hash_seed = world->seed,
		.next_hop = next_hop,
		.arg = world,
		.bypass = world->bypass,
		.health = health,
		.health_arg = world,
	};
	struct snapshot wanted = {
		.services = world->sorted,
		.nservices = world->nservices,
		.refusals = world->refusals,
		.nrefusals = world->nrefusals,
		.unknown = world->unknown,
	};

	plan_free(world->plan);
	world->plan = NULL;
	for (size_t i = 0; i < world->nservices; i++) {
		struct model_service *model = &world->services[i].model;

		qsort(model->endpoints, model->nendpoints, sizeof(*model->endpoints),
		      endpoint_order);
		world->sorted[i] = *model;
	}
	qsort(world->sorted, world->nservices, sizeof(*world->sorted), service_order);
	assert_int_equal(plan_make(&wanted, &applied, &options, &world->plan), 0);
	return world->plan;
}

const struct plan *world_sync(struct world *world)
{
	struct error error = {""};

	world_plan(world);
	if (apply_plan(&world->maps, world->plan, &error))
		fail_msg("%s", error.text);
	return world->plan;
}

/* ---- looking -------------------------------------------------------------- */

uint32_t world_service_id(const struct world *world, const struct world_service *service)
{
	struct applied applied = world_applied(world);

	return applied_service_id(&applied, &service->model);
}

uint32_t world_backend_id(const struct world *world, uint32_t service, const char *addr,
			  uint16_t port)
{
	struct addr wanted = address(addr);
	uint32_t words[4];

	addr_to_words(&wanted, words);
	for (uint32_t id = 1; id < world->maps.max_backends; id++) {
		const struct lb_backend *backend = &world->maps.backends[id];

		if (backend->state != LB_BACKEND_FREE && backend->service == service &&
		    backend->port == htons(port) && !memcmp(backend->addr, words, sizeof(words)))
			return id;
	}
	return 0;
}

size_t world_slots(const struct world *world, uint32_t service, uint32_t backend)
{
	uint64_t ring = world->maps.rings[LB_RING_INDEX(service, LB_SCOPE_CLUSTER)];
	const uint32_t *slots = world->maps.arena[LB_RING_LINE(ring)].slots;
	size_t n = 0;

	for (uint32_t i = 0; i < LB_RING_SLOTS(ring); i++)
		n += slots[i] == backend;
	return n;
}

unsigned int world_members(const struct world *world, uint32_t service, enum lb_scope scope)
{
	uint64_t ring = world->maps.rings[LB_RING_INDEX(service, scope)];
	uint8_t flag = scope == LB_SCOPE_LOCAL ? LB_BACKEND_F_LOCAL : LB_BACKEND_F_CLUSTER;
	const uint32_t *slots = world->maps.arena[LB_RING_LINE(ring)].slots;
	const struct lb_backend *backends = world->maps.backends;
	unsigned int in_ring = 0, flagged = 0;

	for (uint32_t slot = 0; slot < LB_RING_SLOTS(ring); slot++)
		in_ring |= 1U << (ntohl(backends[slots[slot]].addr[0]) & 0xff);
	for (uint32_t id = 1; id < world->maps.max_backends; id++)
		if (backends[id].state == LB_BACKEND_ACTIVE && backends[id].service == service &&
		    backends[id].flags & flag)
			flagged |= 1U << (ntohl(backends[id].addr[0]) & 0xff);
	assert_int_equal(in_ring, flagged);
	return in_ring >> 1;
}

const struct lb_frontend *world_frontend_find(const struct world *world, const char *addr,
					      uint16_t port, uint8_t protocol)
{
	struct plan_frontend key = {
		.addr = address(addr), .port = htons(port), .protocol = protocol};

	for (size_t i = 0; i < world->nfrontends; i++)
		if (!plan_frontend_compare(&world->frontends[i], &key))
			return &world->frontends[i].value;
	return NULL;
}

bool world_has_source(const struct world *world, const struct world_service *service,
		      const char *range)
{
	struct plan_source key = {.service = world_service_id(world, service)};

	assert_int_equal(prefix_parse(range, &key.prefix), 0);
	return source_find(world, &key) < world->nsources;
}

size_t world_refused(const struct world *world, const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < world->plan->nrefusals; i++)
		n += strstr(world->plan->refusals[i].reason, text) != NULL;
	return n;
}
