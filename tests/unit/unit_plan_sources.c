/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Source ranges in the maps: which, when, and what stays. */
#include <netinet/in.h>

#include "plan_world.h"

#define VIP "192.0.2.2"

static int setup(void **state)
{
	*state = world_new((struct world_limits){32, 256, 8, 8192});
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

/* A Service with an address of each kind. */
static struct world_service *web(struct world *world)
{
	struct world_service *service = world_service(world, "a", "web", "");

	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_frontend(service, FRONTEND_NODE_PORT, "10.200.0.1", 30080);
	world_frontend(service, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_frontend(service, FRONTEND_LOAD_BALANCER, VIP, 80);
	world_endpoint(service, "10.0.0.1", 8080);
	return service;
}

static bool filters(const struct world *world, const char *addr, uint16_t port)
{
	return world_frontend_find(world, addr, port, IPPROTO_TCP)->flags & LB_FRONTEND_F_SOURCES;
}

static void ranges_hold_for_load_balancer_addresses_alone(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_source(service, "203.0.113.0/24");
	world_sync(world);
	assert_true(filters(world, VIP, 80));
	assert_false(filters(world, "10.96.0.1", 80) || filters(world, "10.200.0.1", 30080) ||
		     filters(world, "192.0.2.1", 80));
	assert_int_equal(world->nsources, 1);
	assert_true(world_has_source(world, service, "203.0.113.0/24"));
	assert_true(plan_is_empty(world_plan(world)));
}

/* Rule 74, and what has everybody in it: no look-up is paid for. */
static void no_range_and_one_of_everybody_filter_nothing(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_sync(world);
	assert_false(filters(world, VIP, 80));
	assert_int_equal(world->nsources, 0);
	world_source(service, "203.0.113.0/24");
	world_source(service, "0.0.0.0/0");
	world_sync(world);
	assert_false(filters(world, VIP, 80));
	assert_int_equal(world->nsources, 0);
}

static void a_service_without_load_balancer_address_needs_none(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	service->model.nfrontends = 3;
	world_source(service, "203.0.113.0/24");
	world_sync(world);
	assert_int_equal(world->nsources, 0);
}

/* Rule 73 */
static void the_services_own_addresses_get_in_where_the_node_does(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_source(service, "10.200.0.0/16");
	world_sync(world);
	assert_false(world_has_source(world, service, VIP "/32"));
	service->model.sources_have_node = true;
	world_frontend(service, FRONTEND_LOAD_BALANCER, "192.0.2.3", 80);
	world_sync(world);
	assert_true(world_has_source(world, service, VIP "/32"));
	assert_true(world_has_source(world, service, "192.0.2.3/32"));
	assert_false(world_has_source(world, service, "192.0.2.1/32"));
	assert_int_equal(world->nsources, 3);
	assert_true(plan_is_empty(world_plan(world)));
}

static void changed_ranges_are_the_only_ones_written(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_source(service, "198.51.100.0/24");
	world_source(service, "203.0.113.0/24");
	world_sync(world);
	prefix_parse("203.0.113.0/25", &service->sources[1]);
	world_sync(world);
	assert_int_equal(world->plan->nsources, 1);
	assert_int_equal(world->plan->nsources_deleted, 1);
	assert_int_equal(world->plan->nfrontends, 0); /* nobody was sent away meanwhile */
	assert_true(world_has_source(world, service, "203.0.113.0/25"));
	assert_false(world_has_source(world, service, "203.0.113.0/24"));
	service->model.nsources = 0;
	world_sync(world);
	assert_int_equal(world->nsources, 0);
	assert_false(filters(world, VIP, 80));
}

/* Else the next Service of this id would let them in. */
static void a_deleted_service_leaves_none(void **state)
{
	struct world *world = *state;

	world_source(web(world), "203.0.113.0/24");
	world_sync(world);
	world_clear(world);
	world_sync(world);
	assert_int_equal(world->nsources, 0);
}

static void a_refused_service_keeps_its_own(void **state)
{
	struct world *world = *state;

	world_source(web(world), "203.0.113.0/24");
	world_sync(world);
	world_clear(world);
	world_refusal(world, "Service", "a", "web");
	assert_true(plan_is_empty(world_plan(world)));
}

/* What nobody has written on behalf of a service: of a lbd that was killed. */
static void foreign_ones_are_taken_away(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_source(service, "203.0.113.0/24");
	world_sync(world);
	world->sources[world->nsources++] = (struct plan_source){
		9,
		{{4, {198, 51, 100, 0}}, 24},
	};
	world->sources[world->nsources++] = (struct plan_source){
		1000000,
		{{6, {0x20, 1}}, 16},
	};
	world_sync(world);
	assert_int_equal(world->nsources, 1);
	assert_true(world_has_source(world, service, "203.0.113.0/24"));
}

static void what_does_not_fit_is_told_and_keeps_its_clients_out(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world->max_sources = 2;
	world_source(service, "198.51.100.0/24");
	world_source(service, "203.0.113.0/24");
	world_source(service, "203.0.114.0/24");
	world_source(service, "203.0.115.0/24");
	world_sync(world);
	assert_int_equal(world->nsources, 2);
	assert_true(filters(world, VIP, 80));
	assert_int_equal(world_refused(world, "2 source ranges left out: all 2 are taken"), 1);
	/* The next one has the room that this plan gives back. */
	service->sources[0] = service->sources[2];
	service->sources[1] = service->sources[3];
	service->model.nsources = 2;
	world_sync(world);
	assert_int_equal(world->nsources, 0);
	assert_int_equal(world->plan->due_ticks, world->now + 1);
	world_sync(world);
	assert_int_equal(world->nsources, 2);
	assert_int_equal(world->plan->nrefusals, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranges_hold_for_load_balancer_addresses_alone),
		TEST(no_range_and_one_of_everybody_filter_nothing),
		TEST(a_service_without_load_balancer_address_needs_none),
		TEST(the_services_own_addresses_get_in_where_the_node_does),
		TEST(changed_ranges_are_the_only_ones_written),
		TEST(a_deleted_service_leaves_none),
		TEST(a_refused_service_keeps_its_own),
		TEST(foreign_ones_are_taken_away),
		TEST(what_does_not_fit_is_told_and_keeps_its_clients_out),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
