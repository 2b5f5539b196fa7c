/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* 10,000 services of 10 endpoints: a plan is quick, and quicker where nothing
 * changed. */
#include <stdio.h>
#include <time.h>

#include "plan_world.h"

#define SERVICES 10000
#define ENDPOINTS 10

struct large {
	struct snapshot wanted;
	struct plan_frontend *frontends; /* in the maps */
	size_t nfrontends;
};

static struct plan_hop next_hop(void *arg, const struct addr *addr)
{
	(void)arg;
	return (struct plan_hop){.next_hop = LB_NEXT_HOP(1, addr->bytes[3])};
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void large_make(struct large *large)
{
	struct model_service *services = calloc(SERVICES, sizeof(*services));

	memset(large, 0, sizeof(*large));
	for (uint32_t i = 0; i < SERVICES; i++) {
		struct model_frontend *frontends = calloc(2, sizeof(*frontends));
		struct model_endpoint *endpoints = calloc(ENDPOINTS, sizeof(*endpoints));
		char *name;

		assert_int_not_equal(asprintf(&name, "service-%05u", i), -1);
		frontends[0] = (struct model_frontend){
			.addr = {.family = 4, .bytes = {10, 96, i >> 8, i}},
			.port = 80,
		};
		frontends[1] = (struct model_frontend){
			.kind = FRONTEND_NODE_PORT,
			.addr = {.family = 4, .bytes = {10, 200, 0, 1}},
			.port = 30000 + i,
		};
		for (uint32_t k = 0; k < ENDPOINTS; k++) {
			uint32_t n = i * ENDPOINTS + k;

			endpoints[k] = (struct model_endpoint){
				.addr = {.family = 4, .bytes = {10, n >> 16, n >> 8, n}},
				.port = 8080,
				.weight = 100,
				.ready = true,
				.serving = true,
				.node = "",
				.pod = "",
				.uid = "",
			};
		}
		services[i] = (struct model_service){
			.namespace = "default",
			.name = name,
			.port_name = "http",
			.created = "",
			.family = 4,
			.protocol = 6,
			.port = 80,
			.frontends = frontends,
			.nfrontends = 2,
			.endpoints = endpoints,
			.nendpoints = ENDPOINTS,
		};
	}
	large->wanted.services = services;
	large->wanted.nservices = SERVICES;
}

static void large_free(struct large *large)
{
	for (size_t i = 0; i < SERVICES; i++) {
		free((char *)large->wanted.services[i].name);
		free(large->wanted.services[i].frontends);
		free(large->wanted.services[i].endpoints);
	}
	free(large->wanted.services);
	free(large->frontends);
}

static struct plan *large_plan(const struct large *large, const struct world *world,
			       const char *what, double *ret_ms)
{
	struct applied applied = world_applied(world);
	struct plan_options options = {.now_ticks = 1, .linger_ticks = 30, .next_hop = next_hop};
	double started = now_ms();
	struct plan *plan;

	applied.frontends = large->frontends;
	applied.nfrontends = large->nfrontends;
	assert_int_equal(plan_make(&large->wanted, &applied, &options, &plan), 0);
	*ret_ms = now_ms() - started;
	print_message("# %u services of %u endpoints, %s: planned in %.1f ms\n", SERVICES,
		      ENDPOINTS, what, *ret_ms);
	return plan;
}

/* The world's list of frontends isn't made for so many: they are taken over by
 * the test. */
static void large_apply(struct large *large, struct world *world, struct plan *plan)
{
	struct error error;

	if (plan->nfrontends) {
		large->frontends = plan->frontends;
		large->nfrontends = plan->nfrontends;
		plan->frontends = NULL;
		plan->nfrontends = 0;
	}
	assert_int_equal(apply_plan(&world->maps, plan, &error), 0);
}

static void plans_of_10000_services_are_quick(void **state)
{
	struct world *world = world_new((struct world_limits){16384, 131072, 32768, 1300000});
	struct large large;
	struct plan *plan;
	double ms;

	(void)state;
	large_make(&large);
	plan = large_plan(&large, world, "all new", &ms);
	assert_int_equal(plan->nrings, SERVICES);
	assert_int_equal(plan->nbackends, SERVICES * ENDPOINTS);
	assert_int_equal(plan->nfrontends, 2 * SERVICES);
	assert_int_equal(plan->nrefusals, 0);
	assert_true(ms < 1000);
	large_apply(&large, world, plan);
	plan_free(plan);

	plan = large_plan(&large, world, "nothing changed", &ms);
	assert_true(plan_is_empty(plan));
	assert_true(ms < 500);
	plan_free(plan);

	large.wanted.services[5000].endpoints[3].weight = 50;
	plan = large_plan(&large, world, "one weight changed", &ms);
	assert_int_equal(plan->nbackends, 1);
	assert_int_equal(plan->nrings, 1);
	assert_int_equal(plan->nservices, 1);
	assert_true(ms < 500);
	plan_free(plan);

	for (uint32_t i = 0; i < SERVICES; i++)
		large.wanted.services[i].nendpoints--;
	plan = large_plan(&large, world, "one endpoint less each", &ms);
	assert_int_equal(plan->nrings, SERVICES);
	assert_int_equal(plan->nrefusals, 0);
	assert_true(ms < 1000);
	plan_free(plan);

	large_free(&large);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_of_10000_services_are_quick),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
