/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 6, forward: the packet leaves towards its next hop.
 *
 * XDP needs a MAC that lbd has already found, TC lets the kernel's neighbour
 * table complete the frame and asks for the address where it must.
 */
#ifndef FORWARD_BPF_H
#define FORWARD_BPF_H

#define AF_INET 2
#define AF_INET6 10

/* A question to the kernel's routing table, and its answer. */
struct forward_route {
	__be32 src[4], dst[4]; /* IPv4: the first word */
	__u32 ifindex;	       /* where it leaves */
	__u32 family;	       /* the neighbour's: a gateway's may differ from the packet's */
	__be32 neighbour[4];   /* the gateway, or dst itself */
	__u64 mac;	       /* the neighbour's as in LB_NEXT_HOP(), 0 = not resolved */
};

/* Of the way on to a packet's destination, or back to its source. */
static __always_inline void forward_set_ends(struct forward_route *route, const struct packet *p,
					     const bool back, const bool v6)
{
	if (v6) {
		__builtin_memcpy(back ? route->dst : route->src, p->tuple.v6.src, 16);
		__builtin_memcpy(back ? route->src : route->dst, p->tuple.v6.dst, 16);
	} else {
		*(back ? route->dst : route->src) = p->tuple.v4.src;
		*(back ? route->src : route->dst) = p->tuple.v4.dst;
	}
}

/* Ask as if a packet from src to dst had come in by a device and were to be
 * forwarded: so rules by source address hold.  0 or LB_REASON_NO_ROUTE. */
static __always_inline enum lb_reason forward_ask(void *ctx, __u32 ingress,
						  struct forward_route *route, bool v6)
{
	struct bpf_fib_lookup fib = {.ifindex = ingress};

	if (!route)
		return LB_REASON_NO_ROUTE; /* for the verifier: never */
	if (v6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, route->src, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, route->dst, sizeof(fib.ipv6_dst));
	} else {
		fib.family = AF_INET;
		fib.ipv4_src = route->src[0];
		fib.ipv4_dst = route->dst[0];
	}
	route->mac = 0;
	switch (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		route->mac = (__u64)fib.dmac[0] << 40 | (__u64)fib.dmac[1] << 32 |
			     (__u64)fib.dmac[2] << 24 | fib.dmac[3] << 16 | fib.dmac[4] << 8 |
			     fib.dmac[5];
		break;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED: /* this packet, not the way */
	case BPF_FIB_LKUP_RET_NO_NEIGH:	   /* found out by bpf_redirect_neigh */
		break;
	default: /* unreachable, our own address, or forwarding is switched off */
		return LB_REASON_NO_ROUTE;
	}
	route->ifindex = fib.ifindex;
	route->family = fib.family;
	/* The whole union: an IPv4 address is its first word. */
	__builtin_memcpy(route->neighbour, fib.ipv6_dst, sizeof(route->neighbour));
	return 0;
}

/* The same, by the packet's device. */
__noinline int forward_find_route(struct __sk_buff *skb, struct forward_route *route, bool v6)
{
	return forward_ask(skb, skb->ifindex, route, v6);
}

/* The next hop by which XDP reaches what a route leads to, 0 = none. */
static __always_inline __u64 forward_next_hop(const struct forward_route *route)
{
	int i;

	if (!route->mac)
		return 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < LB_MAX_UPLINKS; i++)
		if (settings.uplinks[i].ifindex == route->ifindex)
			return LB_NEXT_HOP(settings.uplinks[i].device, route->mac);
	return 0;
}

static __always_inline struct lb_device *forward_device(__u64 next_hop)
{
	__u32 index = LB_NEXT_HOP_DEVICE(next_hop);
	struct lb_device *device;

	if (!index)
		return NULL;
	device = bpf_map_lookup_elem(&devices, &index);
	return device && device->ifindex ? device : NULL;
}

/* Fill in the Ethernet header for a next hop that is resolved. */
static __always_inline void forward_ethernet(struct ethhdr *eth, __u64 next_hop,
					     const struct lb_device *device)
{
	eth->h_dest[0] = next_hop >> 40;
	eth->h_dest[1] = next_hop >> 32;
	eth->h_dest[2] = next_hop >> 24;
	eth->h_dest[3] = next_hop >> 16;
	eth->h_dest[4] = next_hop >> 8;
	eth->h_dest[5] = next_hop;
	__builtin_memcpy(eth->h_source, device->mac, sizeof(eth->h_source));
}

/* Send to a neighbour (1 or 4 words) on a device; returns TC's action. */
static __always_inline int forward_neighbour(__u32 ifindex, __u32 family, const __be32 *neighbour)
{
	struct bpf_redir_neigh nh = {.nh_family = family};

	if (family == AF_INET6)
		__builtin_memcpy(nh.ipv6_nh, neighbour, sizeof(nh.ipv6_nh));
	else
		nh.ipv4_nh = neighbour[0];
	return bpf_redirect_neigh(ifindex, &nh, sizeof(nh), 0);
}

/* Send to a backend; returns TC's action.  Of the way to a remote one the uplink is
 * known: the kernel's routing table has the router on it. */
static __always_inline int forward_backend(__u32 ifindex, const struct lb_backend *backend,
					   const bool v6)
{
	if (backend->flags & LB_BACKEND_F_REMOTE)
		return bpf_redirect_neigh(ifindex, NULL, 0, 0);
	return forward_neighbour(ifindex, v6 ? AF_INET6 : AF_INET, backend->addr);
}

#endif
