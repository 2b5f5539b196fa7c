/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Sockets of this node's processes that are connected to a backend which is no good any more.
 * The kernel sends their packets there by itself, so that none of our programs could
 * give them another: whoever waits on such a socket would wait for ever.  They are
 * ended when the datapath would give a flow another backend, or RST.
 */
#ifndef GW_SOCKET_WAKE_H
#define GW_SOCKET_WAKE_H

#include "maps.h"
#include "plan.h"

/* Once a plan is carried out; NULL: whatever it was.  Returns how many were ended, or
 * -errno (netlink_sockets.h). */
int socket_wake(const struct maps *maps, const struct plan *plan);

#endif
