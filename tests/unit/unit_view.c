/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "socket_lb.h"
#include "view.h"

#define MAX 32 /* of services, backends and arena lines */

static struct lb_service services[MAX];
static struct lb_service_name names[MAX];
static __u64 rings[MAX * LB_SCOPE_MAX];
static struct lb_arena_line arena[MAX];
static struct lb_backend backends[MAX];
static struct lb_traffic traffic[MAX];
static uint32_t flows[MAX];
static struct maps maps = {
	.max_services = MAX,
	.max_backends = MAX,
	.arena_lines = MAX,
	.services = services,
	.service_names = names,
	.rings = rings,
	.arena = arena,
	.backends = backends,
};

/* Three services: web has two endpoints, dns (UDP) one, idle none. */
static struct model_endpoint web_endpoints[2], dns_endpoints[1];
static struct model_frontend web_frontends[2];
static struct model_service wanted[3];
static struct snapshot snapshot;
static struct plan plan;
static struct options options;
static struct attachments attachments;
static struct socket_lb socket_lb;
static struct view view;
static json_t *root;

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static void service_put(uint32_t id, const char *name, const char *port_name, uint8_t protocol)
{
	services[id] = (struct lb_service){
		.flags = LB_SERVICE_F_USED, .family = 4, .protocol = protocol, .port = htons(80)};
	names[id] = (struct lb_service_name){0};
	strcpy(names[id].namespace, "default");
	strcpy(names[id].name, name);
	strcpy(names[id].port_name, port_name);
}

static void backend_put(uint32_t id, uint32_t service, const char *addr, uint16_t port,
			uint32_t state)
{
	struct addr parsed = address(addr);

	backends[id] = (struct lb_backend){
		.port = htons(port), .family = 4, .service = service, .state = state};
	addr_to_words(&parsed, backends[id].addr);
}

/* A ring of nslots at a line: the first backend's `first` slots, then the second's. */
static void ring_put(uint32_t service, uint32_t line, uint32_t nslots, uint32_t a, uint32_t first,
		     uint32_t b)
{
	for (uint32_t i = 0; i < nslots; i++)
		arena[line + i / LB_ARENA_LINE_SLOTS].slots[i % LB_ARENA_LINE_SLOTS] =
			i < first ? a : b;
	rings[LB_RING_INDEX(service, LB_SCOPE_CLUSTER)] = LB_RING(line, nslots);
}

static struct model_endpoint endpoint(const char *addr, const char *pod, bool ready)
{
	return (struct model_endpoint){
		.addr = address(addr),
		.port = 5000,
		.weight = 100,
		.ready = ready,
		.serving = ready,
		.node = "worker1",
		.pod = pod,
		.uid = "",
	};
}

static int setup(void **state)
{
	(void)state;
	memset(services, 0, sizeof(services));
	memset(rings, 0, sizeof(rings));
	memset(backends, 0, sizeof(backends));
	memset(traffic, 0, sizeof(traffic));
	memset(flows, 0, sizeof(flows));
	service_put(7, "web", "http", IPPROTO_TCP);
	service_put(3, "dns", "", IPPROTO_UDP);
	service_put(4, "idle", "", IPPROTO_TCP);
	backend_put(9, 7, "10.244.1.2", 5000, LB_BACKEND_ACTIVE);
	backend_put(2, 7, "10.244.1.3", 5000, LB_BACKEND_ACTIVE);
	backend_put(5, 3, "10.244.1.3", 5000, LB_BACKEND_ACTIVE);
	ring_put(7, 4, 37, 9, 20, 2);
	ring_put(3, 1, 17, 5, 17, 0);

	web_endpoints[0] = endpoint("10.244.1.2", "web-a", true);
	web_endpoints[1] = endpoint("10.244.1.3", "web-b", true);
	dns_endpoints[0] = endpoint("10.244.1.3", "dns-a", true);
	web_frontends[0] = (struct model_frontend){
		.kind = FRONTEND_CLUSTER_IP, .addr = address("10.96.0.10"), .port = 80};
	web_frontends[1] = (struct model_frontend){
		.kind = FRONTEND_NODE_PORT, .addr = address("10.200.0.1"), .port = 30080};
	wanted[0] = (struct model_service){.namespace = "default",
					   .name = "dns",
					   .port_name = "",
					   .family = 4,
					   .protocol = IPPROTO_UDP,
					   .port = 53,
					   .endpoints = dns_endpoints,
					   .nendpoints = 1};
	wanted[1] = (struct model_service){.namespace = "default",
					   .name = "idle",
					   .port_name = "",
					   .family = 4,
					   .protocol = IPPROTO_TCP,
					   .port = 80};
	wanted[2] = (struct model_service){.namespace = "default",
					   .name = "web",
					   .port_name = "http",
					   .family = 4,
					   .protocol = IPPROTO_TCP,
					   .port = 80,
					   .frontends = web_frontends,
					   .nfrontends = 2,
					   .endpoints = web_endpoints,
					   .nendpoints = 2};
	snapshot = (struct snapshot){.revision = 12, .services = wanted, .nservices = 3};
	plan = (struct plan){0};
	options = (struct options){.source_path = "/m", .node = "worker1", .hash_seed = UINT64_MAX};
	attachments = (struct attachments){0};
	view = (struct view){.options = &options,
			     .snapshot = &snapshot,
			     .plan = &plan,
			     .maps = &maps,
			     .attachments = &attachments,
			     .socket_lb = &socket_lb,
			     .synced_revision = 11,
			     .nfrontends = 2};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(root);
	root = NULL;
	return 0;
}

/* Parse what a view_*() made and free it. */
static json_t *parsed(char *text, size_t length)
{
	json_error_t error;

	assert_non_null(text);
	assert_int_equal(strlen(text), length);
	json_decref(root);
	root = json_loadb(text, length, 0, &error);
	free(text);
	assert_non_null(root);
	return root;
}

static json_t *shown_services(void)
{
	size_t length;
	char *text = view_services(&view, NULL, &length);

	return json_object_get(parsed(text, length), "services");
}

static json_t *shown_backends(const char *service)
{
	size_t length;
	char *text = view_backends(&view, service, traffic, flows, &length);

	return json_object_get(parsed(text, length), "backends");
}

static json_t *shown_status(void)
{
	struct lb_reason_counter reasons[LB_REASON_MAX] = {
		[LB_REASON_FORWARDED] = {.packets = 17, .bytes = 1700}};
	size_t length;
	char *text = view_status(&view, reasons, &length);

	return parsed(text, length);
}

#define assert_json(value, format, ...) \
	do { \
		json_t *wanted_ = json_pack(format, __VA_ARGS__); \
		assert_non_null(wanted_); \
		if (!json_equal(value, wanted_)) \
			fail_msg("%s is not %s", \
				 json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY), \
				 json_dumps(wanted_, JSON_COMPACT | JSON_ENCODE_ANY)); \
		json_decref(wanted_); \
	} while (0)

/* ---- services ---------------------------------------------------------------- */

static void services_have_frontends_endpoints_and_state(void **state)
{
	json_t *rows = shown_services();

	(void)state;
	assert_int_equal(json_array_size(rows), 3);
	assert_json(
		json_array_get(rows, 2),
		"{s:s, s:s, s:s, s:s, s:i, s:[{s:s,s:s,s:i}, {s:s,s:s,s:i}], s:i, s:i, s:s, s:s, "
		"s:s, s:s, s:b, s:b, s:i, s:[], s:s, s:s}",
		"service", "default/web", "port_name", "http", "protocol", "TCP", "family", "IPv4",
		"port", 80, "frontends", "kind", "ClusterIP", "address", "10.96.0.10", "port", 80,
		"kind", "NodePort", "address", "10.200.0.1", "port", 30080, "endpoints", 2,
		"usable", 2, "state", "ok", "reason", "", "internal_policy", "Cluster",
		"external_policy", "Cluster", "no_local_internal", 0, "no_local_external", 0,
		"affinity_s", 0, "sources", "scheduler", "maglev", "health_check", "none");
}

static const char *service_field(size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(shown_services(), i), key));
}

static void service_without_ring_says_why(void **state)
{
	(void)state;
	assert_string_equal(service_field(1, "state"), "no_endpoint");
	assert_string_equal(service_field(1, "reason"), "it has no endpoints");
	rings[LB_RING_INDEX(3, LB_SCOPE_CLUSTER)] = 0;
	assert_string_equal(service_field(0, "state"), "no_endpoint");
	assert_string_equal(service_field(0, "reason"), "no device leads to a ready endpoint");
	dns_endpoints[0].ready = dns_endpoints[0].serving = false;
	assert_string_equal(service_field(0, "reason"), "no endpoint is ready");
}

static void terminating_endpoints_are_usable_where_none_is_ready(void **state)
{
	(void)state;
	web_endpoints[0].ready = false;
	web_endpoints[0].serving = web_endpoints[0].terminating = true;
	assert_json(json_object_get(json_array_get(shown_services(), 2), "usable"), "i", 1);
	web_endpoints[1].ready = web_endpoints[1].serving = false;
	assert_json(json_object_get(json_array_get(shown_services(), 2), "usable"), "i", 1);
	web_endpoints[0].weight = 0;
	assert_json(json_object_get(json_array_get(shown_services(), 2), "usable"), "i", 0);
}

static void refused_service_says_why(void **state)
{
	struct model_refusal refusal = {.where = "/m/a.yaml:3",
					.kind = "EndpointSlice",
					.namespace = "default",
					.name = "web",
					.object = "web-x1",
					.reason = "addresses[0]: not an address"};
	struct plan_refusal planned = {.service = &wanted[0], .reason = "10.96.0.10:80 is taken"};

	(void)state;
	snapshot.refusals = &refusal;
	snapshot.nrefusals = 1;
	plan.refusals = &planned;
	plan.nrefusals = 1;
	assert_string_equal(service_field(2, "state"), "refused");
	assert_string_equal(service_field(2, "reason"), "addresses[0]: not an address");
	assert_string_equal(service_field(0, "state"), "refused");
	assert_string_equal(service_field(0, "reason"), "10.96.0.10:80 is taken");
	assert_string_equal(service_field(1, "state"), "no_endpoint");
}

static void partly_refused_service_is_ok_and_says_what_is_missing(void **state)
{
	struct plan_refusal planned = {
		.service = &wanted[2], .reason = "1 of 2 left out", .partial = true};

	(void)state;
	plan.refusals = &planned;
	plan.nrefusals = 1;
	assert_string_equal(service_field(2, "state"), "ok");
	assert_string_equal(service_field(2, "reason"), "1 of 2 left out");
	rings[LB_RING_INDEX(7, LB_SCOPE_CLUSTER)] = 0;
	assert_string_equal(service_field(2, "state"), "no_endpoint");
	assert_string_equal(service_field(2, "reason"), "1 of 2 left out");
}

/* One row for a Service of which nothing is good, after all others. */
static void service_without_any_good_state_says_why(void **state)
{
	struct model_refusal refusals[] = {
		{.where = "/m/a.yaml:3",
		 .kind = "Service",
		 .namespace = "default",
		 .name = "bad",
		 .object = "bad",
		 .reason = "spec.ports: a Service needs at least one port"},
		{.where = "/m/a.yaml:9",
		 .kind = "EndpointSlice",
		 .namespace = "default",
		 .name = "nobody",
		 .object = "nobody-1",
		 .reason = "addressType: it has to be there"},
		{.where = "/m/a.yaml:12",
		 .kind = "Service",
		 .namespace = "default",
		 .name = "web",
		 .object = "web",
		 .reason = "its last good state stays"},
	};

	(void)state;
	snapshot.refusals = refusals;
	snapshot.nrefusals = 3;
	assert_int_equal(json_array_size(shown_services()), 4);
	assert_json(json_array_get(shown_services(), 3),
		    "{s:s, s:s, s:s, s:s, s:i, s:[], s:i, s:i, s:s, s:s}", "service", "default/bad",
		    "port_name", "", "protocol", "", "family", "", "port", 0, "frontends",
		    "endpoints", 0, "usable", 0, "state", "refused", "reason",
		    "spec.ports: a Service needs at least one port");
}

/* Rule 56 */
static void policies_that_leave_nobody_here_are_told(void **state)
{
	struct model_service *web = &wanted[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		bool internal = i == 0;

		web->internal_local = internal;
		web->external_local = !internal;
		assert_true(model_no_local(web, internal));
		assert_false(model_no_local(web, !internal));
		assert_json(json_object_get(json_array_get(shown_services(), 2),
					    internal ? "no_local_internal" : "no_local_external"),
			    "b", 1);
		/* Of those that are here, one that is ready or still serves counts. */
		web_endpoints[0].local = true;
		assert_false(model_no_local(web, internal));
		web_endpoints[0].ready = false;
		assert_true(model_no_local(web, internal));
		web_endpoints[0].serving = web_endpoints[0].terminating = true;
		assert_false(model_no_local(web, internal));
		web_endpoints[0].local = web_endpoints[0].terminating = false;
		/* None anywhere is another matter. */
		web_endpoints[0].serving = false;
		web_endpoints[1].ready = web_endpoints[1].serving = false;
		assert_false(model_no_local(web, internal));
		web_endpoints[0].ready = web_endpoints[1].ready = true;
		web_endpoints[0].serving = web_endpoints[1].serving = true;
	}
	/* Rule 33: a policy without addresses that it is about has no effect. */
	web->nfrontends = 1;
	assert_false(model_no_local(web, false));
}

static void ranges_are_shown(void **state)
{
	struct prefix ranges[2];

	(void)state;
	prefix_parse("10.0.0.0/8", &ranges[0]);
	prefix_parse("203.0.113.0/24", &ranges[1]);
	wanted[2].sources = ranges;
	wanted[2].nsources = 2;
	assert_json(json_object_get(json_array_get(shown_services(), 2), "sources"), "[s, s]",
		    "10.0.0.0/8", "203.0.113.0/24");
}

static void service_that_is_not_in_the_maps_is_not_ok(void **state)
{
	(void)state;
	services[7].flags = 0;
	assert_string_equal(service_field(2, "state"), "refused");
	assert_string_equal(service_field(2, "reason"), "not in the maps yet");
	/* Of the same name, but the other protocol. */
	service_put(7, "web", "http", IPPROTO_UDP);
	assert_string_equal(service_field(2, "state"), "refused");
}

/* ---- backends ---------------------------------------------------------------- */

static void backends_join_endpoints_and_maps(void **state)
{
	json_t *rows;

	(void)state;
	traffic[2] = (struct lb_traffic){.connections = 3,
					 .packets_in = 10,
					 .bytes_in = 1000,
					 .packets_out = 5,
					 .bytes_out = 50};
	flows[2] = 4;
	rows = shown_backends(NULL);
	assert_int_equal(json_array_size(rows), 3);
	assert_json(json_array_get(rows, 2),
		    "{s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:b,s:b,s:b,s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:i}",
		    "service", "default/web", "port_name", "http", "protocol", "TCP", "address",
		    "10.244.1.3", "port", 5000, "node", "worker1", "pod", "web-b", "ready", 1,
		    "serving", 1, "terminating", 0, "state", "active", "health", "off", "weight",
		    100, "slots", 17, "flows", 4, "connections_total", 3, "packets_total", 15,
		    "bytes_total", 1050);
	/* The same address and port in another service counts apart. */
	assert_json(json_object_get(json_array_get(rows, 0), "slots"), "i", 17);
	assert_json(json_object_get(json_array_get(rows, 0), "connections_total"), "i", 0);
	assert_json(json_object_get(json_array_get(rows, 1), "slots"), "i", 20);
}

static void endpoint_without_backend_has_zeros(void **state)
{
	json_t *row;

	(void)state;
	backends[9].state = LB_BACKEND_FREE;
	traffic[9].connections = 77; /* of whoever had the id */
	row = json_array_get(shown_backends(NULL), 1);
	assert_json(json_object_get(row, "address"), "s", "10.244.1.2");
	assert_json(json_object_get(row, "connections_total"), "i", 0);
	assert_json(json_object_get(row, "slots"), "i", 0);
}

static void endpoint_that_came_back_shows_its_active_backend(void **state)
{
	(void)state;
	backend_put(1, 7, "10.244.1.2", 5000, LB_BACKEND_GONE);
	backend_put(20, 7, "10.244.1.3", 5000, LB_BACKEND_GONE);
	traffic[1].connections = traffic[20].connections = 99;
	traffic[9].connections = 1;
	traffic[2].connections = 2;
	shown_backends(NULL);
	for (size_t i = 0; i < 2; i++)
		assert_json(
			json_object_get(json_array_get(json_object_get(root, "backends"), 1 + i),
					"connections_total"),
			"i", (int)i + 1);
}

static void backends_of_one_service_can_be_asked_for(void **state)
{
	(void)state;
	assert_int_equal(json_array_size(shown_backends("default/web")), 2);
	assert_int_equal(json_array_size(shown_backends("default/dns")), 1);
	assert_int_equal(json_array_size(shown_backends("default/nothing")), 0);
}

static void ring_beyond_the_arena_counts_nothing(void **state)
{
	(void)state;
	rings[LB_RING_INDEX(7, LB_SCOPE_CLUSTER)] = LB_RING(MAX - 1, 17);
	assert_json(json_object_get(json_array_get(shown_backends(NULL), 1), "slots"), "i", 0);
	rings[LB_RING_INDEX(7, LB_SCOPE_CLUSTER)] = LB_RING(UINT32_MAX, UINT32_MAX);
	assert_json(json_object_get(json_array_get(shown_backends(NULL), 1), "slots"), "i", 0);
	arena[4].slots[0] = UINT32_MAX; /* no backend's id */
	ring_put(7, 4, 16, UINT32_MAX, 8, 9);
	assert_json(json_object_get(json_array_get(shown_backends(NULL), 1), "slots"), "i", 8);
}

static void totals_beyond_32_bits_are_numbers(void **state)
{
	(void)state;
	traffic[9].bytes_in = 1ULL << 40;
	assert_json(json_object_get(json_array_get(shown_backends(NULL), 1), "bytes_total"), "I",
		    (json_int_t)1 << 40);
}

/* ---- status ------------------------------------------------------------------- */

static void status_tells_revisions_counts_and_attachments(void **state)
{
	struct attachment list[2] = {
		{.device = {.role = DEVICE_POD, .hook = HOOK_TC, .used = HOOK_TC, .attach = "tcx"},
		 .name = "veth1",
		 .reason = ""},
		{.device = {.role = DEVICE_UPLINK,
			    .hook = HOOK_XDP,
			    .used = HOOK_XDP_GENERIC,
			    .attach = "dispatcher"},
		 .name = "eth0",
		 .reason = "so"}};
	json_t *status;

	(void)state;
	attachments = (struct attachments){.list = list, .n = 2};
	socket_lb = (struct socket_lb){.path = "/g", .attached = true, .reason = ""};
	backends[9].state = LB_BACKEND_GONE;
	status = shown_status();
	assert_json(json_object_get(status, "node"), "s", "worker1");
	assert_json(json_object_get(status, "source"), "s", "file:/m");
	assert_json(json_object_get(status, "source_state"), "s", "ok");
	assert_json(json_object_get(status, "revision"), "i", 12);
	assert_json(json_object_get(status, "synced_revision"), "i", 11);
	assert_json(json_object_get(status, "hash_seed"), "s", "0xffffffffffffffff");
	assert_json(json_object_get(status, "services"), "i", 3);
	assert_json(json_object_get(status, "backends"), "i", 2);
	assert_json(json_object_get(status, "frontends"), "i", 2);
	assert_json(json_object_get(status, "attachments"),
		    "[{s:s,s:s,s:s,s:s,s:s}, {s:s,s:s,s:s,s:s,s:s}]", "device", "veth1", "role",
		    "pod", "hook", "tc", "attach", "tcx", "reason", "", "device", "eth0", "role",
		    "uplink", "hook", "xdp-generic", "attach", "dispatcher", "reason", "so");
	assert_json(json_object_get(status, "socket_lb"), "{s:s,s:s}", "cgroup", "/g", "reason",
		    "");
	assert_json(json_object_get(json_object_get(status, "packets"), "forwarded"), "i", 17);
	assert_json(json_object_get(json_object_get(status, "bytes"), "forwarded"), "i", 1700);
	assert_json(json_object_get(json_object_get(status, "packets"), "replied"), "i", 0);
	assert_int_equal(json_object_size(json_object_get(status, "packets")), LB_REASON_MAX - 1);
}

static void status_tells_why_processes_are_not_served(void **state)
{
	(void)state;
	socket_lb = (struct socket_lb){.path = "/g", .reason = "the kernel refuses"};
	assert_json(json_object_get(shown_status(), "socket_lb"), "{s:s,s:s}", "cgroup", "",
		    "reason", "the kernel refuses");
}

static void status_lists_refusals_of_snapshot_and_plan(void **state)
{
	struct model_refusal refusals[2] = {{.where = "/m/a.yaml:3",
					     .kind = "EndpointSlice",
					     .namespace = "default",
					     .name = "web",
					     .object = "web-x1",
					     .reason = "bad"},
					    {.where = "/m/b.yaml:1",
					     .kind = "",
					     .namespace = "",
					     .name = "",
					     .object = "",
					     .reason = "not YAML"}};
	struct plan_refusal planned = {.service = &wanted[2], .reason = "taken"};
	struct error line;

	(void)state;
	snapshot.refusals = refusals;
	snapshot.nrefusals = 2;
	plan.refusals = &planned;
	plan.nrefusals = 1;
	view.stale = true;
	assert_json(json_object_get(shown_status(), "refused"),
		    "[{s:s,s:s,s:s,s:s}, {s:s,s:s,s:s,s:s}, {s:s,s:s,s:s,s:s}]", "where",
		    "/m/a.yaml:3", "kind", "EndpointSlice", "object", "default/web-x1", "reason",
		    "bad", "where", "/m/b.yaml:1", "kind", "", "object", "", "reason", "not YAML",
		    "where", "", "kind", "Service", "object", "default/web", "reason", "taken");
	assert_json(json_object_get(root, "source_state"), "s", "stale");
	view_refusal_line(&view, 0, &line);
	assert_string_equal(line.text, "/m/a.yaml:3: EndpointSlice default/web-x1: bad");
	view_refusal_line(&view, 1, &line);
	assert_string_equal(line.text, "/m/b.yaml:1: not YAML");
	view_refusal_line(&view, 2, &line);
	assert_string_equal(line.text, "Service default/web: taken");
}

static void text_that_is_not_utf8_breaks_nothing(void **state)
{
	(void)state;
	web_endpoints[0].pod = "\xff\xfe";
	assert_json(json_object_get(json_array_get(shown_backends(NULL), 1), "pod"), "s", "?");
	options.source_path = "/m\xc3";
	assert_json(json_object_get(shown_status(), "source"), "s", "?");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(services_have_frontends_endpoints_and_state),
		TEST(service_without_ring_says_why),
		TEST(terminating_endpoints_are_usable_where_none_is_ready),
		TEST(refused_service_says_why),
		TEST(partly_refused_service_is_ok_and_says_what_is_missing),
		TEST(service_without_any_good_state_says_why),
		TEST(ranges_are_shown),
		TEST(policies_that_leave_nobody_here_are_told),
		TEST(service_that_is_not_in_the_maps_is_not_ok),
		TEST(backends_join_endpoints_and_maps),
		TEST(endpoint_without_backend_has_zeros),
		TEST(endpoint_that_came_back_shows_its_active_backend),
		TEST(backends_of_one_service_can_be_asked_for),
		TEST(ring_beyond_the_arena_counts_nothing),
		TEST(totals_beyond_32_bits_are_numbers),
		TEST(status_tells_revisions_counts_and_attachments),
		TEST(status_tells_why_processes_are_not_served),
		TEST(status_lists_refusals_of_snapshot_and_plan),
		TEST(text_that_is_not_utf8_breaks_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
