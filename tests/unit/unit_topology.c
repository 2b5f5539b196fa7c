/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Topology hints: rules 29 and 41-49 of service-semantics. */
#include <netinet/in.h>
#include <stdio.h>

#include "plan_world.h"
#include "texts.h"

static int setup(void **state)
{
	*state = world_new((struct world_limits){32, 256, 8, 8192});
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

#define N HINT_NONE
#define E HINT_ELSEWHERE
#define H HINT_HERE

/* Four endpoints, 10.0.0.1-4, with hints for nodes and zones. */
static struct world_service *web(struct world *world, const enum model_hint nodes[4],
				 const enum model_hint zones[4])
{
	struct world_service *service = world_service(world, "a", "web", "");
	char addr[32];

	world_frontend(service, FRONTEND_CLUSTER_IP, "10.96.0.1", 80);
	for (int i = 0; i < 4; i++) {
		struct model_endpoint *endpoint;

		snprintf(addr, sizeof(addr), "10.0.0.%d", i + 1);
		endpoint = world_endpoint(service, addr, 8080);
		endpoint->nodes.says = nodes[i];
		endpoint->zones.says = zones[i];
	}
	return service;
}

static unsigned int chosen(struct world *world, const enum model_hint nodes[4],
			   const enum model_hint zones[4])
{
	world_clear(world);
	web(world, nodes, zones);
	world_sync(world);
	assert_true(plan_is_empty(world_plan(world)));
	return world_members(world, 1, LB_SCOPE_CLUSTER);
}

#define HINTS(...) ((const enum model_hint[4]){__VA_ARGS__})
#define NO_HINTS HINTS(N, N, N, N)

static void same_zone_is_preferred_where_all_have_a_hint(void **state)
{
	assert_int_equal(chosen(*state, NO_HINTS, HINTS(H, E, H, E)), 0x5); /* 43 */
	assert_int_equal(chosen(*state, NO_HINTS, HINTS(H, N, H, E)), 0xf); /* 44 */
	assert_int_equal(chosen(*state, NO_HINTS, HINTS(E, E, E, E)), 0xf); /* 45 */
	assert_int_equal(chosen(*state, NO_HINTS, NO_HINTS), 0xf);
}

static void same_node_is_preferred_to_same_zone(void **state)
{
	assert_int_equal(chosen(*state, HINTS(E, E, H, E), HINTS(H, H, H, E)), 0x4); /* 42 */
	assert_int_equal(chosen(*state, HINTS(E, E, H, E), NO_HINTS), 0x4);
	/* Nobody for this node, or one without a hint: the zone decides. */
	assert_int_equal(chosen(*state, HINTS(E, E, E, E), HINTS(H, E, E, E)), 0x1);
	assert_int_equal(chosen(*state, HINTS(H, N, E, E), HINTS(E, H, E, E)), 0x2);
	assert_int_equal(chosen(*state, HINTS(H, N, E, E), HINTS(E, H, E, N)), 0xf);
}

/* Rules 44 and 46 */
static void who_is_not_ready_has_no_say(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world, NO_HINTS, HINTS(H, E, E, N));

	service->endpoints[3].ready = false;
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0x1);
	service->endpoints[0].ready = false;
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0x6);
}

/* Rule 41 */
static void the_local_set_ignores_hints(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world, HINTS(E, H, E, E), HINTS(E, H, E, E));

	world_frontend(service, FRONTEND_NODE_PORT, "10.200.0.1", 30080);
	service->model.external_local = true;
	service->endpoints[0].local = service->endpoints[1].local = true;
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_LOCAL), 0x3);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0x2);
}

/* Rule 29 */
static void the_fall_back_ignores_hints(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world, HINTS(H, E, E, E), HINTS(H, E, E, E));

	for (int i = 0; i < 4; i++) {
		service->endpoints[i].ready = false;
		service->endpoints[i].terminating = true;
	}
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0xf);
}

/* Ours: a zone where nobody can serve is like one without endpoints. */
static void hints_that_leave_nobody_are_none(void **state)
{
	struct world *world = *state;
	struct world_service *service = web(world, NO_HINTS, HINTS(H, H, E, E));

	world->health[1] = PLAN_HEALTH_DOWN;
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0x2);
	world->health[2] = PLAN_HEALTH_DOWN;
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0xc);
	world->health[2] = PLAN_HEALTH_UP;
	service->endpoints[1].weight = 0;
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0xc);
	service->endpoints[1].weight = 100;
	world->hops[2] = 0;
	world_sync(world);
	assert_int_equal(world_members(world, 1, LB_SCOPE_CLUSTER), 0xc);
	assert_false(world->maps.services[1].flags & LB_SERVICE_F_UNHEALTHY);
}

/* Rule 30: elsewhere counts when it's told why nobody is here. */
static void endpoints_of_other_zones_are_endpoints(void **state)
{
	struct world *world = *state;

	chosen(world, NO_HINTS, HINTS(H, E, E, E));
	assert_true(world->maps.services[1].flags & LB_SERVICE_F_ENDPOINTS);
	world->services[0].endpoints[0].weight = 0;
	world_sync(world);
	assert_true(world->maps.services[1].flags & LB_SERVICE_F_ENDPOINTS);
}

/* ---- from objects ---------------------------------------------------------- */

#define SERVICE \
	"--- {apiVersion: v1, kind: Service, metadata: {name: web}, " \
	"spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]%s}}\n"
#define SLICE \
	"--- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, " \
	"labels: {kubernetes.io/service-name: web}}, addressType: IPv4, " \
	"ports: [{name: '', port: 80}], endpoints: [{addresses: [10.1.0.1], hints: {%s}}]}\n"
#define NODE(name, labels) \
	"--- {apiVersion: v1, kind: Node, metadata: {name: " name ", labels: {" labels "}}}\n"
#define ZONE "topology.kubernetes.io/zone: "

/* What the hints of the only endpoint say: "node zone". */
static const char *said(const char *service, const char *hints, const char *nodes)
{
	static const char *const words[] = {"none", "elsewhere", "here"};
	static char ret[32];
	struct snapshot *snapshot;
	char *text;

	assert_true(asprintf(&text, SERVICE SLICE "%s", service, hints, nodes) > 0);
	snapshot = snapshot_of(text);
	assert_int_equal(snapshot->nrefusals, 0);
	assert_int_equal(snapshot->services[0].nendpoints, 1);
	snprintf(ret, sizeof(ret), "%s %s", words[snapshot->services[0].endpoints[0].nodes.says],
		 words[snapshot->services[0].endpoints[0].zones.says]);
	snapshot_free(snapshot);
	free(text);
	return ret;
}

static void hints_are_seen_from_this_node(void **state)
{
	static const char nodes[] = NODE("other", ZONE "b") NODE("here", ZONE "a");

	(void)state;
	assert_string_equal(said("", "", nodes), "none none");
	assert_string_equal(said("", "forZones: [{name: a}]", nodes), "none here");
	assert_string_equal(said("", "forZones: [{name: b}]", nodes), "none elsewhere");
	/* Rule 47 */
	assert_string_equal(said("", "forZones: [{name: b}, {name: a}]", nodes), "none here");
	assert_string_equal(said("", "forNodes: [{name: other}, {name: here}]", nodes),
			    "here none");
	assert_string_equal(said("", "forNodes: [{name: other}], forZones: [{name: a}]", nodes),
			    "elsewhere here");
	assert_string_equal(said("", "forZones: []", nodes), "none none");
}

/* Rule 45 */
static void a_node_without_zone_is_in_none(void **state)
{
	(void)state;
	assert_string_equal(said("", "forZones: [{name: ''}]", ""), "none elsewhere");
	assert_string_equal(said("", "forZones: [{name: a}]", NODE("other", ZONE "a")),
			    "none elsewhere");
	assert_string_equal(said("", "forZones: [{name: ''}]", NODE("here", ZONE "''")),
			    "none elsewhere");
	assert_string_equal(said("", "forZones: [{name: a}]", NODE("here", "")), "none elsewhere");
}

/* Rule 48 */
static void the_services_wish_is_the_controllers_matter(void **state)
{
	(void)state;
	assert_string_equal(
		said(", trafficDistribution: PreferSameNode", "", NODE("here", ZONE "a")),
		"none none");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(same_zone_is_preferred_where_all_have_a_hint),
		TEST(same_node_is_preferred_to_same_zone),
		TEST(who_is_not_ready_has_no_say),
		TEST(the_local_set_ignores_hints),
		TEST(the_fall_back_ignores_hints),
		TEST(hints_that_leave_nobody_are_none),
		TEST(endpoints_of_other_zones_are_endpoints),
		cmocka_unit_test(hints_are_seen_from_this_node),
		cmocka_unit_test(a_node_without_zone_is_in_none),
		cmocka_unit_test(the_services_wish_is_the_controllers_matter),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
