/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What an operator asks of backends: no new flows, or new ones again.  The
 * request is kept in the maps' backends (LB_BACKEND_F_DRAIN*), where the next
 * plan finds it; so it outlives lbd.
 */
#ifndef GW_DRAIN_H
#define GW_DRAIN_H

#include "addr.h"
#include "error.h"
#include "maps.h"

/*
 * Drain, or undrain, every backend of an address and port (host order; 0 = of
 * all its ports).  A sync has to follow.  Returns 0 and how many backends are
 * meant, or -errno: -ENOENT no backend has this address, -EEXIST one port of an
 * address is to be undrained that is drained as a whole.
 */
int drain_set(struct maps *maps, const struct addr *addr, uint16_t port, bool drain, size_t *ret_n,
	      struct error *error);

#endif
