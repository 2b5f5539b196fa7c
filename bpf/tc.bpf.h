/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TC mouths: ingress of the uplink (client to backend: all of it with
 * --hook tc, else what XDP left) and ingress of a pod's device (backend to
 * client, and the pod as a client).
 */
#ifndef TC_BPF_H
#define TC_BPF_H

/* TC_ACT_UNSPEC, TCX_NEXT: to the next program and the kernel.  Never
 * TC_ACT_OK, which would end the chain. */
#define TC_NEXT (-1)
#define TC_PACKET_HOST 0 /* skb->pkt_type: for this machine */

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
		return reject_send(skb, p, reason, v6);
	if (reason)
		return reason;
	device = forward_device(*(volatile __u64 *)&target.backend->next_hop);
	if (!device)
		return LB_REASON_NO_ROUTE;
	flow_target_tuple(p, target.backend, target.snat_port, &to, v6);
	reason = rewrite_skb(skb, p, &to, v6);
	if (reason)
		return reason;
	if (p->part == PACKET_FIRST)
		fragment_store(p, v6);
	count_in(target.id, p->bytes);
	*ret_action =
		forward_neighbour(device->ifindex, v6 ? AF_INET6 : AF_INET, target.backend->addr);
	return LB_REASON_FORWARDED;
}

/* A backend's answer. */
static __always_inline enum lb_reason tc_undo(struct __sk_buff *skb, struct packet *p,
					      int *ret_action, const bool v6)
{
	struct lb_backend *backend;
	struct lb_reply *reply;
	enum lb_reason reason;
	union tuple to;

	reason = reply_resolve(p, &reply, v6);
	if (reason)
		return reason;
	if (p->ttl <= 1)
		return LB_REASON_TTL_EXPIRED;
	reason = reply_route(skb, reply, v6);
	if (reason)
		return reason;
	reply_target_tuple(p, reply, &to, v6);
	reason = rewrite_skb(skb, p, &to, v6);
	if (reason)
		return reason;
	if (p->part == PACKET_FIRST)
		fragment_store(p, v6);
	backend = backend_find(reply->backend);
	count_out(backend && backend->state != LB_BACKEND_FREE ? reply->backend : 0, p->bytes);
	*ret_action = forward_neighbour(reply->ifindex, reply->neighbour_family, reply->neighbour);
	return LB_REASON_REPLIED;
}

/* What parse refused with `reason` may be an error about a flow of ours. */
static __always_inline enum lb_reason tc_icmp(struct __sk_buff *skb, const struct packet *p,
					      enum lb_reason reason, int *ret_action,
					      const bool from_pod, const bool v6)
{
	if (reason != LB_REASON_NOT_TCP_UDP || p->protocol != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return reason;
	*ret_action = TC_ACT_REDIRECT; /* icmp_translate() says where to */
	return icmp_translate(skb, p, from_pod, v6);
}

static __always_inline enum lb_reason tc_from_client(struct __sk_buff *skb, struct packet *p,
						     int *ret_action, const bool v6)
{
	enum lb_reason reason = tc_parse(skb, p, v6);

	if (reason == LB_REASON_FRAGMENT)
		reason = fragment_complete(p, v6);
	if (reason)
		return tc_icmp(skb, p, reason, ret_action, false, v6);
	return tc_forward(skb, p, ret_action, v6);
}

/* A pod answers, or is a client itself. */
static __always_inline enum lb_reason tc_from_pod(struct __sk_buff *skb, struct packet *p,
						  int *ret_action, const bool v6)
{
	enum lb_reason reason = tc_parse(skb, p, v6);

	if (reason == LB_REASON_FRAGMENT)
		reason = fragment_complete(p, v6);
	if (reason)
		return tc_icmp(skb, p, reason, ret_action, true, v6);
	reason = tc_undo(skb, p, ret_action, v6);
	return reason == FLOW_NONE ? tc_forward(skb, p, ret_action, v6) : reason;
}

static __always_inline int tc_end(const struct __sk_buff *skb, enum lb_reason reason, int action)
{
	if (!count_is_done(reason))
		count_reason(reason, skb->len > sizeof(struct ethhdr)
					     ? skb->len - sizeof(struct ethhdr)
					     : 0);
	switch (count_verdict(reason)) {
	case LB_VERDICT_SENT:
		return action;
	case LB_VERDICT_REJECT:
		return TC_ACT_REDIRECT; /* reject_send() said where to */
	case LB_VERDICT_DROP:
		return TC_ACT_SHOT;
	default:
		return TC_NEXT;
	}
}

SEC("tc")
int lb_tc_uplink(struct __sk_buff *skb)
{
	enum lb_reason reason = LB_REASON_NOT_IP;
	int action = TC_NEXT;
	struct packet p;

	/* A frame with a VLAN tag belongs to the VLAN's device, and one for
	 * another machine's MAC, flooded by a switch, to that machine. */
	if (skb->vlan_present || skb->pkt_type != TC_PACKET_HOST)
		return tc_end(skb, reason, action);
	tc_pull_headers(skb);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		reason = tc_from_client(skb, &p, &action, false);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		reason = tc_from_client(skb, &p, &action, true);
	return tc_end(skb, reason, action);
}

SEC("tc")
int lb_tc_pod(struct __sk_buff *skb)
{
	enum lb_reason reason = LB_REASON_NOT_IP;
	int action = TC_NEXT;
	struct packet p;

	if (skb->vlan_present || skb->pkt_type != TC_PACKET_HOST)
		return tc_end(skb, reason, action);
	tc_pull_headers(skb);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		reason = tc_from_pod(skb, &p, &action, false);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		reason = tc_from_pod(skb, &p, &action, true);
	return tc_end(skb, reason, action);
}

#endif
