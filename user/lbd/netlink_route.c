/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "netlink_route.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink_request.h"

/* A route of the kernel's answer, as far as it is looked at. */
struct route {
	uint8_t type; /* RTN_* */
	uint32_t table;
	struct prefix to;
	bool gateway;
	struct addr via;		/* the gateway */
	int ifindex;			/* 0 = several, see below, or none */
	const struct nlattr *multipath; /* struct rtnexthop, one after another */
};

static void gateway_parse(const void *bytes, size_t length, struct addr *ret)
{
	if (length != 4 && length != 16)
		return;
	ret->family = length == 4 ? 4 : 6;
	memcpy(ret->bytes, bytes, length);
}

static int route_parse(const struct nlmsghdr *nlh, struct route *ret)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route route = {0};
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
		return -EBADMSG;
	/* A dump has those of MPLS, too. */
	if (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6)
		return -EAFNOSUPPORT;
	route.type = rtm->rtm_type;
	route.table = rtm->rtm_table;
	route.to.length = rtm->rtm_dst_len;
	route.to.addr.family = rtm->rtm_family == AF_INET ? 4 : 6;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		size_t length = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case RTA_TABLE:
			if (length == sizeof(uint32_t))
				route.table = mnl_attr_get_u32(attr);
			break;
		case RTA_DST:
			if (length == (rtm->rtm_family == AF_INET ? 4 : 16))
				memcpy(route.to.addr.bytes, mnl_attr_get_payload(attr), length);
			break;
		case RTA_OIF:
			if (length == sizeof(uint32_t))
				route.ifindex = (int)mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			route.gateway = true;
			gateway_parse(mnl_attr_get_payload(attr), length, &route.via);
			break;
		case RTA_VIA: /* an IPv4 route by an IPv6 neighbour */
			route.gateway = true;
			if (length > sizeof(struct rtvia))
				gateway_parse(mnl_attr_get_payload(attr) + sizeof(struct rtvia),
					      length - sizeof(struct rtvia), &route.via);
			break;
		case RTA_MULTIPATH:
			route.multipath = attr;
		}
	}
	*ret = route;
	return 0;
}

static int route_answer(const struct nlmsghdr *answer, void *arg)
{
	return route_parse(answer, arg);
}

int route_get(struct mnl_socket *socket, const struct addr *addr, struct netlink_route *ret)
{
	char buffer[NETLINK_REQUEST_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	size_t length = addr->family == 4 ? 4 : 16;
	struct route route = {0};
	struct rtmsg *rtm;
	int err;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = addr->family == 4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = (uint8_t)(length * 8);
	mnl_attr_put(nlh, RTA_DST, length, addr->bytes);
	err = netlink_request(socket, nlh, route_answer, &route);
	/* Routes of type unreachable, prohibit and blackhole fail as a packet would. */
	if (err == -EHOSTUNREACH || err == -EACCES || err == -EINVAL)
		err = -ENETUNREACH;
	if (err)
		return err;
	if (route.type != RTN_UNICAST && route.type != RTN_LOCAL)
		return -ENETUNREACH;
	*ret = (struct netlink_route){
		.ifindex = route.ifindex,
		.gateway = route.gateway,
		.local = route.type == RTN_LOCAL,
		.neighbour = route.gateway ? route.via : *addr,
	};
	return 0;
}

/* Devices of those routes of a dump that the caller looks for. */
struct device_search {
	const struct prefix *within; /* NULL = default routes */
	int *found;
	size_t nfound;
	size_t max;
};

static void device_found(struct device_search *search, int ifindex)
{
	for (size_t i = 0; i < search->nfound; i++)
		if (search->found[i] == ifindex)
			return;
	if (ifindex && search->nfound < search->max)
		search->found[search->nfound++] = ifindex;
}

static bool route_is_wanted(const struct route *route, const struct prefix *within)
{
	if (route->type != RTN_UNICAST || route->table != RT_TABLE_MAIN)
		return false;
	if (!within)
		return route->to.length == 0;
	return route->to.length >= within->length && prefix_contains(within, &route->to.addr) &&
	       !route->gateway;
}

static int device_search_answer(const struct nlmsghdr *answer, void *arg)
{
	struct device_search *search = arg;
	struct route route;

	if (route_parse(answer, &route) || !route_is_wanted(&route, search->within))
		return 0;
	device_found(search, route.ifindex);
	if (route.multipath && !search->within) {
		const struct rtnexthop *hop = mnl_attr_get_payload(route.multipath);
		int left = mnl_attr_get_payload_len(route.multipath);

		for (; RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
			device_found(search, hop->rtnh_ifindex);
	}
	return 0;
}

int route_devices(struct mnl_socket *socket, const struct prefix *within, int *ret, size_t max)
{
	struct device_search search = {.within = within, .found = ret, .max = max};
	int err = -EINTR;

	for (int i = 0; i < NETLINK_DUMP_TRIES && err == -EINTR; i++) {
		search.nfound = 0;
		err = netlink_dump(socket, RTM_GETROUTE, device_search_answer, &search);
	}
	return err ? err : (int)search.nfound;
}
