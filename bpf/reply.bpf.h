/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way back: which frontend does the client believe it talks to, and where
 * do packets to it leave?
 */
#ifndef REPLY_BPF_H
#define REPLY_BPF_H

#define AF_INET 2
#define AF_INET6 10

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
		return LB_REASON_NO_FLOW;
	reply_touch(p, reply);
	*ret = reply;
	return 0;
}

/*
 * Find the way to the client and remember it for one tick.  The question is
 * asked as if the translated packet were to be forwarded, so rules by source
 * address hold.  A tick later it is asked anew, by whoever comes first: so a
 * route that changed counts within a second, also where lbd is dead.
 */
static __always_inline enum lb_reason reply_route(struct __sk_buff *skb, const struct packet *p,
						  struct lb_reply *reply, const bool v6)
{
	struct bpf_fib_lookup fib = {.ifindex = skb->ifindex};
	__u32 now = flow_now_ticks();
	long result;

	if (reply->ifindex && reply->routed_ticks == now)
		return 0;
	if (v6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, reply->frontend, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, p->tuple.v6.dst, sizeof(fib.ipv6_dst));
	} else {
		fib.family = AF_INET;
		fib.ipv4_src = reply->frontend[0];
		fib.ipv4_dst = p->tuple.v4.dst;
	}
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH: /* found out by bpf_redirect_neigh */
		break;
	default: /* unreachable, our own address, or forwarding is switched off */
		return LB_REASON_NO_ROUTE;
	}
	reply->neighbour_family = fib.family;
	if (fib.family == AF_INET6)
		__builtin_memcpy(reply->neighbour, fib.ipv6_dst, sizeof(reply->neighbour));
	else
		reply->neighbour[0] = fib.ipv4_dst;
	reply->ifindex = fib.ifindex;
	reply->routed_ticks = now;
	return 0;
}

#endif
