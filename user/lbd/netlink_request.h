/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One rtnetlink request and its answers.  Blocks until the kernel has answered
 * (it does at once); requests and notifications therefore have sockets apart.
 * Used by the netlink modules alone.
 */
#ifndef GW_NETLINK_REQUEST_H
#define GW_NETLINK_REQUEST_H

#include <libmnl/libmnl.h>
#include <stdint.h>

/* Room for a request: headers and a few attributes. */
#define NETLINK_REQUEST_BYTES 256

/* The kernel cuts dumps into pieces of at most 32 KiB. */
#define NETLINK_BUFFER_BYTES (32 * 1024)

/* Called for each answer; an error is kept, the other answers are still read. */
typedef int (*netlink_answer_fn)(const struct nlmsghdr *answer, void *arg);

/*
 * Send a request that has NLM_F_REQUEST set, and hand over its answers.
 * Returns 0, the kernel's or the callback's -errno, or -EINTR where a dump was
 * interrupted by a change (NLM_F_DUMP_INTR): what was handed over may then
 * lack entries or have them twice, and the dump has to be made again.
 */
int netlink_request(struct mnl_socket *socket, struct nlmsghdr *request, netlink_answer_fn answer,
		    void *arg);

/* Ask for all objects of an RTM_GET* type, of every family; as above. */
int netlink_dump(struct mnl_socket *socket, uint16_t type, netlink_answer_fn answer, void *arg);

/* An interrupted dump is made again so often.  Devices come one by one, so a
 * few times suffice even where pods start in crowds. */
#define NETLINK_DUMP_TRIES 20

#endif
