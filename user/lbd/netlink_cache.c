/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "netlink_cache.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct neighbour {
	int ifindex;
	struct addr addr;
	uint64_t mac48;
	bool stale; /* the kernel hasn't heard of it for a while, and nobody has asked */
};

/* Make room for one more element of an array. */
static int array_grow(void **array, size_t n, size_t *room, size_t element_bytes)
{
	size_t new_room = *room ? *room * 2 : 16;
	void *grown;

	if (n < *room)
		return 0;
	grown = reallocarray(*array, new_room, element_bytes);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = new_room;
	return 0;
}

/* Returns 0, or -EINVAL for a length that isn't the family's. */
static int address_read(uint8_t af, const struct nlattr *attr, struct addr *ret)
{
	size_t length = af == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != length)
		return -EINVAL;
	*ret = (struct addr){.family = af == AF_INET ? 4 : 6};
	memcpy(ret->bytes, mnl_attr_get_payload(attr), length);
	return 0;
}

static bool address_is_multicast(const struct addr *addr)
{
	return addr->family == 4 ? (addr->bytes[0] & 0xf0) == 0xe0 : addr->bytes[0] == 0xff;
}

/* ---- links -------------------------------------------------------------- */

/* Index of the link or of the place where it belongs. */
static size_t link_position(const struct netlink_cache *cache, int ifindex)
{
	size_t low = 0, high = cache->nlinks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cache->links[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct netlink_link *netlink_cache_link(const struct netlink_cache *cache, int ifindex)
{
	size_t i = link_position(cache, ifindex);

	return i < cache->nlinks && cache->links[i].ifindex == ifindex ? &cache->links[i] : NULL;
}

static void text_copy(char *to, size_t room, const struct nlattr *attr)
{
	size_t length = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	if (length >= room)
		length = room - 1;
	memcpy(to, mnl_attr_get_payload(attr), length);
}

static void link_parse(const struct nlmsghdr *nlh, struct netlink_link *link)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *info;
	bool elsewhere = false;

	link->ifindex = ifi->ifi_index;
	link->up = ifi->ifi_flags & IFF_UP;
	link->ethernet = ifi->ifi_type == ARPHRD_ETHER;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			text_copy(link->name, sizeof(link->name), attr);
			break;
		case IFLA_MTU:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				link->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(link->mac))
				memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
			break;
		case IFLA_LINK:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				link->lower = (int)mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK_NETNSID:
			elsewhere = true;
			break;
		case IFLA_LINKINFO:
			mnl_attr_for_each_nested(info, attr)
				if (mnl_attr_get_type(info) == IFLA_INFO_KIND)
					text_copy(link->kind, sizeof(link->kind), info);
		}
	}
	if (elsewhere)
		link->lower = 0;
}

bool netlink_cache_has_vlans(const struct netlink_cache *cache, int ifindex)
{
	for (size_t i = 0; i < cache->nlinks; i++)
		if (cache->links[i].lower == ifindex && !strcmp(cache->links[i].kind, "vlan"))
			return true;
	return false;
}

static int link_new(struct netlink_cache *cache, const struct netlink_link *link)
{
	size_t i = link_position(cache, link->ifindex);

	if (i < cache->nlinks && cache->links[i].ifindex == link->ifindex) {
		if (memcmp(&cache->links[i], link, sizeof(*link)) == 0)
			return 0;
	} else {
		if (array_grow((void **)&cache->links, cache->nlinks, &cache->links_room,
			       sizeof(*link)))
			return -ENOMEM;
		memmove(&cache->links[i + 1], &cache->links[i],
			(cache->nlinks - i) * sizeof(*link));
		cache->nlinks++;
	}
	cache->links[i] = *link;
	return 1;
}

static int link_gone(struct netlink_cache *cache, int ifindex)
{
	size_t i = link_position(cache, ifindex);

	if (i == cache->nlinks || cache->links[i].ifindex != ifindex)
		return 0;
	cache->nlinks--;
	memmove(&cache->links[i], &cache->links[i + 1],
		(cache->nlinks - i) * sizeof(*cache->links));
	return 1;
}

static int link_take(struct netlink_cache *cache, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct netlink_link link;

	/* A bridge reports its ports in the same group, and a port that leaves
	 * it as a deleted link of that family. */
	if (ifi->ifi_family != AF_UNSPEC)
		return 0;
	if (nlh->nlmsg_type == RTM_DELLINK)
		return link_gone(cache, ifi->ifi_index);
	memset(&link, 0, sizeof(link)); /* padding too: compared by memcmp() */
	link_parse(nlh, &link);
	return link_new(cache, &link);
}

/* ---- addresses ---------------------------------------------------------- */

static int address_take(struct netlink_cache *cache, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	uint32_t flags = ifa->ifa_flags;
	struct netlink_address address;
	const struct nlattr *attr;
	bool found = false;

	if (nlh->nlmsg_type != RTM_NEWADDR || ifa->ifa_scope != RT_SCOPE_UNIVERSE ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return 0;
	memset(&address, 0, sizeof(address));
	address.ifindex = (int)ifa->ifa_index;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == IFA_FLAGS && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			flags = mnl_attr_get_u32(attr);
		/* On a point-to-point device IFA_ADDRESS is the peer's. */
		else if (type == IFA_LOCAL || (type == IFA_ADDRESS && !found))
			found = address_read(ifa->ifa_family, attr, &address.addr) == 0;
	}
	/* Privacy addresses come and go; one that failed the duplicate check
	 * belongs to somebody else.  The IPv4 bit of the first is "secondary". */
	if (ifa->ifa_family == AF_INET6 && flags & (IFA_F_TEMPORARY | IFA_F_DADFAILED))
		return 0;
	if (!found)
		return 0;
	if (array_grow((void **)&cache->addresses, cache->naddresses, &cache->addresses_room,
		       sizeof(address)))
		return -ENOMEM;
	cache->addresses[cache->naddresses++] = address;
	return 1;
}

/* ---- neighbours --------------------------------------------------------- */

static int neighbour_compare(const void *a, const void *b)
{
	const struct neighbour *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

static struct neighbour *neighbour_find(const struct netlink_cache *cache, int ifindex,
					const struct addr *addr)
{
	struct neighbour key = {.ifindex = ifindex, .addr = *addr};
	struct neighbour *const *found = tfind(&key, &cache->neighbours, neighbour_compare);

	return found ? *found : NULL;
}

uint64_t netlink_cache_neighbour(const struct netlink_cache *cache, int ifindex,
				 const struct addr *addr)
{
	const struct neighbour *neighbour = neighbour_find(cache, ifindex, addr);

	return neighbour ? neighbour->mac48 : 0;
}

bool netlink_cache_take_stale(struct netlink_cache *cache, int ifindex, const struct addr *addr)
{
	struct neighbour *neighbour = neighbour_find(cache, ifindex, addr);

	if (!neighbour || !neighbour->stale)
		return false;
	neighbour->stale = false;
	return true;
}

/* mac48 0 = the address has no usable neighbour any more. */
static int neighbour_set(struct netlink_cache *cache, const struct neighbour *neighbour)
{
	struct neighbour **found = tfind(neighbour, &cache->neighbours, neighbour_compare);
	struct neighbour *entry = found ? *found : NULL;

	if (entry)
		entry->stale = neighbour->stale;
	if ((entry ? entry->mac48 : 0) == neighbour->mac48)
		return 0;
	if (neighbour->mac48 == 0) {
		tdelete(neighbour, &cache->neighbours, neighbour_compare);
		free(entry);
		return 1;
	}
	if (!entry) {
		entry = malloc(sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		*entry = *neighbour;
		if (!tsearch(entry, &cache->neighbours, neighbour_compare)) {
			free(entry);
			return -ENOMEM;
		}
	}
	entry->mac48 = neighbour->mac48;
	return 1;
}

static int neighbour_take(struct netlink_cache *cache, const struct nlmsghdr *nlh)
{
	const uint16_t usable =
		NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct neighbour neighbour = {.ifindex = ndm->ndm_ifindex};
	const struct nlattr *attr;
	uint64_t mac48 = 0;
	bool found = false;

	/* Bridges report their forwarding tables in the same group. */
	if ((ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6) ||
	    ndm->ndm_flags & NTF_PROXY)
		return 0;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		const uint8_t *bytes = mnl_attr_get_payload(attr);

		if (mnl_attr_get_type(attr) == NDA_DST)
			found = address_read(ndm->ndm_family, attr, &neighbour.addr) == 0;
		else if (mnl_attr_get_type(attr) == NDA_LLADDR &&
			 mnl_attr_get_payload_len(attr) == 6)
			for (int i = 0; i < 6; i++)
				mac48 = mac48 << 8 | bytes[i];
	}
	if (!found || address_is_multicast(&neighbour.addr))
		return 0;
	if (nlh->nlmsg_type == RTM_NEWNEIGH && ndm->ndm_state & usable)
		neighbour.mac48 = mac48;
	neighbour.stale = ndm->ndm_state & NUD_STALE;
	return neighbour_set(cache, &neighbour);
}

/* ------------------------------------------------------------------------- */

int netlink_cache_take(struct netlink_cache *cache, const struct nlmsghdr *nlh)
{
	size_t length = mnl_nlmsg_get_payload_len(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return length < sizeof(struct ifinfomsg) ? 0 : link_take(cache, nlh);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return length < sizeof(struct ifaddrmsg) ? 0 : address_take(cache, nlh);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return length < sizeof(struct ndmsg) ? 0 : neighbour_take(cache, nlh);
	default:
		return 0;
	}
}

void netlink_cache_clear(struct netlink_cache *cache)
{
	free(cache->links);
	free(cache->addresses);
	tdestroy(cache->neighbours, free);
	*cache = (struct netlink_cache){0};
}
