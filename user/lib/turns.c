/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "turns.h"

#include <errno.h>
#include <stdlib.h>

struct turn {
	const struct maglev_entry *entry;
	uint32_t slots; /* it gets so many */
	int64_t credit; /* grows by slots each turn, falls by all when it is taken */
};

static uint32_t divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* What all weights are divided by, and multiplied with. */
static void scale(const struct maglev_entry *entries, size_t n, uint64_t *ret_sum,
		  uint32_t *ret_common)
{
	uint32_t common = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		common = divisor(entries[i].weight, common);
		sum += entries[i].weight;
	}
	*ret_common = common ? common : 1;
	*ret_sum = sum / *ret_common;
}

static uint32_t entry_slots(const struct maglev_entry *entry, uint64_t sum, uint32_t common)
{
	uint64_t slots = entry->weight / common;

	if (sum > TURNS_MAX_SLOTS)
		slots = slots * TURNS_MAX_SLOTS / sum;
	return slots ? slots : 1;
}

uint32_t turns_size(const struct maglev_entry *entries, size_t n)
{
	uint32_t common, slots = 0;
	uint64_t sum;

	scale(entries, n, &sum, &common);
	for (size_t i = 0; i < n; i++)
		slots += entry_slots(&entries[i], sum, common);
	return slots;
}

static int compare_identities(const void *left, const void *right)
{
	const struct maglev_entry *a = ((const struct turn *)left)->entry;
	const struct maglev_entry *b = ((const struct turn *)right)->entry;

	if (a->identity != b->identity)
		return a->identity < b->identity ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

/* The smooth order: each turn everybody gets his slots as credit, who has most is
 * taken and pays all of them. */
static void turns_order(struct turn *turns, size_t n, uint32_t *slots, uint32_t nslots)
{
	/* Equal weights, the usual case, and the same order. */
	for (size_t i = 0; nslots == n && i < n; i++)
		slots[i] = turns[i].entry->id;
	if (nslots == n)
		return;
	for (uint32_t slot = 0; slot < nslots; slot++) {
		struct turn *next = &turns[0];

		for (size_t i = 0; i < n; i++) {
			turns[i].credit += turns[i].slots;
			if (turns[i].credit > next->credit)
				next = &turns[i];
		}
		next->credit -= nslots;
		slots[slot] = next->entry->id;
	}
}

int turns_build(const struct maglev_entry *entries, size_t n, uint32_t *slots, uint32_t nslots)
{
	struct turn *turns;
	uint32_t common;
	uint64_t sum;

	for (size_t i = 0; i < n; i++)
		if (!entries[i].weight || !entries[i].id)
			return -EINVAL;
	if (!n || nslots != turns_size(entries, n))
		return -EINVAL;
	turns = calloc(n, sizeof(*turns));
	if (!turns)
		return -ENOMEM;
	scale(entries, n, &sum, &common);
	for (size_t i = 0; i < n; i++)
		turns[i] = (struct turn){&entries[i], entry_slots(&entries[i], sum, common), 0};
	qsort(turns, n, sizeof(*turns), compare_identities);
	turns_order(turns, n, slots, nslots);
	free(turns);
	return 0;
}
