/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Who has which frontend, and what stays while something is refused. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "plan_world.h"

#define OLD "2024-01-01T00:00:00Z"
#define NEW "2025-01-01T00:00:00Z"

static int setup(void **state)
{
	*state = world_new((struct world_limits){32, 256, 4, 8192});
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static struct world_service *service_made(struct world *world, const char *name,
					  const char *created)
{
	struct world_service *service = world_service(world, "a", name, "");

	service->model.created = created;
	return service;
}

/* The service has the frontend ADDR:80. */
static bool has(const struct world *world, const struct world_service *service, const char *addr)
{
	const struct lb_frontend *frontend = world_frontend_find(world, addr, 80, IPPROTO_TCP);
	uint32_t id = world_service_id(world, service);

	return id && frontend && frontend->service == id;
}

/* ---- kinds and claims ----------------------------------------------------- */

static void flags_tell_the_kind_of_a_frontend(void **state)
{
	struct world *world = *state;
	struct world_service *service = service_made(world, "web", "");

	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_frontend(service, FRONTEND_NODE_PORT, "10.200.0.1", 30080);
	world_frontend(service, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_frontend(service, FRONTEND_LOAD_BALANCER, "192.0.2.2", 80);
	world_sync(world);
	assert_int_equal(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP)->flags, 0);
	assert_int_equal(world_frontend_find(world, "10.200.0.1", 30080, IPPROTO_TCP)->flags,
			 LB_FRONTEND_F_EXTERNAL | LB_FRONTEND_F_NODEPORT);
	assert_int_equal(world_frontend_find(world, "192.0.2.1", 80, IPPROTO_TCP)->flags,
			 LB_FRONTEND_F_EXTERNAL);
	assert_int_equal(world_frontend_find(world, "192.0.2.2", 80, IPPROTO_TCP)->flags,
			 LB_FRONTEND_F_EXTERNAL);
}

static void frontend_that_changes_its_kind_is_written_anew(void **state)
{
	struct world *world = *state;
	struct world_service *service = service_made(world, "web", "");

	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_sync(world);
	service->frontends[0].kind = FRONTEND_EXTERNAL_IP;
	world_sync(world);
	assert_int_equal(world->plan->nfrontends, 1);
	assert_int_equal(world->plan->nfrontends_deleted, 1);
	assert_int_equal(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP)->flags,
			 LB_FRONTEND_F_EXTERNAL);
}

static void service_may_name_a_frontend_twice(void **state)
{
	struct world *world = *state;
	struct world_service *service = service_made(world, "web", "");

	world_frontend(service, FRONTEND_NODE_PORT, "10.200.0.1", 80);
	world_frontend(service, FRONTEND_EXTERNAL_IP, "10.200.0.1", 80);
	world_sync(world);
	assert_int_equal(world->nfrontends, 1);
	assert_int_equal(world->plan->nrefusals, 0);
	assert_true(plan_is_empty(world_plan(world)));
}

static void same_port_of_another_protocol_is_another_frontend(void **state)
{
	struct world *world = *state;
	struct world_service *tcp = service_made(world, "dns", "");
	struct world_service *udp = service_made(world, "dns", "");

	udp->model.protocol = IPPROTO_UDP;
	world_frontend(tcp, FRONTEND_CLUSTER_IP, "10.96.0.10", 53);
	world_frontend(udp, FRONTEND_CLUSTER_IP, "10.96.0.10", 53);
	world_sync(world);
	assert_int_equal(world->nfrontends, 2);
	assert_int_equal(world->plan->nrefusals, 0);
}

static void disputed_frontend_is_the_older_services(void **state)
{
	struct world *world = *state;
	struct world_service *young = service_made(world, "a", NEW);
	struct world_service *old = service_made(world, "b", OLD);
	struct world_service *unset = service_made(world, "c", "");

	world_frontend(unset, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_frontend(young, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_frontend(young, FRONTEND_EXTERNAL_IP, "192.0.2.2", 80);
	world_frontend(old, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_sync(world);
	assert_true(has(world, old, "192.0.2.1"));
	assert_true(has(world, young, "192.0.2.2")); /* the loser's other one works */
	assert_int_equal(world_refused(world, "192.0.2.1:80/TCP belongs to a/b, which comes first"),
			 2);
	assert_true(plan_is_empty(world_plan(world)));

	old->model.nfrontends = 0; /* the next in line gets it */
	world_sync(world);
	assert_true(has(world, young, "192.0.2.1"));
	assert_int_equal(world_refused(world, "belongs to a/a"), 1);
}

static void older_service_takes_a_frontend_over(void **state)
{
	struct world *world = *state;
	struct world_service *young = service_made(world, "a", NEW), *old;

	world_frontend(young, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_sync(world);
	old = service_made(world, "b", OLD);
	world_frontend(old, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_sync(world);
	assert_true(has(world, old, "192.0.2.1"));
	assert_int_equal(world->plan->nfrontends, 1);
	assert_int_equal(world->plan->nfrontends_deleted, 1);
}

static void names_decide_between_services_of_one_age(void **state)
{
	struct world *world = *state;
	struct world_service *b = service_made(world, "b", OLD);
	struct world_service *a = service_made(world, "a", OLD);

	world_frontend(b, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_frontend(a, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_sync(world);
	assert_true(has(world, a, "192.0.2.1"));
}

static void frontends_beyond_the_limit_are_left_out_and_told(void **state)
{
	struct world *world = *state; /* at most 4 of a family */
	struct world_service *first = service_made(world, "a", ""), *second, *v6;

	world_frontend(first, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_frontend(first, FRONTEND_CLUSTER_IP, "10.96.0.2", 80);
	world_sync(world);
	second = service_made(world, "b", "");
	world_frontend(second, FRONTEND_CLUSTER_IP, "10.96.0.3", 80);
	world_frontend(second, FRONTEND_CLUSTER_IP, "10.96.0.4", 80);
	world_frontend(second, FRONTEND_CLUSTER_IP, "10.96.0.5", 80);
	v6 = service_made(world, "c", "");
	v6->model.family = 6;
	world_frontend(v6, FRONTEND_CLUSTER_IP, "fd00::1", 80);
	world_sync(world);
	assert_int_equal(world->nfrontends, 5);
	assert_true(has(world, first, "10.96.0.1") && has(world, first, "10.96.0.2"));
	assert_true(has(world, v6, "fd00::1"));
	assert_int_equal(world_refused(world, "1 of 3 addresses left out: all 4 frontends"), 1);
	assert_string_equal(world->plan->refusals[0].service->name, "b");
	assert_true(plan_is_empty(world_plan(world)));

	first->model.nfrontends = 0; /* makes room within the same plan */
	world_sync(world);
	assert_int_equal(world->plan->nrefusals, 0);
	assert_true(has(world, second, "10.96.0.5"));
}

static void full_table_lets_frontends_change_hands(void **state)
{
	struct world *world = *state;
	struct world_service *young = service_made(world, "b", NEW), *old;
	static const char *const addrs[] = {"10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4"};

	for (int i = 0; i < 4; i++)
		world_frontend(young, FRONTEND_EXTERNAL_IP, addrs[i], 80);
	world_sync(world);
	old = service_made(world, "a", OLD);
	world_frontend(old, FRONTEND_EXTERNAL_IP, "10.96.0.0", 80); /* has no room */
	for (int i = 0; i < 4; i++)
		world_frontend(old, FRONTEND_EXTERNAL_IP, addrs[i], 80);
	world_sync(world);
	for (int i = 0; i < 4; i++)
		assert_true(has(world, old, addrs[i]));
	assert_int_equal(world_refused(world, "1 of 5 addresses left out"), 1);
}

static void frontend_of_a_service_that_is_not_there_is_deleted(void **state)
{
	struct world *world = *state;

	world->frontends[world->nfrontends++] = (struct plan_frontend){
		.addr = {.family = 4, .bytes = {10, 96, 0, 1}},
		.port = htons(80),
		.protocol = IPPROTO_TCP,
		.value.service = 999999,
	};
	world_sync(world);
	assert_int_equal(world->nfrontends, 0);
}

/* ---- refusals that keep --------------------------------------------------- */

/* a/web and b/db, each with two endpoints and a ClusterIP, in the maps. */
static void two_services(struct world *world)
{
	struct world_service *web = world_service(world, "a", "web", "http");
	struct world_service *db = world_service(world, "b", "db", "");

	world_frontend(web, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_frontend(db, FRONTEND_CLUSTER_IP, "10.96.0.2", 80);
	world_endpoint(web, "10.0.0.1", 8080);
	world_endpoint(web, "10.0.0.2", 8080);
	world_endpoint(db, "10.0.0.3", 5432);
	world_endpoint(db, "10.0.0.4", 5432);
	world_sync(world);
	assert_true(plan_is_empty(world_plan(world)));
}

static void refused_service_stays_as_it_is(void **state)
{
	struct world *world = *state;

	two_services(world);
	world_clear(world);
	world_refusal(world, "Service", "a", "web");
	world_sync(world);
	/* b/db is gone, a/web is not. */
	assert_int_equal(world->nfrontends, 1);
	assert_int_equal(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP)->service, 1);
	assert_int_equal(world_slots(world, 1, 1) + world_slots(world, 1, 2), 1021);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->maps.backends[3].state, LB_BACKEND_GONE);
	assert_int_equal(world->maps.rings[LB_RING_INDEX(2, LB_SCOPE_CLUSTER)], 0);
}

static void refused_service_still_follows_its_next_hops(void **state)
{
	struct world *world = *state;

	two_services(world);
	world->nservices = 0;
	world_refusal(world, "Service", "", "");
	world->hops[1] = 0;
	world_sync(world);
	assert_int_equal(world->plan->nbackends, 1);
	assert_int_equal(world->maps.backends[1].next_hop, 0);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->plan->nrings, 0);
}

static void while_nothing_is_known_all_stays_and_follows_its_next_hops(void **state)
{
	struct world *world = *state;

	two_services(world);
	world_clear(world);
	world->unknown = true;
	world->hops[1] = LB_NEXT_HOP(7, 0);
	world->now += 1000;
	world_sync(world);
	assert_int_equal(world->plan->nbackends, 1);
	assert_int_equal(world->maps.backends[1].next_hop, LB_NEXT_HOP(7, 0));
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->nfrontends, 2);
	assert_int_equal(world->plan->nrings, 0);
	world->unknown = false;
	world_sync(world);
	assert_int_equal(world->nfrontends, 0);
}

static void lingering_backend_of_a_refused_service_is_not_freed(void **state)
{
	struct world *world = *state;

	two_services(world);
	world_endpoint_remove(&world->services[0], "10.0.0.1", 8080);
	world_sync(world);
	world_clear(world);
	world_refusal(world, "Service", "", "");
	world->now += 1000;
	assert_true(plan_is_empty(world_plan(world)));
	assert_int_equal(world->plan->due_ticks, 0);
}

static void service_that_is_known_changes_whatever_is_refused(void **state)
{
	struct world *world = *state;
	struct world_service *web = &world->services[0];

	two_services(world);
	world_refusal(world, "Service", "a", "web");
	world_endpoint_remove(web, "10.0.0.1", 8080);
	web->model.nfrontends = 0;
	world_sync(world);
	assert_null(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP));
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_GONE);
}

static void frontend_of_a_refused_service_is_not_given_away(void **state)
{
	struct world *world = *state;
	struct world_service *thief;

	two_services(world);
	world_clear(world);
	world_refusal(world, "Service", "a", "web");
	thief = service_made(world, "thief", OLD);
	world_frontend(thief, FRONTEND_EXTERNAL_IP, "10.96.0.1", 80);
	world_sync(world);
	assert_false(has(world, thief, "10.96.0.1"));
	assert_int_equal(world_refused(world, "10.96.0.1:80/TCP belongs to a/web:http, which "
					      "stays as it is"),
			 1);
}

static void refusal_that_keeps_nothing_deletes_as_usual(void **state)
{
	struct world *world = *state;

	two_services(world);
	world_clear(world);
	world_refusal(world, "Service", "a", "web");
	world->refusals[0].keep = false;
	world_sync(world);
	assert_int_equal(world->nfrontends, 0);
}

static void refused_service_without_a_name_keeps_those_that_vanish(void **state)
{
	struct world *world = *state;
	struct world_service *web;

	two_services(world);
	world_clear(world);
	world_refusal(world, "Service", "", "");
	assert_true(plan_is_empty(world_plan(world)));

	/* Those that are there are known: they change as usual. */
	web = world_service(world, "a", "web", "http");
	world_endpoint(web, "10.0.0.1", 8080);
	world_sync(world);
	assert_null(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP));
	assert_int_equal(world->maps.backends[2].state, LB_BACKEND_GONE);
	assert_int_equal(world->maps.backends[3].state, LB_BACKEND_ACTIVE);
	assert_non_null(world_frontend_find(world, "10.96.0.2", 80, IPPROTO_TCP));
}

static void refused_service_of_a_namespace_keeps_those_of_the_namespace(void **state)
{
	struct world *world = *state;

	two_services(world);
	world_clear(world);
	world_refusal(world, "Service", "b", "");
	world_sync(world);
	assert_null(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP));
	assert_non_null(world_frontend_find(world, "10.96.0.2", 80, IPPROTO_TCP));
}

/* ---- refused slices ------------------------------------------------------- */

static void refused_slice_keeps_those_in_the_ring(void **state)
{
	struct world *world = *state;
	struct world_service *web = &world->services[0];

	two_services(world);
	world_refusal(world, "EndpointSlice", "a", "web");
	world_endpoint_remove(web, "10.0.0.1", 8080); /* it was in that slice */
	assert_true(plan_is_empty(world_plan(world)));

	/* What the other slices say is followed. */
	world_endpoint(web, "10.0.0.9", 8080);
	web->endpoints[0].weight = 50;
	web->model.nfrontends = 0;
	world_sync(world);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_ACTIVE);
	assert_in_range(world_slots(world, 1, 1), 408, 409);
	assert_in_range(world_slots(world, 1, 2), 204, 205);
	assert_in_range(world_slots(world, 1, 5), 408, 409);
	assert_null(world_frontend_find(world, "10.96.0.1", 80, IPPROTO_TCP));
	assert_true(plan_is_empty(world_plan(world)));

	/* b/db isn't concerned; and the slice is mended. */
	world->services[1].model.nendpoints = 1;
	world_sync(world);
	assert_int_equal(world->maps.backends[4].state, LB_BACKEND_GONE);
	world->nrefusals = 0;
	world_sync(world);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_GONE);
}

static void refused_slice_does_not_keep_who_left_the_ring_before(void **state)
{
	struct world *world = *state;
	struct world_service *web = &world->services[0];

	two_services(world);
	world_refusal(world, "EndpointSlice", "a", "web");
	web->endpoints[0].ready = false; /* a pod ends as pods do */
	web->endpoints[0].terminating = true;
	world_sync(world);
	assert_int_equal(world_slots(world, 1, 1), 0);
	world_endpoint_remove(web, "10.0.0.1", 8080);
	world_sync(world);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_GONE);
	world->now += 30;
	world_sync(world);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_FREE);
}

static void refused_slice_does_not_keep_who_has_no_device(void **state)
{
	struct world *world = *state;

	two_services(world);
	world_refusal(world, "EndpointSlice", "a", "web");
	world_endpoint_remove(&world->services[0], "10.0.0.1", 8080);
	world->hops[1] = 0;
	world_sync(world);
	assert_int_equal(world_slots(world, 1, 1), 0);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_GONE);
	assert_true(plan_is_empty(world_plan(world)));
}

static void refused_slice_of_no_known_service_may_be_anyones(void **state)
{
	struct world *world = *state;

	two_services(world);
	world_refusal(world, "EndpointSlice", "", "");
	world_endpoint_remove(&world->services[0], "10.0.0.1", 8080);
	world->services[1].model.nendpoints = 0;
	assert_true(plan_is_empty(world_plan(world)));

	/* A Service that is gone is gone. */
	world->nservices = 1;
	world_sync(world);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_ACTIVE);
	assert_int_equal(world->maps.backends[3].state, LB_BACKEND_GONE);
}

static void refused_slice_keeps_no_ring_whose_endpoints_are_all_known(void **state)
{
	struct world *world = *state;
	struct world_service *web = &world->services[0];

	two_services(world);
	world_refusal(world, "EndpointSlice", "", "");
	for (int i = 0; i < 2; i++)
		web->endpoints[i].ready = web->endpoints[i].serving = false;
	world_sync(world);
	assert_int_equal(world->maps.rings[LB_RING_INDEX(1, LB_SCOPE_CLUSTER)], 0);
}

static void service_with_a_refused_slice_is_planned_by_the_others(void **state)
{
	struct world *world = *state;
	struct world_service *web = world_service(world, "a", "web", "http");

	world_endpoint(web, "10.0.0.1", 8080);
	world_refusal(world, "EndpointSlice", "a", "web");
	world_sync(world);
	assert_int_equal(world_slots(world, 1, 1), 1021);
	assert_true(plan_is_empty(world_plan(world)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(flags_tell_the_kind_of_a_frontend),
		TEST(frontend_that_changes_its_kind_is_written_anew),
		TEST(service_may_name_a_frontend_twice),
		TEST(same_port_of_another_protocol_is_another_frontend),
		TEST(disputed_frontend_is_the_older_services),
		TEST(older_service_takes_a_frontend_over),
		TEST(names_decide_between_services_of_one_age),
		TEST(frontends_beyond_the_limit_are_left_out_and_told),
		TEST(full_table_lets_frontends_change_hands),
		TEST(frontend_of_a_service_that_is_not_there_is_deleted),
		TEST(refused_service_stays_as_it_is),
		TEST(refused_service_still_follows_its_next_hops),
		TEST(while_nothing_is_known_all_stays_and_follows_its_next_hops),
		TEST(lingering_backend_of_a_refused_service_is_not_freed),
		TEST(service_that_is_known_changes_whatever_is_refused),
		TEST(frontend_of_a_refused_service_is_not_given_away),
		TEST(refusal_that_keeps_nothing_deletes_as_usual),
		TEST(refused_service_without_a_name_keeps_those_that_vanish),
		TEST(refused_service_of_a_namespace_keeps_those_of_the_namespace),
		TEST(refused_slice_keeps_those_in_the_ring),
		TEST(refused_slice_does_not_keep_who_left_the_ring_before),
		TEST(refused_slice_does_not_keep_who_has_no_device),
		TEST(refused_slice_of_no_known_service_may_be_anyones),
		TEST(refused_slice_keeps_no_ring_whose_endpoints_are_all_known),
		TEST(service_with_a_refused_slice_is_planned_by_the_others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
