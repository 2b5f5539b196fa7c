/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Questions about routes, asked on a socket for requests.  Nothing is kept.
 * Used by netlink.c alone; netlink.h says what the answers mean.
 */
#ifndef GW_NETLINK_ROUTE_H
#define GW_NETLINK_ROUTE_H

#include <libmnl/libmnl.h>
#include <stddef.h>

#include "addr.h"
#include "netlink.h"

int route_get(struct mnl_socket *socket, const struct addr *addr, struct netlink_route *ret);

/* Devices of the routes into a prefix, or of the default routes (NULL). */
int route_devices(struct mnl_socket *socket, const struct prefix *within, int *ret, size_t max);

#endif
