/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 1, parse: from bytes to a struct packet.  The only place that checks
 * bounds and lengths; nothing is written.
 *
 * A packet whose lengths lie is not ours to judge: it ends as LB_REASON_BAD_HEADER,
 * which passes it on untouched.
 */
#ifndef PARSE_BPF_H
#define PARSE_BPF_H

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88A8
#define VLAN_ID 0x0fff /* of a tag; 0 = it tells a priority alone */
#define IPV6_EXTENSIONS_MAX 6
#define IPPROTO_ICMPV6 58
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_DEST 60

/* Bytes of headers that parse_packet() may look at: Ethernet, IP with options
 * or six extension headers of usual size, TCP. */
#define PARSE_HEADER_BYTES 134

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10

/* Key of the flow tables in either family. */
union tuple {
	struct lb_tuple4 v4;
	struct lb_tuple6 v6;
};

static __always_inline void tuple_reverse(const union tuple *t, union tuple *ret, const bool v6)
{
	*ret = *t;
	if (v6) {
		__builtin_memcpy(ret->v6.src, t->v6.dst, sizeof(ret->v6.src));
		__builtin_memcpy(ret->v6.dst, t->v6.src, sizeof(ret->v6.dst));
		ret->v6.sport = t->v6.dport;
		ret->v6.dport = t->v6.sport;
	} else {
		ret->v4.src = t->v4.dst;
		ret->v4.dst = t->v4.src;
		ret->v4.sport = t->v4.dport;
		ret->v4.dport = t->v4.sport;
	}
}

/* Of a datagram: all of it, its first part, which has the ports, or another. */
enum packet_part {
	PACKET_WHOLE,
	PACKET_FIRST,
	PACKET_LATER
};

/* What the steps need to know of a packet.  No pointers, so that functions of
 * their own can be handed it. */
struct packet {
	union tuple tuple;
	__u32 bytes;	/* from the IP header on, as the IP header says */
	__u32 l4_bytes; /* the same from the transport header on */
	__u32 tcp_seq;	/* host order, as tcp_ack */
	__u32 tcp_ack;
	__u16 ip_check;	 /* IPv4's header checksum */
	__u16 l4_offset; /* of the transport header from the frame's start */
	__u8 protocol;
	__u8 ttl;	/* or hop limit */
	__u8 tcp_flags; /* TCP_FLAG_*, 0 for UDP */
	__u8 tcp_header_bytes;
	__u8 part;     /* enum packet_part */
	__u8 from_pod; /* 1: a pod of this node sends it, or the node itself */
	__u8 stack;    /* 1: its flow goes through the stack (icmp_translate() says) */
	__u8 pad;
	__be32 fragment_id; /* IPv4: the 16 bits that there are */
};

/* Where its headers lie; valid until a helper changes the packet. */
struct headers {
	struct ethhdr *eth;
	union {
		void *l3;
		struct iphdr *ip4;
		struct ipv6hdr *ip6;
	};
	union {
		void *l4;
		struct tcphdr *tcp;
		struct udphdr *udp;
	};
	__u16 *check; /* of the transport header */
	void *end;
};

static __always_inline enum lb_reason parse_ports(struct packet *p, struct headers *h,
						  const bool v6)
{
	__be16 sport, dport;

	if (p->protocol == IPPROTO_TCP) {
		if (p->l4_bytes < sizeof(*h->tcp) || (void *)(h->tcp + 1) > h->end)
			return LB_REASON_BAD_HEADER;
		if (h->tcp->doff < 5 || h->tcp->doff * 4 > p->l4_bytes)
			return LB_REASON_BAD_HEADER;
		sport = h->tcp->source;
		dport = h->tcp->dest;
		p->tcp_flags = ((__u8 *)h->tcp)[13];
		p->tcp_header_bytes = h->tcp->doff * 4;
		p->tcp_seq = bpf_ntohl(h->tcp->seq);
		p->tcp_ack = bpf_ntohl(h->tcp->ack_seq);
		h->check = (__u16 *)&h->tcp->check;
	} else if (p->protocol == IPPROTO_UDP) {
		__u32 udp_bytes;

		if (p->l4_bytes < sizeof(*h->udp) || (void *)(h->udp + 1) > h->end)
			return LB_REASON_BAD_HEADER;
		udp_bytes = bpf_ntohs(h->udp->len);
		if (udp_bytes < sizeof(*h->udp) ||
		    (p->part == PACKET_WHOLE && udp_bytes > p->l4_bytes))
			return LB_REASON_BAD_HEADER;
		/* What the checksum covers; IP may carry padding behind it. */
		if (p->part == PACKET_WHOLE)
			p->l4_bytes = udp_bytes;
		sport = h->udp->source;
		dport = h->udp->dest;
		h->check = (__u16 *)&h->udp->check;
	} else {
		return LB_REASON_NOT_TCP_UDP;
	}

	if (v6) {
		p->tuple.v6.sport = sport;
		p->tuple.v6.dport = dport;
	} else {
		p->tuple.v4.sport = sport;
		p->tuple.v4.dport = dport;
	}
	return 0;
}

/* The bytes that an IP header's field says; 0 in a GSO packet too long for the field
 * (BIG TCP), whose frame alone tells. */
static __always_inline __u32 parse_length(__be16 field, __u32 frame_bytes)
{
	return field || frame_bytes <= 0xffff ? bpf_ntohs(field) : frame_bytes;
}

/* frame_bytes: from the IP header to the packet's end, which for a GSO packet
 * lies far behind h->end. */
static __always_inline enum lb_reason parse_ipv4(struct packet *p, struct headers *h,
						 __u32 frame_bytes)
{
	struct iphdr *ip = h->ip4;
	__u32 header_bytes;

	if ((void *)(ip + 1) > h->end || ip->version != 4 || ip->ihl < 5)
		return LB_REASON_BAD_HEADER;
	header_bytes = ip->ihl * 4;
	p->bytes = parse_length(ip->tot_len, frame_bytes);
	if (p->bytes > frame_bytes || p->bytes < header_bytes)
		return LB_REASON_BAD_HEADER;
	if (ip->frag_off & bpf_htons(0x3fff)) { /* more fragments, or an offset */
		p->part = ip->frag_off & bpf_htons(0x1fff) ? PACKET_LATER : PACKET_FIRST;
		p->fragment_id = ip->id;
	}
	p->protocol = ip->protocol;
	p->ttl = ip->ttl;
	p->ip_check = ip->check;
	h->l4 = h->l3 + header_bytes;
	p->l4_bytes = p->bytes - header_bytes;
	p->l4_offset = sizeof(struct ethhdr) + header_bytes;
	p->tuple.v4.src = ip->saddr;
	p->tuple.v4.dst = ip->daddr;
	p->tuple.v4.protocol = p->protocol;
	return p->part == PACKET_LATER ? LB_REASON_FRAGMENT : parse_ports(p, h, false);
}

static __always_inline enum lb_reason parse_ipv6(struct packet *p, struct headers *h,
						 __u32 frame_bytes)
{
	struct ipv6hdr *ip = h->ip6;
	__u32 offset = sizeof(*ip);
	__u8 next;
	int i;

	if ((void *)(ip + 1) > h->end || ip->version != 6)
		return LB_REASON_BAD_HEADER;
	if (frame_bytes < sizeof(*ip))
		return LB_REASON_BAD_HEADER;
	p->bytes = sizeof(*ip) + parse_length(ip->payload_len, frame_bytes - sizeof(*ip));
	if (p->bytes > frame_bytes)
		return LB_REASON_BAD_HEADER;

	next = ip->nexthdr;
#pragma unroll
	for (i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		struct ipv6_opt_hdr *extension;

		if (next == IPPROTO_TCP || next == IPPROTO_UDP || next == IPPROTO_ICMPV6)
			break;
		if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING && next != NEXTHDR_DEST &&
		    next != NEXTHDR_FRAGMENT)
			return LB_REASON_NOT_TCP_UDP;
		extension = h->l3 + offset;
		if ((void *)extension + 8 > h->end) /* none is shorter */
			return LB_REASON_BAD_HEADER;
		if (next == NEXTHDR_FRAGMENT) {
			__be16 position = ((__be16 *)extension)[1];

			p->fragment_id = ((__be32 *)extension)[1];
			/* Neither an offset nor more to come: a whole packet
			 * (RFC 6946). */
			if (position & bpf_htons(0xfff8))
				p->part = PACKET_LATER;
			else if (position & bpf_htons(1))
				p->part = PACKET_FIRST;
		}
		/* The address we see isn't where the packet ends. */
		if (next == NEXTHDR_ROUTING && ((__u8 *)extension)[3])
			return LB_REASON_NOT_TCP_UDP;
		offset += next == NEXTHDR_FRAGMENT ? 8 : (extension->hdrlen + 1) * 8;
		next = extension->nexthdr;
		if (p->part == PACKET_LATER)
			break; /* what follows is the middle of something */
	}
	if (offset > p->bytes)
		return LB_REASON_BAD_HEADER;
	p->protocol = next;
	p->ttl = ip->hop_limit;
	h->l4 = h->l3 + offset;
	p->l4_bytes = p->bytes - offset;
	p->l4_offset = sizeof(struct ethhdr) + offset;
	__builtin_memcpy(p->tuple.v6.src, &ip->saddr, 16);
	__builtin_memcpy(p->tuple.v6.dst, &ip->daddr, 16);
	p->tuple.v6.protocol = p->protocol;
	return p->part == PACKET_LATER ? LB_REASON_FRAGMENT : parse_ports(p, h, true);
}

/* Is a VLAN's tag what follows the MACs? */
static __always_inline bool parse_is_tag(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/* Ethernet frame of `protocol` (host order, ETH_P_IP or ETH_P_IPV6) between
 * data and end, whole length frame_bytes. */
static __always_inline enum lb_reason parse_packet(struct packet *p, struct headers *h, void *data,
						   void *end, __u32 frame_bytes, const bool v6)
{
	__builtin_memset(p, 0, sizeof(*p));
	h->eth = data;
	h->l3 = data + sizeof(struct ethhdr);
	h->end = end;
	if (h->l3 > end || frame_bytes < sizeof(struct ethhdr))
		return LB_REASON_BAD_HEADER;
	frame_bytes -= sizeof(struct ethhdr);
	return v6 ? parse_ipv6(p, h, frame_bytes) : parse_ipv4(p, h, frame_bytes);
}

#endif
