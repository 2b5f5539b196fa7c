/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 4, pick: a backend for a new flow, from the service's ring.
 */
#ifndef PICK_BPF_H
#define PICK_BPF_H

static __always_inline struct lb_backend *backend_find(__u32 id)
{
	return bpf_map_lookup_elem(&backends, &id);
}

/* attempt > 0 asks for another slot of the same flow: the same one each time,
 * on every node. */
static __always_inline enum lb_reason pick_backend(__u32 service, __u64 hash, __u32 attempt,
						   __u32 *ret_id)
{
	__u32 index = LB_RING_INDEX(service, LB_SCOPE_CLUSTER);
	struct lb_arena_line *line;
	__u64 *word, ring;
	__u32 slot;

	word = bpf_map_lookup_elem(&rings, &index);
	/* One load: line and size belong together. */
	ring = word ? *(volatile __u64 *)word : 0;
	if (!ring)
		return LB_REASON_NO_ENDPOINT;
	hash = hash_mix(hash, config_hash_seed);
	slot = hash_slot(attempt ? hash_mix(hash, attempt) : hash, LB_RING_SLOTS(ring));
	index = LB_RING_LINE(ring) + slot / LB_ARENA_LINE_SLOTS;
	line = bpf_map_lookup_elem(&arena, &index);
	if (!line)
		return LB_REASON_SLOT_INVALID;
	*ret_id = line->slots[slot % LB_ARENA_LINE_SLOTS];
	return *ret_id ? 0 : LB_REASON_SLOT_INVALID;
}

#endif
