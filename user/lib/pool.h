/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Memory that is freed all at once: what belongs to one object or one snapshot.
 *
 * A zeroed struct pool is empty and ready.  Every allocation is zeroed, aligned
 * for any type and valid until pool_free(); NULL means that memory ran out.
 * Chunks double in size, so a small object costs little and a big one few
 * calls of malloc().
 */
#ifndef GW_POOL_H
#define GW_POOL_H

#include <stdarg.h>
#include <stddef.h>

struct pool_chunk;

struct pool {
	struct pool_chunk *chunks; /* newest first */
	char *free;
	size_t left;
};

void *pool_alloc(struct pool *pool, size_t size);
void *pool_array(struct pool *pool, size_t n, size_t size); /* NULL on overflow, too */
char *pool_strdup(struct pool *pool, const char *text);
char *pool_vprintf(struct pool *pool, const char *format, va_list args);
void pool_free(struct pool *pool); /* it's empty then and can be used again */

#endif
