/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

#define POOL_ALIGN _Alignof(max_align_t)
#define POOL_FIRST_CHUNK 256
#define POOL_LARGEST_CHUNK (1 << 20)

struct pool_chunk {
	struct pool_chunk *next;
	size_t size;
	_Alignas(max_align_t) char memory[];
};

void *pool_alloc(struct pool *pool, size_t size)
{
	void *memory;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + !size + POOL_ALIGN - 1) & ~(POOL_ALIGN - 1);
	if (size > pool->left) {
		size_t wish = pool->chunks ? 2 * pool->chunks->size : POOL_FIRST_CHUNK;
		struct pool_chunk *chunk;

		if (wish > POOL_LARGEST_CHUNK)
			wish = POOL_LARGEST_CHUNK;
		if (wish < size)
			wish = size;
		chunk = calloc(1, sizeof(*chunk) + wish);
		if (!chunk)
			return NULL;
		chunk->next = pool->chunks;
		chunk->size = wish;
		pool->chunks = chunk;
		pool->free = chunk->memory;
		pool->left = wish;
	}
	memory = pool->free;
	pool->free += size;
	pool->left -= size;
	return memory;
}

void *pool_array(struct pool *pool, size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : pool_alloc(pool, bytes);
}

char *pool_strdup(struct pool *pool, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = pool_alloc(pool, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

char *pool_vprintf(struct pool *pool, const char *format, va_list args)
{
	va_list again;
	char *text;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	text = n < 0 ? NULL : pool_alloc(pool, n + 1);
	if (text)
		vsnprintf(text, n + 1, format, args);
	return text;
}

void pool_free(struct pool *pool)
{
	while (pool->chunks) {
		struct pool_chunk *next = pool->chunks->next;

		free(pool->chunks);
		pool->chunks = next;
	}
	*pool = (struct pool){};
}
