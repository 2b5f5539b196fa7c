/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Carries a plan out on the maps, make before break: names and backends first,
 * then rings in free arena space and the switch to them, then frontends; what
 * is taken away goes in the opposite order.  A crash between two steps leaves
 * maps that serve either the old or the new state of each service, and the
 * next plan mends the rest.
 *
 * Whoever adopts maps calls maps_quiesce() once before the first plan is
 * applied: the lbd before may have died between a switch and its quiesce.
 */
#ifndef GW_APPLY_H
#define GW_APPLY_H

#include "error.h"
#include "maps.h"
#include "plan.h"

/* Returns 0 or -errno; what was done until then stays done.  Nothing is mapped
 * writable for an empty plan. */
int apply_plan(struct maps *maps, const struct plan *plan, struct error *error);

#endif
