/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a plan would change in the maps, in words. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view.h"

static void row_add(struct rows *rows, const char *change, const char *kind, const char *name,
		    const char *detail)
{
	json_t *row = json_object();

	view_set_text(row, "change", change);
	view_set_text(row, "kind", kind);
	view_set_text(row, "name", name);
	view_set_text(row, "detail", detail);
	view_rows_add(rows, row);
	json_decref(row);
}

/* The service's name: as the plan gives it, or as the maps have it. */
static const char *service_text(const struct view *view, const struct plan *plan, uint32_t id,
				char buf[VIEW_NAME_SIZE])
{
	const struct lb_service_name *name =
		id < view->maps->max_services ? &view->maps->service_names[id] : NULL;

	for (size_t i = 0; i < plan->nservices; i++)
		if (plan->services[i].id == id)
			name = &plan->services[i].name;
	if (!name)
		return "?";
	snprintf(buf, VIEW_NAME_SIZE, "%.63s/%.63s%s%.63s", name->namespace, name->name,
		 *name->port_name ? ":" : "", name->port_name);
	return buf;
}

static void services_add(const struct view *view, const struct plan *plan, struct rows *rows)
{
	char name[VIEW_NAME_SIZE];

	for (size_t i = 0; i < plan->nservices; i++) {
		uint32_t id = plan->services[i].id;
		bool used = view->maps->services[id].flags & LB_SERVICE_F_USED;

		row_add(rows, used ? "change" : "add", "service",
			service_text(view, plan, id, name), "");
	}
	for (size_t i = 0; i < plan->nservices_freed; i++)
		row_add(rows, "remove", "service",
			service_text(view, plan, plan->services_freed[i], name), "");
	for (size_t i = 0; i < plan->nrings; i++) {
		const struct plan_ring *ring = &plan->rings[i];
		char detail[64];

		snprintf(detail, sizeof(detail), "%s, %zu backends",
			 ring->scope == LB_SCOPE_LOCAL ? "local" : "cluster", ring->nentries);
		row_add(rows, ring->value ? "change" : "remove", "ring",
			service_text(view, plan, ring->service, name), detail);
	}
}

static const char *backend_change(const struct plan_backend *change)
{
	if (change->fresh)
		return "add";
	return change->value.state == LB_BACKEND_FREE ? "remove" : "change";
}

static void backends_add(const struct view *view, const struct plan *plan, struct rows *rows)
{
	for (size_t i = 0; i < plan->nbackends; i++) {
		const struct lb_backend *value = &plan->backends[i].value;
		char name[ADDR_PORT_STRLEN], service[VIEW_NAME_SIZE];
		struct addr addr;

		addr_from_words(value->family, value->addr, &addr);
		row_add(rows, backend_change(&plan->backends[i]), "backend",
			addr_port_format(&addr, ntohs(value->port), name),
			service_text(view, plan, value->service, service));
	}
}

static void frontends_add(const struct view *view, const struct plan *plan,
			  const struct plan_frontend *frontends, size_t n, const char *change,
			  struct rows *rows)
{
	for (size_t i = 0; i < n; i++) {
		char name[ADDR_PORT_STRLEN + 4], text[ADDR_PORT_STRLEN], service[VIEW_NAME_SIZE];

		snprintf(name, sizeof(name), "%s/%s",
			 addr_port_format(&frontends[i].addr, ntohs(frontends[i].port), text),
			 view_protocol(frontends[i].protocol));
		row_add(rows, change, "frontend", name,
			service_text(view, plan, frontends[i].value.service, service));
	}
}

static void sources_add(const struct view *view, const struct plan *plan,
			const struct plan_source *sources, size_t n, const char *change,
			struct rows *rows)
{
	for (size_t i = 0; i < n; i++) {
		char name[PREFIX_STRLEN], service[VIEW_NAME_SIZE];

		row_add(rows, change, "source", prefix_format(&sources[i].prefix, name),
			service_text(view, plan, sources[i].service, service));
	}
}

char *view_diff(const struct view *view, const struct plan *plan, size_t *ret_length)
{
	struct rows rows;

	view_rows_begin(&rows, "changes");
	services_add(view, plan, &rows);
	backends_add(view, plan, &rows);
	frontends_add(view, plan, plan->frontends_deleted, plan->nfrontends_deleted, "remove",
		      &rows);
	frontends_add(view, plan, plan->frontends, plan->nfrontends, "add", &rows);
	sources_add(view, plan, plan->sources_deleted, plan->nsources_deleted, "remove", &rows);
	sources_add(view, plan, plan->sources, plan->nsources, "add", &rows);
	return view_rows_end(&rows, ret_length);
}
