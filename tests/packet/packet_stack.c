/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The stack path: ingress changes the destination alone and passes the packet
 * on, egress changes the answer's source back; nothing else, byte for byte. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "expect.h"
#include "world.h"

#define CLIENT4 "10.0.0.9"
#define CLIENT6 "fd00::9"

static void flag_set(struct world *world, bool stack)
{
	static const uint32_t ids[] = {1, 101};

	for (int i = 0; i < 2; i++) {
		struct lb_backend backend = world_backend_get(world, ids[i]);

		backend.flags = stack ? LB_BACKEND_F_STACK : 0;
		world_backend_set(world, ids[i], &backend);
	}
}

static struct world *stack_world(void)
{
	struct world *world = world_open();

	world_web(world, 1);
	flag_set(world, true);
	return world;
}

struct row {
	struct frame_spec request, answer;
};

static void row_frames(const struct row *row, struct frame *request, struct frame *answer)
{
	struct frame_spec in = row->request, back = row->answer;
	bool v6 = strchr(in.src, ':');

	in.sport = 4000;
	in.dport = 80;
	frame_build(request, &in);
	back.src = v6 ? "fd01::2" : "10.1.0.2";
	back.dst = in.src;
	back.sport = 5000;
	back.dport = 4000;
	back.protocol = in.protocol;
	frame_build(answer, &back);
}

static const struct row rows[] = {
	{{.src = CLIENT4, .dst = "10.96.0.1", .tcp_flags = TCP_SYN, .tos = 2},
	 {.tcp_flags = TCP_SYN | TCP_ACK, .tos = 1}},
	{{.src = CLIENT4, .dst = "10.96.0.1", .options_bytes = 8, .ttl = 2},
	 {.payload_bytes = 1460, .ttl = 1}},
	{{.src = CLIENT4, .dst = "10.96.0.1", .protocol = IPPROTO_UDP, .payload_bytes = 2900},
	 {.payload_bytes = 3}},
	{{.src = CLIENT6, .dst = "fd96::1", .tcp_flags = TCP_SYN},
	 {.tcp_flags = TCP_SYN | TCP_ACK}},
	{{.src = CLIENT6, .dst = "fd96::1", .extensions = 2, .payload_bytes = 77, .ttl = 2},
	 {.payload_bytes = 2900, .ttl = 1}},
	{{.src = CLIENT6, .dst = "fd96::1", .protocol = IPPROTO_UDP, .payload_bytes = 5},
	 {.payload_bytes = 98}},
};
#define ROWS (sizeof(rows) / sizeof(*rows))

static void both_ways_change_one_end_and_no_ttl(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		struct world *world = stack_world();
		struct frame request, answer, out, expected;
		bool v6;

		row_frames(&rows[i], &request, &answer);
		v6 = frame_is_ipv6(&request);
		assert_int_equal(world_run(world, WORLD_XDP, &request, &out), WORLD_XDP_PASS);
		expect_same(&out, &request, "XDP");
		assert_int_equal(world_count(world, LB_REASON_LEFT_TO_TC), 1);

		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out), WORLD_TC_NEXT);
		expected = expect_to(&request, v6 ? "fd01::2" : "10.1.0.2", 5000);
		expect_same(&out, &expected, "request");
		assert_int_equal(world_count(world, LB_REASON_FORWARDED), 1);

		assert_int_equal(world_run(world, WORLD_TC_POD, &answer, &out), WORLD_TC_NEXT);
		expect_same(&out, &answer, "answer at the pod");
		assert_int_equal(world_count(world, LB_REASON_STACK), 1);
		assert_int_equal(world_count(world, LB_REASON_REPLIED), 0);

		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &answer, &out), WORLD_TC_NEXT);
		expected = expect_from(&answer, v6 ? "fd96::1" : "10.96.0.1", 80);
		expect_same(&out, &expected, "answer leaving");
		assert_int_equal(world_count(world, LB_REASON_REPLIED), 1);
		world_close(world);
	}
}

static void udp_without_a_checksum_keeps_none(void **state)
{
	struct world *world = stack_world();
	struct frame in, out;

	(void)state;
	frame_build(&in, &(struct frame_spec){.src = CLIENT4,
					      .dst = "10.96.0.1",
					      .sport = 4000,
					      .dport = 80,
					      .protocol = IPPROTO_UDP,
					      .payload_bytes = 9,
					      .checksum = FRAME_NONE});
	assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_NEXT);
	assert_int_equal(*frame_check(&out), 0);
	assert_true(frame_ip_verifies(&out));
	world_close(world);
}

static void the_path_is_chosen_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		struct world *world = stack_world();
		struct frame request, answer, out;

		row_frames(&rows[i], &request, &answer);
		if (request.length > 1500)
			goto next;
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out), WORLD_TC_NEXT);
		flag_set(world, false);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out), WORLD_TC_NEXT);
		assert_int_equal(world_count(world, LB_REASON_FORWARDED), 2);
		/* Another flow is begun without the flag, and keeps that, too. */
		*frame_sport(&request) = htons(4001);
		frame_finish(&request);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out),
				 WORLD_TC_REDIRECT);
		flag_set(world, true);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out),
				 WORLD_TC_REDIRECT);
next:
		world_close(world);
	}
}

static void what_leaves_and_is_no_answer_of_a_stack_flow_passes_uncounted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		struct world *world = stack_world();
		struct frame request, answer, out;

		row_frames(&rows[i], &request, &answer);
		/* Before there has been any. */
		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &answer, &out), WORLD_TC_NEXT);
		expect_same(&out, &answer, "no flow");
		assert_int_equal(world->skel->data_settings->settings.stack_used, 0);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out), WORLD_TC_NEXT);
		assert_int_equal(world->skel->data_settings->settings.stack_used, 1);
		/* Somebody else's, then one of a flow that goes by bypass. */
		*frame_dport(&answer) = htons(4001);
		frame_finish(&answer);
		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &answer, &out), WORLD_TC_NEXT);
		expect_same(&out, &answer, "another flow");
		if (request.length <= 1500) {
			flag_set(world, false);
			*frame_sport(&request) = htons(4001);
			frame_finish(&request);
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out),
					 WORLD_TC_REDIRECT);
			assert_int_equal(world_run(world, WORLD_TC_EGRESS, &answer, &out),
					 WORLD_TC_NEXT);
			expect_same(&out, &answer, "a bypass flow");
		}
		for (int reason = 0; reason < LB_REASON_MAX; reason++)
			if (reason != LB_REASON_FORWARDED)
				assert_int_equal(world_count(world, reason), 0);
		world_close(world);
	}
}

static void pods_that_are_clients_take_the_stack_where_lbd_says_so(void **state)
{
	static const struct frame_spec specs[] = {
		{.src = "10.1.0.77", .dst = "10.96.0.1", .tcp_flags = TCP_SYN},
		{.src = "fd01::77", .dst = "fd96::1", .protocol = IPPROTO_UDP},
	};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *world = world_open();
		struct frame_spec spec = specs[i];
		struct frame in, out;

		world_web(world, 1);
		world->skel->data_settings->settings.stack_clients = 1;
		spec.sport = 4000;
		spec.dport = 80;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_NEXT);
		assert_int_equal(world_count(world, LB_REASON_FORWARDED), 1);
		/* From outside it doesn't matter. */
		spec.src = i ? CLIENT6 : CLIENT4;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
		world_close(world);
	}
}

/* One client port, two frontends, one backend: by bypass with a port of ours it
 * would get around the policy that the stack is for. */
static void a_collision_is_no_way_around_the_stack(void **state)
{
	static const char *const second[2] = {"10.96.0.2", "fd96::2"};
	static const struct frame_spec specs[] = {
		{.src = CLIENT4, .dst = "10.96.0.1", .tcp_flags = TCP_SYN},
		{.src = CLIENT6, .dst = "fd96::1", .tcp_flags = TCP_SYN},
	};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = stack_world();
		struct frame_spec spec = specs[v6];
		struct frame in, out;

		world_frontend(world, second[v6], 80, IPPROTO_TCP, 1 + v6);
		spec.sport = 4000;
		spec.dport = 80;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_NEXT);
		spec.dst = second[v6];
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_SHOT);
		assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_DROP);
		assert_int_equal(world_count(world, LB_REASON_NO_SNAT_PORT), 2);
		/* Without the flag it gets one, as ever. */
		flag_set(world, false);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out), WORLD_TC_REDIRECT);
		world_close(world);
	}
}

static void a_pod_that_reaches_itself_goes_by_bypass_all_the_same(void **state)
{
	static const struct frame_spec specs[] = {
		{.src = "10.1.0.2", .dst = "10.96.0.1", .tcp_flags = TCP_SYN},
		{.src = "fd01::2", .dst = "fd96::1", .tcp_flags = TCP_SYN},
	};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *world = stack_world();
		struct frame_spec spec = specs[i];
		struct frame in, out;

		world->skel->data_settings->settings.stack_clients = 1;
		spec.sport = 4000;
		spec.dport = 80;
		frame_build(&in, &spec);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		world_close(world);
	}
}

/* ---- ICMP errors ------------------------------------------------------------- */

static const struct {
	const char *client, *frontend, *backend, *node, *router;
} ends[2] = {
	{CLIENT4, "10.96.0.1", "10.1.0.2", "10.0.0.1", "10.0.0.254"},
	{CLIENT6, "fd96::1", "fd01::2", "fd00::1", "fd00::fe"},
};

static void flow_frames(int v6, struct frame *request, struct frame *translated,
			struct frame *answer, struct frame *undone)
{
	frame_build(request, &(struct frame_spec){.src = ends[v6].client,
						  .dst = ends[v6].frontend,
						  .sport = 4000,
						  .dport = 80,
						  .payload_bytes = 1400});
	*translated = expect_to(request, ends[v6].backend, 5000);
	frame_build(answer, &(struct frame_spec){.src = ends[v6].backend,
						 .dst = ends[v6].client,
						 .sport = 5000,
						 .dport = 4000,
						 .payload_bytes = 1400});
	*undone = expect_from(answer, ends[v6].frontend, 80);
}

/* The kernel itself, on the way to the pod, or the pod: to the client. */
static void errors_about_requests_are_translated_where_they_leave(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t type = v6 ? 2 : 3, code = v6 ? 0 : 4;
		struct world *world = stack_world();
		struct frame request, translated, answer, undone, error, expected, out;

		flow_frames(v6, &request, &translated, &answer, &undone);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out), WORLD_TC_NEXT);

		frame_icmp_error(&error, ends[v6].node, ends[v6].client, type, code, 1300, 64,
				 &translated, 200);
		frame_icmp_error(&expected, ends[v6].node, ends[v6].client, type, code, 1300, 64,
				 &request, 200);
		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &error, &out), WORLD_TC_NEXT);
		expect_same(&out, &expected, "the node's");
		assert_int_equal(world_count(world, LB_REASON_ICMP_TRANSLATED), 1);

		/* The pod's own passes its device untouched, and leaves as the frontend's. */
		frame_icmp_error(&error, ends[v6].backend, ends[v6].client, type, code, 1300, 1,
				 &translated, 200);
		frame_icmp_error(&expected, ends[v6].frontend, ends[v6].client, type, code, 1300, 1,
				 &request, 200);
		assert_int_equal(world_run(world, WORLD_TC_EGRESS, &error, &out), WORLD_TC_NEXT);
		expect_same(&out, &expected, "the pod's, leaving");
		frame_icmp_error(&error, ends[v6].backend, ends[v6].client, type, code, 1300, 64,
				 &translated, 200);
		assert_int_equal(world_run(world, WORLD_TC_POD, &error, &out), WORLD_TC_NEXT);
		expect_same(&out, &error, "the pod's, at the pod");
		world_close(world);
	}
}

static void errors_about_answers_are_translated_where_they_come_in(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t type = v6 ? 2 : 3, code = v6 ? 0 : 4;
		struct world *world = stack_world();
		struct frame request, translated, answer, undone, error, expected, out;

		flow_frames(v6, &request, &translated, &answer, &undone);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out), WORLD_TC_NEXT);
		frame_icmp_error(&error, ends[v6].router, ends[v6].frontend, type, code, 1300, 60,
				 &undone, 200);
		frame_icmp_error(&expected, ends[v6].router, ends[v6].backend, type, code, 1300, 60,
				 &answer, 200);
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &error, &out), WORLD_TC_NEXT);
		expect_same(&out, &expected, "the router's");
		assert_int_equal(world_count(world, LB_REASON_ICMP_TRANSLATED), 1);
		world_close(world);
	}
}

/* ---- packets that are too long for a bypass flow ------------------------------- */

static void a_request_that_is_too_long_is_answered_with_the_mtu(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int udp = 0; udp < 2; udp++) {
			struct world *world = world_open();
			struct frame_spec spec = {.src = ends[v6].client,
						  .dst = ends[v6].frontend,
						  .sport = 4000,
						  .dport = 80,
						  .protocol = udp ? IPPROTO_UDP : IPPROTO_TCP,
						  .payload_bytes = 1600};
			size_t quoted = v6 ? 1280 - 48 : 576 - 28;
			struct frame in, out, expected;

			world_web(world, 1);
			frame_build(&in, &spec);
			frame_icmp_error(&expected, ends[v6].frontend, ends[v6].client, v6 ? 2 : 3,
					 v6 ? 0 : 4, WORLD_POD_MTU, 64, &in, quoted);
			assert_int_equal(world_run(world, WORLD_XDP, &in, &out), WORLD_XDP_PASS);
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_REDIRECT);
			assert_int_equal(world_count(world, LB_REASON_TOO_BIG), 1);
			if (!v6) { /* as refusals have them: TOS and DF */
				expected.bytes[FRAME_ETH + 1] = 0xc0;
				expected.bytes[FRAME_ETH + 6] = 0x40;
				expected.bytes[FRAME_ETH + 4] = expected.bytes[FRAME_ETH + 5] = 0;
				memcpy(expected.bytes + FRAME_ETH + 10, out.bytes + FRAME_ETH + 10,
				       2);
				assert_true(frame_ip_verifies(&out));
			}
			memcpy(expected.bytes, out.bytes, 12); /* MACs: the neighbour table's */
			expect_same(&out, &expected, "too big");
			world_close(world);
		}
	}
}

static void an_answer_that_is_too_long_is_answered_with_the_mtu(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = world_open();
		struct frame in, out, request;
		char neighbour[128];

		world_web(world, 1);
		/* Of a route whose neighbour is known the kernel tells that the packet is
		 * too long for it. */
		snprintf(neighbour, sizeof(neighbour),
			 "ip neigh replace %s lladdr 02:00:00:00:00:09 dev uplink nud permanent",
			 ends[v6].client);
		assert_int_equal(system(neighbour), 0);
		frame_build(&request, &(struct frame_spec){.src = ends[v6].client,
							   .dst = ends[v6].frontend,
							   .sport = 4000,
							   .dport = 80,
							   .protocol = IPPROTO_UDP});
		assert_int_equal(world_run(world, WORLD_XDP, &request, &out), WORLD_XDP_REDIRECT);
		frame_build(&in, &(struct frame_spec){.src = ends[v6].backend,
						      .dst = ends[v6].client,
						      .sport = 5000,
						      .dport = 4000,
						      .protocol = IPPROTO_UDP,
						      .payload_bytes = 1600});
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		assert_int_equal(world_count(world, LB_REASON_TOO_BIG), 1);
		assert_int_equal(out.bytes[FRAME_ETH + (v6 ? 40 : 20)], v6 ? 2 : 3);
		/* One that fits goes on. */
		frame_build(&in, &(struct frame_spec){.src = ends[v6].backend,
						      .dst = ends[v6].client,
						      .sport = 5000,
						      .dport = 4000,
						      .protocol = IPPROTO_UDP,
						      .payload_bytes = 1500 - 8 - (v6 ? 40 : 20)});
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		assert_int_equal(world_count(world, LB_REASON_REPLIED), 1);
		world_close(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_change_one_end_and_no_ttl),
		cmocka_unit_test(udp_without_a_checksum_keeps_none),
		cmocka_unit_test(the_path_is_chosen_once),
		cmocka_unit_test(what_leaves_and_is_no_answer_of_a_stack_flow_passes_uncounted),
		cmocka_unit_test(pods_that_are_clients_take_the_stack_where_lbd_says_so),
		cmocka_unit_test(a_collision_is_no_way_around_the_stack),
		cmocka_unit_test(a_pod_that_reaches_itself_goes_by_bypass_all_the_same),
		cmocka_unit_test(errors_about_requests_are_translated_where_they_leave),
		cmocka_unit_test(errors_about_answers_are_translated_where_they_come_in),
		cmocka_unit_test(a_request_that_is_too_long_is_answered_with_the_mtu),
		cmocka_unit_test(an_answer_that_is_too_long_is_answered_with_the_mtu),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
