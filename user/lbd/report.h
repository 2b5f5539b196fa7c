/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What lbd logs of its syncs: changes, not repetition.  A failure is told when
 * it begins, changes and ends; a refusal when it appears; what is wrong with
 * the host once.
 */
#ifndef GW_REPORT_H
#define GW_REPORT_H

#include "sync.h"

/* What was told already; a zeroed one: nothing. */
struct report {
	struct error told;  /* the failure, "" = none */
	uint64_t *refusals; /* hashes of their lines, sorted */
	size_t nrefusals;
	bool warned_forwarding[2]; /* IPv4, IPv6 */
	bool warned_left_out;
};

/* After each sync_run(): err and error are its result. */
void report_sync(struct report *report, const struct sync *sync, int err,
		 const struct error *error);

void report_clear(struct report *report);

#endif
