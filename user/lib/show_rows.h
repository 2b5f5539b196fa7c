/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Rows of show.c: an array of objects, one after another, without a tree.
 */
#ifndef GW_SHOW_ROWS_H
#define GW_SHOW_ROWS_H

#include "show.h"

struct show_rows {
	const struct maps *maps;
	FILE *to;
	size_t n, total, limit;
	bool first; /* no field of the row yet */
};

/* {"KEY":[ ... ]; show_rows_more() begins another array behind the first. */
void show_rows_begin(struct show_rows *rows, const struct maps *maps, const char *key, size_t limit,
		     FILE *to);
void show_rows_more(struct show_rows *rows, const char *key);
void show_rows_end(struct show_rows *rows);

/* false: the limit is reached, the row is only counted. */
bool show_row_begin(struct show_rows *rows);
void show_row_end(struct show_rows *rows);

/* Fields of a row. */
void show_text(struct show_rows *rows, const char *key, const char *text);
void show_number(struct show_rows *rows, const char *key, uint64_t number);
void show_bool(struct show_rows *rows, const char *key, bool value);
/* "service", "port_name", "protocol", "family" */
void show_service(struct show_rows *rows, uint32_t id);
/* "backend", "backend_port" */
void show_backend(struct show_rows *rows, const struct lb_backend *backend);

bool show_service_is_meant(const struct maps *maps, uint32_t id, const struct show_filter *filter);
bool show_backend_is_meant(const struct lb_backend *backend, const struct show_filter *filter);

#endif
