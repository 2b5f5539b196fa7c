/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The datapath's programs on a cgroup, which make this node's processes clients of
 * services.  Used by datapath.c alone.
 */
#ifndef GW_DATAPATH_SOCKETS_H
#define GW_DATAPATH_SOCKETS_H

#include <stdbool.h>

#include "attach.h"
#include "error.h"

#define DATAPATH_SOCKET_HOOKS 9

struct lb_bpf;

/* Before loading: are they wanted?  They serve the network namespace that we are in. */
int datapath_sockets_prepare(struct lb_bpf *skel, bool wanted, struct error *error);

/* Where they go on the cgroup of this path, which is open as cgroup_fd.  What the process is
 * told of its peer comes first. */
int datapath_sockets_points(const struct lb_bpf *skel, const char *cgroup, int cgroup_fd,
			    struct attach_point ret[DATAPATH_SOCKET_HOOKS], struct error *error);

#endif
