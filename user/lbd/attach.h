/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Programs on devices, each with a pin DIR/v<LB_ABI>/links/HOOK-IFINDEX.
 *
 * XDP and tcx have a bpf_link: it keeps its program attached without this
 * process, and lets another program take its place without a packet in
 * between.  Kernels before 6.6 have no tcx: there a clsact filter does the
 * same, and the program itself is pinned to tell that the filter is ours.
 * (Names carry the ifindex because bpffs refuses dots, which device names may
 * have.)
 */
#ifndef GW_ATTACH_H
#define GW_ATTACH_H

#include <stdbool.h>

#include "error.h"

enum attach_hook {
	ATTACH_XDP_NATIVE,
	ATTACH_XDP_GENERIC,
	ATTACH_TCX_INGRESS,
	ATTACH_TCX_EGRESS,
	ATTACH_CLSACT_INGRESS,
	ATTACH_CLSACT_EGRESS,
};

struct attach_point {
	enum attach_hook hook;
	int ifindex;
	const char *device; /* name, for messages */
	int program_fd;
};

/* Has the kernel tcx links?  Asked with any TC program. */
bool attach_has_tcx(int program_fd);

/* Attach, or replace the program of the link that is pinned.  A link whose
 * device is gone is made anew. */
int attach_ensure(const char *dir, const struct attach_point *point, struct error *error);

/* Detach all links that aren't named by points. */
int attach_prune(const char *dir, const struct attach_point *points, size_t n);

#endif
