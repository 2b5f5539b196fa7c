/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Backends that get no new flows though the API calls them ready: down by their health check, or
 * drained by an operator, which the maps alone remember. */
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

static struct lb_backend *backend(const struct world *world, uint32_t service, const char *addr)
{
	return &world->maps.backends[world_backend_id(world, service, addr, 8080)];
}

static size_t slots(const struct world *world, uint32_t service, const char *addr)
{
	return world_slots(world, service, world_backend_id(world, service, addr, 8080));
}

static uint64_t ring(const struct world *world, uint32_t service)
{
	return world->maps.rings[LB_RING_INDEX(service, LB_SCOPE_CLUSTER)];
}

/* Endpoints 10.0.0.1-3:8080, of pods with UIDs. */
static struct world_service *service_of(struct world *world, const char *name)
{
	struct world_service *service = world_service(world, "a", name, "http");

	world_endpoint(service, "10.0.0.1", 8080)->uid = "one";
	world_endpoint(service, "10.0.0.2", 8080)->uid = "two";
	world_endpoint(service, "10.0.0.3", 8080)->uid = "three";
	return service;
}

/* As the API's request does it. */
static void drain(struct world *world, uint32_t service, const char *addr, uint8_t flag)
{
	backend(world, service, addr)->flags |= flag;
	world_sync(world);
}

static void endpoint_that_is_down_gets_no_new_flows(void **state)
{
	struct world *world = *state;

	service_of(world, "web");
	world_sync(world);
	assert_int_not_equal(slots(world, 1, "10.0.0.2"), 0);
	world->health[2] = PLAN_HEALTH_DOWN;
	world_sync(world);
	assert_int_equal(slots(world, 1, "10.0.0.2"), 0);
	assert_int_equal(backend(world, 1, "10.0.0.2")->flags, LB_BACKEND_F_DOWN);
	assert_int_equal(backend(world, 1, "10.0.0.2")->state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->maps.services[1].flags & LB_SERVICE_F_UNHEALTHY, 0);
	world->health[2] = PLAN_HEALTH_UP;
	world_sync(world);
	assert_int_not_equal(slots(world, 1, "10.0.0.2"), 0);
	assert_int_equal(backend(world, 1, "10.0.0.2")->flags, LB_BACKEND_F_CLUSTER);
}

/* A restart: until this lbd has checked, what the one before knew holds. */
static void unknown_health_is_what_it_was(void **state)
{
	struct world *world = *state;
	struct world_service *service = service_of(world, "web");

	world->health[1] = PLAN_HEALTH_UNKNOWN;
	world->health[2] = PLAN_HEALTH_DOWN;
	world_sync(world);
	assert_int_not_equal(slots(world, 1, "10.0.0.1"), 0);
	world->health[2] = PLAN_HEALTH_UNKNOWN;
	assert_true(plan_is_empty(world_sync(world)));
	assert_int_equal(slots(world, 1, "10.0.0.2"), 0);
	service->endpoints[1].uid = "four"; /* another pod */
	world_sync(world);
	assert_int_not_equal(slots(world, 1, "10.0.0.2"), 0);
}

static void without_a_fit_endpoint_the_service_says_so(void **state)
{
	struct world *world = *state;
	struct world_service *service = service_of(world, "web");

	world->health[1] = world->health[2] = world->health[3] = PLAN_HEALTH_DOWN;
	world_sync(world);
	assert_int_equal(ring(world, 1), 0);
	assert_int_equal(world->maps.services[1].flags & LB_SERVICE_F_UNHEALTHY,
			 LB_SERVICE_F_UNHEALTHY);
	/* One that ends isn't taken in their place: ready ones exist (rule 26). */
	service->endpoints[0].ready = false;
	service->endpoints[0].terminating = true;
	world->health[1] = PLAN_HEALTH_UP;
	world_sync(world);
	assert_int_equal(ring(world, 1), 0);
	/* Nobody is ready: then it is the API that has taken them all. */
	for (int i = 0; i < 3; i++)
		service->endpoints[i].ready = service->endpoints[i].serving = false;
	world_sync(world);
	assert_int_equal(world->maps.services[1].flags & LB_SERVICE_F_UNHEALTHY, 0);
	assert_int_equal(backend(world, 1, "10.0.0.1")->flags, LB_BACKEND_F_NOT_SERVING);
}

static void local_ring_says_so_for_itself(void **state)
{
	struct world *world = *state;
	struct world_service *service = service_of(world, "web");

	service->model.external_local = true;
	service->endpoints[1].local = true;
	world->health[2] = PLAN_HEALTH_DOWN;
	world_sync(world);
	assert_int_not_equal(ring(world, 1), 0);
	assert_int_equal(world->maps.rings[LB_RING_INDEX(1, LB_SCOPE_LOCAL)], 0);
	assert_int_equal(world->maps.services[1].flags &
				 (LB_SERVICE_F_UNHEALTHY | LB_SERVICE_F_UNHEALTHY_LOCAL),
			 LB_SERVICE_F_UNHEALTHY_LOCAL);
}

static void drained_address_is_drained_in_every_service(void **state)
{
	struct world *world = *state;

	service_of(world, "web");
	world_sync(world);
	drain(world, 1, "10.0.0.2", LB_BACKEND_F_DRAIN_ADDR);
	assert_int_equal(slots(world, 1, "10.0.0.2"), 0);
	assert_int_equal(backend(world, 1, "10.0.0.2")->state, LB_BACKEND_ACTIVE);
	/* A service that comes later, too. */
	world_endpoint(service_of(world, "zoo"), "10.0.0.2", 9090)->uid = "two";
	world_sync(world);
	assert_int_equal(slots(world, 2, "10.0.0.2"), 0);
	assert_int_equal(world_slots(world, 2, world_backend_id(world, 2, "10.0.0.2", 9090)), 0);
	assert_int_not_equal(slots(world, 2, "10.0.0.1"), 0);
	assert_true(plan_is_empty(world_sync(world)));
}

static void drained_port_leaves_the_others_alone(void **state)
{
	struct world *world = *state;

	world_endpoint(service_of(world, "web"), "10.0.0.2", 9090)->uid = "two";
	world_sync(world);
	drain(world, 1, "10.0.0.2", LB_BACKEND_F_DRAIN);
	assert_int_equal(slots(world, 1, "10.0.0.2"), 0);
	assert_int_not_equal(world_slots(world, 1, world_backend_id(world, 1, "10.0.0.2", 9090)),
			     0);
}

static void another_pod_at_the_address_is_not_drained(void **state)
{
	struct world *world = *state;
	struct world_service *service = service_of(world, "web");

	world_sync(world);
	drain(world, 1, "10.0.0.2", LB_BACKEND_F_DRAIN_ADDR);
	service->endpoints[1].uid = "four";
	world_sync(world);
	assert_int_not_equal(slots(world, 1, "10.0.0.2"), 0);
	assert_int_equal(backend(world, 1, "10.0.0.2")->flags, LB_BACKEND_F_CLUSTER);
	/* And the pod of before, were it to come back. */
	service->endpoints[1].uid = "two";
	world_sync(world);
	assert_int_not_equal(slots(world, 1, "10.0.0.2"), 0);
}

static void drain_ends_with_the_last_slice_that_has_the_pod(void **state)
{
	struct world *world = *state;

	service_of(world, "web");
	service_of(world, "zoo");
	world_sync(world);
	drain(world, 1, "10.0.0.2", LB_BACKEND_F_DRAIN_ADDR);
	world_endpoint_remove(&world->services[0], "10.0.0.2", 8080);
	world_sync(world);
	assert_int_equal(slots(world, 2, "10.0.0.2"), 0); /* still in one */
	world_endpoint_remove(&world->services[1], "10.0.0.2", 8080);
	world_sync(world);
	world_endpoint(&world->services[0], "10.0.0.2", 8080)->uid = "two";
	world_sync(world);
	assert_int_not_equal(slots(world, 1, "10.0.0.2"), 0);
}

/* A slice that can't be read says nothing about its endpoints. */
static void drain_outlives_a_slice_that_cannot_be_read(void **state)
{
	struct world *world = *state;

	service_of(world, "web");
	world_sync(world);
	drain(world, 1, "10.0.0.2", LB_BACKEND_F_DRAIN_ADDR);
	world_endpoint_remove(&world->services[0], "10.0.0.1", 8080);
	world_endpoint_remove(&world->services[0], "10.0.0.2", 8080);
	world->refusals[world->nrefusals++] = (struct model_refusal){.where = "f:1",
								     .kind = "EndpointSlice",
								     .namespace = "a",
								     .name = "web",
								     .object = "web-1",
								     .reason = "broken",
								     .keep = true};
	world_sync(world);
	assert_int_equal(backend(world, 1, "10.0.0.2")->state, LB_BACKEND_ACTIVE);
	assert_int_equal(slots(world, 1, "10.0.0.2"), 0);
	assert_int_not_equal(slots(world, 1, "10.0.0.1"), 0);
	world->nrefusals = 0;
	world_endpoint(&world->services[0], "10.0.0.2", 8080)->uid = "two";
	world_sync(world);
	assert_int_equal(slots(world, 1, "10.0.0.2"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(endpoint_that_is_down_gets_no_new_flows),
		TEST(unknown_health_is_what_it_was),
		TEST(without_a_fit_endpoint_the_service_says_so),
		TEST(local_ring_says_so_for_itself),
		TEST(drained_address_is_drained_in_every_service),
		TEST(drained_port_leaves_the_others_alone),
		TEST(another_pod_at_the_address_is_not_drained),
		TEST(drain_ends_with_the_last_slice_that_has_the_pod),
		TEST(drain_outlives_a_slice_that_cannot_be_read),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
