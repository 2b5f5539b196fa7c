/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counters and the frontends' filter in real maps, on a bpffs of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "datapath.h"
#include "hash.h"

static char root[] = "/tmp/guideway-bpffs-XXXXXX";
static char dir[64];

static int setup_once(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || !mkdtemp(root) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", root, "bpf", 0, NULL))
		return -1;
	snprintf(dir, sizeof(dir), "%s/guideway", root);
	return 0;
}

static int teardown_once(void **state)
{
	(void)state;
	return umount(root) || rmdir(root);
}

static int setup(void **state)
{
	struct datapath_config config = {.bpffs_dir = dir,
					 .max_services = 64,
					 .max_backends = 64,
					 .max_frontends = 64,
					 .max_flows = 1024,
					 .max_udp_flows = 1024,
					 .max_new_flows = 1024,
					 .max_slots = 1024};
	struct datapath *datapath;
	struct error error;

	if (datapath_open(&config, &datapath, &error))
		fail_msg("%s", error.text);
	*state = datapath;
	return 0;
}

static int teardown(void **state)
{
	struct error error;

	datapath_close(*state);
	return datapath_detach(dir, &error);
}

/* ---- counters --------------------------------------------------------------- */

/* What each CPU has counted for a backend. */
static void count(struct maps *maps, uint32_t id, struct lb_traffic traffic)
{
	struct lb_traffic values[maps->ncpus];

	for (int cpu = 0; cpu < maps->ncpus; cpu++)
		values[cpu] = traffic;
	assert_int_equal(bpf_map_update_elem(maps->backend_counters_fd, &id, values, BPF_EXIST), 0);
}

static struct lb_traffic service_total(struct maps *maps, uint32_t id)
{
	struct lb_traffic all[maps->max_services];

	assert_int_equal(maps_service_counters(maps, all), 0);
	return all[id];
}

static void assert_forwarded(struct maps *maps, uint64_t packets_in, uint64_t packets_out)
{
	struct lb_reason_counter reasons[LB_REASON_MAX];

	assert_int_equal(maps_reason_counters(maps, reasons), 0);
	assert_int_equal(reasons[LB_REASON_FORWARDED].packets, packets_in);
	assert_int_equal(reasons[LB_REASON_FORWARDED].bytes, 100 * packets_in);
	assert_int_equal(reasons[LB_REASON_REPLIED].packets, packets_out);
	assert_int_equal(reasons[LB_REASON_REPLIED].bytes, 100 * packets_out);
}

static void nothing_that_was_counted_is_lost(void **state)
{
	struct maps *maps = datapath_maps(*state);
	const struct lb_traffic one = {1, 3, 300, 2, 200}, other = {0, 5, 500, 7, 700};
	struct lb_traffic backends[maps->max_backends];
	uint64_t n = maps->ncpus;
	struct error error;

	assert_int_equal(maps_make_writable(maps, &error), 0);
	maps->backends[1] = (struct lb_backend){.state = LB_BACKEND_ACTIVE, .service = 5};
	maps->backends[2] = (struct lb_backend){.state = LB_BACKEND_GONE, .service = 5};
	maps->backends[3] = (struct lb_backend){.state = LB_BACKEND_ACTIVE, .service = 6};
	count(maps, 1, one);
	count(maps, 2, other);
	count(maps, 3, one);
	count(maps, 0, (struct lb_traffic){0, 0, 0, 1, 100}); /* of freed ones */
	assert_int_equal(service_total(maps, 5).packets_in, 8 * n);
	assert_int_equal(service_total(maps, 6).packets_out, 2 * n);
	assert_forwarded(maps, 11 * n, 12 * n);

	/* A backend is freed, its id is another's; then its service goes. */
	maps->backends[2].state = LB_BACKEND_FREE;
	assert_int_equal(maps_backend_counters_fold(maps, 2, 5), 0);
	maps->backends[2] = (struct lb_backend){.state = LB_BACKEND_ACTIVE, .service = 6};
	assert_int_equal(service_total(maps, 5).packets_in, 8 * n);
	assert_int_equal(service_total(maps, 5).connections, n);
	assert_int_equal(service_total(maps, 6).packets_in, 3 * n);
	assert_int_equal(maps_backend_counters(maps, backends), 0);
	assert_int_equal(backends[1].packets_in, 3 * n);
	assert_int_equal(backends[2].packets_in, 0);
	assert_int_equal(backends[0].packets_out, 0); /* of nobody that is shown */
	assert_forwarded(maps, 11 * n, 12 * n);
	maps->backends[1].state = LB_BACKEND_FREE;
	assert_int_equal(maps_backend_counters_fold(maps, 1, 5), 0);
	maps_service_counters_fold(maps, 5);
	assert_int_equal(service_total(maps, 5).packets_in, 0);
	assert_forwarded(maps, 11 * n, 12 * n);
}

/* ---- the filter ------------------------------------------------------------- */

static struct plan_frontend frontend(const char *addr, uint16_t port, uint8_t protocol)
{
	struct plan_frontend ret = {
		.port = htons(port), .protocol = protocol, .value = {.service = 1}};

	assert_int_equal(addr_parse(addr, &ret.addr), 0);
	return ret;
}

static uint32_t bit_of(const struct plan_frontend *f)
{
	uint32_t words[4];

	addr_to_words(&f->addr, words);
	return f->addr.family == 6 ? hash_frontend6(words, f->port, f->protocol)
				   : hash_frontend4(words[0], f->port, f->protocol);
}

static bool is_set(const struct maps *maps, uint32_t bit)
{
	return maps->frontend_filter[bit / 8] & 1U << bit % 8;
}

static uint32_t bits_set(const struct maps *maps)
{
	uint32_t n = 0;

	for (size_t i = 0; i < LB_FILTER_BYTES; i++)
		n += __builtin_popcount(maps->frontend_filter[i]);
	return n;
}

static void a_frontend_has_its_bit_until_long_after_it_is_deleted(void **state)
{
	struct maps *maps = datapath_maps(*state);
	struct plan_frontend four = frontend("10.96.0.1", 80, IPPROTO_TCP),
			     six = frontend("fd00::1", 53, IPPROTO_UDP);
	struct error error;

	assert_int_equal(maps_filter_tidy(maps), 0);
	assert_false(maps->writable); /* there was nothing to write */
	assert_int_equal(maps_make_writable(maps, &error), 0);
	assert_int_equal(maps_frontend_insert(maps, &four), 0);
	assert_int_equal(maps_frontend_insert(maps, &six), 0);
	assert_true(is_set(maps, bit_of(&four)) && is_set(maps, bit_of(&six)));
	assert_int_equal(bits_set(maps), 2);
	assert_int_equal(maps_frontend_delete(maps, &four), 0);
	assert_int_equal(maps_filter_tidy(maps), 0);
	assert_true(is_set(maps, bit_of(&four)));
}

/* Who adopts maps finds a bit missing: however that came, it is set again. */
static void a_missing_bit_is_set(void **state)
{
	struct maps *maps = datapath_maps(*state);
	struct plan_frontend f = frontend("10.96.0.1", 80, IPPROTO_TCP);
	struct error error;

	assert_int_equal(maps_make_writable(maps, &error), 0);
	assert_int_equal(maps_frontend_insert(maps, &f), 0);
	memset(maps->frontend_filter, 0, LB_FILTER_BYTES);
	assert_int_equal(maps_filter_tidy(maps), 0);
	assert_true(is_set(maps, bit_of(&f)));
	assert_int_equal(bits_set(maps), 1);
}

/* Of many bits only those are left that a frontend or a flow needs. */
static void stale_bits_are_cleared_when_they_are_many(void **state)
{
	struct maps *maps = datapath_maps(*state);
	struct plan_frontend there = frontend("10.96.0.1", 80, IPPROTO_TCP),
			     tcp = frontend("10.96.0.2", 80, IPPROTO_TCP),
			     udp = frontend("fd00::2", 53, IPPROTO_UDP),
			     young = frontend("10.96.0.3", 80, IPPROTO_TCP);
	struct lb_tuple4 tcp_key = {.src = 1,
				    .sport = 1,
				    .dst = inet_addr("10.96.0.2"),
				    .dport = htons(80),
				    .protocol = IPPROTO_TCP},
			 young_key = tcp_key;
	struct lb_tuple6 udp_key = {.sport = 1, .dport = htons(53), .protocol = IPPROTO_UDP};
	struct lb_flow flow = {0};
	struct error error;

	young_key.dst = inet_addr("10.96.0.3");
	inet_pton(AF_INET6, "fd00::2", udp_key.dst);
	assert_int_equal(maps_make_writable(maps, &error), 0);
	assert_int_equal(maps_frontend_insert(maps, &there), 0);
	assert_int_equal(bpf_map_update_elem(maps->flows_fd[0], &tcp_key, &flow, 0), 0);
	assert_int_equal(bpf_map_update_elem(maps->udp_flows_fd[1], &udp_key, &flow, 0), 0);
	assert_int_equal(bpf_map_update_elem(maps->new_flows_fd[0], &young_key, &flow, 0), 0);
	memset(maps->frontend_filter, 0xff, LB_FILTER_BYTES);
	assert_int_equal(maps_filter_tidy(maps), 0);
	assert_int_equal(bits_set(maps), 4);
	assert_true(is_set(maps, bit_of(&there)) && is_set(maps, bit_of(&tcp)) &&
		    is_set(maps, bit_of(&udp)) && is_set(maps, bit_of(&young)));
}

/* It is pinned, and outlives lbd like all maps. */
static void the_filter_is_adopted(void **state)
{
	struct maps *maps = datapath_maps(*state);
	struct plan_frontend f = frontend("fd00::1", 80, IPPROTO_TCP);
	struct applied applied;
	struct error error;

	assert_int_equal(maps_make_writable(maps, &error), 0);
	assert_int_equal(maps_frontend_insert(maps, &f), 0);
	datapath_close(*state);
	setup(state);
	maps = datapath_maps(*state);
	assert_int_equal(maps_applied(maps, &applied, &error), 0);
	assert_int_equal(applied.nfrontends, 1);
	assert_int_equal(plan_frontend_compare(&applied.frontends[0], &f), 0);
	maps_applied_free(&applied);
	assert_true(is_set(maps, bit_of(&f)));
	assert_int_equal(bits_set(maps), 1);
}

static struct plan_source source(uint32_t service, uint32_t i)
{
	struct plan_source source = {.service = service};
	char text[PREFIX_STRLEN];

	if (i & 1)
		snprintf(text, sizeof(text), "2001:db8:%x::/%u", i, 48 + i % 81);
	else
		snprintf(text, sizeof(text), "10.%u.%u.0/%u", i >> 8, i & 0xff, 24 + i % 9);
	assert_int_equal(prefix_parse(text, &source.prefix), 0);
	return source;
}

/* More than one read brings; prefixes of one another, and equal ones of two services. */
static void source_ranges_are_adopted_as_they_were_written(void **state)
{
	enum {
		RANGES = 4000
	};
	struct maps *maps = datapath_maps(*state);
	bool seen[3][RANGES] = {};
	struct plan_source whole = source(1, 0), one;
	struct applied applied;
	struct error error;
	size_t n = 0;

	for (uint32_t i = 0; i < RANGES; i++) {
		one = source(1 + i % 2, i / 2);
		assert_int_equal(maps_source_insert(maps, &one), 0);
	}
	prefix_parse("10.0.0.0/8", &whole.prefix);
	assert_int_equal(maps_source_insert(maps, &whole), 0);
	assert_int_equal(maps_source_insert(maps, &whole), 0); /* it is there */
	datapath_close(*state);
	setup(state);
	maps = datapath_maps(*state);
	assert_int_equal(maps_applied(maps, &applied, &error), 0);
	assert_int_equal(applied.nsources, RANGES + 1);
	for (size_t i = 0; i < applied.nsources; i++) {
		const struct plan_source *found = &applied.sources[i];
		uint32_t number;

		if (!prefix_compare(&found->prefix, &whole.prefix))
			continue;
		number = found->prefix.addr.family == 4
				 ? found->prefix.addr.bytes[1] << 8 | found->prefix.addr.bytes[2]
				 : found->prefix.addr.bytes[4] << 8 | found->prefix.addr.bytes[5];
		one = source(found->service, number);
		assert_int_equal(prefix_compare(&found->prefix, &one.prefix), 0);
		assert_false(seen[found->service][number]);
		seen[found->service][number] = true;
		n++;
	}
	assert_int_equal(n, RANGES);
	maps_applied_free(&applied);
	for (uint32_t i = 0; i < RANGES; i++) {
		one = source(1 + i % 2, i / 2);
		assert_int_equal(maps_source_delete(maps, &one), 0);
	}
	assert_int_equal(maps_source_delete(maps, &one), -ENOENT);
	assert_int_equal(maps_applied(maps, &applied, &error), 0);
	assert_int_equal(applied.nsources, 1);
	maps_applied_free(&applied);
	assert_false(maps->writable);
}

static bool is_service_address(const struct maps *maps, const char *text)
{
	uint32_t words[4] = {0}, value;
	bool v6 = strchr(text, ':');

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, words), 1);
	return !bpf_map_lookup_elem(maps->addresses_fd[v6], words, &value);
}

/* An address stays while one frontend has it; what a crash has left is mended. */
static void addresses_are_those_of_frontends(void **state)
{
	struct maps *maps = datapath_maps(*state);
	struct plan_frontend http = frontend("10.96.0.1", 80, IPPROTO_TCP),
			     dns = frontend("10.96.0.1", 53, IPPROTO_UDP),
			     six = frontend("fd00::1", 53, IPPROTO_UDP),
			     node = frontend("10.0.0.1", 30080, IPPROTO_TCP);
	struct error error;
	uint32_t words[4] = {0}, one = 1;

	node.value.flags = LB_FRONTEND_F_NODEPORT | LB_FRONTEND_F_EXTERNAL;
	assert_int_equal(maps_make_writable(maps, &error), 0);
	assert_int_equal(maps_frontend_insert(maps, &http), 0);
	assert_int_equal(maps_frontend_insert(maps, &dns), 0);
	assert_int_equal(maps_frontend_insert(maps, &six), 0);
	assert_int_equal(maps_frontend_insert(maps, &node), 0);
	assert_true(is_service_address(maps, "10.96.0.1"));
	assert_true(is_service_address(maps, "fd00::1"));
	assert_false(is_service_address(maps, "10.0.0.1"));
	assert_int_equal(maps_frontend_delete(maps, &http), 0);
	assert_int_equal(maps_frontend_delete(maps, &six), 0);
	assert_int_equal(maps_filter_tidy(maps), 0);
	assert_true(is_service_address(maps, "10.96.0.1"));
	assert_false(is_service_address(maps, "fd00::1"));
	inet_pton(AF_INET, "10.96.0.1", words);
	assert_int_equal(bpf_map_delete_elem(maps->addresses_fd[0], words), 0);
	inet_pton(AF_INET, "10.0.0.1", words);
	assert_int_equal(bpf_map_update_elem(maps->addresses_fd[0], words, &one, 0), 0);
	assert_int_equal(maps_filter_tidy(maps), 0);
	assert_true(is_service_address(maps, "10.96.0.1"));
	assert_false(is_service_address(maps, "10.0.0.1"));
}

/* The clock of the programs and that of lbd are one. */
static void jiffies_follow_the_monotonic_clock(void **state)
{
	uint32_t jiffy_ns;
	uint64_t start;

	(void)state;
	maps_jiffies(&jiffy_ns, &start);
	assert_true(jiffy_ns >= 1000000 && jiffy_ns <= 10000000);
	assert_in_range(start, (1ULL << 32) - 300 * 1000, (1ULL << 32) - 300 * 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_that_was_counted_is_lost),
		TEST(a_frontend_has_its_bit_until_long_after_it_is_deleted),
		TEST(a_missing_bit_is_set),
		TEST(stale_bits_are_cleared_when_they_are_many),
		TEST(the_filter_is_adopted),
		TEST(source_ranges_are_adopted_as_they_were_written),
		TEST(addresses_are_those_of_frontends),
		cmocka_unit_test(jiffies_follow_the_monotonic_clock),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("unit_maps", tests, setup_once, teardown_once);
}
