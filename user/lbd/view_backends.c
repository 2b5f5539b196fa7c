/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "health.h"
#include "view.h"

/* A backend of the maps, found by what an endpoint of the snapshot tells. */
struct known_backend {
	uint32_t service;
	struct addr addr;
	uint16_t port; /* host order */
	bool gone;
	uint32_t id;
};

/* An endpoint that left and came back may be there twice: the active one comes
 * first. */
static int known_compare(const void *a, const void *b)
{
	const struct known_backend *x = a, *y = b;
	int order;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	order = addr_compare(&x->addr, &y->addr);
	if (order)
		return order;
	return x->port != y->port ? x->port - y->port : x->gone - y->gone;
}

/* Sorted; returns malloc'ed memory or NULL. */
static struct known_backend *known_backends(const struct maps *maps, size_t *ret_n)
{
	struct known_backend *known = calloc(maps->max_backends, sizeof(*known));
	size_t n = 0;

	if (!known)
		return NULL;
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		const struct lb_backend *backend = &maps->backends[id];

		if (backend->state == LB_BACKEND_FREE)
			continue;
		known[n] = (struct known_backend){
			.service = backend->service,
			.port = ntohs(backend->port),
			.gone = backend->state == LB_BACKEND_GONE,
			.id = id,
		};
		addr_from_words(backend->family, backend->addr, &known[n].addr);
		n++;
	}
	qsort(known, n, sizeof(*known), known_compare);
	*ret_n = n;
	return known;
}

/* The id of an endpoint's backend, 0 = it has none.  Endpoints are asked for in
 * their order, so the place of the last one is where the next is looked for. */
static uint32_t known_find(const struct known_backend *known, size_t n, size_t *place,
			   uint32_t service, const struct model_endpoint *endpoint)
{
	const struct known_backend key = {
		.service = service, .addr = endpoint->addr, .port = endpoint->port};

	while (*place < n && known_compare(&known[*place], &key) < 0)
		(*place)++;
	if (*place == n || known[*place].service != service ||
	    known[*place].port != endpoint->port ||
	    addr_compare(&known[*place].addr, &endpoint->addr))
		return 0;
	return known[*place].id;
}

/* Where a service's backends begin. */
static size_t known_first(const struct known_backend *known, size_t n, uint32_t service)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (known[middle].service < service)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void service_write(struct rows *rows, const struct model_service *service, const char *name)
{
	view_rows_text(rows, "service", name);
	view_rows_text(rows, "port_name", service->port_name);
	rows_text(rows, "protocol", view_protocol(service->protocol));
}

static void endpoint_write(struct rows *rows, const struct model_endpoint *endpoint)
{
	char text[ADDR_STRLEN];

	rows_text(rows, "address", addr_format(&endpoint->addr, text));
	rows_number(rows, "port", endpoint->port);
	view_rows_text(rows, "node", endpoint->node);
	view_rows_text(rows, "pod", endpoint->pod);
	rows_bool(rows, "ready", endpoint->ready);
	rows_bool(rows, "serving", endpoint->serving);
	rows_bool(rows, "terminating", endpoint->terminating);
}

static void state_write(struct rows *rows, const struct view *view,
			const struct model_service *service, const struct model_endpoint *endpoint,
			uint32_t id)
{
	bool drained = view->maps->backends[id].flags & LB_BACKEND_DRAINS; /* id 0: not */

	rows_text(rows, "state", drained ? "draining" : "active");
	rows_text(rows, "health", health_state_name(health_state(view->health, service, endpoint)));
	rows_number(rows, "weight", endpoint->weight);
}

static void counters_write(struct rows *rows, uint32_t id, uint32_t slots,
			   const struct lb_traffic *traffic, const uint32_t *flows)
{
	const struct lb_traffic *t = &traffic[id]; /* id 0 counts nothing */

	rows_number(rows, "slots", slots);
	rows_number(rows, "flows", flows[id]);
	rows_number(rows, "connections_total", t->connections);
	rows_number(rows, "packets_total", t->packets_in + t->packets_out);
	rows_number(rows, "bytes_total", t->bytes_in + t->bytes_out);
}

char *view_backends(const struct view *view, const char *service, const struct lb_traffic *traffic,
		    const uint32_t *flows, size_t *ret_length)
{
	size_t nknown = 0;
	struct known_backend *known = known_backends(view->maps, &nknown);
	uint32_t *slots = calloc(view->maps->max_backends, sizeof(*slots));
	uint32_t *ids = view_service_ids(view);
	struct rows rows;
	char *text = NULL;

	if (!known || !slots || !ids)
		goto out;
	view_rows_begin(&rows, "backends");
	for (size_t i = 0; i < view->snapshot->nservices; i++) {
		const struct model_service *s = &view->snapshot->services[i];
		size_t place = known_first(known, nknown, ids[i]);
		char name[VIEW_NAME_SIZE];

		view_name(s->namespace, s->name, name);
		if (service && strcmp(service, name))
			continue;
		if (ids[i])
			maps_ring_count(view->maps,
					view->maps->rings[LB_RING_INDEX(ids[i], LB_SCOPE_CLUSTER)],
					slots);
		for (size_t e = 0; e < s->nendpoints; e++) {
			uint32_t id = known_find(known, nknown, &place, ids[i], &s->endpoints[e]);

			rows_object(&rows, NULL);
			service_write(&rows, s, name);
			endpoint_write(&rows, &s->endpoints[e]);
			state_write(&rows, view, s, &s->endpoints[e], id);
			counters_write(&rows, id, slots[id], traffic, flows);
			rows_object_end(&rows);
		}
	}
	text = view_rows_end(&rows, ret_length);
out:
	free(ids);
	free(slots);
	free(known);
	return text;
}
