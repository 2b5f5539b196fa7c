/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "show.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reason.h"
#include "show_rows.h"

static uint32_t seconds(uint64_t ticks)
{
	return (uint32_t)((ticks << LB_TICK_SHIFT) / 1000000000);
}

/* ---- flows --------------------------------------------------------------------- */

static const char *flow_state(uint8_t state)
{
	return state == LB_FLOW_NEW ? "new" : state == LB_FLOW_CLOSING ? "closing" : "established";
}

struct flow_rows {
	struct show_rows rows;
	const struct show_filter *filter;
	struct maps_flow *found; /* to delete, or NULL: to show */
	size_t nfound;
	int err;
};

static bool flow_is_meant(const struct maps *maps, const struct show_filter *filter,
			  const struct maps_flow *flow)
{
	const struct lb_backend *backend = &maps->backends[flow->backend];

	if (filter->client.family && addr_compare(&filter->client, &flow->client))
		return false;
	if (filter->client_port && filter->client_port != flow->client_port)
		return false;
	return show_backend_is_meant(backend, filter) &&
	       show_service_is_meant(maps, backend->service, filter);
}

static void flow_show(void *arg, const struct maps_flow *flow)
{
	struct flow_rows *flows = arg;
	struct rows *to = flows->rows.to;
	const struct maps *maps = flows->rows.maps;
	const struct lb_backend *backend = &maps->backends[flow->backend];

	if (!flow_is_meant(maps, flows->filter, flow) || !show_row_begin(&flows->rows))
		return;
	show_service(&flows->rows, backend->service);
	show_address(to, "client", &flow->client);
	rows_number(to, "client_port", flow->client_port);
	show_address(to, "frontend", &flow->frontend);
	rows_number(to, "frontend_port", flow->frontend_port);
	show_backend(&flows->rows, backend);
	rows_number(to, "snat_port", flow->snat_port);
	rows_text(to, "state", flow_state(flow->state));
	rows_text(to, "path", flow->stack ? "stack" : "bypass");
	rows_number(to, "age_s", seconds(flow->age_ticks));
	show_row_end(&flows->rows);
}

int show_flows(const struct maps *maps, const struct show_filter *filter, struct rows *to)
{
	struct flow_rows flows = {.rows = {.maps = maps, .to = to, .limit = filter->limit},
				  .filter = filter};
	int err;

	rows_object(to, NULL);
	show_rows_begin(&flows.rows, "flows");
	err = maps_flows_each(maps, flow_show, &flows);
	show_rows_end(&flows.rows);
	rows_number(to, "total", flows.rows.total);
	rows_object_end(to);
	return err;
}

static void flow_collect(void *arg, const struct maps_flow *flow)
{
	struct flow_rows *flows = arg;
	struct maps_flow *found;

	if (flows->err || !flow_is_meant(flows->rows.maps, flows->filter, flow))
		return;
	found = reallocarray(flows->found, flows->nfound + 1, sizeof(*found));
	if (!found) {
		flows->err = -ENOMEM;
		return;
	}
	flows->found = found;
	found[flows->nfound++] = *flow;
}

int show_flows_delete(const struct maps *maps, const struct show_filter *filter, uint32_t *ret_n)
{
	struct flow_rows flows = {.filter = filter, .rows.maps = maps};
	uint32_t n = 0;
	int err = maps_flows_each(maps, flow_collect, &flows) ?: flows.err;

	for (size_t i = 0; i < flows.nfound && !err; i++) {
		err = maps_flow_delete(maps, &flows.found[i]);
		n += !err;
		if (err == -ENOENT) /* it ended meanwhile */
			err = 0;
	}
	free(flows.found);
	*ret_n = n;
	return err;
}

/* ---- affinity ------------------------------------------------------------------- */

struct affinity_rows {
	struct show_rows rows;
	const struct show_filter *filter;
};

static void affinity_show(void *arg, const struct maps_affinity *affinity)
{
	struct affinity_rows *affinities = arg;
	struct rows *to = affinities->rows.to;
	const struct maps *maps = affinities->rows.maps;

	if (!show_service_is_meant(maps, affinity->service, affinities->filter) ||
	    !show_row_begin(&affinities->rows))
		return;
	show_service(&affinities->rows, affinity->service);
	show_address(to, "client", &affinity->client);
	show_backend(&affinities->rows, &maps->backends[affinity->backend]);
	rows_number(to, "age_s", seconds(affinity->age_ticks));
	rows_number(to, "expires_s", seconds(affinity->left_ticks));
	show_row_end(&affinities->rows);
}

int show_affinity(const struct maps *maps, const struct show_filter *filter, struct rows *to)
{
	struct affinity_rows affinities = {.rows = {.maps = maps, .to = to, .limit = filter->limit},
					   .filter = filter};
	int err;

	rows_object(to, NULL);
	show_rows_begin(&affinities.rows, "affinity");
	err = maps_affinity_each(maps, affinity_show, &affinities);
	show_rows_end(&affinities.rows);
	rows_object_end(to);
	return err;
}

/* ---- rings ---------------------------------------------------------------------- */

static void ring_backend_show(struct rows *to, const struct lb_backend *backend, uint32_t slots,
			      uint32_t size)
{
	struct addr addr;
	char share[16];

	addr_from_words(backend->family, backend->addr, &addr);
	rows_object(to, NULL);
	show_address(to, "address", &addr);
	rows_number(to, "port", ntohs(backend->port));
	rows_number(to, "weight", backend->weight);
	rows_number(to, "slots", slots);
	rows_json(to, "share_pct", share,
		  snprintf(share, sizeof(share), "%.2f", 100.0 * slots / size));
	rows_object_end(to);
}

static void ring_show(struct show_rows *rows, uint32_t service, enum lb_scope scope,
		      uint32_t *slots)
{
	const struct maps *maps = rows->maps;
	uint32_t index = LB_RING_INDEX(service, scope), n = LB_RING_SLOTS(maps->rings[index]);
	const struct maps_ring_change *change =
		maps->ring_changes ? &maps->ring_changes[index] : NULL;

	memset(slots, 0, maps->max_backends * sizeof(*slots));
	if (!maps_ring_count(maps, maps->rings[index], slots) || !show_row_begin(rows))
		return;
	show_service(rows, service);
	rows_text(rows->to, "scope", scope == LB_SCOPE_LOCAL ? "local" : "cluster");
	rows_text(rows->to, "scheduler",
		  maps->services[service].flags & LB_SERVICE_F_ROUND_ROBIN ? "round-robin"
									   : "maglev");
	rows_number(rows->to, "size", n);
	if (change && change->ticks) {
		rows_number(rows->to, "changed_s", seconds(maps_now_ticks() - change->ticks));
		rows_number(rows->to, "moved", change->moved);
	}
	rows_array(rows->to, "backends");
	for (uint32_t id = 1; id < maps->max_backends; id++)
		if (slots[id])
			ring_backend_show(rows->to, &maps->backends[id], slots[id], n);
	rows_array_end(rows->to);
	show_row_end(rows);
}

int show_rings(const struct maps *maps, const struct show_filter *filter, struct rows *to)
{
	struct show_rows rows = {.maps = maps, .to = to, .limit = filter->limit};
	uint32_t *slots = calloc(maps->max_backends, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	rows_object(to, NULL);
	show_rows_begin(&rows, "rings");
	for (uint32_t id = 1; id < maps->max_services; id++) {
		if (!show_service_is_meant(maps, id, filter))
			continue;
		ring_show(&rows, id, LB_SCOPE_CLUSTER, slots);
		if (maps->rings[LB_RING_INDEX(id, LB_SCOPE_LOCAL)])
			ring_show(&rows, id, LB_SCOPE_LOCAL, slots);
	}
	show_rows_end(&rows);
	rows_object_end(to);
	free(slots);
	return 0;
}

/* ---- counters --------------------------------------------------------------------- */

static void traffic_show(struct rows *to, const struct lb_traffic *traffic)
{
	rows_number(to, "connections_total", traffic->connections);
	rows_number(to, "packets_total", traffic->packets_in + traffic->packets_out);
	rows_number(to, "bytes_total", traffic->bytes_in + traffic->bytes_out);
}

static void reasons_show(struct show_rows *rows, const struct lb_reason_counter *counters)
{
	show_rows_begin(rows, "reasons");
	for (int i = 1; i < LB_REASON_MAX; i++) {
		const struct reason *reason = reason_get(i);

		show_row_begin(rows);
		rows_text(rows->to, "reason", reason->text);
		rows_number(rows->to, "packets", counters[i].packets);
		rows_number(rows->to, "bytes", counters[i].bytes);
		rows_text(rows->to, "verdict", reason->verdict_text);
		rows_text(rows->to, "meaning", reason->meaning);
		show_row_end(rows);
	}
	show_rows_end(rows);
}

int show_stats(const struct maps *maps, const struct show_filter *filter, struct rows *to)
{
	struct show_rows rows = {.maps = maps, .to = to};
	struct lb_traffic *traffic = calloc(maps->max_services, sizeof(*traffic));
	struct lb_reason_counter counters[LB_REASON_MAX];
	int err = traffic ? maps_reason_counters(maps, counters) : -ENOMEM;

	err = err ?: maps_service_counters(maps, traffic);
	if (err)
		goto out;
	rows_object(to, NULL);
	reasons_show(&rows, counters);
	show_rows_begin(&rows, "services");
	for (uint32_t id = 1; id < maps->max_services; id++) {
		if (!show_service_is_meant(maps, id, filter))
			continue;
		show_row_begin(&rows);
		show_service(&rows, id);
		traffic_show(to, &traffic[id]);
		show_row_end(&rows);
	}
	show_rows_end(&rows);
	rows_object_end(to);
out:
	free(traffic);
	return err;
}

/* ---- without a daemon --------------------------------------------------------------- */

static const char *frontend_kind(const struct lb_frontend *frontend)
{
	if (frontend->flags & LB_FRONTEND_F_NODEPORT)
		return "NodePort";
	return frontend->flags & LB_FRONTEND_F_EXTERNAL ? "ExternalIP" : "ClusterIP";
}

static void frontend_show(struct rows *to, const struct plan_frontend *frontend)
{
	rows_object(to, NULL);
	rows_text(to, "kind", frontend_kind(&frontend->value));
	show_address(to, "address", &frontend->addr);
	rows_number(to, "port", ntohs(frontend->port));
	rows_object_end(to);
}

/* What a service has, found by going through all backends and frontends once. */
struct service_parts {
	uint32_t nendpoints; /* backends that are in a slice */
	uint32_t nusable;    /* those in the ring */
	size_t frontend;     /* the first, 1 = frontends[0], 0 = none */
};

/* ret_next: of each frontend, the next one of its service. */
static void parts_find(const struct maps *maps, const struct applied *applied,
		       struct service_parts *parts, size_t *ret_next)
{
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		const struct lb_backend *backend = &maps->backends[id];

		if (backend->state != LB_BACKEND_ACTIVE || backend->service >= maps->max_services)
			continue;
		parts[backend->service].nendpoints++;
		parts[backend->service].nusable += !!(backend->flags & LB_BACKEND_F_CLUSTER);
	}
	for (size_t i = applied->nfrontends; i; i--) {
		uint32_t service = applied->frontends[i - 1].value.service;

		if (service >= maps->max_services)
			continue;
		ret_next[i - 1] = parts[service].frontend;
		parts[service].frontend = i;
	}
}

static void service_show(struct show_rows *rows, uint32_t id, const struct service_parts *parts,
			 const struct plan_frontend *frontends, const size_t *next)
{
	const struct maps *maps = rows->maps;

	show_service(rows, id);
	rows_number(rows->to, "port", ntohs(maps->services[id].port));
	rows_array(rows->to, "frontends");
	for (size_t i = parts->frontend; i; i = next[i - 1])
		frontend_show(rows->to, &frontends[i - 1]);
	rows_array_end(rows->to);
	rows_number(rows->to, "endpoints", parts->nendpoints);
	rows_number(rows->to, "usable", parts->nusable);
	rows_text(rows->to, "state",
		  maps->rings[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)] ? "ok" : "no_endpoint");
	rows_text(rows->to, "reason", "");
}

int show_services(const struct maps *maps, const struct show_filter *filter, struct rows *to)
{
	struct show_rows rows = {.maps = maps, .to = to, .limit = filter->limit};
	struct service_parts *parts = calloc(maps->max_services, sizeof(*parts));
	struct applied applied = {};
	struct error error;
	int err = parts ? maps_applied(maps, &applied, &error) : -ENOMEM;
	size_t *next = calloc(applied.nfrontends + 1, sizeof(*next));

	if (!err && !next)
		err = -ENOMEM;
	if (err)
		goto out;
	parts_find(maps, &applied, parts, next);
	rows_object(to, NULL);
	show_rows_begin(&rows, "services");
	for (uint32_t id = 1; id < maps->max_services; id++) {
		if (!show_service_is_meant(maps, id, filter) || !show_row_begin(&rows))
			continue;
		service_show(&rows, id, &parts[id], applied.frontends, next);
		show_row_end(&rows);
	}
	show_rows_end(&rows);
	rows_object_end(to);
out:
	maps_applied_free(&applied);
	free(parts);
	free(next);
	return err;
}

static void backend_show(struct show_rows *rows, uint32_t id, const uint32_t *slots,
			 const uint32_t *flows, const struct lb_traffic *traffic)
{
	const struct lb_backend *backend = &rows->maps->backends[id];
	bool drained = backend->flags & LB_BACKEND_DRAINS;
	struct addr addr;

	addr_from_words(backend->family, backend->addr, &addr);
	show_service(rows, backend->service);
	show_address(rows->to, "address", &addr);
	rows_number(rows->to, "port", ntohs(backend->port));
	rows_bool(rows->to, "ready", !(backend->flags & LB_BACKEND_F_NOT_SERVING));
	rows_text(rows->to, "state", drained ? "draining" : "active");
	rows_text(rows->to, "health", backend->flags & LB_BACKEND_F_DOWN ? "down" : "unknown");
	rows_number(rows->to, "weight", backend->weight);
	rows_number(rows->to, "slots", slots[id]);
	rows_number(rows->to, "flows", flows[id]);
	traffic_show(rows->to, &traffic[id]);
}

int show_backends(const struct maps *maps, const struct show_filter *filter, struct rows *to)
{
	struct show_rows rows = {.maps = maps, .to = to, .limit = filter->limit};
	struct lb_traffic *traffic = calloc(maps->max_backends, sizeof(*traffic));
	uint32_t *slots = calloc(maps->max_backends, sizeof(*slots));
	uint32_t *flows = calloc(maps->max_backends, sizeof(*flows));
	int err = traffic && slots && flows ? maps_flow_counts(maps, flows) : -ENOMEM;

	err = err ?: maps_backend_counters(maps, traffic);
	if (err)
		goto out;
	for (uint32_t id = 1; id < maps->max_services; id++)
		maps_ring_count(maps, maps->rings[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)], slots);
	rows_object(to, NULL);
	show_rows_begin(&rows, "backends");
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		const struct lb_backend *backend = &maps->backends[id];

		if (backend->state != LB_BACKEND_ACTIVE ||
		    !show_backend_is_meant(backend, filter) ||
		    !show_service_is_meant(maps, backend->service, filter) ||
		    !show_row_begin(&rows))
			continue;
		backend_show(&rows, id, slots, flows, traffic);
		show_row_end(&rows);
	}
	show_rows_end(&rows);
	rows_object_end(to);
out:
	free(traffic);
	free(slots);
	free(flows);
	return err;
}

static uint32_t services_count(const struct maps *maps)
{
	uint32_t n = 0;

	for (uint32_t id = 1; id < maps->max_services; id++)
		n += !!(maps->services[id].flags & LB_SERVICE_F_USED);
	return n;
}

static uint32_t backends_count(const struct maps *maps)
{
	uint32_t n = 0;

	for (uint32_t id = 1; id < maps->max_backends; id++)
		n += maps->backends[id].state != LB_BACKEND_FREE;
	return n;
}

static void counters_show(struct rows *to, const char *key,
			  const struct lb_reason_counter *counters, bool bytes)
{
	rows_object(to, key);
	for (int i = 1; i < LB_REASON_MAX; i++)
		rows_number(to, reason_get(i)->text,
			    bytes ? counters[i].bytes : counters[i].packets);
	rows_object_end(to);
}

int show_status(const struct maps *maps, const struct show_filter *filter, struct rows *to)
{
	struct lb_reason_counter counters[LB_REASON_MAX];
	struct applied applied;
	struct error error;
	int err = maps_reason_counters(maps, counters);

	(void)filter;
	err = err ?: maps_applied(maps, &applied, &error);
	if (err)
		return err;
	rows_object(to, NULL);
	rows_text(to, "daemon", "not running");
	rows_number(to, "services", services_count(maps));
	rows_number(to, "backends", backends_count(maps));
	rows_number(to, "frontends", applied.nfrontends);
	rows_array(to, "attachments");
	rows_array_end(to);
	rows_array(to, "refused");
	rows_array_end(to);
	counters_show(to, "packets", counters, false);
	counters_show(to, "bytes", counters, true);
	rows_object_end(to);
	maps_applied_free(&applied);
	return 0;
}
