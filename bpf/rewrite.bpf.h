/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 5, rewrite: one address and one port of the packet change, TTL falls by
 * one, checksums follow.
 *
 * Twice, since the two mouths change packets differently: XDP writes bytes and
 * has found out what the checksum field holds (checksum.bpf.h); TC's helpers
 * know it from the socket buffer.
 */
#ifndef REWRITE_BPF_H
#define REWRITE_BPF_H

#define REWRITE_SOURCE true
#define REWRITE_DESTINATION false

/* addr: 1 or 4 words, in network order, as port. */
static __always_inline void rewrite_xdp(const struct packet *p, const struct headers *h,
					const __be32 *addr, __be16 port, enum checksum_state state,
					const bool source, const bool v6)
{
	__be32 *field = v6 ? (source ? (__be32 *)&h->ip6->saddr : (__be32 *)&h->ip6->daddr)
			   : (source ? (__be32 *)&h->ip4->saddr : (__be32 *)&h->ip4->daddr);
	/* Both transports begin with source and destination port. */
	__be16 *port_field = (__be16 *)h->l4 + (source ? 0 : 1);
	__u64 delta = checksum_delta_address(field, addr, v6);
	__u16 *check = h->check;

	if (state == CHECKSUM_PARTIAL) {
		/* A plain sum, and without the ports. */
		*check = checksum_fold(*check + delta);
	} else if (*check || p->protocol == IPPROTO_TCP) {
		*check = checksum_update(*check, delta + checksum_delta16(*port_field, port));
		if (!*check && p->protocol == IPPROTO_UDP)
			*check = 0xffff; /* RFC 768: 0 means none */
	}

	if (v6) {
		__builtin_memcpy(field, addr, 16);
		h->ip6->hop_limit--;
	} else {
		/* TTL is the first byte of its 16-bit word. */
		delta += checksum_delta16(bpf_htons(0x0100), 0);
		*field = *addr;
		h->ip4->ttl--;
		h->ip4->check = checksum_update(h->ip4->check, delta);
	}
	*port_field = port;
}

/* From TTL to the addresses: what a translation changes of an IPv4 header. */
struct rewrite_ip4 {
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 saddr;
	__be32 daddr;
};
_Static_assert(sizeof(struct rewrite_ip4) == 12, "bytes 8 to 19 of an IPv4 header");

/* struct headers is invalid afterwards. */
static __always_inline enum lb_reason rewrite_skb(struct __sk_buff *skb, const struct packet *p,
						  const __be32 *addr, __be16 port,
						  const bool source, const bool v6)
{
	bool tcp = p->protocol == IPPROTO_TCP;
	__u32 l4 = p->l4_offset;
	__u32 check_at = l4 + (tcp ? CHECKSUM_TCP_OFFSET : CHECKSUM_UDP_OFFSET);
	__be16 old_port = v6 ? (source ? p->tuple.v6.sport : p->tuple.v6.dport)
			     : (source ? p->tuple.v4.sport : p->tuple.v4.dport);
	/* A UDP checksum of 0 stays 0, one that becomes 0 is written 0xffff. */
	__u64 mangled = tcp ? 0 : BPF_F_MARK_MANGLED_0;
	long err;

	if (v6) {
		const __be32 *field = source ? p->tuple.v6.src : p->tuple.v6.dst;
		__u32 at = sizeof(struct ethhdr) + (source ? offsetof(struct ipv6hdr, saddr)
							   : offsetof(struct ipv6hdr, daddr));
		__s64 diff = bpf_csum_diff((__be32 *)field, 16, (__be32 *)addr, 16, 0);
		__u8 hop_limit = p->ttl - 1;

		/* The IPv6 flag (kernel 6.16, ead7f9b8de65) keeps the sum that a
		 * device has made over the packet right; older kernels refuse it. */
		err = bpf_l4_csum_replace(skb, check_at, 0, diff,
					  BPF_F_PSEUDO_HDR | BPF_F_IPV6 | mangled);
		if (err == -EINVAL)
			err = bpf_l4_csum_replace(skb, check_at, 0, diff,
						  BPF_F_PSEUDO_HDR | mangled);
		err = err ?: bpf_skb_store_bytes(skb, at, addr, 16, 0);
		err = err
			      ?: bpf_skb_store_bytes(skb,
						     sizeof(struct ethhdr) +
							     offsetof(struct ipv6hdr, hop_limit),
						     &hop_limit, sizeof(hop_limit), 0);
	} else {
		struct rewrite_ip4 ip = {
			.ttl = p->ttl - 1,
			.protocol = p->protocol,
			.saddr = source ? *addr : p->tuple.v4.src,
			.daddr = source ? p->tuple.v4.dst : *addr,
		};
		__be32 old = source ? p->tuple.v4.src : p->tuple.v4.dst;

		ip.check = checksum_update(p->ip_check,
					   checksum_delta32(old, *addr) +
						   checksum_delta16(bpf_htons(0x0100), 0));
		err = bpf_l4_csum_replace(skb, check_at, old, *addr,
					  BPF_F_PSEUDO_HDR | mangled | sizeof(old));
		err = err
			      ?: bpf_skb_store_bytes(
					 skb, sizeof(struct ethhdr) + offsetof(struct iphdr, ttl),
					 &ip, sizeof(ip), 0);
	}
	err = err ?: bpf_l4_csum_replace(skb, check_at, old_port, port, mangled | sizeof(port));
	err = err ?: bpf_skb_store_bytes(skb, l4 + (source ? 0 : 2), &port, sizeof(port), 0);
	return err ? LB_REASON_REWRITE_FAILED : 0;
}

#endif
