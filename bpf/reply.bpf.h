/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way back: which frontend does the client believe it talks to, and where
 * do packets to it leave?
 */
#ifndef REPLY_BPF_H
#define REPLY_BPF_H

/* What a backend's packet tells of its side of the flow. */
static __always_inline void reply_touch(const struct packet *p, struct lb_reply *reply)
{
	__u8 state = flow_next_state(p, reply->state);
	__u32 now = flow_now_ticks();

	if (reply->seen_ticks != now)
		reply->seen_ticks = now;
	if (state != reply->state)
		reply->state = state;
	/* A SYN-ACK that is sent again says the same. */
	if ((p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == (TCP_FLAG_SYN | TCP_FLAG_ACK)) {
		reply->syn_ack_next = p->tcp_seq + 1;
		reply->flags |= LB_REPLY_F_SYN_ACK;
	}
}

/* No packet for too long, in neither direction?  As flow_is_expired(). */
static __always_inline bool reply_is_expired(const struct packet *p, const struct lb_reply *reply,
					     const bool v6)
{
	__u32 timeout = flow_timeout_ticks(p->protocol, reply->state);

	return flow_age_ticks(flow_now_ticks(), reply->seen_ticks) > timeout &&
	       !flow_of_reply_lives(p, reply, timeout, v6);
}

/*
 * A SYN-ACK answers a SYN that went by: then the client's flow is there, and
 * isn't at its end.  Else the client has come to the pod directly, from a port
 * that a flow of ours had before: the old entry has to go, or it would claim
 * the new connection.
 */
__noinline int reply_was_asked_for(const struct packet *p, const struct lb_reply *reply, bool v6)
{
	struct lb_flow *flow;
	union tuple key = {};

	if (!p || !reply)
		return 0; /* for the verifier: never */
	flow = flow_of_reply(p, reply, &key, v6);
	if (flow && flow->state != LB_FLOW_CLOSING)
		return 1;
	key = p->tuple;
	reply_delete(&key, v6);
	reply_delete_new(&key, v6);
	return 0;
}

/* May a packet from outside be the answer of a remote backend?  Those come to
 * this node's address, at a port that flows get. */
static __always_inline bool reply_is_possible(const union tuple *tuple, const bool v6)
{
	__u16 port = bpf_ntohs(v6 ? tuple->v6.dport : tuple->v4.dport);

	if ((__u16)(port - config_snat_port_first) >= config_snat_ports)
		return false;
	return v6 ? !((tuple->v6.dst[0] ^ settings.node_address6[0]) |
		      (tuple->v6.dst[1] ^ settings.node_address6[1]) |
		      (tuple->v6.dst[2] ^ settings.node_address6[2]) |
		      (tuple->v6.dst[3] ^ settings.node_address6[3]))
		  : tuple->v4.dst == settings.node_address4;
}

/* The reverse entry of a packet that a backend sends. */
static __always_inline enum lb_reason reply_resolve(const struct packet *p, struct lb_reply **ret,
						    const bool v6)
{
	struct lb_reply *reply = reply_find_any(&p->tuple, v6);

	if (!reply)
		return FLOW_NONE;
	/* Of a flow that is over: what the pod sends now answers somebody who
	 * came to it directly. */
	if (reply_is_expired(p, reply, v6))
		return FLOW_NONE;
	if ((p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == (TCP_FLAG_SYN | TCP_FLAG_ACK) &&
	    !reply_was_asked_for(p, reply, v6))
		return FLOW_NONE;
	reply_touch(p, reply);
	*ret = reply;
	return 0;
}

/*
 * The way to the client is remembered for one tick.  A tick later it is asked
 * anew, by whoever comes first: so a route that changed counts at once, also
 * where lbd is dead.
 */
static __always_inline bool reply_is_routed(const struct lb_reply *reply)
{
	return reply->ifindex && reply->routed_ticks == flow_now_ticks();
}

static __always_inline enum lb_reason reply_ask_route(void *ctx, __u32 ingress,
						      struct lb_reply *reply, bool v6)
{
	struct forward_route route = {};
	enum lb_reason reason;

	if (!reply)
		return LB_REASON_NO_ROUTE; /* for the verifier: never */
	__builtin_memcpy(route.src, reply->frontend, sizeof(route.src));
	__builtin_memcpy(route.dst, reply->client, sizeof(route.dst));
	reason = forward_ask(ctx, ingress, &route, v6);
	if (reason)
		return reason;
	__builtin_memcpy(reply->neighbour, route.neighbour, sizeof(reply->neighbour));
	reply->neighbour_family = route.family;
	reply->ifindex = route.ifindex;
	reply->next_hop = forward_next_hop(&route);
	reply->routed_ticks = flow_now_ticks();
	return 0;
}

/* Both: 0 or LB_REASON_NO_ROUTE. */
__noinline int reply_route(struct __sk_buff *skb, struct lb_reply *reply, bool v6)
{
	return reply_ask_route(skb, skb->ifindex, reply, v6);
}

__noinline int reply_route_xdp(struct xdp_md *ctx, struct lb_reply *reply, bool v6)
{
	return reply_ask_route(ctx, ctx->ingress_ifindex, reply, v6);
}

/* The tuple that the client is to see. */
static __always_inline void reply_target_tuple(const struct packet *p, const struct lb_reply *reply,
					       union tuple *ret, const bool v6)
{
	*ret = p->tuple;
	if (v6) {
		__builtin_memcpy(ret->v6.src, reply->frontend, sizeof(ret->v6.src));
		__builtin_memcpy(ret->v6.dst, reply->client, sizeof(ret->v6.dst));
		ret->v6.sport = reply->port;
		ret->v6.dport = reply->client_port;
	} else {
		ret->v4.src = reply->frontend[0];
		ret->v4.dst = reply->client[0];
		ret->v4.sport = reply->port;
		ret->v4.dport = reply->client_port;
	}
}

/* Of a stack flow with a port of this node's: a packet inside the node, between
 * client and backend, as the backend is to see it. */
static __always_inline void reply_inside_tuple(const struct packet *p, const struct lb_reply *reply,
					       union tuple *ret, const bool v6)
{
	*ret = p->tuple;
	if (v6) {
		flow_node_address6(ret->v6.src);
		ret->v6.sport = reply->snat_port;
	} else {
		ret->v4.src = settings.node_address4;
		ret->v4.sport = reply->snat_port;
	}
}

/* And what a remote backend sends to this node, as the client is to be named inside. */
static __always_inline void reply_enter_tuple(const struct packet *p, const struct lb_reply *reply,
					      union tuple *ret, const bool v6)
{
	*ret = p->tuple;
	if (v6) {
		__builtin_memcpy(ret->v6.dst, reply->client, sizeof(ret->v6.dst));
		ret->v6.dport = reply->client_port;
	} else {
		ret->v4.dst = reply->client[0];
		ret->v4.dport = reply->client_port;
	}
}

#endif
