/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "turns.h"

static void expect(const struct maglev_entry *entries, size_t n, const uint32_t *expected,
		   uint32_t nslots)
{
	uint32_t slots[64];

	assert_int_equal(turns_size(entries, n), nslots);
	assert_int_equal(turns_build(entries, n, slots, nslots), 0);
	assert_memory_equal(slots, expected, nslots * sizeof(*slots));
}

static void equal_weights_take_one_turn_each_in_a_stable_order(void **state)
{
	const struct maglev_entry entries[] = {{30, 1, 100}, {10, 2, 100}, {20, 3, 100}};
	const struct maglev_entry shuffled[] = {{20, 3, 7}, {30, 1, 7}, {10, 2, 7}};

	(void)state;
	expect(entries, 3, (uint32_t[]){2, 3, 1}, 3);
	expect(shuffled, 3, (uint32_t[]){2, 3, 1}, 3);
}

static void weights_are_interleaved(void **state)
{
	const struct maglev_entry entries[] = {{1, 1, 500}, {2, 2, 100}, {3, 3, 100}};

	(void)state;
	expect(entries, 3, (uint32_t[]){1, 1, 2, 1, 3, 1, 1}, 7);
	expect(entries, 1, (uint32_t[]){1}, 1);
}

static void every_entry_gets_its_part_and_one_at_least(void **state)
{
	enum {
		N = 3000
	};
	struct maglev_entry *entries = calloc(N, sizeof(*entries));
	uint32_t *slots, nslots, counts[N + 1] = {0};

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		entries[i] = (struct maglev_entry){i, i + 1, i ? 997 : 1};
	nslots = turns_size(entries, N);
	assert_in_range(nslots, N, TURNS_MAX_SLOTS + N);
	slots = calloc(nslots, sizeof(*slots));
	assert_int_equal(turns_build(entries, N, slots, nslots), 0);
	for (uint32_t i = 0; i < nslots; i++)
		counts[slots[i]]++;
	assert_int_equal(counts[1], 1);
	for (uint32_t i = 2; i <= N; i++)
		assert_int_equal(counts[i], counts[2]);
	free(slots);
	free(entries);
}

static void what_is_wrong_is_refused(void **state)
{
	const struct maglev_entry good[] = {{1, 1, 1}}, weightless[] = {{1, 1, 0}};
	const struct maglev_entry nobody[] = {{1, 0, 1}};
	uint32_t slots[4];

	(void)state;
	assert_int_equal(turns_build(good, 0, slots, 0), -EINVAL);
	assert_int_equal(turns_build(good, 1, slots, 2), -EINVAL);
	assert_int_equal(turns_build(weightless, 1, slots, 1), -EINVAL);
	assert_int_equal(turns_build(nobody, 1, slots, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_weights_take_one_turn_each_in_a_stable_order),
		cmocka_unit_test(weights_are_interleaved),
		cmocka_unit_test(every_entry_gets_its_part_and_one_at_least),
		cmocka_unit_test(what_is_wrong_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
