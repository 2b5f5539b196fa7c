/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The uplink's first mouth: XDP, client to backend, and remote backend to client.
 *
 * Twice: for generic mode as plain `xdp`, since behind a generic xdp.frags
 * program TC ingress would see no Ethernet header; for native mode as
 * `xdp.frags`, which drivers want for long packets.  What XDP can't do is left
 * untouched to lb_tc_uplink on the same device (LB_REASON_LEFT_TO_TC).
 */
#ifndef XDP_BPF_H
#define XDP_BPF_H

/* What a packet is to become. */
struct xdp_way {
	union tuple to;
	__u64 next_hop; /* LB_NEXT_HOP() */
	__u32 backend;	/* id, for the counters */
};

/* A client's packet: LB_REASON_FORWARDED and its way, or why not. */
static __always_inline enum lb_reason xdp_forward(struct packet *p, struct xdp_way *ret,
						  const bool v6)
{
	struct flow_target target;
	enum lb_reason reason;

	reason = frontend_check(p, v6);
	if (reason)
		return reason;
	reason = flow_resolve(p, &target, v6);
	if (reason)
		return reason;

	target.backend = flow_apart(target.backend);
	if (!target.backend) /* for the verifier, before 6.3: never */
		return LB_REASON_FLOW_NOT_STORED;
	if (target.flags & LB_FLOW_F_STACK)
		return LB_REASON_LEFT_TO_TC;
	flow_target_tuple(p, target.backend, target.snat_port, &ret->to, v6);
	ret->next_hop = *(volatile __u64 *)&target.backend->next_hop;
	ret->backend = target.id;
	return LB_REASON_FORWARDED;
}

/* A remote backend's answer: LB_REASON_REPLIED and its way, FLOW_NONE where it is
 * none, or why not. */
static __always_inline enum lb_reason xdp_undo(struct xdp_md *ctx, const struct packet *p,
					       struct xdp_way *ret, const bool v6)
{
	struct lb_reply *reply;
	enum lb_reason reason;

	reason = reply_resolve(p, &reply, v6);
	if (reason)
		return reason;
	if (reply->flags & LB_REPLY_F_STACK)
		return LB_REASON_LEFT_TO_TC;
	if (p->ttl <= 1)
		return LB_REASON_TTL_EXPIRED;
	if (!reply_is_routed(reply)) {
		reason = reply_route_xdp(ctx, reply, v6);
		if (reason)
			return reason;
	}
	reply_target_tuple(p, reply, &ret->to, v6);
	ret->next_hop = reply->next_hop;
	ret->backend = reply->backend;
	return LB_REASON_REPLIED;
}

/* Rewrite the packet and send it its way: 0, or LB_REASON_LEFT_TO_TC, and it is as
 * it was. */
static __always_inline enum lb_reason xdp_send(struct xdp_md *ctx, const struct packet *p,
					       struct headers *h, const struct xdp_way *way,
					       int *ret_action, const bool native, const bool v6)
{
	struct lb_device *device = forward_device(way->next_hop);
	enum checksum_state checksum;

	/* Generic redirect refuses a packet longer than the target's MTU, and
	 * most such are GSO packets: TC's matter. */
	if (!device || !LB_NEXT_HOP_MAC(way->next_hop) || p->bytes > device->mtu)
		return LB_REASON_LEFT_TO_TC;
	if (native && !(device->flags & LB_DEVICE_F_NATIVE))
		return LB_REASON_LEFT_TO_TC;
	checksum = checksum_state(ctx, p, *h->check, v6);
	/* A native redirect loses what the socket buffer knew: nobody would
	 * finish a partial one. */
	if (checksum == CHECKSUM_UNDECIDABLE || (native && checksum == CHECKSUM_PARTIAL))
		return LB_REASON_LEFT_TO_TC;
	rewrite_xdp(p, h, &way->to, checksum, v6);
	forward_ethernet(h->eth, way->next_hop, device);
	*ret_action = bpf_redirect(device->ifindex, 0);
	return 0;
}

static __always_inline enum lb_reason xdp_steer(struct xdp_md *ctx, struct packet *p,
						struct headers *h, int *ret_action,
						const bool native, const bool v6)
{
	enum lb_reason reason = FLOW_NONE, failed;
	struct xdp_way way;

	/* In memory: clang 14 would spill parts of it on ways out where they
	 * aren't set. */
	asm volatile("" : : "r"(&way) : "memory");
	if (reply_is_possible(&p->tuple, v6))
		reason = xdp_undo(ctx, p, &way, v6);
	if (reason == FLOW_NONE)
		reason = xdp_forward(p, &way, v6);
	if (!count_is_done(reason))
		return reason;
	failed = xdp_send(ctx, p, h, &way, ret_action, native, v6);
	if (failed)
		return failed;
	if (reason == LB_REASON_FORWARDED)
		count_in(way.backend, p->bytes);
	else
		count_reply(way.backend, p->bytes);
	return reason;
}

static __always_inline enum lb_reason xdp_receive(struct xdp_md *ctx, struct packet *p,
						  struct headers *h, __u32 frame_bytes,
						  int *ret_action, const bool native, const bool v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	enum lb_reason reason = parse_packet(p, h, data, end, frame_bytes, v6);

	if (!reason && p->part != PACKET_WHOLE)
		reason = LB_REASON_FRAGMENT;
	return reason ? reason : xdp_steer(ctx, p, h, ret_action, native, v6);
}

static __always_inline bool xdp_mac_is(const struct ethhdr *eth, __u32 uplink)
{
	return !((*(__u32 *)eth->h_dest ^ *(volatile __u32 *)settings.uplinks[uplink].mac) |
		 (*(__u16 *)(eth->h_dest + 4) ^
		  *(volatile __u16 *)(settings.uplinks[uplink].mac + 4)));
}

/* Is the frame for one of several uplinks, and did it come in there?  A device that
 * isn't among them is part of one that is (a bond's, in native mode). */
__noinline int xdp_is_for_any(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	bool known = false, is_for_one = false;
	struct ethhdr *eth = data;
	__u32 i;

	if ((void *)(eth + 1) > end)
		return 0; /* for the verifier: never */
#pragma clang loop unroll(disable)
	for (i = 0; i < LB_MAX_UPLINKS && settings.uplinks[i].ifindex; i++) {
		bool here = settings.uplinks[i].ifindex == ctx->ingress_ifindex;

		if (xdp_mac_is(eth, i)) {
			if (here)
				return 1;
			is_for_one = true;
		}
		known |= here;
	}
	return is_for_one && !known;
}

/* Is the frame for this node?  Not so one that a promiscuous device, or a switch that
 * floods, has let in, nor one to many: no service answers those. */
static __always_inline bool xdp_is_for_us(struct xdp_md *ctx, const struct ethhdr *eth)
{
	/* The only uplink: where else did it come in? */
	if (xdp_mac_is(eth, 0) && !settings.uplinks[1].ifindex)
		return true;
	return xdp_is_for_any(ctx);
}

/* Why a frame that isn't IP passes.  The kernel takes a tag that tells a priority
 * alone for none, and so does TC. */
static __always_inline enum lb_reason xdp_other_protocol(const struct ethhdr *eth, const void *end)
{
	const __be16 *tag = (const __be16 *)(eth + 1);

	if (!parse_is_tag(eth->h_proto) || (const void *)(tag + 1) > end)
		return LB_REASON_NOT_IP;
	return *tag & bpf_htons(VLAN_ID) ? LB_REASON_VLAN : LB_REASON_LEFT_TO_TC;
}

static __always_inline int xdp_run(struct xdp_md *ctx, const bool native)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 frame_bytes = native ? bpf_xdp_get_buff_len(ctx) : end - data;
	enum lb_reason reason = LB_REASON_BAD_HEADER;
	struct ethhdr *eth = data;
	int action = XDP_PASS;
	struct headers h;
	struct packet p;

	if ((void *)(eth + 1) <= end) {
		if (!xdp_is_for_us(ctx, eth))
			reason = LB_REASON_OTHER_MAC;
		else if (eth->h_proto == bpf_htons(ETH_P_IP))
			reason = xdp_receive(ctx, &p, &h, frame_bytes, &action, native, false);
		else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
			reason = xdp_receive(ctx, &p, &h, frame_bytes, &action, native, true);
		else
			reason = xdp_other_protocol(eth, end);
	}
	if (count_is_done(reason))
		return action;
	/* Refusals are built by TC. */
	if (count_verdict(reason) == LB_VERDICT_REJECT)
		reason = LB_REASON_LEFT_TO_TC;
	count_reason(reason, frame_bytes > sizeof(*eth) ? frame_bytes - sizeof(*eth) : 0);
	return count_verdict(reason) == LB_VERDICT_DROP ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int lb_xdp(struct xdp_md *ctx)
{
	return xdp_run(ctx, false);
}

SEC("xdp.frags")
int lb_xdp_native(struct xdp_md *ctx)
{
	return xdp_run(ctx, true);
}

#endif
