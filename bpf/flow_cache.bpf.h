/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flows that this CPU has seen in this tick: where most packets find their
 * backend without a look-up in a hash map, which costs several calls and more
 * than all the rest of the packet's way.
 *
 * An entry is a copy of an established bypass flow's, true until the tick ends: the
 * first packet of the next tick goes to the flow tables again, where clocks,
 * states and frontends are looked after.  So does each packet that may change
 * the flow (SYN, FIN, RST), and it ends the copies that all CPUs have, by the
 * slot's epoch.  The backend is looked at for each packet.
 */
#ifndef FLOW_CACHE_BPF_H
#define FLOW_CACHE_BPF_H

#define FLOW_CACHE_ENTRIES 4096

struct flow_cached4 {
	struct lb_tuple4 key;
	__u64 backend; /* as in lb_flow; its tag guards against a torn entry */
	__u32 ticks;
	__be16 snat_port;
	__u16 epoch;
};

struct flow_cached6 {
	struct lb_tuple6 key;
	__u64 backend;
	__u32 ticks;
	__be16 snat_port;
	__u16 epoch;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_CACHE_ENTRIES);
	__type(key, __u32);
	__type(value, struct flow_cached4);
} flow_cache4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_CACHE_ENTRIES);
	__type(key, __u32);
	__type(value, struct flow_cached6);
} flow_cache6 SEC(".maps");

/* Raised after a packet that may have changed a flow of the slot. */
volatile __u16 flow_epochs[FLOW_CACHE_ENTRIES];

static __always_inline __u32 flow_cache_slot(__u64 key_hash)
{
	return (key_hash >> 32) % FLOW_CACHE_ENTRIES;
}

static __always_inline bool flow_cache_may_hold(const struct packet *p)
{
	return !(p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_FIN | TCP_FLAG_RST));
}

static __always_inline bool flow_same_key4(const struct lb_tuple4 *a, const struct lb_tuple4 *b)
{
	return !((a->src ^ b->src) | (a->dst ^ b->dst) | (a->sport ^ b->sport) |
		 (a->dport ^ b->dport) | (a->protocol ^ b->protocol));
}

static __always_inline bool flow_same_key6(const struct lb_tuple6 *a, const struct lb_tuple6 *b)
{
	return !((a->src[0] ^ b->src[0]) | (a->src[1] ^ b->src[1]) | (a->src[2] ^ b->src[2]) |
		 (a->src[3] ^ b->src[3]) | (a->dst[0] ^ b->dst[0]) | (a->dst[1] ^ b->dst[1]) |
		 (a->dst[2] ^ b->dst[2]) | (a->dst[3] ^ b->dst[3]) | (a->sport ^ b->sport) |
		 (a->dport ^ b->dport) | (a->protocol ^ b->protocol));
}

/* The backend of the packet's flow, if this CPU knows it: true. */
static __always_inline bool flow_cache_find(const struct packet *p, __u64 key_hash, __u16 epoch,
					    __u32 now, struct flow_target *ret, const bool v6)
{
	__u32 slot = flow_cache_slot(key_hash);
	struct lb_backend *backend;
	__be16 snat_port;
	__u64 word;

	if (v6) {
		struct flow_cached6 *cached = bpf_map_lookup_elem(&flow_cache6, &slot);

		if (!cached || cached->ticks != now || cached->epoch != epoch ||
		    !flow_same_key6(&cached->key, &p->tuple.v6))
			return false;
		word = cached->backend;
		snat_port = cached->snat_port;
	} else {
		struct flow_cached4 *cached = bpf_map_lookup_elem(&flow_cache4, &slot);

		if (!cached || cached->ticks != now || cached->epoch != epoch ||
		    !flow_same_key4(&cached->key, &p->tuple.v4))
			return false;
		word = cached->backend;
		snat_port = cached->snat_port;
	}
	if (LB_FLOW_TAG(word) != hash_tag(key_hash))
		return false;
	backend = backend_find(LB_FLOW_BACKEND_ID(word));
	if (!backend || backend->state != LB_BACKEND_ACTIVE || !flow_backend_lives(backend, word))
		return false;
	*ret = (struct flow_target){backend, LB_FLOW_BACKEND_ID(word), snat_port, 0};
	return true;
}

/* Remember an established flow until the tick ends.  Once a tick and flow, so a
 * function of its own.  backend: the word's id and generation; epoch: as it was
 * before the flow's entry was read. */
__noinline int flow_cache_store(const struct packet *p, __u64 backend, __u32 snat_port, __u16 epoch,
				bool v6)
{
	__u32 now = flow_now_ticks(), slot;
	__u64 key_hash;

	if (!p)
		return 0; /* for the verifier: never */
	key_hash = flow_key_hash(&p->tuple, v6);
	backend |= LB_FLOW_BACKEND(0, 0, hash_tag(key_hash));
	slot = flow_cache_slot(key_hash);
	if (v6) {
		struct flow_cached6 *cached = bpf_map_lookup_elem(&flow_cache6, &slot);

		if (!cached)
			return 0;
		cached->key = p->tuple.v6;
		cached->backend = backend;
		cached->snat_port = snat_port;
		cached->epoch = epoch;
		cached->ticks = now;
	} else {
		struct flow_cached4 *cached = bpf_map_lookup_elem(&flow_cache4, &slot);

		if (!cached)
			return 0;
		cached->key = p->tuple.v4;
		cached->backend = backend;
		cached->snat_port = snat_port;
		cached->epoch = epoch;
		cached->ticks = now;
	}
	return 1;
}

#endif
