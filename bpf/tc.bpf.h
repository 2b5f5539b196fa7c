/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TC mouths: ingress of the uplink (client to backend, and remote backend to
 * client: all of it with --hook tc, else what XDP left), ingress of a pod's device
 * (backend to client, and the pod as a client), and egress of both (stack flows).
 */
#ifndef TC_BPF_H
#define TC_BPF_H

/* TC_ACT_UNSPEC, TCX_NEXT: to the next program and the kernel.  Never
 * TC_ACT_OK, which would end the chain. */
#define TC_NEXT (-1)
#define TC_PACKET_HOST 0 /* skb->pkt_type: for this machine */
#define TC_ANY_MTU 1280	 /* that every link takes (RFC 8200, 5) */

/* Make the headers readable, wherever they lie in the socket buffer. */
static __always_inline void tc_pull_headers(struct __sk_buff *skb)
{
	__u32 wanted = skb->len < PARSE_HEADER_BYTES ? skb->len : PARSE_HEADER_BYTES;

	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, wanted);
}

static __always_inline enum lb_reason tc_parse(struct __sk_buff *skb, struct packet *p,
					       const bool v6)
{
	struct headers h;

	return parse_packet(p, &h, (void *)(long)skb->data, (void *)(long)skb->data_end, skb->len,
			    v6);
}

/* Give the packet another tuple, and its later fragments the same way.  hops: as for
 * rewrite_skb(). */
static __always_inline enum lb_reason tc_rewrite(struct __sk_buff *skb, const struct packet *p,
						 const union tuple *to, __u8 hops, const bool v6)
{
	enum lb_reason reason = rewrite_skb(skb, p, to, hops, v6);

	if (!reason && p->part == PACKET_FIRST)
		fragment_store(p, v6);
	return reason;
}

/* A client's packet for the kernel to route: only its destination changes, so
 * that the stack sees one connection between client and backend. */
static __always_inline enum lb_reason tc_to_stack(struct __sk_buff *skb, const struct packet *p,
						  const union tuple *to, __u32 backend,
						  int *ret_action, const bool v6)
{
	enum lb_reason reason = tc_rewrite(skb, p, to, 0, v6);

	if (reason)
		return reason;
	count_in(backend, p->bytes);
	*ret_action = TC_NEXT;
	return LB_REASON_FORWARDED;
}

/* A client's packet. */
static __always_inline enum lb_reason tc_forward(struct __sk_buff *skb, struct packet *p,
						 int *ret_action, const bool v6)
{
	struct flow_target target;
	struct lb_device *device;
	enum lb_reason reason;
	union tuple to;

	reason = frontend_check(p, v6);
	if (reason)
		return reason;
	reason = flow_resolve(p, &target, v6);
	if (count_verdict(reason) == LB_VERDICT_REJECT)
		return reject_send(skb, p, reason, 0, v6);
	if (reason)
		return reason;
	target.backend = flow_apart(target.backend);
	if (!target.backend) /* for the verifier, before 6.3: never */
		return LB_REASON_FLOW_NOT_STORED;
	/* A stack flow gets its port where the packet leaves. */
	flow_target_tuple(p, target.backend, target.flags & LB_FLOW_F_STACK ? 0 : target.snat_port,
			  &to, v6);
	if (target.flags & LB_FLOW_F_STACK)
		return tc_to_stack(skb, p, &to, target.id, ret_action, v6);
	device = forward_device(*(volatile __u64 *)&target.backend->next_hop);
	if (!device)
		return LB_REASON_NO_ROUTE;
	if (p->bytes > device->mtu && !skb->gso_size)
		return reject_send(skb, p, LB_REASON_TOO_BIG, device->mtu, v6);
	reason = tc_rewrite(skb, p, &to, 1, v6);
	if (reason)
		return reason;
	count_in(target.id, p->bytes);
	*ret_action = forward_backend(device->ifindex, target.backend, v6);
	return LB_REASON_FORWARDED;
}

/* Let an answer come from the frontend. */
static __always_inline enum lb_reason tc_untranslate(struct __sk_buff *skb, const struct packet *p,
						     const struct lb_reply *reply, __u8 hops,
						     const bool v6)
{
	enum lb_reason reason;
	union tuple to;

	reply_target_tuple(p, reply, &to, v6);
	reason = tc_rewrite(skb, p, &to, hops, v6);
	if (reason)
		return reason;
	count_reply(reply->backend, p->bytes);
	return LB_REASON_REPLIED;
}

/* What a remote backend answers in a stack flow: to the client, for the kernel to
 * route. */
static __always_inline enum lb_reason tc_enter(struct __sk_buff *skb, const struct packet *p,
					       const struct lb_reply *reply, const bool v6)
{
	union tuple to;

	reply_enter_tuple(p, reply, &to, v6);
	return tc_rewrite(skb, p, &to, 0, v6) ?: LB_REASON_STACK;
}

/* A backend's answer, from a pod's device or from outside. */
static __always_inline enum lb_reason tc_undo(struct __sk_buff *skb, struct packet *p,
					      int *ret_action, const bool outside, const bool v6)
{
	struct lb_reply *reply;
	enum lb_reason reason;
	__u32 mtu = 0;

	reason = reply_resolve(p, &reply, v6);
	if (reason)
		return reason;
	if (reply->flags & LB_REPLY_F_STACK)
		return outside ? tc_enter(skb, p, reply, v6) : LB_REASON_STACK;
	if (p->ttl <= 1)
		return LB_REASON_TTL_EXPIRED;
	if (!reply_is_routed(reply)) {
		reason = reply_route(skb, reply, v6);
		if (reason)
			return reason;
	}
	if (p->bytes > TC_ANY_MTU && !skb->gso_size &&
	    bpf_check_mtu(skb, reply->ifindex, &mtu, 0, 0) == BPF_MTU_CHK_RET_FRAG_NEEDED)
		return reject_send(skb, p, LB_REASON_TOO_BIG, mtu, v6);
	reason = tc_untranslate(skb, p, reply, 1, v6);
	if (reason != LB_REASON_REPLIED)
		return reason;
	*ret_action = forward_neighbour(reply->ifindex, reply->neighbour_family, reply->neighbour);
	return LB_REASON_REPLIED;
}

/* A stack flow's packet to a remote backend, on its way out: from this node. */
static __always_inline enum lb_reason tc_snat_leaving(struct __sk_buff *skb, struct packet *p,
						      const bool v6)
{
	struct lb_reply *reply;
	union tuple key, to;

	tuple_reverse(&p->tuple, &key, v6);
	reply = reply_find_any(&key, v6);
	if (!reply || !reply->snat_port)
		return FLOW_NONE;
	reply_inside_tuple(p, reply, &to, v6);
	return tc_rewrite(skb, p, &to, 0, v6) ?: LB_REASON_STACK;
}

/* A stack flow's packet, on its way out. */
static __always_inline enum lb_reason tc_translate_leaving(struct __sk_buff *skb, struct packet *p,
							   const bool v6)
{
	struct lb_reply *reply;
	enum lb_reason reason = reply_resolve(p, &reply, v6);

	if (!reason && reply->flags & LB_REPLY_F_STACK)
		return tc_untranslate(skb, p, reply, 0, v6);
	return settings.stack_snat_used ? tc_snat_leaving(skb, p, v6) : FLOW_NONE;
}

/* What parse refused with `reason` may be an error about a flow of ours. */
static __always_inline enum lb_reason tc_icmp(struct __sk_buff *skb, struct packet *p,
					      enum lb_reason reason, int *ret_action,
					      enum icmp_mouth mouth, const bool v6)
{
	if (reason != LB_REASON_NOT_TCP_UDP || p->protocol != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return reason;
	reason = icmp_translate(skb, p, mouth, v6);
	/* Else icmp_translate() has said where to. */
	*ret_action = p->stack ? TC_NEXT : TC_ACT_REDIRECT;
	return reason;
}

/* Of a packet that comes in. */
static __always_inline enum lb_reason tc_parse_incoming(struct __sk_buff *skb, struct packet *p,
							const bool v6)
{
	enum lb_reason reason = tc_parse(skb, p, v6);

	if (reason == LB_REASON_FRAGMENT)
		reason = fragment_complete(p, v6);
	return reason == LB_REASON_FRAGMENT ? fragment_judge(skb, p, v6) : reason;
}

/* A client's packet, or a remote backend's. */
static __always_inline enum lb_reason tc_from_outside(struct __sk_buff *skb, struct packet *p,
						      int *ret_action, const bool v6)
{
	enum lb_reason reason = tc_parse_incoming(skb, p, v6);

	if (reason)
		return tc_icmp(skb, p, reason, ret_action, ICMP_FROM_OUTSIDE, v6);
	if (reply_is_possible(&p->tuple, v6)) {
		reason = tc_undo(skb, p, ret_action, true, v6);
		if (reason != FLOW_NONE)
			return reason;
	}
	return tc_forward(skb, p, ret_action, v6);
}

/* A pod answers, or is a client itself. */
static __always_inline enum lb_reason tc_from_pod(struct __sk_buff *skb, struct packet *p,
						  int *ret_action, const bool v6)
{
	enum lb_reason reason = tc_parse_incoming(skb, p, v6);

	if (reason)
		return tc_icmp(skb, p, reason, ret_action, ICMP_FROM_POD, v6);
	reason = tc_undo(skb, p, ret_action, false, v6);
	p->from_pod = 1;
	return reason == FLOW_NONE ? tc_forward(skb, p, ret_action, v6) : reason;
}

/* The kernel sends a packet out, to a client or to a pod that is one. */
static __always_inline enum lb_reason tc_leaving(struct __sk_buff *skb, struct packet *p,
						 int *ret_action, const bool v6)
{
	enum lb_reason reason = tc_parse(skb, p, v6);

	if (reason == LB_REASON_FRAGMENT)
		reason = fragment_complete(p, v6);
	if (reason)
		return tc_icmp(skb, p, reason, ret_action, ICMP_LEAVING, v6);
	return tc_translate_leaving(skb, p, v6);
}

static __always_inline int tc_end(struct __sk_buff *skb, enum lb_reason reason, int action)
{
	if (!count_is_done(reason))
		count_reason(reason, skb->len > sizeof(struct ethhdr)
					     ? skb->len - sizeof(struct ethhdr)
					     : 0);
	switch (count_verdict(reason)) {
	case LB_VERDICT_SENT:
		/* It has a priority of the link where it came in. */
		if (skb->vlan_present)
			bpf_skb_vlan_pop(skb);
		return action;
	case LB_VERDICT_REJECT:
		return TC_ACT_REDIRECT; /* reject_send() said where to */
	case LB_VERDICT_DROP:
		return TC_ACT_SHOT;
	default:
		return TC_NEXT;
	}
}

/* Is the frame for this node?  0, or why it passes: one for another machine's MAC,
 * flooded by a switch, is that machine's, and one of a VLAN its device's. */
static __always_inline enum lb_reason tc_check_frame(const struct __sk_buff *skb, __be16 protocol)
{
	if (skb->pkt_type != TC_PACKET_HOST)
		return LB_REASON_OTHER_MAC;
	if ((skb->vlan_present && skb->vlan_tci & VLAN_ID) || parse_is_tag(protocol))
		return LB_REASON_VLAN;
	return 0;
}

SEC("tc")
int lb_tc_uplink(struct __sk_buff *skb)
{
	/* Read once: clang would change the context's address for a second time. */
	__be16 protocol = skb->protocol;
	enum lb_reason reason = tc_check_frame(skb, protocol);
	int action = TC_NEXT;
	struct packet p;

	if (reason)
		return tc_end(skb, reason, action);
	tc_pull_headers(skb);
	if (protocol == bpf_htons(ETH_P_IP))
		reason = tc_from_outside(skb, &p, &action, false);
	else if (protocol == bpf_htons(ETH_P_IPV6))
		reason = tc_from_outside(skb, &p, &action, true);
	else
		reason = LB_REASON_NOT_IP;
	return tc_end(skb, reason, action);
}

SEC("tc")
int lb_tc_pod(struct __sk_buff *skb)
{
	__be16 protocol = skb->protocol;
	enum lb_reason reason = tc_check_frame(skb, protocol);
	int action = TC_NEXT;
	struct packet p;

	if (reason)
		return tc_end(skb, reason, action);
	tc_pull_headers(skb);
	if (protocol == bpf_htons(ETH_P_IP))
		reason = tc_from_pod(skb, &p, &action, false);
	else if (protocol == bpf_htons(ETH_P_IPV6))
		reason = tc_from_pod(skb, &p, &action, true);
	else
		reason = LB_REASON_NOT_IP;
	return tc_end(skb, reason, action);
}

/*
 * Egress of uplinks and pods' devices: the other half of the stack path.  What
 * isn't an answer of a stack flow passes uncounted: most of it has been counted
 * where it came in.
 */
SEC("tc")
int lb_tc_egress(struct __sk_buff *skb)
{
	enum lb_reason reason = LB_REASON_NOT_IP;
	int action = TC_NEXT;
	struct packet p;

	if (!settings.stack_used || skb->vlan_present)
		return TC_NEXT;
	tc_pull_headers(skb);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		reason = tc_leaving(skb, &p, &action, false);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		reason = tc_leaving(skb, &p, &action, true);
	/* LB_REASON_STACK, too: it was counted as forwarded. */
	if (reason == FLOW_NONE || count_verdict(reason) == LB_VERDICT_PASS)
		return TC_NEXT;
	return tc_end(skb, reason, TC_NEXT);
}

#endif
