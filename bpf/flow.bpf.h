/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 3, flow: the backend that a flow has, or a new one (pick.bpf.h).
 *
 * A flow is two entries.  The reverse one (replies) is written first, so that
 * no backend can answer before its answer can be undone; then the forward one
 * (flows), which is never moved to another backend while its own lives.
 */
#ifndef FLOW_BPF_H
#define FLOW_BPF_H

/* Slots tried for a new flow whose reply tuple another frontend's flow has. */
#define FLOW_PICK_ATTEMPTS 4

static __always_inline __u32 flow_now_ticks(void)
{
	return bpf_ktime_get_coarse_ns() >> LB_TICK_SHIFT;
}

static __always_inline __u32 flow_timeout_ticks(__u8 protocol, __u8 state)
{
	if (state > LB_FLOW_CLOSING)
		return 0;
	return protocol == IPPROTO_TCP ? config_tcp_timeout_ticks[state]
				       : config_udp_timeout_ticks[state];
}

static __always_inline bool flow_is_syn(const struct packet *p)
{
	return (p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

/* May the packet begin a flow anew without harm to a connection? */
static __always_inline bool flow_may_repick(const struct packet *p)
{
	return p->protocol == IPPROTO_UDP || flow_is_syn(p);
}

static __always_inline void flow_hash(struct packet *p, const bool v6)
{
	p->hash = v6 ? hash_tuple6(&p->tuple6, config_hash_seed)
		     : hash_tuple4(&p->tuple4, config_hash_seed);
}

/* Key of replies for what the backend will answer to p. */
static __always_inline void flow_reply_key4(const struct packet *p,
					    const struct lb_backend *backend, struct lb_tuple4 *ret)
{
	*ret = (struct lb_tuple4){
		.src = backend->addr[0],
		.dst = p->tuple4.src,
		.sport = backend->port,
		.dport = p->tuple4.sport,
		.protocol = p->protocol,
	};
}

static __always_inline void flow_reply_key6(const struct packet *p,
					    const struct lb_backend *backend, struct lb_tuple6 *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	__builtin_memcpy(ret->src, backend->addr, sizeof(ret->src));
	__builtin_memcpy(ret->dst, p->tuple6.src, sizeof(ret->dst));
	ret->sport = backend->port;
	ret->dport = p->tuple6.sport;
	ret->protocol = p->protocol;
}

static __always_inline bool flow_same_address(const __be32 a[4], const __be32 b[4])
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/*
 * Write the reverse entry of a new flow.  LB_REASON_REPLY_COLLISION where the same
 * client port talks to the same backend through another frontend: the backend
 * couldn't tell the two apart, and neither could we.
 */
static __always_inline enum lb_reason flow_store_reply(const struct packet *p, __u32 backend_id,
						       const struct lb_backend *backend, __u32 now,
						       const bool v6)
{
	union {
		struct lb_tuple4 v4;
		struct lb_tuple6 v6;
	} key;
	struct lb_reply reply = {.backend = backend_id, .seen_ticks = now}, *old;
	long err;

	if (v6) {
		flow_reply_key6(p, backend, &key.v6);
		__builtin_memcpy(reply.frontend, p->tuple6.dst, sizeof(reply.frontend));
		reply.port = p->tuple6.dport;
		reply.tag = hash_tag(hash_tuple6(&key.v6, config_hash_seed));
		old = bpf_map_lookup_elem(&replies6, &key.v6);
	} else {
		flow_reply_key4(p, backend, &key.v4);
		reply.frontend[0] = p->tuple4.dst;
		reply.port = p->tuple4.dport;
		reply.tag = hash_tag(hash_tuple4(&key.v4, config_hash_seed));
		old = bpf_map_lookup_elem(&replies4, &key.v4);
	}
	if (old && (old->port != reply.port || !flow_same_address(old->frontend, reply.frontend)) &&
	    now - old->seen_ticks <= flow_timeout_ticks(p->protocol, old->state))
		return LB_REASON_REPLY_COLLISION;
	err = v6 ? bpf_map_update_elem(&replies6, &key.v6, &reply, BPF_ANY)
		 : bpf_map_update_elem(&replies4, &key.v4, &reply, BPF_ANY);
	return err ? LB_REASON_FLOW_NOT_STORED : 0;
}

static __always_inline struct lb_flow *flow_find(const struct packet *p, const bool v6)
{
	return v6 ? bpf_map_lookup_elem(&flows6, &p->tuple6)
		  : bpf_map_lookup_elem(&flows4, &p->tuple4);
}

/* A packet of a flow that is known: keep the entry's clock and state. */
static __always_inline void flow_touch(const struct packet *p, struct lb_flow *flow, __u32 now)
{
	__u8 state = flow->state;

	if (flow->seen_ticks != now)
		flow->seen_ticks = now;
	if (p->tcp_flags & (TCP_FLAG_FIN | TCP_FLAG_RST))
		state = LB_FLOW_CLOSING;
	else if (state == LB_FLOW_NEW && !flow_is_syn(p))
		state = LB_FLOW_ESTABLISHED;
	if (state != flow->state)
		flow->state = state;
}

/*
 * The backend of a flow that is known.  LB_REASON_NO_FLOW where the entry has no say:
 * it is stale, it is another key's by now, or its backend is gone and nothing
 * is lost by a new one.  LB_REASON_BACKEND_GONE where a connection is lost.
 */
static __always_inline enum lb_reason flow_hit(const struct packet *p, struct lb_flow *flow,
					       __u32 service, __u32 now, __u32 *ret_id,
					       struct lb_backend **ret_backend)
{
	__u64 word = *(volatile __u64 *)&flow->backend;
	struct lb_backend *backend;
	__u8 state = flow->state;

	if (LB_FLOW_TAG(word) != hash_tag(p->hash) ||
	    now - flow->seen_ticks > flow_timeout_ticks(p->protocol, state))
		return LB_REASON_NO_FLOW;
	if (state == LB_FLOW_CLOSING && flow_is_syn(p))
		return LB_REASON_NO_FLOW; /* the client uses the port again */

	backend = backend_find(LB_FLOW_BACKEND_ID(word));
	if (!backend || backend->generation != LB_FLOW_GENERATION(word) ||
	    backend->state == LB_BACKEND_FREE)
		return flow_may_repick(p) ? LB_REASON_NO_FLOW : LB_REASON_BACKEND_GONE;
	if ((backend->state == LB_BACKEND_GONE || backend->service != service) &&
	    flow_may_repick(p))
		return LB_REASON_NO_FLOW;

	flow_touch(p, flow, now);
	*ret_id = LB_FLOW_BACKEND_ID(word);
	*ret_backend = backend;
	return 0;
}

/* A new flow: pick a backend whose replies can be told from other flows', and
 * store both entries.  known = the entry that is to be replaced, if any. */
static __always_inline enum lb_reason flow_begin(const struct packet *p, bool known, __u32 service,
						 __u32 now, __u32 *ret_id,
						 struct lb_backend **ret_backend, const bool v6)
{
	struct lb_flow flow = {
		.seen_ticks = now,
		/* Mid-flow TCP without an entry: we are told late. */
		.state = p->protocol == IPPROTO_TCP && !flow_is_syn(p) ? LB_FLOW_ESTABLISHED
								       : LB_FLOW_NEW,
	};
	struct lb_backend *backend = NULL;
	enum lb_reason reason = LB_REASON_NONE;
	__u64 update = known ? BPF_ANY : BPF_NOEXIST;
	__u32 id = 0, attempt;
	long err;

#pragma clang loop unroll(disable)
	for (attempt = 0; attempt < FLOW_PICK_ATTEMPTS; attempt++) {
		reason = pick_backend(service, p->hash, attempt, &id);
		if (reason)
			return reason;
		backend = backend_find(id);
		if (!backend || backend->state == LB_BACKEND_FREE)
			return LB_REASON_SLOT_INVALID;
		reason = flow_store_reply(p, id, backend, now, v6);
		if (reason != LB_REASON_REPLY_COLLISION)
			break;
	}
	if (reason)
		return reason;

	flow.backend = LB_FLOW_BACKEND(id, backend->generation, hash_tag(p->hash));
	err = v6 ? bpf_map_update_elem(&flows6, &p->tuple6, &flow, update)
		 : bpf_map_update_elem(&flows4, &p->tuple4, &flow, update);
	if (err == -EEXIST) {
		/* Another CPU was quicker with a packet of the same flow: its
		 * backend counts.  Our reverse entry just ages. */
		struct lb_flow *first = flow_find(p, v6);

		if (!first)
			return LB_REASON_FLOW_NOT_STORED;
		return flow_hit(p, first, service, now, ret_id, ret_backend);
	}
	if (err)
		return LB_REASON_FLOW_NOT_STORED;
	*ret_id = id;
	*ret_backend = backend;
	count_connection(service, id);
	return 0;
}

/* Step 3 and 4 for a packet of a client. */
static __always_inline enum lb_reason flow_resolve(struct packet *p, __u32 service, __u32 *ret_id,
						   struct lb_backend **ret_backend, const bool v6)
{
	__u32 now = flow_now_ticks();
	enum lb_reason reason = LB_REASON_NO_FLOW;
	struct lb_flow *flow;

	flow_hash(p, v6);
	flow = flow_find(p, v6);
	if (flow)
		reason = flow_hit(p, flow, service, now, ret_id, ret_backend);
	if (reason == LB_REASON_NO_FLOW)
		reason = flow_begin(p, flow != NULL, service, now, ret_id, ret_backend, v6);
	return reason;
}

#endif
