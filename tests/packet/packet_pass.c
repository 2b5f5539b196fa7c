/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What isn't a service's goes on untouched, whatever it is. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "world.h"

static const enum world_program programs[] = {WORLD_XDP, WORLD_TC_UPLINK, WORLD_TC_POD};

static int pass_of(enum world_program program)
{
	return program == WORLD_XDP ? WORLD_XDP_PASS : WORLD_TC_NEXT;
}

/* The frame passes every program byte for byte and counts as reason. */
static void assert_passes(struct world *world, const struct frame *in, enum lb_reason reason,
			  const char *what)
{
	struct frame out;

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		/* The kernel's test run gives TC no packet without an IP header. */
		if (programs[i] != WORLD_XDP &&
		    in->length < FRAME_ETH + (frame_is_ipv6(in) ? 40 : 20))
			continue;
		uint64_t before = world_count(world, reason);
		int action = world_run(world, programs[i], in, &out);

		if (action != pass_of(programs[i]))
			fail_msg("%s: program %zu says %d", what, i, action);
		if (out.length != in->length || memcmp(out.bytes, in->bytes, in->length))
			fail_msg("%s: program %zu changed the packet", what, i);
		if (world_count(world, reason) != before + 1)
			fail_msg("%s: program %zu doesn't count it as reason %d", what, i, reason);
	}
}

static void empty_maps_pass_everything(void **state)
{
	static const struct frame_spec specs[] = {
		{.src = "10.0.0.9",
		 .dst = "10.96.0.1",
		 .sport = 4000,
		 .dport = 80,
		 .tcp_flags = TCP_SYN},
		{.src = "10.0.0.9",
		 .dst = "10.96.0.1",
		 .sport = 4000,
		 .dport = 80,
		 .protocol = IPPROTO_UDP},
		{.src = "fd00::9",
		 .dst = "fd96::1",
		 .sport = 4000,
		 .dport = 80,
		 .tcp_flags = TCP_SYN},
		{.src = "fd00::9",
		 .dst = "fd96::1",
		 .sport = 4000,
		 .dport = 80,
		 .protocol = IPPROTO_UDP},
	};
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		frame_build(&frame, &specs[i]);
		assert_passes(world, &frame, LB_REASON_NOT_SERVICE, specs[i].dst);
	}
	world_close(world);
}

static void another_port_address_or_protocol_passes(void **state)
{
	static const struct frame_spec specs[] = {
		{.src = "10.0.0.9", .dst = "10.96.0.1", .dport = 81},
		{.src = "10.0.0.9", .dst = "10.96.0.2", .dport = 80},
		{.src = "10.96.0.1", .dst = "10.0.0.9", .sport = 80},
		{.src = "fd00::9", .dst = "fd96::1", .dport = 81, .protocol = IPPROTO_UDP},
		{.src = "fd00::9", .dst = "fd96::2", .dport = 80},
	};
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		frame_build(&frame, &specs[i]);
		assert_passes(world, &frame, LB_REASON_NOT_SERVICE, specs[i].dst);
	}
	world_close(world);
}

static void other_protocols_pass(void **state)
{
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	frame_build(&frame, &(struct frame_spec){.src = "10.0.0.9",
						 .dst = "10.96.0.1",
						 .protocol = IPPROTO_ICMP,
						 .payload_bytes = 40});
	assert_passes(world, &frame, LB_REASON_NOT_TCP_UDP, "ICMP");
	frame_build(&frame, &(struct frame_spec){.src = "fd00::9",
						 .dst = "fd96::1",
						 .protocol = IPPROTO_ICMPV6,
						 .payload_bytes = 40});
	assert_passes(world, &frame, LB_REASON_NOT_TCP_UDP, "ICMPv6");
	frame_build(&frame,
		    &(struct frame_spec){.src = "10.0.0.9", .dst = "10.96.0.1", .dport = 80});
	frame.bytes[12] = 0x08;
	frame.bytes[13] = 0x06;
	assert_passes(world, &frame, LB_REASON_NOT_IP, "ARP");
	world_close(world);
}

static void frame_tag(struct frame *frame, uint16_t protocol, uint16_t tci)
{
	memmove(frame->bytes + 16, frame->bytes + 12, frame->length - 12);
	frame->bytes[12] = protocol >> 8;
	frame->bytes[13] = protocol & 0xff;
	frame->bytes[14] = tci >> 8;
	frame->bytes[15] = tci & 0xff;
	frame->length += 4;
}

/* Frames of VLANs are their devices' to look at, whatever is in them. */
static void frames_with_a_tag_pass(void **state)
{
	/* Outer tag, inner tag (0: none). */
	static const struct {
		uint16_t protocol, tci, inner_protocol, inner_tci;
	} tags[] = {
		{0x8100, 5, 0, 0},	     {0x88a8, 5, 0, 0},	     {0x8100, 0xe005, 0, 0},
		{0x8100, 0x0fff, 0, 0},	     {0x88a8, 7, 0x8100, 5}, {0x8100, 7, 0x8100, 5},
		{0x88a8, 7, 0x8100, 0x6000},
	};
	struct world *world = world_open();
	struct frame frame, out;

	(void)state;
	world_web(world, 3);
	for (int v6 = 0; v6 < 2; v6++) {
		struct frame_spec spec = {.src = v6 ? "fd00::9" : "10.0.0.9",
					  .dst = v6 ? "fd96::1" : "10.96.0.1",
					  .sport = 4000,
					  .dport = 80,
					  .tcp_flags = TCP_SYN};

		for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
			frame_build(&frame, &spec);
			if (tags[i].inner_protocol)
				frame_tag(&frame, tags[i].inner_protocol, tags[i].inner_tci);
			frame_tag(&frame, tags[i].protocol, tags[i].tci);
			assert_passes(world, &frame, LB_REASON_VLAN, "a VLAN's");
			assert_int_equal(world_run(world, WORLD_XDP_NATIVE, &frame, &out),
					 WORLD_XDP_PASS);
			assert_memory_equal(out.bytes, frame.bytes, frame.length);
		}
		/* VLAN 0 is none: a priority alone.  XDP leaves it to TC. */
		frame_build(&frame, &spec);
		frame_tag(&frame, 0x8100, 0xe000);
		assert_int_equal(world_run(world, WORLD_XDP, &frame, &out), WORLD_XDP_PASS);
		assert_memory_equal(out.bytes, frame.bytes, frame.length);
		assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), v6 + 1);
	}
	/* A tag that the frame is too short for. */
	frame.length = 15;
	assert_int_equal(world_run(world, WORLD_XDP, &frame, &out), WORLD_XDP_PASS);
	assert_int_equal(world_count(world, LB_REASON_NOT_IP), 1);
	world_close(world);
}

static void frames_for_others_pass(void **state)
{
	static const uint8_t macs[][6] = {
		{0x02, 0, 0, 0, 0, 0x99},    /* another machine's */
		{0x02, 0, 0, 0, 0x01, 0},    /* the own one, the words the other way round */
		{0x02, 0, 0, 1, 0, 0x01},    /* one byte is different in either word */
		{0x01, 0, 0x5e, 0, 0, 0x01}, /* to many */
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, /* to all */
	};
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	for (int v6 = 0; v6 < 2; v6++) {
		frame_build(&frame, &(struct frame_spec){.src = v6 ? "fd00::9" : "10.0.0.9",
							 .dst = v6 ? "fd96::1" : "10.96.0.1",
							 .sport = 4000,
							 .dport = 80,
							 .tcp_flags = TCP_SYN});
		for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
			memcpy(frame.bytes, macs[i], 6);
			assert_passes(world, &frame, LB_REASON_OTHER_MAC, "another MAC");
		}
	}
	world_close(world);
}

/* Is a SYN translated by XDP that comes in by "uplink" for a MAC? */
static bool is_taken(struct world *world, const uint8_t mac[6])
{
	struct frame frame, out;

	frame_build(&frame, &(struct frame_spec){.src = "10.0.0.9",
						 .dst = "10.96.0.1",
						 .sport = 4000,
						 .dport = 80,
						 .tcp_flags = TCP_SYN});
	memcpy(frame.bytes, mac, 6);
	return world_run(world, WORLD_XDP, &frame, &out) == WORLD_XDP_REDIRECT;
}

/* Of several uplinks each takes what is for its own MAC; a part of one (a bond's
 * device), which lbd doesn't know, what is for any. */
static void each_uplink_has_its_own_mac(void **state)
{
	static const uint8_t a[6] = {0x02, 0, 0, 0, 0, 0x0a}, b[6] = {0x02, 0, 0, 0, 0, 0x0b},
			     c[6] = {0x02, 0, 0, 0, 0, 0x0c};
	struct world *world = world_open();

	(void)state;
	world_web(world, 3);
	world_uplink(world, 0, world->up, a);
	assert_true(is_taken(world, a));
	assert_false(is_taken(world, b));
	world_uplink(world, 1, world->pods, b);
	assert_true(is_taken(world, a));
	assert_false(is_taken(world, b));
	world_uplink(world, 0, world->pods, b);
	world_uplink(world, 1, world->up, a);
	assert_true(is_taken(world, a));
	assert_false(is_taken(world, b));
	world_uplink(world, 1, world->pods + 1000, a);
	assert_true(is_taken(world, a));
	assert_true(is_taken(world, b));
	assert_false(is_taken(world, c));
	world_close(world);
}

/* Later ones whose first one nobody has seen. */
static void unknown_fragments_pass(void **state)
{
	static const uint16_t offsets[] = {0x2001, 0x0001, 0x1fff, 0x3fff};
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	for (size_t i = 0; i < 4; i++) {
		frame_build(&frame, &(struct frame_spec){.src = "10.0.0.9",
							 .dst = "10.96.0.2",
							 .dport = 80,
							 .protocol = IPPROTO_UDP,
							 .payload_bytes = 64});
		frame.bytes[FRAME_ETH + 6] = offsets[i] >> 8;
		frame.bytes[FRAME_ETH + 7] = offsets[i];
		assert_passes(world, &frame, LB_REASON_FRAGMENT, "IPv4 fragment");
	}
	frame_build(&frame, &(struct frame_spec){.src = "fd00::9",
						 .dst = "fd96::2",
						 .dport = 80,
						 .protocol = IPPROTO_UDP,
						 .extensions = 1,
						 .payload_bytes = 64});
	frame.bytes[FRAME_ETH + 6] = 44; /* the extension is a fragment header */
	frame.bytes[FRAME_ETH + 40 + 2] = 0x05;
	frame.bytes[FRAME_ETH + 40 + 3] = 0xa0;
	assert_passes(world, &frame, LB_REASON_FRAGMENT, "IPv6 fragment");
	world_close(world);
}

static void impossible_sources_are_the_kernels_to_judge(void **state)
{
	/* The last two: this node's own, which don't come from outside. */
	static const char *const sources[] = {
		"127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1",	  "::",
		"ff02::1",   "fe80::9", "febf::9",   "10.0.0.1",	"fd00::1"};
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		frame_build(&frame,
			    &(struct frame_spec){.src = sources[i],
						 .dst = strchr(sources[i], ':') ? "fd96::1"
										: "10.96.0.1",
						 .sport = 4000,
						 .dport = 80,
						 .tcp_flags = TCP_SYN});
		assert_passes(world, &frame, LB_REASON_MARTIAN, sources[i]);
	}
	world_close(world);
}

static void ttl_of_one_is_the_kernels_to_answer(void **state)
{
	struct world *world = world_open();
	struct frame frame, out;

	(void)state;
	world_web(world, 3);
	for (int v6 = 0; v6 < 2; v6++) {
		struct frame_spec spec = {.src = v6 ? "fd00::9" : "10.0.0.9",
					  .dst = v6 ? "fd96::1" : "10.96.0.1",
					  .sport = 4000,
					  .dport = 80,
					  .ttl = 1};

		frame_build(&frame, &spec);
		assert_int_equal(world_run(world, WORLD_XDP, &frame, &out), WORLD_XDP_PASS);
		assert_memory_equal(out.bytes, frame.bytes, frame.length);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &frame, &out), WORLD_TC_NEXT);
		assert_memory_equal(out.bytes, frame.bytes, frame.length);
		assert_int_equal(world_count(world, LB_REASON_TTL_EXPIRED), 2 * (v6 + 1));
	}
	world_close(world);
}

/* One byte of a good frame becomes a lie. */
struct lie {
	const char *what;
	struct frame_spec spec;
	size_t at; /* from the IP header */
	uint8_t value;
};

static void lengths_that_lie_pass_untouched(void **state)
{
	static const struct frame_spec tcp4 = {.src = "10.0.0.9", .dst = "10.96.0.1", .dport = 80};
	static const struct frame_spec udp4 = {.src = "10.0.0.9",
					       .dst = "10.96.0.1",
					       .dport = 80,
					       .protocol = IPPROTO_UDP,
					       .payload_bytes = 20};
	static const struct frame_spec tcp6 = {.src = "fd00::9", .dst = "fd96::1", .dport = 80};
	static const struct frame_spec udp6 = {.src = "fd00::9",
					       .dst = "fd96::1",
					       .dport = 80,
					       .protocol = IPPROTO_UDP,
					       .payload_bytes = 20};
	const struct lie lies[] = {
		{"IHL 4", tcp4, 0, 0x44},
		{"IHL 0", tcp4, 0, 0x40},
		{"IHL 15 in a short packet", tcp4, 0, 0x4f},
		{"version 6 in an IPv4 frame", tcp4, 0, 0x65},
		{"version 4 in an IPv6 frame", tcp6, 0, 0x45},
		{"total length beyond the frame", tcp4, 2, 0xff},
		{"total length below the header", tcp4, 3, 19},
		{"total length that cuts TCP short", tcp4, 3, 39},
		{"total length that cuts UDP short", udp4, 3, 27},
		{"TCP data offset 4", tcp4, 20 + 12, 0x40},
		{"TCP data offset beyond the packet", tcp4, 20 + 12, 0xf0},
		{"UDP length 7", udp4, 20 + 5, 7},
		{"UDP length beyond the packet", udp4, 20 + 5, 29},
		{"payload length beyond the frame", tcp6, 4, 0xff},
		{"payload length that cuts TCP short", tcp6, 5, 19},
		{"payload length 0", tcp6, 5, 0},
		{"IPv6 UDP length 7", udp6, 40 + 5, 7},
		{"IPv6 UDP length beyond the packet", udp6, 40 + 5, 29},
	};
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		frame_build(&frame, &lies[i].spec);
		frame.bytes[FRAME_ETH + lies[i].at] = lies[i].value;
		assert_passes(world, &frame, LB_REASON_BAD_HEADER, lies[i].what);
	}
	world_close(world);
}

/* Every prefix of a good packet, however short, passes untouched.  (Below 14
 * bytes the kernel's test run takes no frame.) */
static void truncated_packets_pass_untouched(void **state)
{
	static const struct frame_spec specs[] = {
		{.src = "10.0.0.9", .dst = "10.96.0.1", .dport = 80, .options_bytes = 40},
		{.src = "10.0.0.9", .dst = "10.96.0.1", .dport = 80, .protocol = IPPROTO_UDP},
		{.src = "fd00::9", .dst = "fd96::1", .dport = 80, .extensions = 6},
		{.src = "fd00::9", .dst = "fd96::1", .dport = 80, .protocol = IPPROTO_UDP},
	};
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		frame_build(&frame, &specs[i]);
		for (size_t whole = frame.length, n = 15; n < whole; n++) {
			frame.length = n;
			assert_passes(world, &frame, LB_REASON_BAD_HEADER, "truncated");
		}
	}
	world_close(world);
}

static void too_many_extensions_pass(void **state)
{
	struct world *world = world_open();
	struct frame frame;

	(void)state;
	world_web(world, 3);
	frame_build(&frame,
		    &(struct frame_spec){
			    .src = "fd00::9", .dst = "fd96::1", .dport = 80, .extensions = 7});
	assert_passes(world, &frame, LB_REASON_NOT_TCP_UDP, "seven extension headers");
	/* A routing header that still has somewhere to go. */
	frame_build(&frame,
		    &(struct frame_spec){
			    .src = "fd00::9", .dst = "fd96::1", .dport = 80, .extensions = 1});
	frame.bytes[FRAME_ETH + 6] = 43;
	frame.bytes[FRAME_ETH + 40 + 3] = 1;
	assert_passes(world, &frame, LB_REASON_NOT_TCP_UDP, "routing header");
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_maps_pass_everything),
		cmocka_unit_test(another_port_address_or_protocol_passes),
		cmocka_unit_test(other_protocols_pass),
		cmocka_unit_test(frames_with_a_tag_pass),
		cmocka_unit_test(frames_for_others_pass),
		cmocka_unit_test(each_uplink_has_its_own_mac),
		cmocka_unit_test(unknown_fragments_pass),
		cmocka_unit_test(impossible_sources_are_the_kernels_to_judge),
		cmocka_unit_test(ttl_of_one_is_the_kernels_to_answer),
		cmocka_unit_test(lengths_that_lie_pass_untouched),
		cmocka_unit_test(truncated_packets_pass_untouched),
		cmocka_unit_test(too_many_extensions_pass),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_pass", tests, NULL, NULL);
}
