/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "show_rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

void show_rows_begin(struct show_rows *rows, const char *key)
{
	rows_array(rows->to, key);
	rows->n = rows->total = 0;
}

void show_rows_end(struct show_rows *rows)
{
	rows_array_end(rows->to);
}

bool show_row_begin(struct show_rows *rows)
{
	rows->total++;
	if (rows->limit && rows->n == rows->limit)
		return false;
	rows->n++;
	rows_object(rows->to, NULL);
	return true;
}

void show_row_end(struct show_rows *rows)
{
	rows_object_end(rows->to);
}

/* Names in the maps are DNS labels, unless somebody else wrote there.  Returns the end. */
static char *name_copy(char *to, const char name[64])
{
	for (int i = 0; i < 64 && name[i]; i++)
		*to++ = name[i] > ' ' && name[i] < 0x7f && name[i] != '"' && name[i] != '\\'
				? name[i]
				: '?';
	*to = '\0';
	return to;
}

void show_service(struct show_rows *rows, uint32_t id)
{
	const struct lb_service *service = &rows->maps->services[id];
	const struct lb_service_name *name = &rows->maps->service_names[id];
	char text[2 * 64 + 2], *end = name_copy(text, name->namespace);

	*end = '/';
	name_copy(end + 1, name->name);
	rows_text(rows->to, "service", text);
	name_copy(text, name->port_name);
	rows_text(rows->to, "port_name", text);
	rows_text(rows->to, "protocol", service->protocol == IPPROTO_UDP ? "UDP" : "TCP");
	rows_text(rows->to, "family", service->family == 6 ? "IPv6" : "IPv4");
}

void show_address(struct rows *to, const char *key, const struct addr *addr)
{
	char text[ADDR_STRLEN];

	rows_text(to, key, addr_format(addr, text));
}

void show_backend(struct show_rows *rows, const struct lb_backend *backend)
{
	struct addr addr;

	addr_from_words(backend->family, backend->addr, &addr);
	show_address(rows->to, "backend", &addr);
	rows_number(rows->to, "backend_port", ntohs(backend->port));
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
