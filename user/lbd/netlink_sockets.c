/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "netlink_sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink_request.h"

/* UDP has the first one alone. */
#define STATES_CONNECTED (1U << TCP_ESTABLISHED | 1U << TCP_SYN_SENT | 1U << TCP_CLOSE_WAIT)

struct victim {
	uint8_t family;
	struct inet_diag_sockid id;
};

struct search {
	size_t value_bytes;
	bool (*dies)(void *arg, uint64_t cookie, const void *value);
	void *arg;
	struct victim *victims;
	size_t n, room;
};

static int search_add(struct search *search, const struct inet_diag_msg *socket)
{
	if (search->n == search->room) {
		size_t room = search->room ? 2 * search->room : 64;
		void *more = reallocarray(search->victims, room, sizeof(*search->victims));

		if (!more)
			return -ENOMEM;
		search->victims = more;
		search->room = room;
	}
	search->victims[search->n++] = (struct victim){socket->idiag_family, socket->id};
	return 0;
}

/* What the map of socket storage has of this socket; NULL = nothing. */
static const void *socket_value(const struct nlmsghdr *answer, size_t value_bytes)
{
	const struct nlattr *all, *storage, *part;

	mnl_attr_for_each(all, answer, sizeof(struct inet_diag_msg)) {
		if (mnl_attr_get_type(all) != INET_DIAG_SK_BPF_STORAGES)
			continue;
		mnl_attr_for_each_nested(storage, all)
			mnl_attr_for_each_nested(part, storage)
				if (mnl_attr_get_type(part) == SK_DIAG_BPF_STORAGE_MAP_VALUE &&
				    mnl_attr_get_payload_len(part) >= value_bytes)
					return mnl_attr_get_payload(part);
	}
	return NULL;
}

static int search_take(const struct nlmsghdr *answer, void *arg)
{
	struct search *search = arg;
	const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(answer);
	const __u32 *cookie = socket->id.idiag_cookie;

	if (!search->dies(search->arg, (uint64_t)cookie[1] << 32 | cookie[0],
			  socket_value(answer, search->value_bytes)))
		return 0;
	return search_add(search, socket);
}

static struct inet_diag_req_v2 *request_begin(char *buffer, uint16_t type, uint16_t flags,
					      uint8_t family, uint8_t protocol)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(nlh, sizeof(*request));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	request->sdiag_family = family;
	request->sdiag_protocol = protocol;
	request->idiag_states = STATES_CONNECTED;
	return request;
}

static int search_family(struct mnl_socket *netlink, uint8_t family, uint8_t protocol,
			 int storage_fd, struct search *search)
{
	char buffer[NETLINK_REQUEST_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = (struct nlmsghdr *)buffer;

	request_begin(buffer, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, protocol);
	if (storage_fd >= 0) {
		struct nlattr *nest = mnl_attr_nest_start(nlh, INET_DIAG_REQ_SK_BPF_STORAGES);

		mnl_attr_put_u32(nlh, SK_DIAG_BPF_STORAGE_REQ_MAP_FD, (uint32_t)storage_fd);
		mnl_attr_nest_end(nlh, nest);
	}
	return netlink_request(netlink, nlh, search_take, search);
}

static int ignore_answer(const struct nlmsghdr *answer, void *arg)
{
	(void)answer;
	(void)arg;
	return 0;
}

static int victim_end(struct mnl_socket *netlink, const struct victim *victim, uint8_t protocol)
{
	char buffer[NETLINK_REQUEST_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct inet_diag_req_v2 *request =
		request_begin(buffer, SOCK_DESTROY, NLM_F_ACK, victim->family, protocol);

	request->id = victim->id; /* with its cookie: no other is hit that has its ports by now */
	return netlink_request(netlink, (struct nlmsghdr *)buffer, ignore_answer, NULL);
}

int netlink_sockets_end(uint8_t protocol, int storage_fd, size_t value_bytes,
			bool (*dies)(void *arg, uint64_t cookie, const void *value), void *arg)
{
	struct search search = {.value_bytes = value_bytes, .dies = dies, .arg = arg};
	struct mnl_socket *netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int err = 0, n = 0;

	if (!netlink)
		return -errno;
	for (size_t i = 0; i < 2 && !err; i++)
		err = search_family(netlink, families[i], protocol, storage_fd, &search);
	for (size_t i = 0; i < search.n && !err; i++) {
		err = victim_end(netlink, &search.victims[i], protocol);
		n += !err;
		if (err == -ENOENT) /* it has ended by itself */
			err = 0;
	}
	free(search.victims);
	mnl_socket_close(netlink);
	return err ?: n;
}
