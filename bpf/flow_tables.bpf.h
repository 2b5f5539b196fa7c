/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow tables behind a few words: which map a family, a protocol and an
 * age mean.
 *
 * Each map has a call of its own (flow_apart): the verifier inlines a look-up
 * only where it knows the map.  Established flows are looked up first, so that
 * a packet of one costs one look-up.
 *
 * Keys lie on the stack: before 6.2 the verifier takes none from what a global
 * function's argument points at, so those functions copy the packet's tuple.
 */
#ifndef FLOW_TABLES_BPF_H
#define FLOW_TABLES_BPF_H

/* Around the result of all calls but one that are alike in all but the map: else
 * clang makes one call of them, with the map in a register. */
static __always_inline void *flow_apart(void *value)
{
	asm volatile("" : "+r"(value));
	return value;
}

static __always_inline bool flow_is_udp(const union tuple *key, const bool v6)
{
	return (v6 ? key->v6.protocol : key->v4.protocol) == IPPROTO_UDP;
}

static __always_inline struct lb_flow *flow_find(const union tuple *key, const bool v6)
{
	if (v6 && flow_is_udp(key, v6))
		return flow_apart(bpf_map_lookup_elem(&udp_flows6, &key->v6));
	if (v6)
		return flow_apart(bpf_map_lookup_elem(&flows6, &key->v6));
	if (flow_is_udp(key, v6))
		return flow_apart(bpf_map_lookup_elem(&udp_flows4, &key->v4));
	return bpf_map_lookup_elem(&flows4, &key->v4);
}

static __always_inline struct lb_flow *flow_find_new(const union tuple *key, const bool v6)
{
	if (v6)
		return flow_apart(bpf_map_lookup_elem(&new_flows6, &key->v6));
	return bpf_map_lookup_elem(&new_flows4, &key->v4);
}

static __always_inline enum lb_flow_table flow_table(const union tuple *key, const bool v6)
{
	return flow_is_udp(key, v6) ? LB_FLOW_TABLE_UDP : LB_FLOW_TABLE_TCP;
}

/* The key isn't there: the caller has looked. */
static __always_inline long flow_store(const union tuple *key, const struct lb_flow *flow,
				       const bool v6)
{
	long err;

	if (flow_is_udp(key, v6))
		err = v6 ? bpf_map_update_elem(&udp_flows6, &key->v6, flow, BPF_ANY)
			 : bpf_map_update_elem(&udp_flows4, &key->v4, flow, BPF_ANY);
	else
		err = v6 ? bpf_map_update_elem(&flows6, &key->v6, flow, BPF_ANY)
			 : bpf_map_update_elem(&flows4, &key->v4, flow, BPF_ANY);
	if (!err)
		count_stored(flow_table(key, v6), v6);
	return err;
}

/* known: the small table holds the key already. */
static __always_inline long flow_store_new(const union tuple *key, const struct lb_flow *flow,
					   bool known, const bool v6)
{
	long err = v6 ? bpf_map_update_elem(&new_flows6, &key->v6, flow, BPF_ANY)
		      : bpf_map_update_elem(&new_flows4, &key->v4, flow, BPF_ANY);

	if (!err && !known)
		count_stored(LB_FLOW_TABLE_NEW, v6);
	return err;
}

static __always_inline void flow_delete(const union tuple *key, const bool v6)
{
	long err;

	if (v6 && flow_is_udp(key, v6))
		err = bpf_map_delete_elem(&udp_flows6, &key->v6);
	else if (v6)
		err = bpf_map_delete_elem(&flows6, &key->v6);
	else if (flow_is_udp(key, v6))
		err = bpf_map_delete_elem(&udp_flows4, &key->v4);
	else
		err = bpf_map_delete_elem(&flows4, &key->v4);
	if (!err)
		count_deleted(flow_table(key, v6), v6);
}

static __always_inline void flow_delete_new(const union tuple *key, const bool v6)
{
	long err = v6 ? bpf_map_delete_elem(&new_flows6, &key->v6)
		      : bpf_map_delete_elem(&new_flows4, &key->v4);

	if (!err)
		count_deleted(LB_FLOW_TABLE_NEW, v6);
}

static __always_inline struct lb_reply *reply_find(const union tuple *key, const bool v6)
{
	if (v6 && flow_is_udp(key, v6))
		return flow_apart(bpf_map_lookup_elem(&udp_replies6, &key->v6));
	if (v6)
		return flow_apart(bpf_map_lookup_elem(&replies6, &key->v6));
	if (flow_is_udp(key, v6))
		return flow_apart(bpf_map_lookup_elem(&udp_replies4, &key->v4));
	return bpf_map_lookup_elem(&replies4, &key->v4);
}

static __always_inline struct lb_reply *reply_find_new(const union tuple *key, const bool v6)
{
	if (v6)
		return flow_apart(bpf_map_lookup_elem(&new_replies6, &key->v6));
	return bpf_map_lookup_elem(&new_replies4, &key->v4);
}

static __always_inline long reply_store(const union tuple *key, const struct lb_reply *reply,
					const bool v6)
{
	if (flow_is_udp(key, v6))
		return v6 ? bpf_map_update_elem(&udp_replies6, &key->v6, reply, BPF_ANY)
			  : bpf_map_update_elem(&udp_replies4, &key->v4, reply, BPF_ANY);
	return v6 ? bpf_map_update_elem(&replies6, &key->v6, reply, BPF_ANY)
		  : bpf_map_update_elem(&replies4, &key->v4, reply, BPF_ANY);
}

static __always_inline long reply_store_new(const union tuple *key, const struct lb_reply *reply,
					    const bool v6)
{
	return v6 ? bpf_map_update_elem(&new_replies6, &key->v6, reply, BPF_ANY)
		  : bpf_map_update_elem(&new_replies4, &key->v4, reply, BPF_ANY);
}

static __always_inline void reply_delete(const union tuple *key, const bool v6)
{
	if (v6 && flow_is_udp(key, v6))
		bpf_map_delete_elem(&udp_replies6, &key->v6);
	else if (v6)
		bpf_map_delete_elem(&replies6, &key->v6);
	else if (flow_is_udp(key, v6))
		bpf_map_delete_elem(&udp_replies4, &key->v4);
	else
		bpf_map_delete_elem(&replies4, &key->v4);
}

static __always_inline void reply_delete_new(const union tuple *key, const bool v6)
{
	if (v6)
		bpf_map_delete_elem(&new_replies6, &key->v6);
	else
		bpf_map_delete_elem(&new_replies4, &key->v4);
}

static __always_inline __u64 flow_key_hash(const union tuple *key, const bool v6)
{
	return v6 ? hash_key6(&key->v6) : hash_key4(&key->v4);
}

static __always_inline __u16 flow_tag(const union tuple *key, const bool v6)
{
	return hash_tag(flow_key_hash(key, v6));
}

/* Of either age, and surely of this key; NULL = there is none. */
static __always_inline struct lb_reply *reply_find_any(const union tuple *key, const bool v6)
{
	struct lb_reply *reply = reply_find(key, v6);

	if (!reply)
		reply = reply_find_new(key, v6);
	return reply && reply->tag == flow_tag(key, v6) ? reply : NULL;
}

#endif
