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

/* What the flow tables hold, as they were last counted. */
struct metrics_flows {
	struct maps_flow_table tables[LB_FLOW_TABLE_MAX * 2];
	uint64_t counted_ns, took_ns; /* when, and for how long; 0 = not yet */
};

/* Flows are counted anew unless that was done a moment ago: it means to look at each
 * entry of tables that may be large.
 * malloc'ed, NULL = no memory or no counters. */
char *metrics_text(const struct view *view, struct metrics_flows *flows, size_t *ret_length);

#endif
