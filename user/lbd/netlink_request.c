/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "netlink_request.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>

struct exchange {
	uint32_t seq;
	netlink_answer_fn answer;
	void *arg;
	bool ended, interrupted;
	int err; /* the first */
};

/* The error of an NLMSG_ERROR or, since a dump can fail half-way, NLMSG_DONE. */
static int message_errno(const struct nlmsghdr *nlh)
{
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(int))
		return 0;
	return *(const int *)mnl_nlmsg_get_payload(nlh);
}

static void exchange_take(struct exchange *x, const struct nlmsghdr *nlh)
{
	int err = 0;

	/* What is left of a request that was given up. */
	if (nlh->nlmsg_seq != x->seq)
		return;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		x->interrupted = true;
	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
	case NLMSG_DONE:
		x->ended = true;
		err = message_errno(nlh);
		break;
	default:
		x->ended = !(nlh->nlmsg_flags & NLM_F_MULTI);
		if (x->err == 0)
			err = x->answer(nlh, x->arg);
	}
	if (x->err == 0)
		x->err = err;
}

int netlink_request(struct mnl_socket *socket, struct nlmsghdr *request, netlink_answer_fn answer,
		    void *arg)
{
	static uint32_t last_seq;
	struct exchange x = {.seq = ++last_seq, .answer = answer, .arg = arg};
	char buffer[NETLINK_BUFFER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));

	request->nlmsg_seq = x.seq;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (!x.ended) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buffer;
		ssize_t n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			exchange_take(&x, nlh);
	}
	if (x.err)
		return x.err;
	return x.interrupted ? -EINTR : 0;
}

/* The header that follows nlmsghdr; the kernel complains of other sizes. */
static size_t family_header_bytes(uint16_t type)
{
	switch (type) {
	case RTM_GETLINK:
		return sizeof(struct ifinfomsg);
	case RTM_GETADDR:
		return sizeof(struct ifaddrmsg);
	case RTM_GETNEIGH:
		return sizeof(struct ndmsg);
	default:
		assert(type == RTM_GETROUTE);
		return sizeof(struct rtmsg);
	}
}

int netlink_dump(struct mnl_socket *socket, uint16_t type, netlink_answer_fn answer, void *arg)
{
	char buffer[NETLINK_REQUEST_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, family_header_bytes(type)); /* family 0: all */
	return netlink_request(socket, nlh, answer, arg);
}
