/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health_ports.h"
#include "view.h"

static const char *kind_name(enum frontend_kind kind)
{
	static const char *const names[] = {
		[FRONTEND_CLUSTER_IP] = "ClusterIP",
		[FRONTEND_NODE_PORT] = "NodePort",
		[FRONTEND_EXTERNAL_IP] = "ExternalIP",
		[FRONTEND_LOAD_BALANCER] = "LoadBalancer",
	};

	return names[kind];
}

static json_t *frontends_json(const struct model_service *service)
{
	json_t *array = json_array();

	for (size_t i = 0; i < service->nfrontends; i++) {
		const struct model_frontend *frontend = &service->frontends[i];
		char text[ADDR_STRLEN];

		json_array_append_new(array, json_pack("{s:s, s:s, s:i}", "kind",
						       kind_name(frontend->kind), "address",
						       addr_format(&frontend->addr, text), "port",
						       frontend->port));
	}
	return array;
}

static size_t usable_endpoints(const struct model_service *service)
{
	struct model_choice choice = model_choose(service, false);
	size_t usable = 0;

	for (size_t i = 0; i < service->nendpoints; i++)
		usable += model_endpoint_usable(&service->endpoints[i], &choice) &&
			  service->endpoints[i].weight > 0;
	return usable;
}

/* ---- which refusal concerns a service ------------------------------------------ */

static int refusal_compare(const void *a, const void *b)
{
	const struct view_refusal *x = a, *y = b;
	int order = strcmp(x->namespace, y->namespace);

	return order ? order : strcmp(x->service, y->service);
}

/* Sorted by the Service they concern. */
static struct view_refusal *refusals_by_service(const struct view *view)
{
	size_t n = view_refusals(view);
	struct view_refusal *refusals = calloc(n + 1, sizeof(*refusals));

	for (size_t i = 0; refusals && i < n; i++)
		view_refusal(view, i, &refusals[i]);
	if (refusals)
		qsort(refusals, n, sizeof(*refusals), refusal_compare);
	return refusals;
}

/* ------------------------------------------------------------------------------- */

/* Sets state and reason. */
static void state_set(json_t *row, const struct view *view, const struct model_service *service,
		      uint32_t id, size_t usable, const struct view_refusal *refusal)
{
	const char *state = "ok", *reason = refusal ? refusal->reason : "";

	if (refusal && !refusal->partial) {
		state = "refused";
	} else if (id == 0) {
		state = "refused";
		reason = "not in the maps yet";
	} else if (view->maps->rings[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)] == 0) {
		state = "no_endpoint";
		if (!refusal)
			reason = service->nendpoints == 0 ? "it has no endpoints"
				 : usable == 0		  ? "no endpoint is ready"
				 : view->maps->services[id].flags & LB_SERVICE_F_UNHEALTHY
					 ? "all are down by their health check or drained"
					 : "no device leads to a ready endpoint";
	}
	view_set_text(row, "state", state);
	view_set_text(row, "reason", reason);
}

/* What else an operator asks about. */
static void settings_set(json_t *row, const struct view *view, const struct model_service *service)
{
	const struct health_check *check =
		service->check.kind == HEALTH_UNSET ? &view->options->health : &service->check;
	json_t *sources = json_array();
	char text[HEALTH_PATH_SIZE + 8];

	view_set_text(row, "internal_policy", service->internal_local ? "Local" : "Cluster");
	view_set_text(row, "external_policy", service->external_local ? "Local" : "Cluster");
	json_object_set_new(row, "no_local_internal", json_boolean(model_no_local(service, true)));
	json_object_set_new(row, "no_local_external", json_boolean(model_no_local(service, false)));
	json_object_set_new(row, "affinity_s", json_integer(service->affinity_s));
	if (service->health_port) {
		const char *trouble =
			view->ports ? health_ports_trouble(view->ports, service) : NULL;

		json_object_set_new(row, "health_check_port", json_integer(service->health_port));
		view_set_text(row, "health_check_port_trouble", trouble ? trouble : "");
	} else { /* the row is used again */
		json_object_del(row, "health_check_port");
		json_object_del(row, "health_check_port_trouble");
	}
	view_add_prefixes(sources, service->sources, service->nsources);
	json_object_set_new(row, "sources", sources);
	view_set_text(row, "scheduler", service->round_robin ? "round-robin" : "maglev");
	snprintf(text, sizeof(text), "http:%s", check->path);
	view_set_text(row, "health_check",
		      check->kind == HEALTH_HTTP  ? text
		      : check->kind == HEALTH_TCP ? "tcp"
						  : "none");
}

static void row_set(json_t *row, const struct model_service *service, const char *name,
		    size_t usable)
{
	view_set_text(row, "service", name);
	view_set_text(row, "port_name", service->port_name);
	view_set_text(row, "protocol", view_protocol(service->protocol));
	view_set_text(row, "family", view_family(service->family));
	json_object_set_new(row, "port", json_integer(service->port));
	json_object_set_new(row, "frontends", frontends_json(service));
	json_object_set_new(row, "endpoints", json_integer((json_int_t)service->nendpoints));
	json_object_set_new(row, "usable", json_integer((json_int_t)usable));
}

static bool snapshot_has(const struct snapshot *snapshot, const struct view_refusal *refusal)
{
	const struct model_service first = {
		.namespace = refusal->namespace, .name = refusal->service, .port_name = ""};
	size_t low = 0, high = snapshot->nservices;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (model_service_compare(&snapshot->services[middle], &first) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < snapshot->nservices &&
	       !strcmp(snapshot->services[low].namespace, refusal->namespace) &&
	       !strcmp(snapshot->services[low].name, refusal->service);
}

/* A Service without any good state: there is nothing but why. */
static void refused_add(const struct view *view, const struct view_refusal *refusals,
			const char *wanted, struct rows *rows)
{
	for (size_t i = 0; i < view_refusals(view); i++) {
		const struct view_refusal *refusal = &refusals[i];
		char name[VIEW_NAME_SIZE];
		json_t *row;

		if (strcmp(refusal->kind, "Service") || !*refusal->service ||
		    snapshot_has(view->snapshot, refusal) ||
		    (i && !refusal_compare(refusal, refusal - 1)))
			continue;
		view_name(refusal->namespace, refusal->service, name);
		if (wanted && strcmp(wanted, name))
			continue;
		row = json_pack("{s:s, s:s, s:s, s:i, s:[], s:i, s:i, s:s}", "port_name", "",
				"protocol", "", "family", "", "port", 0, "frontends", "endpoints",
				0, "usable", 0, "state", "refused");
		view_set_text(row, "service", name);
		view_set_text(row, "reason", refusal->reason);
		view_rows_add(rows, row);
		json_decref(row);
	}
}

char *view_services(const struct view *view, const char *wanted, size_t *ret_length)
{
	struct view_refusal *refusals = refusals_by_service(view);
	uint32_t *ids = view_service_ids(view);
	json_t *row = json_object();
	struct rows rows;
	char *text = NULL;

	if (!refusals || !ids || !row)
		goto out;
	view_rows_begin(&rows, "services");
	for (size_t i = 0; i < view->snapshot->nservices; i++) {
		const struct model_service *service = &view->snapshot->services[i];
		const struct view_refusal key = {.namespace = service->namespace,
						 .service = service->name};
		size_t usable = usable_endpoints(service);
		char name[VIEW_NAME_SIZE];

		view_name(service->namespace, service->name, name);
		if (wanted && strcmp(wanted, name))
			continue;
		row_set(row, service, name, usable);
		state_set(row, view, service, ids[i], usable,
			  bsearch(&key, refusals, view_refusals(view), sizeof(*refusals),
				  refusal_compare));
		settings_set(row, view, service);
		view_rows_add(&rows, row);
	}
	refused_add(view, refusals, wanted, &rows);
	text = view_rows_end(&rows, ret_length);
out:
	json_decref(row);
	free(ids);
	free(refusals);
	return text;
}
