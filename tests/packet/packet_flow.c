/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which backend a packet's flow has, through every change of rings and backends. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "world.h"

#define NONE 0

/* Send a packet of the flow that starts at `sport`; returns the backend's id
 * (NONE = not forwarded). */
static uint32_t send_from(struct world *world, bool v6, uint8_t protocol, uint16_t sport,
			  uint8_t flags)
{
	struct frame in, out;

	frame_build(&in, &(struct frame_spec){.src = v6 ? "fd00::9" : "10.0.0.9",
					      .dst = v6 ? "fd96::1" : "10.96.0.1",
					      .sport = sport,
					      .dport = 80,
					      .protocol = protocol,
					      .tcp_flags = flags});
	if (world_run(world, WORLD_XDP, &in, &out) != WORLD_XDP_REDIRECT)
		return NONE;
	return out.bytes[FRAME_ETH + (v6 ? 39 : 19)] - 1 + (v6 ? 100 : 0);
}

static void ring_of_one(struct world *world, uint32_t service, uint32_t backend)
{
	uint32_t slots[1021];

	for (size_t i = 0; i < 1021; i++)
		slots[i] = backend;
	world_ring_slots(world, service, slots, 1021);
}

static void backend_state(struct world *world, uint32_t id, uint32_t lb_state)
{
	struct lb_backend backend = world_backend_get(world, id);

	backend.state = lb_state;
	world_backend_set(world, id, &backend);
}

static void a_flow_keeps_its_backend_when_the_ring_changes(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int udp = 0; udp < 2; udp++) {
			struct world *world = world_open();
			uint8_t protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
			uint32_t first = v6 ? 101 : 1;

			world_web(world, 2);
			ring_of_one(world, v6 ? 2 : 1, first);
			assert_int_equal(send_from(world, v6, protocol, 4000, TCP_SYN), first);
			ring_of_one(world, v6 ? 2 : 1, first + 1);
			assert_int_equal(send_from(world, v6, protocol, 4000, TCP_ACK), first);
			/* A SYN retransmitted or of a live connection stays as well. */
			assert_int_equal(send_from(world, v6, protocol, 4000, TCP_SYN), first);
			assert_int_equal(send_from(world, v6, protocol, 4001, TCP_SYN), first + 1);
			world_close(world);
		}
	}
}

static void a_port_used_again_after_fin_or_rst_picks_anew(void **state)
{
	static const uint8_t ends[] = {TCP_FIN | TCP_ACK, TCP_RST};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *world = world_open();

		world_web(world, 2);
		ring_of_one(world, 1, 1);
		send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
		send_from(world, false, IPPROTO_TCP, 4000, ends[i]);
		ring_of_one(world, 1, 2);
		/* The last ACK still belongs to the old connection. */
		assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);
		assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), 2);
		assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 2);
		world_close(world);
	}
}

static void a_backend_in_no_slice_keeps_its_connections_alone(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 1);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	ring_of_one(world, 1, 2);
	backend_state(world, 1, LB_BACKEND_GONE);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);
	assert_int_equal(send_from(world, false, IPPROTO_UDP, 4000, 0), 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), 2);
	world_close(world);
}

static void a_freed_backend_refuses_connections_and_repicks_the_rest(void **state)
{
	struct world *world = world_open();
	struct lb_backend backend;

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 1);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	send_from(world, false, IPPROTO_TCP, 4001, TCP_SYN);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	ring_of_one(world, 1, 2);
	/* The id is free, then somebody else's: the generation tells. */
	backend = world_backend_get(world, 1);
	backend.generation++;
	world_backend_set(world, 1, &backend);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), NONE);
	assert_int_equal(world_count(world, LB_REASON_BACKEND_GONE), 1);
	assert_int_equal(send_from(world, false, IPPROTO_UDP, 4000, 0), 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 2);
	backend_state(world, 1, LB_BACKEND_FREE);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4001, TCP_ACK), NONE);
	assert_int_equal(world_count(world, LB_REASON_BACKEND_GONE), 2);
	world_close(world);
}

static void a_connection_seen_midway_is_taken_up(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 2);
	ring_of_one(world, 1, 1);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 2);
	world_close(world);
}

/* Set how long ago the flow's last packet was. */
static void flow_age(struct world *world, uint16_t sport, uint8_t protocol, uint32_t ticks)
{
	struct lb_tuple4 key = {.sport = htons(sport), .dport = htons(80), .protocol = protocol};
	int fd = bpf_map__fd(world->skel->maps.flows4);
	struct lb_flow flow;

	inet_pton(AF_INET, "10.0.0.9", &key.src);
	inet_pton(AF_INET, "10.96.0.1", &key.dst);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &flow), 0);
	flow.seen_ticks -= ticks;
	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_EXIST), 0);
}

static void an_idle_flow_expires_by_its_state(void **state)
{
	/* lb.h's ticks are 1.07 s: half-open 60 s, UDP 30 and 120 s, TCP 6 h. */
	static const struct {
		uint8_t protocol, packets;
		uint32_t seconds;
	} rows[] = {
		{IPPROTO_TCP, 1, 60},
		{IPPROTO_UDP, 1, 30},
		{IPPROTO_UDP, 2, 120},
		{IPPROTO_TCP, 2, 6 * 3600},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *world = world_open();
		uint32_t ticks = (uint64_t)rows[i].seconds * 1000000000 >> LB_TICK_SHIFT;

		world_web(world, 2);
		ring_of_one(world, 1, 1);
		send_from(world, false, rows[i].protocol, 4000, TCP_SYN);
		if (rows[i].packets > 1)
			send_from(world, false, rows[i].protocol, 4000, TCP_ACK);
		ring_of_one(world, 1, 2);
		flow_age(world, 4000, rows[i].protocol, ticks - 2);
		assert_int_equal(send_from(world, false, rows[i].protocol, 4000, TCP_ACK), 1);
		if (rows[i].packets > 1) {
			flow_age(world, 4000, rows[i].protocol, ticks + 2);
			assert_int_equal(send_from(world, false, rows[i].protocol, 4000, TCP_ACK),
					 2);
		}
		world_close(world);
	}
}

/* One client port to two frontends that share a backend: the second flow gets
 * another backend, or is refused where there is none. */
static void two_frontends_never_share_a_reply_tuple(void **state)
{
	struct world *world = world_open();
	struct frame in, out;
	int other = 0, refused = 0;

	(void)state;
	world_web(world, 2);
	world_frontend(world, "10.0.0.1", 30080, IPPROTO_TCP, 1);
	for (uint16_t sport = 4000; sport < 4100; sport++) {
		uint32_t first = send_from(world, false, IPPROTO_TCP, sport, TCP_SYN);

		frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
						      .dst = "10.0.0.1",
						      .sport = sport,
						      .dport = 30080,
						      .tcp_flags = TCP_SYN});
		if (world_run(world, WORLD_XDP, &in, &out) == WORLD_XDP_REDIRECT) {
			assert_int_not_equal(out.bytes[FRAME_ETH + 19] - 1, first);
			other++;
		} else {
			refused++;
		}
	}
	assert_int_equal(world_count(world, LB_REASON_REPLY_COLLISION), refused);
	/* Four attempts over two backends miss the free one in 1 of 16. */
	assert_in_range(other, 80, 100);
	world_close(world);
}

/* An LRU element that was given to another key while we held it: its tag isn't
 * ours, and it must not lead the packet to the other flow's backend. */
static void a_flow_entry_of_another_key_has_no_say(void **state)
{
	struct world *world = world_open();
	int fd = bpf_map__fd(world->skel->maps.flows4);
	struct lb_tuple4 key = {.sport = htons(4000), .dport = htons(80), .protocol = IPPROTO_TCP};
	struct lb_flow flow;

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 1);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	inet_pton(AF_INET, "10.0.0.9", &key.src);
	inet_pton(AF_INET, "10.96.0.1", &key.dst);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &flow), 0);
	flow.backend = LB_FLOW_BACKEND(2, 1, LB_FLOW_TAG(flow.backend) ^ 1);
	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_EXIST), 0);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);
	world_close(world);
}

static void a_slot_that_names_no_backend_is_counted(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 1);
	ring_of_one(world, 1, 0);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), NONE);
	ring_of_one(world, 1, 77);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), NONE);
	assert_int_equal(world_count(world, LB_REASON_SLOT_INVALID), 2);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_keeps_its_backend_when_the_ring_changes),
		cmocka_unit_test(a_port_used_again_after_fin_or_rst_picks_anew),
		cmocka_unit_test(a_backend_in_no_slice_keeps_its_connections_alone),
		cmocka_unit_test(a_freed_backend_refuses_connections_and_repicks_the_rest),
		cmocka_unit_test(a_connection_seen_midway_is_taken_up),
		cmocka_unit_test(an_idle_flow_expires_by_its_state),
		cmocka_unit_test(two_frontends_never_share_a_reply_tuple),
		cmocka_unit_test(a_flow_entry_of_another_key_has_no_say),
		cmocka_unit_test(a_slot_that_names_no_backend_is_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_flow", tests, NULL, NULL);
}
