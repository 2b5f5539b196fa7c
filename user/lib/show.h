/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the maps hold, as the JSON of docs/API.md.  lbd answers with it, and lbctl
 * reads it out of the pins where no daemon runs.
 *
 * What comes out is of the maps alone: names, addresses and numbers, nothing that
 * had to be escaped.  Functions write one object, and return 0 or -errno; a lack of
 * memory is told by rows_end().
 */
#ifndef GW_SHOW_H
#define GW_SHOW_H

#include "maps.h"
#include "rows.h"

/* Which rows; NULL, 0: all. */
struct show_filter {
	const char *service; /* "NS/NAME" or "NS/NAME:PORT", a port's name or number */
	struct addr backend; /* family 0 = any */
	uint16_t backend_port;
	struct addr client;
	uint16_t client_port;
	uint32_t limit; /* of rows; 0 = none */
};

/* {"flows":[...],"total":N}: total counts those that the limit cuts, too. */
int show_flows(const struct maps *maps, const struct show_filter *filter, struct rows *to);
int show_affinity(const struct maps *maps, const struct show_filter *filter, struct rows *to);
int show_rings(const struct maps *maps, const struct show_filter *filter, struct rows *to);
/* {"reasons":[...],"services":[...]}: counters. */
int show_stats(const struct maps *maps, const struct show_filter *filter, struct rows *to);

/* Where no daemon runs: what lbd's answers of these names have, as far as maps
 * know it. */
int show_services(const struct maps *maps, const struct show_filter *filter, struct rows *to);
int show_status(const struct maps *maps, const struct show_filter *filter, struct rows *to);
int show_backends(const struct maps *maps, const struct show_filter *filter, struct rows *to);

/* Forget the flows that a filter (which has to have something) names: how many. */
int show_flows_delete(const struct maps *maps, const struct show_filter *filter, uint32_t *ret_n);

#endif
