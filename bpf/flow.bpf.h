/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 3, flow: the backend that a flow has, or a new one (flow_begin.bpf.h).
 *
 * A flow is two entries, written by whoever translates forward: the reverse
 * one first (replies), so that no backend can answer before its answer can be
 * undone, then the forward one (flows).  A flow is never moved to another
 * backend while its own lives.
 */
#ifndef FLOW_BPF_H
#define FLOW_BPF_H

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
	p->hash = v6 ? hash_tuple6(&p->tuple.v6, config_hash_seed)
		     : hash_tuple4(&p->tuple.v4, config_hash_seed);
}

/* Key of replies for what the backend will answer to p. */
static __always_inline void flow_reply_key(const struct packet *p, const struct lb_backend *backend,
					   union tuple *ret, const bool v6)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	if (v6) {
		__builtin_memcpy(ret->v6.src, backend->addr, sizeof(ret->v6.src));
		__builtin_memcpy(ret->v6.dst, p->tuple.v6.src, sizeof(ret->v6.dst));
		ret->v6.sport = backend->port;
		ret->v6.dport = p->tuple.v6.sport;
		ret->v6.protocol = p->protocol;
	} else {
		ret->v4.src = backend->addr[0];
		ret->v4.dst = p->tuple.v4.src;
		ret->v4.sport = backend->port;
		ret->v4.dport = p->tuple.v4.sport;
		ret->v4.protocol = p->protocol;
	}
}

/* The state after a packet that isn't the flow's first. */
static __always_inline __u8 flow_next_state(const struct packet *p, __u8 state)
{
	if (p->tcp_flags & (TCP_FLAG_FIN | TCP_FLAG_RST))
		return LB_FLOW_CLOSING;
	return state == LB_FLOW_NEW && !flow_is_syn(p) ? LB_FLOW_ESTABLISHED : state;
}

/* A packet of a flow that is known: keep the entry's clock and state.  Nothing
 * is written where nothing changed, since entries are shared between CPUs. */
static __always_inline void flow_touch(const struct packet *p, struct lb_flow *flow, __u32 now)
{
	__u8 state = flow_next_state(p, flow->state);

	if (flow->seen_ticks != now)
		flow->seen_ticks = now;
	if (state != flow->state)
		flow->state = state;
}

/* No packet for too long, in neither direction?  The reverse entry is asked
 * only when the forward one is old. */
static __always_inline bool flow_is_expired(const struct packet *p, const struct lb_flow *flow,
					    __u32 now, const bool v6)
{
	__u32 timeout = flow_timeout_ticks(p->protocol, flow->state);
	struct lb_backend *backend;
	struct lb_reply *reply;
	union tuple key;

	if (now - flow->seen_ticks <= timeout)
		return false;
	backend = backend_find(LB_FLOW_BACKEND_ID(flow->backend));
	if (!backend)
		return true;
	flow_reply_key(p, backend, &key, v6);
	reply = reply_find(&key, v6);
	return !reply || now - reply->seen_ticks > timeout;
}

/*
 * The backend of a flow that is known.  LB_REASON_NO_FLOW where the entry has
 * no say: it is stale, it is another key's by now, or its backend is gone and
 * nothing is lost by a new one.  LB_REASON_BACKEND_GONE where a connection is
 * lost.
 */
static __always_inline enum lb_reason flow_hit(const struct packet *p, struct lb_flow *flow,
					       __u32 service, __u32 now, __u32 *ret_id,
					       struct lb_backend **ret_backend, const bool v6)
{
	__u64 word = *(volatile __u64 *)&flow->backend;
	struct lb_backend *backend;

	if (LB_FLOW_TAG(word) != hash_tag(p->hash) || flow_is_expired(p, flow, now, v6))
		return LB_REASON_NO_FLOW;
	if (flow->state == LB_FLOW_CLOSING && flow_is_syn(p))
		return LB_REASON_NO_FLOW; /* the client uses the port again */

	backend = backend_find(LB_FLOW_BACKEND_ID(word));
	if (!backend || backend->generation != LB_FLOW_GENERATION(word) ||
	    backend->state == LB_BACKEND_FREE)
		return flow_may_repick(p) ? LB_REASON_NO_FLOW : LB_REASON_BACKEND_GONE;
	if ((backend->state == LB_BACKEND_GONE || backend->service != service) &&
	    flow_may_repick(p))
		return LB_REASON_NO_FLOW;

	*ret_id = LB_FLOW_BACKEND_ID(word);
	*ret_backend = backend;
	return 0;
}

#endif
