// SPDX-License-Identifier: GPL-2.0-only
/*
 * What surrounds the datapath when it is measured: the packet is made anew
 * before each run, since a program that is fed its own output measures
 * nothing, and the program under test is entered by a tail call.  `bare` is
 * the least that a load balancer could do: parse, rewrite, redirect, without a
 * single look-up.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "packet.h"

#define NULL ((void *)0)
#define TC_ACT_SHOT 2
#define ETH_P_IP 0x0800

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet_template);
} templates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test_xdp SEC(".maps"), under_test_tc SEC(".maps");

__u32 next;

/* Write the number of the next flow into the client's address and port. */
static __always_inline void number(const struct packet_template *t, void *data)
{
	/* An odd factor permutes the flows: neighbours in time are none in memory. */
	__u32 n = (next++ * 2654435761u) & (t->flows - 1);
	__be32 source = bpf_htonl(0x0a400000 + (n >> 12));
	__be16 port = bpf_htons(1024 + (n & 4095));

	/* The last word of the source's address, or of the destination's. */
	if (t->v6 && t->replies) {
		*(__be32 *)(data + 50) = source;
		*(__be16 *)(data + 56) = port;
	} else if (t->v6) {
		*(__be32 *)(data + 34) = source;
		*(__be16 *)(data + 54) = port;
	} else if (t->replies) {
		*(__be32 *)(data + 30) = source;
		*(__be16 *)(data + 36) = port;
	} else {
		*(__be32 *)(data + 26) = source;
		*(__be16 *)(data + 34) = port;
	}
}

SEC("xdp")
int reset_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct packet_template *t = bpf_map_lookup_elem(&templates, &zero);

	if (!t || data + PACKET_HEADER_BYTES > end)
		return XDP_ABORTED;
	__builtin_memcpy(data, t->bytes, PACKET_HEADER_BYTES);
	if (t->flows)
		number(t, data);
	bpf_tail_call(ctx, &under_test_xdp, 0);
	return XDP_ABORTED;
}

SEC("tc")
int reset_tc(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct packet_template *t = bpf_map_lookup_elem(&templates, &zero);
	void *data, *end;

	if (!t)
		return TC_ACT_SHOT;
	if (skb->len != t->length && bpf_skb_change_tail(skb, t->length, 0))
		return TC_ACT_SHOT;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + PACKET_HEADER_BYTES > end)
		return TC_ACT_SHOT;
	__builtin_memcpy(data, t->bytes, PACKET_HEADER_BYTES);
	if (t->flows)
		number(t, data);
	bpf_tail_call(skb, &under_test_tc, 0);
	return TC_ACT_SHOT;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

SEC("xdp")
int bare_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u64 delta;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end || ip->ihl != 5)
			return XDP_PASS;
		delta = (__u64)(__u32)~ip->daddr + bpf_htonl(0x0af40102) + (__u16)~tcp->dest +
			bpf_htons(5000);
		tcp->check = ~fold((__u16)~tcp->check + delta);
		ip->check = ~fold((__u16)~ip->check + delta + (__u16)~bpf_htons(0x0100));
		ip->ttl--;
		ip->daddr = bpf_htonl(0x0af40102);
		tcp->dest = bpf_htons(5000);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);
		struct tcphdr *tcp = (void *)(ip + 1);
		__be32 *to;

		if ((void *)(tcp + 1) > end)
			return XDP_PASS;
		to = (__be32 *)&ip->daddr;
		delta = (__u64)(__u32)~to[0] + (__u32)~to[1] + (__u32)~to[2] + (__u32)~to[3] +
			0xfd00 + 2 + (__u16)~tcp->dest + bpf_htons(5000);
		tcp->check = ~fold((__u16)~tcp->check + delta);
		ip->hop_limit--;
		to[0] = 0xfd00;
		to[1] = to[2] = 0;
		to[3] = 2;
		tcp->dest = bpf_htons(5000);
	}
	__builtin_memset(eth->h_dest, 2, 6);
	__builtin_memset(eth->h_source, 4, 6);
	return bpf_redirect(1, 0);
}

/* The same by TC's helpers. */
SEC("tc")
int bare_tc(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	bool v6 = skb->protocol != bpf_htons(ETH_P_IP);
	__u32 l4 = sizeof(struct ethhdr) + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	__be32 from[4] = {}, to[4] = {2, 0, 0, 2};
	struct bpf_redir_neigh nh = {.nh_family = 2, .ipv4_nh = 2};
	__be16 port, new_port = bpf_htons(5000);
	__s64 diff;

	if (data + 74 > end)
		return -1;
	__builtin_memcpy(from, data + (v6 ? 38 : 30), 16);
	port = *(__be16 *)(data + (v6 ? 56 : 36));
	diff = bpf_csum_diff(from, v6 ? 16 : 4, to, v6 ? 16 : 4, 0);
	bpf_l4_csum_replace(skb, l4 + 16, 0, diff, BPF_F_PSEUDO_HDR);
	bpf_l4_csum_replace(skb, l4 + 16, port, new_port, 2);
	bpf_skb_store_bytes(skb, v6 ? 38 : 30, to, v6 ? 16 : 4, 0);
	bpf_skb_store_bytes(skb, l4 + 2, &new_port, 2, 0);
	return bpf_redirect_neigh(1, &nh, sizeof(nh), 0);
}

char LICENSE[] SEC("license") = "GPL";
