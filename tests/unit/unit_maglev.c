/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Sets of backends are drawn from a seed, which is printed; GUIDEWAY_TEST_SEED
 * sets another.  What must hold is asserted for each of them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "addr.h"
#include "lb.h"
#include "maglev.h"

#define SETS 100 /* of backends, for each number of them */

static uint64_t random_state;

static uint64_t draw(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return random_state >> 32 ^ random_state << 32;
}

static struct maglev_entry *entries_make(size_t n)
{
	struct maglev_entry *entries = calloc(n, sizeof(*entries));

	for (size_t i = 0; i < n; i++)
		entries[i] = (struct maglev_entry){.identity = draw(), .id = 1 + i, .weight = 100};
	return entries;
}

/* A ring of the size for n, whatever is built into it. */
struct ring {
	uint32_t nslots;
	uint32_t *slots;
};

static struct ring ring_make(const struct maglev_entry *entries, size_t n, uint32_t nslots)
{
	struct ring ring = {.nslots = nslots, .slots = calloc(nslots, sizeof(uint32_t))};

	assert_int_equal(maglev_build(entries, n, ring.slots, nslots), 0);
	return ring;
}

/* Slots per id, of ids up to max. */
static uint32_t *ring_shares(const struct ring *ring, size_t max)
{
	uint32_t *shares = calloc(max + 1, sizeof(*shares));

	for (uint32_t i = 0; i < ring->nslots; i++) {
		assert_true(ring->slots[i] >= 1 && ring->slots[i] <= max);
		shares[ring->slots[i]]++;
	}
	return shares;
}

static double ring_moved_pct(const struct ring *a, const struct ring *b)
{
	uint32_t moved = 0;

	assert_int_equal(a->nslots, b->nslots);
	for (uint32_t i = 0; i < a->nslots; i++)
		moved += a->slots[i] != b->slots[i];
	return 100.0 * moved / a->nslots;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* ---- sizes ---------------------------------------------------------------- */

static void sizes_are_the_documented_classes(void **state)
{
	static const struct {
		size_t n;
		uint32_t slots;
	} rows[] = {
		{1, 1021},    {10, 1021},   {11, 4093},	  {40, 4093},	 {41, 16381},
		{160, 16381}, {161, 65521}, {655, 65521}, {656, 655357}, {1000000, 655357},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(maglev_size(rows[i].n), rows[i].slots);
	assert_int_equal(maglev_size(SIZE_MAX), LB_RING_MAX_SLOTS);
}

static void sizes_are_primes(void **state)
{
	static const size_t each_class[] = {1, 11, 41, 161, 656};

	(void)state;
	for (size_t i = 0; i < sizeof(each_class) / sizeof(each_class[0]); i++) {
		uint32_t size = maglev_size(each_class[i]);

		for (uint32_t divisor = 2; divisor * divisor <= size; divisor++)
			if (size % divisor == 0)
				fail_msg("%u = %u * %u", size, divisor, size / divisor);
	}
}

/* ---- the same everywhere -------------------------------------------------- */

static void entries_shuffle(struct maglev_entry *entries, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = draw() % i;
		struct maglev_entry entry = entries[j];

		entries[j] = entries[i - 1];
		entries[i - 1] = entry;
	}
}

static void ring_depends_on_the_set_and_not_on_its_order(void **state)
{
	(void)state;
	for (int set = 0; set < SETS; set++) {
		size_t n = 1 + draw() % 40;
		struct maglev_entry *entries = entries_make(n);
		struct ring a, b;

		for (size_t i = 0; i < n; i++)
			entries[i].weight = 1 + draw() % 1000;
		a = ring_make(entries, n, maglev_size(n));
		entries_shuffle(entries, n);
		b = ring_make(entries, n, maglev_size(n));
		assert_memory_equal(a.slots, b.slots, a.nslots * sizeof(*a.slots));
		free(a.slots);
		free(b.slots);
		free(entries);
	}
}

static void backends_of_equal_identity_are_told_apart_by_id(void **state)
{
	struct maglev_entry entries[] = {
		{.identity = 42, .id = 7, .weight = 100},
		{.identity = 42, .id = 3, .weight = 100},
		{.identity = 43, .id = 5, .weight = 100},
	};
	const struct maglev_entry reverse[] = {entries[2], entries[1], entries[0]};
	struct ring a = ring_make(entries, 3, 1021), b = ring_make(reverse, 3, 1021);
	uint32_t *shares = ring_shares(&a, 7);

	(void)state;
	assert_memory_equal(a.slots, b.slots, 1021 * sizeof(*a.slots));
	assert_true(shares[3] >= 340 && shares[5] >= 340 && shares[7] >= 340);
	free(shares);
	free(a.slots);
	free(b.slots);
}

/* A change of the algorithm reshuffles every ring in the world, and nodes of
 * two versions disagree: it must be meant. */
static void ring_is_the_same_as_ever(void **state)
{
	static const char *const addrs[] = {"10.1.1.1", "10.1.1.2", "fd00::1"};
	struct maglev_entry entries[3];
	uint64_t sum = 0;
	struct ring ring;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct addr addr;

		assert_int_equal(addr_parse(addrs[i], &addr), 0);
		entries[i] =
			(struct maglev_entry){maglev_identity(&addr, 8080, 1), i + 1, i ? 100 : 50};
	}
	ring = ring_make(entries, 3, 1021);
	for (uint32_t i = 0; i < ring.nslots; i++)
		sum = sum * 31 + ring.slots[i];
	assert_true(entries[0].identity == 0xa2e60773b01697b0ULL);
	assert_true(sum == 0xdcb50e9439d9daa1ULL);
	free(ring.slots);
}

static void identity_depends_on_address_port_family_and_seed(void **state)
{
	struct addr a = {.family = 4, .bytes = {10, 0, 0, 1}}, b = a, c = a;
	uint64_t identity = maglev_identity(&a, 80, 1);

	(void)state;
	b.bytes[3] = 2;
	c.family = 6;
	assert_true(identity == maglev_identity(&a, 80, 1));
	assert_true(identity != maglev_identity(&b, 80, 1));
	assert_true(identity != maglev_identity(&c, 80, 1));
	assert_true(identity != maglev_identity(&a, 81, 1));
	assert_true(identity != maglev_identity(&a, 80, 2));
	a.family = 6;
	a.bytes[15] = 1;
	assert_true(maglev_identity(&a, 80, 1) != maglev_identity(&c, 80, 1));
}

/* ---- shares --------------------------------------------------------------- */

static void equal_weights_get_shares_within_2_percent(void **state)
{
	/* The bound is one slot above the mean: up to 13,107 backends. */
	static const size_t ns[] = {1, 2, 3, 7, 10, 11, 40, 41, 160, 161, 655, 656, 6553, 13107};

	(void)state;
	for (size_t k = 0; k < sizeof(ns) / sizeof(ns[0]); k++) {
		size_t n = ns[k];
		double worst = 0;

		for (int set = 0; set < (n > 160 ? 2 : SETS); set++) {
			struct maglev_entry *entries = entries_make(n);
			struct ring ring = ring_make(entries, n, maglev_size(n));
			uint32_t *shares = ring_shares(&ring, n);

			for (size_t i = 1; i <= n; i++) {
				double over = (double)shares[i] * n / ring.nslots - 1;

				worst = over > worst ? over : worst;
				assert_in_range(shares[i], ring.nslots / n, ring.nslots / n + 1);
			}
			free(shares);
			free(ring.slots);
			free(entries);
		}
		if (worst > 0.02)
			fail_msg("%zu backends: the largest share is %.2f %% above the mean", n,
				 100 * worst);
	}
}

/* The bound: within one slot of slots * weight / weights, where those whose
 * part is less than a slot have one, and the others divide the rest. */
static void shares_follow_weights_within_one_slot(void **state)
{
	(void)state;
	for (int set = 0; set < SETS; set++) {
		size_t n = 2 + draw() % 158;
		struct maglev_entry *entries = entries_make(n);
		bool *light = calloc(n, sizeof(*light)), changed = true;
		double slots, weights = 0;
		struct ring ring;
		uint32_t *shares;

		for (size_t i = 0; i < n; i++) {
			entries[i].weight = draw() % 3 ? 1 + draw() % 1000 : 1 + draw() % 3;
			weights += entries[i].weight;
		}
		ring = ring_make(entries, n, maglev_size(n));
		shares = ring_shares(&ring, n);
		slots = ring.nslots;
		while (changed) {
			changed = false;
			for (size_t i = 0; i < n; i++) {
				if (light[i] || entries[i].weight * slots >= weights)
					continue;
				light[i] = changed = true;
				slots--;
				weights -= entries[i].weight;
			}
		}
		for (size_t i = 0; i < n; i++) {
			double exact = slots * entries[i].weight / weights;

			if (light[i])
				assert_int_equal(shares[i + 1], 1);
			else
				assert_true(shares[i + 1] > exact - 1 && shares[i + 1] < exact + 1);
		}
		free(light);
		free(shares);
		free(ring.slots);
		free(entries);
	}
}

static void lightest_weight_gets_a_slot_beside_many_heavy_ones(void **state)
{
	static const size_t ns[] = {2, 10, 40, 160, 655, 20000};

	(void)state;
	for (size_t k = 0; k < sizeof(ns) / sizeof(ns[0]); k++) {
		size_t n = ns[k];
		struct maglev_entry *entries = entries_make(n);
		struct ring ring;
		uint32_t *shares;

		for (size_t i = 0; i < n; i++)
			entries[i].weight = i % 2 ? 1000 : 1;
		ring = ring_make(entries, n, maglev_size(n));
		shares = ring_shares(&ring, n);
		for (size_t i = 1; i <= n; i++)
			assert_true(shares[i] >= 1);
		assert_true(shares[2] > shares[1]);
		free(shares);
		free(ring.slots);
		free(entries);
	}
}

static void full_ring_gives_each_backend_one_slot(void **state)
{
	struct maglev_entry *entries = entries_make(1021);
	struct ring ring;
	uint32_t *shares;

	(void)state;
	for (size_t i = 0; i < 1021; i++)
		entries[i].weight = 1 + draw() % 1000;
	ring = ring_make(entries, 1021, 1021);
	shares = ring_shares(&ring, 1021);
	for (size_t i = 1; i <= 1021; i++)
		assert_int_equal(shares[i], 1);
	free(shares);
	free(ring.slots);
	free(entries);
}

/* ---- a change moves little ------------------------------------------------ */

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Percent of the slots that move when one of n backends leaves: sorted. Adding
 * is the same two rings the other way round. */
static void moved_by_one(size_t n, double ret_sorted[SETS])
{
	for (int set = 0; set < SETS; set++) {
		struct maglev_entry *entries = entries_make(n);
		struct ring all = ring_make(entries, n, maglev_size(n));
		struct ring less = ring_make(entries, n - 1, maglev_size(n));

		ret_sorted[set] = ring_moved_pct(&all, &less);
		free(all.slots);
		free(less.slots);
		free(entries);
	}
	qsort(ret_sorted, SETS, sizeof(*ret_sorted), double_compare);
}

static void one_of_ten_leaving_moves_13_percent_in_the_median(void **state)
{
	double moved[SETS];

	(void)state;
	moved_by_one(10, moved);
	print_message("# 10 backends, one leaves or comes: median %.1f %%, most %.1f %%\n",
		      moved[SETS / 2], moved[SETS - 1]);
	assert_true(moved[SETS / 2] <= 13.0);
	assert_true(moved[0] >= 9.9); /* its own slots at least */
}

static void one_leaving_moves_its_share_and_3_points_at_most(void **state)
{
	static const size_t ns[] = {11, 12, 15, 20, 30, 40, 41, 80, 160};

	(void)state;
	for (size_t k = 0; k < sizeof(ns) / sizeof(ns[0]); k++) {
		double moved[SETS], share = 100.0 / ns[k];

		moved_by_one(ns[k], moved);
		print_message("# %zu backends, one leaves or comes: its %.2f %% and median %.2f, "
			      "most %.2f points\n",
			      ns[k], share, moved[SETS / 2] - share, moved[SETS - 1] - share);
		assert_true(moved[SETS - 1] <= share + 3.0);
	}
}

static void a_small_change_of_weight_moves_little(void **state)
{
	(void)state;
	for (int set = 0; set < SETS; set++) {
		struct maglev_entry *entries = entries_make(20);
		struct ring before = ring_make(entries, 20, maglev_size(20)), after;

		entries[3].weight = 110; /* of 0.5 % of the slots */
		after = ring_make(entries, 20, maglev_size(20));
		assert_true(ring_moved_pct(&before, &after) <= 0.5 + 3.0);
		free(before.slots);
		free(after.slots);
		free(entries);
	}
}

/* ---- refusals and time ---------------------------------------------------- */

static void what_can_not_be_a_ring_is_refused(void **state)
{
	struct maglev_entry *entries = entries_make(1022);
	uint32_t slots[1021] = {77};

	(void)state;
	assert_int_equal(maglev_build(entries, 0, slots, 1021), -EINVAL);
	assert_int_equal(maglev_build(entries, 1022, slots, 1021), -EINVAL);
	assert_int_equal(maglev_build(entries, 2, slots, 1020), -EINVAL);
	entries[1].weight = 0;
	assert_int_equal(maglev_build(entries, 2, slots, 1021), -EINVAL);
	entries[1].weight = 1;
	entries[1].id = 0;
	assert_int_equal(maglev_build(entries, 2, slots, 1021), -EINVAL);
	assert_int_equal(slots[0], 77);
	free(entries);

	/* The largest class takes as many backends as it has slots. */
	entries = entries_make(LB_RING_MAX_SLOTS + 1);
	assert_int_equal(maglev_build(entries, LB_RING_MAX_SLOTS + 1, slots, LB_RING_MAX_SLOTS),
			 -EINVAL);
	free(entries);
}

static void largest_ring_is_built_in_a_second(void **state)
{
	static const uint16_t other_weights[] = {100, 1};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct maglev_entry *entries = entries_make(1000);
		double started;
		struct ring ring;

		for (size_t k = 1; k < 1000; k++)
			entries[k].weight = other_weights[i];
		started = now_ms();
		ring = ring_make(entries, 1000, LB_RING_MAX_SLOTS);
		print_message("# %u slots, 1000 backends (one of weight 100, the others %u): "
			      "%.0f ms\n",
			      ring.nslots, other_weights[i], now_ms() - started);
		assert_true(now_ms() - started < 1000);
		free(ring.slots);
		free(entries);
	}
}

int main(void)
{
	const char *given = getenv("GUIDEWAY_TEST_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_documented_classes),
		cmocka_unit_test(sizes_are_primes),
		cmocka_unit_test(ring_depends_on_the_set_and_not_on_its_order),
		cmocka_unit_test(backends_of_equal_identity_are_told_apart_by_id),
		cmocka_unit_test(ring_is_the_same_as_ever),
		cmocka_unit_test(identity_depends_on_address_port_family_and_seed),
		cmocka_unit_test(equal_weights_get_shares_within_2_percent),
		cmocka_unit_test(shares_follow_weights_within_one_slot),
		cmocka_unit_test(lightest_weight_gets_a_slot_beside_many_heavy_ones),
		cmocka_unit_test(full_ring_gives_each_backend_one_slot),
		cmocka_unit_test(one_of_ten_leaving_moves_13_percent_in_the_median),
		cmocka_unit_test(one_leaving_moves_its_share_and_3_points_at_most),
		cmocka_unit_test(a_small_change_of_weight_moves_little),
		cmocka_unit_test(what_can_not_be_a_ring_is_refused),
		cmocka_unit_test(largest_ring_is_built_in_a_second),
	};

	random_state = given ? strtoull(given, NULL, 0) : 3;
	print_message("# GUIDEWAY_TEST_SEED=%#llx\n", (unsigned long long)random_state);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
