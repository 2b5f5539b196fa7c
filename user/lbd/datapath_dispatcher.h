/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The uplinks' programs as a dispatcher takes them: libxdp attaches none that is
 * loaded, so each is opened a second time, on the maps of the first.  Used by
 * datapath.c alone.
 */
#ifndef GW_DATAPATH_DISPATCHER_H
#define GW_DATAPATH_DISPATCHER_H

#include <stdbool.h>

#include "error.h"

struct lb_bpf;
struct xdp_program;

struct datapath_dispatcher {
	struct lb_bpf *copies[2]; /* generic, native */
	struct xdp_program *programs[2];
};

/* Of loaded programs.  A zeroed struct holds nothing and can be closed.  -ENOTSUP the
 * kernel or libxdp can't do it. */
int datapath_dispatcher_open(const struct lb_bpf *loaded, struct datapath_dispatcher *ret,
			     struct error *error);
void datapath_dispatcher_close(struct datapath_dispatcher *dispatcher);

#endif
