/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "view.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

const char *view_name(const char *namespace, const char *name, char buf[VIEW_NAME_SIZE])
{
	snprintf(buf, VIEW_NAME_SIZE, "%s%s%s", namespace, *namespace ? "/" : "", name);
	return buf;
}

const char *view_family(uint8_t family)
{
	return family == 4 ? "IPv4" : "IPv6";
}

const char *view_protocol(uint8_t protocol)
{
	return protocol == IPPROTO_UDP ? "UDP" : "TCP";
}

static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string_nocheck("?");
}

void view_set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new_nocheck(object, key, text_json(text));
}

void view_add_prefixes(json_t *array, const struct prefix *prefixes, size_t n)
{
	char text[PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_string(prefix_format(&prefixes[i], text)));
}

/* ---- rows ------------------------------------------------------------------ */

void view_rows_begin(struct rows *rows, const char *key)
{
	rows_begin(rows);
	rows_object(rows, NULL);
	rows_array(rows, key);
}

char *view_rows_end(struct rows *rows, size_t *ret_length)
{
	rows_array_end(rows);
	rows_object_end(rows);
	return rows_end(rows, ret_length);
}

void view_list_begin(struct rows *rows)
{
	rows_begin(rows);
	rows_object(rows, NULL);
	rows_text(rows, "apiVersion", "v1");
	rows_text(rows, "kind", "List");
	rows_array(rows, "items");
}

static void json_add(struct rows *rows, const char *key, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text)
		rows_json(rows, key, text, strlen(text));
	else
		rows->failed = true;
	free(text);
}

void view_rows_add(struct rows *rows, const json_t *row)
{
	json_add(rows, NULL, row);
}

void view_rows_text(struct rows *rows, const char *key, const char *text)
{
	json_t *value;

	if (rows_text(rows, key, text))
		return;
	value = text_json(text);
	json_add(rows, key, value);
	json_decref(value);
}

/* ---- services in the maps ---------------------------------------------------- */

static int known_compare(const void *a, const void *b)
{
	return model_service_compare(*(const struct model_service *const *)a,
				     *(const struct model_service *const *)b);
}

/* A service of the maps, as far as its place in a snapshot's order needs it. */
struct known_service {
	struct model_service service; /* first: known_compare() */
	uint32_t id;
};

static size_t known_services(const struct maps *maps, struct known_service *known,
			     const struct known_service **sorted)
{
	size_t n = 0;

	for (uint32_t id = 1; id < maps->max_services; id++) {
		if (!(maps->services[id].flags & LB_SERVICE_F_USED))
			continue;
		known[n].id = id;
		known[n].service = (struct model_service){
			.namespace = maps->service_names[id].namespace,
			.name = maps->service_names[id].name,
			.port_name = maps->service_names[id].port_name,
			.family = maps->services[id].family,
			.protocol = maps->services[id].protocol,
		};
		sorted[n] = &known[n];
		n++;
	}
	qsort(sorted, n, sizeof(*sorted), known_compare);
	return n;
}

uint32_t *view_service_ids(const struct view *view)
{
	struct known_service *known = calloc(view->maps->max_services, sizeof(*known));
	const struct known_service **sorted = calloc(view->maps->max_services, sizeof(*sorted));
	uint32_t *ids = calloc(view->snapshot->nservices + 1, sizeof(*ids));
	size_t n, k = 0;

	if (!known || !sorted || !ids) {
		free(ids);
		ids = NULL;
		goto out;
	}
	n = known_services(view->maps, known, sorted);
	for (size_t i = 0; i < view->snapshot->nservices; i++) {
		const struct model_service *wanted = &view->snapshot->services[i];
		int order = -1;

		while (k < n && (order = model_service_compare(&sorted[k]->service, wanted)) < 0)
			k++;
		if (k < n && order == 0)
			ids[i] = sorted[k]->id;
	}
out:
	free(known);
	free(sorted);
	return ids;
}

/* ---- refusals ---------------------------------------------------------------- */

size_t view_refusals(const struct view *view)
{
	return view->snapshot->nrefusals + (view->plan ? view->plan->nrefusals : 0);
}

void view_refusal(const struct view *view, size_t i, struct view_refusal *ret)
{
	const struct model_refusal *refusal;
	const struct plan_refusal *planned;

	if (i < view->snapshot->nrefusals) {
		refusal = &view->snapshot->refusals[i];
		*ret = (struct view_refusal){
			.where = refusal->where,
			.kind = refusal->kind,
			.namespace = refusal->namespace,
			.object = refusal->object,
			.service = refusal->name,
			.reason = refusal->reason,
		};
		return;
	}
	planned = &view->plan->refusals[i - view->snapshot->nrefusals];
	*ret = (struct view_refusal){
		.where = "",
		.kind = "Service",
		.namespace = planned->service->namespace,
		.object = planned->service->name,
		.service = planned->service->name,
		.reason = planned->reason,
		.partial = planned->partial,
	};
}

void view_refusal_line(const struct view *view, size_t i, struct error *ret)
{
	char name[VIEW_NAME_SIZE];
	struct view_refusal r;

	view_refusal(view, i, &r);
	view_name(r.namespace, r.object, name);
	error_set(ret, 0, "%s%s%s%s%s%s%s", r.where, *r.where ? ": " : "", r.kind,
		  *r.kind && *name ? " " : "", name, *r.kind || *name ? ": " : "", r.reason);
}
