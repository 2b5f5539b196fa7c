/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The uplink's first mouth: XDP, client to backend.
 *
 * Twice: for generic mode as plain `xdp`, since behind a generic xdp.frags
 * program TC ingress would see no Ethernet header; for native mode as
 * `xdp.frags`, which drivers want for long packets.  What XDP can't do is left
 * untouched to lb_tc_uplink on the same device (LB_REASON_LEFT_TO_TC).
 */
#ifndef XDP_BPF_H
#define XDP_BPF_H

static __always_inline enum lb_reason xdp_steer(struct xdp_md *ctx, struct packet *p,
						struct headers *h, int *ret_action,
						const bool native, const bool v6)
{
	enum checksum_state checksum;
	struct flow_target target;
	struct lb_device *device;
	enum lb_reason reason;
	union tuple to;
	__u64 next_hop;

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
	next_hop = *(volatile __u64 *)&target.backend->next_hop;
	device = forward_device(next_hop);
	/* Generic redirect refuses a packet longer than the target's MTU, and
	 * most such are GSO packets: TC's matter. */
	if (!device || !LB_NEXT_HOP_MAC(next_hop) || p->bytes > device->mtu)
		return LB_REASON_LEFT_TO_TC;
	if (native && !(device->flags & LB_DEVICE_F_NATIVE))
		return LB_REASON_LEFT_TO_TC;
	checksum = checksum_state(ctx, p, *h->check, v6);
	/* A native redirect loses what the socket buffer knew: nobody would
	 * finish a partial one. */
	if (checksum == CHECKSUM_UNDECIDABLE || (native && checksum == CHECKSUM_PARTIAL))
		return LB_REASON_LEFT_TO_TC;

	flow_target_tuple(p, target.backend, target.snat_port, &to, v6);
	rewrite_xdp(p, h, &to, checksum, v6);
	forward_ethernet(h->eth, next_hop, device);
	count_in(target.id, p->bytes);
	*ret_action = bpf_redirect(device->ifindex, 0);
	return LB_REASON_FORWARDED;
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
		/* Sent to all, or to many: nothing that a service answers. */
		if (eth->h_dest[0] & 1)
			reason = LB_REASON_NOT_IP;
		else if (eth->h_proto == bpf_htons(ETH_P_IP))
			reason = xdp_receive(ctx, &p, &h, frame_bytes, &action, native, false);
		else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
			reason = xdp_receive(ctx, &p, &h, frame_bytes, &action, native, true);
		else
			reason = LB_REASON_NOT_IP;
	}
	if (reason == LB_REASON_FORWARDED) /* counted */
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
