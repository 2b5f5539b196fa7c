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
	ICMP_FROM_OUTSIDE, /* ingress of the uplink */
	ICMP_FROM_POD,	   /* ingress of a pod's device */
	ICMP_LEAVING,	   /* egress of either: of a stack flow, or the kernel's own */
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

/* Read the quoted headers.  0, or LB_REASON_NOT_TCP_UDP for what isn't an error
 * about TCP or UDP, or shows no ports. */
static __always_inline enum lb_reason icmp_parse(struct __sk_buff *skb, const struct packet *p,
						 struct icmp_error *e, const bool v6)
{
	struct icmp_quoted_ports ports;
	__u8 type, protocol;

	e->icmp_at = p->l4_offset;
	e->quote_at = e->icmp_at + ICMP_HEADER_BYTES;
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
	if (!bpf_skb_load_bytes(skb, check_at, &e->from.l4_check, sizeof(__u16)) &&
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

/* Whom an error is for. */
enum icmp_target {
	ICMP_TO_CLIENT,	 /* about a packet of its */
	ICMP_TO_BACKEND, /* about an answer of its */
};

/* What a flow's entries say of an error. */
struct icmp_flow {
	enum icmp_target target;
	__u32 backend;	/* id, for ICMP_TO_BACKEND */
	bool stack;	/* the kernel sends it on */
	bool from_node; /* to a remote backend only this node speaks */
};

/* An error about an answer that a client has got: to the backend that sent it. */
static __always_inline enum lb_reason icmp_to_backend(struct icmp_error *e, struct icmp_flow *ret,
						      const bool v6)
{
	struct lb_backend *backend;
	struct lb_flow *flow;

	flow = flow_find(&e->flow.tuple, v6) ?: flow_find_new(&e->flow.tuple, v6);
	if (!flow || LB_FLOW_TAG(flow->backend) != flow_tag(&e->flow.tuple, v6))
		return LB_REASON_NOT_TCP_UDP;
	ret->target = ICMP_TO_BACKEND;
	ret->backend = LB_FLOW_BACKEND_ID(flow->backend);
	backend = backend_find(ret->backend);
	if (!backend || backend->generation != LB_FLOW_GENERATION(flow->backend))
		return LB_REASON_NOT_TCP_UDP;
	ret->stack = flow->flags & LB_FLOW_F_STACK;
	ret->from_node = !ret->stack && backend->flags & LB_BACKEND_F_REMOTE;
	flow_target_tuple(&e->flow, backend, ret->stack ? 0 : flow->snat_port, &e->target, v6);
	tuple_reverse(&e->target, &e->wanted, v6);
	return 0;
}

/* An error about a client's packet: to that client.  enters: about what this node
 * has sent to a remote backend. */
static __always_inline enum lb_reason icmp_to_client(struct icmp_error *e, bool enters,
						     struct icmp_flow *ret, const bool v6)
{
	struct lb_reply *reply;

	reply = reply_find_any(&e->flow.tuple, v6);
	if (!reply)
		return LB_REASON_NOT_TCP_UDP;
	ret->target = ICMP_TO_CLIENT;
	ret->stack = reply->flags & LB_REPLY_F_STACK;
	if (enters && ret->stack)
		reply_enter_tuple(&e->flow, reply, &e->target, v6);
	else
		reply_target_tuple(&e->flow, reply, &e->target, v6);
	tuple_reverse(&e->target, &e->wanted, v6);
	return 0;
}

/* An error about an answer of a stack flow's remote backend, where it leaves. */
static __always_inline enum lb_reason icmp_leaves_for_backend(struct icmp_error *e,
							      struct icmp_flow *ret, const bool v6)
{
	struct lb_reply *reply;

	reply = reply_find_any(&e->quote, v6);
	if (!reply || !reply->snat_port)
		return LB_REASON_NOT_TCP_UDP;
	ret->target = ICMP_TO_BACKEND;
	ret->stack = ret->from_node = true;
	reply_inside_tuple(&e->flow, reply, &e->target, v6);
	tuple_reverse(&e->target, &e->wanted, v6);
	return 0;
}

/* Which flow is the error about, and what is its receiver to read?  0, or
 * LB_REASON_NOT_TCP_UDP or LB_REASON_STACK for what is left alone. */
static __always_inline enum lb_reason icmp_find_flow(struct icmp_error *e, enum icmp_mouth mouth,
						     struct icmp_flow *ret, const bool v6)
{
	tuple_reverse(&e->quote, &e->flow.tuple, v6);
	switch (mouth) {
	case ICMP_FROM_OUTSIDE:
		if (!reply_is_possible(&e->flow.tuple, v6))
			return icmp_to_backend(e, ret, v6);
		return icmp_to_client(e, true, ret, v6) ? icmp_to_backend(e, ret, v6) : 0;
	case ICMP_FROM_POD:
		/* A backend's, or of a pod that is a client. */
		if (icmp_to_client(e, false, ret, v6))
			return icmp_to_backend(e, ret, v6);
		return ret->stack ? LB_REASON_STACK : 0;
	case ICMP_LEAVING:
		if (!icmp_to_client(e, false, ret, v6))
			return ret->stack ? 0 : LB_REASON_NOT_TCP_UDP;
		if (settings.stack_snat_used)
			return icmp_leaves_for_backend(e, ret, v6);
		break;
	}
	return LB_REASON_NOT_TCP_UDP;
}

/* The error's own addresses as its receiver is to see them. */
static __always_inline void icmp_set_outer(struct icmp_error *e, const struct icmp_flow *flow,
					   const bool v6)
{
	__be32 *src = e->outer_wanted, *dst = v6 ? src + 4 : src + 1;

	__builtin_memcpy(e->outer_wanted, e->outer, sizeof(e->outer_wanted));
	/* From the frontend, if the backend itself speaks, else from whoever it was. */
	if (flow->target == ICMP_TO_CLIENT) {
		if (v6 && flow_same_address(e->outer, e->quote.v6.dst))
			__builtin_memcpy(src, e->wanted.v6.dst, 16);
		else if (!v6 && e->outer[0] == e->quote.v4.dst)
			*src = e->wanted.v4.dst;
	} else if (flow->from_node) {
		if (v6)
			flow_node_address6(src);
		else
			*src = settings.node_address4;
	}
	/* To the quoted packet's sender. */
	if (v6)
		__builtin_memcpy(dst, e->wanted.v6.src, 16);
	else
		*dst = e->wanted.v4.src;
}

/* Send a translated error on: TC's action. */
static __always_inline int icmp_send(struct icmp_error *e, const struct icmp_flow *flow,
				     const bool v6)
{
	struct lb_backend *backend;

	if (flow->target == ICMP_TO_CLIENT)
		return forward_neighbour(e->route.ifindex, e->route.family, e->route.neighbour);
	backend = backend_find(flow->backend);
	return backend ? forward_backend(e->route.ifindex, backend, v6) : TC_ACT_SHOT;
}

/* Where it leaves: 0 or LB_REASON_NO_ROUTE. */
static __always_inline enum lb_reason icmp_find_route(struct __sk_buff *skb, struct icmp_error *e,
						      const struct icmp_flow *flow, const bool v6)
{
	struct lb_backend *backend;
	struct lb_device *device;

	if (flow->target == ICMP_TO_CLIENT) {
		__builtin_memcpy(e->route.src, e->outer_wanted, sizeof(e->route.src));
		__builtin_memcpy(e->route.dst, e->outer_wanted + (v6 ? 4 : 1),
				 sizeof(e->route.dst));
		return forward_find_route(skb, &e->route, v6);
	}
	backend = backend_find(flow->backend);
	device = backend ? forward_device(*(volatile __u64 *)&backend->next_hop) : NULL;
	if (!device)
		return LB_REASON_NO_ROUTE;
	e->route.ifindex = device->ifindex;
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
	struct icmp_flow flow = {};
	enum lb_reason reason;
	struct icmp_error *e;
	__u32 zero = 0;

	e = bpf_map_lookup_elem(&icmp_scratch, &zero);
	if (!e || !p || (p->ttl <= 1 && mouth != ICMP_LEAVING))
		return LB_REASON_NOT_TCP_UDP;
	__builtin_memset(e, 0, sizeof(*e));
	reason = icmp_parse(skb, p, e, v6);
	if (!reason)
		reason = icmp_find_flow(e, mouth, &flow, v6);
	if (reason)
		return reason;
	e->hops = !flow.stack;
	p->stack = flow.stack;
	icmp_set_outer(e, &flow, v6);
	if (!flow.stack && icmp_find_route(skb, e, &flow, v6))
		return LB_REASON_NO_ROUTE;
	reason = icmp_rewrite(skb, e, v6);
	if (reason || flow.stack)
		return reason ?: LB_REASON_ICMP_TRANSLATED;
	return icmp_send(e, &flow, v6) == TC_ACT_REDIRECT ? LB_REASON_ICMP_TRANSLATED
							  : LB_REASON_REWRITE_FAILED;
}

#endif
