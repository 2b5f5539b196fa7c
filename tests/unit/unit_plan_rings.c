/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Who is in a ring, when it is built anew, and where in the arena. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "plan_world.h"

static int setup(void **state)
{
	*state = world_new((struct world_limits){32, 256, 64, 8192});
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static uint64_t ring(const struct world *world, uint32_t service)
{
	return world->maps.rings[LB_RING_INDEX(service, LB_SCOPE_CLUSTER)];
}

static size_t slots(const struct world *world, const char *addr)
{
	uint32_t id = world_backend_id(world, 1, addr, 8080);

	return id ? world_slots(world, 1, id) : 0;
}

/* a/web with endpoints 10.0.0.1-3:8080; its id is 1. */
static struct world_service *web(struct world *world)
{
	struct world_service *service = world_service(world, "a", "web", "http");

	world_endpoint(service, "10.0.0.1", 8080);
	world_endpoint(service, "10.0.0.2", 8080);
	world_endpoint(service, "10.0.0.3", 8080);
	return service;
}

/* ---- who is in it --------------------------------------------------------- */

static void endpoint_that_is_not_ready_leaves_the_ring_and_keeps_its_backend(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	uint32_t id;

	world_sync(world);
	id = world_backend_id(world, 1, "10.0.0.2", 8080);
	service->endpoints[1].ready = service->endpoints[1].serving = false;
	world_sync(world);
	assert_int_equal(slots(world, "10.0.0.2"), 0);
	assert_int_equal(world_backend_id(world, 1, "10.0.0.2", 8080), id);
	assert_int_equal(world->maps.backends[id].state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->plan->due_ticks, 0);
}

static void new_endpoint_gets_an_id_once_it_is_ready_or_serving(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	struct model_endpoint *endpoint = world_endpoint(service, "10.0.0.4", 8080);

	endpoint->ready = endpoint->serving = false;
	world_sync(world);
	assert_int_equal(world_backend_id(world, 1, "10.0.0.4", 8080), 0);
	endpoint->terminating = endpoint->serving = true;
	world_sync(world);
	assert_int_not_equal(world_backend_id(world, 1, "10.0.0.4", 8080), 0);
	assert_int_equal(slots(world, "10.0.0.4"), 0);
	endpoint->terminating = false;
	endpoint->ready = true;
	world_sync(world);
	assert_in_range(slots(world, "10.0.0.4"), 255, 256);
}

static void terminating_endpoints_serve_only_while_none_is_ready(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	for (int i = 0; i < 3; i++) {
		service->endpoints[i].ready = false;
		service->endpoints[i].terminating = true;
	}
	service->endpoints[2].serving = false;
	world_sync(world);
	assert_in_range(slots(world, "10.0.0.1"), 510, 511);
	assert_in_range(slots(world, "10.0.0.2"), 510, 511);
	assert_int_equal(slots(world, "10.0.0.3"), 0);

	world_endpoint(service, "10.0.0.4", 8080);
	world_sync(world);
	assert_int_equal(slots(world, "10.0.0.4"), 1021);
	assert_int_equal(slots(world, "10.0.0.1"), 0);
}

static void serving_alone_is_not_usable(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	for (int i = 0; i < 3; i++)
		service->endpoints[i].ready = false;
	world_sync(world);
	assert_int_equal(ring(world, 1), 0);
	assert_int_not_equal(world_backend_id(world, 1, "10.0.0.1", 8080), 0);
}

static void weights_divide_the_ring(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	service->endpoints[0].weight = 50;
	service->endpoints[1].weight = 150;
	service->endpoints[2].weight = 0;
	world_sync(world);
	assert_in_range(slots(world, "10.0.0.1"), 255, 256);
	assert_in_range(slots(world, "10.0.0.2"), 765, 766);
	assert_int_equal(slots(world, "10.0.0.3"), 0);
}

static void weight_0_takes_new_flows_and_leaves_the_old_ones(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	uint32_t id;

	world_sync(world);
	id = world_backend_id(world, 1, "10.0.0.1", 8080);
	for (int i = 0; i < 3; i++)
		service->endpoints[i].weight = 0;
	world_sync(world);
	assert_int_equal(ring(world, 1), 0);
	assert_int_equal(world->maps.backends[id].state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->maps.backends[id].weight, 0);
	assert_int_equal(world->maps.backends[id].generation, 0);
}

/* ---- next hops ------------------------------------------------------------ */

static void next_hop_change_is_stored_and_no_ring_is_built(void **state)
{
	struct world *world = *state;
	const struct plan *plan;

	web(world);
	world_sync(world);
	world->hops[2] = LB_NEXT_HOP(9, 0xabcdef);
	plan = world_sync(world);
	assert_int_equal(plan->nbackends, 1);
	assert_false(plan->backends[0].fresh);
	assert_int_equal(plan->nrings, 0);
	assert_int_equal(plan->nservices, 0);
	assert_int_equal(world->maps.backends[plan->backends[0].id].next_hop, world->hops[2]);
}

static void assert_stack(const struct world *world, bool first, bool second)
{
	assert_int_equal(world->maps.backends[1].flags & LB_BACKEND_F_STACK,
			 first ? LB_BACKEND_F_STACK : 0);
	assert_int_equal(world->maps.backends[2].flags & LB_BACKEND_F_STACK,
			 second ? LB_BACKEND_F_STACK : 0);
}

static void backends_are_flagged_for_the_stack(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_sync(world);
	assert_stack(world, false, false);
	world->stack[2] = true;
	assert_int_equal(world_sync(world)->nrings, 0);
	assert_stack(world, false, true);
	service->model.policed = true;
	world_sync(world);
	assert_stack(world, true, true);
	world->bypass = PLAN_BYPASS_ON; /* but what can't do without */
	world_sync(world);
	assert_stack(world, false, true);
	world->bypass = PLAN_BYPASS_OFF;
	service->model.policed = world->stack[2] = false;
	world_sync(world);
	assert_stack(world, true, true);
	world->bypass = PLAN_BYPASS_AUTO;
	world_sync(world);
	assert_stack(world, false, false);
}

static void endpoint_without_next_hop_leaves_the_ring_and_is_told(void **state)
{
	struct world *world = *state;

	web(world);
	world_sync(world);
	world->hops[2] = 0;
	world_sync(world);
	assert_int_equal(slots(world, "10.0.0.2"), 0);
	assert_int_equal(world->maps.backends[2].state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->maps.backends[2].next_hop, 0);
	assert_int_equal(world_refused(world, "1 of 3 usable endpoints left out: no device "
					      "leads to 10.0.0.2:8080"),
			 1);
	world->hops[2] = LB_NEXT_HOP(9, 0); /* a device is enough: the MAC comes later */
	world_sync(world);
	assert_in_range(slots(world, "10.0.0.2"), 340, 341);
	assert_int_equal(world->plan->nrefusals, 0);
}

static void endpoint_on_another_node_is_in_the_ring_and_marked(void **state)
{
	struct world *world = *state;

	web(world);
	world->remote[2] = true;
	world_sync(world);
	assert_in_range(slots(world, "10.0.0.2"), 340, 341);
	assert_int_equal(world->maps.backends[2].flags, LB_BACKEND_F_CLUSTER | LB_BACKEND_F_REMOTE);
	assert_int_equal(world->maps.backends[1].flags & LB_BACKEND_F_REMOTE, 0);
	/* Policies for it are its node's to hold. */
	world->services[0].model.policed = true;
	world_sync(world);
	assert_int_equal(world->maps.backends[2].flags & LB_BACKEND_F_STACK, 0);
	assert_int_not_equal(world->maps.backends[1].flags & LB_BACKEND_F_STACK, 0);
	world->bypass = PLAN_BYPASS_OFF;
	world_sync(world);
	assert_int_not_equal(world->maps.backends[2].flags & LB_BACKEND_F_STACK, 0);
}

static void own_endpoint_is_not_looked_for_elsewhere(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	service->endpoints[1].local = true;
	world->remote[2] = true; /* no device yet: the default route */
	world_sync(world);
	assert_int_equal(slots(world, "10.0.0.2"), 0);
	assert_int_equal(world->maps.backends[2].next_hop, 0);
	world->remote[2] = false;
	world_sync(world);
	assert_in_range(slots(world, "10.0.0.2"), 340, 341);
	/* Its device goes before its endpoint does, and after. */
	world_clear(world);
	world_sync(world);
	assert_int_not_equal(world->maps.backends[2].next_hop, 0);
	world->remote[2] = true;
	world_sync(world);
	assert_int_equal(world->maps.backends[2].next_hop, 0);
}

static void ready_endpoint_without_next_hop_keeps_terminating_ones_out(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	service->model.nendpoints = 2;
	service->endpoints[0].ready = false;
	service->endpoints[0].terminating = true;
	world->hops[2] = 0;
	world_sync(world);
	assert_int_equal(ring(world, 1), 0);
}

static void gone_backend_follows_its_next_hop(void **state)
{
	struct world *world = *state;

	web(world);
	world_sync(world);
	world_clear(world);
	world_sync(world);
	world->hops[2] = 0;
	world_sync(world);
	assert_int_equal(world->plan->nbackends, 1);
	assert_int_equal(world->maps.backends[2].state, LB_BACKEND_GONE);
	assert_int_equal(world->maps.backends[2].next_hop, 0);
}

/* ---- when a ring is built -------------------------------------------------- */

static void ring_is_built_anew_for_a_weight_a_member_or_a_seed(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	uint64_t digests[4];

	world_sync(world);
	digests[0] = world->maps.services[1].ring_digest[LB_SCOPE_CLUSTER];
	service->endpoints[0].weight = 99;
	assert_int_equal(world_sync(world)->nrings, 1);
	digests[1] = world->maps.services[1].ring_digest[LB_SCOPE_CLUSTER];
	world_endpoint(service, "10.0.0.4", 8080);
	assert_int_equal(world_sync(world)->nrings, 1);
	digests[2] = world->maps.services[1].ring_digest[LB_SCOPE_CLUSTER];
	world->seed++;
	assert_int_equal(world_sync(world)->nrings, 1);
	digests[3] = world->maps.services[1].ring_digest[LB_SCOPE_CLUSTER];
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_int_not_equal(digests[i], digests[j]);
}

static void endpoints_in_another_order_build_no_ring(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	struct model_endpoint first;

	world_sync(world);
	first = service->endpoints[0];
	service->endpoints[0] = service->endpoints[2];
	service->endpoints[2] = first;
	assert_true(plan_is_empty(world_plan(world)));
}

static void ring_outside_the_arena_is_built_anew(void **state)
{
	struct world *world = *state;

	web(world);
	world_sync(world);
	world->maps.rings[LB_RING_INDEX(1, LB_SCOPE_CLUSTER)] = LB_RING(8191, 1021);
	world_sync(world);
	assert_true(LB_RING_LINE(ring(world, 1)) + 64 <= 8192);
}

static void ring_of_a_scope_that_nobody_wants_is_taken_away(void **state)
{
	struct world *world = *state;

	web(world);
	world_sync(world);
	world->maps.rings[LB_RING_INDEX(1, LB_SCOPE_LOCAL)] = LB_RING(100, 1021);
	world->maps.services[1].ring_digest[LB_SCOPE_LOCAL] = 77;
	world_sync(world);
	assert_int_equal(world->maps.rings[LB_RING_INDEX(1, LB_SCOPE_LOCAL)], 0);
	assert_int_equal(world->maps.services[1].ring_digest[LB_SCOPE_LOCAL], 0);
	assert_true(plan_is_empty(world_plan(world)));
}

/* ---- the arena ------------------------------------------------------------ */

static void more_backends_get_a_larger_ring(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	for (int i = 4; i <= 11; i++) {
		char addr[ADDR_STRLEN];

		addr_format(&(struct addr){.family = 4, .bytes = {10, 0, 0, i}}, addr);
		world_endpoint(service, addr, 8080);
		world_sync(world);
		assert_int_equal(LB_RING_SLOTS(ring(world, 1)), i <= 10 ? 1021 : 4093);
	}
}

static void rings_take_the_first_gap_that_fits(void **state)
{
	struct world *world = *state;
	struct world_service *services[4];

	for (int i = 0; i < 4; i++) {
		static const char *const names[] = {"s0", "s1", "s2", "s3"};

		services[i] = world_service(world, "a", names[i], "");
		world_endpoint(services[i], "10.0.0.1", 80);
	}
	world_sync(world);
	for (uint32_t id = 1; id <= 4; id++)
		assert_int_equal(LB_RING_LINE(ring(world, id)), (id - 1) * 64);
	services[1]->endpoints[0].weight = 0; /* its ring goes */
	world_sync(world);
	services[3]->endpoints[0].weight = 1; /* and this one is built anew there */
	world_sync(world);
	assert_int_equal(LB_RING_LINE(ring(world, 4)), 64);
	services[3]->endpoints[0].weight = 2; /* and then where it was */
	world_sync(world);
	assert_int_equal(LB_RING_LINE(ring(world, 4)), 3 * 64);
}

static void ring_that_does_not_fit_stays_and_is_told(void **state)
{
	struct world *world = world_new((struct world_limits){8, 64, 8, 128});
	struct world_service *service = web(world), *other;
	uint64_t old;

	(void)state;
	other = world_service(world, "a", "zoo", "");
	world_endpoint(other, "10.0.0.9", 80);
	world_sync(world); /* 64 lines each: now the arena is full */
	old = ring(world, 1);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_sync(world);
	assert_int_equal(world_refused(world, "its ring stays as it was: no gap of 1021 slots in "
					      "the arena of 2048"),
			 1);
	assert_true(world->plan->refusals[0].partial);
	assert_int_equal(ring(world, 1), old);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_GONE);
	assert_int_equal(world->plan->due_ticks, 0);

	/* The ring still names it, so its id can't be freed. */
	world->now += 1000;
	assert_true(plan_is_empty(world_sync(world)));
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_GONE);

	/* Room is there one plan after it was given back. */
	other->endpoints[0].weight = 0;
	assert_int_equal(world_sync(world)->due_ticks, world->now + 1);
	assert_int_equal(ring(world, 1), old);
	world->now++;
	world_sync(world);
	assert_int_equal(world->plan->nrefusals, 0);
	assert_int_not_equal(ring(world, 1), old);
	assert_int_equal(slots(world, "10.0.0.1"), 0);
	world_free(world);
}

static void service_without_room_for_its_ring_leaves_the_others_alone(void **state)
{
	struct world *world = world_new((struct world_limits){8, 64, 8, 64});
	struct world_service *other;

	(void)state;
	other = world_service(world, "a", "zoo", "");
	world_endpoint(other, "10.0.0.9", 80);
	world_sync(world);
	web(world);
	world_sync(world);
	assert_int_equal(world_refused(world, "no ring: no gap of 1021 slots"), 1);
	assert_string_equal(world->plan->refusals[0].service->name, "web");
	assert_false(world->plan->refusals[0].partial);
	assert_int_equal(world_slots(world, 1, 1), 1021);
	assert_int_equal(ring(world, 2), 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(endpoint_that_is_not_ready_leaves_the_ring_and_keeps_its_backend),
		TEST(new_endpoint_gets_an_id_once_it_is_ready_or_serving),
		TEST(terminating_endpoints_serve_only_while_none_is_ready),
		TEST(serving_alone_is_not_usable),
		TEST(weights_divide_the_ring),
		TEST(weight_0_takes_new_flows_and_leaves_the_old_ones),
		TEST(next_hop_change_is_stored_and_no_ring_is_built),
		TEST(backends_are_flagged_for_the_stack),
		TEST(endpoint_without_next_hop_leaves_the_ring_and_is_told),
		TEST(endpoint_on_another_node_is_in_the_ring_and_marked),
		TEST(own_endpoint_is_not_looked_for_elsewhere),
		TEST(ready_endpoint_without_next_hop_keeps_terminating_ones_out),
		TEST(gone_backend_follows_its_next_hop),
		TEST(ring_is_built_anew_for_a_weight_a_member_or_a_seed),
		TEST(endpoints_in_another_order_build_no_ring),
		TEST(ring_outside_the_arena_is_built_anew),
		TEST(ring_of_a_scope_that_nobody_wants_is_taken_away),
		TEST(more_backends_get_a_larger_ring),
		TEST(rings_take_the_first_gap_that_fits),
		TEST(ring_that_does_not_fit_stays_and_is_told),
		TEST(service_without_room_for_its_ring_leaves_the_others_alone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
