/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "log.h"

/* Of one sync; lbctl status shows them all. */
#define REPORT_REFUSALS_MAX 100

/* FNV-1a. */
static uint64_t line_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
	return hash;
}

static int hash_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void refusal_tell(const struct view *view, size_t i)
{
	char object[VIEW_NAME_SIZE];
	struct view_refusal r;

	view_refusal(view, i, &r);
	log_warn("refused object=%s kind=%s at=%s reason=\"%s\"",
		 view_name(r.namespace, r.object, object), r.kind, r.where, r.reason);
}

static void report_refusals(struct report *report, const struct view *view)
{
	size_t n = view_refusals(view), fresh = 0;
	uint64_t *hashes = calloc(n + 1, sizeof(*hashes));

	if (!hashes)
		return; /* then the next sync tells */
	for (size_t i = 0; i < n; i++) {
		struct error line;

		view_refusal_line(view, i, &line);
		hashes[i] = line_hash(line.text);
		if (report->nrefusals && bsearch(&hashes[i], report->refusals, report->nrefusals,
						 sizeof(*hashes), hash_compare))
			continue;
		if (fresh++ < REPORT_REFUSALS_MAX)
			refusal_tell(view, i);
	}
	if (fresh > REPORT_REFUSALS_MAX)
		log_warn("refused more=%zu", fresh - REPORT_REFUSALS_MAX);
	if (report->nrefusals && !n)
		log_info("nothing is refused any more");
	qsort(hashes, n, sizeof(*hashes), hash_compare);
	free(report->refusals);
	report->refusals = hashes;
	report->nrefusals = n;
}

static void report_changes(const struct sync *sync)
{
	const struct plan *plan = sync->plan;
	enum log_level level = LOG_LEVEL_DEBUG;
	size_t nfresh = 0;

	for (size_t i = 0; i < plan->nbackends; i++)
		nfresh += plan->backends[i].fresh;
	/* Neighbours come and go without a change for anybody. */
	if (plan->nservices || plan->nservices_freed || plan->nrings || plan->nfrontends ||
	    plan->nfrontends_deleted || plan->nsources || plan->nsources_deleted || nfresh)
		level = LOG_LEVEL_INFO;
	if (!plan_is_empty(plan))
		log_line(level,
			 "synced revision=%llu services=%zu frontends=%zu backends_new=%zu "
			 "backends_changed=%zu rings_changed=%zu devices=%zu took_ms=%llu",
			 (unsigned long long)sync->snapshot->revision, sync->snapshot->nservices,
			 sync->view.nfrontends, nfresh, plan->nbackends - nfresh, plan->nrings,
			 sync->attached.n, (unsigned long long)sync->took_ms);
}

/* A failure is told when it begins, when it changes and when it ends. */
static void report_failure(struct report *report, int err, const struct error *error)
{
	if (!err && *report->told.text)
		log_info("recovered from %s", report->told.text);
	else if (err && strcmp(report->told.text, error->text))
		log_error("%s", error->text);
	error_set(&report->told, 0, "%s", err ? error->text : "");
}

static void report_warnings(struct report *report, const struct sync *sync)
{
	bool left_out = devices_left_out(sync->devices) > 0;

	for (size_t i = 0; i < sync->snapshot->nservices; i++) {
		uint8_t family = sync->snapshot->services[i].family;
		bool *warned = &report->warned_forwarding[family == 6];

		if (*warned)
			continue;
		*warned = true;
		if (!host_forwards(family))
			log_warn("this host doesn't forward IPv%u, so pods can't be reached: %s",
				 family, host_forwarding_command(family));
	}
	if (left_out && !report->warned_left_out)
		log_warn("too many pod devices, the others are left out max=%d addresses=%zu",
			 LB_MAX_DEVICES - 1, devices_left_out(sync->devices));
	report->warned_left_out = left_out;
}

void report_sync(struct report *report, const struct sync *sync, int err, const struct error *error)
{
	report_failure(report, err, error);
	if (!sync->plan)
		return;
	if (!err)
		report_changes(sync);
	report_refusals(report, &sync->view);
	report_warnings(report, sync);
}

void report_clear(struct report *report)
{
	free(report->refusals);
	*report = (struct report){0};
}
