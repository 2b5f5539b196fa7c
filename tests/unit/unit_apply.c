/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* In which order a plan is carried out, and what a failure leaves behind. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "plan_world.h"

/* What was called, "insert delete quiesce ..." (what keeps books aside); the call to fail or to die at. */
struct trace {
	char text[256];
	const char *fails, *dies;
	jmp_buf death;
};

static int record(struct world *world, const char *call)
{
	struct trace *trace = world->step_data;

	if (strcmp(call, "counters_fold") && strcmp(call, "filter_tidy")) {
		strcat(trace->text, *trace->text ? " " : "");
		strcat(trace->text, call);
	}
	if (trace->dies && !strcmp(call, trace->dies))
		longjmp(trace->death, 1);
	return trace->fails && !strcmp(call, trace->fails) ? -EIO : 0;
}

static int setup(void **state)
{
	struct world *world = world_new((struct world_limits){32, 256, 4, 8192});

	world->step = record;
	world->step_data = calloc(1, sizeof(struct trace));
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	free(world->step_data);
	world_free(world);
	return 0;
}

static struct trace *trace_of(struct world *world)
{
	return world->step_data;
}

/* Sync and give what was called. */
static const char *sync_traced(struct world *world)
{
	struct trace *trace = trace_of(world);

	memset(trace, 0, sizeof(*trace));
	world_sync(world);
	return trace->text;
}

static struct world_service *web(struct world *world)
{
	struct world_service *service = world_service(world, "a", "web", "");

	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	world_endpoint(service, "10.0.0.1", 8080);
	world_endpoint(service, "10.0.0.2", 8080);
	return service;
}

static uint64_t ring(const struct world *world, uint32_t service)
{
	return world->maps.rings[LB_RING_INDEX(service, LB_SCOPE_CLUSTER)];
}

/* ---- waiting for packets -------------------------------------------------- */

static void empty_plan_touches_nothing(void **state)
{
	struct world *world = *state;

	assert_string_equal(sync_traced(world), "");
	assert_false(world->maps.writable);
	web(world);
	sync_traced(world);
	assert_true(world->maps.writable);
	world->maps.writable = false;
	assert_string_equal(sync_traced(world), "");
	assert_false(world->maps.writable);
}

/* Who is in a new range, or in both, is never kept out; who was in an old one alone,
 * no longer than it takes. */
static void ranges_come_before_frontends_that_ask_and_go_after(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_frontend(service, FRONTEND_LOAD_BALANCER, "192.0.2.1", 80);
	world_source(service, "203.0.113.0/24");
	assert_string_equal(sync_traced(world), "source_insert frontend_insert frontend_insert");
	assert_true(prefix_parse("198.51.100.0/24", &service->sources[0]) == 0);
	assert_string_equal(sync_traced(world), "source_insert source_delete");
	service->model.nsources = 0;
	assert_string_equal(sync_traced(world),
			    "frontend_delete frontend_insert quiesce source_delete");
}

static void new_services_wait_for_nobody(void **state)
{
	struct world *world = *state;

	web(world);
	assert_string_equal(sync_traced(world), "frontend_insert");
	world_frontend(&world->services[0], FRONTEND_CLUSTER_IP, "10.96.0.2", 80);
	world_endpoint(world_service(world, "a", "other", ""), "10.0.0.3", 80);
	assert_string_equal(sync_traced(world), "frontend_insert");
}

static void stored_next_hop_waits_for_nobody(void **state)
{
	struct world *world = *state;

	web(world);
	world_sync(world);
	world->hops[1]++;
	assert_string_equal(sync_traced(world), "");
	assert_int_equal(world->maps.backends[1].next_hop, world->hops[1]);
}

static void replaced_rings_are_waited_for_once(void **state)
{
	struct world *world = *state;
	struct world_service *other;

	web(world);
	other = world_service(world, "a", "other", "");
	world_endpoint(other, "10.0.0.3", 80);
	world_endpoint(other, "10.0.0.4", 80);
	world_sync(world);
	world_endpoint_remove(&world->services[0], "10.0.0.1", 8080);
	other->endpoints[0].weight = 7;
	assert_string_equal(sync_traced(world), "quiesce");
}

static void freed_backends_are_waited_for_once(void **state)
{
	struct world *world = *state;

	web(world);
	world_sync(world);
	world_clear(world);
	assert_string_equal(sync_traced(world), "frontend_delete quiesce");
	world->now += 30;
	assert_string_equal(sync_traced(world), "quiesce");
	assert_int_equal(world->maps.services[1].flags, 0);
}

/* ---- order ---------------------------------------------------------------- */

static void frontend_that_changes_hands_is_away_between_two_calls_alone(void **state)
{
	struct world *world = *state;
	struct world_service *young = world_service(world, "a", "young", ""), *old;

	young->model.created = "2025-01-01T00:00:00Z";
	world_frontend(young, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_frontend(young, FRONTEND_EXTERNAL_IP, "192.0.2.2", 80);
	world_frontend(young, FRONTEND_EXTERNAL_IP, "192.0.2.3", 80);
	world_sync(world);
	young->model.nfrontends = 2;
	old = world_service(world, "a", "old", "");
	old->model.created = "2024-01-01T00:00:00Z";
	world_frontend(old, FRONTEND_EXTERNAL_IP, "192.0.2.1", 80);
	world_frontend(old, FRONTEND_EXTERNAL_IP, "192.0.2.2", 80);
	world_frontend(old, FRONTEND_EXTERNAL_IP, "192.0.2.9", 80);
	/* .3 goes first: it makes room. */
	assert_string_equal(sync_traced(world),
			    "frontend_delete frontend_delete frontend_insert frontend_delete "
			    "frontend_insert frontend_insert quiesce");
	assert_int_equal(world_frontend_find(world, "192.0.2.1", 80, IPPROTO_TCP)->service, 2);
}

static void counters_are_kept_when_an_id_is_given_out_or_freed(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);

	world_sync(world);
	assert_int_equal(world->counters_folded, 1 + 2);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_sync(world);
	world_endpoint(service, "10.0.0.1", 8080); /* comes back: keeps what was counted */
	world_sync(world);
	assert_int_equal(world->counters_folded, 1 + 2);
	world_endpoint(service, "10.0.0.3", 8080);
	world_sync(world);
	assert_int_equal(world->counters_folded, 1 + 3);
	world_endpoint_remove(service, "10.0.0.3", 8080);
	world_sync(world);
	assert_int_equal(world->counters_folded, 1 + 3);
	world->now += world->linger;
	world_sync(world); /* freed */
	assert_int_equal(world->counters_folded, 1 + 3 + 1);
}

/* ---- failures ------------------------------------------------------------- */

static void failing_call_names_the_frontend_and_the_next_plan_mends_it(void **state)
{
	struct world *world = *state;
	struct error error;

	web(world);
	trace_of(world)->fails = "frontend_insert";
	world_plan(world);
	assert_int_equal(apply_plan(&world->maps, world->plan, &error), -EIO);
	assert_string_equal(error.text, "can't insert frontend 10.96.0.1:80: Input/output error");
	assert_string_equal(sync_traced(world), "frontend_insert");
	assert_true(plan_is_empty(world_plan(world)));
	assert_int_equal(world_slots(world, 1, 1) + world_slots(world, 1, 2), 1021);
}

static void failure_after_a_ring_was_replaced_still_waits(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	struct trace *trace = trace_of(world);
	struct error error;

	world_sync(world);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.2", 80);
	memset(trace, 0, sizeof(*trace));
	trace->fails = "frontend_insert";
	world_plan(world);
	assert_int_equal(apply_plan(&world->maps, world->plan, &error), -EIO);
	assert_string_equal(trace->text, "frontend_insert quiesce");
}

/* One ring is switched, another one can't be built, no digest is stored; then
 * the wish is what it was before. */
static void ring_of_a_plan_cut_short_is_not_taken_for_the_one_before(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	struct world_service *other = world_service(world, "a", "zoo", "");
	struct error error;
	uint64_t old;

	world_endpoint(other, "10.0.0.3", 80);
	world_sync(world);
	old = ring(world, 1);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	other->endpoints[0].weight = 7;
	world_plan(world);
	assert_int_equal(world->plan->nrings, 2);
	world->plan->rings[1].entries[0].weight = 0;
	assert_int_equal(apply_plan(&world->maps, world->plan, &error), -EINVAL);
	assert_string_equal(error.text, "can't build the ring of service 2: Invalid argument");
	assert_int_not_equal(ring(world, 1), old);
	assert_int_equal(world_slots(world, 1, 1), 0);

	world_endpoint(service, "10.0.0.1", 8080);
	other->endpoints[0].weight = 100;
	sync_traced(world);
	assert_in_range(world_slots(world, 1, 1), 510, 511);
}

static void lbd_that_dies_at_a_frontend_has_its_backends_mended_by_the_next(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world);
	struct trace *trace = trace_of(world);
	struct error error;

	world_sync(world);
	world_endpoint_remove(service, "10.0.0.1", 8080);
	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.2", 80);
	trace->dies = "frontend_insert";
	world_plan(world);
	if (!setjmp(trace->death))
		apply_plan(&world->maps, world->plan, &error);
	assert_int_equal(world_slots(world, 1, 1), 0);
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_ACTIVE);
	assert_string_equal(sync_traced(world), "frontend_insert");
	assert_int_equal(world->maps.backends[1].state, LB_BACKEND_GONE);
}

static void frontend_that_is_away_already_is_no_failure(void **state)
{
	struct world *world = *state;

	web(world);
	world_sync(world);
	world_clear(world);
	world_plan(world);
	world->nfrontends = 0;
	assert_int_equal(apply_plan(&world->maps, world->plan, &(struct error){""}), 0);
}

/* ---- readers -------------------------------------------------------------- */

struct reader {
	const struct maps *maps;
	bool stop;
	uint64_t passes; /* begun; a writer waits for two of them */
	uint64_t reads, bad;
};

/* As a packet does: ring, slot, backend. */
static void *read_rings(void *arg)
{
	struct reader *reader = arg;
	const struct maps *maps = reader->maps;

	for (uint32_t n = 0; !__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE); n++) {
		const struct lb_backend *backend;
		uint64_t word;
		uint32_t id;

		__atomic_store_n(&reader->passes, n + 1, __ATOMIC_RELEASE);
		word = __atomic_load_n(&maps->rings[LB_RING_INDEX(1, LB_SCOPE_CLUSTER)],
				       __ATOMIC_ACQUIRE);
		if (!word)
			continue;
		id = __atomic_load_n(
			&maps->arena[LB_RING_LINE(word)].slots[n * 7919 % LB_RING_SLOTS(word)],
			__ATOMIC_RELAXED);
		backend = &maps->backends[id];
		/* The port is the last byte of the address: a backend that is
		 * half written has another. */
		if (id == 0 || __atomic_load_n(&backend->state, __ATOMIC_ACQUIRE) == 0 ||
		    ntohs(backend->port) != ntohl(backend->addr[0]) % 256 || backend->service != 1)
			reader->bad++;
		reader->reads++;
	}
	return NULL;
}

/* Until the reader has ended the pass it is in, however long it is kept from
 * running. */
static int wait_a_grace_period(struct world *world, const char *call)
{
	const struct reader *reader = world->step_data;
	uint64_t passes = __atomic_load_n(&reader->passes, __ATOMIC_ACQUIRE);

	if (strcmp(call, "quiesce"))
		return 0;
	while (__atomic_load_n(&reader->passes, __ATOMIC_ACQUIRE) - passes < 2)
		sched_yield();
	return 0;
}

static void reader_never_sees_half_a_ring_or_half_a_backend(void **state)
{
	struct world *world = *state;
	struct reader reader = {.maps = &world->maps};
	struct world_service *service;
	pthread_t thread;

	free(world->step_data);
	world->step_data = &reader;
	world->step = wait_a_grace_period;
	world->linger = 2;
	service = world_service(world, "a", "web", "");
	assert_int_equal(pthread_create(&thread, NULL, read_rings, &reader), 0);
	for (int round = 0; round < 500; round++) {
		service->model.nendpoints = 0;
		for (int i = 0; i < 8; i++) {
			char addr[ADDR_STRLEN];
			int last = 1 + (round / 3 * 5 + i) % 200;

			snprintf(addr, sizeof(addr), "10.0.0.%d", last);
			world_endpoint(service, addr, last)->weight = 1 + round % 7;
		}
		world_sync(world);
		world->now++;
	}
	__atomic_store_n(&reader.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	world->step_data = NULL;
	assert_int_equal(reader.bad, 0);
	assert_true(reader.reads > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(empty_plan_touches_nothing),
		TEST(ranges_come_before_frontends_that_ask_and_go_after),
		TEST(new_services_wait_for_nobody),
		TEST(stored_next_hop_waits_for_nobody),
		TEST(replaced_rings_are_waited_for_once),
		TEST(freed_backends_are_waited_for_once),
		TEST(frontend_that_changes_hands_is_away_between_two_calls_alone),
		TEST(counters_are_kept_when_an_id_is_given_out_or_freed),
		TEST(failing_call_names_the_frontend_and_the_next_plan_mends_it),
		TEST(failure_after_a_ring_was_replaced_still_waits),
		TEST(ring_of_a_plan_cut_short_is_not_taken_for_the_one_before),
		TEST(lbd_that_dies_at_a_frontend_has_its_backends_mended_by_the_next),
		TEST(frontend_that_is_away_already_is_no_failure),
		TEST(reader_never_sees_half_a_ring_or_half_a_backend),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
