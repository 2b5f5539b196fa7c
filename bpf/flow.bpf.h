/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 3, flow: the backend that a flow has, or a new one (flow_begin.bpf.h).
 *
 * A flow is two entries, written by whoever translates forward: the reverse
 * one first (replies), so that no backend can answer before its answer can be
 * undone, then the forward one (flows).  A flow is never moved to another
 * backend while its own lives.
 *
 * Flows are looked up before their frontend.  Most packets of a flow need its
 * entry and its backend alone; a SYN, and a packet that is the first in its
 * tick, are looked at closer (flow_review).  So flows outlive a Service that is
 * deleted, until lbd frees its backends.
 */
#ifndef FLOW_BPF_H
#define FLOW_BPF_H

/* No flow has a say: not a reason, the caller goes on. */
#define FLOW_NONE LB_REASON_MAX

/* CLOCK_MONOTONIC in ticks; jiffies follow it. */
static __always_inline __u32 flow_now_ticks(void)
{
	return (bpf_jiffies64() - config_jiffies_start) * config_jiffy_ns >> LB_TICK_SHIFT;
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

/* Without the seed: an entry's tag must still be right when lbd comes back with
 * another one.  The seed comes in where a slot is picked. */
static __always_inline __u64 flow_hash(const struct packet *p, const bool v6)
{
	return v6 ? hash_tuple6(&p->tuple.v6, 0) : hash_tuple4(&p->tuple.v4, 0);
}

/* Ticks since an entry was written; another CPU may have written a newer tick
 * than ours: that is no age. */
static __always_inline __u32 flow_age_ticks(__u32 now, __u32 seen)
{
	return (__s32)(now - seen) > 0 ? now - seen : 0;
}

/* What a flow comes to. */
struct flow_target {
	struct lb_backend *backend;
	__u32 id;	  /* the backend's */
	__be16 snat_port; /* as in lb_flow */
	__u8 flags;	  /* as in lb_flow */
};

/* Word by word: a copy by memcpy would lose volatile. */
static __always_inline void flow_node_address6(__be32 ret[4])
{
	ret[0] = settings.node_address6[0];
	ret[1] = settings.node_address6[1];
	ret[2] = settings.node_address6[2];
	ret[3] = settings.node_address6[3];
}

/* The tuple that the backend is to see. */
static __always_inline void flow_target_tuple(const struct packet *p,
					      const struct lb_backend *backend, __be16 snat_port,
					      union tuple *ret, const bool v6)
{
	*ret = p->tuple;
	if (v6) {
		__builtin_memcpy(ret->v6.dst, backend->addr, sizeof(ret->v6.dst));
		ret->v6.dport = backend->port;
		if (snat_port) {
			flow_node_address6(ret->v6.src);
			ret->v6.sport = snat_port;
		}
	} else {
		ret->v4.dst = backend->addr[0];
		ret->v4.dport = backend->port;
		if (snat_port) {
			ret->v4.src = settings.node_address4;
			ret->v4.sport = snat_port;
		}
	}
}

/* Key of replies for what the backend will answer to p: what it sees, the
 * other way round. */
static __always_inline void flow_reply_key(const struct packet *p, const struct lb_backend *backend,
					   __be16 snat_port, union tuple *ret, const bool v6)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	if (v6) {
		__builtin_memcpy(ret->v6.src, backend->addr, sizeof(ret->v6.src));
		if (snat_port)
			flow_node_address6(ret->v6.dst);
		else
			__builtin_memcpy(ret->v6.dst, p->tuple.v6.src, sizeof(ret->v6.dst));
		ret->v6.sport = backend->port;
		ret->v6.dport = snat_port ?: p->tuple.v6.sport;
		ret->v6.protocol = p->protocol;
	} else {
		ret->v4.src = backend->addr[0];
		ret->v4.dst = snat_port ? settings.node_address4 : p->tuple.v4.src;
		ret->v4.sport = backend->port;
		ret->v4.dport = snat_port ?: p->tuple.v4.sport;
		ret->v4.protocol = p->protocol;
	}
}

/* The state after a packet that isn't the flow's first.  A RST may be anybody's
 * who knows the four numbers: data after it says that the connection lives. */
static __always_inline __u8 flow_next_state(const struct packet *p, __u8 state)
{
	if (p->tcp_flags & (TCP_FLAG_FIN | TCP_FLAG_RST))
		return LB_FLOW_CLOSING;
	if (state == LB_FLOW_CLOSING && p->l4_bytes > p->tcp_header_bytes)
		return LB_FLOW_ESTABLISHED;
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

/* Is the reverse entry the flow's own?  Once a flow is over, another may have got its
 * key. */
static __always_inline bool flow_owns(const struct packet *p, const struct lb_reply *reply, bool v6)
{
	const __be32 *src = p->tuple.v6.src, *dst = p->tuple.v6.dst;

	if (!v6)
		return reply->frontend[0] == p->tuple.v4.dst && reply->port == p->tuple.v4.dport &&
		       reply->client[0] == p->tuple.v4.src &&
		       reply->client_port == p->tuple.v4.sport;
	return reply->port == p->tuple.v6.dport && reply->client_port == p->tuple.v6.sport &&
	       !((reply->frontend[0] ^ dst[0]) | (reply->frontend[1] ^ dst[1]) |
		 (reply->frontend[2] ^ dst[2]) | (reply->frontend[3] ^ dst[3]) |
		 (reply->client[0] ^ src[0]) | (reply->client[1] ^ src[1]) |
		 (reply->client[2] ^ src[2]) | (reply->client[3] ^ src[3]));
}

/* The state that the backend's packets have given the flow's reverse entry, and
 * how long ago the last one was: seldom asked, so functions of their own. */
__noinline int flow_reply_state(const struct packet *p, __u32 backend_id, __u16 snat_port, bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_reply *reply;
	union tuple key;

	if (!p || !backend)
		return LB_FLOW_NEW;
	flow_reply_key(p, backend, snat_port, &key, v6);
	reply = reply_find(&key, v6) ?: reply_find_new(&key, v6);
	return reply && flow_owns(p, reply, v6) ? reply->state : LB_FLOW_NEW;
}

__noinline int flow_reply_age_ticks(const struct packet *p, __u32 backend_id, __u16 snat_port,
				    bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_reply *reply;
	union tuple key;

	if (!p || !backend)
		return 0x7fffffff;
	flow_reply_key(p, backend, snat_port, &key, v6);
	reply = reply_find(&key, v6) ?: reply_find_new(&key, v6);
	return reply && flow_owns(p, reply, v6)
		       ? flow_age_ticks(flow_now_ticks(), reply->seen_ticks)
		       : 0x7fffffff;
}

/* The forward entry of a reverse one, NULL = it is lost, or another backend's by now.
 * key: room for its key, all zero. */
static __always_inline struct lb_flow *
flow_of_reply(const struct packet *p, const struct lb_reply *reply, union tuple *key, bool v6)
{
	struct lb_flow *flow;

	if (v6) {
		__builtin_memcpy(key->v6.src, reply->client, sizeof(key->v6.src));
		__builtin_memcpy(key->v6.dst, reply->frontend, sizeof(key->v6.dst));
		key->v6.sport = reply->client_port;
		key->v6.dport = reply->port;
		key->v6.protocol = p->protocol;
	} else {
		key->v4.src = reply->client[0];
		key->v4.dst = reply->frontend[0];
		key->v4.sport = reply->client_port;
		key->v4.dport = reply->port;
		key->v4.protocol = p->protocol;
	}
	flow = flow_find(key, v6) ?: flow_find_new(key, v6);
	return flow && LB_FLOW_BACKEND_ID(flow->backend) == reply->backend ? flow : NULL;
}

/* Has the client sent something within these ticks? */
__noinline int flow_of_reply_lives(const struct packet *p, const struct lb_reply *reply,
				   __u32 ticks, bool v6)
{
	struct lb_flow *flow;
	union tuple key = {};

	if (!p || !reply)
		return 0; /* for the verifier: never */
	flow = flow_of_reply(p, reply, &key, v6);
	return flow && flow_age_ticks(flow_now_ticks(), flow->seen_ticks) <= ticks;
}

/* No packet for too long, in neither direction?  The reverse entry is asked
 * only when the forward one is old. */
static __always_inline bool flow_is_expired(const struct packet *p, const struct lb_flow *flow,
					    __u32 now, const bool v6)
{
	__u32 timeout = flow_timeout_ticks(p->protocol, flow->state);

	return flow_age_ticks(now, flow->seen_ticks) > timeout &&
	       (__u32)flow_reply_age_ticks(p, LB_FLOW_BACKEND_ID(flow->backend), flow->snat_port,
					   v6) > timeout;
}

/*
 * A closer look at a known flow: for each SYN, for the first packet in a tick,
 * and where the backend isn't what it was.  Returns 0 where the flow goes on,
 * FLOW_NONE where its entry has no say any more, or LB_REASON_NOT_SERVICE.
 */
__noinline int flow_review(const struct packet *p, const struct lb_flow *flow, __u32 backend_id,
			   bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_frontend frontend;

	if (!p || !flow || !backend)
		return FLOW_NONE; /* for the verifier: never */
	if (flow_is_expired(p, flow, flow_now_ticks(), v6))
		return FLOW_NONE;
	if (!flow_may_repick(p))
		return 0;
	/* The Service is deleted: what is there goes on, nothing begins. */
	if (frontend_find(p, &frontend, v6))
		return flow_is_syn(p) ? LB_REASON_NOT_SERVICE : 0;
	if (backend->state == LB_BACKEND_GONE || backend->service != frontend.service)
		return FLOW_NONE;
	if (backend->flags & (LB_BACKEND_F_DOWN | LB_BACKEND_F_NOT_SERVING) &&
	    (!flow_is_syn(p) || flow->state == LB_FLOW_NEW))
		return FLOW_NONE;
	/* The client uses the port again: after its own end, or the backend's. */
	if (flow_is_syn(p) &&
	    (flow->state == LB_FLOW_CLOSING ||
	     flow_reply_state(p, backend_id, flow->snat_port, v6) == LB_FLOW_CLOSING))
		return FLOW_NONE;
	return 0;
}

/* May packets be sent to the backend that a flow names? */
static __always_inline bool flow_backend_lives(const struct lb_backend *backend, __u64 word)
{
	return backend->generation == LB_FLOW_GENERATION(word) &&
	       backend->state != LB_BACKEND_FREE && LB_NEXT_HOP_DEVICE(backend->next_hop);
}

/*
 * The backend of a flow that is known.  FLOW_NONE where the entry has
 * no say: it is stale, it is another key's by now, or its backend is gone and
 * nothing is lost by a new one.  LB_REASON_BACKEND_GONE where a connection is
 * lost.
 */
static __always_inline enum lb_reason flow_hit(const struct packet *p, const struct lb_flow *flow,
					       __u32 now, struct flow_target *ret, const bool v6)
{
	__u64 word = *(volatile __u64 *)&flow->backend;
	struct lb_backend *backend;
	enum lb_reason reason;

	if (LB_FLOW_TAG(word) != flow_tag(&p->tuple, v6))
		return FLOW_NONE;
	backend = backend_find(LB_FLOW_BACKEND_ID(word));
	if (!backend)
		return FLOW_NONE;
	if (flow->seen_ticks != now || flow_is_syn(p) || backend->state != LB_BACKEND_ACTIVE) {
		reason = flow_review(p, flow, LB_FLOW_BACKEND_ID(word), v6);
		if (reason)
			return reason;
	}
	/* Freed, somebody else's, or no device leads to it now.  A route may come back:
	 * that alone ends no connection. */
	if (!flow_backend_lives(backend, word)) {
		if (flow_may_repick(p))
			return FLOW_NONE;
		return backend->generation == LB_FLOW_GENERATION(word) &&
				       backend->state == LB_BACKEND_ACTIVE
			       ? LB_REASON_NO_ROUTE
			       : LB_REASON_BACKEND_GONE;
	}

	*ret = (struct flow_target){backend, LB_FLOW_BACKEND_ID(word), flow->snat_port,
				    flow->flags};
	return 0;
}

#endif
