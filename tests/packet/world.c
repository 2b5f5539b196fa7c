/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "addr.h"
#include "hash.h"
#include "maglev.h"
#include "maps.h"
#include "world.h"

uint32_t world_flows = 4096;
uint32_t world_reject_rate = 1000;
uint16_t world_snat_ports = 20000;
bool world_sockets_only;
const uint8_t world_device_mac[6] = {0x02, 0, 0, 0, 0x01, 0x01};
const uint8_t world_uplink_mac[6] = {0x02, 0, 0, 0, 0x01, 0x02};

/* What frames are sent to, as namespace_make() sets it. */
static const uint8_t own_mac[6] = {0x02, 0, 0, 0, 0, 0x01};

#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, \
				strerror(errno)); \
			abort(); \
		} \
	} while (0)

static void namespace_make(void)
{
	static bool made;

	if (made)
		return;
	must(!unshare(CLONE_NEWNET));
	must(!system("ip link set lo up && "
		     "ip link add uplink type veth peer name client && "
		     "ip link add pods type veth peer name pod && "
		     "ip link set pods address 02:00:00:00:00:01 && "
		     "ip link set uplink address 02:00:00:00:00:01 && "
		     "for d in uplink client pods pod; do ip link set $d up; done && "
		     "ip addr add 10.0.0.1/24 dev uplink && ip addr add 10.1.0.1/16 dev pods && "
		     "ip -6 addr add fd00::1/64 dev uplink nodad && "
		     "ip -6 addr add fd01::1/64 dev pods nodad && "
		     "ip route add default via 10.0.0.254 && "
		     "ip -6 route add default via fd00::fe dev uplink && "
		     "echo 1 >/proc/sys/net/ipv4/ip_forward && "
		     "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"));
	made = true;
}

/* Loading takes a second, most of it the verifier's: a world that is closed is kept
 * for the next one of its kind. */
static struct {
	struct world *world;
	uint32_t flows, reject_rate;
	uint16_t snat_ports;
	bool in_use;
} kept;

static void world_free(struct world *world)
{
	lb_bpf__destroy(world->skel);
	free(world);
}

static void hash_empty(struct bpf_map *map)
{
	char key[64];

	must(bpf_map__key_size(map) <= sizeof(key));
	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, key))
		bpf_map_delete_elem(bpf_map__fd(map), key);
}

static void array_clear(struct bpf_map *map)
{
	/* For each CPU, rounded up. */
	size_t size = (bpf_map__value_size(map) + 7) / 8 * 8 * libbpf_num_possible_cpus();
	char *zero = calloc(1, size);

	must(zero);
	for (uint32_t i = 0; i < bpf_map__max_entries(map); i++)
		must(!bpf_map_update_elem(bpf_map__fd(map), &i, zero, BPF_EXIST));
	free(zero);
}

/* As after a load. */
static void world_reset(struct world *world)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, world->skel->obj)
	{
		size_t size;
		void *data = (void *)bpf_map__initial_value(map, &size);

		if (map == world->skel->maps.rodata)
			continue;
		if (bpf_map__is_internal(map))
			memset(data, 0, size);
		else if (bpf_map__type(map) == BPF_MAP_TYPE_ARRAY ||
			 bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY)
			array_clear(map);
		else
			hash_empty(map);
	}
}

static bool world_is_kept(void)
{
	return kept.world && !kept.in_use && kept.flows == world_flows &&
	       kept.reject_rate == world_reject_rate && kept.snat_ports == world_snat_ports;
}

void world_node_addresses(struct world *world, const char *addr4, const char *addr6)
{
	inet_pton(AF_INET, addr4, (void *)&world->skel->data_settings->settings.node_address4);
	inet_pton(AF_INET6, addr6, (void *)world->skel->data_settings->settings.node_address6);
}

static void world_begin(struct world *world)
{
	world_device_native(world, false);
	world_uplink(world, 0, world->up, own_mac);
	world->skel->data_settings->settings.uplinks[0].device = 2;
	world_node_addresses(world, "10.0.0.1", "fd00::1");
}

static struct world *world_load(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct bpf_program *program;
	struct bpf_map *map;
	uint32_t jiffy_ns;
	uint64_t start;

	must(world);
	namespace_make();
	world->up = if_nametoindex("uplink");
	world->pods = if_nametoindex("pods");
	world->skel = lb_bpf__open();
	must(world->skel);
	world->skel->rodata->config_hash_seed = WORLD_SEED;
	must(!maps_netns_cookie((uint64_t *)&world->skel->rodata->config_netns_cookie));
	maps_jiffies(&jiffy_ns, &start);
	world->skel->rodata->config_jiffy_ns = jiffy_ns;
	world->skel->rodata->config_reject_rate = world_reject_rate;
	world->skel->rodata->config_snat_ports = world_snat_ports;
	world->skel->rodata->config_jiffies_start = start;
	bpf_object__for_each_map(map, world->skel->obj)
	{
		if (bpf_map__is_internal(map) || bpf_map__max_entries(map) != 1 ||
		    map == world->skel->maps.icmp_scratch ||
		    map == world->skel->maps.reply_scratch ||
		    map == world->skel->maps.reject_tokens)
			continue;
		bpf_map__set_max_entries(map, bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH
						      ? world_flows
						      : WORLD_ENTRIES);
	}
	bpf_object__for_each_program(program, world->skel->obj)
	{
		bool socket = !strncmp(bpf_program__section_name(program), "cgroup/", 7);

		bpf_program__set_autoload(program, socket || !world_sockets_only);
	}
	must(!lb_bpf__load(world->skel));
	return world;
}

struct world *world_open(void)
{
	struct world *world;

	if (world_is_kept()) {
		world = kept.world;
		world_reset(world);
		kept.in_use = true;
	} else {
		world = world_load();
	}
	world_begin(world);
	if (kept.in_use)
		return world;
	if (kept.world)
		world_free(kept.world);
	kept.world = world;
	kept.flows = world_flows;
	kept.reject_rate = world_reject_rate;
	kept.snat_ports = world_snat_ports;
	kept.in_use = true;
	return world;
}

void world_uplink(struct world *world, uint32_t i, int ifindex, const uint8_t mac[6])
{
	world->skel->data_settings->settings.uplinks[i].ifindex = (uint32_t)ifindex;
	memcpy((void *)world->skel->data_settings->settings.uplinks[i].mac, mac, 6);
}

static void device_set(struct world *world, uint32_t index, int ifindex, const uint8_t mac[6],
		       bool native)
{
	struct lb_device device = {
		.ifindex = ifindex, .mtu = WORLD_POD_MTU, .flags = native ? LB_DEVICE_F_NATIVE : 0};

	memcpy(device.mac, mac, sizeof(device.mac));
	must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.devices), &index, &device, 0));
}

void world_device_native(struct world *world, bool native)
{
	device_set(world, 1, world->pods, world_device_mac, native);
	device_set(world, 2, world->up, world_uplink_mac, native);
}

void world_close(struct world *world)
{
	if (world == kept.world)
		kept.in_use = false;
	else
		world_free(world);
}

uint32_t world_frontend_flags;

void world_service(struct world *world, uint32_t id, uint32_t flags, uint32_t affinity_ticks)
{
	struct lb_service service = {.flags = LB_SERVICE_F_USED | flags,
				     .affinity_ticks = affinity_ticks,
				     .identity = 1000 + id};

	must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.services), &id, &service, 0));
}

static void filter_set(struct world *world, uint32_t bit)
{
	world->skel->data_frontend_filter->frontend_filter[bit / 8] |= 1U << bit % 8;
}

void world_frontend(struct world *world, const char *addr, uint16_t port, uint8_t protocol,
		    uint32_t service)
{
	struct lb_frontend value = {.service = service, .flags = world_frontend_flags};
	bool v6 = strchr(addr, ':');
	uint32_t words[4] = {0}, one = 1;

	must(inet_pton(v6 ? AF_INET6 : AF_INET, addr, words) == 1);
	if (!(value.flags & LB_FRONTEND_F_NODEPORT))
		must(!bpf_map_update_elem(bpf_map__fd(v6 ? world->skel->maps.addresses6
							 : world->skel->maps.addresses4),
					  words, &one, 0));
	if (v6) {
		struct lb_frontend6_key key = {.port = htons(port), .protocol = protocol};

		must(inet_pton(AF_INET6, addr, key.addr) == 1);
		filter_set(world, hash_frontend6(key.addr, key.port, protocol));
		must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.frontends6), &key, &value,
					  0));
	} else {
		struct lb_frontend4_key key = {.port = htons(port), .protocol = protocol};

		must(inet_pton(AF_INET, addr, &key.addr) == 1);
		filter_set(world, hash_frontend4(key.addr, key.port, protocol));
		must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.frontends4), &key, &value,
					  0));
	}
}

void world_frontend_delete(struct world *world, const char *addr, uint16_t port, uint8_t protocol)
{
	if (strchr(addr, ':')) {
		struct lb_frontend6_key key = {.port = htons(port), .protocol = protocol};

		must(inet_pton(AF_INET6, addr, key.addr) == 1);
		must(!bpf_map_delete_elem(bpf_map__fd(world->skel->maps.frontends6), &key));
	} else {
		struct lb_frontend4_key key = {.port = htons(port), .protocol = protocol};

		must(inet_pton(AF_INET, addr, &key.addr) == 1);
		must(!bpf_map_delete_elem(bpf_map__fd(world->skel->maps.frontends4), &key));
	}
}

void world_cache_clear(struct world *world)
{
	array_clear(world->skel->maps.flow_cache4);
	array_clear(world->skel->maps.flow_cache6);
}

void world_backend_set(struct world *world, uint32_t id, const struct lb_backend *backend)
{
	must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.backends), &id, backend, 0));
}

struct lb_backend world_backend_get(struct world *world, uint32_t id)
{
	struct lb_backend backend;

	must(!bpf_map_lookup_elem(bpf_map__fd(world->skel->maps.backends), &id, &backend));
	return backend;
}

void world_backend(struct world *world, uint32_t id, uint32_t service, const char *addr,
		   uint16_t port)
{
	struct lb_backend backend = {
		.port = htons(port),
		.family = strchr(addr, ':') ? 6 : 4,
		.flags = LB_BACKEND_F_CLUSTER,
		.service = service,
		.state = LB_BACKEND_ACTIVE,
		.generation = 1,
		.next_hop = LB_NEXT_HOP(1, WORLD_POD_MAC),
	};

	must(inet_pton(backend.family == 6 ? AF_INET6 : AF_INET, addr, backend.addr) == 1);
	world_backend_set(world, id, &backend);
}

static void ring_slots(struct world *world, uint32_t service, enum lb_scope scope,
		       const uint32_t *slots, uint32_t n)
{
	uint32_t line = (service + 16 * scope) * 64, index = LB_RING_INDEX(service, scope);
	uint64_t ring = LB_RING(line, n);
	struct lb_arena_line values;

	must(n <= 64 * LB_ARENA_LINE_SLOTS);
	for (uint32_t at = 0; at < n; at += LB_ARENA_LINE_SLOTS, line++) {
		for (uint32_t i = 0; i < LB_ARENA_LINE_SLOTS; i++)
			values.slots[i] = at + i < n ? slots[at + i] : 0;
		must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.arena), &line, &values, 0));
	}
	must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.rings), &index, &ring, 0));
}

void world_ring_slots(struct world *world, uint32_t service, const uint32_t *slots, uint32_t n)
{
	ring_slots(world, service, LB_SCOPE_CLUSTER, slots, n);
}

static void ring_build(struct world *world, uint32_t service, enum lb_scope scope, uint32_t first,
		       uint32_t n)
{
	struct maglev_entry entries[n];
	uint32_t nslots = maglev_size(n), slots[nslots];

	for (uint32_t i = 0; i < n; i++) {
		struct lb_backend backend = world_backend_get(world, first + i);
		struct addr addr;

		addr_from_words(backend.family, backend.addr, &addr);
		entries[i] = (struct maglev_entry){
			.identity = maglev_identity(&addr, ntohs(backend.port), WORLD_SEED),
			.id = first + i,
			.weight = 100,
		};
	}
	must(!maglev_build(entries, n, slots, nslots));
	ring_slots(world, service, scope, slots, nslots);
}

void world_ring(struct world *world, uint32_t service, uint32_t first, uint32_t n)
{
	ring_build(world, service, LB_SCOPE_CLUSTER, first, n);
}

void world_ring_local(struct world *world, uint32_t service, uint32_t first, uint32_t n)
{
	ring_build(world, service, LB_SCOPE_LOCAL, first, n);
}

void world_ring_clear(struct world *world, uint32_t service)
{
	uint32_t index = LB_RING_INDEX(service, LB_SCOPE_CLUSTER);
	uint64_t none = 0;

	must(!bpf_map_update_elem(bpf_map__fd(world->skel->maps.rings), &index, &none, 0));
}

void world_web(struct world *world, uint32_t n)
{
	char addr[64];

	for (uint32_t i = 1; i <= n; i++) {
		snprintf(addr, sizeof(addr), "10.1.0.%u", i + 1);
		world_backend(world, i, 1, addr, 5000);
		snprintf(addr, sizeof(addr), "fd01::%x", i + 1);
		world_backend(world, 100 + i, 2, addr, 5000);
	}
	world_ring(world, 1, 1, n);
	world_ring(world, 2, 101, n);
	world_frontend(world, "10.96.0.1", 80, IPPROTO_TCP, 1);
	world_frontend(world, "10.96.0.1", 80, IPPROTO_UDP, 1);
	world_frontend(world, "fd96::1", 80, IPPROTO_TCP, 2);
	world_frontend(world, "fd96::1", 80, IPPROTO_UDP, 2);
}

void world_web_remote(struct world *world, uint32_t n, uint8_t flags)
{
	for (uint32_t i = 0; i < 2 * n; i++) {
		uint32_t id = i < n ? 1 + i : 101 + i - n;
		struct lb_backend backend = world_backend_get(world, id);

		backend.flags |= LB_BACKEND_F_REMOTE | flags;
		backend.next_hop = LB_NEXT_HOP(2, WORLD_ROUTER_MAC);
		world_backend_set(world, id, &backend);
	}
}

int world_run(struct world *world, enum world_program program, const struct frame *in,
	      struct frame *out)
{
	struct bpf_program *programs[] = {
		[WORLD_XDP] = world->skel->progs.lb_xdp,
		[WORLD_XDP_NATIVE] = world->skel->progs.lb_xdp_native,
		[WORLD_TC_UPLINK] = world->skel->progs.lb_tc_uplink,
		[WORLD_TC_POD] = world->skel->progs.lb_tc_pod,
		[WORLD_TC_EGRESS] = world->skel->progs.lb_tc_egress,
	};
	struct __sk_buff skb = {.ifindex = program == WORLD_TC_POD ? world->pods : world->up};
	struct xdp_md xdp = {.data_end = in->length, .ingress_ifindex = world->up};
	struct frame copy = *in;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = copy.bytes, .data_size_in = copy.length,
		    .data_out = out->bytes, .data_size_out = sizeof(out->bytes));

	if (program != WORLD_XDP && program != WORLD_XDP_NATIVE) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	} else {
		opts.ctx_in = &xdp;
		opts.ctx_size_in = sizeof(xdp);
	}
	must(!bpf_prog_test_run_opts(bpf_program__fd(programs[program]), &opts));
	out->length = opts.data_size_out;
	return (int)opts.retval;
}

/* Sum of a per-CPU array's element, whose fields are all __u64. */
static void counter_sum(struct bpf_map *map, uint32_t key, __u64 *ret, size_t fields)
{
	int ncpus = libbpf_num_possible_cpus();
	__u64 values[ncpus][fields];

	must(!bpf_map_lookup_elem(bpf_map__fd(map), &key, values));
	memset(ret, 0, fields * sizeof(*ret));
	for (int cpu = 0; cpu < ncpus; cpu++)
		for (size_t f = 0; f < fields; f++)
			ret[f] += values[cpu][f];
}

/* All elements of backend_counters and service_counters. */
static struct lb_traffic traffic_sum(struct world *world)
{
	struct lb_traffic sum = {0};

	for (uint32_t id = 0; id < WORLD_ENTRIES; id++) {
		struct lb_traffic traffic = world_backend_count(world, id);

		sum.packets_in += traffic.packets_in;
		sum.packets_out += traffic.packets_out;
		sum.bytes_in += traffic.bytes_in;
		sum.bytes_out += traffic.bytes_out;
	}
	return sum;
}

uint64_t world_count(struct world *world, enum lb_reason reason)
{
	struct lb_reason_counter counter;

	if (reason == LB_REASON_FORWARDED)
		return traffic_sum(world).packets_in;
	if (reason == LB_REASON_REPLIED)
		return traffic_sum(world).packets_out;
	counter_sum(world->skel->maps.reason_counters, reason, (__u64 *)&counter, 2);
	return counter.packets;
}

struct lb_traffic world_backend_count(struct world *world, uint32_t id)
{
	struct lb_traffic traffic;

	counter_sum(world->skel->maps.backend_counters, id, (__u64 *)&traffic, 5);
	return traffic;
}
