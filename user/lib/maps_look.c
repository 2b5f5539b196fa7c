/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Questions to the mapped arrays, for those who show and steer. */
#include <arpa/inet.h>

#include "maps.h"

bool maps_ring_count(const struct maps *maps, uint64_t ring, uint32_t *slots)
{
	uint32_t n = LB_RING_SLOTS(ring), line = LB_RING_LINE(ring);
	const __u32 *first;

	/* Maps that another version left broken are no reason to fall. */
	if (line > maps->arena_lines ||
	    n > (uint64_t)(maps->arena_lines - line) * LB_ARENA_LINE_SLOTS)
		return false;
	first = (const __u32 *)(const void *)(maps->arena + line); /* lines are adjacent */
	for (uint32_t i = 0; i < n; i++)
		if (first[i] < maps->max_backends)
			slots[first[i]]++;
	return true;
}

const struct lb_backend *maps_flow_backend(const struct maps *maps, uint64_t word)
{
	uint32_t id = LB_FLOW_BACKEND_ID(word);
	const struct lb_backend *backend;

	if (id >= maps->max_backends)
		return NULL;
	backend = &maps->backends[id];
	return backend->state != LB_BACKEND_FREE && backend->generation == LB_FLOW_GENERATION(word)
		       ? backend
		       : NULL;
}

bool maps_backend_is_at(const struct lb_backend *backend, const struct addr *addr, uint16_t port)
{
	struct addr own;

	addr_from_words(backend->family, backend->addr, &own);
	return !addr_compare(&own, addr) && (!port || ntohs(backend->port) == port);
}
