/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metrics.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "reason.h"

/* Of lbd's time, at most a 20th goes into counting flows. */
#define FLOWS_REST 19

/* Microseconds, and as they are written: seconds. */
static const struct {
	uint64_t us;
	const char *text;
} bounds[METRICS_BUCKETS] = {
	{1000, "0.001"}, {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"}, {25000, "0.025"},
	{50000, "0.05"}, {100000, "0.1"},  {250000, "0.25"}, {1000000, "1"},  {5000000, "5"},
};

void metrics_sync_add(struct metrics_syncs *syncs, uint64_t us)
{
	int i = 0;

	while (i < METRICS_BUCKETS && us > bounds[i].us)
		i++;
	syncs->buckets[i]++;
	syncs->sum_us += us;
}

static void family(FILE *to, const char *name, const char *type, const char *help)
{
	fprintf(to, "# HELP guideway_%s %s\n# TYPE guideway_%s %s\n", name, help, name, type);
}

static void gauge(FILE *to, const char *name, const char *help, uint64_t value)
{
	family(to, name, "gauge", help);
	fprintf(to, "guideway_%s %" PRIu64 "\n", name, value);
}

/* ---- services and backends ---------------------------------------------------- */

static uint64_t connections_of(const struct lb_traffic *traffic)
{
	return traffic->connections;
}

static uint64_t packets_of(const struct lb_traffic *traffic)
{
	return traffic->packets_in + traffic->packets_out;
}

static uint64_t bytes_of(const struct lb_traffic *traffic)
{
	return traffic->bytes_in + traffic->bytes_out;
}

static const struct {
	const char *name;
	uint64_t (*value)(const struct lb_traffic *traffic);
	const char *help;
} totals[] = {
	{"connections_total", connections_of, "flows begun"},
	{"packets_total", packets_of, "packets in both directions, a GSO packet as one"},
	{"bytes_total", bytes_of, "bytes from the IP header on, in both directions"},
};
#define TOTALS (sizeof(totals) / sizeof(*totals))

/* A service's labels.  Names are DNS labels: there is nothing to escape. */
static void labels(FILE *to, const struct model_service *service)
{
	fprintf(to, "{namespace=\"%.64s\",service=\"%.64s\",port=\"", service->namespace,
		service->name);
	if (*service->port_name)
		fprintf(to, "%.64s", service->port_name);
	else
		fprintf(to, "%u", service->port);
	fprintf(to, "\",protocol=\"%s\",family=\"IPv%u\"", view_protocol(service->protocol),
		service->family);
}

/* The same of one in the maps. */
static void maps_labels(FILE *to, const struct maps *maps, uint32_t id)
{
	const struct lb_service_name *name = &maps->service_names[id];
	const struct model_service service = {
		.namespace = name->namespace,
		.name = name->name,
		.port_name = name->port_name,
		.port = ntohs(maps->services[id].port),
		.protocol = maps->services[id].protocol,
		.family = maps->services[id].family,
	};

	labels(to, &service);
}

static void services_write(FILE *to, const struct maps *maps, const struct lb_traffic *traffic)
{
	char name[64];

	for (size_t t = 0; t < TOTALS; t++) {
		snprintf(name, sizeof(name), "service_%s", totals[t].name);
		family(to, name, "counter", totals[t].help);
		for (uint32_t id = 1; id < maps->max_services; id++) {
			if (!(maps->services[id].flags & LB_SERVICE_F_USED))
				continue;
			fprintf(to, "guideway_%s", name);
			maps_labels(to, maps, id);
			fprintf(to, "} %" PRIu64 "\n", totals[t].value(&traffic[id]));
		}
	}
}

static bool backend_is_shown(const struct maps *maps, const struct lb_backend *backend)
{
	return backend->state != LB_BACKEND_FREE && backend->service < maps->max_services &&
	       maps->services[backend->service].flags & LB_SERVICE_F_USED;
}

static void backend_write(FILE *to, const struct maps *maps, const char *name, uint32_t id,
			  uint64_t value)
{
	const struct lb_backend *backend = &maps->backends[id];
	char text[ADDR_PORT_STRLEN];
	struct addr addr;

	addr_from_words(backend->family, backend->addr, &addr);
	fprintf(to, "guideway_%s", name);
	maps_labels(to, maps, backend->service);
	fprintf(to, ",backend=\"%s\"} %" PRIu64 "\n",
		addr_port_format(&addr, ntohs(backend->port), text), value);
}

static void backends_write(FILE *to, const struct maps *maps, const struct lb_traffic *traffic)
{
	char name[64];

	for (size_t t = 0; t < TOTALS; t++) {
		snprintf(name, sizeof(name), "backend_%s", totals[t].name);
		family(to, name, "counter", totals[t].help);
		for (uint32_t id = 1; id < maps->max_backends; id++)
			if (backend_is_shown(maps, &maps->backends[id]))
				backend_write(to, maps, name, id, totals[t].value(&traffic[id]));
	}
	family(to, "backend_up", "gauge", "1 if it gets new flows");
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		const struct lb_backend *backend = &maps->backends[id];

		if (backend_is_shown(maps, backend))
			backend_write(to, maps, "backend_up", id,
				      backend->state == LB_BACKEND_ACTIVE &&
					      backend->flags & LB_BACKEND_F_CLUSTER);
	}
}

/* Rule 56: of services with a Local policy alone. */
static void no_local_write(FILE *to, const struct view *view)
{
	family(to, "service_no_local_endpoints", "gauge",
	       "1 if a Local traffic policy drops what endpoints elsewhere could serve");
	for (size_t i = 0; i < view->snapshot->nservices; i++) {
		const struct model_service *service = &view->snapshot->services[i];

		for (int internal = 0; internal < 2; internal++) {
			if (internal ? !service->internal_local : !service->external_local)
				continue;
			fputs("guideway_service_no_local_endpoints", to);
			labels(to, service);
			fprintf(to, ",policy=\"%s\"} %d\n", internal ? "internal" : "external",
				model_no_local(service, internal));
		}
	}
}

/* ---- the rest -------------------------------------------------------------------- */

static void reasons_write(FILE *to, const struct lb_reason_counter *reasons)
{
	family(to, "packets_total", "counter", "packets by how they ended");
	for (int i = 1; i < LB_REASON_MAX; i++)
		fprintf(to, "guideway_packets_total{reason=\"%s\"} %" PRIu64 "\n",
			reason_get(i)->text, (uint64_t)reasons[i].packets);
	family(to, "drops_total", "counter", "packets that were dropped or refused, by reason");
	for (int i = 1; i < LB_REASON_MAX; i++)
		if (reason_get(i)->verdict == LB_VERDICT_DROP ||
		    reason_get(i)->verdict == LB_VERDICT_REJECT)
			fprintf(to, "guideway_drops_total{reason=\"%s\"} %" PRIu64 "\n",
				reason_get(i)->text, (uint64_t)reasons[i].packets);
}

static int flows_count(const struct maps *maps, struct metrics_flows *flows)
{
	struct maps_flow_table tables[LB_FLOW_TABLE_MAX * 2];
	uint64_t start_ns = uv_hrtime();
	int err;

	if (flows->counted_ns && start_ns - flows->counted_ns < flows->took_ns * FLOWS_REST)
		return 0;
	err = maps_flow_tables(maps, tables);
	if (err)
		return err;
	for (int i = 0; i < LB_FLOW_TABLE_MAX * 2; i++) {
		flows->tables[i].live = tables[i].live;
		/* Flows that come and go meanwhile are no reason to go back. */
		if (tables[i].evicted > flows->tables[i].evicted)
			flows->tables[i].evicted = tables[i].evicted;
	}
	flows->counted_ns = uv_hrtime();
	flows->took_ns = flows->counted_ns - start_ns;
	return 0;
}

static void flow_tables_write(FILE *to, const char *name, const struct metrics_flows *flows,
			      uint64_t (*value)(const struct maps_flow_table *table))
{
	static const char *const tables[LB_FLOW_TABLE_MAX] = {
		[LB_FLOW_TABLE_TCP] = "tcp",
		[LB_FLOW_TABLE_UDP] = "udp",
		[LB_FLOW_TABLE_NEW] = "new",
	};

	for (int table = 0; table < LB_FLOW_TABLE_MAX; table++)
		for (int v6 = 0; v6 < 2; v6++)
			fprintf(to, "guideway_%s{table=\"%s\",family=\"IPv%c\"} %" PRIu64 "\n",
				name, tables[table], v6 ? '6' : '4',
				value(&flows->tables[LB_FLOW_TABLE_INDEX(table, v6)]));
}

static uint64_t live_of(const struct maps_flow_table *table)
{
	return table->live;
}

static uint64_t evicted_of(const struct maps_flow_table *table)
{
	return table->evicted;
}

static void flows_write(FILE *to, const struct metrics_flows *flows)
{
	family(to, "flows", "gauge", "flows that aren't over, by the table that they are in");
	flow_tables_write(to, "flows", flows, live_of);
	family(to, "flow_evictions_total", "counter",
	       "entries that were pushed out of a table that was full");
	flow_tables_write(to, "flow_evictions_total", flows, evicted_of);
}

static void syncs_write(FILE *to, const struct metrics_syncs *syncs)
{
	uint64_t count = 0;

	family(to, "sync_duration_seconds", "histogram", "event seen until the maps were written");
	for (int i = 0; i < METRICS_BUCKETS; i++) {
		count += syncs->buckets[i];
		fprintf(to, "guideway_sync_duration_seconds_bucket{le=\"%s\"} %" PRIu64 "\n",
			bounds[i].text, count);
	}
	count += syncs->buckets[METRICS_BUCKETS];
	fprintf(to,
		"guideway_sync_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n"
		"guideway_sync_duration_seconds_sum %.6f\n"
		"guideway_sync_duration_seconds_count %" PRIu64 "\n",
		count, syncs->sum_us / 1e6, count);
}

static void lbd_write(FILE *to, const struct view *view)
{
	no_local_write(to, view);
	gauge(to, "source_connected", "1 if the source can be followed", !view->stale);
	gauge(to, "revision", "of the last snapshot that is in the maps", view->synced_revision);
	gauge(to, "refused", "objects, or parts of them, that are refused", view_refusals(view));
	if (view->syncs)
		syncs_write(to, view->syncs);
}

char *metrics_text(const struct view *view, struct metrics_flows *flows, size_t *ret_length)
{
	const struct maps *maps = view->maps;
	struct lb_reason_counter reasons[LB_REASON_MAX];
	struct lb_traffic *services = calloc(maps->max_services, sizeof(*services));
	struct lb_traffic *backends = calloc(maps->max_backends, sizeof(*backends));
	char *text = NULL;
	FILE *to = NULL;

	if (!services || !backends || maps_backend_counters(maps, backends) ||
	    maps_service_counters(maps, services) || maps_reason_counters(maps, reasons) ||
	    flows_count(maps, flows))
		goto out;
	to = open_memstream(&text, ret_length);
	if (!to)
		goto out;
	services_write(to, maps, services);
	backends_write(to, maps, backends);
	reasons_write(to, reasons);
	flows_write(to, flows);
	lbd_write(to, view);
	if (fclose(to)) {
		free(text);
		text = NULL;
	}
out:
	free(services);
	free(backends);
	return text;
}
