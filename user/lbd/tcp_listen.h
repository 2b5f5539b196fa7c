/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A TCP socket that listens, non-blocking: for the HTTP servers that others reach by
 * the network.
 */
#ifndef GW_TCP_LISTEN_H
#define GW_TCP_LISTEN_H

#include "addr.h"

/* port: host order.  addr NULL: every address of both families, or of IPv4 where the
 * kernel has no IPv6.  Returns the socket or -errno. */
int tcp_listen(const struct addr *addr, uint16_t port);

#endif
