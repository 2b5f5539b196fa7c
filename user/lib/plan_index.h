/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A hash index for the planner: numbers (array indexes, ids) found by a hash of
 * what they stand for.  The caller compares; the index knows no keys.
 *
 *	for (i = plan_index_first(index, hash); plan_index_get(index, i, &number);
 *	     i = plan_index_next(index, i))
 *		if (it is the one)
 *
 * Where the loop ends, plan_index_set(index, i, number) adds a number.  It is
 * made for a known count, never grows, and nothing is removed from it.
 */
#ifndef GW_PLAN_INDEX_H
#define GW_PLAN_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct plan_index {
	uint32_t *slots; /* number + 1; 0 = empty, at least half of them */
	size_t mask;
};

/* For at most n numbers.  False: no memory. */
static inline bool plan_index_init(struct plan_index *index, size_t n)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	index->slots = calloc(size, sizeof(*index->slots));
	index->mask = size - 1;
	return index->slots;
}

static inline void plan_index_free(struct plan_index *index)
{
	free(index->slots);
}

static inline size_t plan_index_first(const struct plan_index *index, uint64_t hash)
{
	return hash & index->mask;
}

static inline size_t plan_index_next(const struct plan_index *index, size_t i)
{
	return (i + 1) & index->mask;
}

static inline bool plan_index_get(const struct plan_index *index, size_t i, uint32_t *ret)
{
	if (!index->slots[i])
		return false;
	*ret = index->slots[i] - 1;
	return true;
}

static inline void plan_index_set(struct plan_index *index, size_t i, uint32_t number)
{
	index->slots[i] = number + 1;
}

#endif
