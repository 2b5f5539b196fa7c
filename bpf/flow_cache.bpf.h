/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flows that this CPU has seen in this tick: where most packets find their
 * backend without a look-up in a hash map, which costs several calls and more
 * than all the rest of the packet's way.
 *
 * A copy is of an established bypass flow's entry, true until the tick ends: the
 * first packet of the next tick goes to the flow tables again, where clocks,
 * states and frontends are looked after.  So does each packet that may change
 * the flow (SYN, FIN, RST), and it ends the copies that all CPUs have, by the
 * set's epoch.  The backend is looked at for each packet.
 *
 * Two copies share a set: of a thousand flows one in five would meet another in
 * a table of 4,096 without, and drive it out with each packet.
 */
#ifndef FLOW_CACHE_BPF_H
#define FLOW_CACHE_BPF_H

#define FLOW_CACHE_SETS 2048
#define FLOW_CACHE_WAYS 2

struct flow_copy {
	__u64 backend; /* as in lb_flow; its tag guards against a torn copy */
	__u32 ticks;
	__be16 snat_port;
	__u16 epoch;
};

struct flow_copy4 {
	struct lb_tuple4 key;
	struct flow_copy copy;
};

struct flow_copy6 {
	struct lb_tuple6 key;
	struct flow_copy copy;
};

struct flow_set4 {
	struct flow_copy4 ways[FLOW_CACHE_WAYS];
};

struct flow_set6 {
	struct flow_copy6 ways[FLOW_CACHE_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_CACHE_SETS);
	__type(key, __u32);
	__type(value, struct flow_set4);
} flow_cache4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_CACHE_SETS);
	__type(key, __u32);
	__type(value, struct flow_set6);
} flow_cache6 SEC(".maps");

/* Raised after a packet that may have changed a flow of the set. */
volatile __u16 flow_epochs[FLOW_CACHE_SETS];

static __always_inline __u32 flow_cache_set(__u64 key_hash)
{
	return (key_hash >> 32) % FLOW_CACHE_SETS;
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

/* This CPU's copy of the packet's flow, of whatever age; NULL = there is none. */
static __always_inline struct flow_copy *flow_cache_look(const struct packet *p, __u32 set,
							 const bool v6)
{
	if (v6) {
		struct flow_set6 *s = bpf_map_lookup_elem(&flow_cache6, &set);

		if (s && flow_same_key6(&s->ways[0].key, &p->tuple.v6))
			return &s->ways[0].copy;
		barrier(); /* or clang keeps all words of the key for the other way */
		if (s && flow_same_key6(&s->ways[1].key, &p->tuple.v6))
			return &s->ways[1].copy;
		return NULL;
	}
	struct flow_set4 *s = bpf_map_lookup_elem(&flow_cache4, &set);

	if (s && flow_same_key4(&s->ways[0].key, &p->tuple.v4))
		return &s->ways[0].copy;
	barrier();
	if (s && flow_same_key4(&s->ways[1].key, &p->tuple.v4))
		return &s->ways[1].copy;
	return NULL;
}

/* The backend of the packet's flow, if this CPU knows it: true. */
static __always_inline bool flow_cache_find(const struct packet *p, __u64 key_hash, __u16 epoch,
					    __u32 now, struct flow_target *ret, const bool v6)
{
	struct flow_copy *copy = flow_cache_look(p, flow_cache_set(key_hash), v6);
	struct lb_backend *backend;
	__u64 word;

	if (!copy || copy->ticks != now || copy->epoch != epoch)
		return false;
	word = copy->backend;
	if (LB_FLOW_TAG(word) != hash_tag(key_hash))
		return false;
	backend = backend_find(LB_FLOW_BACKEND_ID(word));
	if (!backend || backend->state != LB_BACKEND_ACTIVE || !flow_backend_lives(backend, word))
		return false;
	*ret = (struct flow_target){backend, LB_FLOW_BACKEND_ID(word), copy->snat_port, 0};
	return true;
}

/* The way of a set that is to hold another flow: one that this tick has no use
 * for, else either, always the same for a flow. */
static __always_inline __u32 flow_cache_way(const struct flow_copy *first,
					    const struct flow_copy *second, __u64 key_hash,
					    __u32 now)
{
	if (first->ticks != now)
		return 0;
	return second->ticks != now ? 1 : key_hash >> 31 & 1;
}

/* Where a copy of the packet's flow is to lie; its key is there already. */
static __always_inline struct flow_copy *flow_cache_take(const struct packet *p, __u64 key_hash,
							 __u32 now, const bool v6)
{
	__u32 set = flow_cache_set(key_hash);

	if (v6) {
		struct flow_set6 *s = bpf_map_lookup_elem(&flow_cache6, &set);
		struct flow_copy6 *way;

		if (!s)
			return NULL;
		way = flow_cache_way(&s->ways[0].copy, &s->ways[1].copy, key_hash, now)
			      ? &s->ways[1]
			      : &s->ways[0];
		way->key = p->tuple.v6;
		return &way->copy;
	}
	struct flow_set4 *s = bpf_map_lookup_elem(&flow_cache4, &set);
	struct flow_copy4 *way;

	if (!s)
		return NULL;
	way = flow_cache_way(&s->ways[0].copy, &s->ways[1].copy, key_hash, now) ? &s->ways[1]
										: &s->ways[0];
	way->key = p->tuple.v4;
	return &way->copy;
}

/* Remember an established flow until the tick ends.  Once a tick and flow, so a
 * function of its own.  backend: the word's id and generation; epoch: as it was
 * before the flow's entry was read. */
__noinline int flow_cache_store(const struct packet *p, __u64 backend, __u32 snat_port, __u16 epoch,
				bool v6)
{
	__u32 now = flow_now_ticks();
	struct flow_copy *copy;
	__u64 key_hash;

	if (!p)
		return 0; /* for the verifier: never */
	key_hash = flow_key_hash(&p->tuple, v6);
	copy = flow_cache_look(p, flow_cache_set(key_hash), v6)
		       ?: flow_cache_take(p, key_hash, now, v6);
	if (!copy)
		return 0;
	copy->backend = backend | LB_FLOW_BACKEND(0, 0, hash_tag(key_hash));
	copy->snat_port = snat_port;
	copy->epoch = epoch;
	copy->ticks = now;
	return 1;
}

#endif
