/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 4, pick: a backend for a new flow, from one of the service's rings.
 */
#ifndef PICK_BPF_H
#define PICK_BPF_H

static __always_inline struct lb_backend *backend_find(__u32 id)
{
	return bpf_map_lookup_elem(&backends, &id);
}

/* Which backends may a flow to this frontend get?  Under a Local policy those of
 * this node; but pods of this node count as inside, and external addresses mean
 * all backends to them (service-semantics 31-36). */
static __always_inline enum lb_scope pick_scope(const struct packet *p,
						const struct lb_frontend *frontend)
{
	if (!(frontend->flags & LB_FRONTEND_F_LOCAL) ||
	    (p->from_pod && frontend->flags & LB_FRONTEND_F_EXTERNAL))
		return LB_SCOPE_CLUSTER;
	return LB_SCOPE_LOCAL;
}

/* Why there is nobody: elsewhere, or nowhere (rules 50, 51). */
static __always_inline enum lb_reason pick_nobody(const struct lb_service *service,
						  const struct lb_frontend *frontend,
						  enum lb_scope scope)
{
	if (service->flags & LB_SERVICE_F_UNHEALTHY << scope)
		return LB_REASON_ALL_UNHEALTHY;
	if (scope == LB_SCOPE_CLUSTER || !(service->flags & LB_SERVICE_F_ENDPOINTS))
		return LB_REASON_NO_ENDPOINT;
	return frontend->flags & LB_FRONTEND_F_EXTERNAL ? LB_REASON_NO_LOCAL_EXTERNAL
							: LB_REASON_NO_LOCAL_INTERNAL;
}

/* The next of those that are served in turn, for all CPUs together. */
static __always_inline __u32 pick_next(__u32 service)
{
	__u32 *cursor = bpf_map_lookup_elem(&cursors, &service);

	return cursor ? __sync_fetch_and_add(cursor, 1) : 0;
}

/* attempt > 0 asks for another slot of the same hash: the same one each time,
 * on every node. */
static __always_inline enum lb_reason pick_backend(const struct lb_service *service,
						   const struct lb_frontend *frontend,
						   enum lb_scope scope, __u64 hash, __u32 attempt,
						   __u32 *ret_id)
{
	__u32 index = LB_RING_INDEX(frontend->service, scope);
	struct lb_arena_line *line;
	__u64 *word, ring;
	__u32 slot;

	word = bpf_map_lookup_elem(&rings, &index);
	/* One load: line and size belong together. */
	ring = word ? *(volatile __u64 *)word : 0;
	if (!ring)
		return pick_nobody(service, frontend, scope);
	if (service->flags & LB_SERVICE_F_ROUND_ROBIN) {
		slot = pick_next(frontend->service) % LB_RING_SLOTS(ring);
	} else {
		hash = hash_mix(hash, config_hash_seed);
		slot = hash_slot(attempt ? hash_mix(hash, attempt) : hash, LB_RING_SLOTS(ring));
	}
	index = LB_RING_LINE(ring) + slot / LB_ARENA_LINE_SLOTS;
	line = bpf_map_lookup_elem(&arena, &index);
	if (!line)
		return LB_REASON_SLOT_INVALID;
	*ret_id = line->slots[slot % LB_ARENA_LINE_SLOTS];
	return *ret_id ? 0 : LB_REASON_SLOT_INVALID;
}

#endif
