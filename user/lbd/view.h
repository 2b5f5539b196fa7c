/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the API shows, as JSON text: the snapshot, the maps and the last plan
 * side by side.  No HTTP here, and nothing is fetched: counters are handed in,
 * so tests need no maps of the kernel.
 *
 * A struct view is filled by its owner (lbd.c) at each sync and only read
 * here.  Functions return malloc'ed text for the caller to free, or NULL: no
 * memory.
 */
#ifndef GW_VIEW_H
#define GW_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "attachments.h"
#include "maps.h"
#include "options.h"
#include "plan.h"
#include "rows.h"

struct metrics_syncs;
struct health;
struct health_ports;
struct socket_lb;

struct view {
	const struct options *options;
	const struct snapshot *snapshot;
	const struct plan *plan; /* for its refusals; NULL or made from that snapshot */
	const struct maps *maps;
	const struct attachments *attachments;
	const struct socket_lb *socket_lb;
	const struct health *health;	   /* NULL = off */
	const struct health_ports *ports;  /* NULL = nobody listens */
	uint64_t synced_revision;	   /* of the last snapshot that is in the maps as a whole */
	uint64_t started_ms;		   /* CLOCK_MONOTONIC */
	size_t nfrontends;		   /* in the maps */
	bool stale;			   /* a part of the source keeps its last good state */
	const struct metrics_syncs *syncs; /* NULL = nobody counts */
};

/* ---- for the API --------------------------------------------------------- */

/* service: "NS/NAME" or NULL for all. */
char *view_services(const struct view *view, const char *service, size_t *ret_length);

/* service = "NS/NAME" or NULL for all.  By backend id: totals and flows. */
char *view_backends(const struct view *view, const char *service, const struct lb_traffic *traffic,
		    const uint32_t *flows, size_t *ret_length);

char *view_status(const struct view *view, const struct lb_reason_counter reasons[LB_REASON_MAX],
		  size_t *ret_length);

/* {"changes":[...]}: what a plan, made anew, would change. */
char *view_diff(const struct view *view, const struct plan *plan, size_t *ret_length);

/* {"items":[...]}: manifests of all Services, or of one, "NS/NAME". */
char *view_export(const struct view *view, const char *service, size_t *ret_length);

/* ---- refusals: the snapshot's, then the plan's ----------------------------- */

struct view_refusal {
	const char *where; /* "" = this node alone is the reason */
	const char *kind;
	const char *namespace; /* of the object, "" = unknown */
	const char *object;    /* its name, "" = unknown */
	const char *service;   /* name of the Service it concerns, "" = unknown */
	const char *reason;
	bool partial; /* the rest of the Service works */
};

size_t view_refusals(const struct view *view);
void view_refusal(const struct view *view, size_t i, struct view_refusal *ret);

/* The same as one line: "WHERE: KIND NAMESPACE/OBJECT: reason". */
void view_refusal_line(const struct view *view, size_t i, struct error *ret);

/* ---- between the view_*.c files -------------------------------------------- */

/* {"KEY":[ and ]} */
void view_rows_begin(struct rows *rows, const char *key);
char *view_rows_end(struct rows *rows, size_t *ret_length);
/* The rows of a v1 List. */
void view_list_begin(struct rows *rows);
void view_rows_add(struct rows *rows, const json_t *row);
/* rows_text() of any text, "?" for what isn't UTF-8. */
void view_rows_text(struct rows *rows, const char *key, const char *text);

/* json_object_set_new(), with "?" for text that isn't UTF-8. */
void view_set_text(json_t *object, const char *key, const char *text);

/* "ADDR/LEN" of each, at the array's end. */
void view_add_prefixes(json_t *array, const struct prefix *prefixes, size_t n);

/* "NAMESPACE/NAME", or what is known of it; cut if it is absurdly long. */
#define VIEW_NAME_SIZE 520
const char *view_name(const char *namespace, const char *name, char buf[VIEW_NAME_SIZE]);

const char *view_family(uint8_t family);
const char *view_protocol(uint8_t protocol);

/* Ids in the maps of the snapshot's services, in its order; 0 = not there.
 * Returns malloc'ed memory or NULL. */
uint32_t *view_service_ids(const struct view *view);

#endif
