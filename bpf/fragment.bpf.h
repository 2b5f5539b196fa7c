/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fragments: only a datagram's first one has ports.  They are remembered by the
 * datagram's id, and the others go where the first one went.  Another that
 * comes before it is dropped at an address that is a service's alone, since the
 * kernel would send it on to somebody who has no use for it, and left to the kernel
 * at all others.
 *
 * TC alone does this; XDP passes fragments on.
 */
#ifndef FRAGMENT_BPF_H
#define FRAGMENT_BPF_H

/* Senders use an id again some time later; receivers give up after 30 s
 * (RFC 791) or 60 s (RFC 8200). */
#define FRAGMENT_TIMEOUT_TICKS LB_TICKS(30)

static __always_inline void fragment_key(const struct packet *p, struct lb_fragment_key *ret,
					 bool v6)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	if (v6) {
		__builtin_memcpy(ret->src, p->tuple.v6.src, sizeof(ret->src));
		__builtin_memcpy(ret->dst, p->tuple.v6.dst, sizeof(ret->dst));
	} else {
		ret->src[0] = p->tuple.v4.src;
		ret->dst[0] = p->tuple.v4.dst;
	}
	ret->id = p->fragment_id;
	ret->protocol = p->protocol;
}

/* Remember the ports of a datagram whose first fragment this is. */
__noinline int fragment_store(const struct packet *p, bool v6)
{
	struct lb_fragment value = {.seen_ticks = flow_now_ticks()};
	struct lb_fragment_key key;

	if (!p || p->part != PACKET_FIRST)
		return 0;
	fragment_key(p, &key, v6);
	value.sport = v6 ? p->tuple.v6.sport : p->tuple.v4.sport;
	value.dport = v6 ? p->tuple.v6.dport : p->tuple.v4.dport;
	return bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

/* Both ports of a later fragment's datagram as one word, 0 = unknown. */
__noinline __u32 fragment_ports(const struct packet *p, bool v6)
{
	struct lb_fragment *value;
	struct lb_fragment_key key;

	if (!p)
		return 0; /* for the verifier: never */
	fragment_key(p, &key, v6);
	value = bpf_map_lookup_elem(&fragments, &key);
	if (!value || flow_now_ticks() - value->seen_ticks > FRAGMENT_TIMEOUT_TICKS)
		return 0;
	return (__u32)value->dport << 16 | value->sport;
}

/* Is the packet for an address of services, other than by node ports? */
static __always_inline bool fragment_is_for_service(const struct packet *p, bool v6)
{
	if (v6) {
		struct lb_address6_key key;

		__builtin_memcpy(key.addr, p->tuple.v6.dst, sizeof(key.addr));
		return bpf_map_lookup_elem(&addresses6, &key);
	}
	struct lb_address4_key key = {p->tuple.v4.dst};

	return bpf_map_lookup_elem(&addresses4, &key);
}

/* Of a later fragment whose first one is unknown: LB_REASON_STRAY_FRAGMENT where the
 * kernel would send it on, LB_REASON_FRAGMENT where it isn't ours, or the address is
 * the node's, too. */
__noinline int fragment_judge(struct __sk_buff *skb, const struct packet *p, bool v6)
{
	struct forward_route route = {};

	if (!p || (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP) ||
	    !fragment_is_for_service(p, v6))
		return LB_REASON_FRAGMENT;
	forward_set_ends(&route, p, false, v6);
	return forward_find_route(skb, &route, v6) ? LB_REASON_FRAGMENT : LB_REASON_STRAY_FRAGMENT;
}

/* Complete the tuple of a later fragment.  0 or LB_REASON_FRAGMENT. */
static __always_inline enum lb_reason fragment_complete(struct packet *p, const bool v6)
{
	__u32 ports = fragment_ports(p, v6);

	if (!ports)
		return LB_REASON_FRAGMENT;
	if (v6) {
		p->tuple.v6.sport = ports;
		p->tuple.v6.dport = ports >> 16;
	} else {
		p->tuple.v4.sport = ports;
		p->tuple.v4.dport = ports >> 16;
	}
	return 0;
}

#endif
