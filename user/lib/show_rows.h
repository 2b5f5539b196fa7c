/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What rows of show.c have in common.
 */
#ifndef GW_SHOW_ROWS_H
#define GW_SHOW_ROWS_H

#include "show.h"

/* An array of rows that has a limit. */
struct show_rows {
	const struct maps *maps;
	struct rows *to;
	size_t n, total, limit;
};

/* "KEY":[...] */
void show_rows_begin(struct show_rows *rows, const char *key);
void show_rows_end(struct show_rows *rows);

/* false: the limit is reached, the row is only counted. */
bool show_row_begin(struct show_rows *rows);
void show_row_end(struct show_rows *rows);

/* "service", "port_name", "protocol", "family" */
void show_service(struct show_rows *rows, uint32_t id);
void show_address(struct rows *to, const char *key, const struct addr *addr);
/* "backend", "backend_port" */
void show_backend(struct show_rows *rows, const struct lb_backend *backend);

bool show_service_is_meant(const struct maps *maps, uint32_t id, const struct show_filter *filter);
bool show_backend_is_meant(const struct lb_backend *backend, const struct show_filter *filter);

#endif
