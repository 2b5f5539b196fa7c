/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Programs on devices: one pinned bpf_link each, DIR/v<LB_ABI>/links/HOOK-IFINDEX.
 *
 * A link keeps its program attached without this process, and lets another
 * program take its place without a packet in between.  (Names carry the
 * ifindex because bpffs refuses dots, which device names may have.)
 */
#ifndef GW_ATTACH_H
#define GW_ATTACH_H

#include "error.h"

enum attach_hook {
	ATTACH_XDP_GENERIC,
	ATTACH_TC_INGRESS,
};

struct attach_point {
	enum attach_hook hook;
	int ifindex;
	const char *device; /* name, for messages */
	int program_fd;
};

/* Attach, or replace the program of the link that is pinned.  A link whose
 * device is gone is made anew. */
int attach_ensure(const char *dir, const struct attach_point *point, struct error *error);

/* Detach all links that aren't named by points. */
int attach_prune(const char *dir, const struct attach_point *points, size_t n);

#endif
