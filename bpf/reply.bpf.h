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
	__u8 state = p->tcp_flags & (TCP_FLAG_FIN | TCP_FLAG_RST) ? LB_FLOW_CLOSING
		     : reply->state == LB_FLOW_NEW		  ? LB_FLOW_ESTABLISHED
								  : reply->state;
	__u32 now = flow_now_ticks();

	if (reply->seen_ticks != now)
		reply->seen_ticks = now;
	if (state != reply->state)
		reply->state = state;
	/* A SYN-ACK that is sent again says the same. */
	if ((p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == (TCP_FLAG_SYN | TCP_FLAG_ACK)) {
		reply->syn_ack_next = p->tcp_seq + 1;
		reply->syn_ack = 1;
	}
}

/* The reverse entry of a packet that a pod sends. */
static __always_inline enum lb_reason reply_resolve(const struct packet *p, struct lb_reply **ret,
						    const bool v6)
{
	struct lb_reply *reply = reply_find(&p->tuple, v6);

	if (!reply)
		reply = reply_find_new(&p->tuple, v6);
	if (!reply || reply->tag != hash_tag(p->hash))
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
