/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ready, terminating, Local and Cluster: sections C and D of service-semantics, and what
 * the datapath is told for section F. */
#include <netinet/in.h>
#include <stdio.h>

#include "plan_world.h"

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

/* An endpoint's conditions and place, in letters: r(eady) s(erving) t(erminating), and
 * @ for this node. */
static void endpoint_set(struct model_endpoint *endpoint, const char *letters)
{
	endpoint->ready = strchr(letters, 'r');
	endpoint->serving = endpoint->ready || strchr(letters, 's');
	endpoint->terminating = strchr(letters, 't');
	endpoint->local = strchr(letters, '@');
}

/* A Service with both policies Local and endpoints 10.0.0.1 and so on. */
static struct world_service *web(struct world *world, const char *const *endpoints)
{
	struct world_service *service;
	char addr[32];

	world_clear(world);
	service = world_service(world, "a", "web", "");
	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_frontend(service, FRONTEND_NODE_PORT, "10.200.0.1", 30080);
	service->model.internal_local = service->model.external_local = true;
	for (int i = 0; endpoints[i]; i++) {
		snprintf(addr, sizeof(addr), "10.0.0.%d", i + 1);
		endpoint_set(world_endpoint(service, addr, 8080), endpoints[i]);
	}
	world_sync(world);
	return service;
}

#define ENDPOINTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_sets(struct world *world, unsigned int cluster, unsigned int local)
{
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), cluster);
	assert_int_equal(world_members(world, 1, LB_SCOPE_LOCAL), local);
	assert_true(plan_is_empty(world_plan(world)));
}

/* Rules 25 to 28 */
static void each_set_falls_back_for_itself(void **state)
{
	static const struct {
		const char *endpoints[4];
		unsigned int cluster, local;
	} rows[] = {
		{{"r", "r@"}, 0x3, 0x2},
		{{"r", "r@", "st@"}, 0x3, 0x2},
		{{"r", "st@"}, 0x1, 0x2},  /* 28 */
		{{"st", "r@"}, 0x2, 0x2},  /* 26 */
		{{"st", "st@"}, 0x3, 0x2}, /* 26, both */
		{{"st", "t@"}, 0x1, 0},	   /* 27 */
		{{"t", "t@"}, 0, 0},	   /* 27 */
		{{"s", "s@"}, 0, 0},	   /* 25: it isn't ready, and not terminating */
		{{"", "@"}, 0, 0},	   /* 25 */
		{{"rt", "st@"}, 0x1, 0x2}, /* 24: published though terminating */
		{{"r", "r"}, 0x3, 0},	   /* 32 */
		{{"s@", "r@", "t@"}, 0x2, 0x2},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		web(*state, rows[i].endpoints);
		assert_sets(*state, rows[i].cluster, rows[i].local);
	}
}

/* Rule 30: rejected where there is none at all, else dropped (rules 50 and 51). */
static void the_service_says_whether_there_are_endpoints(void **state)
{
	static const struct {
		const char *endpoints[3];
		bool any;
	} rows[] = {
		{{"r"}, true}, {{"st"}, true},	{{"t"}, false},	     {{"s"}, false},
		{{""}, false}, {{NULL}, false}, {{"", "st@"}, true},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		web(world, rows[i].endpoints);
		assert_int_equal(!!(world->maps.services[1].flags & LB_SERVICE_F_ENDPOINTS),
				 rows[i].any);
	}
}

/* Rules 31 and 38: each policy is about its own addresses, and the other ring is there. */
static void a_policy_marks_its_own_frontends(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world, ENDPOINTS("r", "r@"));

	for (int i = 0; i < 4; i++) {
		bool internal = i & 1, external = i & 2;

		service->model.internal_local = internal;
		service->model.external_local = external;
		world_sync(world);
		assert_int_equal(
			!!(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP)->flags &
			   LB_FRONTEND_F_LOCAL),
			internal);
		assert_int_equal(
			!!(world_frontend_find(world, "10.200.0.1", 30080, IPPROTO_TCP)->flags &
			   LB_FRONTEND_F_LOCAL),
			external);
		assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0x3);
		if (internal || external)
			assert_int_equal(world_members(world, 1, LB_SCOPE_LOCAL), 0x2);
		else
			assert_int_equal(world->maps.rings[LB_RING_INDEX(1, LB_SCOPE_LOCAL)], 0);
	}
}

/* Rule 33 */
static void an_external_policy_without_external_addresses_changes_nothing(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world, ENDPOINTS("r", "r@"));

	service->model.internal_local = false;
	service->model.nfrontends = 1;
	world_sync(world);
	assert_int_equal(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP)->flags, 0);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0x3);
}

/* Rule 57 */
static void the_first_and_the_last_endpoint_count_at_once(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world, ENDPOINTS(""));

	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0);
	endpoint_set(&service->endpoints[0], "r");
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0x1);
	assert_true(world->maps.services[1].flags & LB_SERVICE_F_ENDPOINTS);
	endpoint_set(&service->endpoints[0], "");
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0);
	assert_false(world->maps.services[1].flags & LB_SERVICE_F_ENDPOINTS);
}

/* Rules 84 to 86: whatever ring it is in, a backend that serves keeps its flows; one that
 * doesn't is marked, for UDP. */
static void who_does_not_serve_is_marked_and_nobody_else(void **state)
{
	static const struct {
		const char *letters;
		bool marked;
	} rows[] = {{"r", false}, {"st", false}, {"s", false}, {"t", true}, {"", true}};
	struct world *world = *state;
	struct world_service *service = web(world, ENDPOINTS("r", "r"));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t id;

		endpoint_set(&service->endpoints[1], rows[i].letters);
		world_sync(world);
		id = world_backend_id(world, 1, "10.0.0.2", 8080);
		assert_int_equal(world->maps.backends[id].state, LB_BACKEND_ACTIVE);
		assert_int_equal(!!(world->maps.backends[id].flags & LB_BACKEND_F_NOT_SERVING),
				 rows[i].marked);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_set_falls_back_for_itself),
		TEST(the_service_says_whether_there_are_endpoints),
		TEST(a_policy_marks_its_own_frontends),
		TEST(an_external_policy_without_external_addresses_changes_nothing),
		TEST(the_first_and_the_last_endpoint_count_at_once),
		TEST(who_does_not_serve_is_marked_and_nobody_else),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
