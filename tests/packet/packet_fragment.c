/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A datagram in fragments: the later ones go where the first one went, both ways. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "expect.h"
#include "world.h"

#define FIRST_BYTES 80 /* of the UDP datagram, header included: a multiple of 8 */
#define LATER_BYTES 50
#define ID 0x7788

static void cut(const struct frame *whole, bool later, struct frame *ret)
{
	frame_cut(whole, later ? FIRST_BYTES : 0, later ? LATER_BYTES : FIRST_BYTES, !later, ID,
		  ret);
}

static const struct {
	const char *client, *frontend, *backend;
} ends[2] = {{"10.0.0.9", "10.96.0.1", "10.1.0.2"}, {"fd00::9", "fd96::1", "fd01::2"}};

static void fragments_follow_their_first(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = world_open();
		struct frame whole, translated, in, out, expected;

		world_web(world, 1);
		/* There: as the client sends it, and as the backend must get it. */
		frame_build(&whole,
			    &(struct frame_spec){.src = ends[v6].client,
						 .dst = ends[v6].frontend,
						 .sport = 4000,
						 .dport = 80,
						 .protocol = IPPROTO_UDP,
						 .payload_bytes = FIRST_BYTES + LATER_BYTES - 8});
		frame_build(&translated,
			    &(struct frame_spec){.src = ends[v6].client,
						 .dst = ends[v6].backend,
						 .sport = 4000,
						 .dport = 5000,
						 .ttl = 63,
						 .protocol = IPPROTO_UDP,
						 .payload_bytes = FIRST_BYTES + LATER_BYTES - 8});
		for (int later = 0; later < 2; later++) {
			cut(&whole, later, &in);
			cut(&translated, later, &expected);
			/* XDP leaves fragments to TC. */
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
			assert_memory_equal(out.bytes, in.bytes, in.length);
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_REDIRECT);
			expect_same(&out, &expected, later ? "later" : "first");
		}
		/* And back. */
		frame_build(&whole,
			    &(struct frame_spec){.src = ends[v6].backend,
						 .dst = ends[v6].client,
						 .sport = 5000,
						 .dport = 4000,
						 .protocol = IPPROTO_UDP,
						 .payload_bytes = FIRST_BYTES + LATER_BYTES - 8});
		frame_build(&translated,
			    &(struct frame_spec){.src = ends[v6].frontend,
						 .dst = ends[v6].client,
						 .sport = 80,
						 .dport = 4000,
						 .ttl = 63,
						 .protocol = IPPROTO_UDP,
						 .payload_bytes = FIRST_BYTES + LATER_BYTES - 8});
		for (int later = 0; later < 2; later++) {
			cut(&whole, later, &in);
			cut(&translated, later, &expected);
			assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out),
					 WORLD_TC_REDIRECT);
			expect_same(&out, &expected, later ? "later answer" : "first answer");
		}
		world_close(world);
	}
}

/* Another id, sender or protocol is another datagram, and another destination
 * nobody's. */
static void fragments_of_other_datagrams_stay_apart(void **state)
{
	struct world *world = world_open();
	struct frame whole, in, out;

	(void)state;
	world_web(world, 1);
	frame_build(&whole, &(struct frame_spec){.src = "10.0.0.9",
						 .dst = "10.96.0.1",
						 .sport = 4000,
						 .dport = 80,
						 .protocol = IPPROTO_UDP,
						 .payload_bytes = FIRST_BYTES + LATER_BYTES - 8});
	cut(&whole, false, &in);
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
	for (int what = 0; what < 4; what++) {
		static const uint8_t at[] = {5, 9, 15, 19}; /* id, protocol, source, destination */

		cut(&whole, true, &in);
		in.bytes[FRAME_ETH + at[what]] ^= what == 1 ? IPPROTO_UDP ^ IPPROTO_TCP : 1;
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
				 what < 3 ? WORLD_TC_SHOT : WORLD_TC_NEXT);
		assert_memory_equal(out.bytes, in.bytes, in.length);
	}
	assert_int_equal(world_count(world, LB_REASON_STRAY_FRAGMENT), 3);
	assert_int_equal(world_count(world, LB_REASON_FRAGMENT), 1);
	world_close(world);
}

/* One that comes before its first: dropped at an address that is a service's alone,
 * the kernel's where the address is the node's, or the packet isn't TCP or UDP. */
static void a_fragment_without_its_first_is_dropped_where_only_we_are(void **state)
{
	static const struct {
		const char *dst;
		uint8_t protocol;
		bool dropped;
	} rows[] = {
		{"10.96.0.1", IPPROTO_UDP, true},   {"fd96::1", IPPROTO_UDP, true},
		{"10.96.0.1", IPPROTO_TCP, true},   {"fd96::1", IPPROTO_TCP, true},
		{"10.0.0.1", IPPROTO_UDP, false},   {"fd00::1", IPPROTO_UDP, false},
		{"10.96.0.1", IPPROTO_ICMP, false}, {"fd96::1", IPPROTO_ICMPV6, false},
		{"10.1.0.2", IPPROTO_UDP, false},   {"fd01::2", IPPROTO_UDP, false},
	};
	static const enum world_program mouths[] = {WORLD_TC_UPLINK, WORLD_TC_POD};
	struct world *world = world_open();
	struct frame whole, in, out;
	uint64_t dropped = 0;

	(void)state;
	world_web(world, 1);
	/* External addresses that the node has itself. */
	world_frontend(world, "10.0.0.1", 80, IPPROTO_UDP, 1);
	world_frontend(world, "fd00::1", 80, IPPROTO_UDP, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		frame_build(&whole,
			    &(struct frame_spec){.src = strchr(rows[i].dst, ':') ? "fd00::9"
										 : "10.0.0.9",
						 .dst = rows[i].dst,
						 .sport = 4000,
						 .dport = 80,
						 .protocol = rows[i].protocol,
						 .payload_bytes = FIRST_BYTES + LATER_BYTES - 8});
		cut(&whole, true, &in);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
		for (int m = 0; m < 2; m++) {
			assert_int_equal(world_run(world, mouths[m], &in, &out),
					 rows[i].dropped ? WORLD_TC_SHOT : WORLD_TC_NEXT);
			assert_memory_equal(out.bytes, in.bytes, in.length);
			dropped += rows[i].dropped;
			assert_int_equal(world_count(world, LB_REASON_STRAY_FRAGMENT), dropped);
		}
		/* What the kernel itself sends isn't judged. */
		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &in, &out), WORLD_TC_NEXT);
	}
	/* With its first one known it goes on: they may come in any order but this. */
	frame_build(&whole, &(struct frame_spec){.src = "10.0.0.9",
						 .dst = "10.96.0.1",
						 .sport = 4000,
						 .dport = 80,
						 .protocol = IPPROTO_UDP,
						 .payload_bytes = FIRST_BYTES + LATER_BYTES - 8});
	for (int later = 0; later < 3; later++) {
		cut(&whole, later > 0, &in);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
	}
	world_close(world);
}

/* A fragment header on a packet that is whole changes nothing (RFC 6946). */
static void an_atomic_fragment_is_a_whole_packet(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 1);
	frame_build(&in, &(struct frame_spec){.src = "fd00::9",
					      .dst = "fd96::1",
					      .sport = 4000,
					      .dport = 80,
					      .protocol = IPPROTO_UDP,
					      .extensions = 1,
					      .payload_bytes = 20});
	in.bytes[FRAME_ETH + 6] = 44;
	memset(in.bytes + FRAME_ETH + 41, 0, 7);
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_follow_their_first),
		cmocka_unit_test(fragments_of_other_datagrams_stay_apart),
		cmocka_unit_test(a_fragment_without_its_first_is_dropped_where_only_we_are),
		cmocka_unit_test(an_atomic_fragment_is_a_whole_packet),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_fragment", tests, NULL, NULL);
}
