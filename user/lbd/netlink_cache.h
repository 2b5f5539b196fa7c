/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the kernel last said about links, addresses and neighbours: filled by
 * its messages one by one, whether a dump's or a notification's.  Pure memory,
 * no socket.  Used by netlink.c alone.
 */
#ifndef GW_NETLINK_CACHE_H
#define GW_NETLINK_CACHE_H

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "addr.h"
#include "netlink.h"

struct netlink_address {
	int ifindex;
	struct addr addr;
};

struct netlink_cache {
	struct netlink_link *links; /* sorted by ifindex */
	size_t nlinks, links_room;
	struct netlink_address *addresses; /* global ones, in the kernel's order */
	size_t naddresses, addresses_room;
	void *neighbours; /* tsearch(3) tree of those that have a usable MAC */
};

/*
 * Take in RTM_{NEW,DEL}LINK, RTM_{NEW,DEL}NEIGH or RTM_NEWADDR (addresses are
 * only appended: their order is the dump's, so each change means a new dump).
 * Returns 1 if something changed that readers can see, 0 if not, -ENOMEM.
 */
int netlink_cache_take(struct netlink_cache *cache, const struct nlmsghdr *nlh);

const struct netlink_link *netlink_cache_link(const struct netlink_cache *cache, int ifindex);
bool netlink_cache_has_vlans(const struct netlink_cache *cache, int ifindex);
uint64_t netlink_cache_neighbour(const struct netlink_cache *cache, int ifindex,
				 const struct addr *addr);
/* Is a neighbour's MAC only what it was, and is this the first question since? */
bool netlink_cache_take_stale(struct netlink_cache *cache, int ifindex, const struct addr *addr);

/* Forget everything; a zeroed cache is fine. */
void netlink_cache_clear(struct netlink_cache *cache);

#endif
