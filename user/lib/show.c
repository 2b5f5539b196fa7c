/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "show.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
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
	const struct maps *maps = flows->rows.maps;
	const struct lb_backend *backend = &maps->backends[flow->backend];
	char text[ADDR_STRLEN];

	if (!flow_is_meant(maps, flows->filter, flow) || !show_row_begin(&flows->rows))
		return;
	show_service(&flows->rows, backend->service);
	show_text(&flows->rows, "client", addr_format(&flow->client, text));
	show_number(&flows->rows, "client_port", flow->client_port);
	show_text(&flows->rows, "frontend", addr_format(&flow->frontend, text));
	show_number(&flows->rows, "frontend_port", flow->frontend_port);
	show_backend(&flows->rows, backend);
	show_number(&flows->rows, "snat_port", flow->snat_port);
	show_text(&flows->rows, "state", flow_state(flow->state));
	show_text(&flows->rows, "path", flow->stack ? "stack" : "bypass");
	show_number(&flows->rows, "age_s", seconds(flow->age_ticks));
	show_row_end(&flows->rows);
}

int show_flows(const struct maps *maps, const struct show_filter *filter, FILE *to)
{
	struct flow_rows flows = {.filter = filter};
	int err;

	show_rows_begin(&flows.rows, maps, "flows", filter->limit, to);
	err = maps_flows_each(maps, flow_show, &flows);
	show_rows_end(&flows.rows);
	fprintf(to, ",\"total\":%zu}", flows.rows.total);
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
	const struct maps *maps = affinities->rows.maps;
	const struct lb_backend *backend = &maps->backends[affinity->backend];
	char text[ADDR_STRLEN];

	if (!show_service_is_meant(maps, affinity->service, affinities->filter) ||
	    !show_row_begin(&affinities->rows))
		return;
	show_service(&affinities->rows, affinity->service);
	show_text(&affinities->rows, "client", addr_format(&affinity->client, text));
	show_backend(&affinities->rows, backend);
	show_number(&affinities->rows, "age_s", seconds(affinity->age_ticks));
	show_number(&affinities->rows, "expires_s", seconds(affinity->left_ticks));
	show_row_end(&affinities->rows);
}

int show_affinity(const struct maps *maps, const struct show_filter *filter, FILE *to)
{
	struct affinity_rows affinities = {.filter = filter};
	int err;

	show_rows_begin(&affinities.rows, maps, "affinity", filter->limit, to);
	err = maps_affinity_each(maps, affinity_show, &affinities);
	show_rows_end(&affinities.rows);
	fputc('}', to);
	return err;
}

/* ---- rings ---------------------------------------------------------------------- */

static void ring_show(struct show_rows *rows, uint32_t service, enum lb_scope scope,
		      uint32_t *slots)
{
	const struct maps *maps = rows->maps;
	uint32_t index = LB_RING_INDEX(service, scope), n = LB_RING_SLOTS(maps->rings[index]);
	const struct maps_ring_change *change =
		maps->ring_changes ? &maps->ring_changes[index] : NULL;
	const char *comma = "";

	memset(slots, 0, maps->max_backends * sizeof(*slots));
	if (!maps_ring_count(maps, maps->rings[index], slots) || !show_row_begin(rows))
		return;
	show_service(rows, service);
	show_text(rows, "scope", scope == LB_SCOPE_LOCAL ? "local" : "cluster");
	show_text(rows, "scheduler",
		  maps->services[service].flags & LB_SERVICE_F_ROUND_ROBIN ? "round-robin"
									   : "maglev");
	show_number(rows, "size", n);
	if (change && change->ticks) {
		show_number(rows, "changed_s", seconds(maps_now_ticks() - change->ticks));
		show_number(rows, "moved", change->moved);
	}
	fputs(",\"backends\":[", rows->to);
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		const struct lb_backend *backend = &maps->backends[id];
		char text[ADDR_STRLEN];
		struct addr addr;

		if (!slots[id])
			continue;
		addr_from_words(backend->family, backend->addr, &addr);
		fprintf(rows->to,
			"%s{\"address\":\"%s\",\"port\":%u,\"weight\":%u,\"slots\":%u,"
			"\"share_pct\":%.2f}",
			comma, addr_format(&addr, text), ntohs(backend->port), backend->weight,
			slots[id], 100.0 * slots[id] / n);
		comma = ",";
	}
	fputc(']', rows->to);
	show_row_end(rows);
}

int show_rings(const struct maps *maps, const struct show_filter *filter, FILE *to)
{
	uint32_t *slots = calloc(maps->max_backends, sizeof(*slots));
	struct show_rows rows;

	if (!slots)
		return -ENOMEM;
	show_rows_begin(&rows, maps, "rings", filter->limit, to);
	for (uint32_t id = 1; id < maps->max_services; id++) {
		if (!show_service_is_meant(maps, id, filter))
			continue;
		ring_show(&rows, id, LB_SCOPE_CLUSTER, slots);
		if (maps->rings[LB_RING_INDEX(id, LB_SCOPE_LOCAL)])
			ring_show(&rows, id, LB_SCOPE_LOCAL, slots);
	}
	show_rows_end(&rows);
	fputc('}', to);
	free(slots);
	return 0;
}

/* ---- counters --------------------------------------------------------------------- */

static void traffic_show(struct show_rows *rows, const struct lb_traffic *traffic)
{
	show_number(rows, "connections_total", traffic->connections);
	show_number(rows, "packets_total", traffic->packets_in + traffic->packets_out);
	show_number(rows, "bytes_total", traffic->bytes_in + traffic->bytes_out);
}

int show_stats(const struct maps *maps, const struct show_filter *filter, FILE *to)
{
	struct lb_traffic *traffic = calloc(maps->max_services, sizeof(*traffic));
	struct lb_reason_counter counters[LB_REASON_MAX];
	struct show_rows rows;
	int err = traffic ? maps_reason_counters(maps, counters) : -ENOMEM;

	err = err ?: maps_service_counters(maps, traffic);
	if (err)
		goto out;
	show_rows_begin(&rows, maps, "reasons", 0, to);
	for (int i = 1; i < LB_REASON_MAX; i++) {
		const struct reason *reason = reason_get(i);

		show_row_begin(&rows);
		show_text(&rows, "reason", reason->text);
		show_number(&rows, "packets", counters[i].packets);
		show_number(&rows, "bytes", counters[i].bytes);
		show_text(&rows, "verdict", reason->verdict_text);
		show_text(&rows, "meaning", reason->meaning);
		show_row_end(&rows);
	}
	show_rows_end(&rows);
	show_rows_more(&rows, "services");
	for (uint32_t id = 1; id < maps->max_services; id++) {
		if (!show_service_is_meant(maps, id, filter))
			continue;
		show_row_begin(&rows);
		show_service(&rows, id);
		traffic_show(&rows, &traffic[id]);
		show_row_end(&rows);
	}
	show_rows_end(&rows);
	fputc('}', to);
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

/* Endpoints: backends of the service that are in a slice; usable: those in its ring. */
static void service_show(struct show_rows *rows, uint32_t id, const struct applied *applied)
{
	const struct maps *maps = rows->maps;
	uint32_t nendpoints = 0, nusable = 0;
	const char *comma = "";

	for (uint32_t b = 1; b < maps->max_backends; b++) {
		const struct lb_backend *backend = &maps->backends[b];

		if (backend->state != LB_BACKEND_ACTIVE || backend->service != id)
			continue;
		nendpoints++;
		nusable += !!(backend->flags & LB_BACKEND_F_CLUSTER);
	}
	show_service(rows, id);
	show_number(rows, "port", ntohs(maps->services[id].port));
	fputs(",\"frontends\":[", rows->to);
	for (size_t i = 0; i < applied->nfrontends; i++) {
		const struct plan_frontend *frontend = &applied->frontends[i];
		char text[ADDR_STRLEN];

		if (frontend->value.service != id)
			continue;
		fprintf(rows->to, "%s{\"kind\":\"%s\",\"address\":\"%s\",\"port\":%u}", comma,
			frontend_kind(&frontend->value), addr_format(&frontend->addr, text),
			ntohs(frontend->port));
		comma = ",";
	}
	fputc(']', rows->to);
	show_number(rows, "endpoints", nendpoints);
	show_number(rows, "usable", nusable);
	show_text(rows, "state",
		  maps->rings[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)] ? "ok" : "no_endpoint");
	show_text(rows, "reason", "");
}

int show_services(const struct maps *maps, const struct show_filter *filter, FILE *to)
{
	struct applied applied;
	struct show_rows rows;
	struct error error;
	int err = maps_applied(maps, &applied, &error);

	if (err)
		return err;
	show_rows_begin(&rows, maps, "services", filter->limit, to);
	for (uint32_t id = 1; id < maps->max_services; id++) {
		if (!show_service_is_meant(maps, id, filter) || !show_row_begin(&rows))
			continue;
		service_show(&rows, id, &applied);
		show_row_end(&rows);
	}
	show_rows_end(&rows);
	fputc('}', to);
	maps_applied_free(&applied);
	return 0;
}

static void backend_show(struct show_rows *rows, uint32_t id, const uint32_t *slots,
			 const uint32_t *flows, const struct lb_traffic *traffic)
{
	const struct lb_backend *backend = &rows->maps->backends[id];
	bool drained = backend->flags & LB_BACKEND_DRAINS;
	char text[ADDR_STRLEN];
	struct addr addr;

	addr_from_words(backend->family, backend->addr, &addr);
	show_service(rows, backend->service);
	show_text(rows, "address", addr_format(&addr, text));
	show_number(rows, "port", ntohs(backend->port));
	show_bool(rows, "ready", !(backend->flags & LB_BACKEND_F_NOT_SERVING));
	show_text(rows, "state", drained ? "draining" : "active");
	show_text(rows, "health", backend->flags & LB_BACKEND_F_DOWN ? "down" : "unknown");
	show_number(rows, "weight", backend->weight);
	show_number(rows, "slots", slots[id]);
	show_number(rows, "flows", flows[id]);
	traffic_show(rows, &traffic[id]);
}

int show_backends(const struct maps *maps, const struct show_filter *filter, FILE *to)
{
	struct lb_traffic *traffic = calloc(maps->max_backends, sizeof(*traffic));
	uint32_t *slots = calloc(maps->max_backends, sizeof(*slots));
	uint32_t *flows = calloc(maps->max_backends, sizeof(*flows));
	struct show_rows rows;
	int err = traffic && slots && flows ? maps_flow_counts(maps, flows) : -ENOMEM;

	err = err ?: maps_backend_counters(maps, traffic);
	if (err)
		goto out;
	for (uint32_t id = 1; id < maps->max_services; id++)
		maps_ring_count(maps, maps->rings[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)], slots);
	show_rows_begin(&rows, maps, "backends", filter->limit, to);
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
	fputc('}', to);
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

static void counters_show(const char *key, const struct lb_reason_counter *counters, bool bytes,
			  FILE *to)
{
	fprintf(to, ",\"%s\":{", key);
	for (int i = 1; i < LB_REASON_MAX; i++)
		fprintf(to, "%s\"%s\":%llu", i > 1 ? "," : "", reason_get(i)->text,
			bytes ? counters[i].bytes : counters[i].packets);
	fputc('}', to);
}

int show_status(const struct maps *maps, const struct show_filter *filter, FILE *to)
{
	struct lb_reason_counter counters[LB_REASON_MAX];
	struct applied applied;
	struct error error;
	int err = maps_reason_counters(maps, counters);

	(void)filter;
	err = err ?: maps_applied(maps, &applied, &error);
	if (err)
		return err;
	fprintf(to,
		"{\"daemon\":\"not running\",\"services\":%u,\"backends\":%u,\"frontends\":%zu,"
		"\"attachments\":[],\"refused\":[]",
		services_count(maps), backends_count(maps), applied.nfrontends);
	counters_show("packets", counters, false, to);
	counters_show("bytes", counters, true, to);
	fputc('}', to);
	maps_applied_free(&applied);
	return 0;
}
