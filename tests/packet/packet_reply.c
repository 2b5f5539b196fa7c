/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Backend to client: the translation is undone, byte for byte. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "world.h"

#define CLIENT4 "10.0.0.9"
#define CLIENT6 "fd00::9"

/* A client's packet to the service, and what the backend answers to it. */
static void answer_build(struct world *world, struct frame_spec request, struct frame_spec answer,
			 struct frame *ret)
{
	struct frame in, out;
	char addr[64];

	request.sport = 4000;
	request.dport = 80;
	frame_build(&in, &request);
	assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_REDIRECT);
	inet_ntop(frame_is_ipv6(&out) ? AF_INET6 : AF_INET,
		  out.bytes + FRAME_ETH + (frame_is_ipv6(&out) ? 24 : 16), addr, sizeof(addr));
	answer.src = addr;
	answer.dst = request.src;
	answer.sport = 5000;
	answer.dport = 4000;
	answer.protocol = request.protocol;
	frame_build(ret, &answer);
}

static void assert_undone(const struct frame *in, const struct frame *out, const char *frontend,
			  bool no_checksum)
{
	struct frame expected = *in;
	uint8_t *ip = expected.bytes + FRAME_ETH;
	bool v6 = frame_is_ipv6(in);

	inet_pton(v6 ? AF_INET6 : AF_INET, frontend, ip + (v6 ? 8 : 12));
	*frame_sport(&expected) = htons(80);
	ip[v6 ? 7 : 8]--;
	frame_finish(&expected);
	if (no_checksum)
		*frame_check(&expected) = 0;
	assert_int_equal(out->length, in->length);
	for (size_t i = 0; i < out->length; i++)
		if (out->bytes[i] != expected.bytes[i])
			fail_msg("%s: byte %zu is %02x, not %02x", frontend, i, out->bytes[i],
				 expected.bytes[i]);
}

static void replies_come_from_the_frontend(void **state)
{
	static const struct {
		struct frame_spec request, answer;
	} rows[] = {
		{{.src = CLIENT4, .dst = "10.96.0.1", .tcp_flags = TCP_SYN},
		 {.tcp_flags = TCP_SYN | TCP_ACK}},
		{{.src = CLIENT4, .dst = "10.96.0.1"}, {.payload_bytes = 1460, .tos = 3}},
		{{.src = CLIENT4, .dst = "10.96.0.1"}, {.options_bytes = 12, .payload_bytes = 5}},
		{{.src = CLIENT4, .dst = "10.96.0.1", .protocol = IPPROTO_UDP},
		 {.payload_bytes = 99}},
		{{.src = CLIENT4, .dst = "10.96.0.1", .protocol = IPPROTO_UDP},
		 {.payload_bytes = 99, .checksum = FRAME_NONE}},
		{{.src = CLIENT6, .dst = "fd96::1", .tcp_flags = TCP_SYN},
		 {.tcp_flags = TCP_SYN | TCP_ACK}},
		{{.src = CLIENT6, .dst = "fd96::1"}, {.extensions = 2, .payload_bytes = 1000}},
		{{.src = CLIENT6, .dst = "fd96::1", .protocol = IPPROTO_UDP},
		 {.payload_bytes = 98}},
	};
	struct frame in, out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *world = world_open();

		world_web(world, 5);
		answer_build(world, rows[i].request, rows[i].answer, &in);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		assert_undone(&in, &out, rows[i].request.dst,
			      rows[i].answer.checksum == FRAME_NONE);
		assert_int_equal(world_count(world, LB_REASON_REPLIED), 1);
		world_close(world);
	}
}

/* A client behind the default route, on the link, and by a host route. */
static void every_way_back_is_found(void **state)
{
	static const char *const clients4[] = {CLIENT4, "192.0.2.7", "198.51.100.1"};
	static const char *const clients6[] = {CLIENT6, "2001:db8::7", "2001:db8:1::1"};
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 5);
	assert_int_equal(system("ip route replace 198.51.100.1 via 10.0.0.77 && "
				"ip -6 route replace 2001:db8:1::1 via fd00::77"),
			 0);
	for (size_t i = 0; i < 3; i++) {
		answer_build(world, (struct frame_spec){.src = clients4[i], .dst = "10.96.0.1"},
			     (struct frame_spec){0}, &in);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		assert_undone(&in, &out, "10.96.0.1", false);
		answer_build(world, (struct frame_spec){.src = clients6[i], .dst = "fd96::1"},
			     (struct frame_spec){0}, &in);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		assert_undone(&in, &out, "fd96::1", false);
	}
	world_close(world);
}

static void no_way_back_is_a_counted_drop(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 5);
	assert_int_equal(system("ip route replace unreachable 203.0.113.0/24"), 0);
	answer_build(world, (struct frame_spec){.src = "203.0.113.5", .dst = "10.96.0.1"},
		     (struct frame_spec){0}, &in);
	assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_SHOT);
	assert_int_equal(world_count(world, LB_REASON_NO_ROUTE), 1);
	world_close(world);
}

static void what_a_pod_sends_on_its_own_passes(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 5);
	answer_build(world, (struct frame_spec){.src = CLIENT4, .dst = "10.96.0.1"},
		     (struct frame_spec){0}, &in);
	*frame_dport(&in) = htons(4001); /* another port of the client */
	frame_finish(&in);
	assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_NEXT);
	assert_memory_equal(out.bytes, in.bytes, in.length);
	assert_int_equal(world_count(world, LB_REASON_NOT_SERVICE), 1);
	world_close(world);
}

static void a_reply_with_ttl_one_is_the_kernels_to_answer(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 5);
	answer_build(world, (struct frame_spec){.src = CLIENT4, .dst = "10.96.0.1"},
		     (struct frame_spec){.ttl = 1}, &in);
	assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_NEXT);
	assert_memory_equal(out.bytes, in.bytes, in.length);
	assert_int_equal(world_count(world, LB_REASON_TTL_EXPIRED), 1);
	world_close(world);
}

static void replies_count_for_the_backend(void **state)
{
	struct world *world = world_open();
	struct frame in, out;

	(void)state;
	world_web(world, 1);
	answer_build(world, (struct frame_spec){.src = CLIENT4, .dst = "10.96.0.1"},
		     (struct frame_spec){.payload_bytes = 60}, &in);
	world_run(world, WORLD_TC_POD, &in, &out);
	world_run(world, WORLD_TC_POD, &in, &out);
	assert_int_equal(world_backend_count(world, 1).packets_out, 2);
	assert_int_equal(world_backend_count(world, 1).bytes_out, 200);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_come_from_the_frontend),
		cmocka_unit_test(every_way_back_is_found),
		cmocka_unit_test(no_way_back_is_a_counted_drop),
		cmocka_unit_test(what_a_pod_sends_on_its_own_passes),
		cmocka_unit_test(a_reply_with_ttl_one_is_the_kernels_to_answer),
		cmocka_unit_test(replies_count_for_the_backend),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_reply", tests, NULL, NULL);
}
