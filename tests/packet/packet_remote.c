/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Backends on other nodes: a client from outside is seen as a port of this node's address,
 * and the answer to it becomes the frontend's, byte for byte; a pod keeps its own. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "expect.h"
#include "world.h"

#define SNAT_FIRST 10000

struct ends {
	const char *client, *frontend, *backend, *node, *router, *pod;
};
static const struct ends ends[2] = {
	{"10.0.0.9", "10.96.0.1", "10.1.0.2", "10.0.0.1", "10.0.0.254", "10.1.0.77"},
	{"fd00::9", "fd96::1", "fd01::2", "fd00::1", "fd00::fe", "fd01::77"},
};

static const uint8_t client_mac[6] = {0x02, 0, 0, 0, 0x09, 0x09};

static int setup(void **state)
{
	struct world *world = world_open(); /* makes the namespace */

	(void)state;
	world_close(world);
	return system("ip neigh add 10.0.0.9 lladdr 02:00:00:00:09:09 dev uplink nud permanent && "
		      "ip neigh add fd00::9 lladdr 02:00:00:00:09:09 dev uplink nud permanent");
}

static struct world *remote_world(uint8_t flags)
{
	struct world *world = world_open();

	world_web(world, 1);
	world_web_remote(world, 1, flags);
	return world;
}

/* What a client sends, and with src, dst and ports set anew, anything else. */
static struct frame_spec request_of(const struct ends *e, uint8_t protocol)
{
	return (struct frame_spec){.src = e->client,
				   .dst = e->frontend,
				   .sport = 4000,
				   .dport = 80,
				   .protocol = protocol,
				   .tcp_flags = protocol == IPPROTO_TCP ? TCP_SYN : 0,
				   .payload_bytes = 33};
}

static struct frame_spec answer_of(const struct ends *e, uint8_t protocol, uint16_t port)
{
	return (struct frame_spec){.src = e->backend,
				   .dst = e->node,
				   .sport = 5000,
				   .dport = port,
				   .protocol = protocol,
				   .tcp_flags = protocol == IPPROTO_TCP ? TCP_SYN | TCP_ACK : 0,
				   .payload_bytes = 700};
}

static void mac_set(struct frame *frame, uint64_t dst, const uint8_t src[6])
{
	for (int i = 0; i < 6; i++)
		frame->bytes[i] = dst >> (40 - 8 * i);
	memcpy(frame->bytes + 6, src, 6);
}

/* The frame one hop further. */
static struct frame hop(const struct frame *in)
{
	struct frame frame = *in;

	frame.bytes[FRAME_ETH + (frame_is_ipv6(in) ? 7 : 8)]--;
	frame_finish(&frame);
	return frame;
}

static uint16_t sport(struct frame *frame)
{
	return ntohs(*frame_sport(frame));
}

/* Run a request: the source port that it leaves with, and itself as it leaves. */
static uint16_t request_port(struct world *world, enum world_program program,
			     const struct frame_spec *spec, struct frame *out)
{
	struct frame in;

	frame_build(&in, spec);
	world_run(world, program, &in, out);
	return sport(out);
}

static void assert_snat_port(uint16_t port)
{
	assert_in_range(port, SNAT_FIRST, SNAT_FIRST + world_snat_ports - 1);
}

/* The node gets another address while packets go by. */
static void a_new_node_address_counts_at_once(void **state)
{
	static const struct ends moved[2] = {
		{"10.0.0.9", "10.96.0.1", "10.1.0.2", "10.0.0.2", "10.0.0.254", "10.1.0.77"},
		{"fd00::9", "fd96::1", "fd01::2", "fd00::2", "fd00::fe", "fd01::77"},
	};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = remote_world(0);
		struct frame_spec spec = request_of(&moved[v6], IPPROTO_TCP);
		struct frame in, out;
		uint16_t port;

		request_port(world, WORLD_TC_UPLINK, &spec, &out);
		world_node_addresses(world, "10.0.0.2", "fd00::2");
		spec.sport++;
		port = request_port(world, WORLD_TC_UPLINK, &spec, &out);
		assert_snat_port(port);
		frame_build(&in, &(struct frame_spec){.src = moved[v6].node,
						      .dst = moved[v6].backend,
						      .sport = port,
						      .dport = 5000,
						      .ttl = 63,
						      .tcp_flags = TCP_SYN,
						      .payload_bytes = 33});
		memcpy(in.bytes, out.bytes, FRAME_ETH);
		expect_same(&out, &in, "the request");
		spec = answer_of(&moved[v6], IPPROTO_TCP, port);
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
		world_close(world);
	}
}

static const struct {
	enum world_program program;
	int sent;
	const char *name;
} mouths[] = {
	{WORLD_XDP, WORLD_XDP_REDIRECT, "generic XDP"},
	{WORLD_XDP_NATIVE, WORLD_XDP_REDIRECT, "native XDP"},
	{WORLD_TC_UPLINK, WORLD_TC_REDIRECT, "TC"},
};

static void backend_sees_the_node_and_client_the_frontend(void **state)
{
	(void)state;
	for (int m = 0; m < 3; m++) {
		for (int v6 = 0; v6 < 2; v6++) {
			for (int udp = 0; udp < 2; udp++) {
				const struct ends *e = &ends[v6];
				uint8_t protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
				struct frame_spec request = request_of(e, protocol), answer;
				struct world *world = remote_world(0);
				struct frame in, out, expected;
				uint16_t port;

				world_device_native(world, true);
				request.tos = 2;
				request.options_bytes = v6 ? 0 : 8;
				request.extensions = v6;
				frame_build(&in, &request);
				assert_int_equal(world_run(world, mouths[m].program, &in, &out),
						 mouths[m].sent);
				port = sport(&out);
				assert_snat_port(port);
				expected = expect_to(&in, e->backend, 5000);
				expected = expect_from(&expected, e->node, port);
				expected = hop(&expected);
				if (mouths[m].program != WORLD_TC_UPLINK)
					mac_set(&expected, WORLD_ROUTER_MAC, world_uplink_mac);
				expect_same(&out, &expected, mouths[m].name);

				answer = answer_of(e, protocol, port);
				frame_build(&in, &answer);
				assert_int_equal(world_run(world, mouths[m].program, &in, &out),
						 mouths[m].sent);
				expected = expect_to(&in, e->client, 4000);
				expected = expect_from(&expected, e->frontend, 80);
				expected = hop(&expected);
				if (mouths[m].program != WORLD_TC_UPLINK) {
					mac_set(&expected, 0, world_uplink_mac);
					memcpy(expected.bytes, client_mac, 6);
				}
				expect_same(&out, &expected, mouths[m].name);
				assert_int_equal(world_count(world, LB_REASON_FORWARDED), 1);
				assert_int_equal(world_count(world, LB_REASON_REPLIED), 1);
				assert_int_equal(
					world_backend_count(world, v6 ? 101 : 1).packets_out, 1);
				world_close(world);
			}
		}
	}
}

/* What a local sender leaves to a device stays so in generic XDP. */
static void partial_checksum_of_an_answer_stays_partial(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct frame_spec spec = request_of(e, IPPROTO_TCP);
		struct world *world = remote_world(0);
		struct frame in, out;

		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		spec = answer_of(e, IPPROTO_TCP, sport(&out));
		spec.checksum = FRAME_PARTIAL;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_int_equal(*frame_check(&out), frame_pseudo(&out));
		assert_true(frame_ip_verifies(&out));
		/* In native mode nobody would finish it. */
		world_device_native(world, true);
		assert_int_equal(world_run(world, WORLD_XDP_NATIVE, &in, &out), WORLD_XDP_PASS);
		expect_same(&out, &in, "native XDP");
		world_close(world);
	}
}

static void what_xdp_cannot_send_is_left_to_tc(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct frame_spec request = request_of(e, IPPROTO_UDP), answer;
		struct world *world = remote_world(0);
		uint64_t left = 0;
		struct frame in, out;
		uint16_t port;

		port = request_port(world, WORLD_XDP, &request, &out);
		answer = answer_of(e, IPPROTO_UDP, port);

		/* Longer than the link takes: a GSO packet. */
		answer.payload_bytes = 3000;
		frame_build(&in, &answer);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
		expect_same(&out, &in, "long");
		assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), ++left);
		answer.payload_bytes = 10;

		/* By a device that takes nothing from native XDP. */
		frame_build(&in, &answer);
		assert_int_equal(world_run(world, WORLD_XDP_NATIVE, &in, &out), WORLD_XDP_PASS);
		expect_same(&out, &in, "native, veth");
		assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), ++left);

		/* To a client whose MAC nobody knows. */
		request.src = v6 ? "fd00::8" : "10.0.0.8";
		frame_build(&in, &request);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		answer.dport = sport(&out);
		frame_build(&in, &answer);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
		expect_same(&out, &in, "no neighbour");
		assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), ++left);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);

		/* At its last hop: the kernel answers. */
		answer.dport = port;
		answer.ttl = 1;
		frame_build(&in, &answer);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_NEXT);
		expect_same(&out, &in, "TTL 1");
		assert_int_equal(world_count(world, LB_REASON_TTL_EXPIRED), 2);
		world_close(world);
	}
}

/* The node's own connections may have the same ports. */
static void what_is_no_answer_to_a_flow_passes_untouched(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct frame_spec spec = request_of(e, IPPROTO_TCP);
		struct world *world = remote_world(0);
		struct frame in, out;
		struct frame_spec others[5];
		uint16_t port;

		port = request_port(world, WORLD_XDP, &spec, &out);
		for (int i = 0; i < 5; i++)
			others[i] = answer_of(e, IPPROTO_TCP, port);
		others[0].dport = port + 1;
		others[1].sport = 5001;
		others[2].src = e->router;
		others[3].protocol = IPPROTO_UDP;
		others[4].dst = e->client;
		for (int i = 0; i < 5; i++) {
			frame_build(&in, &others[i]);
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
			expect_same(&out, &in, "XDP");
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_NEXT);
			expect_same(&out, &in, "TC");
		}
		assert_int_equal(world_count(world, LB_REASON_NOT_SERVICE), 10);
		world_close(world);
	}
}

static void pod_keeps_its_address_and_goes_by_the_stack(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct frame_spec spec = request_of(e, IPPROTO_TCP);
		struct world *world = remote_world(0);
		struct frame in, out, expected;

		spec.src = e->pod;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_NEXT);
		expected = expect_to(&in, e->backend, 5000);
		expect_same(&out, &expected, "request");
		/* Where it leaves, nothing is to be done. */
		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &expected, &out), WORLD_TC_NEXT);
		expect_same(&out, &expected, "request leaving");

		spec = answer_of(e, IPPROTO_TCP, 4000);
		spec.dst = e->pod;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_NEXT);
		expect_same(&out, &in, "answer coming in");
		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &in, &out), WORLD_TC_NEXT);
		expected = expect_from(&in, e->frontend, 80);
		expect_same(&out, &expected, "answer");
		assert_int_equal(world_count(world, LB_REASON_REPLIED), 1);
		world_close(world);
	}
}

/* Inside the node client and backend talk to each other: what connection tracking and
 * rules see is one connection. */
static void stack_flow_changes_one_end_at_each_mouth(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int udp = 0; udp < 2; udp++) {
			const struct ends *e = &ends[v6];
			uint8_t protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
			struct frame_spec spec = request_of(e, protocol);
			struct world *world = remote_world(LB_BACKEND_F_STACK);
			struct frame in, out, inside;
			uint16_t port;

			frame_build(&in, &spec);
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
			expect_same(&out, &in, "XDP");
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_NEXT);
			inside = expect_to(&in, e->backend, 5000);
			expect_same(&out, &inside, "request coming in");
			assert_int_equal(world_run(world, WORLD_TC_EGRESS, &inside, &out),
					 WORLD_TC_NEXT);
			port = sport(&out);
			assert_snat_port(port);
			inside = expect_from(&inside, e->node, port);
			expect_same(&out, &inside, "request leaving");

			spec = answer_of(e, protocol, port);
			frame_build(&in, &spec);
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
			expect_same(&out, &in, "XDP, answer");
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_NEXT);
			inside = expect_to(&in, e->client, 4000);
			expect_same(&out, &inside, "answer coming in");
			assert_int_equal(world_run(world, WORLD_TC_EGRESS, &inside, &out),
					 WORLD_TC_NEXT);
			inside = expect_from(&inside, e->frontend, 80);
			expect_same(&out, &inside, "answer leaving");
			assert_int_equal(world_count(world, LB_REASON_FORWARDED), 1);
			assert_int_equal(world_count(world, LB_REASON_REPLIED), 1);
			world_close(world);
		}
	}
}

static int entries(struct bpf_map *map)
{
	char key[40], next[40];
	int n = 0, fd = bpf_map__fd(map);

	for (void *at = NULL; !bpf_map_get_next_key(fd, at, next); at = key, n++)
		memcpy(key, next, sizeof(key));
	return n;
}

/* A handshake moves all three entries of a stack flow to the big tables, a close back. */
static void entries_of_a_stack_flow_move_together(void **state)
{
	struct world *world = remote_world(LB_BACKEND_F_STACK);
	const struct ends *e = &ends[0];
	struct frame_spec spec = request_of(e, IPPROTO_TCP);
	struct frame in, out, inside;
	uint16_t port;

	(void)state;
	frame_build(&in, &spec);
	world_run(world, WORLD_TC_UPLINK, &in, &inside);
	world_run(world, WORLD_TC_EGRESS, &inside, &out);
	port = sport(&out);
	spec = answer_of(e, IPPROTO_TCP, port);
	spec.tcp_seq = 1000;
	frame_build(&in, &spec);
	world_run(world, WORLD_TC_UPLINK, &in, &out);
	assert_int_equal(entries(world->skel->maps.new_replies4), 2);
	spec = request_of(e, IPPROTO_TCP);
	spec.tcp_flags = TCP_ACK;
	spec.tcp_ack = 1001;
	frame_build(&in, &spec);
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &inside), WORLD_TC_NEXT);
	assert_int_equal(entries(world->skel->maps.new_replies4), 0);
	assert_int_equal(entries(world->skel->maps.replies4), 2);
	assert_int_equal(entries(world->skel->maps.flows4), 1);
	world_run(world, WORLD_TC_EGRESS, &inside, &out);
	assert_int_equal(sport(&out), port);

	spec = answer_of(e, IPPROTO_TCP, port);
	spec.tcp_flags = TCP_FIN | TCP_ACK;
	frame_build(&in, &spec);
	world_run(world, WORLD_TC_UPLINK, &in, &out);
	spec = request_of(e, IPPROTO_TCP);
	spec.tcp_flags = TCP_FIN | TCP_ACK;
	frame_build(&in, &spec);
	world_run(world, WORLD_TC_UPLINK, &in, &inside);
	assert_int_equal(entries(world->skel->maps.replies4), 0);
	assert_int_equal(entries(world->skel->maps.new_replies4), 2);
	world_run(world, WORLD_TC_EGRESS, &inside, &out);
	assert_int_equal(sport(&out), port);
	world_close(world);
}

static void ten_thousand_flows_have_ten_thousand_ports(void **state)
{
	static bool taken[65536];
	uint32_t before = world_flows;

	(void)state;
	world_flows = 65536;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct world *world = remote_world(0);
		struct frame_spec spec = request_of(e, IPPROTO_TCP);
		struct frame in, out, expected;

		memset(taken, 0, sizeof(taken));
		for (int i = 0; i < 10000; i++) {
			uint16_t port;

			spec = request_of(e, IPPROTO_TCP);
			spec.sport = 20000 + i;
			frame_build(&in, &spec);
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
					 WORLD_XDP_REDIRECT);
			port = sport(&out);
			assert_snat_port(port);
			assert_false(taken[port]);
			taken[port] = true;
			spec = answer_of(e, IPPROTO_TCP, port);
			frame_build(&in, &spec);
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
					 WORLD_XDP_REDIRECT);
			expected = expect_to(&in, e->client, 20000 + i);
			expected = expect_from(&expected, e->frontend, 80);
			expected = hop(&expected);
			mac_set(&expected, 0, world_uplink_mac);
			memcpy(expected.bytes, client_mac, 6);
			expect_same(&out, &expected, "answer");
		}
		assert_int_equal(world_count(world, LB_REASON_NO_SNAT_PORT), 0);
		world_close(world);
	}
	world_flows = before;
}

/* No flow loses its port to another while it lives. */
static void without_a_free_port_a_new_flow_is_dropped_and_counted(void **state)
{
	const struct ends *e = &ends[0];
	struct frame_spec spec;
	struct frame in, out;
	struct world *world;
	uint16_t ports[64] = {0}, freed;
	int begun = 0, client = 0;

	(void)state;
	world_snat_ports = 4;
	world = remote_world(0);
	for (int i = 0; i < 64; i++) {
		spec = request_of(e, IPPROTO_TCP);
		spec.sport = 4000 + i;
		frame_build(&in, &spec);
		if (world_run(world, WORLD_XDP, &in, &out) == WORLD_XDP_REDIRECT) {
			ports[i] = sport(&out);
			begun++;
		} else {
			client = i;
		}
	}
	assert_int_equal(begun, 4);
	assert_int_equal(world_count(world, LB_REASON_NO_SNAT_PORT), 60);
	for (int i = 0; i < 64; i++) {
		if (!ports[i])
			continue;
		spec = request_of(e, IPPROTO_TCP);
		spec.sport = 4000 + i;
		spec.tcp_flags = TCP_ACK;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_int_equal(sport(&out), ports[i]);
		freed = ports[i];
	}
	/* One that its backend has closed rests for a second. */
	spec = answer_of(e, IPPROTO_TCP, freed);
	spec.tcp_flags = TCP_RST;
	frame_build(&in, &spec);
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
	spec = request_of(e, IPPROTO_TCP);
	spec.sport = 4000 + client;
	frame_build(&in, &spec);
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_DROP);
	usleep(1400000);
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
	assert_int_equal(sport(&out), freed);
	world_close(world);
	world_snat_ports = 20000;
}

/* A frame as it lies before a router that quotes it. */
static struct frame built(struct frame_spec spec)
{
	struct frame frame;

	frame_build(&frame, &spec);
	return frame;
}

/* A flow as TC begins it; by the stack, its port shows where the packet leaves. */
static uint16_t flow_begin(struct world *world, const struct ends *e, uint8_t protocol, bool stack)
{
	const struct frame_spec spec = request_of(e, protocol);
	struct frame in, out;
	uint16_t port = request_port(world, WORLD_TC_UPLINK, &spec, &in);

	if (!stack)
		return port;
	world_run(world, WORLD_TC_EGRESS, &in, &out);
	return sport(&out);
}

/* A router between the nodes says that the client's packet is too long, or the backend's
 * node that the port is closed. */
static void errors_about_requests_reach_the_client(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int stack = 0; stack < 2; stack++) {
			for (int router = 0; router < 2; router++) {
				const struct ends *e = &ends[v6];
				struct world *world = remote_world(stack ? LB_BACKEND_F_STACK : 0);
				uint16_t port = flow_begin(world, e, IPPROTO_UDP, stack);
				const char *who = router ? e->router : e->backend;
				struct frame_spec spec = request_of(e, IPPROTO_UDP);
				struct frame sent, seen, in, out, expected;

				spec.payload_bytes = 1400;
				spec.ttl = 60;
				sent = built(spec);
				seen = expect_to(&sent, e->backend, 5000);
				seen = expect_from(&seen, e->node, port);
				frame_icmp_error(&in, who, e->node, v6 ? 2 : 3, v6 ? 0 : 4, 1300,
						 64, &seen, 500);
				assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
						 WORLD_XDP_PASS);
				if (!stack) {
					assert_int_equal(
						world_run(world, WORLD_TC_UPLINK, &in, &out),
						WORLD_TC_REDIRECT);
				} else {
					assert_int_equal(
						world_run(world, WORLD_TC_UPLINK, &in, &out),
						WORLD_TC_NEXT);
					seen = expect_to(&sent, e->backend, 5000);
					frame_icmp_error(&expected, who, e->client, v6 ? 2 : 3,
							 v6 ? 0 : 4, 1300, 64, &seen, 500);
					expect_same(&out, &expected, "inside");
					assert_int_equal(
						world_run(world, WORLD_TC_EGRESS, &expected, &out),
						WORLD_TC_NEXT);
				}
				frame_icmp_error(&expected, router ? e->router : e->frontend,
						 e->client, v6 ? 2 : 3, v6 ? 0 : 4, 1300,
						 stack ? 64 : 63, &sent, 500);
				expect_same(&out, &expected, "to the client");
				world_close(world);
			}
		}
	}
}

static void errors_about_answers_reach_the_backend_from_the_node(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int stack = 0; stack < 2; stack++) {
			const struct ends *e = &ends[v6];
			struct world *world = remote_world(stack ? LB_BACKEND_F_STACK : 0);
			uint16_t port = flow_begin(world, e, IPPROTO_TCP, stack);
			struct frame_spec spec = answer_of(e, IPPROTO_TCP, port);
			struct frame sent, seen, in, out, expected;

			spec.payload_bytes = 1400;
			spec.ttl = 60;
			sent = built(spec);
			seen = expect_to(&sent, e->client, 4000);
			seen = expect_from(&seen, e->frontend, 80);
			frame_icmp_error(&in, e->router, e->frontend, v6 ? 2 : 3, v6 ? 0 : 4, 1300,
					 64, &seen, 500);
			if (!stack) {
				assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
						 WORLD_TC_REDIRECT);
			} else {
				assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
						 WORLD_TC_NEXT);
				seen = expect_to(&sent, e->client, 4000);
				frame_icmp_error(&expected, e->router, e->backend, v6 ? 2 : 3,
						 v6 ? 0 : 4, 1300, 64, &seen, 500);
				expect_same(&out, &expected, "inside");
				assert_int_equal(world_run(world, WORLD_TC_EGRESS, &expected, &out),
						 WORLD_TC_NEXT);
			}
			frame_icmp_error(&expected, e->node, e->backend, v6 ? 2 : 3, v6 ? 0 : 4,
					 1300, stack ? 64 : 63, &sent, 500);
			expect_same(&out, &expected, "to the backend");
			world_close(world);
		}
	}
}

static void fragments_follow_both_ways(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct world *world = remote_world(0);
		uint16_t port = flow_begin(world, e, IPPROTO_UDP, false);
		struct frame whole, translated, in, out, expected;

		for (int back = 0; back < 2; back++) {
			struct frame_spec spec =
				back ? answer_of(e, IPPROTO_UDP, port) : request_of(e, IPPROTO_UDP);

			spec.payload_bytes = 1992;
			whole = built(spec);
			translated = expect_to(&whole, back ? e->client : e->backend,
					       back ? 4000 : 5000);
			translated = expect_from(&translated, back ? e->frontend : e->node,
						 back ? 80 : port);
			for (int later = 0; later < 2; later++) {
				frame_cut(&whole, later * 1000, 1000, !later, 7 + back, &in);
				frame_cut(&translated, later * 1000, 1000, !later, 7 + back,
					  &expected);
				assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
						 WORLD_XDP_PASS);
				assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
						 WORLD_TC_REDIRECT);
				expected.bytes[FRAME_ETH + (v6 ? 7 : 8)]--;
				if (!v6) { /* the header's checksum */
					uint32_t sum = expected.bytes[FRAME_ETH + 10] << 8 |
						       expected.bytes[FRAME_ETH + 11];

					sum += 0x100;
					sum = (sum & 0xffff) + (sum >> 16);
					expected.bytes[FRAME_ETH + 10] = sum >> 8;
					expected.bytes[FRAME_ETH + 11] = sum;
				}
				expect_same(&out, &expected, later ? "later" : "first");
			}
		}
		world_close(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_node_address_counts_at_once),
		cmocka_unit_test(backend_sees_the_node_and_client_the_frontend),
		cmocka_unit_test(partial_checksum_of_an_answer_stays_partial),
		cmocka_unit_test(what_xdp_cannot_send_is_left_to_tc),
		cmocka_unit_test(what_is_no_answer_to_a_flow_passes_untouched),
		cmocka_unit_test(pod_keeps_its_address_and_goes_by_the_stack),
		cmocka_unit_test(stack_flow_changes_one_end_at_each_mouth),
		cmocka_unit_test(entries_of_a_stack_flow_move_together),
		cmocka_unit_test(ten_thousand_flows_have_ten_thousand_ports),
		cmocka_unit_test(without_a_free_port_a_new_flow_is_dropped_and_counted),
		cmocka_unit_test(errors_about_requests_reach_the_client),
		cmocka_unit_test(errors_about_answers_reach_the_backend_from_the_node),
		cmocka_unit_test(fragments_follow_both_ways),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
