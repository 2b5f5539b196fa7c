/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Client to backend: every byte of what leaves, for XDP and TC. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "world.h"

#define CLIENT4 "10.0.0.9"
#define CLIENT6 "fd00::9"

struct row {
	const char *what;
	struct frame_spec spec;
};

static const struct row rows[] = {
	{"TCP SYN", {.src = CLIENT4, .dst = "10.96.0.1", .tcp_flags = TCP_SYN}},
	{"TCP data",
	 {.src = CLIENT4, .dst = "10.96.0.1", .tcp_flags = TCP_ACK, .payload_bytes = 333}},
	{"TCP with IP options",
	 {.src = CLIENT4, .dst = "10.96.0.1", .options_bytes = 40, .payload_bytes = 9}},
	{"TCP, ECN and DSCP", {.src = CLIENT4, .dst = "10.96.0.1", .tos = 0xbb}},
	{"TCP, TTL 2", {.src = CLIENT4, .dst = "10.96.0.1", .ttl = 2}},
	{"TCP, TTL 255", {.src = CLIENT4, .dst = "10.96.0.1", .ttl = 255}},
	{"TCP, full frame", {.src = CLIENT4, .dst = "10.96.0.1", .payload_bytes = 1460}},
	{"UDP",
	 {.src = CLIENT4, .dst = "10.96.0.1", .protocol = IPPROTO_UDP, .payload_bytes = 100}},
	{"UDP, odd length",
	 {.src = CLIENT4, .dst = "10.96.0.1", .protocol = IPPROTO_UDP, .payload_bytes = 77}},
	{"UDP, empty", {.src = CLIENT4, .dst = "10.96.0.1", .protocol = IPPROTO_UDP}},
	{"TCP6 SYN", {.src = CLIENT6, .dst = "fd96::1", .tcp_flags = TCP_SYN}},
	{"TCP6 data",
	 {.src = CLIENT6, .dst = "fd96::1", .tcp_flags = TCP_ACK, .payload_bytes = 333}},
	{"TCP6, six extension headers",
	 {.src = CLIENT6, .dst = "fd96::1", .extensions = 6, .payload_bytes = 9}},
	{"TCP6, traffic class", {.src = CLIENT6, .dst = "fd96::1", .tos = 0xbb}},
	{"TCP6, hop limit 2", {.src = CLIENT6, .dst = "fd96::1", .ttl = 2}},
	{"TCP6, full frame", {.src = CLIENT6, .dst = "fd96::1", .payload_bytes = 1440}},
	{"UDP6", {.src = CLIENT6, .dst = "fd96::1", .protocol = IPPROTO_UDP, .payload_bytes = 100}},
};

static void frame_port(struct frame_spec *spec, uint16_t sport)
{
	spec->sport = sport;
	spec->dport = 80;
}

static size_t address_at(const struct frame *frame)
{
	return FRAME_ETH + (frame_is_ipv6(frame) ? 24 : 16);
}

/*
 * What must leave: the destination is one of the backends, TTL is one less,
 * checksums hold, XDP has set the MACs, and no other byte differs.  Built from
 * `in` by changing fields and computing checksums anew, not by updating them.
 */
static void assert_forwarded(const struct frame *in, const struct frame *out, bool partial,
			     bool no_checksum, bool xdp, const char *what)
{
	static const uint8_t pod_mac[6] = {0x02, 0, 0, 0, 0, 0xaa};
	struct frame expected = *in;
	uint8_t *ip = expected.bytes + FRAME_ETH;
	size_t address = address_at(in), address_bytes = frame_is_ipv6(in) ? 16 : 4;
	uint8_t backend[16];

	if (out->length != in->length)
		fail_msg("%s: %zu bytes became %zu", what, in->length, out->length);
	/* Which backend is the ring's choice; that it is one is checked here. */
	inet_pton(frame_is_ipv6(in) ? AF_INET6 : AF_INET, frame_is_ipv6(in) ? "fd01::" : "10.1.0.0",
		  backend);
	backend[address_bytes - 1] = out->bytes[address + address_bytes - 1];
	if (backend[address_bytes - 1] < 2 || backend[address_bytes - 1] > 6)
		fail_msg("%s: sent to no backend", what);
	memcpy(expected.bytes + address, backend, address_bytes);
	*frame_dport(&expected) = htons(5000);
	ip[frame_is_ipv6(in) ? 7 : 8]--;
	frame_finish(&expected);
	if (partial)
		*frame_check(&expected) = frame_pseudo(&expected);
	if (no_checksum)
		*frame_check(&expected) = 0;
	if (xdp) {
		memcpy(expected.bytes, pod_mac, 6);
		memcpy(expected.bytes + 6, world_device_mac, 6);
	}
	for (size_t i = 0; i < out->length; i++)
		if (out->bytes[i] != expected.bytes[i])
			fail_msg("%s: byte %zu is %02x, not %02x", what, i, out->bytes[i],
				 expected.bytes[i]);
}

static void forward_rows(enum world_program program, int redirect, enum frame_checksum checksum)
{
	struct world *world = world_open();
	struct frame in, out;
	char what[100];

	world_web(world, 5);
	world_device_native(world, program == WORLD_XDP_NATIVE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame_spec spec = rows[i].spec;
		bool udp = spec.protocol == IPPROTO_UDP;

		spec.checksum = checksum;
		if (checksum == FRAME_NONE && (!udp || strchr(spec.dst, ':')))
			continue;
		frame_port(&spec, 4000 + i);
		frame_build(&in, &spec);
		for (int again = 0; again < 2; again++) { /* a new flow, then a hit */
			snprintf(what, sizeof(what), "%s, %s", rows[i].what, again ? "hit" : "new");
			if (world_run(world, program, &in, &out) != redirect)
				fail_msg("%s: not redirected", what);
			assert_forwarded(&in, &out, checksum == FRAME_PARTIAL,
					 checksum == FRAME_NONE, program != WORLD_TC_UPLINK, what);
		}
	}
	world_close(world);
}

static void xdp_forwards_finished_checksums(void **state)
{
	(void)state;
	forward_rows(WORLD_XDP, WORLD_XDP_REDIRECT, FRAME_FINISHED);
}

static void native_xdp_forwards_to_devices_that_take_it(void **state)
{
	(void)state;
	forward_rows(WORLD_XDP_NATIVE, WORLD_XDP_REDIRECT, FRAME_FINISHED);
	forward_rows(WORLD_XDP_NATIVE, WORLD_XDP_REDIRECT, FRAME_NONE);
}

/* A veth as the target, a checksum that nobody would finish: untouched. */
static void native_xdp_leaves_to_tc_what_would_be_lost(void **state)
{
	struct world *world = world_open();
	struct frame in, out;
	uint64_t left = 0;

	(void)state;
	world_web(world, 5);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int native = 0; native < 2; native++) {
			struct frame_spec spec = rows[i].spec;

			spec.checksum = native ? FRAME_PARTIAL : FRAME_FINISHED;
			frame_port(&spec, 4000 + i);
			frame_build(&in, &spec);
			world_device_native(world, native);
			assert_int_equal(world_run(world, WORLD_XDP_NATIVE, &in, &out),
					 WORLD_XDP_PASS);
			assert_int_equal(out.length, in.length);
			assert_memory_equal(out.bytes, in.bytes, in.length);
			assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), ++left);
		}
	}
	world_close(world);
}

static void xdp_keeps_partial_checksums_partial(void **state)
{
	(void)state;
	forward_rows(WORLD_XDP, WORLD_XDP_REDIRECT, FRAME_PARTIAL);
}

static void xdp_keeps_udp_without_checksum(void **state)
{
	(void)state;
	forward_rows(WORLD_XDP, WORLD_XDP_REDIRECT, FRAME_NONE);
}

static void tc_forwards_finished_checksums(void **state)
{
	(void)state;
	forward_rows(WORLD_TC_UPLINK, WORLD_TC_REDIRECT, FRAME_FINISHED);
}

static void tc_keeps_udp_without_checksum(void **state)
{
	(void)state;
	forward_rows(WORLD_TC_UPLINK, WORLD_TC_REDIRECT, FRAME_NONE);
}

/* A checksum that is wrong must stay wrong: the receiver is to notice. */
static void a_wrong_checksum_stays_wrong(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 5);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame_spec spec = rows[i].spec;

		spec.checksum = FRAME_WRONG;
		frame_port(&spec, 4000 + i);
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_true(frame_ip_verifies(&out));
		assert_false(frame_l4_verifies(&out));
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
		assert_true(frame_ip_verifies(&out));
		assert_false(frame_l4_verifies(&out));
	}
	world_close(world);
}

/* Bytes of payload: none of a whole chunk of the sum, an odd one, and a chunk with all
 * kinds of rests. */
static const uint16_t lengths[] = {2, 3, 75};
#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/*
 * Over all values of a payload word, so over all values of the checksum: each
 * packet verifies after translation, a UDP checksum never becomes 0, and those
 * whose field equals the pseudo-header's sum are left to TC, which takes them.
 */
static void every_checksum_value_is_right(void **state)
{
	struct world *world = world_open();
	struct frame in, out;
	int undecidable = 0;

	(void)state;
	world_web(world, 5);
	for (size_t i = 0; i < 2 * N_LENGTHS; i++) {
		uint8_t protocol = i % 2 ? IPPROTO_UDP : IPPROTO_TCP;
		uint16_t bytes = lengths[i / 2];

		frame_build(&in, &(struct frame_spec){.src = CLIENT4,
						      .dst = "10.96.0.1",
						      .sport = 4000,
						      .dport = 80,
						      .protocol = protocol,
						      .payload_bytes = bytes});
		for (uint32_t word = 0; word < 65536; word++) {
			bool alike;

			memcpy(in.bytes + in.length - bytes, &word, 2);
			frame_finish(&in);
			alike = *frame_check(&in) == frame_pseudo(&in);
			if (!alike && bytes > 2)
				continue;
			if (alike) {
				undecidable++;
				assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
						 WORLD_XDP_PASS);
				assert_memory_equal(out.bytes, in.bytes, in.length);
				assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
						 WORLD_TC_REDIRECT);
			} else {
				assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
						 WORLD_XDP_REDIRECT);
			}
			if (!frame_l4_verifies(&out) ||
			    (protocol == IPPROTO_UDP && !*frame_check(&out)))
				fail_msg("payload %04x: wrong checksum", word);
		}
	}
	assert_in_range(undecidable, 2 * N_LENGTHS, 8 * N_LENGTHS);
	world_close(world);
}

/* The same packet partial: recognised by not verifying, whatever its length. */
static void partial_checksums_are_recognised_at_every_length(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 5);
	for (uint16_t bytes = 0; bytes <= 1440; bytes++) {
		bool v6 = bytes % 2;

		frame_build(&in, &(struct frame_spec){.src = v6 ? CLIENT6 : CLIENT4,
						      .dst = v6 ? "fd96::1" : "10.96.0.1",
						      .sport = 4000,
						      .dport = 80,
						      .payload_bytes = bytes,
						      .checksum = FRAME_PARTIAL});
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
		assert_forwarded(&in, &out, true, false, true, "partial");
	}
	world_close(world);
}

static void xdp_leaves_to_tc_what_it_cannot_do(void **state)
{
	struct world *world = world_open();
	struct lb_backend backend;
	struct frame in, out;

	(void)state;
	world_web(world, 1);
	/* Longer than the target's MTU: GSO, as a rule. */
	frame_build(&in, &(struct frame_spec){.src = CLIENT4,
					      .dst = "10.96.0.1",
					      .sport = 4000,
					      .dport = 80,
					      .payload_bytes = 1461,
					      .checksum = FRAME_PARTIAL});
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
	assert_memory_equal(out.bytes, in.bytes, in.length);
	assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), 1);

	/* No neighbour yet. */
	backend = world_backend_get(world, 1);
	backend.next_hop = LB_NEXT_HOP(1, 0);
	world_backend_set(world, 1, &backend);
	frame_build(&in, &(struct frame_spec){
				 .src = CLIENT4, .dst = "10.96.0.1", .sport = 4000, .dport = 80});
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
	assert_memory_equal(out.bytes, in.bytes, in.length);
	assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), 2);
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
	/* One flow, counted once, by whichever mouth came first. */
	assert_int_equal(world_backend_count(world, 1).connections, 1);

	world_close(world);
}

static void packets_and_bytes_are_counted(void **state)
{
	struct world *world = world_open();
	struct lb_traffic traffic;
	struct frame in, out;

	(void)state;
	world_web(world, 1);
	frame_build(&in, &(struct frame_spec){.src = CLIENT4,
					      .dst = "10.96.0.1",
					      .sport = 4000,
					      .dport = 80,
					      .payload_bytes = 60});
	for (int i = 0; i < 3; i++)
		world_run(world, WORLD_XDP, &in, &out);
	world_run(world, WORLD_TC_UPLINK, &in, &out);
	traffic = world_backend_count(world, 1);
	assert_int_equal(traffic.connections, 1);
	assert_int_equal(traffic.packets_in, 4);
	assert_int_equal(traffic.bytes_in, 4 * 100);
	assert_int_equal(traffic.packets_out, 0);
	assert_int_equal(world_count(world, LB_REASON_FORWARDED), 4);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xdp_forwards_finished_checksums),
		cmocka_unit_test(native_xdp_forwards_to_devices_that_take_it),
		cmocka_unit_test(native_xdp_leaves_to_tc_what_would_be_lost),
		cmocka_unit_test(xdp_keeps_partial_checksums_partial),
		cmocka_unit_test(xdp_keeps_udp_without_checksum),
		cmocka_unit_test(tc_forwards_finished_checksums),
		cmocka_unit_test(tc_keeps_udp_without_checksum),
		cmocka_unit_test(a_wrong_checksum_stays_wrong),
		cmocka_unit_test(every_checksum_value_is_right),
		cmocka_unit_test(partial_checksums_are_recognised_at_every_length),
		cmocka_unit_test(xdp_leaves_to_tc_what_it_cannot_do),
		cmocka_unit_test(packets_and_bytes_are_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_forward", tests, NULL, NULL);
}
