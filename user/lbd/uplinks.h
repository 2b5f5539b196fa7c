/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The uplinks: the devices where clients' packets come in, how programs are
 * attached to them, and the node's own addresses, which are theirs.
 */
#ifndef GW_UPLINKS_H
#define GW_UPLINKS_H

#include "netlink.h"
#include "options.h"

#define UPLINKS_NODEPORTS_MAX 256 /* addresses that serve node ports */

struct uplink {
	int ifindex;
	char name[IFNAMSIZ];
	enum hook hook;	    /* never HOOK_AUTO */
	bool may_fall_back; /* where the device refuses it */
	const char *reason; /* why this hook; static text */
};

struct uplinks {
	struct uplink list[OPTIONS_LIST_MAX];
	size_t n;
	/* The primary ones: --node-address, else the first global address of each
	 * uplink in each family. */
	struct addr addresses[2 * OPTIONS_LIST_MAX];
	size_t naddresses;
	/* Where node ports are served (--nodeport-addresses). */
	struct addr nodeports[UPLINKS_NODEPORTS_MAX];
	size_t nnodeports;
};

/* Native XDP where there is hardware (or what plays it, for a guest) behind the
 * device.  On a veth it would switch GSO off at the peer.  TC where VLANs stand on it:
 * a device, or a veth's other end, may take a tag off a frame before XDP sees it. */
void uplink_choose_hook(struct uplink *uplink, const struct netlink_link *link, bool has_vlans,
			enum hook wanted);

/* The uplinks at start.  Returns 0, -ENODEV (a named device doesn't exist, or
 * none has a default route) or another -errno. */
int uplinks_find(const struct options *options, struct netlink *netlink, struct uplinks *ret,
		 struct error *error);

/*
 * The same later, when devices may be missing for a while: named ones that
 * exist are taken; where no device has a default route any more, those of
 * before stay as long as they exist.
 */
int uplinks_update(const struct options *options, struct netlink *netlink, struct uplinks *uplinks,
		   struct error *error);

bool uplinks_contain(const struct uplinks *uplinks, int ifindex);

/* Equal addresses of both kinds, in the same order? */
bool uplinks_addresses_equal(const struct uplinks *a, const struct uplinks *b);

#endif
