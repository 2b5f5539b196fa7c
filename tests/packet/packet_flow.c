/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which backend a packet's flow has, through every change of rings and backends. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* Rules 87 and 88: where a UDP service loses its last backend its clients hear of it, and
 * nothing of the time without one is in the way of the next. */
static void udp_clients_hear_when_nobody_is_left(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = world_open();
		uint32_t service = v6 ? 2 : 1, first = v6 ? 101 : 1;

		world_web(world, 2);
		world_service(world, service, 0, 0);
		ring_of_one(world, service, first);
		assert_int_equal(send_from(world, v6, IPPROTO_UDP, 4000, 0), first);
		world_ring_clear(world, service);
		backend_state(world, first, LB_BACKEND_GONE);
		assert_int_equal(send_from(world, v6, IPPROTO_UDP, 4000, 0), NONE);
		assert_int_equal(send_from(world, v6, IPPROTO_UDP, 4001, 0), NONE);
		assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), 2);
		ring_of_one(world, service, first + 1);
		assert_int_equal(send_from(world, v6, IPPROTO_UDP, 4000, 0), first + 1);
		assert_int_equal(send_from(world, v6, IPPROTO_UDP, 4001, 0), first + 1);
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
	assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), 1);
	assert_int_equal(send_from(world, false, IPPROTO_UDP, 4000, 0), 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 2);
	backend_state(world, 1, LB_BACKEND_FREE);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4001, TCP_ACK), NONE);
	assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), 2);
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

/* The flow's forward entry, and the table it lives in. */
static int flow_get(struct world *world, uint16_t sport, uint8_t protocol,
		    struct lb_tuple4 *ret_key, struct lb_flow *ret)
{
	int fds[] = {bpf_map__fd(world->skel->maps.flows4),
		     bpf_map__fd(world->skel->maps.udp_flows4),
		     bpf_map__fd(world->skel->maps.new_flows4)};

	*ret_key =
		(struct lb_tuple4){.sport = htons(sport), .dport = htons(80), .protocol = protocol};
	inet_pton(AF_INET, "10.0.0.9", &ret_key->src);
	inet_pton(AF_INET, "10.96.0.1", &ret_key->dst);
	for (int i = 0; i < 3; i++)
		if (!bpf_map_lookup_elem(fds[i], ret_key, ret))
			return fds[i];
	fail_msg("no flow from port %u", sport);
	return -1;
}

static bool flow_is_established(struct world *world, uint16_t sport, uint8_t protocol)
{
	struct lb_tuple4 key;
	struct lb_flow flow;

	return flow_get(world, sport, protocol, &key, &flow) !=
	       bpf_map__fd(world->skel->maps.new_flows4);
}

/* Set how long ago the flow's last packet was. */
static void flow_age(struct world *world, uint16_t sport, uint8_t protocol, uint32_t ticks)
{
	struct lb_tuple4 key;
	struct lb_flow flow;
	int fd = flow_get(world, sport, protocol, &key, &flow);

	flow.seen_ticks -= ticks;
	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_EXIST), 0);
	world_cache_clear(world);
}

/* The same for the last packet of backend 1. */
static void reply_age(struct world *world, uint16_t sport, uint8_t protocol, uint32_t ticks)
{
	int fds[] = {bpf_map__fd(world->skel->maps.replies4),
		     bpf_map__fd(world->skel->maps.udp_replies4),
		     bpf_map__fd(world->skel->maps.new_replies4)};
	struct lb_tuple4 key = {.sport = htons(5000), .dport = htons(sport), .protocol = protocol};
	struct lb_reply reply;

	inet_pton(AF_INET, "10.1.0.2", &key.src);
	inet_pton(AF_INET, "10.0.0.9", &key.dst);
	for (int i = 0; i < 3; i++) {
		if (bpf_map_lookup_elem(fds[i], &key, &reply))
			continue;
		reply.seen_ticks -= ticks;
		assert_int_equal(bpf_map_update_elem(fds[i], &key, &reply, BPF_EXIST), 0);
		return;
	}
	fail_msg("no reverse entry");
}

/* The backend's answer to the flow; TCP: with its sequence number. */
static void answer_to(struct world *world, uint32_t backend, uint8_t protocol, uint16_t sport,
		      uint8_t flags, uint32_t seq)
{
	char src[32];
	struct frame in, out;

	snprintf(src, sizeof(src), "10.1.0.%u", backend + 1);
	frame_build(&in, &(struct frame_spec){.src = src,
					      .dst = "10.0.0.9",
					      .sport = 5000,
					      .dport = sport,
					      .protocol = protocol,
					      .tcp_flags = flags,
					      .tcp_seq = seq});
	assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
}

static void ack_from(struct world *world, uint16_t sport, uint32_t ack)
{
	struct frame in, out;

	frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
					      .dst = "10.96.0.1",
					      .sport = sport,
					      .dport = 80,
					      .tcp_flags = TCP_ACK,
					      .tcp_ack = ack});
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
}

static void a_handshake_makes_a_flow_established(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 1);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	ack_from(world, 4000, 1001); /* guessed: nothing was answered yet */
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	answer_to(world, 1, IPPROTO_TCP, 4000, TCP_SYN | TCP_ACK, 0xffffffff);
	ack_from(world, 4000, 0xffffffff); /* one short of it */
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	ack_from(world, 4000, 0x10000); /* guessed: more than may have been sent */
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	ack_from(world, 4000, 0x7fffffff);
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	ack_from(world, 4000, 0);
	assert_true(flow_is_established(world, 4000, IPPROTO_TCP));
	/* And both of its packets go on as before. */
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);
	answer_to(world, 1, IPPROTO_TCP, 4000, TCP_ACK, 1);
	assert_int_equal(world_backend_count(world, 1).connections, 1);
	world_close(world);
}

static void udp_is_established_by_an_answer_and_another_datagram(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 1);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	assert_false(flow_is_established(world, 4000, IPPROTO_UDP));
	answer_to(world, 1, IPPROTO_UDP, 4000, 0, 0);
	assert_false(flow_is_established(world, 4000, IPPROTO_UDP));
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	assert_true(flow_is_established(world, 4000, IPPROTO_UDP));
	world_close(world);
}

/* An ACK flood: the backend answers each with RST. */
static void a_reset_makes_nothing_established(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 1);
	ack_from(world, 4000, 1);
	answer_to(world, 1, IPPROTO_TCP, 4000, TCP_RST, 1);
	ack_from(world, 4000, 1);
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	world_close(world);
}

static void a_flood_of_each_kind_leaves_established_flows(void **state)
{
	static const struct {
		uint8_t protocol, flags;
	} floods[] = {{IPPROTO_TCP, TCP_SYN}, {IPPROTO_TCP, TCP_ACK}, {IPPROTO_UDP, 0}};
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	/* world.c: every table has 65536 entries. */
	world_web(world, 1);
	for (uint16_t sport = 4000; sport < 5000; sport++) {
		send_from(world, false, IPPROTO_TCP, sport, TCP_SYN);
		answer_to(world, 1, IPPROTO_TCP, sport, TCP_SYN | TCP_ACK, 99);
		ack_from(world, sport, 100);
	}
	for (size_t i = 0; i < 3; i++) {
		frame_build(&in, &(struct frame_spec){.src = "11.0.0.0",
						      .dst = "10.96.0.1",
						      .sport = 7,
						      .dport = 80,
						      .protocol = floods[i].protocol,
						      .tcp_flags = floods[i].flags});
		for (uint32_t source = 0; source < 300000; source++) {
			uint32_t addr = htonl(0x0b000000 + source);

			memcpy(in.bytes + FRAME_ETH + 12, &addr, 4);
			world_run(world, WORLD_TC_UPLINK, &in, &out);
		}
	}
	for (uint16_t sport = 4000; sport < 5000; sport++)
		assert_true(flow_is_established(world, sport, IPPROTO_TCP));
	send_from(world, false, IPPROTO_TCP, 5000, TCP_SYN);
	answer_to(world, 1, IPPROTO_TCP, 5000, TCP_SYN | TCP_ACK, 99);
	ack_from(world, 5000, 100);
	assert_true(flow_is_established(world, 5000, IPPROTO_TCP));
	world_close(world);
}

static void an_unanswered_syn_is_tried_elsewhere(void **state)
{
	struct world *world = world_open();
	uint32_t first, ticks_08 = 6;
	bool elsewhere = false;

	(void)state;
	world_web(world, 5);
	first = send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	/* At once: a duplicate. */
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), first);
	for (int i = 0; i < 6; i++) {
		flow_age(world, 4000, IPPROTO_TCP, ticks_08);
		elsewhere |= send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN) != first;
	}
	assert_true(elsewhere);
	/* Once answered it stays. */
	first = send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	answer_to(world, first, IPPROTO_TCP, 4000, TCP_SYN | TCP_ACK, 99);
	for (int i = 0; i < 6; i++) {
		flow_age(world, 4000, IPPROTO_TCP, ticks_08);
		assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), first);
	}
	world_close(world);
}

/* The same client port again, after all kinds of ends, through the big tables. */
static void a_port_used_again_after_an_established_flow_starts_new(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 1);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	answer_to(world, 1, IPPROTO_TCP, 4000, TCP_SYN | TCP_ACK, 99);
	ack_from(world, 4000, 100);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_FIN | TCP_ACK);
	assert_true(flow_is_established(world, 4000, IPPROTO_TCP));
	ring_of_one(world, 1, 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), 2);
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	answer_to(world, 2, IPPROTO_TCP, 4000, TCP_SYN | TCP_ACK, 7);
	ack_from(world, 4000, 8);
	assert_true(flow_is_established(world, 4000, IPPROTO_TCP));
	/* And to the same backend: the old reverse entry is no obstacle. */
	send_from(world, false, IPPROTO_TCP, 4000, TCP_RST);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN), 2);
	answer_to(world, 2, IPPROTO_TCP, 4000, TCP_SYN | TCP_ACK, 50);
	ack_from(world, 4000, 8);
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	ack_from(world, 4000, 51);
	assert_true(flow_is_established(world, 4000, IPPROTO_TCP));
	world_close(world);
}

/* A stream of datagrams in one direction keeps the flow alive for the other. */
static void answers_alone_keep_a_flow_alive(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 1);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	answer_to(world, 1, IPPROTO_UDP, 4000, 0, 0);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	ring_of_one(world, 1, 2);
	flow_age(world, 4000, IPPROTO_UDP, LB_TICKS(600));
	answer_to(world, 1, IPPROTO_UDP, 4000, 0, 0);
	assert_int_equal(send_from(world, false, IPPROTO_UDP, 4000, 0), 1);
	world_close(world);
}

static void connection_of(struct world *world, uint16_t sport);

/* And the other way round: datagrams that nobody answers for a while, and a client that
 * goes on when its backend has closed. */
static void requests_alone_keep_the_way_back(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 1);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	for (int answered = 0; answered < 2; answered++) {
		reply_age(world, 4000, IPPROTO_UDP, LB_TICKS(600));
		send_from(world, false, IPPROTO_UDP, 4000, 0);
		assert_int_equal(flow_is_established(world, 4000, IPPROTO_UDP), answered);
		answer_to(world, 1, IPPROTO_UDP, 4000, 0, 0);
		send_from(world, false, IPPROTO_UDP, 4000, 0);
	}
	connection_of(world, 4001);
	answer_to(world, 1, IPPROTO_TCP, 4001, TCP_FIN | TCP_ACK, 100);
	reply_age(world, 4001, IPPROTO_TCP, LB_TICKS(600));
	flow_age(world, 4001, IPPROTO_TCP, LB_TICKS(600));
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4001, TCP_ACK), 1);
	answer_to(world, 1, IPPROTO_TCP, 4001, TCP_ACK, 101);
	world_close(world);
}

/* What a backend sends when both have been quiet isn't ours. */
static void an_answer_comes_too_late_when_the_client_is_quiet_too(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 1);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	reply_age(world, 4000, IPPROTO_UDP, LB_TICKS(30) + 2);
	flow_age(world, 4000, IPPROTO_UDP, LB_TICKS(30) + 2);
	frame_build(&in, &(struct frame_spec){.src = "10.1.0.2",
					      .dst = "10.0.0.9",
					      .sport = 5000,
					      .dport = 4000,
					      .protocol = IPPROTO_UDP});
	assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_NEXT);
	assert_memory_equal(out.bytes, in.bytes, in.length);
	world_close(world);
}

static void an_idle_flow_expires_by_its_state(void **state)
{
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
		uint32_t ticks = LB_TICKS(rows[i].seconds);

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
			reply_age(world, 4000, rows[i].protocol, ticks + 2);
			assert_int_equal(send_from(world, false, rows[i].protocol, 4000, TCP_ACK),
					 2);
		}
		world_close(world);
	}
}

/* One client port to two frontends of one backend: the second flow comes from
 * the node's address, and each answer finds its way. */
static void two_frontends_never_share_a_reply_tuple(void **state)
{
	struct world *world = world_open();
	struct frame in, out, answer;
	uint32_t node;

	(void)state;
	world_web(world, 1);
	world_frontend(world, "10.0.0.1", 30080, IPPROTO_TCP, 1);
	inet_pton(AF_INET, "10.0.0.1", &node);
	for (uint16_t sport = 4000; sport < 4100; sport++) {
		uint16_t snat_port;

		assert_int_equal(send_from(world, false, IPPROTO_TCP, sport, TCP_SYN), 1);
		frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
						      .dst = "10.0.0.1",
						      .sport = sport,
						      .dport = 30080,
						      .tcp_flags = TCP_SYN});
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_memory_equal(out.bytes + FRAME_ETH + 12, &node, 4);
		snat_port = ntohs(*frame_sport(&out));
		assert_in_range(snat_port, 10000, 29999);
		assert_true(frame_ip_verifies(&out) && frame_l4_verifies(&out));

		answer_to(world, 1, IPPROTO_TCP, sport, TCP_SYN | TCP_ACK, 1);
		frame_build(&answer, &(struct frame_spec){.src = "10.1.0.2",
							  .dst = "10.0.0.1",
							  .sport = 5000,
							  .dport = snat_port,
							  .tcp_flags = TCP_SYN | TCP_ACK});
		assert_int_equal(world_run(world, WORLD_TC_POD, &answer, &out), WORLD_TC_REDIRECT);
		assert_memory_equal(out.bytes + FRAME_ETH + 12, in.bytes + FRAME_ETH + 16, 4);
		assert_memory_equal(out.bytes + FRAME_ETH + 16, in.bytes + FRAME_ETH + 12, 4);
		assert_int_equal(*frame_sport(&out), htons(30080));
		assert_int_equal(*frame_dport(&out), htons(sport));
		assert_true(frame_ip_verifies(&out) && frame_l4_verifies(&out));
	}
	world_close(world);
}

/* Nor does the second take it from one that nobody answers, as long as its client sends. */
static void a_flow_of_requests_alone_keeps_its_reply_tuple(void **state)
{
	struct world *world = world_open();
	struct frame in, out;
	uint32_t node;

	(void)state;
	world_web(world, 1);
	world_frontend(world, "10.0.0.1", 30080, IPPROTO_UDP, 1);
	inet_pton(AF_INET, "10.0.0.1", &node);
	for (int quiet = 0; quiet < 2; quiet++) {
		uint16_t sport = 4000 + quiet;

		send_from(world, false, IPPROTO_UDP, sport, 0);
		reply_age(world, sport, IPPROTO_UDP, LB_TICKS(600));
		if (quiet)
			flow_age(world, sport, IPPROTO_UDP, LB_TICKS(600));
		frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
						      .dst = "10.0.0.1",
						      .sport = sport,
						      .dport = 30080,
						      .protocol = IPPROTO_UDP});
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_int_equal(!memcmp(out.bytes + FRAME_ETH + 12, &node, 4), !quiet);
	}
	world_close(world);
}

/* Every port of the node's address that is free is found, none is given twice. */
static void snat_ports_are_unique_until_there_are_no_more(void **state)
{
	uint32_t before = world_flows;
	static bool taken[65536];
	struct frame in, out;
	struct world *world;
	int forwarded = 0;

	(void)state;
	world_flows = 65536;
	world = world_open();
	world_web(world, 1);
	frame_build(&in, &(struct frame_spec){.src = "10.1.0.2",
					      .dst = "10.96.0.1",
					      .dport = 80,
					      .tcp_flags = TCP_SYN});
	for (uint32_t sport = 1; sport <= 30000; sport++) {
		*frame_sport(&in) = htons(sport);
		frame_finish(&in);
		if (world_run(world, WORLD_TC_POD, &in, &out) != WORLD_TC_REDIRECT)
			continue;
		forwarded++;
		assert_false(taken[ntohs(*frame_sport(&out))]);
		taken[ntohs(*frame_sport(&out))] = true;
	}
	assert_int_equal(world_count(world, LB_REASON_NO_SNAT_PORT), 30000 - forwarded);
	/* 20,000 ports, 16 tries each. */
	assert_in_range(forwarded, 18000, 20000);
	world_close(world);
	world_flows = before;
}

/* A pod that reaches itself through its service. */
static void hairpin_comes_from_the_nodes_address(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int udp = 0; udp < 2; udp++) {
			struct world *world = world_open();
			size_t bytes = v6 ? 16 : 4, src = FRAME_ETH + (v6 ? 8 : 12);
			struct frame in, out, answer;
			uint8_t node[16];

			world_web(world, 1);
			inet_pton(v6 ? AF_INET6 : AF_INET, v6 ? "fd00::1" : "10.0.0.1", node);
			frame_build(&in, &(struct frame_spec){.src = v6 ? "fd01::2" : "10.1.0.2",
							      .dst = v6 ? "fd96::1" : "10.96.0.1",
							      .sport = 4000,
							      .dport = 80,
							      .protocol = udp ? IPPROTO_UDP
									      : IPPROTO_TCP,
							      .tcp_flags = TCP_SYN,
							      .payload_bytes = 31});
			assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out),
					 WORLD_TC_REDIRECT);
			assert_memory_equal(out.bytes + src, node, bytes);
			assert_memory_equal(out.bytes + src + bytes, in.bytes + src, bytes);
			assert_int_equal(*frame_dport(&out), htons(5000));
			assert_true(frame_ip_verifies(&out) && frame_l4_verifies(&out));

			frame_build(&answer, &(struct frame_spec){
						     .src = v6 ? "fd01::2" : "10.1.0.2",
						     .dst = v6 ? "fd00::1" : "10.0.0.1",
						     .sport = 5000,
						     .dport = ntohs(*frame_sport(&out)),
						     .protocol = udp ? IPPROTO_UDP : IPPROTO_TCP,
						     .tcp_flags = TCP_SYN | TCP_ACK,
						     .payload_bytes = 77});
			assert_int_equal(world_run(world, WORLD_TC_POD, &answer, &out),
					 WORLD_TC_REDIRECT);
			assert_memory_equal(out.bytes + src, in.bytes + src + bytes, bytes);
			assert_memory_equal(out.bytes + src + bytes, in.bytes + src, bytes);
			assert_int_equal(*frame_sport(&out), htons(80));
			assert_int_equal(*frame_dport(&out), htons(4000));
			assert_true(frame_ip_verifies(&out) && frame_l4_verifies(&out));
			world_close(world);
		}
	}
}

/* A pod as a client of another pod: it keeps its address. */
static void a_pod_reaches_another_by_its_own_address(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 2);
	frame_build(&in, &(struct frame_spec){.src = "10.1.0.2",
					      .dst = "10.96.0.1",
					      .sport = 4000,
					      .dport = 80,
					      .tcp_flags = TCP_SYN});
	assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
	assert_memory_equal(out.bytes + FRAME_ETH + 12, in.bytes + FRAME_ETH + 12, 4);
	assert_int_equal(out.bytes[FRAME_ETH + 19], 3);
	assert_true(frame_ip_verifies(&out) && frame_l4_verifies(&out));
	world_close(world);
}

/* A connection through the service, to its end, from both sides. */
static void connection_of(struct world *world, uint16_t sport)
{
	send_from(world, false, IPPROTO_TCP, sport, TCP_SYN);
	answer_to(world, 1, IPPROTO_TCP, sport, TCP_SYN | TCP_ACK, 99);
	ack_from(world, sport, 100);
	assert_true(flow_is_established(world, sport, IPPROTO_TCP));
}

/* Closed by both ends, it makes room for those that live. */
static void a_closed_connection_leaves_the_big_tables(void **state)
{
	struct world *world = world_open();

	(void)state;
	world_web(world, 1);
	connection_of(world, 4000);
	answer_to(world, 1, IPPROTO_TCP, 4000, TCP_FIN | TCP_ACK, 100);
	assert_true(flow_is_established(world, 4000, IPPROTO_TCP));
	send_from(world, false, IPPROTO_TCP, 4000, TCP_FIN | TCP_ACK);
	assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
	/* Its last packets still pass, both ways. */
	answer_to(world, 1, IPPROTO_TCP, 4000, TCP_ACK, 101);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);
	/* Half closed, it stays. */
	connection_of(world, 4001);
	send_from(world, false, IPPROTO_TCP, 4001, TCP_FIN | TCP_ACK);
	assert_true(flow_is_established(world, 4001, IPPROTO_TCP));
	world_close(world);
}

/* A RST with any sequence number is no end: the data after it says so, however far the
 * connection has come. */
static void a_forged_reset_ends_nothing(void **state)
{
	static const uint32_t acks[] = {100, 200000};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *world = world_open();
		struct frame in, out;

		world_web(world, 2);
		ring_of_one(world, 1, 1);
		connection_of(world, 4000);
		send_from(world, false, IPPROTO_TCP, 4000, TCP_RST);
		assert_false(flow_is_established(world, 4000, IPPROTO_TCP));
		frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
						      .dst = "10.96.0.1",
						      .sport = 4000,
						      .dport = 80,
						      .tcp_flags = TCP_ACK,
						      .tcp_ack = acks[i],
						      .payload_bytes = 5});
		for (int packet = 0; packet < 2; packet++)
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
					 WORLD_XDP_REDIRECT);
		assert_true(flow_is_established(world, 4000, IPPROTO_TCP));
		ring_of_one(world, 1, 2);
		flow_age(world, 4000, IPPROTO_TCP, LB_TICKS(600));
		reply_age(world, 4000, IPPROTO_TCP, LB_TICKS(600));
		assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);
		world_close(world);
	}
}

/* The reverse entry was pushed out alone. */
static void a_flow_whose_reverse_entry_is_lost_heals(void **state)
{
	struct lb_tuple4 key = {
		.sport = htons(5000), .dport = htons(4000), .protocol = IPPROTO_TCP};
	struct world *world = world_open();

	(void)state;
	world_web(world, 1);
	connection_of(world, 4000);
	inet_pton(AF_INET, "10.1.0.2", &key.src);
	inet_pton(AF_INET, "10.0.0.9", &key.dst);
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(world->skel->maps.replies4), &key), 0);
	flow_age(world, 4000, IPPROTO_TCP, 32); /* asked for once in 32 ticks */
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);
	answer_to(world, 1, IPPROTO_TCP, 4000, TCP_ACK, 100);
	world_close(world);
}

/* The client comes to the pod itself, from a port that a flow has had. */
static void a_direct_connection_is_not_ours(void **state)
{
	static const uint8_t ends[] = {TCP_FIN | TCP_ACK, TCP_RST};
	struct frame in, out;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *world = world_open();

		world_web(world, 1);
		connection_of(world, 4000);
		if (!i)
			answer_to(world, 1, IPPROTO_TCP, 4000, TCP_FIN | TCP_ACK, 100);
		send_from(world, false, IPPROTO_TCP, 4000, ends[i]);
		frame_build(&in, &(struct frame_spec){.src = "10.1.0.2",
						      .dst = "10.0.0.9",
						      .sport = 5000,
						      .dport = 4000,
						      .tcp_flags = TCP_SYN | TCP_ACK});
		for (int packet = 0; packet < 2; packet++) {
			assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_NEXT);
			assert_memory_equal(out.bytes, in.bytes, in.length);
			in.bytes[FRAME_ETH + 20 + 13] = TCP_ACK;
		}
		/* And the service is still there for that port. */
		connection_of(world, 4000);
		world_close(world);
	}
}

/* No device leads to a backend: nothing is kept for it that can go elsewhere.  A
 * connection is over when the backend is in no slice either; till then its route may come
 * back. */
static void a_backend_without_a_device_keeps_its_connections_alone(void **state)
{
	struct world *world = world_open();
	struct lb_backend backend;
	uint64_t next_hop;

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 1);
	connection_of(world, 4000);
	connection_of(world, 4001);
	send_from(world, false, IPPROTO_UDP, 4000, 0);
	backend = world_backend_get(world, 1);
	next_hop = backend.next_hop;
	backend.next_hop = 0;
	world_backend_set(world, 1, &backend);
	ring_of_one(world, 1, 2);
	assert_int_equal(send_from(world, false, IPPROTO_UDP, 4000, 0), 2);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), NONE);
	assert_int_equal(world_count(world, LB_REASON_NO_ROUTE), 1);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4001, TCP_SYN), 2);

	backend.next_hop = next_hop;
	world_backend_set(world, 1, &backend);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), 1);

	backend.next_hop = 0;
	backend.state = LB_BACKEND_GONE;
	world_backend_set(world, 1, &backend);
	assert_int_equal(send_from(world, false, IPPROTO_TCP, 4000, TCP_ACK), NONE);
	assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), 1); /* which refuses */
	world_close(world);
}

/* An LRU element that was given to another key while we held it: its tag isn't
 * ours, and it must not lead the packet to the other flow's backend. */
static void a_flow_entry_of_another_key_has_no_say(void **state)
{
	struct world *world = world_open();
	struct lb_tuple4 key;
	struct lb_flow flow;
	int fd;

	(void)state;
	world_web(world, 2);
	ring_of_one(world, 1, 1);
	send_from(world, false, IPPROTO_TCP, 4000, TCP_SYN);
	fd = flow_get(world, 4000, IPPROTO_TCP, &key, &flow);
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
		cmocka_unit_test(udp_clients_hear_when_nobody_is_left),
		cmocka_unit_test(a_freed_backend_refuses_connections_and_repicks_the_rest),
		cmocka_unit_test(a_connection_seen_midway_is_taken_up),
		cmocka_unit_test(a_handshake_makes_a_flow_established),
		cmocka_unit_test(udp_is_established_by_an_answer_and_another_datagram),
		cmocka_unit_test(a_reset_makes_nothing_established),
		cmocka_unit_test(a_flood_of_each_kind_leaves_established_flows),
		cmocka_unit_test(an_unanswered_syn_is_tried_elsewhere),
		cmocka_unit_test(a_port_used_again_after_an_established_flow_starts_new),
		cmocka_unit_test(answers_alone_keep_a_flow_alive),
		cmocka_unit_test(requests_alone_keep_the_way_back),
		cmocka_unit_test(an_answer_comes_too_late_when_the_client_is_quiet_too),
		cmocka_unit_test(a_closed_connection_leaves_the_big_tables),
		cmocka_unit_test(a_forged_reset_ends_nothing),
		cmocka_unit_test(a_flow_whose_reverse_entry_is_lost_heals),
		cmocka_unit_test(a_direct_connection_is_not_ours),
		cmocka_unit_test(a_backend_without_a_device_keeps_its_connections_alone),
		cmocka_unit_test(an_idle_flow_expires_by_its_state),
		cmocka_unit_test(two_frontends_never_share_a_reply_tuple),
		cmocka_unit_test(a_flow_of_requests_alone_keeps_its_reply_tuple),
		cmocka_unit_test(snat_ports_are_unique_until_there_are_no_more),
		cmocka_unit_test(hairpin_comes_from_the_nodes_address),
		cmocka_unit_test(a_pod_reaches_another_by_its_own_address),
		cmocka_unit_test(a_flow_entry_of_another_key_has_no_say),
		cmocka_unit_test(a_slot_that_names_no_backend_is_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_flow", tests, NULL, NULL);
}
