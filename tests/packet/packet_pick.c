/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which backend a new flow gets: session affinity, turns, traffic policies. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "world.h"

#define BACKENDS 5
#define FLOWS 60
#define AFFINITY LB_TICKS(10800)

/* A flow's first packet: the last byte of the backend's address, or minus what
 * the program returned where it sent none. */
static int begin_at(struct world *world, enum world_program program, const char *src,
		    const char *dst, uint16_t sport, uint16_t dport, uint8_t protocol)
{
	bool v6 = strchr(src, ':'), xdp = program == WORLD_XDP;
	struct frame in, out;
	int result;

	frame_build(&in, &(struct frame_spec){.src = src,
					      .dst = dst,
					      .sport = sport,
					      .dport = dport,
					      .protocol = protocol,
					      .tcp_flags = protocol == IPPROTO_TCP ? TCP_SYN : 0});
	result = world_run(world, program, &in, &out);
	if (result != (xdp ? WORLD_XDP_REDIRECT : WORLD_TC_REDIRECT))
		return -result;
	return out.bytes[FRAME_ETH + (v6 ? 39 : 19)];
}

static const char *client_text(bool v6, int n)
{
	static char text[2][32];
	static int turn;

	turn = !turn;
	snprintf(text[turn], sizeof(text[turn]), v6 ? "fd00::1:%d" : "10.0.1.%d", n);
	return text[turn];
}

static int begin(struct world *world, bool v6, int client, uint16_t sport)
{
	return begin_at(world, WORLD_XDP, client_text(v6, client), v6 ? "fd96::1" : "10.96.0.1",
			sport, 80, IPPROTO_TCP);
}

static struct world *affinity_world(void)
{
	struct world *world = world_open();

	world_web(world, BACKENDS);
	world_service(world, 1, 0, AFFINITY);
	world_service(world, 2, 0, AFFINITY);
	return world;
}

static void flag_set(struct world *world, uint32_t id, uint8_t flags)
{
	struct lb_backend backend = world_backend_get(world, id);

	backend.flags = flags;
	world_backend_set(world, id, &backend);
}

/* Make all entries so much older. */
static void affinity_age(struct world *world, bool v6, uint32_t ticks)
{
	int fd = bpf_map__fd(v6 ? world->skel->maps.affinity6 : world->skel->maps.affinity4);
	struct lb_affinity6_key key, *last = NULL;
	struct lb_affinity value;

	while (!bpf_map_get_next_key(fd, last, &key)) {
		assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
		value.used_ticks -= ticks;
		assert_int_equal(bpf_map_update_elem(fd, &key, &value, BPF_EXIST), 0);
		last = &key;
	}
}

static void a_client_keeps_its_backend(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = affinity_world();
		uint32_t seen = 0;

		for (int client = 1; client <= 60; client++) {
			int first = begin(world, v6, client, 4000);

			assert_in_range(first, 2, 1 + BACKENDS);
			seen |= 1U << first;
			for (int flow = 1; flow < 4; flow++)
				assert_int_equal(begin(world, v6, client, 4000 + flow), first);
			/* At TC, too, and by another protocol's frontend of the service. */
			assert_int_equal(begin_at(world, WORLD_TC_UPLINK, client_text(v6, client),
						  v6 ? "fd96::1" : "10.96.0.1", 5000, 80,
						  IPPROTO_UDP),
					 first);
		}
		/* Clients spread all the same. */
		assert_int_equal(__builtin_popcount(seen), BACKENDS);
		world_close(world);
	}
}

static void without_affinity_a_clients_flows_spread(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = affinity_world();
		uint32_t seen = 0;

		begin(world, v6, 1, 3999);
		world_service(world, 1 + v6, 0, 0); /* switched off */
		for (int flow = 0; flow < FLOWS; flow++)
			seen |= 1U << begin(world, v6, 1, 4000 + flow);
		assert_int_equal(__builtin_popcount(seen), BACKENDS);
		world_close(world);
	}
}

/* The ring has changed under a known client: he stays; a new one doesn't. */
static void an_entry_outlives_a_changed_ring_until_its_time_is_over(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = affinity_world();
		uint32_t ids = v6 ? 101 : 1;
		int first = begin(world, v6, 1, 4000);
		uint32_t other = ids + (first == 2 ? 1 : 0), slots[1] = {other};

		world_ring_slots(world, 1 + v6, slots, 1);
		assert_int_equal(begin(world, v6, 1, 4001), first);
		assert_int_equal(begin(world, v6, 2, 4001), other - ids + 2);
		affinity_age(world, v6, AFFINITY - 10);
		assert_int_equal(begin(world, v6, 1, 4002), first); /* which renews it */
		affinity_age(world, v6, AFFINITY - 10);
		assert_int_equal(begin(world, v6, 1, 4003), first);
		affinity_age(world, v6, AFFINITY + 10);
		assert_int_equal(begin(world, v6, 1, 4004), other - ids + 2);
		world_close(world);
	}
}

/* Not ready, gone, another one under its id: forgotten, and another remembered. */
static void a_backend_that_left_the_set_is_forgotten(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int how = 0; how < 3; how++) {
			struct world *world = affinity_world();
			uint32_t ids = v6 ? 101 : 1;
			int first = begin(world, v6, 1, 4000);
			uint32_t id = ids + first - 2;
			struct lb_backend backend = world_backend_get(world, id);
			uint32_t slots[1] = {ids + (first == 2 ? 1 : 0)};

			if (how == 0)
				backend.flags = 0;
			else if (how == 1)
				backend.state = LB_BACKEND_GONE;
			else
				backend.generation++;
			world_backend_set(world, id, &backend);
			world_ring_slots(world, 1 + v6, slots, 1);
			assert_int_equal(begin(world, v6, 1, 4001), slots[0] - ids + 2);
			world_close(world);
		}
	}
}

static void a_lost_entry_is_found_again_by_the_clients_address(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = affinity_world(), *other;
		int first[20];

		for (int client = 0; client < 20; client++)
			first[client] = begin(world, v6, client + 1, 4000);
		world_close(world);
		other = affinity_world(); /* another node, say */
		for (int client = 0; client < 20; client++)
			assert_int_equal(begin(other, v6, client + 1, 777 + client), first[client]);
		world_close(other);
	}
}

static void turns_are_taken_in_order_by_both_mouths(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = world_open();
		uint32_t ids = v6 ? 101 : 1;
		uint32_t slots[] = {ids + 3, ids, ids + 4, ids + 1, ids + 2};

		world_web(world, BACKENDS);
		world_ring_slots(world, 1 + v6, slots, BACKENDS);
		world_service(world, 1 + v6, LB_SERVICE_F_ROUND_ROBIN, 0);
		for (int flow = 0; flow < 4 * BACKENDS; flow++) {
			enum world_program program = flow % 2 ? WORLD_TC_UPLINK : WORLD_XDP;

			assert_int_equal(begin_at(world, program, client_text(v6, 1),
						  v6 ? "fd96::1" : "10.96.0.1", 4000 + flow, 80,
						  IPPROTO_TCP),
					 slots[flow % BACKENDS] - ids + 2);
			/* A flow's other packets take no turn. */
			assert_int_equal(begin_at(world, program, client_text(v6, 1),
						  v6 ? "fd96::1" : "10.96.0.1", 4000 + flow, 80,
						  IPPROTO_TCP),
					 slots[flow % BACKENDS] - ids + 2);
		}
		world_close(world);
	}
}

/* ---- Local policies -------------------------------------------------------------- */

/* Backends 1-5, of which 2 alone is local; frontends of both kinds on port 81. */
static struct world *policy_world(bool local_ring)
{
	struct world *world = world_open();

	world_web(world, BACKENDS);
	world_frontend_flags = LB_FRONTEND_F_LOCAL;
	world_frontend(world, "10.96.0.1", 81, IPPROTO_TCP, 1);
	world_frontend(world, "fd96::1", 81, IPPROTO_TCP, 2);
	world_frontend_flags = LB_FRONTEND_F_LOCAL | LB_FRONTEND_F_EXTERNAL;
	world_frontend(world, "10.0.0.1", 81, IPPROTO_TCP, 1);
	world_frontend(world, "fd00::1", 81, IPPROTO_TCP, 2);
	world_frontend_flags = 0;
	for (int service = 1; service <= 2; service++) {
		world_service(world, service, LB_SERVICE_F_ENDPOINTS, 0);
		if (local_ring)
			world_ring_local(world, service, service == 1 ? 2 : 102, 1);
	}
	return world;
}

/* Backends that FLOWS flows get, as bits; where none is sent, bit 0. */
static uint32_t policy_seen(struct world *world, enum world_program program, bool v6, bool external)
{
	const char *inside = v6 ? "fd01::77" : "10.1.0.77";
	const char *src = program == WORLD_TC_POD ? inside : v6 ? "fd00::9" : "10.0.0.9";
	const char *dst = external ? (v6 ? "fd00::1" : "10.0.0.1") : v6 ? "fd96::1" : "10.96.0.1";
	uint32_t seen = 0;

	for (int flow = 0; flow < FLOWS; flow++) {
		int got = begin_at(world, program, src, dst, 4000 + flow, 81, IPPROTO_TCP);

		seen |= 1U << (got > 0 ? got : 0);
	}
	return seen;
}

#define ALL 0x7cU	/* bits 2-6 */
#define LOCAL (1U << 3) /* backend 2 */

/* UDP and unanswered SYNs leave a backend that is down or doesn't serve; connections stay. */
static void who_may_leave_a_backend_that_is_down_leaves_it(void **state)
{
	static const uint8_t flags[] = {LB_BACKEND_F_DOWN, LB_BACKEND_F_NOT_SERVING};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *world = world_open();
		const uint32_t other[1] = {2};
		struct frame in, out;

		world_web(world, 1);
		world_backend(world, 2, 1, "10.1.0.77", 5000);
		for (int tcp = 0; tcp < 2; tcp++) {
			frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
							      .dst = "10.96.0.1",
							      .sport = 4000,
							      .dport = 80,
							      .protocol = tcp ? IPPROTO_TCP
									      : IPPROTO_UDP,
							      .tcp_flags = tcp ? TCP_ACK : 0});
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
					 WORLD_XDP_REDIRECT);
		}
		flag_set(world, 1, flags[i]);
		world_ring_slots(world, 1, other, 1);
		usleep(150000); /* the next tick */
		/* Mid-flow TCP, the last frame. */
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_int_equal(out.bytes[FRAME_ETH + 19], 2);
		frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
						      .dst = "10.96.0.1",
						      .sport = 4000,
						      .dport = 80,
						      .protocol = IPPROTO_UDP});
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_int_equal(out.bytes[FRAME_ETH + 19], 77);
		world_close(world);
	}
}

static void where_all_are_down_clients_are_refused_for_that(void **state)
{
	(void)state;
	for (int local = 0; local < 2; local++) {
		struct world *world = world_open();
		struct frame in, out;

		world_frontend_flags = local ? LB_FRONTEND_F_LOCAL : 0;
		world_web(world, 1);
		world_frontend_flags = 0;
		world_ring_clear(world, 1);
		world_service(world, 1,
			      LB_SERVICE_F_ENDPOINTS | (local ? LB_SERVICE_F_UNHEALTHY_LOCAL
							      : LB_SERVICE_F_UNHEALTHY),
			      0);
		frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
						      .dst = "10.96.0.1",
						      .sport = 4000,
						      .dport = 80,
						      .tcp_flags = TCP_SYN});
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
		assert_int_equal(world_count(world, LB_REASON_ALL_UNHEALTHY), 1);
		world_close(world);
	}
}

static void local_policies_take_backends_of_this_node(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = policy_world(true);

		for (int tc = 0; tc < 2; tc++) {
			enum world_program outside = tc ? WORLD_TC_UPLINK : WORLD_XDP;

			assert_int_equal(policy_seen(world, outside, v6, false), LOCAL);
			assert_int_equal(policy_seen(world, outside, v6, true), LOCAL);
		}
		/* Pods of this node: internal as everybody, external to all. */
		assert_int_equal(policy_seen(world, WORLD_TC_POD, v6, false), LOCAL);
		assert_int_equal(policy_seen(world, WORLD_TC_POD, v6, true), ALL);
		world_close(world);
	}
}

static void where_none_is_local_packets_are_dropped_in_silence(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = policy_world(false);
		const char *inside = v6 ? "fd01::77" : "10.1.0.77",
			   *out = v6 ? "fd00::9" : "10.0.0.9";
		const char *internal = v6 ? "fd96::1" : "10.96.0.1";
		const char *external = v6 ? "fd00::1" : "10.0.0.1";

		assert_int_equal(begin_at(world, WORLD_XDP, out, internal, 4000, 81, IPPROTO_TCP),
				 -WORLD_XDP_DROP);
		assert_int_equal(
			begin_at(world, WORLD_TC_UPLINK, out, internal, 4000, 81, IPPROTO_TCP),
			-WORLD_TC_SHOT);
		assert_int_equal(
			begin_at(world, WORLD_TC_POD, inside, internal, 4000, 81, IPPROTO_TCP),
			-WORLD_TC_SHOT);
		assert_int_equal(world_count(world, LB_REASON_NO_LOCAL_INTERNAL), 3);
		assert_int_equal(world_count(world, LB_REASON_NO_LOCAL_EXTERNAL), 0);
		assert_int_equal(begin_at(world, WORLD_XDP, out, external, 4001, 81, IPPROTO_TCP),
				 -WORLD_XDP_DROP);
		assert_int_equal(world_count(world, LB_REASON_NO_LOCAL_EXTERNAL), 1);
		/* The short-circuit (rule 36). */
		assert_int_equal(policy_seen(world, WORLD_TC_POD, v6, true), ALL);
		/* No endpoint anywhere: refused, so that it's heard. */
		world_service(world, 1 + v6, 0, 0);
		begin_at(world, WORLD_TC_UPLINK, out, external, 4002, 81, IPPROTO_TCP);
		assert_int_equal(world_count(world, LB_REASON_NO_ENDPOINT), 1);
		world_close(world);
	}
}

static void affinity_does_not_override_a_policy(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = policy_world(true);
		const char *out = v6 ? "fd00::9" : "10.0.0.9";
		uint32_t ids = v6 ? 101 : 1, slots[1] = {ids}; /* not the local one */

		world_service(world, 1 + v6, LB_SERVICE_F_ENDPOINTS, AFFINITY);
		flag_set(world, ids + 1, LB_BACKEND_F_CLUSTER | LB_BACKEND_F_LOCAL);
		world_ring_slots(world, 1 + v6, slots, 1);
		assert_int_equal(begin_at(world, WORLD_XDP, out, v6 ? "fd96::1" : "10.96.0.1", 4000,
					  80, IPPROTO_TCP),
				 2);
		assert_int_equal(begin_at(world, WORLD_XDP, out, v6 ? "fd96::1" : "10.96.0.1", 4000,
					  81, IPPROTO_TCP),
				 3);
		world_close(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_keeps_its_backend),
		cmocka_unit_test(without_affinity_a_clients_flows_spread),
		cmocka_unit_test(an_entry_outlives_a_changed_ring_until_its_time_is_over),
		cmocka_unit_test(a_backend_that_left_the_set_is_forgotten),
		cmocka_unit_test(a_lost_entry_is_found_again_by_the_clients_address),
		cmocka_unit_test(turns_are_taken_in_order_by_both_mouths),
		cmocka_unit_test(who_may_leave_a_backend_that_is_down_leaves_it),
		cmocka_unit_test(where_all_are_down_clients_are_refused_for_that),
		cmocka_unit_test(local_policies_take_backends_of_this_node),
		cmocka_unit_test(where_none_is_local_packets_are_dropped_in_silence),
		cmocka_unit_test(affinity_does_not_override_a_policy),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
