/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What lbd knows in numbers, as Prometheus reads them (text format 0.0.4).
 */
#ifndef GW_METRICS_H
#define GW_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "view.h"

/* How long syncs took, from the first event that asked for one until the maps
 * were written: counts by upper bound. */
#define METRICS_BUCKETS 10
struct metrics_syncs {
	uint64_t buckets[METRICS_BUCKETS + 1]; /* the last one: longer than any bound */
	uint64_t sum_us;
};

void metrics_sync_add(struct metrics_syncs *syncs, uint64_t us);

/* malloc'ed, NULL = no memory or no counters. */
char *metrics_text(const struct view *view, size_t *ret_length);

#endif
