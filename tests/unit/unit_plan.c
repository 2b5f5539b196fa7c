/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a plan wants for which change; it is applied for the next step of a test. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

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

static const struct lb_backend *backend(const struct world *world, uint32_t id)
{
	assert_int_not_equal(id, 0);
	return &world->maps.backends[id];
}

static uint64_t ring(const struct world *world, uint32_t service)
{
	return world->maps.rings[LB_RING_INDEX(service, LB_SCOPE_CLUSTER)];
}

/* a/web:http with three endpoints 10.0.0.1-3:8080 and a ClusterIP. */
static struct world_service *web(struct world *world)
{
	struct world_service *service = world_service(world, "a", "web", "http");

	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_endpoint(service, "10.0.0.1", 8080);
	world_endpoint(service, "10.0.0.2", 8080);
	world_endpoint(service, "10.0.0.3", 8080);
	return service;
}

/* ---- the whole and nothing ------------------------------------------------ */

static void first_plan_makes_all_of_a_service(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	const struct plan *plan = world_sync(world);
	uint32_t id = world_service_id(world, service);

	assert_int_equal(plan->nservices, 1);
	assert_int_equal(plan->nbackends, 3);
	assert_int_equal(plan->nrings, 1);
	assert_int_equal(plan->nfrontends, 1);
	assert_int_equal(plan->nrefusals, 0);
	assert_int_equal(plan->due_ticks, 0);
	assert_int_equal(world->maps.services[id].port, htons(80));
	assert_string_equal(world->maps.service_names[id].port_name, "http");
	assert_int_equal(LB_RING_SLOTS(ring(world, id)), 1021);
	for (uint32_t i = 1; i <= 3; i++) {
		char addr[] = "10.0.0.x";
		uint32_t b;

		addr[7] = '0' + i;
		b = world_backend_id(world, id, addr, 8080);
		assert_int_equal(backend(world, b)->state, LB_BACKEND_ACTIVE);
		assert_int_equal(backend(world, b)->next_hop, world->hops[i]);
		assert_int_equal(backend(world, b)->weight, 100);
		assert_in_range(world_slots(world, id, b), 340, 341);
	}
}

static void nothing_changed_plans_nothing(void **state)
{
	struct world *world = *state;

	web(world);
	assert_false(plan_is_empty(world_sync(world)));
	assert_true(plan_is_empty(world_plan(world)));
	world->now += 1000000;
	assert_true(plan_is_empty(world_plan(world)));
}

static void empty_wish_for_empty_maps_plans_nothing(void **state)
{
	assert_true(plan_is_empty(world_plan(*state)));
}

static void services_differ_by_port_name_protocol_and_family(void **state)
{
	struct world *world = *state;
	struct world_service *services[4];

	for (int i = 0; i < 4; i++)
		services[i] = world_service(world, "a", "dns", i == 1 ? "dns2" : "dns");
	services[2]->model.protocol = IPPROTO_UDP;
	services[3]->model.family = 6;
	world_sync(world);
	for (int i = 0; i < 4; i++) {
		assert_int_not_equal(world_service_id(world, services[i]), 0);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(world_service_id(world, services[i]),
					     world_service_id(world, services[j]));
	}
}

static void service_port_may_change_its_number(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	uint32_t id;

	world_sync(world);
	id = world_service_id(world, service);
	service->model.port = 8000;
	service->frontends[0].port = 8000;
	assert_int_equal(world_sync(world)->nrings, 0);
	assert_int_equal(world_service_id(world, service), id);
	assert_int_equal(world->maps.services[id].port, htons(8000));
	assert_null(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP));
	assert_non_null(world_frontend_find(world, "10.96.0.1", 8000, IPPROTO_TCP));
}

/* ---- backends come and go ------------------------------------------------- */

static void backend_of_no_slice_lingers_and_is_freed(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	uint32_t id, b;
	uint16_t generation;

	world_sync(world);
	id = world_service_id(world, service);
	b = world_backend_id(world, id, "10.0.0.2", 8080);
	generation = backend(world, b)->generation;

	world_endpoint_remove(service, "10.0.0.2", 8080);
	assert_int_equal(world_sync(world)->due_ticks, world->now + 30);
	assert_int_equal(backend(world, b)->state, LB_BACKEND_GONE);
	assert_int_equal(backend(world, b)->gone_ticks, world->now);
	assert_int_equal(backend(world, b)->generation, generation);
	assert_int_equal(world_slots(world, id, b), 0);

	world->now += 29;
	assert_true(plan_is_empty(world_plan(world)));
	world->now += 1;
	assert_int_equal(world_sync(world)->due_ticks, 0);
	assert_int_equal(backend(world, b)->state, LB_BACKEND_FREE);
	assert_int_equal(backend(world, b)->generation, generation + 1);
}

static void due_is_the_end_of_the_earliest_linger(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_sync(world);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_sync(world);
	world->now += 10;
	world_endpoint_remove(service, "10.0.0.2", 8080);
	assert_int_equal(world_sync(world)->due_ticks, world->now + 20);
	assert_int_equal(world_plan(world)->due_ticks, world->now + 20);
}

static void gone_ticks_are_never_0(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	uint32_t b;

	world->now = 0;
	world->linger = 0;
	world_sync(world);
	b = world_backend_id(world, 1, "10.0.0.1", 8080);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_sync(world);
	assert_int_equal(backend(world, b)->gone_ticks, 1);
	assert_true(plan_is_empty(world_plan(world))); /* a linger of 0 is a tick */
}

static void gone_backend_that_comes_back_has_its_id_again(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	struct lb_backend before;
	uint32_t id, b;

	world_sync(world);
	id = world_service_id(world, service);
	b = world_backend_id(world, id, "10.0.0.2", 8080);
	before = *backend(world, b);
	world_endpoint_remove(service, "10.0.0.2", 8080);
	world_sync(world);
	world->now += 29;
	world_endpoint(service, "10.0.0.2", 8080);
	world_sync(world);
	assert_memory_equal(backend(world, b), &before, sizeof(before));
	assert_in_range(world_slots(world, id, b), 340, 341);
}

static void freed_id_is_not_for_the_plan_that_frees_it(void **state)
{
	struct world *world = world_new((struct world_limits){8, 4, 8, 1024});
	struct world_service *service = web(world);

	(void)state;
	world_sync(world); /* ids 1-3 are taken, and there are no more */
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_endpoint(service, "10.0.0.4", 8080);
	world_sync(world);
	assert_int_equal(world_refused(world, "1 of 3 endpoints left out: all 3 backend ids"), 1);
	world->now += 30;
	world_sync(world);
	assert_int_equal(world_backend_id(world, 1, "10.0.0.4", 8080), 0);
	assert_int_equal(world->plan->due_ticks, world->now + 1);
	world->now += 1;
	world_sync(world);
	assert_int_equal(world_backend_id(world, 1, "10.0.0.4", 8080), 1);
	assert_int_equal(world->plan->nrefusals, 0);
	world_free(world);
}

static void new_backend_gets_an_id_behind_all_others(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_sync(world);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_sync(world);
	world->now += 30;
	world_sync(world);
	world_endpoint(service, "10.0.0.9", 8080);
	world_sync(world);
	assert_int_equal(world_backend_id(world, 1, "10.0.0.9", 8080), 4);
}

static void one_address_with_two_ports_is_two_backends(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_endpoint(service, "10.0.0.1", 9090);
	world_sync(world);
	assert_int_not_equal(world_backend_id(world, 1, "10.0.0.1", 8080),
			     world_backend_id(world, 1, "10.0.0.1", 9090));
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_sync(world);
	assert_int_equal(backend(world, world_backend_id(world, 1, "10.0.0.1", 8080))->state,
			 LB_BACKEND_GONE);
	assert_int_equal(backend(world, world_backend_id(world, 1, "10.0.0.1", 9090))->state,
			 LB_BACKEND_ACTIVE);
}

static void services_do_not_share_backends(void **state)
{
	struct world *world = *state;
	struct world_service *other;

	web(world);
	other = world_service(world, "a", "other", "");
	world_endpoint(other, "10.0.0.1", 8080);
	world_sync(world);
	assert_int_not_equal(world_backend_id(world, 1, "10.0.0.1", 8080),
			     world_backend_id(world, 2, "10.0.0.1", 8080));
}

/* ---- services come and go ------------------------------------------------- */

static void deleted_service_lingers_with_its_backends(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	uint32_t id;

	world_sync(world);
	id = world_service_id(world, service);
	world_clear(world);
	world_sync(world);
	assert_int_equal(world->nfrontends, 0);
	assert_int_equal(ring(world, id), 0);
	assert_int_equal(world->maps.services[id].ring_digest[LB_SCOPE_CLUSTER], 0);
	assert_int_equal(world_service_id(world, service), id);
	assert_int_equal(backend(world, 1)->state, LB_BACKEND_GONE);

	world->now += 30;
	world_sync(world);
	assert_int_equal(world_service_id(world, service), 0);
	assert_int_equal(world->maps.services[id].flags, 0);
	assert_true(plan_is_empty(world_plan(world)));
}

static void deleted_service_that_comes_back_has_its_ids_again(void **state)
{
	struct world *world = *state;
	uint64_t old_ring;

	web(world);
	world_sync(world);
	old_ring = ring(world, 1);
	world_clear(world);
	world_sync(world);
	web(world);
	world_sync(world);
	assert_int_equal(world->maps.services[1].flags, LB_SERVICE_F_USED | LB_SERVICE_F_ENDPOINTS);
	assert_int_equal(world_backend_id(world, 1, "10.0.0.1", 8080), 1);
	assert_int_equal(backend(world, 1)->state, LB_BACKEND_ACTIVE);
	assert_int_equal(ring(world, 1), old_ring);
	assert_non_null(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP));
}

static void deleted_service_without_backends_is_freed_at_once(void **state)
{
	struct world *world = *state;
	struct world_service *service = world_service(world, "a", "empty", "");

	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_sync(world);
	assert_int_not_equal(world_service_id(world, service), 0);
	world_clear(world);
	world_sync(world);
	assert_int_equal(world_service_id(world, service), 0);
	assert_int_equal(world->nfrontends, 0);
}

static void backend_without_a_service_lingers_and_keeps_its_service_id_taken(void **state)
{
	struct world *world = *state;
	struct world_service *service;

	world->maps.backends[5] =
		(struct lb_backend){.service = 1, .family = 4, .state = LB_BACKEND_ACTIVE};
	world->maps.backends[6] =
		(struct lb_backend){.service = 12345, .family = 4, .state = LB_BACKEND_ACTIVE};
	service = web(world);
	world_sync(world);
	assert_int_equal(world_service_id(world, service), 2);
	assert_int_equal(backend(world, 5)->state, LB_BACKEND_GONE);
	assert_int_equal(backend(world, 6)->state, LB_BACKEND_GONE);
	world->now += 30;
	world_sync(world);
	assert_int_equal(backend(world, 5)->state, LB_BACKEND_FREE);
	assert_int_equal(backend(world, 6)->state, LB_BACKEND_FREE);
}

static void service_with_a_name_too_long_is_refused(void **state)
{
	struct world *world = *state;
	char name[65];

	memset(name, 'x', 64);
	name[64] = '\0';
	web(world);
	world_service(world, "a", name, "");
	world_sync(world);
	assert_int_equal(world_refused(world, "longer than 63"), 1);
	assert_int_equal(world->plan->nservices, 1);
}

/* ---- limits --------------------------------------------------------------- */

static void services_beyond_the_limit_are_refused_and_the_others_work(void **state)
{
	struct world *world = world_new((struct world_limits){3, 64, 8, 1024});
	struct world_service *kept;

	(void)state;
	kept = world_service(world, "z", "old", "");
	world_sync(world);
	world_service(world, "a", "new1", "");
	world_service(world, "a", "new2", "");
	world_frontend(&world->services[2], FRONTEND_CLUSTER_IP, "10.96.0.2", 80);
	world_sync(world);
	assert_int_equal(world_refused(world, "all 2 service ids are taken"), 1);
	assert_string_equal(world->plan->refusals[0].service->name, "new2");
	assert_int_equal(world_service_id(world, kept), 1);
	assert_int_equal(world_service_id(world, &world->services[1]), 2);
	assert_int_equal(world->nfrontends, 0);
	assert_true(plan_is_empty(world_plan(world)));
	assert_int_equal(world->plan->due_ticks, 0);
	world_free(world);
}

static void endpoints_beyond_the_limit_are_left_out_and_told(void **state)
{
	struct world *world = world_new((struct world_limits){8, 5, 8, 1024});
	struct world_service *late;

	(void)state;
	web(world);
	late = world_service(world, "b", "late", "");
	world_endpoint(late, "10.0.0.7", 80);
	world_endpoint(late, "10.0.0.8", 80);
	world_sync(world);
	assert_int_equal(world_refused(world, "1 of 2 endpoints left out: all 4 backend ids"), 1);
	assert_int_equal(world->plan->nrefusals, 1);
	assert_string_equal(world->plan->refusals[0].service->name, "late");
	assert_int_equal(world_slots(world, 2, 4), 1021);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(first_plan_makes_all_of_a_service),
		TEST(nothing_changed_plans_nothing),
		TEST(empty_wish_for_empty_maps_plans_nothing),
		TEST(services_differ_by_port_name_protocol_and_family),
		TEST(service_port_may_change_its_number),
		TEST(backend_of_no_slice_lingers_and_is_freed),
		TEST(due_is_the_end_of_the_earliest_linger),
		TEST(gone_ticks_are_never_0),
		TEST(gone_backend_that_comes_back_has_its_id_again),
		TEST(freed_id_is_not_for_the_plan_that_frees_it),
		TEST(new_backend_gets_an_id_behind_all_others),
		TEST(one_address_with_two_ports_is_two_backends),
		TEST(services_do_not_share_backends),
		TEST(deleted_service_lingers_with_its_backends),
		TEST(deleted_service_that_comes_back_has_its_ids_again),
		TEST(deleted_service_without_backends_is_freed_at_once),
		TEST(backend_without_a_service_lingers_and_keeps_its_service_id_taken),
		TEST(service_with_a_name_too_long_is_refused),
		TEST(services_beyond_the_limit_are_refused_and_the_others_work),
		TEST(endpoints_beyond_the_limit_are_left_out_and_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
