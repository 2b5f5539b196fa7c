/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "uplinks.h"

#include <errno.h>
#include <string.h>

/* Addresses of one device that are looked at for the first of each family. */
#define ADDRESSES_MAX 64

void uplink_choose_hook(struct uplink *uplink, const struct netlink_link *link, bool has_vlans,
			enum hook wanted)
{
	bool nic = !*link->kind;

	uplink->hook = wanted;
	uplink->may_fall_back = wanted == HOOK_AUTO;
	if (wanted == HOOK_AUTO && has_vlans)
		uplink->hook = HOOK_TC;
	else if (wanted == HOOK_AUTO)
		uplink->hook = nic ? HOOK_XDP : HOOK_XDP_GENERIC;
	if (wanted != HOOK_AUTO)
		uplink->reason = "as --hook says";
	else if (has_vlans)
		uplink->reason = "VLANs stand on it: XDP would take their packets for its own";
	else if (nic)
		uplink->reason = "a NIC";
	else if (!strcmp(link->kind, "veth"))
		uplink->reason = "a veth: native XDP would switch its peer's GSO off";
	else
		uplink->reason = "a virtual device";
}

static void uplink_add(struct uplinks *uplinks, const struct netlink *netlink,
		       const struct netlink_link *link, enum hook hook)
{
	struct uplink *uplink = &uplinks->list[uplinks->n];

	if (uplinks->n == OPTIONS_LIST_MAX || uplinks_contain(uplinks, link->ifindex))
		return;
	uplink->ifindex = link->ifindex;
	memcpy(uplink->name, link->name, sizeof(uplink->name));
	uplink_choose_hook(uplink, link, netlink_has_vlans(netlink, link->ifindex), hook);
	uplinks->n++;
}

/* Returns 0, or -ENODEV where a named device doesn't exist or has no Ethernet headers (the
 * others are added all the same). */
static int uplinks_add_named(const struct options *options, const struct netlink *netlink,
			     struct uplinks *uplinks, struct error *error)
{
	int err = 0;

	for (size_t i = 0; i < options->ndevices; i++) {
		const struct netlink_link *link =
			netlink_link_by_name(netlink, options->devices[i]);

		if (link && link->ethernet)
			uplink_add(uplinks, netlink, link, options->hook);
		else
			err = error_set(error, -ENODEV, "--device: \"%s\" %s", options->devices[i],
					link ? "isn't an Ethernet device" : "doesn't exist");
	}
	return err;
}

static int uplinks_add_default(const struct options *options, struct netlink *netlink,
			       struct uplinks *uplinks, struct error *error)
{
	int ifindexes[OPTIONS_LIST_MAX];
	int n = netlink_default_devices(netlink, ifindexes, OPTIONS_LIST_MAX);

	if (n < 0)
		return error_set(error, n, "can't read the routes: %s", strerror(-n));
	for (int i = 0; i < n; i++) {
		const struct netlink_link *link = netlink_link_by_index(netlink, ifindexes[i]);

		if (link && link->ethernet)
			uplink_add(uplinks, netlink, link, options->hook);
	}
	return 0;
}

static void uplinks_add_addresses(const struct options *options, const struct netlink *netlink,
				  struct uplinks *uplinks)
{
	struct addr found[ADDRESSES_MAX];

	if (options->nnode_addresses) {
		memcpy(uplinks->addresses, options->node_addresses,
		       options->nnode_addresses * sizeof(*uplinks->addresses));
		uplinks->naddresses = options->nnode_addresses;
		return;
	}
	for (size_t u = 0; u < uplinks->n; u++) {
		size_t n =
			netlink_addresses(netlink, uplinks->list[u].ifindex, found, ADDRESSES_MAX);

		for (uint8_t family = 4; family <= 6; family += 2) {
			for (size_t i = 0; i < n; i++) {
				if (found[i].family == family) {
					uplinks->addresses[uplinks->naddresses++] = found[i];
					break;
				}
			}
		}
	}
}

/* Rule 66: a family without a range has all of the node's addresses. */
static bool nodeport_is_wanted(const struct options *options, const struct addr *addr)
{
	bool any = false;

	for (size_t i = 0; i < options->nnodeport_addresses; i++) {
		const struct prefix *prefix = &options->nodeport_addresses[i];

		any |= prefix->addr.family == addr->family;
		if (prefix_contains(prefix, addr))
			return true;
	}
	return !any;
}

static int uplinks_add_nodeports(const struct options *options, const struct netlink *netlink,
				 struct uplinks *uplinks, struct error *error)
{
	struct addr found[4 * UPLINKS_NODEPORTS_MAX];
	size_t n;

	if (!options->nnodeport_addresses || !options->nodeport_addresses[0].addr.family) {
		memcpy(uplinks->nodeports, uplinks->addresses,
		       uplinks->naddresses * sizeof(*uplinks->nodeports));
		uplinks->nnodeports = uplinks->naddresses;
		return 0;
	}
	n = netlink_addresses(netlink, 0, found, sizeof(found) / sizeof(*found));
	for (size_t i = 0; i < n; i++) {
		if (!nodeport_is_wanted(options, &found[i]))
			continue;
		if (uplinks->nnodeports == UPLINKS_NODEPORTS_MAX)
			return error_set(error, -E2BIG,
					 "--nodeport-addresses: more than %d addresses of this "
					 "node are meant",
					 UPLINKS_NODEPORTS_MAX);
		uplinks->nodeports[uplinks->nnodeports++] = found[i];
	}
	return 0;
}

int uplinks_find(const struct options *options, struct netlink *netlink, struct uplinks *ret,
		 struct error *error)
{
	struct uplinks uplinks = {0};
	int err;

	if (options->ndevices)
		err = uplinks_add_named(options, netlink, &uplinks, error);
	else
		err = uplinks_add_default(options, netlink, &uplinks, error);
	if (err)
		return err;
	if (!uplinks.n && !options->check)
		return error_set(
			error, -ENODEV,
			"--device: is missing, and no Ethernet device has a default route");
	uplinks_add_addresses(options, netlink, &uplinks);
	err = uplinks_add_nodeports(options, netlink, &uplinks, error);
	if (err)
		return err;
	*ret = uplinks;
	return 0;
}

int uplinks_update(const struct options *options, struct netlink *netlink, struct uplinks *uplinks,
		   struct error *error)
{
	struct uplinks now = {0};
	struct error ignored;
	bool stay;
	int err;

	if (options->ndevices) {
		uplinks_add_named(options, netlink, &now, &ignored);
	} else {
		err = uplinks_add_default(options, netlink, &now, error);
		if (err)
			return err;
	}
	stay = !options->ndevices && !now.n;
	for (size_t i = 0; i < uplinks->n && stay; i++) {
		const struct netlink_link *link =
			netlink_link_by_index(netlink, uplinks->list[i].ifindex);

		if (link)
			uplink_add(&now, netlink, link, options->hook);
	}
	uplinks_add_addresses(options, netlink, &now);
	err = uplinks_add_nodeports(options, netlink, &now, error);
	if (err)
		return err;
	*uplinks = now;
	return 0;
}

bool uplinks_contain(const struct uplinks *uplinks, int ifindex)
{
	for (size_t i = 0; i < uplinks->n; i++)
		if (uplinks->list[i].ifindex == ifindex)
			return true;
	return false;
}

bool uplinks_addresses_equal(const struct uplinks *a, const struct uplinks *b)
{
	return a->naddresses == b->naddresses && a->nnodeports == b->nnodeports &&
	       memcmp(a->addresses, b->addresses, a->naddresses * sizeof(*a->addresses)) == 0 &&
	       memcmp(a->nodeports, b->nodeports, a->nnodeports * sizeof(*a->nodeports)) == 0;
}
