/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Uplinks and pod devices in a network namespace of the test's own, with maps
 * that are the test's memory: up0 has the default route, pod1 and pod2 lead to
 * a pod each.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "attachments.h"
#include "devices.h"
#include "namespace.h"
#include "uplinks.h"

#define BACKENDS 8

static struct netlink *netlink;
static struct options options;
static struct uplinks uplinks;
static struct lb_device table[LB_MAX_DEVICES];
static struct lb_backend backends[BACKENDS];
static struct lb_settings settings;
static struct maps maps = {.max_backends = BACKENDS,
			   .devices = table,
			   .backends = backends,
			   .settings = &settings,
			   .writable = true};
static struct devices *devices;
static struct error error;

static void calm(void)
{
	for (int quiet = 0; quiet < 3; usleep(20000))
		quiet = netlink_process(netlink) == 0 ? quiet + 1 : 0;
}

static int enter(void **state)
{
	(void)state;
	if (namespace_enter())
		return -1;
	ip("link set lo up");
	ip("link add up0 type veth peer up1");
	ip("addr add 10.200.0.1/24 dev up0");
	ip("addr add 10.200.0.2/24 dev up0");
	ip("addr add fd00:200::1/64 dev up0 nodad");
	ip("link add pod1 address 02:00:00:00:01:01 mtu 1450 type veth peer peer1");
	ip("link add pod2 address 02:00:00:00:01:02 type veth peer peer2");
	for (const char *const *name =
		     (const char *const[]){"up0", "up1", "pod1", "peer1", "pod2", "peer2", NULL};
	     *name; name++)
		ip("link set %s up", *name);
	ip("route add default via 10.200.0.9");
	ip("-6 route add default via fd00:200::9 dev up0");
	ip("route add 10.244.1.1/32 dev pod1");
	ip("route add 10.244.1.2/32 dev pod2");
	ip("route add fd00:244::1/128 dev pod1");
	return netlink_open(&netlink, &error);
}

static int leave(void **state)
{
	(void)state;
	netlink_close(netlink);
	return 0;
}

static void devices_open_again(void)
{
	devices_close(devices);
	assert_int_equal(devices_open(&options, netlink, &uplinks, &maps, &devices, &error), 0);
	assert_int_equal(devices_begin(devices, &error), 0);
}

static int setup(void **state)
{
	(void)state;
	calm();
	options = (struct options){.hook = HOOK_AUTO};
	memset(table, 0, sizeof(table));
	memset(backends, 0, sizeof(backends));
	memset(&settings, 0, sizeof(settings));
	if (uplinks_find(&options, netlink, &uplinks, &error))
		return -1;
	devices_open_again();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	devices_close(devices);
	devices = NULL;
	return 0;
}

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static bool stack, remote; /* what the last hop() says */

static uint64_t hop(const char *text)
{
	struct addr addr = address(text);
	struct plan_hop hop = devices_next_hop(devices, &addr);

	stack = hop.stack;
	remote = hop.remote;
	return hop.next_hop;
}

/* Take in what the test changed and begin another sync. */
static void next_sync(void)
{
	calm();
	assert_int_equal(uplinks_update(&options, netlink, &uplinks, &error), 0);
	assert_int_equal(devices_begin(devices, &error), 0);
}

/* A backend in the maps that names a device. */
static void backend_put(uint32_t id, uint32_t state, uint64_t next_hop)
{
	backends[id].state = state;
	backends[id].next_hop = next_hop;
}

/* ---- uplinks ------------------------------------------------------------------ */

static void uplinks_have_the_default_route_and_a_hook(void **state)
{
	(void)state;
	assert_int_equal(uplinks.n, 1);
	assert_string_equal(uplinks.list[0].name, "up0");
	assert_int_equal(uplinks.list[0].ifindex, index_of("up0"));
	assert_int_equal(uplinks.list[0].hook, HOOK_XDP_GENERIC);
	assert_non_null(strstr(uplinks.list[0].reason, "veth"));
	options.hook = HOOK_TC;
	assert_int_equal(uplinks_find(&options, netlink, &uplinks, &error), 0);
	assert_int_equal(uplinks.list[0].hook, HOOK_TC);
}

/* XDP would see their packets without the tag. */
static void an_uplink_that_vlans_stand_on_gets_tc(void **state)
{
	static const struct netlink_link nic = {.kind = ""}, veth = {.kind = "veth"};
	struct uplink uplink;

	(void)state;
	uplink_choose_hook(&uplink, &nic, false, HOOK_AUTO);
	assert_int_equal(uplink.hook, HOOK_XDP);
	uplink_choose_hook(&uplink, &nic, true, HOOK_AUTO);
	assert_int_equal(uplink.hook, HOOK_TC);
	assert_non_null(strstr(uplink.reason, "VLAN"));
	uplink_choose_hook(&uplink, &veth, true, HOOK_AUTO);
	assert_int_equal(uplink.hook, HOOK_TC);
	uplink_choose_hook(&uplink, &nic, true, HOOK_XDP); /* who asks for it gets it */
	assert_int_equal(uplink.hook, HOOK_XDP);
}

static void node_addresses_are_the_uplinks_first_of_each_family(void **state)
{
	char text[ADDR_STRLEN];

	(void)state;
	assert_int_equal(uplinks.naddresses, 2);
	assert_string_equal(addr_format(&uplinks.addresses[0], text), "10.200.0.1");
	assert_string_equal(addr_format(&uplinks.addresses[1], text), "fd00:200::1");
	options.node_addresses[0] = address("192.0.2.1");
	options.nnode_addresses = 1;
	assert_int_equal(uplinks_find(&options, netlink, &uplinks, &error), 0);
	assert_int_equal(uplinks.naddresses, 1);
	assert_string_equal(addr_format(&uplinks.addresses[0], text), "192.0.2.1");
}

static void device_that_does_not_exist_is_named(void **state)
{
	(void)state;
	strcpy(options.devices[0], "up1");
	strcpy(options.devices[1], "eth9");
	options.ndevices = 2;
	assert_int_equal(uplinks_find(&options, netlink, &uplinks, &error), -ENODEV);
	assert_string_equal(error.text, "--device: \"eth9\" doesn't exist");
	assert_string_equal(uplinks.list[0].name, "up0"); /* as before */
	/* Later it may be away for a while. */
	assert_int_equal(uplinks_update(&options, netlink, &uplinks, &error), 0);
	assert_int_equal(uplinks.n, 1);
	assert_string_equal(uplinks.list[0].name, "up1");
}

/* A tunnel whose packets begin with their IP header: no program of ours can read them. */
static void devices_without_ethernet_headers_are_none_of_ours(void **state)
{
	(void)state;
	ip("tuntap add dev tun0 mode tun");
	ip("link set tun0 up");
	ip("route add default dev tun0 metric 5");
	ip("route add 10.244.9.0/24 dev tun0");
	next_sync();
	assert_int_equal(uplinks.n, 1);
	assert_string_equal(uplinks.list[0].name, "up0");
	assert_true(hop("10.244.9.1") == 0);
	options.ndevices = 1;
	strcpy(options.devices[0], "tun0");
	assert_int_equal(uplinks_find(&options, netlink, &uplinks, &error), -ENODEV);
	assert_string_equal(error.text, "--device: \"tun0\" isn't an Ethernet device");
	ip("link del tun0");
}

static void uplinks_outlive_the_loss_of_their_default_route(void **state)
{
	(void)state;
	ip("route del default");
	ip("-6 route del default");
	next_sync();
	assert_int_equal(uplinks.n, 1);
	assert_string_equal(uplinks.list[0].name, "up0");
	assert_int_equal(uplinks_find(&options, netlink, &uplinks, &error), -ENODEV);
	assert_string_equal(error.text,
			    "--device: is missing, and no Ethernet device has a default route");
	ip("route add default via 10.200.0.9");
	ip("-6 route add default via fd00:200::9 dev up0");
	next_sync();
}

/* ---- next hops ---------------------------------------------------------------- */

static void pod_devices_are_found_by_route(void **state)
{
	uint32_t one = LB_NEXT_HOP_DEVICE(hop("10.244.1.1")),
		 two = LB_NEXT_HOP_DEVICE(hop("10.244.1.2"));

	(void)state;
	assert_int_not_equal(one, 0);
	assert_int_not_equal(two, 0);
	assert_int_not_equal(one, two);
	assert_int_equal(LB_NEXT_HOP_DEVICE(hop("fd00:244::1")), one);
	assert_false(remote);
	assert_true(hop("10.200.0.1") == LB_NEXT_HOP_STACK); /* this node */
	assert_true(stack);
	assert_false(remote);
	ip("route add 10.251.0.0/16 dev lo");
	next_sync();
	assert_int_equal(hop("10.251.0.1"), 0);
	ip("route del 10.251.0.0/16");
	assert_int_equal(devices_left_out(devices), 0);
}

static void other_nodes_pods_are_found_by_the_uplink(void **state)
{
	uint64_t gateway = LB_NEXT_HOP(0, 0x020102030405), host = LB_NEXT_HOP(0, 0x020102030406);
	uint32_t up;

	(void)state;
	ip("route add 10.244.2.0/24 via 10.200.0.12");
	ip("-6 route add fd00:244:2::/64 via fd00:200::12 dev up0");
	ip("route add 10.244.3.0/24 via inet6 fd00:200::12 dev up0");
	ip("neigh add 10.200.0.12 lladdr 02:01:02:03:04:05 dev up0 nud permanent");
	ip("neigh add fd00:200::12 lladdr 02:01:02:03:04:05 dev up0 nud permanent");
	ip("neigh add 10.200.0.77 lladdr 02:01:02:03:04:06 dev up0 nud permanent");
	next_sync();
	up = LB_NEXT_HOP_DEVICE(hop("10.244.2.7"));
	assert_int_not_equal(up, 0);
	assert_true(remote);
	assert_false(stack);
	assert_int_equal(LB_NEXT_HOP_MAC(hop("10.244.2.7")), gateway);
	assert_true(hop("fd00:244:2::7") == LB_NEXT_HOP(up, gateway));
	assert_true(remote);
	assert_true(hop("10.244.3.7") == LB_NEXT_HOP(up, gateway));
	assert_true(hop("10.200.0.77") == LB_NEXT_HOP(up, host)); /* on the link itself */
	assert_true(remote);
	assert_true(hop("192.0.2.1") == LB_NEXT_HOP(up, 0)); /* by the default route */
	assert_true(remote);
	assert_int_equal(devices_store(devices, &error), 0);
	assert_int_equal(settings.uplinks[0].ifindex, index_of("up0"));
	assert_int_equal(settings.uplinks[0].device, up);
	assert_int_equal(table[up].ifindex, index_of("up0"));
	/* No backend names it, and answers leave by it all the same. */
	assert_int_equal(devices_release(devices, &error), 0);
	assert_int_equal(table[up].ifindex, index_of("up0"));
	/* An own pod without a device isn't another node's. */
	assert_int_equal(prefix_parse("10.244.2.0/24", &options.pod_cidrs[0]), 0);
	options.npod_cidrs = 1;
	devices_open_again();
	assert_int_equal(hop("10.244.2.7"), 0);
	assert_false(remote);
	ip("route del 10.244.2.0/24");
	ip("route del 10.244.3.0/24");
	ip("-6 route del fd00:244:2::/64");
}

static void gateway_on_a_pod_device_is_no_pod(void **state)
{
	(void)state;
	ip("route add 10.250.0.0/16 via 10.244.1.1 dev pod1 onlink");
	next_sync();
	assert_int_equal(hop("10.250.0.1"), 0);
	ip("route del 10.250.0.0/16");
}

static void pattern_restricts_pod_devices(void **state)
{
	(void)state;
	strcpy(options.pod_devices[0], "*2");
	options.npod_devices = 1;
	devices_open_again();
	assert_int_equal(hop("10.244.1.1"), 0);
	assert_int_not_equal(hop("10.244.1.2"), 0);
}

static void next_hop_has_the_neighbours_mac(void **state)
{
	(void)state;
	assert_int_equal(LB_NEXT_HOP_MAC(hop("10.244.1.1")), 0);
	ip("neigh add 10.244.1.1 lladdr 02:01:02:03:04:05 dev pod1 nud permanent");
	next_sync();
	assert_int_equal(LB_NEXT_HOP_MAC(hop("10.244.1.1")), 0x020102030405);
	ip("neigh del 10.244.1.1 dev pod1");
	next_sync();
	assert_int_not_equal(hop("10.244.1.1"), 0);
	assert_int_equal(LB_NEXT_HOP_MAC(hop("10.244.1.1")), 0);
}

static void next_hops_have_their_neighbours_confirmed(void **state)
{
	(void)state;
	ip("neigh add 10.244.1.1 lladdr 02:01:02:03:04:05 dev pod1 nud stale");
	ip("neigh add 10.244.1.9 lladdr 02:01:02:03:04:06 dev pod1 nud stale");
	next_sync();
	assert_int_equal(LB_NEXT_HOP_MAC(hop("10.244.1.1")), 0x020102030405);
	devices_confirm_neighbours(devices);
	assert_int_equal(system("ip neigh show 10.244.1.1 | grep -qE 'DELAY|PROBE'"), 0);
	assert_int_equal(system("ip neigh show 10.244.1.9 | grep -q STALE"), 0);
	ip("neigh flush dev pod1");
}

static void next_hop_follows_the_route(void **state)
{
	uint32_t one = LB_NEXT_HOP_DEVICE(hop("10.244.1.1")),
		 two = LB_NEXT_HOP_DEVICE(hop("10.244.1.2"));

	(void)state;
	ip("route replace 10.244.1.1/32 dev pod2");
	next_sync();
	assert_int_equal(LB_NEXT_HOP_DEVICE(hop("10.244.1.1")), two);
	ip("route del 10.244.1.1/32");
	next_sync();
	assert_int_not_equal(LB_NEXT_HOP_DEVICE(hop("10.244.1.1")), one);
	assert_true(remote);
	ip("route add 10.244.1.1/32 dev pod1");
	next_sync();
	assert_int_equal(LB_NEXT_HOP_DEVICE(hop("10.244.1.1")), one);
}

/* ---- the table ------------------------------------------------------------------ */

static void table_is_written_by_store_alone(void **state)
{
	const uint8_t mac[6] = {2, 0, 0, 0, 1, 1};
	uint32_t one = LB_NEXT_HOP_DEVICE(hop("10.244.1.1"));

	(void)state;
	assert_int_equal(table[one].ifindex, 0);
	assert_int_equal(devices_store(devices, &error), 0);
	assert_int_equal(table[one].ifindex, index_of("pod1"));
	assert_int_equal(table[one].mtu, 1450);
	assert_memory_equal(table[one].mac, mac, sizeof(mac));
	ip("link set pod1 mtu 1400");
	next_sync();
	assert_int_equal(devices_store(devices, &error), 0);
	assert_int_equal(table[one].mtu, 1400);
	ip("link set pod1 mtu 1450");
}

static void uplinks_are_told_with_their_mac(void **state)
{
	const uint8_t macs[2][6] = {{2, 0, 0, 0, 9, 1}, {2, 0, 0, 0, 9, 2}};

	(void)state;
	strcpy(options.devices[0], "gone0");
	strcpy(options.devices[1], "up0");
	strcpy(options.devices[2], "up1");
	options.ndevices = 3;
	for (int i = 0; i < 2; i++) { /* and another one at run time */
		ip("link set up0 address 02:00:00:00:09:0%d", i + 1);
		next_sync();
		assert_int_equal(devices_store(devices, &error), 0);
		assert_int_equal(settings.uplinks[0].ifindex, index_of("up0"));
		assert_memory_equal(settings.uplinks[0].mac, macs[i], 6);
		assert_int_equal(settings.uplinks[1].ifindex, index_of("up1"));
		assert_memory_equal(settings.uplinks[1].mac, table[settings.uplinks[1].device].mac,
				    6);
		assert_int_equal(settings.uplinks[2].ifindex, 0);
	}
}

static void node_addresses_are(const char *four, const char *six)
{
	uint32_t words[2][4];

	for (int i = 0; i < 2; i++) {
		const struct addr addr = address(i ? six : four);

		addr_to_words(&addr, words[i]);
	}
	next_sync();
	assert_int_equal(devices_store(devices, &error), 0);
	assert_int_equal(settings.node_address4, words[0][0]);
	assert_memory_equal(settings.node_address6, words[1], sizeof(words[1]));
}

/* The first of each family, as the node has them now. */
static void nodes_addresses_are_told(void **state)
{
	(void)state;
	node_addresses_are("10.200.0.1", "fd00:200::1");
	ip("addr flush dev up0 scope global");
	node_addresses_are("0.0.0.0", "::");
	ip("addr add 10.200.0.2/24 dev up0");
	ip("addr add fd00:200::2/64 dev up0 nodad");
	node_addresses_are("10.200.0.2", "fd00:200::2");
	ip("addr flush dev up0 scope global");
	ip("addr add 10.200.0.1/24 dev up0");
	ip("addr add 10.200.0.2/24 dev up0");
	ip("addr add fd00:200::1/64 dev up0 nodad");
	ip("route add default via 10.200.0.9");
	node_addresses_are("10.200.0.1", "fd00:200::1");
	options.nnode_addresses = 1;
	options.node_addresses[0] = address("192.0.2.7");
	node_addresses_are("192.0.2.7", "::");
}

static void restart_keeps_indexes(void **state)
{
	(void)state;
	table[77] = (struct lb_device){.ifindex = (uint32_t)index_of("pod2"), .mtu = 1500};
	devices_open_again();
	assert_int_equal(LB_NEXT_HOP_DEVICE(hop("10.244.1.2")), 77);
	assert_int_equal(LB_NEXT_HOP_DEVICE(hop("10.244.1.1")), 79); /* up0 has 78 */
}

static void entry_lives_as_long_as_a_backend_names_it(void **state)
{
	uint32_t one = LB_NEXT_HOP_DEVICE(hop("10.244.1.1")), again;

	(void)state;
	assert_int_equal(devices_store(devices, &error), 0);
	backend_put(3, LB_BACKEND_GONE, LB_NEXT_HOP(one, 0));
	assert_int_equal(devices_release(devices, &error), 0);
	assert_int_not_equal(table[one].ifindex, 0);
	backends[3].state = LB_BACKEND_FREE; /* what it says doesn't count any more */
	assert_int_equal(devices_release(devices, &error), 0);
	assert_int_equal(table[one].ifindex, 0);
	/* A packet on its way may still name the index: it rests. */
	next_sync();
	ip("route replace 10.244.1.1/32 dev pod1 metric 5");
	ip("route del 10.244.1.1/32");
	ip("route add 10.244.1.1/32 dev pod1");
	next_sync();
	again = LB_NEXT_HOP_DEVICE(hop("10.244.1.1"));
	assert_int_not_equal(again, 0);
	assert_int_not_equal(again, one);
}

static void full_table_leaves_addresses_out(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < LB_MAX_DEVICES; i++)
		table[i].ifindex = 1000000 + i;
	devices_open_again();
	assert_int_equal(hop("10.244.1.1"), 0);
	assert_int_equal(devices_left_out(devices), 1);
	/* Nothing names those entries: there is room for the next sync. */
	assert_int_equal(devices_release(devices, &error), 0);
	next_sync();
	assert_int_not_equal(hop("10.244.1.1"), 0);
	assert_int_equal(devices_left_out(devices), 0);
}

/* ---- what programs are attached to -------------------------------------------------- */

static void attach_set_has_pods_first(void **state)
{
	struct attachments set;

	(void)state;
	hop("10.244.1.2");
	hop("10.244.1.1");
	assert_int_equal(attachments_collect(&uplinks, devices, netlink, &set), 0);
	assert_int_equal(set.n, 3);
	assert_string_equal(set.list[0].name, "pod1");
	assert_string_equal(set.list[1].name, "pod2");
	assert_int_equal(set.list[1].device.role, DEVICE_POD);
	assert_string_equal(set.list[2].name, "up0");
	assert_int_equal(set.list[2].device.role, DEVICE_UPLINK);
	attachments_clear(&set);
}

static void pod_cidr_adds_devices_that_lead_into_it(void **state)
{
	struct attachments set;
	int pods[4];

	(void)state;
	assert_int_equal(prefix_parse("10.244.1.0/24", &options.pod_cidrs[0]), 0);
	assert_int_equal(prefix_parse("10.200.0.0/24", &options.pod_cidrs[1]), 0);
	options.npod_cidrs = 2;
	devices_open_again();
	assert_int_equal(devices_pods(devices, pods, 4), 2);
	assert_int_equal(pods[0], index_of("pod1"));
	assert_int_equal(pods[1], index_of("pod2"));
	/* One that leads to a backend, too, is there once; the uplink isn't. */
	hop("10.244.1.1");
	assert_int_equal(attachments_collect(&uplinks, devices, netlink, &set), 0);
	assert_int_equal(set.n, 3);
	attachments_clear(&set);
}

/* The addresses that serve node ports with these options: "ADDR ADDR ", in the
 * kernel's order, those that other tests may leave aside. */
static const char *nodeports(const char *const *values)
{
	static char text[1024];
	struct uplinks found;

	options.nnodeport_addresses = 0;
	for (; *values; values++) {
		struct prefix *prefix = &options.nodeport_addresses[options.nnodeport_addresses++];

		*prefix = (struct prefix){};
		if (strcmp(*values, "primary"))
			assert_int_equal(prefix_parse(*values, prefix), 0);
	}
	if (uplinks_find(&options, netlink, &found, &error))
		fail_msg("%s", error.text);
	*text = '\0';
	for (size_t i = 0; i < found.nnodeports; i++) {
		char addr[ADDR_STRLEN];

		strcat(strcat(text, addr_format(&found.nodeports[i], addr)), " ");
	}
	options.nnodeport_addresses = 0;
	return text;
}

#define NODEPORTS(...) nodeports((const char *const[]){__VA_ARGS__, NULL})

/* Rules 65 and 66 */
static void ranges_choose_which_addresses_serve_node_ports(void **state)
{
	static const char *const none[] = {NULL};

	(void)state;
	ip("addr add 192.0.2.7/32 dev lo");
	ip("-6 addr add 2001:db8::7/128 dev lo nodad");
	calm();
	strcpy(options.devices[0], "up0");
	options.ndevices = 1;
	assert_string_equal(nodeports(none), "10.200.0.1 fd00:200::1 ");
	assert_string_equal(NODEPORTS("primary"), "10.200.0.1 fd00:200::1 ");
	assert_string_equal(NODEPORTS("10.200.0.2/32", "fd00:200::/64"), "10.200.0.2 fd00:200::1 ");
	assert_string_equal(NODEPORTS("192.0.2.0/24", "10.200.0.2/32", "2001:db8::/32"),
			    "192.0.2.7 10.200.0.2 2001:db8::7 ");
	/* None of a family: all of it. */
	assert_non_null(strstr(NODEPORTS("198.51.100.0/24"), "fd00:200::1 "));
	assert_non_null(strstr(NODEPORTS("198.51.100.0/24"), "2001:db8::7 "));
	assert_null(strstr(NODEPORTS("198.51.100.0/24"), "10.200.0.1 "));
	/* None matches: none serves. */
	assert_string_equal(NODEPORTS("198.51.100.0/24", "2001:db8:1::/48"), "");
	ip("addr del 192.0.2.7/32 dev lo");
	ip("-6 addr del 2001:db8::7/128 dev lo");
}

/* Where no option says so, the Node object does. */
static void the_nodes_pod_cidrs_count_where_no_option_is_given(void **state)
{
	struct prefix cidr;
	const struct model_node node = {.zone = "", .pod_cidrs = &cidr, .npod_cidrs = 1};
	int pods[4];

	(void)state;
	assert_int_equal(prefix_parse("10.244.1.0/24", &cidr), 0);
	assert_int_equal(devices_pods(devices, pods, 4), 0);
	devices_follow_node(devices, &node);
	assert_int_equal(devices_begin(devices, &error), 0);
	assert_int_equal(devices_pods(devices, pods, 4), 2);
	/* The option has the last word. */
	assert_int_equal(prefix_parse("10.250.0.0/16", &options.pod_cidrs[0]), 0);
	options.npod_cidrs = 1;
	devices_follow_node(devices, &node);
	assert_int_equal(devices_begin(devices, &error), 0);
	assert_int_equal(devices_pods(devices, pods, 4), 0);
}

static void attach_sets_are_compared_and_joined(void **state)
{
	struct attachments before, after, joined;

	(void)state;
	hop("10.244.1.1");
	assert_int_equal(attachments_collect(&uplinks, devices, netlink, &before), 0);
	hop("10.244.1.2");
	uplinks.list[0].hook = HOOK_TC;
	assert_int_equal(attachments_collect(&uplinks, devices, netlink, &after), 0);
	assert_true(attachments_equal(&before, &before));
	assert_false(attachments_equal(&before, &after));
	assert_int_equal(attachments_join(&before, &after, &joined), 0);
	assert_true(attachments_equal(&joined, &after)); /* the uplink as it is to be */
	attachments_clear(&joined);
	assert_int_equal(attachments_join(&after, &before, &joined), 0);
	assert_int_equal(joined.n, 3);
	assert_false(attachments_equal(&joined, &after));
	attachments_clear(&joined);
	attachments_clear(&before);
	attachments_clear(&after);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(uplinks_have_the_default_route_and_a_hook),
		TEST(an_uplink_that_vlans_stand_on_gets_tc),
		TEST(node_addresses_are_the_uplinks_first_of_each_family),
		TEST(device_that_does_not_exist_is_named),
		TEST(devices_without_ethernet_headers_are_none_of_ours),
		TEST(uplinks_outlive_the_loss_of_their_default_route),
		TEST(pod_devices_are_found_by_route),
		TEST(other_nodes_pods_are_found_by_the_uplink),
		TEST(gateway_on_a_pod_device_is_no_pod),
		TEST(pattern_restricts_pod_devices),
		TEST(next_hop_has_the_neighbours_mac),
		TEST(next_hops_have_their_neighbours_confirmed),
		TEST(next_hop_follows_the_route),
		TEST(table_is_written_by_store_alone),
		TEST(uplinks_are_told_with_their_mac),
		TEST(nodes_addresses_are_told),
		TEST(restart_keeps_indexes),
		TEST(entry_lives_as_long_as_a_backend_names_it),
		TEST(full_table_leaves_addresses_out),
		TEST(attach_set_has_pods_first),
		TEST(pod_cidr_adds_devices_that_lead_into_it),
		TEST(the_nodes_pod_cidrs_count_where_no_option_is_given),
		TEST(ranges_choose_which_addresses_serve_node_ports),
		TEST(attach_sets_are_compared_and_joined),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter, leave);
}
