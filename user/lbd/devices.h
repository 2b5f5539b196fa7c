/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Pod devices, and the next hops of backends.
 *
 * A pod's device is found by route: an address that the kernel sends by a
 * device that is no uplink, without a gateway, to another than this node, is a
 * pod's.  What it sends by an uplink is on another node, unless it belongs to
 * --pod-cidr, which where it isn't given is what this node's Node object says.
 * Each such device, and each uplink, has an index in maps->devices,
 * which next hops name.  Devices that lead into --pod-cidr are pod devices without an index:
 * their pods may be clients alone.
 *
 * A sync goes: devices_begin(), plan_make() with devices_next_hop() (which
 * writes nothing), devices_store(), apply_plan(), devices_release().  So the
 * table has an entry before a backend names it, and loses it after.
 */
#ifndef GW_DEVICES_H
#define GW_DEVICES_H

#include "error.h"
#include "maps.h"
#include "netlink.h"
#include "options.h"
#include "plan.h"
#include "uplinks.h"

struct devices;

/* Adopts the entries that maps hold.  All arguments have to outlive it. */
int devices_open(const struct options *options, struct netlink *netlink,
		 const struct uplinks *uplinks, struct maps *maps, struct devices **ret,
		 struct error *error);
void devices_close(struct devices *devices);

/* Where this node's pods are, for devices_begin(): --pod-cidr, else the Node's. */
void devices_follow_node(struct devices *devices, const struct model_node *node);

/* Returns 0, or -errno where the routes can't be read. */
int devices_begin(struct devices *devices, struct error *error);

/* plan_options.next_hop; arg is the struct devices.  Answers are remembered
 * until the routes change; neighbours are looked up each time.  By the stack: an
 * address of this node's own, or a device whose MTU isn't the uplinks'. */
struct plan_hop devices_next_hop(void *arg, const struct addr *addr);

/* Have the kernel look whether the next hops' neighbours still have their MACs, for
 * all that have been asked for.  To be called every few seconds. */
void devices_confirm_neighbours(struct devices *devices);

/* Write what changed in the table.  Returns -errno, too, where a look-up since
 * devices_begin() failed: then no answer of this sync is to be trusted. */
int devices_store(struct devices *devices, struct error *error);

/* Free entries that no backend names. */
int devices_release(struct devices *devices, struct error *error);

/* Addresses that got no next hop in this sync because the table is full. */
size_t devices_left_out(const struct devices *devices);

/* The pod devices that exist: at most max of them, as their ifindexes in
 * ascending order; returns how many. */
size_t devices_pods(const struct devices *devices, int *ret, size_t max);

#endif
