/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One sync: the maps and the devices' programs become what source and network
 * say now.
 *
 *	source --> snapshot --+
 *	netlink -> next hops -+-> plan --> apply --> maps;  programs --> devices
 *	maps ----> applied ---+
 *
 * Whatever happens (a file, a device, a route, a neighbour, a linger's end, a
 * request) ends in one sync_run(), and a restart is no special case.  lbd.c
 * fills a struct sync, step by step as it starts, and owns it.
 */
#ifndef GW_SYNC_H
#define GW_SYNC_H

#include "attachments.h"
#include "datapath.h"
#include "devices.h"
#include "health.h"
#include "health_ports.h"
#include "metrics.h"
#include "netlink.h"
#include "options.h"
#include "plan.h"
#include "socket_lb.h"
#include "source.h"
#include "uplinks.h"
#include "view.h"

struct sync {
	const struct options *options;
	struct netlink *netlink;
	struct uplinks uplinks;
	uint64_t routes_revision; /* that the uplinks are from */
	struct source *source;
	bool reload; /* the source is to be read again */
	/* The last good one.  Revision 0: an empty one, as long as the source has
	 * none; what the maps hold stays then. */
	struct snapshot *snapshot;
	struct plan *plan; /* made from it; NULL = not yet */
	struct datapath *datapath;
	struct maps *maps; /* the datapath's */
	struct devices *devices;
	struct health *health;	    /* NULL: nothing is checked, as with --check */
	struct health_ports *ports; /* NULL likewise: nobody listens */
	struct attachments attached;
	uint64_t links_gone; /* when they were */
	bool attach_failed;
	struct socket_lb socket_lb;
	bool sockets_woken;	    /* those of before this lbd, too */
	bool took_over;		    /* from a lbd with another layout, if there was one */
	uint64_t forget_ticks;	    /* when the rest of it goes; 0 = there is nothing */
	struct view view;	    /* of all this, for the API */
	uint64_t took_ms;	    /* the last run */
	uint64_t event_ns;	    /* when the first event since the last run was seen; 0 = none */
	struct metrics_syncs syncs; /* that changed something */
};

/* Read the source.  A failure leaves the last snapshot; -EAGAIN: there is none
 * yet. */
int sync_load(struct sync *sync, struct error *error);

/* Needs everything but snapshots later than the first: does all there is to
 * do.  Where the source alone can't be read, the last snapshot is kept in
 * force all the same.  -EAGAIN: the source has no snapshot yet, nothing was done. */
int sync_run(struct sync *sync, struct error *error);

/* When there is something to do even if nothing happens; 0 = never. */
uint64_t sync_due_ticks(const struct sync *sync);

/* What a run would change in the maps as they are, without a new look at the
 * source; plan_free() it. */
int sync_diff(struct sync *sync, struct plan **ret, struct error *error);

/*
 * After a run that succeeded: is everything that the source holds in the maps?
 * Returns 0, or -EBADMSG and what isn't: something was refused.  Endpoints on
 * other nodes may be left out.
 */
int sync_check_complete(const struct sync *sync, struct error *error);

/* Close and free what it holds, also half-filled. */
void sync_close(struct sync *sync);

#endif
