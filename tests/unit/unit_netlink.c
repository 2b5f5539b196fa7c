/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Runs in a network namespace of its own: loopback and what the tests make. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <cmocka.h>

#include "namespace.h"
#include "netlink.h"
#include "netlink_cache.h"

static struct netlink *netlink;

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

/* a0 -- a1 and b0 -- b1, up, with one network each. */
static int setup(void **state)
{
	struct error error;

	(void)state;
	if (namespace_enter())
		return -1;
	ip("link set lo up");
	ip("link add a0 address 02:00:00:00:00:a0 type veth peer a1");
	ip("link add b0 mtu 1400 type veth peer b1");
	ip("addr add 10.1.0.1/24 dev a0");
	ip("addr add 10.1.0.2/24 dev a0");
	ip("addr add 10.2.0.1/24 dev b0");
	ip("addr add fd00:1::1/64 dev a0 nodad");
	for (const char *const *name = (const char *const[]){"a0", "a1", "b0", "b1", NULL}; *name;
	     name++)
		ip("link set %s up", *name);
	return netlink_open(&netlink, &error);
}

static int teardown(void **state)
{
	(void)state;
	netlink_close(netlink);
	return 0;
}

/* Take in what waits, so that the next call tells of what comes then. */
static void settle(void)
{
	/* Carrier follows a device's coming up. */
	for (int calm = 0; calm < 5; usleep(20000))
		calm = netlink_process(netlink) == 0 ? calm + 1 : 0;
}

/* ---- links --------------------------------------------------------------- */

static void links_are_known_after_open(void **state)
{
	const struct netlink_link *link = netlink_link_by_name(netlink, "a0");
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 0xa0};

	(void)state;
	assert_non_null(link);
	assert_int_equal(link->ifindex, index_of("a0"));
	assert_string_equal(link->kind, "veth");
	assert_int_equal(link->mtu, 1500);
	assert_memory_equal(link->mac, mac, sizeof(mac));
	assert_true(link->up);
	assert_true(link->ethernet);
	assert_ptr_equal(netlink_link_by_index(netlink, link->ifindex), link);
	assert_int_equal(netlink_link_by_name(netlink, "b0")->mtu, 1400);
	link = netlink_link_by_name(netlink, "lo");
	assert_false(link->ethernet);
	assert_string_equal(link->kind, "");
	assert_null(netlink_link_by_name(netlink, "none"));
	assert_null(netlink_link_by_index(netlink, 4711));
}

static void link_changes_are_seen(void **state)
{
	uint64_t revision;
	int ifindex;

	(void)state;
	settle();
	revision = netlink_routes_revision(netlink);
	ip("link add new0 type veth peer new1");
	assert_int_equal(netlink_process(netlink), 1);
	ifindex = index_of("new0");
	assert_string_equal(netlink_link_by_index(netlink, ifindex)->name, "new0");
	assert_false(netlink_link_by_index(netlink, ifindex)->up);
	assert_true(netlink_routes_revision(netlink) > revision);
	ip("link set new0 name newer0");
	ip("link set newer0 mtu 1300");
	ip("link set newer0 up");
	assert_int_equal(netlink_process(netlink), 1);
	assert_null(netlink_link_by_name(netlink, "new0"));
	assert_int_equal(netlink_link_by_name(netlink, "newer0")->mtu, 1300);
	assert_true(netlink_link_by_name(netlink, "newer0")->up);
	ip("link del newer0");
	assert_int_equal(netlink_process(netlink), 1);
	assert_null(netlink_link_by_index(netlink, ifindex));
	assert_null(netlink_link_by_name(netlink, "new1"));
	assert_non_null(netlink_link_by_name(netlink, "b1"));
}

/* Gone and there again between two looks: another one of the same name and index. */
static void a_link_of_the_same_index_is_another_one(void **state)
{
	uint64_t gone;

	(void)state;
	settle();
	ip("link add new0 index 777 type veth peer new1 index 778");
	gone = netlink_links_gone(netlink);
	assert_int_equal(netlink_process(netlink), 1);
	assert_int_equal(netlink_links_gone(netlink), gone);
	ip("link del new0");
	ip("link add new0 index 777 type veth peer new1 index 778");
	assert_int_equal(netlink_process(netlink), 1);
	assert_int_equal(index_of("new0"), 777);
	assert_int_equal(netlink_links_gone(netlink), gone + 2);
	ip("link del new0");
	assert_int_equal(netlink_process(netlink), 1);
}

static void change_that_nobody_reads_is_no_change(void **state)
{
	uint64_t revision;

	(void)state;
	settle();
	revision = netlink_routes_revision(netlink);
	ip("link set a0 txqueuelen 123");
	assert_int_equal(netlink_process(netlink), 0);
	assert_int_equal(netlink_routes_revision(netlink), revision);
}

static void port_that_leaves_a_bridge_is_still_a_link(void **state)
{
	(void)state;
	ip("link add br0 type bridge");
	ip("link add port0 type veth peer port1");
	ip("link set port0 master br0");
	settle();
	assert_string_equal(netlink_link_by_name(netlink, "br0")->kind, "bridge");
	/* The bridge alone tells of this, and its message has no kind. */
	assert_int_equal(system("bridge link set dev port0 cost 9"), 0);
	settle();
	assert_string_equal(netlink_link_by_name(netlink, "port0")->kind, "veth");
	ip("link set port0 nomaster");
	settle();
	assert_non_null(netlink_link_by_name(netlink, "port0"));
	ip("link del port0");
	ip("link del br0");
	settle();
}

/* ---- addresses ----------------------------------------------------------- */

static void assert_addresses(const char *device, const char *const *wanted)
{
	struct addr found[8];
	char text[ADDR_STRLEN];
	size_t n = netlink_addresses(netlink, index_of(device), found, 8);

	for (size_t i = 0; i < n && wanted[i]; i++)
		assert_string_equal(addr_format(&found[i], text), wanted[i]);
	assert_null(wanted[n]);
}
#define assert_addresses_are(device, ...) \
	assert_addresses(device, (const char *const[]){__VA_ARGS__, NULL})

static void addresses_come_in_the_kernels_order(void **state)
{
	struct addr one;

	(void)state;
	assert_addresses_are("a0", "10.1.0.1", "10.1.0.2", "fd00:1::1");
	assert_addresses_are("b0", "10.2.0.1");
	assert_int_equal(netlink_addresses(netlink, index_of("a0"), &one, 1), 1);
	/* 127.0.0.1 and ::1 are no addresses for others. */
	assert_int_equal(netlink_addresses(netlink, index_of("lo"), &one, 1), 0);
}

static void address_changes_are_seen(void **state)
{
	(void)state;
	settle();
	ip("addr add 10.2.0.9/24 dev b0");
	ip("addr add 10.9.0.1 peer 10.9.0.2 dev b0");
	assert_int_equal(netlink_process(netlink), 1);
	/* Primary addresses stand before secondary ones. */
	assert_addresses_are("b0", "10.2.0.1", "10.9.0.1", "10.2.0.9");
	ip("addr del 10.9.0.1 peer 10.9.0.2 dev b0");
	ip("addr del 10.2.0.9/24 dev b0");
	assert_int_equal(netlink_process(netlink), 1);
	assert_addresses_are("b0", "10.2.0.1");
	ip("addr add 169.254.3.3/32 scope link dev b0");
	settle();
	assert_addresses_are("b0", "10.2.0.1");
	ip("addr del 169.254.3.3/32 dev b0");
}

/* ---- neighbours ---------------------------------------------------------- */

static void assert_neighbour(const char *device, const char *text, uint64_t mac48)
{
	struct addr addr = address(text);

	assert_int_equal(netlink_neighbour(netlink, index_of(device), &addr), mac48);
}

static void neighbours_are_followed(void **state)
{
	(void)state;
	settle();
	assert_neighbour("a0", "10.1.0.7", 0);
	ip("neigh add 10.1.0.7 lladdr 02:01:02:03:04:05 dev a0 nud reachable");
	ip("neigh add fd00:1::7 lladdr 02:01:02:03:04:06 dev a0 nud permanent");
	assert_int_equal(netlink_process(netlink), 1);
	assert_neighbour("a0", "10.1.0.7", 0x020102030405);
	assert_neighbour("a0", "fd00:1::7", 0x020102030406);
	assert_neighbour("b0", "10.1.0.7", 0);
	ip("neigh change 10.1.0.7 lladdr 02:01:02:03:04:09 dev a0 nud reachable");
	assert_int_equal(netlink_process(netlink), 1);
	assert_neighbour("a0", "10.1.0.7", 0x020102030409);
	ip("neigh del 10.1.0.7 dev a0");
	assert_int_equal(netlink_process(netlink), 1);
	assert_neighbour("a0", "10.1.0.7", 0);
	assert_neighbour("a0", "fd00:1::7", 0x020102030406);
	ip("neigh del fd00:1::7 dev a0");
}

static void neighbour_state_alone_is_no_change(void **state)
{
	uint64_t revision;

	(void)state;
	ip("neigh add 10.1.0.8 lladdr 02:01:02:03:04:05 dev a0 nud reachable");
	settle();
	revision = netlink_routes_revision(netlink);
	ip("neigh change 10.1.0.8 lladdr 02:01:02:03:04:05 dev a0 nud stale");
	ip("neigh change 10.1.0.8 lladdr 02:01:02:03:04:05 dev a0 nud delay");
	assert_int_equal(netlink_process(netlink), 0);
	assert_neighbour("a0", "10.1.0.8", 0x020102030405);
	ip("neigh change 10.1.0.8 dev a0 nud failed");
	assert_int_equal(netlink_process(netlink), 1);
	assert_neighbour("a0", "10.1.0.8", 0);
	/* No route look-up answers anew because of a neighbour. */
	assert_int_equal(netlink_routes_revision(netlink), revision);
	ip("neigh del 10.1.0.8 dev a0");
}

static bool neighbour_is(const char *state)
{
	char command[128];

	snprintf(command, sizeof(command), "ip neigh show 10.1.0.8 dev a0 | grep -q %s", state);
	return system(command) == 0;
}

static void a_stale_neighbour_is_confirmed(void **state)
{
	struct addr addr = address("10.1.0.8");

	(void)state;
	ip("neigh add 10.1.0.8 lladdr 02:01:02:03:04:05 dev a0 nud reachable");
	settle();
	netlink_confirm_neighbour(netlink, index_of("a0"), &addr);
	assert_true(neighbour_is("REACHABLE"));
	ip("neigh change 10.1.0.8 lladdr 02:01:02:03:04:05 dev a0 nud stale");
	assert_int_equal(netlink_process(netlink), 0);
	assert_true(neighbour_is("STALE"));
	netlink_confirm_neighbour(netlink, index_of("a0"), &addr);
	assert_true(neighbour_is("-e DELAY -e PROBE"));
	assert_neighbour("a0", "10.1.0.8", 0x020102030405);
	ip("neigh del 10.1.0.8 dev a0");
	settle();
	netlink_confirm_neighbour(netlink, index_of("a0"), &addr);
	assert_false(neighbour_is("10.1.0.8"));
}

static void neighbours_go_with_their_device(void **state)
{
	struct addr addr = address("10.3.0.2");
	int ifindex;

	(void)state;
	ip("link add c0 type veth peer c1");
	ip("link set c0 up");
	ip("neigh add 10.3.0.2 lladdr 02:01:02:03:04:05 dev c0 nud permanent");
	settle();
	ifindex = index_of("c0");
	assert_neighbour("c0", "10.3.0.2", 0x020102030405);
	ip("link del c0");
	settle();
	assert_int_equal(netlink_neighbour(netlink, ifindex, &addr), 0);
}

/* ---- routes -------------------------------------------------------------- */

static struct netlink_route route(const char *text)
{
	struct netlink_route found = {.ifindex = -1};
	struct addr addr = address(text);

	assert_int_equal(netlink_route(netlink, &addr, &found), 0);
	return found;
}

static int route_error(const char *text)
{
	struct netlink_route found;
	struct addr addr = address(text);

	return netlink_route(netlink, &addr, &found);
}

#define assert_route(to, device, by_gateway, is_local) \
	do { \
		struct netlink_route found_ = route(to); \
		assert_int_equal(found_.ifindex, index_of(device)); \
		assert_int_equal(found_.gateway, by_gateway); \
		assert_int_equal(found_.local, is_local); \
	} while (0)

static void route_tells_link_gateway_and_own_addresses(void **state)
{
	(void)state;
	ip("route add 10.244.1.5/32 dev b0");
	ip("route add 10.245.0.0/16 via 10.1.0.254");
	ip("route add 10.246.0.0/16 via inet6 fd00:1::254 dev a0");
	ip("route add fd00:244::5/128 dev b0");
	ip("route add fd00:245::/32 via fd00:1::254");
	assert_route("10.1.0.77", "a0", false, false);
	assert_route("10.244.1.5", "b0", false, false);
	assert_route("10.245.3.3", "a0", true, false);
	assert_route("10.246.3.3", "a0", true, false);
	assert_route("10.1.0.2", "lo", false, true);
	assert_route("127.0.0.5", "lo", false, true);
	assert_route("fd00:1::77", "a0", false, false);
	assert_route("fd00:244::5", "b0", false, false);
	assert_route("fd00:245::5", "a0", true, false);
	assert_route("fd00:1::1", "lo", false, true);
	assert_route("::1", "lo", false, true);
}

static void address_without_route_is_unreachable(void **state)
{
	(void)state;
	ip("route add unreachable 10.66.1.0/24");
	ip("route add blackhole 10.66.2.0/24");
	ip("route add prohibit 10.66.3.0/24");
	ip("route add unreachable fd00:66:1::/48");
	ip("route add blackhole fd00:66:2::/48");
	ip("route add prohibit fd00:66:3::/48");
	assert_int_equal(route_error("192.0.2.1"), -ENETUNREACH);
	assert_int_equal(route_error("2001:db8::1"), -ENETUNREACH);
	assert_int_equal(route_error("10.66.1.1"), -ENETUNREACH);
	assert_int_equal(route_error("10.66.2.1"), -ENETUNREACH);
	assert_int_equal(route_error("10.66.3.1"), -ENETUNREACH);
	assert_int_equal(route_error("fd00:66:1::1"), -ENETUNREACH);
	assert_int_equal(route_error("fd00:66:2::1"), -ENETUNREACH);
	assert_int_equal(route_error("fd00:66:3::1"), -ENETUNREACH);
	assert_int_equal(route_error("10.1.0.255"), -ENETUNREACH); /* broadcast */
}

static void multipath_and_nexthop_objects_are_followed(void **state)
{
	struct netlink_route found;

	(void)state;
	ip("route add 10.70.0.0/16 nexthop via 10.1.0.254 nexthop via 10.2.0.254");
	found = route("10.70.1.1");
	assert_true(found.ifindex == index_of("a0") || found.ifindex == index_of("b0"));
	assert_true(found.gateway);
	ip("nexthop add id 71 via 10.2.0.254 dev b0");
	ip("nexthop add id 72 dev a0");
	ip("nexthop add id 73 group 71");
	ip("route add 10.71.0.0/16 nhid 71");
	ip("route add 10.72.0.0/16 nhid 72");
	ip("route add 10.73.0.0/16 nhid 73");
	assert_route("10.71.1.1", "b0", true, false);
	assert_route("10.72.1.1", "a0", false, false);
	assert_route("10.73.1.1", "b0", true, false);
}

static void look_up_obeys_rules_and_other_tables(void **state)
{
	uint64_t revision;

	(void)state;
	settle();
	ip("route add 10.80.0.0/16 dev a0");
	ip("route add 10.80.0.0/16 dev b0 table 80");
	assert_route("10.80.1.1", "a0", false, false);
	settle();
	revision = netlink_routes_revision(netlink);
	ip("rule add to 10.80.0.0/16 lookup 80");
	assert_int_equal(netlink_process(netlink), 1);
	assert_true(netlink_routes_revision(netlink) > revision);
	assert_route("10.80.1.1", "b0", false, false);
	ip("rule del to 10.80.0.0/16 lookup 80");
}

static void default_devices_are_those_of_the_main_table(void **state)
{
	int found[4];

	(void)state;
	assert_int_equal(netlink_default_devices(netlink, found, 4), 0);
	ip("route add default via 10.2.0.254 table 90");
	assert_int_equal(netlink_default_devices(netlink, found, 4), 0);
	ip("route add default via 10.1.0.254");
	ip("route add default via 10.1.0.253 metric 100");
	ip("-6 route add default via fd00:1::254 dev a0");
	assert_int_equal(netlink_default_devices(netlink, found, 4), 1);
	assert_int_equal(found[0], index_of("a0"));
	ip("route change default nexthop via 10.1.0.254 nexthop via 10.2.0.254");
	assert_int_equal(netlink_default_devices(netlink, found, 4), 2);
	assert_int_equal(found[0] + found[1], index_of("a0") + index_of("b0"));
	assert_int_equal(netlink_default_devices(netlink, found, 1), 1);
	ip("route del default");
	ip("route del default metric 100");
	ip("-6 route del default");
	ip("route add default nhid 71");
	assert_int_equal(netlink_default_devices(netlink, found, 4), 1);
	assert_int_equal(found[0], index_of("b0"));
	ip("route del default");
}

static void prefix_devices_lead_there_without_a_gateway(void **state)
{
	struct prefix prefix;
	int found[4];

	(void)state;
	ip("route add 10.90.1.5/32 dev a0");
	ip("route add 10.90.1.6/32 dev b0");
	ip("route add 10.90.1.7/32 dev b0");
	ip("route add 10.90.2.0/24 via 10.1.0.254");
	ip("route add 10.88.0.0/14 dev lo");
	assert_int_equal(prefix_parse("10.90.0.0/16", &prefix), 0);
	assert_int_equal(netlink_prefix_devices(netlink, &prefix, found, 4), 2);
	assert_int_equal(found[0] + found[1], index_of("a0") + index_of("b0"));
	assert_int_equal(prefix_parse("10.90.1.5/32", &prefix), 0);
	assert_int_equal(netlink_prefix_devices(netlink, &prefix, found, 4), 1);
	assert_int_equal(found[0], index_of("a0"));
	assert_int_equal(prefix_parse("fd00:90::/64", &prefix), 0);
	assert_int_equal(netlink_prefix_devices(netlink, &prefix, found, 4), 0);
}

/* ---- losses -------------------------------------------------------------- */

static void lost_notifications_cause_a_new_dump(void **state)
{
	struct netlink *small;
	struct addr addr = address("10.1.3.232"), early = address("10.1.0.20");
	struct error error;
	int bytes = 1;
	FILE *batch;

	(void)state;
	ip("neigh add 10.1.0.20 lladdr 02:00:00:00:00:99 dev a0 nud permanent");
	assert_int_equal(netlink_open(&small, &error), 0);
	setsockopt(netlink_fd(small), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	ip("neigh change 10.1.0.20 lladdr 02:00:00:00:00:98 dev a0 nud permanent");
	batch = popen("ip -batch -", "w");
	for (int i = 256; i <= 1000; i++)
		fprintf(batch,
			"neigh add 10.1.%d.%d lladdr 02:00:00:00:%02x:%02x dev a0 nud permanent\n",
			i / 256, i % 256, i / 256, i % 256);
	fprintf(batch, "neigh change 10.1.0.20 lladdr 02:00:00:00:00:97 dev a0 nud permanent\n");
	assert_int_equal(pclose(batch), 0);
	assert_int_equal(netlink_process(small), 1);
	assert_int_equal(netlink_neighbour(small, index_of("a0"), &addr), 0x0200000003e8);
	/* What waited is older than the dump and must not win. */
	assert_int_equal(netlink_neighbour(small, index_of("a0"), &early), 0x020000000097);
	assert_int_equal(netlink_process(small), 0);
	netlink_close(small);
	ip("neigh flush dev a0 nud permanent");
}

static void dump_survives_devices_that_come_and_go(void **state)
{
	pid_t churn;
	int status;

	(void)state;
	for (int i = 0; i < 40; i++)
		ip("link add s%d type veth peer t%d", i, i);
	churn = fork();
	if (churn == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion doesn't come back here */
		for (;;)
			if (system("ip link add x0 type veth peer x1 && ip link del x0"))
				_exit(1);
	}
	for (int round = 0; round < 100; round++) {
		struct netlink *other;
		struct error error;

		assert_int_equal(netlink_open(&other, &error), 0);
		for (int i = 0; i < 40; i++) {
			char name[IFNAMSIZ];

			snprintf(name, sizeof(name), "t%d", i);
			assert_non_null(netlink_link_by_name(other, name));
		}
		netlink_close(other);
		usleep(1000);
	}
	kill(churn, SIGKILL);
	waitpid(churn, &status, 0);
	assert_true(WIFSIGNALED(status));
	for (int i = 0; i < 40; i++)
		ip("link del s%d", i);
}

/* A link as the kernel tells it: a device of a kind upon another.  By hand, since a
 * kernel may have no VLANs. */
static void link_put(struct netlink_cache *cache, int ifindex, const char *kind, int lower,
		     bool elsewhere)
{
	char buffer[1024];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *ifi;
	struct nlattr *info;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = ifindex;
	if (elsewhere)
		mnl_attr_put_u32(nlh, IFLA_LINK_NETNSID, 0);
	mnl_attr_put_u32(nlh, IFLA_LINK, lower);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	mnl_attr_nest_end(nlh, info);
	assert_int_equal(netlink_cache_take(cache, nlh), 1);
}

static void vlans_are_known_by_the_device_that_they_stand_on(void **state)
{
	struct netlink_cache cache = {0};

	(void)state;
	link_put(&cache, 10, "veth", 2, false);
	link_put(&cache, 11, "macvlan", 2, false);
	link_put(&cache, 12, "vlan", 3, false);
	link_put(&cache, 13, "vlan", 2, true); /* the number is another namespace's */
	assert_false(netlink_cache_has_vlans(&cache, 2));
	assert_true(netlink_cache_has_vlans(&cache, 3));
	link_put(&cache, 12, "vlan", 4, false);
	assert_false(netlink_cache_has_vlans(&cache, 3));
	netlink_cache_clear(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_are_known_after_open),
		cmocka_unit_test(addresses_come_in_the_kernels_order),
		cmocka_unit_test(link_changes_are_seen),
		cmocka_unit_test(a_link_of_the_same_index_is_another_one),
		cmocka_unit_test(change_that_nobody_reads_is_no_change),
		cmocka_unit_test(port_that_leaves_a_bridge_is_still_a_link),
		cmocka_unit_test(vlans_are_known_by_the_device_that_they_stand_on),
		cmocka_unit_test(address_changes_are_seen),
		cmocka_unit_test(neighbours_are_followed),
		cmocka_unit_test(neighbour_state_alone_is_no_change),
		cmocka_unit_test(a_stale_neighbour_is_confirmed),
		cmocka_unit_test(neighbours_go_with_their_device),
		cmocka_unit_test(route_tells_link_gateway_and_own_addresses),
		cmocka_unit_test(address_without_route_is_unreachable),
		cmocka_unit_test(multipath_and_nexthop_objects_are_followed),
		cmocka_unit_test(look_up_obeys_rules_and_other_tables),
		cmocka_unit_test(default_devices_are_those_of_the_main_table),
		cmocka_unit_test(prefix_devices_lead_there_without_a_gateway),
		cmocka_unit_test(lost_notifications_cause_a_new_dump),
		cmocka_unit_test(dump_survives_devices_that_come_and_go),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
