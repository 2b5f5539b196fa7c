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
	if (v6) {
		__builtin_memcpy(key.v6.src, reply->client, sizeof(key.v6.src));
		__builtin_memcpy(key.v6.dst, reply->frontend, sizeof(key.v6.dst));
		key.v6.sport = reply->client_port;
		key.v6.dport = reply->port;
		key.v6.protocol = p->protocol;
	} else {
		key.v4.src = reply->client[0];
		key.v4.dst = reply->frontend[0];
		key.v4.sport = reply->client_port;
		key.v4.dport = reply->port;
		key.v4.protocol = p->protocol;
	}
	flow = flow_find(&key, v6) ?: flow_find_new(&key, v6);
	if (flow && flow->state != LB_FLOW_CLOSING &&
	    LB_FLOW_BACKEND_ID(flow->backend) == reply->backend)
		return 1;
	key = p->tuple;
	reply_delete(&key, v6);
	reply_delete_new(&key, v6);
	return 0;
}

/* The reverse entry of a packet that a pod sends. */
static __always_inline enum lb_reason reply_resolve(const struct packet *p, struct lb_reply **ret,
						    const bool v6)
{
	struct lb_reply *reply = reply_find(&p->tuple, v6);

	if (!reply)
		reply = reply_find_new(&p->tuple, v6);
	if (!reply || reply->tag != flow_tag(&p->tuple, v6))
		return FLOW_NONE;
	/* Of a flow that is over: what the pod sends now answers somebody who
	 * came to it directly. */
	if (flow_age_ticks(flow_now_ticks(), reply->seen_ticks) >
	    flow_timeout_ticks(p->protocol, reply->state))
		return FLOW_NONE;
	if ((p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == (TCP_FLAG_SYN | TCP_FLAG_ACK) &&
	    !reply_was_asked_for(p, reply, v6))
		return FLOW_NONE;
	reply_touch(p, reply);
	*ret = reply;
	return 0;
}

/*
 * Find the way to the client and remember it for one tick.  A tick later it is
 * asked anew, by whoever comes first: so a route that changed counts at once,
 * also where lbd is dead.
 */
static __always_inline enum lb_reason reply_route(struct __sk_buff *skb, struct lb_reply *reply,
						  const bool v6)
{
	struct forward_route route = {};
	__u32 now = flow_now_ticks();
	enum lb_reason reason;

	if (reply->ifindex && reply->routed_ticks == now)
		return 0;
	__builtin_memcpy(route.src, reply->frontend, sizeof(route.src));
	__builtin_memcpy(route.dst, reply->client, sizeof(route.dst));
	reason = forward_find_route(skb, &route, v6);
	if (reason)
		return reason;
	__builtin_memcpy(reply->neighbour, route.neighbour, sizeof(reply->neighbour));
	reply->neighbour_family = route.family;
	reply->ifindex = route.ifindex;
	reply->routed_ticks = now;
	return 0;
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

#endif
