/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Session affinity ClientIP: a client's flows to a service port go to one
 * backend, by whatever address of the service they come (service-semantics
 * 79-83).  A client that isn't known picks by its address alone, so that where an
 * entry is lost, or on another node, the same backend is found.
 */
#ifndef AFFINITY_BPF_H
#define AFFINITY_BPF_H

static __always_inline struct lb_affinity *affinity_find(const struct packet *p, __u32 service,
							 bool v6)
{
	if (v6) {
		struct lb_affinity6_key key = {.service = service};

		__builtin_memcpy(key.client, p->tuple.v6.src, sizeof(key.client));
		return bpf_map_lookup_elem(&affinity6, &key);
	}
	struct lb_affinity4_key key = {.service = service, .client = p->tuple.v4.src};

	return bpf_map_lookup_elem(&affinity4, &key);
}

/* Where the client's flows go: a backend's id, 0 = nowhere in particular, or no
 * longer to one that gets flows in this scope.  Each new flow renews it. */
__noinline __u32 affinity_backend(const struct packet *p, __u32 service, __u32 timeout_ticks,
				  __u8 scope, bool v6)
{
	__u8 in_ring = scope == LB_SCOPE_LOCAL ? LB_BACKEND_F_LOCAL : LB_BACKEND_F_CLUSTER;
	__u32 now = flow_now_ticks(), id;
	struct lb_affinity *affinity;
	struct lb_backend *backend;
	__u64 word;

	if (!p)
		return 0; /* for the verifier: never */
	affinity = affinity_find(p, service, v6);
	if (!affinity || flow_age_ticks(now, affinity->used_ticks) > timeout_ticks)
		return 0;
	word = *(volatile __u64 *)&affinity->backend;
	id = LB_FLOW_BACKEND_ID(word);
	backend = backend_find(id);
	if (!backend || backend->service != service || backend->state != LB_BACKEND_ACTIVE ||
	    backend->generation != LB_FLOW_GENERATION(word) || !(backend->flags & in_ring))
		return 0;
	affinity->used_ticks = now;
	return id;
}

__noinline int affinity_store(const struct packet *p, __u32 service, __u32 backend_id, bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_affinity affinity = {.used_ticks = flow_now_ticks()};

	if (!p || !backend)
		return 0; /* for the verifier: never */
	affinity.backend = LB_FLOW_BACKEND(backend_id, backend->generation, 0);
	if (v6) {
		struct lb_affinity6_key key = {.service = service};

		__builtin_memcpy(key.client, p->tuple.v6.src, sizeof(key.client));
		return bpf_map_update_elem(&affinity6, &key, &affinity, BPF_ANY);
	}
	struct lb_affinity4_key key = {.service = service, .client = p->tuple.v4.src};

	return bpf_map_update_elem(&affinity4, &key, &affinity, BPF_ANY);
}

/* What the client picks by. */
static __always_inline __u64 affinity_hash(const struct packet *p, __u32 identity, bool v6)
{
	if (v6)
		return hash_mix(
			hash_mix(identity, (__u64)p->tuple.v6.src[0] << 32 | p->tuple.v6.src[1]),
			(__u64)p->tuple.v6.src[2] << 32 | p->tuple.v6.src[3]);
	return hash_mix(identity, p->tuple.v4.src);
}

#endif
