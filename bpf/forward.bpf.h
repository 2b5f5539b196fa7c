/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 6, forward: the packet leaves towards its next hop.
 *
 * XDP needs a MAC that lbd has already found, TC lets the kernel's neighbour
 * table complete the frame and asks for the address where it must.
 */
#ifndef FORWARD_BPF_H
#define FORWARD_BPF_H

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

#endif
