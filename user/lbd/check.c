/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "plan.h"
#include "view.h"

/* Every address is reached by a pod device: whether that holds is known on the
 * node alone. */
static struct plan_hop some_next_hop(void *arg, const struct addr *addr)
{
	(void)arg;
	(void)addr;
	return (struct plan_hop){.next_hop = LB_NEXT_HOP(1, 0)};
}

/* Plan for empty maps of the sizes that the options give: finds claims of one
 * address by two services, and exceeded limits. */
static int plan_on_empty_maps(const struct options *options, const struct snapshot *snapshot,
			      struct plan **ret)
{
	const uint32_t max_slots = options->max_slots ?: DATAPATH_MAX_SLOTS;
	const struct plan_options plan_options = {
		.hash_seed = options->hash_seed,
		.next_hop = some_next_hop,
	};
	struct applied applied = {
		.max_services = options->max_services ?: DATAPATH_MAX_SERVICES,
		.max_backends = options->max_backends ?: DATAPATH_MAX_BACKENDS,
		.max_frontends = options->max_frontends ?: DATAPATH_MAX_FRONTENDS,
		.max_sources = LB_MAX_SOURCES,
		.arena_lines = max_slots / LB_ARENA_LINE_SLOTS,
	};
	void *services = calloc(applied.max_services, sizeof(*applied.services));
	void *names = calloc(applied.max_services, sizeof(*applied.service_names));
	void *rings = calloc((size_t)applied.max_services * LB_SCOPE_MAX, sizeof(*applied.rings));
	void *backends = calloc(applied.max_backends, sizeof(*applied.backends));
	int err = -ENOMEM;

	applied.services = services;
	applied.service_names = names;
	applied.rings = rings;
	applied.backends = backends;
	if (services && names && rings && backends)
		err = plan_make(snapshot, &applied, &plan_options, ret);
	free(services);
	free(names);
	free(rings);
	free(backends);
	return err;
}

static void service_print(const struct model_service *service, FILE *out)
{
	char text[ADDR_PORT_STRLEN], name[VIEW_NAME_SIZE];

	fprintf(out, "service %s%s%s %s %s", view_name(service->namespace, service->name, name),
		*service->port_name ? ":" : "", service->port_name,
		view_protocol(service->protocol), view_family(service->family));
	for (size_t i = 0; i < service->nfrontends; i++)
		fprintf(out, " %s",
			addr_port_format(&service->frontends[i].addr, service->frontends[i].port,
					 text));
	fprintf(out, " endpoints=%zu\n", service->nendpoints);
}

int check_report(const struct options *options, const struct snapshot *snapshot, FILE *out,
		 FILE *refused, struct error *error)
{
	struct plan *plan = NULL;
	int err = plan_on_empty_maps(options, snapshot, &plan);
	const struct view view = {.snapshot = snapshot, .plan = plan};
	size_t nrefusals;

	if (err)
		return error_set(error, err, "no memory");
	nrefusals = view_refusals(&view);
	for (size_t i = 0; i < snapshot->nservices; i++)
		service_print(&snapshot->services[i], out);
	for (size_t i = 0; i < nrefusals; i++) {
		struct error line;

		view_refusal_line(&view, i, &line);
		fprintf(refused, "lbd: %s\n", line.text);
	}
	fprintf(out, "%zu services, %zu refused\n", snapshot->nservices, nrefusals);
	plan_free(plan);
	return (int)nrefusals;
}
