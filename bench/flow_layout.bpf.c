// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two ways to remember a flow, reduced to their map operations (docs/DESIGN.md,
 * "The flow tables").
 *
 * pair: a forward entry by the client's tuple, and a reverse one by the
 * backend's.  single: the reverse one alone; a forward packet computes its
 * pick from the ring and proves it by the reverse entry, older picks after it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "lb.h"
#include "hash.h"

#define NULL ((void *)0)
#define IPPROTO_TCP 6
#define RING_SLOTS 1021
#define BACKENDS 5

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_flow);
} forward SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_reply);
} reverse SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct lb_arena_line);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct lb_backend);
} reals SEC(".maps");

/* Set by the runner before each run. */
__u32 first, flows_mask, older_picks, misses, failures;
__u64 elapsed_ns;

static __always_inline void tuple_of(__u32 i, struct lb_tuple4 *t)
{
	/* An odd factor permutes the flows: neighbours in time are none in memory. */
	__u32 n = (i * 2654435761u) & flows_mask;

	*t = (struct lb_tuple4){
		.src = bpf_htonl(0x0a000000 + (n >> 12)),
		.dst = bpf_htonl(0x0a600001),
		.sport = bpf_htons(1024 + (n & 4095)),
		.dport = bpf_htons(80),
		.protocol = IPPROTO_TCP,
	};
}

static __always_inline struct lb_backend *ring_pick(__u64 hash, __u32 attempt, __u32 *ret_id)
{
	__u32 slot = hash_slot(attempt ? hash_mix(hash, attempt) : hash, RING_SLOTS);
	__u32 line = slot / LB_ARENA_LINE_SLOTS;
	struct lb_arena_line *l = bpf_map_lookup_elem(&slots, &line);

	if (!l)
		return NULL;
	*ret_id = l->slots[slot % LB_ARENA_LINE_SLOTS];
	return bpf_map_lookup_elem(&reals, ret_id);
}

static __always_inline void reverse_key(const struct lb_tuple4 *t, const struct lb_backend *b,
					struct lb_tuple4 *ret)
{
	*ret = (struct lb_tuple4){
		.src = b->addr[0],
		.dst = t->src,
		.sport = b->port,
		.dport = t->sport,
		.protocol = t->protocol,
	};
}

static __always_inline int reverse_insert(const struct lb_tuple4 *t, const struct lb_backend *b,
					  __u32 id)
{
	struct lb_reply reply = {.frontend = {t->dst}, .port = t->dport, .backend = id};
	struct lb_tuple4 key;

	reverse_key(t, b, &key);
	if (bpf_map_lookup_elem(&reverse, &key))
		return 0;
	return bpf_map_update_elem(&reverse, &key, &reply, BPF_ANY);
}

static long pair_insert(__u32 i, void *unused __attribute__((unused)))
{
	struct lb_tuple4 t;
	__u32 id = 0;
	__u64 hash;

	tuple_of(first + i, &t);
	hash = hash_tuple4(&t, 1);
	if (bpf_map_lookup_elem(&forward, &t))
		return 0;
	struct lb_backend *b = ring_pick(hash, 0, &id);

	if (!b)
		return 0;
	struct lb_flow flow = {.backend = LB_FLOW_BACKEND(id, b->generation, hash_tag(hash))};

	failures += !!reverse_insert(&t, b, id);
	failures += !!bpf_map_update_elem(&forward, &t, &flow, BPF_NOEXIST);
	return 0;
}

static long pair_hit(__u32 i, void *unused __attribute__((unused)))
{
	struct lb_tuple4 t;
	struct lb_flow *flow;

	tuple_of(first + i, &t);
	flow = bpf_map_lookup_elem(&forward, &t);
	if (!flow || LB_FLOW_TAG(flow->backend) != hash_tag(hash_tuple4(&t, 1))) {
		misses++;
		return 0;
	}
	__u32 id = LB_FLOW_BACKEND_ID(flow->backend);
	struct lb_backend *b = bpf_map_lookup_elem(&reals, &id);

	if (!b || b->generation != LB_FLOW_GENERATION(flow->backend))
		misses++;
	return 0;
}

static long single_insert(__u32 i, void *unused __attribute__((unused)))
{
	struct lb_tuple4 t;
	__u32 id = 0;

	tuple_of(first + i, &t);
	struct lb_backend *b = ring_pick(hash_tuple4(&t, 1), 0, &id);

	if (b)
		failures += !!reverse_insert(&t, b, id);
	return 0;
}

/* older_picks = how many probes fail before the one that finds the flow: 0
 * where the ring hasn't changed. */
static long single_hit(__u32 i, void *unused __attribute__((unused)))
{
	struct lb_reply *reply = NULL;
	struct lb_tuple4 t, key;
	__u32 id = 0, pick;
	__u64 hash;

	tuple_of(first + i, &t);
	hash = hash_tuple4(&t, 1);
	for (pick = 0; pick < 4; pick++) {
		/* Picks of newer rings stand in for themselves by other slots. */
		bool last = pick >= older_picks;
		struct lb_backend *b = ring_pick(hash, last ? 0 : pick + 1, &id);

		if (!b)
			return 0;
		reverse_key(&t, b, &key);
		if (!last)
			key.dport ^= 0xffff; /* not there */
		reply = bpf_map_lookup_elem(&reverse, &key);
		if (reply || last)
			break;
	}
	if (!reply || reply->port != t.dport || reply->frontend[0] != t.dst)
		misses++;
	return 0;
}

#define RUN(name) \
	SEC("tc") int run_##name(struct __sk_buff *skb) \
	{ \
		__u64 start = bpf_ktime_get_ns(); \
\
		bpf_loop(skb->mark, name, NULL, 0); \
		elapsed_ns += bpf_ktime_get_ns() - start; \
		return 0; \
	}
RUN(pair_insert)
RUN(pair_hit)
RUN(single_insert)
RUN(single_hit)

char LICENSE[] SEC("license") = "GPL";
