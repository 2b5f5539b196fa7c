/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* New flows spread evenly: a statistical test, and the same test on a ring that is skewed. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "maglev.h"
#include "world.h"

#define FLOWS 10000
#define BACKENDS 5
#define FIRST_PORT 20000

/* Chi-square with 4 degrees of freedom: exceeded with p = 0.001. */
#define CHI_SQUARE_LIMIT 18.467

static double chi_square(struct world *world, bool v6)
{
	double expected = (double)FLOWS / BACKENDS, sum = 0;
	uint32_t counts[BACKENDS] = {0};
	struct frame in, out;

	frame_build(&in, &(struct frame_spec){.src = v6 ? "fd00::9" : "10.0.0.9",
					      .dst = v6 ? "fd96::1" : "10.96.0.1",
					      .dport = 80,
					      .tcp_flags = TCP_SYN});
	for (uint16_t port = FIRST_PORT; port < FIRST_PORT + FLOWS; port++) {
		*frame_sport(&in) = htons(port);
		frame_finish(&in);
		/* The one packet in 65,536 that XDP can't decide is TC's. */
		if (world_run(world, WORLD_XDP, &in, &out) != WORLD_XDP_REDIRECT)
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_REDIRECT);
		counts[out.bytes[FRAME_ETH + (v6 ? 39 : 19)] - 2]++;
	}
	for (int i = 0; i < BACKENDS; i++)
		sum += (counts[i] - expected) * (counts[i] - expected) / expected;
	return sum;
}

static void ten_thousand_flows_spread_evenly(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = world_open();
		double x;

		world_web(world, BACKENDS);
		x = chi_square(world, v6);
		print_message("# IPv%d: chi-square %.2f, limit %.3f\n", v6 ? 6 : 4, x,
			      CHI_SQUARE_LIMIT);
		if (x > CHI_SQUARE_LIMIT)
			fail_msg("chi-square %.2f", x);
		world_close(world);
	}
}

/* The power of the test: one backend has 10 % more than its share, another 10 %
 * less. */
static void a_skew_of_a_tenth_is_noticed(void **state)
{
	uint32_t slots[1021], n = maglev_size(BACKENDS), extra = n / BACKENDS / 10;

	(void)state;
	assert_int_equal(n, 1021);
	for (int v6 = 0; v6 < 2; v6++) {
		struct world *world = world_open();
		uint32_t first = v6 ? 101 : 1;
		double x;

		world_web(world, BACKENDS);
		for (uint32_t i = 0; i < n; i++)
			slots[i] = first + i % BACKENDS;
		/* Spread over the ring; the second one's slots. */
		for (uint32_t i = 0, taken = 0; taken < extra; i += n / extra / BACKENDS * BACKENDS)
			slots[i + 1] = first, taken++;
		world_ring_slots(world, v6 ? 2 : 1, slots, n);
		x = chi_square(world, v6);
		print_message("# IPv%d, skewed: chi-square %.2f, limit %.3f\n", v6 ? 6 : 4, x,
			      CHI_SQUARE_LIMIT);
		if (x <= CHI_SQUARE_LIMIT)
			fail_msg("chi-square %.2f accepts a skewed ring", x);
		world_close(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_flows_spread_evenly),
		cmocka_unit_test(a_skew_of_a_tenth_is_noticed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_spread", tests, NULL, NULL);
}
