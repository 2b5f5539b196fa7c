/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "show_rows.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void array_begin(struct show_rows *rows, char before, const char *key)
{
	fprintf(rows->to, "%c\"%s\":[", before, key);
	rows->n = 0;
}

void show_rows_begin(struct show_rows *rows, const struct maps *maps, const char *key, size_t limit,
		     FILE *to)
{
	rows->maps = maps;
	rows->to = to;
	rows->limit = limit;
	rows->total = 0;
	array_begin(rows, '{', key);
}

void show_rows_more(struct show_rows *rows, const char *key)
{
	array_begin(rows, ',', key);
}

void show_rows_end(struct show_rows *rows)
{
	fputc(']', rows->to);
}

bool show_row_begin(struct show_rows *rows)
{
	rows->total++;
	if (rows->limit && rows->n == rows->limit)
		return false;
	fputs(rows->n++ ? ",{" : "{", rows->to);
	rows->first = true;
	return true;
}

void show_row_end(struct show_rows *rows)
{
	fputc('}', rows->to);
}

static void key_write(struct show_rows *rows, const char *key)
{
	fprintf(rows->to, "%s\"%s\":", rows->first ? "" : ",", key);
	rows->first = false;
}

void show_text(struct show_rows *rows, const char *key, const char *text)
{
	key_write(rows, key);
	fprintf(rows->to, "\"%s\"", text);
}

void show_number(struct show_rows *rows, const char *key, uint64_t number)
{
	key_write(rows, key);
	fprintf(rows->to, "%" PRIu64, number);
}

void show_bool(struct show_rows *rows, const char *key, bool value)
{
	key_write(rows, key);
	fputs(value ? "true" : "false", rows->to);
}

/* Names in the maps are DNS labels, unless somebody else wrote there. */
static void name_write(struct show_rows *rows, const char name[64])
{
	for (int i = 0; i < 64 && name[i]; i++)
		fputc(name[i] > ' ' && name[i] < 0x7f && name[i] != '"' && name[i] != '\\' ? name[i]
											   : '?',
		      rows->to);
}

void show_service(struct show_rows *rows, uint32_t id)
{
	const struct lb_service *service = &rows->maps->services[id];
	const struct lb_service_name *name = &rows->maps->service_names[id];

	key_write(rows, "service");
	fputc('"', rows->to);
	name_write(rows, name->namespace);
	fputc('/', rows->to);
	name_write(rows, name->name);
	fputc('"', rows->to);
	key_write(rows, "port_name");
	fputc('"', rows->to);
	name_write(rows, name->port_name);
	fputc('"', rows->to);
	show_text(rows, "protocol", service->protocol == IPPROTO_UDP ? "UDP" : "TCP");
	show_text(rows, "family", service->family == 6 ? "IPv6" : "IPv4");
}

void show_backend(struct show_rows *rows, const struct lb_backend *backend)
{
	char text[ADDR_STRLEN];
	struct addr addr;

	addr_from_words(backend->family, backend->addr, &addr);
	show_text(rows, "backend", addr_format(&addr, text));
	show_number(rows, "backend_port", ntohs(backend->port));
}

/* Is text[0..length-1] the name? */
static bool name_is(const char name[64], const char *text, size_t length)
{
	return length < 64 && !strncmp(name, text, length) && !name[length];
}

bool show_service_is_meant(const struct maps *maps, uint32_t id, const struct show_filter *filter)
{
	const char *text = filter->service, *slash, *colon;
	const struct lb_service_name *name;
	const struct lb_service *service;
	char *end;

	if (id >= maps->max_services || !(maps->services[id].flags & LB_SERVICE_F_USED))
		return false;
	if (!text)
		return true;
	service = &maps->services[id];
	name = &maps->service_names[id];
	slash = strchr(text, '/');
	colon = strchr(text, ':');
	if (!slash || !name_is(name->namespace, text, slash - text) ||
	    !name_is(name->name, slash + 1,
		     colon ? (size_t)(colon - slash - 1) : strlen(slash + 1)))
		return false;
	if (!colon || name_is(name->port_name, colon + 1, strlen(colon + 1)))
		return true;
	return strtoul(colon + 1, &end, 10) == ntohs(service->port) && !*end && colon[1];
}

bool show_backend_is_meant(const struct lb_backend *backend, const struct show_filter *filter)
{
	return !filter->backend.family ||
	       maps_backend_is_at(backend, &filter->backend, filter->backend_port);
}
