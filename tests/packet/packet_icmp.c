/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* ICMP errors about translated flows reach the end that sent the packet, quoting it as it did. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "expect.h"
#include "world.h"

struct ends {
	const char *client, *frontend, *backend, *router, *node;
};
static const struct ends ends[2] = {
	{"10.0.0.9", "10.96.0.1", "10.1.0.2", "10.0.0.254", "10.0.0.1"},
	{"fd00::9", "fd96::1", "fd01::2", "fd00::fe", "fd00::1"},
};

/* quoted: 28 bytes show just the ports; 1000 the transport checksum and more. */
static const size_t quotes[2][4] = {{28, 40, 100, 1000}, {48, 60, 100, 1000}};

static void errors_about_answers_reach_the_backend(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int udp = 0; udp < 2; udp++) {
			const struct ends *e = &ends[v6];
			uint8_t protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
			struct world *world = world_open();
			struct frame in, out, seen, sent, expected;

			world_web(world, 1);
			frame_build(&in, &(struct frame_spec){.src = e->client,
							      .dst = e->frontend,
							      .sport = 4000,
							      .dport = 80,
							      .protocol = protocol});
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_REDIRECT);
			/* The answer as the backend sent it, and as a router saw it. */
			frame_build(&sent, &(struct frame_spec){.src = e->backend,
								.dst = e->client,
								.sport = 5000,
								.dport = 4000,
								.ttl = 61,
								.protocol = protocol,
								.payload_bytes = 1200});
			frame_build(&seen, &(struct frame_spec){.src = e->frontend,
								.dst = e->client,
								.sport = 80,
								.dport = 4000,
								.ttl = 61,
								.protocol = protocol,
								.payload_bytes = 1200});
			for (int i = 0; i < 4; i++) {
				frame_icmp_error(&in, e->router, e->frontend, v6 ? 2 : 3,
						 v6 ? 0 : 4, 1400, 64, &seen, quotes[v6][i]);
				frame_icmp_error(&expected, e->router, e->backend, v6 ? 2 : 3,
						 v6 ? 0 : 4, 1400, 63, &sent, quotes[v6][i]);
				/* XDP leaves ICMP to TC. */
				assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
						 WORLD_XDP_PASS);
				assert_memory_equal(out.bytes, in.bytes, in.length);
				assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
						 WORLD_TC_REDIRECT);
				expect_same(&out, &expected,
					    v6 ? "packet too big" : "fragmentation needed");
			}
			assert_int_equal(world_count(world, LB_REASON_ICMP_TRANSLATED), 4);
			world_close(world);
		}
	}
}

static void errors_about_requests_reach_the_client(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		/* From the backend itself (its port is closed), and from a router
		 * behind it, whose address stays. */
		for (int router = 0; router < 2; router++) {
			const struct ends *e = &ends[v6];
			struct world *world = world_open();
			/* One sends UDP without a checksum, where that may be. */
			enum frame_checksum checksum = router && !v6 ? FRAME_NONE : FRAME_FINISHED;
			struct frame in, out, seen, sent, expected;

			world_web(world, 1);
			frame_build(&sent, &(struct frame_spec){.src = e->client,
								.dst = e->frontend,
								.sport = 4000,
								.dport = 80,
								.ttl = 64,
								.protocol = IPPROTO_UDP,
								.payload_bytes = 700,
								.checksum = checksum});
			assert_int_equal(world_run(world, WORLD_XDP, &sent, &seen),
					 WORLD_XDP_REDIRECT);
			/* As the client sent it, but for the TTL. */
			frame_build(&sent, &(struct frame_spec){.src = e->client,
								.dst = e->frontend,
								.sport = 4000,
								.dport = 80,
								.ttl = 63,
								.protocol = IPPROTO_UDP,
								.payload_bytes = 700,
								.checksum = checksum});
			for (int i = 0; i < 4; i++) {
				frame_icmp_error(&in, router ? e->router : e->backend, e->client,
						 v6 ? 1 : 3, v6 ? 4 : 3, 0, 64, &seen,
						 quotes[v6][i]);
				frame_icmp_error(&expected, router ? e->router : e->frontend,
						 e->client, v6 ? 1 : 3, v6 ? 4 : 3, 0, 63, &sent,
						 quotes[v6][i]);
				assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out),
						 WORLD_TC_REDIRECT);
				expect_same(&out, &expected, "port unreachable");
			}
			world_close(world);
		}
	}
}

/* A pod that is a client has closed its socket: the backend hears of it. */
static void errors_of_pods_that_are_clients_reach_the_backend(void **state)
{
	static const char *const clients[2] = {"10.1.0.3", "fd01::3"};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct world *world = world_open();
		struct frame in, out, seen, sent, expected;

		world_web(world, 1);
		frame_build(&in, &(struct frame_spec){.src = clients[v6],
						      .dst = e->frontend,
						      .sport = 4000,
						      .dport = 80,
						      .protocol = IPPROTO_UDP});
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		frame_build(&sent, &(struct frame_spec){.src = e->backend,
							.dst = clients[v6],
							.sport = 5000,
							.dport = 4000,
							.protocol = IPPROTO_UDP,
							.payload_bytes = 70});
		assert_int_equal(world_run(world, WORLD_TC_POD, &sent, &seen), WORLD_TC_REDIRECT);
		/* As the backend sent it, but for the TTL. */
		frame_build(&sent, &(struct frame_spec){.src = e->backend,
							.dst = clients[v6],
							.sport = 5000,
							.dport = 4000,
							.ttl = 63,
							.protocol = IPPROTO_UDP,
							.payload_bytes = 70});
		frame_icmp_error(&in, clients[v6], e->frontend, v6 ? 1 : 3, v6 ? 4 : 3, 0, 64,
				 &seen, 1000);
		frame_icmp_error(&expected, clients[v6], e->backend, v6 ? 1 : 3, v6 ? 4 : 3, 0, 63,
				 &sent, 1000);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		expect_same(&out, &expected, "port unreachable");
		world_close(world);
	}
}

/* A flow from the node's address: the client in the quote is found, too. */
static void errors_about_hairpin_flows_reach_the_pod(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct world *world = world_open();
		struct frame in, out, seen, sent, expected;

		world_web(world, 1);
		frame_build(&sent, &(struct frame_spec){.src = e->backend,
							.dst = e->frontend,
							.sport = 4000,
							.dport = 80,
							.protocol = IPPROTO_UDP,
							.payload_bytes = 70});
		assert_int_equal(world_run(world, WORLD_TC_POD, &sent, &seen), WORLD_TC_REDIRECT);
		frame_build(&sent, &(struct frame_spec){.src = e->backend,
							.dst = e->frontend,
							.sport = 4000,
							.dport = 80,
							.ttl = 63,
							.protocol = IPPROTO_UDP,
							.payload_bytes = 70});
		frame_icmp_error(&in, e->backend, e->node, v6 ? 1 : 3, v6 ? 4 : 3, 0, 64, &seen,
				 1000);
		frame_icmp_error(&expected, e->frontend, e->backend, v6 ? 1 : 3, v6 ? 4 : 3, 0, 63,
				 &sent, 1000);
		assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
		expect_same(&out, &expected, "port unreachable");
		world_close(world);
	}
}

static void what_is_no_error_about_a_flow_passes_untouched(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct world *world = world_open();
		struct frame in, out, packet;

		world_web(world, 1);
		frame_build(&packet, &(struct frame_spec){.src = e->frontend,
							  .dst = e->client,
							  .sport = 80,
							  .dport = 4000});
		for (int pod = 0; pod < 2; pod++) {
			enum world_program program = pod ? WORLD_TC_POD : WORLD_TC_UPLINK;

			/* Echo, an error about an unknown flow, quotes cut short at
			 * every byte. */
			frame_icmp_error(&in, e->router, e->frontend, v6 ? 128 : 8, 0, 0, 64,
					 &packet, 100);
			assert_int_equal(world_run(world, program, &in, &out), WORLD_TC_NEXT);
			assert_memory_equal(out.bytes, in.bytes, in.length);
			for (size_t quoted = 0; quoted <= 60; quoted++) {
				frame_icmp_error(&in, e->router, e->frontend, v6 ? 1 : 3, 1, 0, 64,
						 &packet, quoted);
				assert_int_equal(world_run(world, program, &in, &out),
						 WORLD_TC_NEXT);
				assert_memory_equal(out.bytes, in.bytes, in.length);
			}
		}
		assert_int_equal(world_count(world, LB_REASON_NOT_TCP_UDP), 124);
		world_close(world);
	}
}

/* About a flow that is known, and yet: an echo that looks like an error about it, an
 * error that has come to its last hop, one that quotes a later fragment, and one about a
 * flow whose backend's number is another's by now. */
static void not_all_that_quotes_a_flow_is_translated(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct ends *e = &ends[v6];
		struct world *world = world_open();
		struct frame in[4], out, request, seen;
		struct lb_backend backend;

		world_web(world, 1);
		frame_build(&request, &(struct frame_spec){.src = e->client,
							   .dst = e->frontend,
							   .sport = 4000,
							   .dport = 80});
		assert_int_equal(world_run(world, WORLD_TC_UPLINK, &request, &out),
				 WORLD_TC_REDIRECT);
		frame_build(&seen, &(struct frame_spec){.src = e->frontend,
							.dst = e->client,
							.sport = 80,
							.dport = 4000,
							.payload_bytes = 100});
		frame_icmp_error(&in[0], e->router, e->frontend, v6 ? 128 : 8, 0, 0, 64, &seen,
				 100);
		frame_icmp_error(&in[1], e->router, e->frontend, v6 ? 1 : 3, 1, 0, 1, &seen, 100);
		frame_icmp_error(&in[3], e->router, e->frontend, v6 ? 1 : 3, 1, 0, 64, &seen, 100);
		if (!v6)
			seen.bytes[FRAME_ETH + 7] = 8; /* the fragment's offset */
		frame_icmp_error(&in[2], e->router, e->frontend, v6 ? 1 : 3, 1, 0, 64, &seen, 100);
		for (int i = 0; i < 4; i++) {
			if (i == 2 && v6)
				continue;
			if (i == 3) {
				assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in[3], &out),
						 WORLD_TC_REDIRECT);
				backend = world_backend_get(world, v6 ? 101 : 1);
				backend.generation++;
				world_backend_set(world, v6 ? 101 : 1, &backend);
			}
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in[i], &out),
					 WORLD_TC_NEXT);
			assert_memory_equal(out.bytes, in[i].bytes, in[i].length);
		}
		world_close(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_about_answers_reach_the_backend),
		cmocka_unit_test(errors_about_requests_reach_the_client),
		cmocka_unit_test(errors_of_pods_that_are_clients_reach_the_backend),
		cmocka_unit_test(errors_about_hairpin_flows_reach_the_pod),
		cmocka_unit_test(what_is_no_error_about_a_flow_passes_untouched),
		cmocka_unit_test(not_all_that_quotes_a_flow_is_translated),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_icmp", tests, NULL, NULL);
}
