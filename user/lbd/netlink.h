/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Links, addresses, routes and neighbours of this network namespace, by
 * rtnetlink (libmnl).  A cache of links, addresses and neighbours is kept by
 * the kernel's notifications; routes are asked for one by one, since only the
 * kernel's look-up knows rules and tables.
 *
 * One thread.  Pointers to links are good until the next netlink_process().
 */
#ifndef GW_NETLINK_H
#define GW_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "error.h"

struct netlink_link {
	int ifindex;
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "bridge", ..., "" = a real device */
	uint32_t mtu;
	uint8_t mac[6];
	int lower; /* ifindex of the device below, in this namespace; 0 = none */
	bool up;
	bool ethernet; /* its packets have Ethernet headers: not a tun's, WireGuard's, PPP's */
};

struct netlink_route {
	int ifindex;
	bool gateway;	       /* the next hop is another machine, not the address itself */
	bool local;	       /* the address is this node's own */
	struct addr neighbour; /* the gateway, or the address itself */
};

struct netlink;

/* Dumps everything once. */
int netlink_open(struct netlink **ret, struct error *error);
void netlink_close(struct netlink *netlink);

/* For the event loop: readable fd -> netlink_process(), which takes in all
 * notifications that wait and returns 1 if anything changed that can matter
 * for a next hop or an attachment (a neighbour's state alone doesn't), 0 if
 * not, or -errno: then something may be missing, and the next call makes a
 * fresh dump.  So do lost notifications (ENOBUFS). */
int netlink_fd(const struct netlink *netlink);
int netlink_process(struct netlink *netlink);

/* Raised by netlink_process() whenever a route look-up may answer anew: with
 * each change of a route, rule, next hop, link or address. */
uint64_t netlink_routes_revision(const struct netlink *netlink);

/* How many links may have gone so far: one that is there now may be another one of the
 * same name and index, without the programs that were on it. */
uint64_t netlink_links_gone(const struct netlink *netlink);

const struct netlink_link *netlink_link_by_name(const struct netlink *netlink, const char *name);
const struct netlink_link *netlink_link_by_index(const struct netlink *netlink, int ifindex);

/* Does a VLAN's device stand on this one? */
bool netlink_has_vlans(const struct netlink *netlink, int ifindex);

/* Devices with a default route of either family in the main table, without
 * duplicates; returns how many were written to ret (at most max) or -errno. */
int netlink_default_devices(struct netlink *netlink, int *ret, size_t max);

/* The same for devices that lead into a prefix without a gateway: those of the
 * main table's routes to it or to a part of it. */
int netlink_prefix_devices(struct netlink *netlink, const struct prefix *prefix, int *ret,
			   size_t max);

/* Global addresses of a device, in the kernel's order (primary first); 0 = of all
 * devices. */
size_t netlink_addresses(const struct netlink *netlink, int ifindex, struct addr *ret, size_t max);

/* Where the kernel sends packets for an address: 0, -ENETUNREACH or another
 * -errno. */
int netlink_route(struct netlink *netlink, const struct addr *addr, struct netlink_route *ret);

/* MAC of a neighbour as LB_NEXT_HOP_MAC has it (first byte highest); 0 = not
 * known or failed. */
uint64_t netlink_neighbour(const struct netlink *netlink, int ifindex, const struct addr *addr);

/* Let the kernel find out whether a neighbour still has its MAC, where it hasn't
 * heard of it for a while: as it does by itself once it sends a packet there,
 * and it never does where programs send them all. */
void netlink_confirm_neighbour(struct netlink *netlink, int ifindex, const struct addr *addr);

#endif
