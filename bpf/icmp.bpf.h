/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ICMP and ICMPv6 errors about flows that are translated: they quote a packet
 * (RFC 792, RFC 4443), and whoever gets them must find the packet there that
 * it has sent.  So both headers are translated, as the flow's own packets are
 * the other way; without this, path MTU discovery ends at the balancer.
 *
 * TC alone does this; XDP passes ICMP on.  Errors are rare: no function here
 * is inlined into the packet path.
 */
#ifndef ICMP_BPF_H
#define ICMP_BPF_H

/* Where an error was seen. */
enum icmp_mouth {
	ICMP_FROM_CLIENT, /* ingress of the uplink */
	ICMP_FROM_POD,	  /* ingress of a pod's device */
	ICMP_LEAVING,	  /* egress of either: of a stack flow, or the kernel's own */
};

#define ICMP_HEADER_BYTES 8
#define ICMP_CHECK_OFFSET 2

/* The first 8 bytes of a quoted transport header: all that is promised. */
struct icmp_quoted_ports {
	__be32 ports;
	__be16 udp_length;
	__u16 udp_check;
};

/* All words that change below the ICMP header: the addresses, the ports, and
 * two checksums in the last word. */
struct icmp_words {
	__be32 addresses[8];
	__be32 ports;
	__u16 ip_check, l4_check;
};

/* Where things are in an error, and what it quotes. */
struct icmp_error {
	union tuple quote;  /* as it stands in the packet */
	union tuple wanted; /* as it must stand there */
	union tuple target; /* of the flow's own packets */
	struct packet flow; /* one of them: its tuple alone */
	__be32 outer[8];    /* source and destination of the error itself */
	__be32 outer_wanted[8];
	struct forward_route route;
	struct icmp_words from, to;
	__u32 icmp_at, quote_at, ports_at; /* from the frame's start */
	__u32 bytes;			   /* of the whole frame */
	__u16 outer_check, quote_check;	   /* of the IPv4 headers */
	__u8 ttl, hops;			   /* what it falls by: 0 where the stack does that */
};

/* Too large for the stack.  Programs of one CPU don't interrupt each other
 * here: all of them run in softirq context. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct icmp_error);
} icmp_scratch SEC(".maps");

static __always_inline bool icmp_is_error(__u8 type, const bool v6)
{
	return v6 ? type >= 1 && type <= 4		   /* unreachable .. parameter problem */
		  : type == 3 || type == 11 || type == 12; /* the same */
}

static __always_inline void icmp_reverse(const union tuple *t, union tuple *ret, const bool v6)
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

/* Read the quoted headers.  0, or LB_REASON_NOT_TCP_UDP for what isn't an error
 * about TCP or UDP, or shows no ports. */
static __always_inline enum lb_reason icmp_parse(struct __sk_buff *skb, const struct packet *p,
						 struct icmp_error *e, const bool v6)
{
	struct icmp_quoted_ports ports;
	__u8 type, protocol;

	e->icmp_at = p->l4_offset;
	e->quote_at = e->icmp_at + ICMP_HEADER_BYTES;
	e->bytes = skb->len;
	e->ttl = p->ttl;
	e->outer_check = p->ip_check;
	if (bpf_skb_load_bytes(skb, e->icmp_at, &type, 1) || !icmp_is_error(type, v6))
		return LB_REASON_NOT_TCP_UDP;
	if (v6) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, e->quote_at, &ip, sizeof(ip)) || ip.version != 6)
			return LB_REASON_NOT_TCP_UDP;
		protocol = ip.nexthdr;
		e->ports_at = e->quote_at + sizeof(ip);
		if (protocol == NEXTHDR_FRAGMENT) { /* the first one has the ports */
			struct frag_hdr fragment;

			if (bpf_skb_load_bytes(skb, e->ports_at, &fragment, sizeof(fragment)) ||
			    fragment.frag_off & bpf_htons(0xfff8))
				return LB_REASON_NOT_TCP_UDP;
			protocol = fragment.nexthdr;
			e->ports_at += sizeof(fragment);
		}
		__builtin_memcpy(e->quote.v6.src, &ip.saddr, 32);
		e->quote.v6.protocol = protocol;
		__builtin_memcpy(e->outer, p->tuple.v6.src, 32);
	} else {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, e->quote_at, &ip, sizeof(ip)) || ip.version != 4 ||
		    ip.ihl < 5 || ip.frag_off & bpf_htons(0x1fff))
			return LB_REASON_NOT_TCP_UDP;
		protocol = ip.protocol;
		e->ports_at = e->quote_at + ip.ihl * 4;
		e->quote_check = ip.check;
		e->quote.v4.src = ip.saddr;
		e->quote.v4.dst = ip.daddr;
		e->quote.v4.protocol = protocol;
		e->outer[0] = p->tuple.v4.src;
		e->outer[1] = p->tuple.v4.dst;
	}
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return LB_REASON_NOT_TCP_UDP;
	if (bpf_skb_load_bytes(skb, e->ports_at, &ports, sizeof(ports)))
		return LB_REASON_NOT_TCP_UDP;
	*(__be32 *)(v6 ? &e->quote.v6.sport : &e->quote.v4.sport) = ports.ports;
	return 0;
}

/*
 * Write the wanted addresses and ports and mend the checksums: the quoted IPv4
 * header's, the quoted transport's where the quote reaches so far, ICMP's own.
 */
__noinline int icmp_rewrite(struct __sk_buff *skb, struct icmp_error *e, bool v6)
{
	__u32 check_at;
	__u64 delta;
	__s64 diff;
	__u8 protocol;
	int i;

	if (!e)
		return LB_REASON_REWRITE_FAILED; /* for the verifier: never */
	protocol = v6 ? e->quote.v6.protocol : e->quote.v4.protocol;
	if (v6) {
		__builtin_memcpy(e->from.addresses, e->quote.v6.src, 32);
		__builtin_memcpy(e->to.addresses, e->wanted.v6.src, 32);
	} else {
		__builtin_memcpy(e->from.addresses, &e->quote.v4.src, 8);
		__builtin_memcpy(e->to.addresses, &e->wanted.v4.src, 8);
	}
	e->from.ports = rewrite_ports(&e->quote, v6);
	e->to.ports = rewrite_ports(&e->wanted, v6);
	delta = 0;
#pragma unroll
	for (i = 0; i < 8; i++)
		delta += checksum_delta32(e->from.addresses[i], e->to.addresses[i]);
	if (!v6) {
		e->from.ip_check = e->quote_check;
		e->to.ip_check = checksum_update(e->from.ip_check, delta);
	}
	check_at =
		e->ports_at + (protocol == IPPROTO_TCP ? CHECKSUM_TCP_OFFSET : CHECKSUM_UDP_OFFSET);
	if (check_at + sizeof(__u16) <= e->bytes &&
	    !bpf_skb_load_bytes(skb, check_at, &e->from.l4_check, sizeof(__u16)) &&
	    (e->from.l4_check || protocol == IPPROTO_TCP)) {
		e->to.l4_check = checksum_update(
			e->from.l4_check, delta + checksum_delta32(e->from.ports, e->to.ports));
		if (bpf_skb_store_bytes(skb, check_at, &e->to.l4_check, sizeof(__u16), 0))
			return LB_REASON_REWRITE_FAILED;
	} else {
		e->from.l4_check = e->to.l4_check = 0;
	}
	if (!v6 && bpf_skb_store_bytes(skb, e->quote_at + offsetof(struct iphdr, check),
				       &e->to.ip_check, sizeof(__u16), 0))
		return LB_REASON_REWRITE_FAILED;
	if (bpf_skb_store_bytes(skb, e->ports_at, &e->to.ports, sizeof(__be32), 0))
		return LB_REASON_REWRITE_FAILED;
	if (v6 ? bpf_skb_store_bytes(skb, e->quote_at + offsetof(struct ipv6hdr, saddr),
				     e->to.addresses, 32, 0)
	       : bpf_skb_store_bytes(skb, e->quote_at + offsetof(struct iphdr, saddr),
				     e->to.addresses, 8, 0))
		return LB_REASON_REWRITE_FAILED;
	diff = bpf_csum_diff((__be32 *)&e->from, sizeof(e->from), (__be32 *)&e->to, sizeof(e->to),
			     0);
	if (bpf_l4_csum_replace(skb, e->icmp_at + ICMP_CHECK_OFFSET, 0, diff, 0))
		return LB_REASON_REWRITE_FAILED;

	/* The outer header; ICMPv6 has it in its checksum. */
	diff = bpf_csum_diff(e->outer, 32, e->outer_wanted, 32, 0);
	if (v6) {
		struct rewrite_ip6 ip = {.hop_limit = e->ttl - e->hops};

		__builtin_memcpy(ip.addresses, e->outer_wanted, sizeof(ip.addresses));
		if (bpf_l4_csum_replace(skb, e->icmp_at + ICMP_CHECK_OFFSET, 0, diff,
					BPF_F_PSEUDO_HDR) ||
		    bpf_skb_store_bytes(skb,
					sizeof(struct ethhdr) + offsetof(struct ipv6hdr, hop_limit),
					&ip, sizeof(ip), 0))
			return LB_REASON_REWRITE_FAILED;
	} else {
		struct rewrite_ip4 ip = {
			.ttl = e->ttl - e->hops,
			.protocol = IPPROTO_ICMP,
			.saddr = e->outer_wanted[0],
			.daddr = e->outer_wanted[1],
		};

		ip.check = checksum_update(e->outer_check,
					   checksum_delta32(e->outer[0], ip.saddr) +
						   checksum_delta32(e->outer[1], ip.daddr) +
						   checksum_delta16(bpf_htons(e->hops << 8), 0));
		if (bpf_skb_store_bytes(skb, sizeof(struct ethhdr) + offsetof(struct iphdr, ttl),
					&ip, sizeof(ip), 0))
			return LB_REASON_REWRITE_FAILED;
	}
	return 0;
}

/* An error about an answer that a client has got: to the backend that sent it. */
static __always_inline enum lb_reason icmp_to_backend(struct icmp_error *e, __u32 *ret_backend,
						      bool *ret_stack, const bool v6)
{
	struct lb_backend *backend;
	struct lb_flow *flow;
	__u32 id;

	icmp_reverse(&e->quote, &e->flow.tuple, v6);
	flow = flow_find(&e->flow.tuple, v6) ?: flow_find_new(&e->flow.tuple, v6);
	if (!flow || LB_FLOW_TAG(flow->backend) != flow_tag(&e->flow.tuple, v6))
		return LB_REASON_NOT_TCP_UDP;
	id = LB_FLOW_BACKEND_ID(flow->backend);
	backend = backend_find(id);
	if (!backend || backend->generation != LB_FLOW_GENERATION(flow->backend))
		return LB_REASON_NOT_TCP_UDP;
	flow_target_tuple(&e->flow, backend, flow->snat_port, &e->target, v6);
	icmp_reverse(&e->target, &e->wanted, v6);
	*ret_backend = id;
	*ret_stack = flow->flags & LB_FLOW_F_STACK;
	return 0;
}

/* An error about a client's packet: to that client. */
static __always_inline enum lb_reason icmp_to_client(struct icmp_error *e, bool *ret_stack,
						     const bool v6)
{
	struct lb_reply *reply;

	icmp_reverse(&e->quote, &e->flow.tuple, v6);
	reply = reply_find(&e->flow.tuple, v6) ?: reply_find_new(&e->flow.tuple, v6);
	if (!reply || reply->tag != flow_tag(&e->flow.tuple, v6))
		return LB_REASON_NOT_TCP_UDP;
	reply_target_tuple(&e->flow, reply, &e->target, v6);
	icmp_reverse(&e->target, &e->wanted, v6);
	*ret_stack = reply->flags & LB_REPLY_F_STACK;
	return 0;
}

/*
 * Translate an error and send it on; one about a stack flow only where the
 * flow's own packets are translated, and then p->stack says that the kernel
 * sends it on.  Returns LB_REASON_ICMP_TRANSLATED or why not; not one byte is
 * changed where it returns LB_REASON_NOT_TCP_UDP or LB_REASON_STACK.
 */
__noinline int icmp_translate(struct __sk_buff *skb, struct packet *p, enum icmp_mouth mouth,
			      bool v6)
{
	bool to_client = mouth != ICMP_FROM_CLIENT, stack = false;
	struct lb_backend *backend = NULL;
	struct lb_device *device = NULL;
	enum lb_reason reason;
	struct icmp_error *e;
	__u32 id = 0;

	e = bpf_map_lookup_elem(&icmp_scratch, &id);
	if (!e || !p || (p->ttl <= 1 && mouth != ICMP_LEAVING))
		return LB_REASON_NOT_TCP_UDP;
	__builtin_memset(e, 0, sizeof(*e));
	reason = icmp_parse(skb, p, e, v6);
	if (reason)
		return reason;
	reason = to_client ? icmp_to_client(e, &stack, v6) : icmp_to_backend(e, &id, &stack, v6);
	if (reason)
		return reason;
	if (mouth == ICMP_FROM_POD && stack)
		return LB_REASON_STACK;
	if (mouth == ICMP_LEAVING && !stack)
		return LB_REASON_NOT_TCP_UDP;
	e->hops = !stack;
	p->stack = stack;

	__builtin_memcpy(e->outer_wanted, e->outer, sizeof(e->outer_wanted));
	if (to_client) {
		/* To the quoted packet's sender; from the frontend, if the
		 * backend itself speaks, else from whoever it was. */
		__be32 *dst = v6 ? e->outer_wanted + 4 : e->outer_wanted + 1;

		if (v6) {
			if (flow_same_address(e->outer, e->quote.v6.dst))
				__builtin_memcpy(e->outer_wanted, e->wanted.v6.dst, 16);
			__builtin_memcpy(dst, e->wanted.v6.src, 16);
			__builtin_memcpy(e->route.src, e->outer_wanted, 16);
			__builtin_memcpy(e->route.dst, dst, 16);
		} else {
			if (e->outer[0] == e->quote.v4.dst)
				e->outer_wanted[0] = e->wanted.v4.dst;
			*dst = e->wanted.v4.src;
			e->route.src[0] = e->outer_wanted[0];
			e->route.dst[0] = *dst;
		}
		if (!stack && forward_find_route(skb, &e->route, v6))
			return LB_REASON_NO_ROUTE;
	} else {
		backend = backend_find(id);
		if (backend)
			device = forward_device(*(volatile __u64 *)&backend->next_hop);
		if (!backend || (!device && !stack))
			return LB_REASON_NO_ROUTE;
		if (v6)
			__builtin_memcpy(e->outer_wanted + 4, e->wanted.v6.src, 16);
		else
			e->outer_wanted[1] = e->wanted.v4.src;
		e->route.ifindex = device ? device->ifindex : 0;
		e->route.family = v6 ? AF_INET6 : AF_INET;
		__builtin_memcpy(e->route.neighbour, backend->addr, sizeof(e->route.neighbour));
	}
	reason = icmp_rewrite(skb, e, v6);
	if (reason || stack)
		return reason ?: LB_REASON_ICMP_TRANSLATED;
	return forward_neighbour(e->route.ifindex, e->route.family, e->route.neighbour) ==
			       TC_ACT_REDIRECT
		       ? LB_REASON_ICMP_TRANSLATED
		       : LB_REASON_REWRITE_FAILED;
}

#endif
