/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "netlink.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink_cache.h"
#include "netlink_request.h"
#include "netlink_route.h"

/* Notifications wait here while lbd is busy; what doesn't fit costs a dump. */
#define EVENTS_BUFFER_BYTES (8 << 20)

struct netlink {
	struct mnl_socket *events, *requests;
	struct netlink_cache cache;
	uint64_t routes_revision, links_gone;
	bool lost; /* the cache may lack something: dump anew */
};

static const int event_groups[] = {
	RTNLGRP_LINK,	     RTNLGRP_NEIGH,	 RTNLGRP_IPV4_IFADDR,
	RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
	RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,	 RTNLGRP_NEXTHOP,
};

/* ---- dumps --------------------------------------------------------------- */

static int cache_answer(const struct nlmsghdr *answer, void *arg)
{
	int ret = netlink_cache_take(arg, answer);

	return ret < 0 ? ret : 0;
}

/* Replace what the cache holds by dumps of all these types. */
static int cache_fill(struct netlink *netlink, struct netlink_cache *cache, const uint16_t *types,
		      size_t ntypes)
{
	int err = -EINTR;

	for (int i = 0; i < NETLINK_DUMP_TRIES && err == -EINTR; i++) {
		netlink_cache_clear(cache);
		err = 0;
		for (size_t t = 0; t < ntypes && !err; t++)
			err = netlink_dump(netlink->requests, types[t], cache_answer, cache);
	}
	if (err)
		netlink_cache_clear(cache);
	return err;
}

static int cache_refill(struct netlink *netlink)
{
	static const uint16_t types[] = {RTM_GETLINK, RTM_GETADDR, RTM_GETNEIGH};
	struct netlink_cache fresh = {0};
	int err = cache_fill(netlink, &fresh, types, 3);

	if (err)
		return err;
	netlink_cache_clear(&netlink->cache);
	netlink->cache = fresh;
	return 0;
}

static bool addresses_equal(const struct netlink_cache *a, const struct netlink_cache *b)
{
	return a->naddresses == b->naddresses &&
	       (a->naddresses == 0 ||
		memcmp(a->addresses, b->addresses, a->naddresses * sizeof(*a->addresses)) == 0);
}

/* Returns 1 if the addresses or their order changed. */
static int addresses_refill(struct netlink *netlink)
{
	static const uint16_t type = RTM_GETADDR;
	struct netlink_cache *cache = &netlink->cache;
	struct netlink_cache fresh = {0}, old;
	int err = cache_fill(netlink, &fresh, &type, 1);

	if (err)
		return err;
	if (addresses_equal(&fresh, cache)) {
		netlink_cache_clear(&fresh);
		return 0;
	}
	old = (struct netlink_cache){.addresses = cache->addresses};
	cache->addresses = fresh.addresses;
	cache->naddresses = fresh.naddresses;
	cache->addresses_room = fresh.addresses_room;
	netlink_cache_clear(&old);
	return 1;
}

/* ---- notifications ------------------------------------------------------- */

/* What a batch of notifications was about. */
struct batch {
	bool changed, routes, addresses, lost;
};

static int message_take(struct netlink *netlink, const struct nlmsghdr *nlh, struct batch *batch)
{
	int ret;

	switch (nlh->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		batch->addresses = true;
		return 0;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		batch->routes = true;
		return 0;
	default:
		ret = netlink_cache_take(&netlink->cache, nlh);
		if (ret <= 0)
			return ret;
		batch->changed = true;
		if (nlh->nlmsg_type == RTM_NEWLINK || nlh->nlmsg_type == RTM_DELLINK)
			batch->routes = true;
		netlink->links_gone += nlh->nlmsg_type == RTM_DELLINK;
		return 0;
	}
}

/* Read until nothing waits.  After a loss, too: what waits may be older than
 * what was lost, and the dump that follows is newer than both. */
static int batch_read(struct netlink *netlink, struct batch *batch)
{
	char buffer[NETLINK_BUFFER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buffer;
		ssize_t n = mnl_socket_recvfrom(netlink->events, buffer, sizeof(buffer));
		int left = (int)n;
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			batch->lost = true;
			continue;
		}
		if (n < 0)
			return -errno;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			err = message_take(netlink, nlh, batch);
			if (err)
				return err;
		}
	}
}

int netlink_process(struct netlink *netlink)
{
	struct batch batch = {.lost = netlink->lost};
	int ret;

	/* Until all is taken in. */
	netlink->lost = true;
	ret = batch_read(netlink, &batch);
	if (ret)
		return ret;
	if (batch.lost) {
		ret = cache_refill(netlink);
		if (ret)
			return ret;
		batch.changed = batch.routes = true;
		netlink->links_gone++;
	} else if (batch.addresses) {
		ret = addresses_refill(netlink);
		if (ret < 0)
			return ret;
		batch.routes |= ret;
	}
	netlink->lost = false;
	if (batch.routes)
		netlink->routes_revision++;
	return batch.changed || batch.routes;
}

int netlink_fd(const struct netlink *netlink)
{
	return mnl_socket_get_fd(netlink->events);
}

uint64_t netlink_routes_revision(const struct netlink *netlink)
{
	return netlink->routes_revision;
}

uint64_t netlink_links_gone(const struct netlink *netlink)
{
	return netlink->links_gone;
}

/* ---- look-ups ------------------------------------------------------------ */

const struct netlink_link *netlink_link_by_name(const struct netlink *netlink, const char *name)
{
	for (size_t i = 0; i < netlink->cache.nlinks; i++)
		if (strcmp(netlink->cache.links[i].name, name) == 0)
			return &netlink->cache.links[i];
	return NULL;
}

const struct netlink_link *netlink_link_by_index(const struct netlink *netlink, int ifindex)
{
	return netlink_cache_link(&netlink->cache, ifindex);
}

bool netlink_has_vlans(const struct netlink *netlink, int ifindex)
{
	return netlink_cache_has_vlans(&netlink->cache, ifindex);
}

size_t netlink_addresses(const struct netlink *netlink, int ifindex, struct addr *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < netlink->cache.naddresses && n < max; i++)
		if (!ifindex || netlink->cache.addresses[i].ifindex == ifindex)
			ret[n++] = netlink->cache.addresses[i].addr;
	return n;
}

uint64_t netlink_neighbour(const struct netlink *netlink, int ifindex, const struct addr *addr)
{
	return netlink_cache_neighbour(&netlink->cache, ifindex, addr);
}

static int no_answer(const struct nlmsghdr *answer, void *arg)
{
	(void)answer;
	(void)arg;
	return 0;
}

/* As if a packet were sent to it: a stale one is asked whether it is still there. */
static int neighbour_use(struct mnl_socket *socket, int ifindex, const struct addr *addr)
{
	char buffer[NETLINK_REQUEST_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ndmsg *ndm;

	nlh->nlmsg_type = RTM_NEWNEIGH;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = addr->family == 4 ? AF_INET : AF_INET6;
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_flags = NTF_USE;
	mnl_attr_put(nlh, NDA_DST, addr->family == 4 ? 4 : 16, addr->bytes);
	return netlink_request(socket, nlh, no_answer, NULL);
}

void netlink_confirm_neighbour(struct netlink *netlink, int ifindex, const struct addr *addr)
{
	/* A failure is a neighbour that has just gone: a notification says so. */
	if (netlink_cache_take_stale(&netlink->cache, ifindex, addr))
		neighbour_use(netlink->requests, ifindex, addr);
}

int netlink_route(struct netlink *netlink, const struct addr *addr, struct netlink_route *ret)
{
	return route_get(netlink->requests, addr, ret);
}

int netlink_default_devices(struct netlink *netlink, int *ret, size_t max)
{
	return route_devices(netlink->requests, NULL, ret, max);
}

int netlink_prefix_devices(struct netlink *netlink, const struct prefix *prefix, int *ret,
			   size_t max)
{
	return route_devices(netlink->requests, prefix, ret, max);
}

/* ------------------------------------------------------------------------- */

static int events_open(struct mnl_socket **ret)
{
	struct mnl_socket *events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int bytes = EVENTS_BUFFER_BYTES;
	int err;

	if (!events)
		return -errno;
	/* Without CAP_NET_ADMIN (--check) the default size has to do. */
	setsockopt(mnl_socket_get_fd(events), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (mnl_socket_bind(events, 0, MNL_SOCKET_AUTOPID) < 0)
		goto fail;
	for (size_t i = 0; i < sizeof(event_groups) / sizeof(*event_groups); i++) {
		int group = event_groups[i];

		if (mnl_socket_setsockopt(events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) <
		    0)
			goto fail;
	}
	*ret = events;
	return 0;
fail:
	err = -errno;
	mnl_socket_close(events);
	return err;
}

int netlink_open(struct netlink **ret, struct error *error)
{
	struct netlink *netlink = calloc(1, sizeof(*netlink));
	int err;

	if (!netlink)
		return error_set(error, -ENOMEM, "no memory");
	/* Notifications first, so that no change falls between them and the dump. */
	err = events_open(&netlink->events);
	if (err)
		goto fail;
	netlink->requests = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!netlink->requests || mnl_socket_bind(netlink->requests, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		goto fail;
	}
	err = cache_refill(netlink);
	if (err)
		goto fail;
	*ret = netlink;
	return 0;
fail:
	netlink_close(netlink);
	return error_set(error, err, "rtnetlink: %s", strerror(-err));
}

void netlink_close(struct netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->events)
		mnl_socket_close(netlink->events);
	if (netlink->requests)
		mnl_socket_close(netlink->requests);
	netlink_cache_clear(&netlink->cache);
	free(netlink);
}
