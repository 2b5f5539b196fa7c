/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 5, rewrite: the packet gets the addresses and ports of another tuple,
 * TTL falls by one, checksums follow.
 *
 * Twice, since the two mouths change packets differently: XDP writes bytes and
 * has found out what the checksum field holds (checksum.bpf.h); TC's helpers
 * know it from the socket buffer.
 *
 * In both headers source and destination lie side by side, as they do in a
 * tuple, and so do the two ports of either transport.
 */
#ifndef REWRITE_BPF_H
#define REWRITE_BPF_H

static __always_inline const __be32 *rewrite_addresses(const union tuple *t, const bool v6)
{
	return v6 ? t->v6.src : &t->v4.src;
}

/* Both ports as one word. */
static __always_inline __be32 rewrite_ports(const union tuple *t, const bool v6)
{
	return *(const __be32 *)(v6 ? &t->v6.sport : &t->v4.sport);
}

static __always_inline void rewrite_xdp(const struct packet *p, const struct headers *h,
					const union tuple *to, enum checksum_state state,
					const bool v6)
{
	const __be32 *from_words = rewrite_addresses(&p->tuple, v6);
	const __be32 *to_words = rewrite_addresses(to, v6);
	__u64 delta = 0;
	int i;

	/* Read from the packet again: clang 19 would have kept the words that
	 * checksum_state() has summed, two of them beyond the verifier's stack. */
	asm volatile("" : : "r"(p) : "memory");
#pragma unroll
	for (i = 0; i < (v6 ? 8 : 2); i++)
		delta += checksum_delta32(from_words[i], to_words[i]);

	if (state == CHECKSUM_PARTIAL) {
		/* A plain sum, and without the ports. */
		*h->check = checksum_fold(*h->check + delta);
	} else if (*h->check || p->protocol == IPPROTO_TCP) {
		*h->check = checksum_update(*h->check,
					    delta + checksum_delta32(rewrite_ports(&p->tuple, v6),
								     rewrite_ports(to, v6)));
		if (!*h->check && p->protocol == IPPROTO_UDP)
			*h->check = 0xffff; /* RFC 768: 0 means none */
	}

	if (v6) {
		__builtin_memcpy(&h->ip6->saddr, to_words, 32);
		h->ip6->hop_limit = p->ttl - 1;
	} else {
		/* TTL is the first byte of its 16-bit word. */
		h->ip4->check = checksum_update(p->ip_check,
						delta + checksum_delta16(bpf_htons(0x0100), 0));
		h->ip4->ttl = p->ttl - 1;
		h->ip4->saddr = to_words[0];
		h->ip4->daddr = to_words[1];
	}
	*(__be32 *)h->l4 = rewrite_ports(to, v6);
}

/* What a translation changes of an IPv4 header, as it lies there. */
struct rewrite_ip4 {
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 saddr;
	__be32 daddr;
};
_Static_assert(sizeof(struct rewrite_ip4) == 12, "bytes 8 to 19 of an IPv4 header");

/* The same of an IPv6 header. */
struct rewrite_ip6 {
	__u8 hop_limit;
	__be32 addresses[8];
} __attribute__((packed));
_Static_assert(sizeof(struct rewrite_ip6) == 33, "bytes 7 to 39 of an IPv6 header");

/* struct headers is invalid afterwards.  hops: what TTL falls by, 0 where the
 * stack does that. */
static __always_inline enum lb_reason rewrite_skb(struct __sk_buff *skb, const struct packet *p,
						  const union tuple *to, __u8 hops, const bool v6)
{
	__u32 bytes = v6 ? 32 : 8, l4 = p->l4_offset;
	bool tcp = p->protocol == IPPROTO_TCP;
	__u32 check_at = l4 + (tcp ? CHECKSUM_TCP_OFFSET : CHECKSUM_UDP_OFFSET);
	__be32 ports = rewrite_ports(to, v6);
	/* A UDP checksum of 0 stays 0, one that becomes 0 is written 0xffff. */
	__u64 mangled = tcp ? 0 : BPF_F_MARK_MANGLED_0;
	__s64 diff = bpf_csum_diff((__be32 *)rewrite_addresses(&p->tuple, v6), bytes,
				   (__be32 *)rewrite_addresses(to, v6), bytes, 0);
	/* A later fragment has no transport header; the checksum in the first
	 * one has followed for all of them. */
	bool has_l4 = p->part != PACKET_LATER;
	long err = 0;

	if (v6) {
		struct rewrite_ip6 ip = {.hop_limit = p->ttl - hops};

		__builtin_memcpy(ip.addresses, to->v6.src, sizeof(ip.addresses));
		/* The IPv6 flag (kernel 6.16, ead7f9b8de65) keeps the sum that a
		 * device has made over the packet right; older kernels refuse it. */
		if (has_l4)
			err = bpf_l4_csum_replace(skb, check_at, 0, diff,
						  BPF_F_PSEUDO_HDR | BPF_F_IPV6 | mangled);
		if (err == -EINVAL)
			err = bpf_l4_csum_replace(skb, check_at, 0, diff,
						  BPF_F_PSEUDO_HDR | mangled);
		if (err || bpf_skb_store_bytes(
				   skb, sizeof(struct ethhdr) + offsetof(struct ipv6hdr, hop_limit),
				   &ip, sizeof(ip), 0))
			return LB_REASON_REWRITE_FAILED;
	} else {
		struct rewrite_ip4 ip = {
			.ttl = p->ttl - hops,
			.protocol = p->protocol,
			.saddr = to->v4.src,
			.daddr = to->v4.dst,
		};

		ip.check = checksum_update(p->ip_check,
					   checksum_delta32(p->tuple.v4.src, ip.saddr) +
						   checksum_delta32(p->tuple.v4.dst, ip.daddr) +
						   checksum_delta16(bpf_htons(hops << 8), 0));
		if ((has_l4 &&
		     bpf_l4_csum_replace(skb, check_at, 0, diff, BPF_F_PSEUDO_HDR | mangled)) ||
		    bpf_skb_store_bytes(skb, sizeof(struct ethhdr) + offsetof(struct iphdr, ttl),
					&ip, sizeof(ip), 0))
			return LB_REASON_REWRITE_FAILED;
	}
	if (!has_l4)
		return 0;
	if (bpf_l4_csum_replace(skb, check_at, rewrite_ports(&p->tuple, v6), ports,
				mangled | sizeof(ports)) ||
	    bpf_skb_store_bytes(skb, l4, &ports, sizeof(ports), 0))
		return LB_REASON_REWRITE_FAILED;
	return 0;
}

#endif
