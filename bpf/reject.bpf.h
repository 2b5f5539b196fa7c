/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Refusals: the packet becomes its own answer, RST for TCP (RFC 9293, 3.10.7.1),
 * port unreachable for UDP (RFC 1122, 3.2.2.1; RFC 4443, 3.1), from the address
 * that the client tried.
 *
 * TC alone does this.  The packet's transport checksum may be partial: a device
 * will write a sum into the old checksum field when the answer leaves.  A RST
 * has its own field at the same place; an unreachable quotes the field, and its
 * checksum is made for the bytes that the device will leave there.
 */
#ifndef REJECT_BPF_H
#define REJECT_BPF_H

#define REJECT_TTL 64
#define REJECT_BURST 50
#define REJECT_NS_PER_SECOND 1000000000ULL

/* What an error may be long in all: RFC 1812, 4.3.2.3; RFC 4443, 2.4. */
#define REJECT_MAX_BYTES4 576
#define REJECT_MAX_BYTES6 1280

#define ICMP_UNREACHABLE_BYTES 8
#define ICMP_TYPE_UNREACHABLE 3
#define ICMP_CODE_PORT 3
#define ICMPV6_TYPE_UNREACHABLE 1
#define ICMPV6_CODE_PORT 4
#define ICMP_CODE_FRAGMENTATION 4
#define ICMPV6_TYPE_TOO_BIG 2
#define REJECT_TOS 0xc0 /* internetwork control: RFC 1812, 4.3.2.5 */

struct reject_tcp {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window;
	__u16 check;
	__be16 urgent;
};

struct reject_icmp_header {
	__u8 type, code;
	__u16 check;
	__be32 mtu; /* of too big alone */
};

/* Take one of this CPU's tokens. */
static __always_inline bool reject_allowed(void)
{
	__u64 now = bpf_ktime_get_coarse_ns(), fresh;
	struct lb_tokens *bucket;
	__u32 zero = 0;

	bucket = bpf_map_lookup_elem(&reject_tokens, &zero);
	if (!bucket)
		return false;
	fresh = (now - bucket->refilled_ns) * config_reject_rate / REJECT_NS_PER_SECOND;
	if (fresh) {
		bucket->tokens = fresh + bucket->tokens < REJECT_BURST ? fresh + bucket->tokens
								       : REJECT_BURST;
		bucket->refilled_ns = now;
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

/* Will a device finish this checksum?  TC isn't told, but its helper knows: a
 * change of data that isn't in the pseudo-header leaves a partial one alone. */
static __always_inline bool reject_is_partial(struct __sk_buff *skb, __u32 check_at)
{
	__u16 before = 0, after = 0;

	if (bpf_skb_load_bytes(skb, check_at, &before, sizeof(before)) ||
	    bpf_l4_csum_replace(skb, check_at, 0, bpf_htons(1), sizeof(before)) ||
	    bpf_skb_load_bytes(skb, check_at, &after, sizeof(after)))
		return false;
	if (before == after)
		return true;
	bpf_skb_store_bytes(skb, check_at, &before, sizeof(before), 0);
	return false;
}

/* Sum over the pseudo-header of the answer, whose addresses are the packet's
 * the other way round. */
static __always_inline __u64 reject_pseudo(const struct packet *p, __u32 bytes, __u8 protocol,
					   const bool v6)
{
	__u64 sum = (__u64)bpf_htons(protocol) + bpf_htonl(bytes);

	return sum +
	       (v6 ? checksum_sum32(p->tuple.v6.src, 8) : checksum_sum32(&p->tuple.v4.src, 2));
}

/* Write the answer's IP header behind the Ethernet header. */
static __always_inline long reject_store_ip(struct __sk_buff *skb, const struct packet *p,
					    __u32 l4_bytes, __u8 protocol, const bool v6)
{
	if (v6) {
		struct ipv6hdr ip = {
			.version = 6,
			.payload_len = bpf_htons(l4_bytes),
			.nexthdr = protocol,
			.hop_limit = REJECT_TTL,
		};

		__builtin_memcpy(&ip.saddr, p->tuple.v6.dst, sizeof(ip.saddr));
		__builtin_memcpy(&ip.daddr, p->tuple.v6.src, sizeof(ip.daddr));
		return bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &ip, sizeof(ip), 0);
	}
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = protocol == IPPROTO_ICMP ? REJECT_TOS : 0,
		.tot_len = bpf_htons(sizeof(ip) + l4_bytes),
		.frag_off = bpf_htons(0x4000), /* don't fragment */
		.ttl = REJECT_TTL,
		.protocol = protocol,
		.saddr = p->tuple.v4.dst,
		.daddr = p->tuple.v4.src,
	};

	ip.check = ~checksum_fold(checksum_sum32(&ip, sizeof(ip) / 4));
	return bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &ip, sizeof(ip), 0);
}

static __always_inline enum lb_reason reject_tcp(struct __sk_buff *skb, const struct packet *p,
						 const bool v6)
{
	__u32 at = sizeof(struct ethhdr) + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	bool partial = reject_is_partial(skb, p->l4_offset + CHECKSUM_TCP_OFFSET);
	struct reject_tcp tcp = {
		.sport = v6 ? p->tuple.v6.dport : p->tuple.v4.dport,
		.dport = v6 ? p->tuple.v6.sport : p->tuple.v4.sport,
		.offset = sizeof(tcp) / 4 << 4,
		.flags = TCP_FLAG_RST,
	};
	__u64 pseudo = reject_pseudo(p, sizeof(tcp), IPPROTO_TCP, v6);

	/* The device knows where the field was: with options before it, it
	 * would write into the wrong place. */
	if (partial && p->l4_offset != at)
		return LB_REASON_REWRITE_FAILED;
	if (p->tcp_flags & TCP_FLAG_ACK) {
		tcp.seq = bpf_htonl(p->tcp_ack);
	} else {
		tcp.flags |= TCP_FLAG_ACK;
		tcp.ack = bpf_htonl(p->tcp_seq + p->l4_bytes - p->tcp_header_bytes +
				    !!(p->tcp_flags & TCP_FLAG_SYN) +
				    !!(p->tcp_flags & TCP_FLAG_FIN));
	}
	tcp.check = partial ? checksum_fold(pseudo)
			    : ~checksum_fold(pseudo + checksum_sum32(&tcp, sizeof(tcp) / 4));

	if (bpf_skb_change_tail(skb, at + sizeof(tcp), 0) ||
	    bpf_skb_store_bytes(skb, at, &tcp, sizeof(tcp), BPF_F_INVALIDATE_HASH) ||
	    reject_store_ip(skb, p, sizeof(tcp), IPPROTO_TCP, v6))
		return LB_REASON_REWRITE_FAILED;
	return 0;
}

/* Port unreachable, or, where mtu isn't 0, too big (RFC 1191, 4; RFC 4443, 3.2). */
static __always_inline enum lb_reason reject_icmp(struct __sk_buff *skb, const struct packet *p,
						  __u32 mtu, const bool v6)
{
	__u32 room = (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + ICMP_UNREACHABLE_BYTES;
	__u32 most = (v6 ? REJECT_MAX_BYTES6 : REJECT_MAX_BYTES4) - room;
	__u32 quoted = p->bytes < most ? p->bytes : most;
	__u32 check_at = p->l4_offset +
			 (p->protocol == IPPROTO_TCP ? CHECKSUM_TCP_OFFSET : CHECKSUM_UDP_OFFSET);
	bool partial = reject_is_partial(skb, check_at);
	struct reject_icmp_header icmp = {
		.type = v6 ? ICMPV6_TYPE_UNREACHABLE : ICMP_TYPE_UNREACHABLE,
		.code = v6 ? ICMPV6_CODE_PORT : ICMP_CODE_PORT,
		.mtu = bpf_htonl(mtu),
	};
	__u64 sum;
	__u16 check = 0;
	int quote_sum;

	if (mtu && v6) {
		icmp.type = ICMPV6_TYPE_TOO_BIG;
		icmp.code = 0;
	} else if (mtu) {
		icmp.code = ICMP_CODE_FRAGMENTATION;
	}
	sum = (__u64)bpf_htons(icmp.type << 8 | icmp.code) + icmp.mtu;

	if (v6) /* RFC 4443, 2.3 */
		sum += reject_pseudo(p, ICMP_UNREACHABLE_BYTES + quoted, IPPROTO_ICMPV6, v6);
	if (bpf_skb_change_tail(skb, sizeof(struct ethhdr) + quoted, 0))
		return LB_REASON_REWRITE_FAILED;
	if (partial) {
		/* The device will make the quoted datagram sum up to the
		 * complement of what the field holds now. */
		if (bpf_skb_load_bytes(skb, check_at, &check, sizeof(check)))
			return LB_REASON_REWRITE_FAILED;
		sum += (__u16)~check;
		quoted = p->l4_offset - sizeof(struct ethhdr);
	}
	quote_sum = checksum_sum_skb(skb, sizeof(struct ethhdr), quoted);
	if (quote_sum < 0)
		return LB_REASON_REWRITE_FAILED;
	icmp.check = ~checksum_fold(sum + quote_sum);

	if (bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_store_bytes(skb, sizeof(struct ethhdr) + room - ICMP_UNREACHABLE_BYTES, &icmp,
				sizeof(icmp), BPF_F_INVALIDATE_HASH) ||
	    reject_store_ip(skb, p, ICMP_UNREACHABLE_BYTES + (p->bytes < most ? p->bytes : most),
			    v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, v6))
		return LB_REASON_REWRITE_FAILED;
	return 0;
}

/*
 * Answer a packet that is refused for `reason`; what is returned takes its
 * place in the counters.  Nothing answers a RST, or an address that has no way
 * back.
 */
__noinline int reject_send(struct __sk_buff *skb, const struct packet *p, int reason, __u32 mtu,
			   bool v6)
{
	struct forward_route route = {};
	enum lb_reason failed;

	if (!p)
		return LB_REASON_REWRITE_FAILED; /* for the verifier: never */
	if (p->tcp_flags & TCP_FLAG_RST || p->part == PACKET_LATER)
		return LB_REASON_REJECT_SILENT;
	forward_set_ends(&route, p, true, v6);
	failed = forward_find_route(skb, &route, v6);
	if (failed)
		return failed;
	if (!reject_allowed())
		return LB_REASON_REJECT_SILENT;
	if (p->protocol == IPPROTO_TCP && !mtu)
		failed = reject_tcp(skb, p, v6);
	else
		failed = reject_icmp(skb, p, mtu, v6);
	if (failed)
		return failed;
	return forward_neighbour(route.ifindex, route.family, route.neighbour) == TC_ACT_REDIRECT
		       ? reason
		       : LB_REASON_REWRITE_FAILED;
}

#endif
