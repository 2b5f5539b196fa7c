/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Source ranges: who may reach a load-balancer address.  In both families, by every
 * mouth that a client's packet may take. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "expect.h"
#include "world.h"

static const struct mouth {
	enum world_program program;
	int sent, dropped;
} mouths[] = {
	{WORLD_XDP, WORLD_XDP_REDIRECT, WORLD_XDP_DROP},
	{WORLD_XDP_NATIVE, WORLD_XDP_REDIRECT, WORLD_XDP_DROP},
	{WORLD_TC_UPLINK, WORLD_TC_REDIRECT, WORLD_TC_SHOT},
	{WORLD_TC_POD, WORLD_TC_REDIRECT, WORLD_TC_SHOT},
};
#define MOUTHS (sizeof(mouths) / sizeof(mouths[0]))

/* Flows of each mouth are their own. */
static uint16_t sport(const struct mouth *mouth)
{
	return 4000 + 100 * (mouth - mouths);
}

static void source_put(struct world *world, uint32_t service, const char *addr, uint32_t length)
{
	const struct lb_source value = {0};

	if (strchr(addr, ':')) {
		struct lb_source6_key key = {.prefix_bits = 32 + length, .service = service};

		assert_int_equal(inet_pton(AF_INET6, addr, key.addr), 1);
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(world->skel->maps.sources6), &key,
						     &value, 0),
				 0);
	} else {
		struct lb_source4_key key = {.prefix_bits = 32 + length, .service = service};

		assert_int_equal(inet_pton(AF_INET, addr, &key.addr), 1);
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(world->skel->maps.sources4), &key,
						     &value, 0),
				 0);
	}
}

static const char *vip(bool v6)
{
	return v6 ? "2001:db8::53" : "192.0.2.53";
}

/* One backend, and load-balancer addresses that take 10.0.0.0/28 and 10.0.0.64/32, or
 * fd00::/124 and fd00::64/128. */
static struct world *world_with_sources(void)
{
	struct world *world = world_open();

	world_web(world, 1);
	world_device_native(world, true);
	world_frontend_flags = LB_FRONTEND_F_EXTERNAL | LB_FRONTEND_F_SOURCES;
	for (int v6 = 0; v6 < 2; v6++) {
		world_frontend(world, vip(v6), 53, IPPROTO_TCP, 1 + v6);
		world_frontend(world, vip(v6), 53, IPPROTO_UDP, 1 + v6);
	}
	world_frontend_flags = LB_FRONTEND_F_EXTERNAL;
	world_frontend(world, "192.0.2.54", 53, IPPROTO_TCP, 1);
	world_frontend(world, "2001:db8::54", 53, IPPROTO_TCP, 2);
	world_frontend_flags = 0;
	source_put(world, 1, "10.0.0.0", 28);
	source_put(world, 1, "10.0.0.64", 32);
	source_put(world, 2, "fd00::", 124);
	source_put(world, 2, "fd00::64", 128);
	/* Another service's let nobody in here. */
	source_put(world, 3, "10.0.0.0", 8);
	source_put(world, 3, "fd00::", 16);
	return world;
}

static void packet(struct frame *frame, const char *src, const char *dst, uint8_t protocol,
		   uint16_t sport, uint8_t flags)
{
	frame_build(frame, &(struct frame_spec){.src = src,
						.dst = dst,
						.sport = sport,
						.dport = 53,
						.protocol = protocol,
						.tcp_flags = flags,
						.payload_bytes = flags & TCP_SYN ? 0 : 33});
}

/* Every byte: the backend's address and port, and one hop less. */
static void assert_sent(struct world *world, const struct mouth *mouth, const struct frame *in)
{
	static const uint8_t pod_mac[6] = {0x02, 0, 0, 0, 0, 0xaa};
	bool v6 = frame_is_ipv6(in), xdp = mouth->dropped == WORLD_XDP_DROP;
	struct frame expected = expect_to(in, v6 ? "fd01::2" : "10.1.0.2", 5000), out;

	expected.bytes[FRAME_ETH + (v6 ? 7 : 8)]--;
	frame_finish(&expected);
	if (xdp) {
		memcpy(expected.bytes, pod_mac, sizeof(pod_mac));
		memcpy(expected.bytes + 6, world_device_mac, 6);
	}
	assert_int_equal(world_run(world, mouth->program, in, &out), mouth->sent);
	expect_same(&out, &expected, "sent");
}

/* In silence, and counted. */
static void assert_dropped(struct world *world, const struct mouth *mouth, const struct frame *in)
{
	uint64_t before = world_count(world, LB_REASON_SOURCE_REFUSED);
	struct frame out;

	assert_int_equal(world_run(world, mouth->program, in, &out), mouth->dropped);
	assert_int_equal(world_count(world, LB_REASON_SOURCE_REFUSED), before + 1);
}

/* Rules 71, 72: clients from outside and pods (WORLD_TC_POD) alike; both ends of a
 * range.  The node itself is asked by socket hooks (packet_socket). */
static void members_get_in_and_others_do_not(void **state)
{
	static const struct {
		const char *src4, *src6;
		bool member;
	} rows[] = {
		{"10.0.0.0", "fd00::", true},	  {"10.0.0.15", "fd00::f", true},
		{"10.0.0.16", "fd00::10", false}, {"10.0.0.64", "fd00::64", true},
		{"10.0.0.65", "fd00::65", false}, {"10.1.0.77", "fd01::77", false},
		{"192.0.2.9", "2001::9", false},
	};
	struct world *world = world_with_sources();
	struct frame in;

	(void)state;
	for (const struct mouth *mouth = mouths; mouth < mouths + MOUTHS; mouth++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * 4; i++) {
			bool v6 = i & 1, udp = i & 2;

			packet(&in, v6 ? rows[i / 4].src6 : rows[i / 4].src4, vip(v6),
			       udp ? IPPROTO_UDP : IPPROTO_TCP, sport(mouth) + i,
			       udp ? 0 : TCP_SYN);
			if (rows[i / 4].member)
				assert_sent(world, mouth, &in);
			else
				assert_dropped(world, mouth, &in);
		}
	}
	world_close(world);
}

/* Rule 71: ClusterIP, and an external address without the flag. */
static void other_addresses_of_the_service_take_everybody(void **state)
{
	struct world *world = world_with_sources();
	struct frame in;

	(void)state;
	world_frontend(world, "10.96.0.1", 53, IPPROTO_TCP, 1);
	world_frontend(world, "fd96::1", 53, IPPROTO_TCP, 2);
	for (const struct mouth *mouth = mouths; mouth < mouths + MOUTHS; mouth++) {
		for (int v6 = 0; v6 < 2; v6++) {
			const char *client = v6 ? "fd00::99" : "10.0.0.99";

			packet(&in, client, v6 ? "2001:db8::54" : "192.0.2.54", IPPROTO_TCP,
			       sport(mouth), TCP_SYN);
			assert_sent(world, mouth, &in);
			packet(&in, client, v6 ? "fd96::1" : "10.96.0.1", IPPROTO_TCP,
			       sport(mouth) + 1, TCP_SYN);
			assert_sent(world, mouth, &in);
		}
	}
	assert_int_equal(world_count(world, LB_REASON_SOURCE_REFUSED), 0);
	world_close(world);
}

/* Rule 72: no refusal tells a stranger that the service has nobody. */
static void strangers_hear_nothing_where_there_is_no_backend(void **state)
{
	struct world *world = world_with_sources();
	struct frame in, out;

	(void)state;
	for (uint32_t service = 1; service <= 2; service++) {
		world_ring_clear(world, service);
		world_service(world, service, 0, 0);
	}
	for (const struct mouth *mouth = mouths; mouth < mouths + MOUTHS; mouth++) {
		for (int v6 = 0; v6 < 2; v6++) {
			packet(&in, v6 ? "fd00::99" : "10.0.0.99", vip(v6), IPPROTO_TCP,
			       sport(mouth), TCP_SYN);
			assert_dropped(world, mouth, &in);
			packet(&in, v6 ? "fd00::9" : "10.0.0.9", vip(v6), IPPROTO_TCP, sport(mouth),
			       TCP_SYN);
			assert_int_not_equal(world_run(world, mouth->program, &in, &out),
					     mouth->dropped);
		}
	}
	world_close(world);
}

/* As with connection tracking: ranges are asked about where a flow begins. */
static void a_flow_goes_on_when_its_range_goes(void **state)
{
	struct world *world = world_with_sources();
	const struct lb_source4_key key4 = {32 + 28, 1, inet_addr("10.0.0.0")};
	struct lb_source6_key key6 = {.prefix_bits = 32 + 124, .service = 2};
	struct frame in;

	(void)state;
	inet_pton(AF_INET6, "fd00::", key6.addr);
	for (const struct mouth *mouth = mouths; mouth < mouths + MOUTHS; mouth++) {
		for (int v6 = 0; v6 < 2; v6++) {
			int fd = bpf_map__fd(v6 ? world->skel->maps.sources6
						: world->skel->maps.sources4);
			const char *client = v6 ? "fd00::9" : "10.0.0.9";

			packet(&in, client, vip(v6), IPPROTO_TCP, sport(mouth), TCP_SYN);
			assert_sent(world, mouth, &in);
			assert_int_equal(bpf_map_delete_elem(fd, v6 ? (const void *)&key6 : &key4),
					 0);
			packet(&in, client, vip(v6), IPPROTO_TCP, sport(mouth), TCP_ACK);
			assert_sent(world, mouth, &in);
			packet(&in, client, vip(v6), IPPROTO_TCP, sport(mouth) + 1, TCP_SYN);
			assert_dropped(world, mouth, &in);
			source_put(world, 1 + v6, v6 ? "fd00::" : "10.0.0.0", v6 ? 124 : 28);
		}
	}
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_get_in_and_others_do_not),
		cmocka_unit_test(other_addresses_of_the_service_take_everybody),
		cmocka_unit_test(strangers_hear_nothing_where_there_is_no_backend),
		cmocka_unit_test(a_flow_goes_on_when_its_range_goes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
