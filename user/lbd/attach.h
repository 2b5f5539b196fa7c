/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Programs on devices, each with a pin DIR/v<LB_ABI>/links/HOOK-IFINDEX, and on a
 * cgroup, with a pin DIR/v<LB_ABI>/links/HOOK.
 *
 * XDP, tcx and cgroups have a bpf_link: it keeps its program attached without this
 * process, and lets another program take its place without a packet in
 * between.  Kernels before 6.6 have no tcx: there a clsact filter does the
 * same, and the program itself is pinned to tell that the filter is ours.
 * Where XDP is shared with others, a dispatcher has the programs, and the pin is its
 * mark (attach_dispatcher.h).
 * (Names carry the ifindex because bpffs refuses dots, which device names may
 * have.)
 */
#ifndef GW_ATTACH_H
#define GW_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum attach_hook {
	ATTACH_XDP_NATIVE,
	ATTACH_XDP_GENERIC,
	ATTACH_DISPATCHER_NATIVE,
	ATTACH_DISPATCHER_GENERIC,
	ATTACH_TCX_INGRESS,
	ATTACH_TCX_EGRESS,
	ATTACH_CLSACT_INGRESS,
	ATTACH_CLSACT_EGRESS,
	ATTACH_CGROUP_CONNECT4, /* the first of a cgroup's */
	ATTACH_CGROUP_CONNECT6,
	ATTACH_CGROUP_SENDMSG4,
	ATTACH_CGROUP_SENDMSG6,
	ATTACH_CGROUP_RECVMSG4,
	ATTACH_CGROUP_RECVMSG6,
	ATTACH_CGROUP_GETPEERNAME4,
	ATTACH_CGROUP_GETPEERNAME6,
	ATTACH_CGROUP_RELEASE,
};

struct attach_point {
	enum attach_hook hook;
	int ifindex;
	const char *device; /* name, for messages */
	int program_fd;
	/* Of a dispatcher's hooks, instead of program_fd; the map is one that only our
	 * programs use. */
	struct xdp_program *extension;
	int map_fd;
	/* Of a cgroup's hook, instead of ifindex; device is its path. */
	int cgroup_fd;
	uint64_t cgroup_id; /* its inode's number */
};

/* Has the kernel tcx links?  Asked with any TC program. */
bool attach_has_tcx(int program_fd);

/* Attach, or replace the program of the link that is pinned.  A link whose
 * device is gone, or that is on another cgroup, is made anew. */
int attach_ensure(const char *dir, const struct attach_point *point, struct error *error);

/* Detach all links that aren't named by points. */
int attach_prune(const char *dir, const struct attach_point *points, size_t n);

/* Detach the links of other layouts than LB_ABI; with ifindexes, those alone by which packets
 * come in there.  Returns how many, or -errno. */
int attach_prune_others(const char *dir, const int *ifindexes, size_t n);

#endif
