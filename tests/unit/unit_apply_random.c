/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Plan and apply against random histories: the wish, the time and the devices
 * change at random, calls fail and lbd dies at random, and after every step,
 * and before every call of maps.h, the maps must be such that no packet can go
 * wrong.  The seed is printed; GUIDEWAY_TEST_SEED sets it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "plan_world.h"

#define HISTORIES 1000
#define STEPS 24

static const char *const namespaces[] = {"a", "b"};
static const char *const names[] = {"web", "db", "api"};
static const char *const port_names[] = {"", "http"};
static const char *const created[] = {"", "2024-01-01T00:00:00Z", "2025-06-01T00:00:00Z"};

struct history {
	struct world *world;
	uint64_t seed, random;
	bool roomy; /* nothing can be refused for want of room */
	/* The maps before the step. */
	struct lb_backend *backends;
	struct lb_service *services;
	struct lb_service_name *names;
	uint64_t *rings, *quiesced_rings;
	struct plan_frontend *frontends;
	size_t nfrontends;
	/* What goes wrong in this step. */
	int calls_left; /* until it does; < 0 = never */
	bool dies;	/* else the call fails */
	jmp_buf death;
	bool quiesced; /* packets were waited for in this step */
};

static void check_failed(const struct history *h, const char *condition)
{
	fail_msg("in history %#llx: %s", (unsigned long long)h->seed, condition);
}

#define CHECK(history, condition) ((condition) ? (void)0 : check_failed(history, #condition))

static uint32_t draw(struct history *h, uint32_t n)
{
	h->random = h->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (h->random >> 33) % n;
}

#define PICK(h, array) ((array)[draw(h, sizeof(array) / sizeof((array)[0]))])

/* ---- the wish changes ----------------------------------------------------- */

static const char *draw_addr(struct history *h, uint8_t family, const char *net4, const char *net6,
			     uint32_t n)
{
	static char text[ADDR_STRLEN];

	snprintf(text, sizeof(text), family == 4 ? "%s.%u" : "%s::%x", family == 4 ? net4 : net6,
		 1 + draw(h, n));
	return text;
}

static void add_endpoint(struct history *h, struct world_service *service)
{
	const char *addr = draw_addr(h, service->model.family, "10.0.0", "fd00", 30);
	uint16_t port = draw(h, 4) ? 8080 : 9090;
	struct model_endpoint *endpoint;
	struct addr parsed;

	addr_parse(addr, &parsed);
	for (size_t i = 0; i < service->model.nendpoints; i++)
		if (!addr_compare(&service->endpoints[i].addr, &parsed) &&
		    service->endpoints[i].port == port)
			return;
	endpoint = world_endpoint(service, addr, port);
	if (!draw(h, 4))
		endpoint->ready = false;
	if (!draw(h, 8))
		endpoint->serving = false;
}

static void change_endpoint(struct history *h, struct world_service *service)
{
	static const uint16_t weights[] = {0, 1, 100, 100, 1000};
	struct model_service *model = &service->model;
	struct model_endpoint *endpoint;

	if (!model->nendpoints)
		return;
	endpoint = &model->endpoints[draw(h, model->nendpoints)];
	switch (draw(h, 4)) {
	case 0:
		*endpoint = model->endpoints[--model->nendpoints];
		break;
	case 1:
		endpoint->weight = PICK(h, weights);
		break;
	case 2:
		endpoint->terminating = true;
		endpoint->ready = false;
		endpoint->serving = draw(h, 2);
		break;
	case 3:
		endpoint->ready = endpoint->serving = draw(h, 2);
		break;
	}
}

static void change_frontends(struct history *h, struct world_service *service)
{
	service->model.nfrontends = 0;
	for (uint32_t n = draw(h, 4); n; n--)
		world_frontend(service, draw(h, 4),
			       draw_addr(h, service->model.family, "10.96.0", "fd01", 8), 80);
}

static void add_service(struct history *h)
{
	struct world *world = h->world;
	struct world_service *service =
		world_service(world, PICK(h, namespaces), PICK(h, names), PICK(h, port_names));
	struct model_service *model = &service->model;

	model->protocol = draw(h, 3) ? IPPROTO_TCP : IPPROTO_UDP;
	model->family = draw(h, 3) ? 4 : 6;
	model->created = PICK(h, created);
	for (size_t i = 0; i + 1 < world->nservices; i++) {
		const struct model_service *other = &world->services[i].model;

		if (other->namespace == model->namespace && other->name == model->name &&
		    other->port_name == model->port_name && other->protocol == model->protocol &&
		    other->family == model->family) {
			world->nservices--;
			return;
		}
	}
	change_frontends(h, service);
	for (uint32_t n = draw(h, draw(h, 6) ? 6 : 30); n; n--)
		add_endpoint(h, service);
}

static void remove_service(struct history *h, size_t i)
{
	struct world *world = h->world;

	world->services[i] = world->services[--world->nservices];
	world->services[i].model.frontends = world->services[i].frontends;
	world->services[i].model.endpoints = world->services[i].endpoints;
}

static void change_wish(struct history *h)
{
	static const char *const kinds[] = {"Service", "EndpointSlice", "List"};
	struct world *world = h->world;
	struct world_service *service;
	uint32_t what = draw(h, 20);

	if (!world->nservices || (what < 3 && world->nservices < WORLD_SERVICES / 2)) {
		add_service(h);
		return;
	}
	service = &world->services[draw(h, world->nservices)];
	if (what < 4) {
		remove_service(h, service - world->services);
	} else if (what < 8) {
		if (service->model.nendpoints < WORLD_ENDPOINTS)
			add_endpoint(h, service);
	} else if (what < 14) {
		change_endpoint(h, service);
	} else if (what < 15) {
		change_frontends(h, service);
	} else if (what < 16) {
		service->model.port = 80 + draw(h, 2);
	} else if (what < 17) {
		uint64_t *hop = &world->hops[1 + draw(h, 30)];

		*hop = draw(h, 3) ? LB_NEXT_HOP(1 + draw(h, 100), draw(h, 1000)) : 0;
	} else if (what < 19) {
		world->now += draw(h, 20);
	} else {
		world->nrefusals = 0;
		if (!draw(h, 3))
			world_refusal(world, PICK(h, kinds), draw(h, 2) ? "" : "a",
				      draw(h, 2) ? "" : "web");
	}
}

/* ---- what must hold at any time ------------------------------------------- */

static void check_rings(struct history *h)
{
	struct maps *maps = &h->world->maps;
	uint8_t *taken = calloc(maps->arena_lines, 1);

	for (uint32_t i = 0; i < maps->max_services * LB_SCOPE_MAX; i++) {
		uint64_t ring = maps->rings[i];
		uint32_t line = LB_RING_LINE(ring), nslots = LB_RING_SLOTS(ring);

		if (!ring)
			continue;
		CHECK(h, line + (nslots + 15) / 16 <= maps->arena_lines);
		for (uint32_t at = line; at < line + (nslots + 15) / 16; at++) {
			CHECK(h, !taken[at]); /* no two rings overlap */
			taken[at] = 1;
		}
		for (uint32_t slot = 0; slot < nslots; slot++) {
			uint32_t id = maps->arena[line].slots[slot];

			CHECK(h, id > 0 && id < maps->max_backends);
			CHECK(h, maps->backends[id].state != LB_BACKEND_FREE);
			/* Gone ones may be in a ring that can't be replaced. */
			CHECK(h, maps->backends[id].state == LB_BACKEND_ACTIVE ||
					 maps->rings[i] == h->rings[i]);
			CHECK(h, maps->backends[id].service == i / LB_SCOPE_MAX);
		}
	}
	free(taken);
}

/* Until packets were waited for, some may hold a ring of before: whoever was
 * active in it still is. */
static void check_old_rings(struct history *h)
{
	const struct maps *maps = &h->world->maps;

	for (uint32_t i = 0; i < maps->max_services * LB_SCOPE_MAX; i++) {
		const uint32_t *slots = maps->arena[LB_RING_LINE(h->rings[i])].slots;

		for (uint32_t slot = 0; slot < LB_RING_SLOTS(h->rings[i]); slot++)
			CHECK(h, maps->backends[slots[slot]].state == LB_BACKEND_ACTIVE ||
					 h->backends[slots[slot]].state != LB_BACKEND_ACTIVE);
	}
}

static void check_frontends(struct history *h)
{
	const struct world *world = h->world;

	for (size_t i = 0; i < world->nfrontends; i++) {
		const struct plan_frontend *frontend = &world->frontends[i];
		const struct lb_service *service = &world->maps.services[frontend->value.service];

		CHECK(h, frontend->value.service > 0);
		CHECK(h, service->flags & LB_SERVICE_F_USED);
		CHECK(h, service->protocol == frontend->protocol);
		CHECK(h, service->family == frontend->addr.family);
	}
}

/* Between any two moments: an id's backend changes only through FREE, and its
 * generation exactly when it becomes free. */
static void check_backends(struct history *h)
{
	const struct world *world = h->world;

	for (uint32_t id = 1; id < world->maps.max_backends; id++) {
		const struct lb_backend *old = &h->backends[id], *new = &world->maps.backends[id];

		if (old->state != LB_BACKEND_FREE && new->state != LB_BACKEND_FREE) {
			CHECK(h, !memcmp(old->addr, new->addr, sizeof(old->addr)));
			CHECK(h, old->port == new->port && old->service == new->service);
			CHECK(h, old->generation == new->generation);
		} else if (old->state != LB_BACKEND_FREE) {
			CHECK(h, new->generation == (uint16_t)(old->generation + 1));
			CHECK(h, old->state == LB_BACKEND_GONE);
			CHECK(h, world->now - old->gone_ticks >= world->linger);
		} else {
			CHECK(h, old->generation == new->generation);
		}
		if (new->state != LB_BACKEND_FREE)
			CHECK(h, world->maps.services[new->service].flags & LB_SERVICE_F_USED);
		CHECK(h, (new->state == LB_BACKEND_GONE) == (new->gone_ticks != 0));
	}
}

static int look(struct world *world, const char *call)
{
	struct history *h = world->step_data;

	check_rings(h);
	if (!h->quiesced)
		check_old_rings(h);
	check_frontends(h);
	if (!strcmp(call, "quiesce")) {
		h->quiesced = true;
		memcpy(h->quiesced_rings, world->maps.rings,
		       world->maps.max_services * LB_SCOPE_MAX * sizeof(*world->maps.rings));
	}
	if (h->calls_left < 0 || h->calls_left--)
		return 0;
	if (h->dies)
		longjmp(h->death, 1);
	return -EIO;
}

/* ---- what must hold after a step ------------------------------------------ */

static bool rings_overlap(uint64_t a, uint64_t b)
{
	return a && b && LB_RING_LINE(a) < LB_RING_LINE(b) + (LB_RING_SLOTS(b) + 15) / 16 &&
	       LB_RING_LINE(b) < LB_RING_LINE(a) + (LB_RING_SLOTS(a) + 15) / 16;
}

/* New rings are where none was; if one is away, packets were waited for after
 * the switch. */
static void check_switches(struct history *h)
{
	const struct maps *maps = &h->world->maps;
	uint32_t n = maps->max_services * LB_SCOPE_MAX;
	bool away = false;

	for (uint32_t i = 0; i < n; i++) {
		if (maps->rings[i] == h->rings[i])
			continue;
		away |= h->rings[i] != 0;
		for (uint32_t j = 0; j < n; j++)
			CHECK(h, !rings_overlap(maps->rings[i], h->rings[j]));
	}
	CHECK(h, !away || !memcmp(h->quiesced_rings, maps->rings, n * sizeof(*maps->rings)));
}

static bool concerns(const struct model_refusal *refusal, const struct lb_service_name *name)
{
	return (!*refusal->namespace || !strcmp(refusal->namespace, name->namespace)) &&
	       (!*refusal->name || !strcmp(refusal->name, name->name));
}

static const struct model_service *wanted_find(const struct history *h, uint32_t id)
{
	const struct world *world = h->world;

	for (size_t i = 0; i < world->nservices; i++) {
		const struct model_service *model = &world->services[i].model;

		if (!strcmp(model->namespace, h->names[id].namespace) &&
		    !strcmp(model->name, h->names[id].name) &&
		    !strcmp(model->port_name, h->names[id].port_name) &&
		    model->protocol == h->services[id].protocol &&
		    model->family == h->services[id].family)
			return model;
	}
	return NULL;
}

/* Who was in the ring of a service with a slice that is refused is still
 * active, unless an endpoint says otherwise. */
static void check_retained(struct history *h, uint32_t id)
{
	const struct world *world = h->world;
	uint64_t ring = h->rings[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)];
	const uint32_t *slots = world->maps.arena[LB_RING_LINE(ring)].slots;

	for (uint32_t slot = 0; slot < LB_RING_SLOTS(ring); slot++) {
		const struct lb_backend *backend = &world->maps.backends[slots[slot]];
		struct addr addr;

		addr_from_words(backend->family, backend->addr, &addr);
		CHECK(h, backend->state == LB_BACKEND_ACTIVE ||
				 h->backends[slots[slot]].state == LB_BACKEND_GONE ||
				 !world->hops[addr.bytes[backend->family == 4 ? 3 : 15]]);
	}
}

static void check_kept(struct history *h)
{
	const struct world *world = h->world;
	const struct maps *maps = &world->maps;

	for (uint32_t id = 1; id < maps->max_services && world->nrefusals; id++) {
		const struct model_refusal *refusal = world->refusals;
		const struct model_service *wanted = wanted_find(h, id);

		if (!(h->services[id].flags & LB_SERVICE_F_USED) ||
		    !concerns(refusal, &h->names[id]))
			continue;
		if (wanted && strcmp(refusal->kind, "Service"))
			check_retained(h, id);
		if (wanted || !strcmp(refusal->kind, "EndpointSlice"))
			continue;
		CHECK(h, !memcmp(&h->services[id], &maps->services[id], sizeof(h->services[id])));
		for (int scope = 0; scope < LB_SCOPE_MAX; scope++)
			CHECK(h, h->rings[LB_RING_INDEX(id, scope)] ==
					 maps->rings[LB_RING_INDEX(id, scope)]);
		for (uint32_t i = 1; i < maps->max_backends; i++)
			CHECK(h, (h->backends[i].state == LB_BACKEND_FREE) ||
					 h->backends[i].service != id ||
					 h->backends[i].state == maps->backends[i].state);
		for (size_t i = 0; i < h->nfrontends; i++) {
			size_t same = 0;

			for (size_t j = 0; j < world->nfrontends; j++)
				same += !plan_frontend_compare(&h->frontends[i],
							       &world->frontends[j]) &&
					h->frontends[i].value.service ==
						world->frontends[j].value.service;
			CHECK(h, h->frontends[i].value.service != id || same == 1);
		}
	}
}

/* The ring has exactly the endpoints it should, by the rules written anew. */
static void check_ring_members(struct history *h, const struct model_service *model, uint32_t id)
{
	struct world *world = h->world;
	size_t nready = 0, nslots = 0;

	for (size_t i = 0; i < model->nendpoints; i++)
		nready += model->endpoints[i].ready;
	for (size_t i = 0; i < model->nendpoints; i++) {
		const struct model_endpoint *e = &model->endpoints[i];
		char text[ADDR_STRLEN];
		uint32_t backend =
			world_backend_id(world, id, addr_format(&e->addr, text), e->port);
		bool in_ring = nready ? e->ready : e->terminating && e->serving;
		size_t slots = backend ? world_slots(world, id, backend) : 0;

		in_ring &= e->weight > 0 && world->hops[e->addr.bytes[model->family == 4 ? 3 : 15]];
		CHECK(h, in_ring == (slots > 0));
		CHECK(h, backend || !(e->ready || e->serving));
		CHECK(h, !backend || world->maps.backends[backend].state == LB_BACKEND_ACTIVE);
		nslots += slots;
	}
	CHECK(h, nslots == LB_RING_SLOTS(world->maps.rings[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)]));
}

static bool claims(const struct model_service *model, const struct plan_frontend *frontend)
{
	for (size_t i = 0; i < model->nfrontends; i++)
		if (!addr_compare(&model->frontends[i].addr, &frontend->addr) &&
		    htons(model->frontends[i].port) == frontend->port &&
		    model->protocol == frontend->protocol)
			return true;
	return false;
}

static const char *age(const struct model_service *model)
{
	return *model->created ? model->created : "9999";
}

/* Every wanted frontend is there and leads to the oldest that asks for it. */
static void check_claims(struct history *h)
{
	struct world *world = h->world;
	struct applied applied = world_applied(world);
	size_t nasked = 0;

	for (size_t i = 0; i < world->nfrontends; i++) {
		const struct plan_frontend *frontend = &world->frontends[i];
		const struct model_service *best = NULL;

		/* sorted[] is by name, so a later one has to be older */
		for (size_t j = 0; j < world->nservices; j++) {
			const struct model_service *model = &world->sorted[j];

			if (claims(model, frontend) && (!best || strcmp(age(model), age(best)) < 0))
				best = model;
		}
		CHECK(h, best);
		CHECK(h, frontend->value.service == applied_service_id(&applied, best));
	}
	for (size_t j = 0; j < world->nservices; j++) {
		const struct model_service *model = &world->sorted[j];

		for (size_t i = 0; i < model->nfrontends; i++) {
			char text[ADDR_STRLEN];

			CHECK(h, world_frontend_find(world,
						     addr_format(&model->frontends[i].addr, text),
						     model->frontends[i].port, model->protocol));
			nasked++;
		}
	}
	CHECK(h, nasked >= world->nfrontends);
}

static void check_wish(struct history *h)
{
	struct world *world = h->world;
	struct applied applied = world_applied(world);

	for (size_t i = 0; i < world->nservices; i++) {
		const struct model_service *model = &world->sorted[i];
		uint32_t id = applied_service_id(&applied, model);

		CHECK(h, id);
		CHECK(h, world->maps.services[id].port == htons(model->port));
		check_ring_members(h, model, id);
	}
	check_claims(h);
}

/* ---- histories ------------------------------------------------------------ */

static void remember(struct history *h)
{
	const struct world *world = h->world;
	const struct maps *maps = &world->maps;

	memcpy(h->backends, maps->backends, maps->max_backends * sizeof(*maps->backends));
	memcpy(h->services, maps->services, maps->max_services * sizeof(*maps->services));
	memcpy(h->names, maps->service_names, maps->max_services * sizeof(*h->names));
	memcpy(h->rings, maps->rings, maps->max_services * LB_SCOPE_MAX * sizeof(*maps->rings));
	memcpy(h->frontends, world->frontends, world->nfrontends * sizeof(*world->frontends));
	h->nfrontends = world->nfrontends;
	h->quiesced = false;
}

static void check(struct history *h)
{
	check_rings(h);
	check_frontends(h);
	check_backends(h);
	check_kept(h);
}

/* A plan that is cut short by a failing call or by lbd's death. */
static void sync_broken(struct history *h)
{
	struct error error;
	volatile int err = 0;

	remember(h);
	world_plan(h->world);
	if (!setjmp(h->death))
		err = apply_plan(&h->world->maps, h->world->plan, &error);
	if (err)
		CHECK(h, err == -EIO && (strstr(error.text, "frontend") ||
					 strstr(error.text, "counters")));
	h->calls_left = -1;
	check_rings(h);
	check_frontends(h);
	check_kept(h);
}

static void sync_whole(struct history *h)
{
	struct world *world = h->world;
	bool again = true;

	for (int rounds = 0;; rounds++) {
		unsigned int quiesces = world->quiesces;

		remember(h);
		world_sync(world);
		check(h);
		if (plan_is_empty(world->plan))
			break;
		CHECK(h, again && rounds < 8); /* done at once, but for want of room */
		CHECK(h, world->quiesces - quiesces <= 1);
		check_switches(h);
		again = world->plan->due_ticks == world->now + 1;
	}
	CHECK(h, !world->plan->due_ticks || world->plan->due_ticks > world->now);
	if (h->roomy && !world->nrefusals)
		check_wish(h);
}

static void live_history(uint64_t seed)
{
	static const struct world_limits roomy = {128, 2048, 256, 65536}, tight = {8, 40, 8, 1000};
	struct history h = {.seed = seed, .random = seed, .roomy = seed & 1, .calls_left = -1};
	struct world_limits limits = h.roomy ? roomy : tight;

	h.world = world_new(limits);
	h.world->step = look;
	h.world->step_data = &h;
	h.world->linger = 2 + draw(&h, 30);
	h.backends = calloc(limits.backends, sizeof(*h.backends));
	h.services = calloc(limits.services, sizeof(*h.services));
	h.names = calloc(limits.services, sizeof(*h.names));
	h.rings = calloc(limits.services * LB_SCOPE_MAX, sizeof(*h.rings));
	h.quiesced_rings = calloc(limits.services * LB_SCOPE_MAX, sizeof(*h.rings));
	h.frontends = calloc(2 * limits.frontends, sizeof(*h.frontends));
	for (int step = 0; step < STEPS; step++) {
		for (uint32_t n = 1 + draw(&h, 4); n; n--)
			change_wish(&h);
		if (!draw(&h, 4)) {
			h.calls_left = draw(&h, 12);
			h.dies = draw(&h, 2);
			sync_broken(&h);
		}
		sync_whole(&h);
	}
	free(h.backends);
	free(h.services);
	free(h.names);
	free(h.rings);
	free(h.quiesced_rings);
	free(h.frontends);
	world_free(h.world);
}

static void maps_are_sound_at_every_moment_of_random_histories(void **state)
{
	const char *given = getenv("GUIDEWAY_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 20;

	(void)state;
	print_message("# GUIDEWAY_TEST_SEED=%#llx\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < HISTORIES; i++)
		live_history(seed + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_are_sound_at_every_moment_of_random_histories),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
