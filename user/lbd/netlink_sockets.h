/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Sockets of this network namespace, as sock_diag(7) lists and ends them.
 */
#ifndef GW_NETLINK_SOCKETS_H
#define GW_NETLINK_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * End those connected sockets of a protocol of which dies() says so, by their cookie or by
 * what a BPF map of socket storage (storage_fd, -1 = none) keeps with them: value, of
 * value_bytes, NULL = nothing.  Whoever waits on such a socket is woken with
 * ECONNABORTED.  Returns how many, or -errno: -EOPNOTSUPP where the kernel lacks
 * CONFIG_INET_DIAG_DESTROY.
 */
int netlink_sockets_end(uint8_t protocol, int storage_fd, size_t value_bytes,
			bool (*dies)(void *arg, uint64_t cookie, const void *value), void *arg);

#endif
