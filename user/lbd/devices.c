/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "devices.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* An address that was asked for. */
struct answer {
	struct addr addr;
	struct addr neighbour; /* the address, or the gateway to it */
	uint16_t device;       /* index, 0 = no device leads there */
	bool local;	       /* this node's own */
	bool stack;	       /* flows there have to go through the stack */
	bool remote;	       /* by an uplink */
};

struct devices {
	const struct options *options;
	struct netlink *netlink;
	const struct uplinks *uplinks;
	struct maps *maps;

	struct lb_device table[LB_MAX_DEVICES];	   /* as maps->devices is to be */
	uint32_t top;				   /* no index above it is in use */
	uint32_t last;				   /* index given out last */
	uint16_t uplink_indexes[OPTIONS_LIST_MAX]; /* as uplinks->list; 0 = the table is full */

	void *answers; /* tsearch(3) tree of struct answer */
	size_t nanswers;
	uint64_t routes_revision; /* that the answers are from */
	int answers_uplinks[OPTIONS_LIST_MAX];
	size_t nanswers_uplinks;

	/* Of this sync: */
	size_t nasked, left_out;
	int err; /* first failure of a look-up */

	/* What leads to this node's pods: --pod-cidr, else as its Node object says. */
	struct prefix pod_cidrs[OPTIONS_LIST_MAX];
	size_t npod_cidrs;
	int cidr_devices[LB_MAX_DEVICES]; /* ascending */
	size_t ncidr_devices;
};

static void answers_clear(struct devices *devices)
{
	tdestroy(devices->answers, free);
	devices->answers = NULL;
	devices->nanswers = 0;
}

/* ---- which devices lead to pods ------------------------------------------ */

static bool link_is_pod_device(const struct devices *devices, const struct netlink_link *link)
{
	return link && link->ethernet && !uplinks_contain(devices->uplinks, link->ifindex) &&
	       options_pod_device(devices->options, link->name);
}

static int int_compare(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sort and drop duplicates; returns what is left. */
static size_t ints_unique(int *values, size_t n)
{
	size_t kept = 0;

	qsort(values, n, sizeof(*values), int_compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || values[kept - 1] != values[i])
			values[kept++] = values[i];
	return kept;
}

static int cidr_devices_find(struct devices *devices, struct error *error)
{
	int found[LB_MAX_DEVICES];
	size_t kept = 0;

	for (size_t c = 0; c < devices->npod_cidrs; c++) {
		int n = netlink_prefix_devices(devices->netlink, &devices->pod_cidrs[c], found,
					       LB_MAX_DEVICES);

		if (n < 0)
			return error_set(error, n, "can't read the routes: %s", strerror(-n));
		for (int i = 0; i < n && kept < LB_MAX_DEVICES; i++)
			if (link_is_pod_device(devices,
					       netlink_link_by_index(devices->netlink, found[i])))
				devices->cidr_devices[kept++] = found[i];
	}
	devices->ncidr_devices = ints_unique(devices->cidr_devices, kept);
	return 0;
}

/* ---- the table ------------------------------------------------------------- */

static void entry_set(struct lb_device *entry, const struct netlink_link *link)
{
	entry->ifindex = (uint32_t)link->ifindex;
	entry->mtu = link->mtu;
	memcpy(entry->mac, link->mac, sizeof(entry->mac));
	/* NICs and taps take what a native program sends; a veth may not. */
	entry->flags = !*link->kind || !strcmp(link->kind, "tun") ? LB_DEVICE_F_NATIVE : 0;
}

/* The index of a device, a new one where it has none; 0 = the table is full.
 * New ones go round, so that an index that was given up rests: a packet on its
 * way may still hold a next hop that names it. */
static uint16_t table_index(struct devices *devices, const struct netlink_link *link)
{
	for (uint32_t i = 1; i <= devices->top; i++)
		if (devices->table[i].ifindex == (uint32_t)link->ifindex)
			return (uint16_t)i;
	for (uint32_t tried = 1; tried < LB_MAX_DEVICES; tried++) {
		devices->last = devices->last % (LB_MAX_DEVICES - 1) + 1;
		if (devices->table[devices->last].ifindex)
			continue;
		entry_set(&devices->table[devices->last], link);
		if (devices->last > devices->top)
			devices->top = devices->last;
		return (uint16_t)devices->last;
	}
	return 0;
}

/* The entries' links may have another MAC or MTU now. */
static void table_refresh(struct devices *devices)
{
	for (uint32_t i = 1; i <= devices->top; i++) {
		const struct netlink_link *link;

		if (!devices->table[i].ifindex)
			continue;
		link = netlink_link_by_index(devices->netlink, (int)devices->table[i].ifindex);
		if (link)
			entry_set(&devices->table[i], link);
	}
}

/* Answers of other nodes' backends leave by them. */
static void uplinks_index(struct devices *devices)
{
	for (size_t i = 0; i < devices->uplinks->n; i++) {
		const struct netlink_link *link =
			netlink_link_by_index(devices->netlink, devices->uplinks->list[i].ifindex);

		devices->uplink_indexes[i] = link ? table_index(devices, link) : 0;
	}
}

static int entry_store(struct devices *devices, uint32_t index, struct error *error)
{
	const struct lb_device *from = &devices->table[index];
	struct lb_device *to;
	int err;

	if (memcmp(from, &devices->maps->devices[index], sizeof(*from)) == 0)
		return 0;
	err = maps_make_writable(devices->maps, error);
	if (err)
		return err;
	to = &devices->maps->devices[index];
	/* A MAC may tear once under a reader when it changes; that packet is
	 * lost with the old MAC, too. */
	memcpy(to->mac, from->mac, sizeof(to->mac));
	__atomic_store_n(&to->mtu, from->mtu, __ATOMIC_RELAXED);
	__atomic_store_n(&to->flags, from->flags, __ATOMIC_RELAXED);
	__atomic_store_n(&to->ifindex, from->ifindex, __ATOMIC_RELEASE);
	return 0;
}

/* Tell the programs what this node is called, by the first address of each family: it may
 * get another, or its first one late. */
static int node_addresses_store(struct devices *devices, struct error *error)
{
	struct lb_settings *settings = devices->maps->settings;
	const struct uplinks *uplinks = devices->uplinks;
	uint32_t four[4] = {0}, six[4] = {0};
	int err;

	for (size_t i = uplinks->naddresses; i-- > 0;)
		addr_to_words(&uplinks->addresses[i],
			      uplinks->addresses[i].family == 4 ? four : six);
	if (settings->node_address4 == four[0] &&
	    !memcmp(settings->node_address6, six, sizeof(six)))
		return 0;
	err = maps_make_writable(devices->maps, error);
	if (err)
		return err;
	__atomic_store_n(&settings->node_address4, four[0], __ATOMIC_RELAXED);
	/* Half an address is nobody's: a packet at this moment is lost. */
	memcpy(settings->node_address6, six, sizeof(six));
	return 0;
}

/* Tell the programs which index and which MAC each uplink has. */
static int uplinks_store(struct devices *devices, struct error *error)
{
	struct lb_uplink wanted[LB_MAX_UPLINKS] = {0};
	struct lb_settings *settings = devices->maps->settings;
	size_t n = 0;
	int err;

	_Static_assert(OPTIONS_LIST_MAX <= LB_MAX_UPLINKS, "all of them");
	for (size_t i = 0; i < devices->uplinks->n; i++) {
		const struct lb_device *device = &devices->table[devices->uplink_indexes[i]];

		if (!devices->uplink_indexes[i])
			continue; /* TC knows the MAC that it has */
		wanted[n].ifindex = device->ifindex;
		wanted[n].device = devices->uplink_indexes[i];
		memcpy(wanted[n++].mac, device->mac, sizeof(device->mac));
	}
	if (memcmp(settings->uplinks, wanted, sizeof(wanted)) == 0)
		return 0;
	err = maps_make_writable(devices->maps, error);
	/* Entries may tear under a reader: no device has the index of another that
	 * is about to leave the table, and half a MAC is nobody's. */
	if (!err)
		memcpy(settings->uplinks, wanted, sizeof(wanted));
	return err;
}

int devices_store(struct devices *devices, struct error *error)
{
	if (devices->err)
		return error_set(error, devices->err, "can't look up a route: %s",
				 strerror(-devices->err));
	for (uint32_t i = 1; i <= devices->top; i++) {
		int err = entry_store(devices, i, error);

		if (err)
			return err;
	}
	return uplinks_store(devices, error) ?: node_addresses_store(devices, error);
}

int devices_release(struct devices *devices, struct error *error)
{
	bool named[LB_MAX_DEVICES] = {false};
	const struct maps *maps = devices->maps;
	int err;

	for (uint32_t id = 1; id < maps->max_backends; id++)
		if (maps->backends[id].state != LB_BACKEND_FREE)
			named[LB_NEXT_HOP_DEVICE(maps->backends[id].next_hop) % LB_MAX_DEVICES] =
				true;
	for (size_t i = 0; i < devices->uplinks->n; i++)
		named[devices->uplink_indexes[i]] = true;
	for (uint32_t i = 1; i <= devices->top; i++) {
		if (named[i] || !devices->table[i].ifindex)
			continue;
		devices->table[i] = (struct lb_device){0};
		err = entry_store(devices, i, error);
		if (err)
			return err;
	}
	while (devices->top && !devices->table[devices->top].ifindex)
		devices->top--;
	return 0;
}

/* ---- next hops -------------------------------------------------------------- */

static int answer_compare(const void *a, const void *b)
{
	const struct answer *x = a, *y = b;

	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

/* Packets may be longer than the device's MTU, or answers than an uplink's: then
 * the stack fragments, or says so. */
static bool mtu_differs(const struct devices *devices, const struct lb_device *device)
{
	for (size_t i = 0; i < devices->uplinks->n; i++) {
		const struct netlink_link *link =
			netlink_link_by_index(devices->netlink, devices->uplinks->list[i].ifindex);

		if (link && link->mtu != device->mtu)
			return true;
	}
	return false;
}

static bool is_own_pods(const struct devices *devices, const struct addr *addr)
{
	for (size_t i = 0; i < devices->npod_cidrs; i++)
		if (prefix_contains(&devices->pod_cidrs[i], addr))
			return true;
	return false;
}

/* Ask the kernel: 0 and what it says, or -errno. */
static int route_ask(struct devices *devices, const struct addr *addr, struct answer *ret)
{
	const struct netlink_link *link;
	struct netlink_route route;
	int err = netlink_route(devices->netlink, addr, &route);

	*ret = (struct answer){.addr = *addr};
	if (err)
		return err == -ENETUNREACH ? 0 : err;
	ret->local = ret->stack = route.local;
	link = netlink_link_by_index(devices->netlink, route.ifindex);
	if (!link || route.local)
		return 0;
	ret->remote = uplinks_contain(devices->uplinks, link->ifindex);
	if (ret->remote ? is_own_pods(devices, addr)
			: route.gateway || !link_is_pod_device(devices, link))
		return 0;
	ret->neighbour = route.neighbour;
	ret->device = table_index(devices, link);
	devices->left_out += ret->device == 0;
	ret->stack = ret->device && mtu_differs(devices, &devices->table[ret->device]);
	return 0;
}

static int answer_add(struct devices *devices, const struct addr *addr, const struct answer **ret)
{
	struct answer *answer = malloc(sizeof(*answer));
	int err = -ENOMEM;

	if (!answer)
		return err;
	err = route_ask(devices, addr, answer);
	if (!err && !tsearch(answer, &devices->answers, answer_compare))
		err = -ENOMEM;
	if (err) {
		free(answer);
		return err;
	}
	devices->nanswers++;
	*ret = answer;
	return 0;
}

static const struct answer *answer_get(struct devices *devices, const struct addr *addr)
{
	const struct answer key = {.addr = *addr};
	const struct answer *const *found = tfind(&key, &devices->answers, answer_compare);
	const struct answer *answer = NULL;
	int err;

	if (found)
		return *found;
	err = answer_add(devices, addr, &answer);
	if (err && !devices->err)
		devices->err = err;
	return answer;
}

struct plan_hop devices_next_hop(void *arg, const struct addr *addr)
{
	struct devices *devices = arg;
	const struct answer *answer = answer_get(devices, addr);
	struct plan_hop hop = {0};
	int ifindex;

	devices->nasked++;
	if (!answer)
		return hop;
	hop.stack = answer->stack;
	hop.remote = answer->remote && answer->device;
	if (answer->local) {
		hop.next_hop = LB_NEXT_HOP_STACK;
	} else if (answer->device) {
		ifindex = (int)devices->table[answer->device].ifindex;
		hop.next_hop =
			LB_NEXT_HOP(answer->device, netlink_neighbour(devices->netlink, ifindex,
								      &answer->neighbour));
	}
	return hop;
}

static void answer_confirm(const void *node, VISIT visit, void *arg)
{
	const struct answer *answer = *(const struct answer *const *)node;
	struct devices *devices = arg;

	if ((visit == postorder || visit == leaf) && answer->device)
		netlink_confirm_neighbour(devices->netlink,
					  (int)devices->table[answer->device].ifindex,
					  &answer->neighbour);
}

void devices_confirm_neighbours(struct devices *devices)
{
	twalk_r(devices->answers, answer_confirm, devices);
}

/* Do the answers still hold? */
static bool answers_hold(const struct devices *devices)
{
	if (devices->routes_revision != netlink_routes_revision(devices->netlink) ||
	    devices->nanswers_uplinks != devices->uplinks->n || devices->err || devices->left_out)
		return false;
	for (size_t i = 0; i < devices->uplinks->n; i++)
		if (devices->answers_uplinks[i] != devices->uplinks->list[i].ifindex)
			return false;
	/* Addresses that nobody asks for any more are forgotten now and then. */
	return devices->nanswers <= 2 * devices->nasked + 1024;
}

void devices_follow_node(struct devices *devices, const struct model_node *node)
{
	const struct options *options = devices->options;
	const struct prefix *cidrs = options->npod_cidrs ? options->pod_cidrs : node->pod_cidrs;
	size_t n = options->npod_cidrs ? options->npod_cidrs : node->npod_cidrs;

	if (n > OPTIONS_LIST_MAX)
		n = OPTIONS_LIST_MAX; /* one of each family is what a node has */
	if (n == devices->npod_cidrs &&
	    (!n || !memcmp(cidrs, devices->pod_cidrs, n * sizeof(*cidrs))))
		return;
	if (n)
		memcpy(devices->pod_cidrs, cidrs, n * sizeof(*cidrs));
	devices->npod_cidrs = n;
	devices->err = -EAGAIN; /* no answer holds */
}

int devices_begin(struct devices *devices, struct error *error)
{
	int err = 0;

	if (!answers_hold(devices)) {
		answers_clear(devices);
		devices->routes_revision = netlink_routes_revision(devices->netlink);
		devices->nanswers_uplinks = devices->uplinks->n;
		for (size_t i = 0; i < devices->uplinks->n; i++)
			devices->answers_uplinks[i] = devices->uplinks->list[i].ifindex;
		table_refresh(devices);
		uplinks_index(devices);
		err = cidr_devices_find(devices, error);
	}
	devices->nasked = devices->left_out = 0;
	devices->err = err;
	return err;
}

/* ------------------------------------------------------------------------- */

size_t devices_left_out(const struct devices *devices)
{
	return devices->left_out;
}

size_t devices_pods(const struct devices *devices, int *ret, size_t max)
{
	int found[2 * LB_MAX_DEVICES];
	size_t n = 0;

	for (uint32_t i = 1; i <= devices->top; i++)
		if (link_is_pod_device(devices,
				       netlink_link_by_index(devices->netlink,
							     (int)devices->table[i].ifindex)))
			found[n++] = (int)devices->table[i].ifindex;
	memcpy(found + n, devices->cidr_devices, devices->ncidr_devices * sizeof(*found));
	n = ints_unique(found, n + devices->ncidr_devices);
	if (n > max)
		n = max;
	memcpy(ret, found, n * sizeof(*ret));
	return n;
}

int devices_open(const struct options *options, struct netlink *netlink,
		 const struct uplinks *uplinks, struct maps *maps, struct devices **ret,
		 struct error *error)
{
	struct devices *devices = calloc(1, sizeof(*devices));

	if (!devices)
		return error_set(error, -ENOMEM, "no memory");
	devices->options = options;
	devices->netlink = netlink;
	devices->uplinks = uplinks;
	devices->maps = maps;
	devices->err = -EAGAIN; /* nothing was read yet */
	memcpy(devices->table, maps->devices, sizeof(devices->table));
	for (uint32_t i = 1; i < LB_MAX_DEVICES; i++)
		if (devices->table[i].ifindex)
			devices->top = devices->last = i;
	devices_follow_node(devices, &(struct model_node){.zone = ""});
	*ret = devices;
	return 0;
}

void devices_close(struct devices *devices)
{
	if (!devices)
		return;
	answers_clear(devices);
	free(devices);
}
