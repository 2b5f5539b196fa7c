/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Refusals: RST and port unreachable, byte for byte, and their limits. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "world.h"

/* A service without a backend. */
static struct world *refusing_world(void)
{
	struct world *world = world_open();

	world_web(world, 1);
	world_ring_clear(world, 1);
	world_ring_clear(world, 2);
	return world;
}

static void refill(void)
{
	/* A thousand a second, as world.c leaves it: 20 ms are 20. */
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* The RST that answers `in`: built from words, with checksums made anew. */
static void expect_rst(const struct frame *in, const struct frame *out, uint32_t seq, uint32_t ack,
		       uint8_t flags)
{
	bool v6 = frame_is_ipv6(in);
	char client[64], frontend[64];
	struct frame expected;

	inet_ntop(v6 ? AF_INET6 : AF_INET, in->bytes + FRAME_ETH + (v6 ? 8 : 12), client,
		  sizeof(client));
	inet_ntop(v6 ? AF_INET6 : AF_INET, in->bytes + FRAME_ETH + (v6 ? 24 : 16), frontend,
		  sizeof(frontend));
	frame_build(&expected, &(struct frame_spec){.src = frontend,
						    .dst = client,
						    .sport = 80,
						    .dport = 4000,
						    .tcp_flags = flags,
						    .tcp_seq = seq,
						    .tcp_ack = ack});
	expected.bytes[frame_l4(&expected) + 14] = 0; /* window */
	if (!v6)
		expected.bytes[FRAME_ETH + 4] = expected.bytes[FRAME_ETH + 5] = 0; /* id */
	frame_finish(&expected);
	assert_int_equal(out->length, expected.length);
	/* The MACs are the neighbour table's to fill in. */
	assert_memory_equal(out->bytes + 12, expected.bytes + 12, expected.length - 12);
}

static void tcp_is_refused_by_rst(void **state)
{
	static const struct {
		struct frame_spec spec;
		uint32_t seq, ack;
		uint8_t flags;
	} rows[] = {
		{{.tcp_flags = TCP_SYN, .tcp_seq = 1000}, 0, 1001, TCP_RST | TCP_ACK},
		{{.tcp_flags = TCP_SYN, .tcp_seq = 0xffffffff, .payload_bytes = 100},
		 0,
		 100,
		 TCP_RST | TCP_ACK},
		{{.tcp_flags = TCP_ACK, .tcp_seq = 5, .tcp_ack = 777, .payload_bytes = 1000},
		 777,
		 0,
		 TCP_RST},
		{{.tcp_flags = TCP_ACK | TCP_FIN, .tcp_seq = 5, .tcp_ack = 778}, 778, 0, TCP_RST},
		{{.tcp_flags = TCP_FIN, .tcp_seq = 5, .payload_bytes = 3}, 0, 9, TCP_RST | TCP_ACK},
		{{.tcp_flags = TCP_SYN, .tcp_seq = 1, .options_bytes = 12, .extensions = 2},
		 0,
		 2,
		 TCP_RST | TCP_ACK},
	};
	struct world *world = refusing_world();
	struct frame in, out;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct frame_spec spec = rows[i].spec;

			spec.src = v6 ? "fd00::9" : "10.0.0.9";
			spec.dst = v6 ? "fd96::1" : "10.96.0.1";
			spec.sport = 4000;
			spec.dport = 80;
			frame_build(&in, &spec);
			/* XDP leaves it untouched ... */
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
			assert_int_equal(out.length, in.length);
			assert_memory_equal(out.bytes, in.bytes, in.length);
			/* ... to TC, which answers. */
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_REDIRECT);
			expect_rst(&in, &out, rows[i].seq, rows[i].ack, rows[i].flags);
		}
	}
	assert_int_equal(world_count(world, LB_REASON_NO_ENDPOINT), 12);
	world_close(world);
}

static void a_rst_is_never_answered(void **state)
{
	struct world *world = refusing_world();
	struct frame in, out;

	(void)state;
	frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
					      .dst = "10.96.0.1",
					      .sport = 4000,
					      .dport = 80,
					      .tcp_flags = TCP_RST | TCP_ACK});
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_SHOT);
	assert_int_equal(world_count(world, LB_REASON_REJECT_SILENT), 1);
	world_close(world);
}

/* RFC 1071 over bytes, for what frame.c doesn't build. */
static uint16_t sum16(const uint8_t *bytes, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void udp_is_refused_by_port_unreachable(void **state)
{
	static const uint16_t payloads[] = {0, 1, 77, 500, 520, 521, 1180, 1184, 1185, 1400};
	struct world *world = refusing_world();
	struct frame in, out;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
			size_t ip_bytes = v6 ? 40 : 20, most = v6 ? 1280 : 576, quoted;
			const uint8_t *ip = out.bytes + FRAME_ETH, *icmp = ip + ip_bytes;
			uint8_t tail[4] = {0, 0, 0, 58};

			frame_build(&in, &(struct frame_spec){.src = v6 ? "fd00::9" : "10.0.0.9",
							      .dst = v6 ? "fd96::1" : "10.96.0.1",
							      .sport = 4000,
							      .dport = 80,
							      .protocol = IPPROTO_UDP,
							      .payload_bytes = payloads[i]});
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_REDIRECT);
			quoted = in.length - FRAME_ETH;
			if (quoted > most - ip_bytes - 8)
				quoted = most - ip_bytes - 8;
			assert_int_equal(out.length, FRAME_ETH + ip_bytes + 8 + quoted);
			assert_int_equal(out.bytes[12], v6 ? 0x86 : 0x08);
			/* From the address tried, to the client. */
			assert_memory_equal(ip + (v6 ? 8 : 12),
					    in.bytes + FRAME_ETH + (v6 ? 24 : 16), v6 ? 16 : 4);
			assert_memory_equal(ip + (v6 ? 24 : 16),
					    in.bytes + FRAME_ETH + (v6 ? 8 : 12), v6 ? 16 : 4);
			assert_int_equal(ip[v6 ? 6 : 9], v6 ? 58 : 1);
			assert_int_equal(ip[v6 ? 7 : 8], 64);
			if (v6) {
				assert_int_equal(ip[4] << 8 | ip[5], 8 + quoted);
				tail[0] = (8 + quoted) >> 8;
				tail[1] = 8 + quoted;
			} else {
				assert_int_equal(ip[2] << 8 | ip[3], 28 + quoted);
				assert_int_equal(sum16(ip, 20, 0), 0xffff);
			}
			assert_int_equal(icmp[0], v6 ? 1 : 3);
			assert_int_equal(icmp[1], v6 ? 4 : 3);
			assert_int_equal(sum16(icmp, 8 + quoted,
					       v6 ? sum16(ip + 8, 32, sum16(tail, 4, 0)) : 0),
					 0xffff);
			/* The quote is the client's packet as it sent it. */
			assert_memory_equal(icmp + 8, in.bytes + FRAME_ETH, quoted);
			refill();
		}
	}
	world_close(world);
}

static void refusals_are_limited(void **state)
{
	struct world *world = refusing_world();
	struct frame in, out;
	int answered = 0;

	(void)state;
	frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
					      .dst = "10.96.0.1",
					      .sport = 4000,
					      .dport = 80,
					      .tcp_flags = TCP_SYN});
	for (int i = 0; i < 20000; i++)
		answered += world_run(world, WORLD_TC_UPLINK, &in, &out) == WORLD_TC_REDIRECT;
	assert_in_range(answered, 50, 5000);
	assert_int_equal(world_count(world, LB_REASON_NO_ENDPOINT), answered);
	assert_int_equal(world_count(world, LB_REASON_REJECT_SILENT), 20000 - answered);
	refill();
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
	world_close(world);
}

/* A connection whose backend is no more learns it at its next packet. */
static void a_connection_to_a_freed_backend_is_reset(void **state)
{
	struct world *world = world_open();
	struct lb_backend backend;
	struct frame in, out;

	(void)state;
	world_web(world, 1);
	frame_build(&in, &(struct frame_spec){.src = "10.0.0.9",
					      .dst = "10.96.0.1",
					      .sport = 4000,
					      .dport = 80,
					      .tcp_flags = TCP_ACK,
					      .tcp_ack = 55,
					      .payload_bytes = 10});
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
	backend = world_backend_get(world, 1);
	backend.generation++;
	world_backend_set(world, 1, &backend);
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
	expect_rst(&in, &out, 55, 0, TCP_RST);
	assert_int_equal(world_count(world, LB_REASON_BACKEND_GONE), 1);
	world_close(world);
}

/* The route is that of the answer. */
static void nobody_is_answered_without_a_way_back(void **state)
{
	static const char *const clients[] = {"203.0.113.5", "2001:db8:dead::5"};
	struct world *world = refusing_world();
	struct frame in, out;

	(void)state;
	assert_int_equal(system("ip route replace unreachable 203.0.113.0/24 && "
				"ip -6 route replace unreachable 2001:db8:dead::/48"),
			 0);
	for (int v6 = 0; v6 < 2; v6++) {
		frame_build(&in, &(struct frame_spec){.src = clients[v6],
						      .dst = v6 ? "fd96::1" : "10.96.0.1",
						      .sport = 4000,
						      .dport = 80,
						      .tcp_flags = TCP_SYN});
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_SHOT);
		assert_int_equal(world_count(world, LB_REASON_NO_ROUTE), v6 + 1);
	}
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_refused_by_rst),
		cmocka_unit_test(a_rst_is_never_answered),
		cmocka_unit_test(udp_is_refused_by_port_unreachable),
		cmocka_unit_test(refusals_are_limited),
		cmocka_unit_test(a_connection_to_a_freed_backend_is_reset),
		cmocka_unit_test(nobody_is_answered_without_a_way_back),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_reject", tests, NULL, NULL);
}
