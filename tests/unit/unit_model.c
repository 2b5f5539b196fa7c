/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* "Rule N" is service-semantics. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "texts.h"

static void check(const char *manifest, const char *expected)
{
	struct snapshot *snapshot = snapshot_of(manifest);
	char *text = snapshot_text(snapshot);

	assert_string_equal(text, expected);
	assert_int_equal(snapshot->nrefusals, 0);
	free(text);
	snapshot_free(snapshot);
}

#define SERVICE(name, rest) \
	"--- {apiVersion: v1, kind: Service, metadata: {name: " name "}, " rest "}\n"
#define SLICE(name, service, rest) \
	"--- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " name \
	", labels: {kubernetes.io/service-name: " service "}}, " rest "}\n"
#define WEB "default/web:/TCP/4 C10.96.0.1:80 -> "

static void a_service_without_cluster_ip_has_no_frontend(void **state)
{
	(void)state;
	check(SERVICE("a", "spec: {clusterIP: None, ports: [{port: 80}]}")
		      SERVICE("b", "spec: {clusterIPs: [None]}")
			      SERVICE("c", "spec: {clusterIP: '', ports: [{port: 80}]}")
				      SERVICE("d", "spec: {ports: [{port: 80, nodePort: 30000}], "
						   "externalIPs: [192.0.2.1]}"),
	      "");
}

static void an_external_name_is_ignored_even_with_a_cluster_ip(void **state)
{
	(void)state;
	check(SERVICE("a", "spec: {type: ExternalName, externalName: foo.example}")
		      SERVICE("b", "spec: {type: ExternalName, clusterIP: 10.96.0.1, "
				   "ports: [{port: 80, nodePort: 30000}]}"),
	      "");
}

static void another_proxys_services_are_left_alone(void **state)
{
	static const char *const labels[] = {
		"service.kubernetes.io/service-proxy-name: other",
		"service.kubernetes.io/service-proxy-name: ''",
		"service.kubernetes.io/headless: ''",
		"service.kubernetes.io/headless: 'false'",
		"service.kubernetes.io/service-proxy-name: guideway, "
		"service.kubernetes.io/headless: ''",
		"service.kubernetes.io/service-proxy-name: guideway",
		"app: web",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		snprintf(text, sizeof(text),
			 "{apiVersion: v1, kind: Service, metadata: {name: web, labels: {%s}}, "
			 "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}\n",
			 labels[i]);
		check(text, i < 5 ? "" : "default/web:/TCP/4 C10.96.0.1:80 ->\n");
	}
}

/* Beside another proxy. */
static void of_all_services_the_labelled_alone_can_be_taken(void **state)
{
	static const struct source_node beside = {.name = "here", .labelled_only = true};
	struct snapshot *snapshot;
	struct objects *objects;

	(void)state;
	assert_int_equal(objects_create(&objects), 0);
	objects_list(objects, "test.yaml",
		     "{apiVersion: v1, kind: Service, metadata: {name: ours, labels: "
		     "{service.kubernetes.io/service-proxy-name: guideway}}, "
		     "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}\n---\n"
		     "{apiVersion: v1, kind: Service, metadata: {name: other, labels: "
		     "{service.kubernetes.io/service-proxy-name: other}}, "
		     "spec: {clusterIP: 10.96.0.2, ports: [{port: 80}]}}\n---\n" SERVICE(
			     "plain", "spec: {clusterIP: 10.96.0.3, ports: [{port: 80}]}"));
	assert_int_equal(snapshot_build(objects, &beside, 1, &snapshot), 0);
	assert_int_equal(snapshot->nservices, 1);
	assert_string_equal(snapshot->services[0].name, "ours");
	assert_int_equal(snapshot->nrefusals, 0);
	snapshot_free(snapshot);
	objects_free(objects);
}

/* Rule 4 */
static void ports_are_services_of_their_own(void **state)
{
	(void)state;
	check(SERVICE("dns", "spec: {clusterIP: 10.96.0.1, ports: [{name: udp, port: 53, "
			     "protocol: UDP}, {name: tcp, port: 53}, {name: http, port: 80}]}")
		      SLICE("dns-1", "dns",
			    "addressType: IPv4, ports: [{name: http, port: 8080}, "
			    "{name: udp, protocol: UDP, port: 5353}, {name: tcp, port: 5354}], "
			    "endpoints: [{addresses: [10.1.0.1]}]"),
	      "default/dns:http/TCP/4 C10.96.0.1:80 -> 10.1.0.1:8080\n"
	      "default/dns:tcp/TCP/4 C10.96.0.1:53 -> 10.1.0.1:5354\n"
	      "default/dns:udp/UDP/4 C10.96.0.1:53 -> 10.1.0.1:5353\n");
}

/* Rules 5, 6, 7, 70, 91, 92 */
static void frontends_follow_the_fields_in_each_family(void **state)
{
	(void)state;
	check(SERVICE("web",
		      "spec: {type: ClusterIP, clusterIP: 10.96.0.1, "
		      "clusterIPs: [10.96.0.1, 'fd00:96::1'], ipFamilies: [IPv4, IPv6], "
		      "ports: [{port: 80, nodePort: 30080}], loadBalancerIP: 192.0.2.99, "
		      "externalIPs: ['2001:db8::1', 192.0.2.2, 192.0.2.1]}, "
		      "status: {loadBalancer: {ingress: [{ip: 192.0.2.3}, {ip: '2001:db8::3', "
		      "ipMode: VIP}, {ip: 192.0.2.4, ipMode: Proxy}, {hostname: foo.example}]}}"),
	      "default/web:/TCP/4 C10.96.0.1:80,N10.200.0.1:30080,N10.200.0.2:30080,"
	      "E192.0.2.1:80,E192.0.2.2:80,L192.0.2.3:80 ->\n"
	      "default/web:/TCP/6 C[fd00:96::1]:80,N[fd00:200::1]:30080,"
	      "E[2001:db8::1]:80,L[2001:db8::3]:80 ->\n");
}

static void a_family_without_cluster_ip_has_nothing(void **state)
{
	(void)state;
	check(SERVICE("a", "spec: {clusterIPs: ['fd00:96::1'], externalIPs: [192.0.2.1], "
			   "ports: [{port: 80, nodePort: 30080}]}")
		      SERVICE("b",
			      "spec: {clusterIPs: [10.96.0.2, 'fd00:96::2'], ipFamilies: [IPv4], "
			      "ports: [{port: 80}]}")
			      SERVICE("c",
				      "spec: {clusterIP: 010.096.000.003, ipFamilies: [IPv4, IPv6], "
				      "ports: [{port: 80}]}"),
	      "default/a:/TCP/6 C[fd00:96::1]:80,N[fd00:200::1]:30080 ->\n"
	      "default/b:/TCP/4 C10.96.0.2:80 ->\n"
	      "default/c:/TCP/4 C10.96.0.3:80 ->\n");
}

static void a_frontend_that_is_there_twice_counts_once(void **state)
{
	(void)state;
	check(SERVICE("web", "spec: {clusterIP: 10.96.0.1, externalIPs: [10.96.0.1, 192.0.2.1, "
			     "192.0.2.1, 10.200.0.1], ports: [{port: 80, nodePort: 80}]}, "
			     "status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}"),
	      "default/web:/TCP/4 C10.96.0.1:80,N10.200.0.1:80,N10.200.0.2:80,L192.0.2.1:80 ->\n");
}

/* Rules 8, 73, 74, 92.  The node is 10.200.0.1, 10.200.0.2 and fd00:200::1. */
static void source_ranges_are_those_of_the_family_each_once(void **state)
{
	static const struct {
		const char *ranges, *four, *six;
		bool node4, node6;
	} rows[] = {
		{"", "", "", false, false},
		{"203.0.113.7/24, '198.51.100.0/24'", "198.51.100.0/24 203.0.113.0/24 ", "", false,
		 false},
		{"' 203.0.113.0/24  ', 203.0.113.9/24", "203.0.113.0/24 ", "", false, false},
		{"010.000.000.0/8", "10.0.0.0/8 ", "", true, false},
		{"'2001:db8::/32'", "", "2001:db8::/32 ", false, false},
		{"10.200.0.2/32, 'fd00:200::/64'", "10.200.0.2/32 ", "fd00:200::/64 ", true, true},
		{"10.200.0.3/32, 'fd00:201::/64'", "10.200.0.3/32 ", "fd00:201::/64 ", false,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct snapshot *snapshot;

		snprintf(text, sizeof(text),
			 SERVICE("web", "spec: {clusterIPs: [10.96.0.1, 'fd00:96::1'], "
					"ports: [{port: 80}], loadBalancerSourceRanges: [%s]}"),
			 rows[i].ranges);
		snapshot = snapshot_of(text);
		assert_int_equal(snapshot->nservices, 2);
		for (int s = 0; s < 2; s++) {
			const struct model_service *service = &snapshot->services[s];
			char got[256] = "", range[PREFIX_STRLEN];

			for (size_t n = 0; n < service->nsources; n++) {
				strcat(got, prefix_format(&service->sources[n], range));
				strcat(got, " ");
			}
			assert_string_equal(got, s ? rows[i].six : rows[i].four);
			assert_int_equal(service->sources_have_node,
					 s ? rows[i].node6 : rows[i].node4);
		}
		snapshot_free(snapshot);
	}
}

/* Rules 11 and 12 */
static void all_slices_of_the_label_in_the_namespace_are_merged(void **state)
{
	static const char text[] = SERVICE("web", "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}") SLICE(
		"z", "web",
		"addressType: IPv4, ports: [{name: '', port: 80}], "
		"endpoints: [{addresses: [10.1.0.3]}]")
		SLICE("a", "web",
		      "addressType: IPv4, ports: [{name: '', port: 80}], "
		      "endpoints: [{addresses: [10.1.0.2]}, {addresses: [10.1.0.1]}]")
			SLICE("web", "other",
			      "addressType: IPv4, ports: [{name: '', port: 80}], "
			      "endpoints: [{addresses: [10.1.0.9]}]") "--- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web, "
								      "namespace: shop, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, "
								      "ports: [{name: '', port: 80}], endpoints: [{addresses: [10.1.0.8]}]}\n";

	(void)state;
	check(text, WEB "10.1.0.1:80,10.1.0.2:80,10.1.0.3:80\n");
}

/* Rules 13, 14, 15, 18, 22 */
static void slice_ports_match_by_name_and_protocol(void **state)
{
	static const char web[] =
		SERVICE("web", "spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}");
	static const struct {
		const char *ports, *endpoints;
	} rows[] = {
		{"[{name: http, port: 8080}]", " 10.1.0.1:8080"},
		{"[{name: http, port: 8080}, {name: http, port: 8081}]",
		 " 10.1.0.1:8080,10.1.0.1:8081"},
		{"[{name: http, port: 8080, protocol: UDP}]", ""},
		{"[{name: www, port: 8080}]", ""},
		{"[{name: '', port: 8080}]", ""},
		{"[{name: http}]", ""},
		{"[{name: http, port: ~}]", ""},
		{"[{name: http, port: 0}]", ""},
		{"[{name: http, port: 8080, protocol: SCTP}]", ""},
		{"[]", ""},
		{"~", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024], expected[256];

		snprintf(text, sizeof(text),
			 "%s" SLICE("web-1", "web",
				    "addressType: IPv4, ports: %s, "
				    "endpoints: [{addresses: [10.1.0.1]}]"),
			 web, rows[i].ports);
		snprintf(expected, sizeof(expected), "default/web:http/TCP/4 C10.96.0.1:80 ->%s\n",
			 rows[i].endpoints);
		check(text, expected);
	}
}

static void a_slice_port_without_a_name_is_ignored_and_told(void **state)
{
	struct snapshot *snapshot =
		snapshot_of(SERVICE("web", "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}")
				    SLICE("web-1", "web",
					  "addressType: IPv4, ports: [{port: 8080}], "
					  "endpoints: [{addresses: [10.1.0.1]}]"));

	(void)state;
	assert_int_equal(snapshot->nservices, 1);
	assert_int_equal(snapshot->services[0].nendpoints, 0);
	assert_int_equal(snapshot->nrefusals, 1);
	assert_false(snapshot->refusals[0].keep);
	snapshot_free(snapshot);
}

/* Rules 16, 19, 20, 21 */
static void endpoints_are_read_with_kubernetes_defaults(void **state)
{
	(void)state;
	check(SERVICE("web", "spec: {clusterIPs: [10.96.0.1, 'fd00:96::1'], ports: [{port: 80}]}") SLICE(
		      "a", "web",
		      "addressType: IPv4, ports: [{name: '', port: 80}], endpoints: ["
		      "{addresses: [10.1.0.1, 10.1.0.99]}, {addresses: []}, {}, "
		      "{addresses: [10.1.0.2], nodeName: here}, {addresses: [10.1.0.3], nodeName: there}, "
		      "{addresses: [10.1.0.4], conditions: {ready: false}}, "
		      "{addresses: [10.1.0.5], conditions: {ready: false, serving: true, terminating: true}}, "
		      "{addresses: [10.1.0.6], conditions: {ready: false, serving: false, terminating: true}}, "
		      "{addresses: [10.1.0.7], conditions: {ready: ~, serving: ~, terminating: ~}}]")
		      SLICE("b", "web",
			    "addressType: IPv6, ports: [{name: '', port: 80}], endpoints: ["
			    "{addresses: ['fd00::1'], nodeName: here}]"),
	      WEB "10.1.0.1:80,10.1.0.2:80@,10.1.0.3:80,10.1.0.4:80!s,10.1.0.5:80!st,"
		  "10.1.0.6:80!t,10.1.0.7:80\n"
		  "default/web:/TCP/6 C[fd00:96::1]:80 -> [fd00::1]:80@\n");
}

/* Rule 17 */
static void of_two_copies_of_an_endpoint_the_local_one_wins(void **state)
{
	(void)state;
	check(SERVICE("web", "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}") SLICE(
		      "a", "web",
		      "addressType: IPv4, ports: [{name: '', port: 80}], endpoints: ["
		      "{addresses: [10.1.0.1], nodeName: there}, {addresses: [10.1.0.1], nodeName: there}, "
		      "{addresses: [10.1.0.2], conditions: {ready: false}}]")
		      SLICE("b", "web",
			    "addressType: IPv4, ports: [{name: '', port: 80}], endpoints: ["
			    "{addresses: [10.1.0.1], nodeName: here, conditions: {ready: false}}, "
			    "{addresses: [10.1.0.2]}]"),
	      WEB "10.1.0.1:80!s@,10.1.0.2:80!s\n");
}

/* Rule 9 */
static void a_service_that_comes_back_finds_its_slices(void **state)
{
	static const char service[] =
		SERVICE("web", "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}");
	static const char slice[] = SLICE("a", "web",
					  "addressType: IPv4, ports: [{name: '', port: 80}], "
					  "endpoints: [{addresses: [10.1.0.1]}]");
	char both[1024];

	(void)state;
	snprintf(both, sizeof(both), "%s%s", slice, service);
	check(both, WEB "10.1.0.1:80\n");
	check(slice, "");
	check(service, "default/web:/TCP/4 C10.96.0.1:80 ->\n");
}

/* Rule 23: the set counts, not its order; nor does where it stands. */
static void the_order_of_objects_changes_nothing(void **state)
{
	static const char a[] =
		SERVICE("web", "spec: {clusterIP: 10.96.0.1, externalIPs: [192.0.2.1, 192.0.2.2], "
			       "ports: [{name: a, port: 80}, {name: b, port: 81}]}")
			SLICE("x", "web",
			      "addressType: IPv4, ports: [{name: a, port: 80}, "
			      "{name: b, port: 81}], endpoints: [{addresses: [10.1.0.1]}, "
			      "{addresses: [10.1.0.2]}]")
				SERVICE("api", "spec: {clusterIP: 10.96.0.2, ports: [{port: 80}]}");
	static const char b[] = "# moved\n" SERVICE(
		"api", "spec: {clusterIP: 10.96.0.2, ports: [{port: 80}]}")
		SLICE("x", "web",
		      "addressType: IPv4, ports: [{name: b, port: 81}, "
		      "{name: a, port: 80}], endpoints: [{addresses: [10.1.0.2]}, "
		      "{addresses: [10.1.0.1]}]")
			SERVICE("web",
				"spec: {clusterIP: 10.96.0.1, externalIPs: [192.0.2.2, 192.0.2.1], "
				"ports: [{name: b, port: 81}, {name: a, port: 80}]}");
	struct snapshot *first = snapshot_of(a), *second = snapshot_of(b);

	(void)state;
	assert_int_equal(snapshot_digest(first), snapshot_digest(second));
	assert_int_equal(first->nservices, 3);
	for (size_t i = 0; i + 1 < first->nservices; i++)
		assert_true(model_service_compare(&first->services[i], &first->services[i + 1]) <
			    0);
	snapshot_free(first);
	snapshot_free(second);
}

static void any_change_of_content_changes_the_digest(void **state)
{
	static const char *const parts[][2] = {
		{"name: web", "name: wec"},
		{"10.96.0.1", "10.96.0.2"},
		{"port: 80,", "port: 81,"},
		{"port: 8080", "port: 8081"},
		{"nodePort: 30080", "nodePort: 30081"},
		{"10.1.0.1", "10.1.0.2"},
		{"ready: true", "ready: false"},
		{"serving: true", "serving: false"},
		{"terminating: true", "terminating: false"},
		{"nodeName: here", "nodeName: elsewhere"},
		{"name: pod-a", "name: pod-b"},
		{"uid: '1'", "uid: '2'"},
		{"\"10.1.0.1\": 10", "\"10.1.0.1\": 11"},
		{"Timestamp: '2026", "Timestamp: '2025"},
		{"port: 80,", "port: 0,"},
		{"203.0.113.0/24", "203.0.113.0/25"},
		{"forZones: [{name: a", "forZones: [{name: c"},
		{"forNodes: [{name: here", "forNodes: [{name: there"},
		{"zone: a", "zone: b"},
		{"10.244.1.0/24", "10.244.2.0/24"},
		{"192.0.2.77", "192.0.2.78"},
		{"ToBeDeletedByClusterAutoscaler", "NotToBeDeleted"},
	};
	static const char text[] =
		"--- {apiVersion: v1, kind: Service, metadata: {name: web, creationTimestamp: "
		"'2026-01-11T15:35:01Z', annotations: {guideway.io/weights: '{\"10.1.0.1\": 10}'}}, "
		"spec: {clusterIP: 10.96.0.1, ports: [{port: 80, nodePort: 30080}], "
		"loadBalancerSourceRanges: [203.0.113.0/24]}}\n"
		"--- {apiVersion: v1, kind: Node, metadata: {name: here, labels: {"
		"topology.kubernetes.io/zone: a}}, spec: {podCIDRs: [10.244.1.0/24], taints: "
		"[{key: ToBeDeletedByClusterAutoscaler}]}, status: {addresses: [{type: InternalIP, "
		"address: 192.0.2.77}]}}\n" SLICE(
			"x", "web",
			"addressType: IPv4, ports: [{name: '', port: 8080}], endpoints: [{"
			"addresses: [10.1.0.1], hints: {forZones: [{name: a}], forNodes: [{name: "
			"here}]}, conditions: {ready: true, serving: true, "
			"terminating: true}, nodeName: here, targetRef: {name: pod-a, uid: '1'}}]");
	struct snapshot *before = snapshot_of(text);

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *at = strstr(text, parts[i][0]);
		struct snapshot *after;
		char changed[2048];

		assert_non_null(at);
		snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, parts[i][1],
			 at + strlen(parts[i][0]));
		after = snapshot_of(changed);
		assert_int_not_equal(snapshot_digest(before), snapshot_digest(after));
		snapshot_free(after);
	}
	snapshot_free(before);
}

static void a_policy_of_the_namespace_marks_its_services(void **state)
{
	static const struct {
		const char *spec;
		bool services, clients;
	} rows[] = {
		{"{}", true, false},
		{"{podSelector: {}, policyTypes: [Ingress]}", true, false},
		{"{policyTypes: [Egress]}", false, true},
		{"{policyTypes: [Egress, Ingress]}", true, true},
		{"{egress: []}", true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct snapshot *snapshot;
		char *text;

		assert_true(
			asprintf(
				&text,
				SERVICE("web",
					"spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}") "---\n{"
											     "apiVersion: v1, kind: Service, metadata: {name: a, namespace: b},"
											     " spec: {clusterIP: 10.96.0.2, ports: [{port: 80}]}}\n---\n{"
											     "apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: "
											     "{name: p}, spec: %s}\n",
				rows[i].spec) > 0);
		snapshot = snapshot_of(text);
		assert_int_equal(snapshot->nservices, 2);
		assert_int_equal(snapshot->nrefusals, 0);
		assert_false(snapshot->services[0].policed); /* of namespace b */
		assert_int_equal(snapshot->services[1].policed, rows[i].services);
		assert_int_equal(snapshot->policed_clients, rows[i].clients);
		snapshot_free(snapshot);
		free(text);
	}
}

static void the_most_specific_weight_counts(void **state)
{
	(void)state;
	check("--- {apiVersion: v1, kind: Service, metadata: {name: web, annotations: "
	      "{guideway.io/weights: '{\"10.1.0.1\": 50, \"node:worker1\": 200, "
	      "\"web-canary-*\": 10, \"web-*\": 20, \"web-canary-one\": 30, \"010.1.0.7\": 0, "
	      "\"node:web-x\": 7}'}}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}\n" SLICE(
		      "a", "web",
		      "addressType: IPv4, ports: [{name: '', port: 80}], endpoints: ["
		      "{addresses: [10.1.0.1], nodeName: worker1, targetRef: {name: web-canary-one}}, "
		      "{addresses: [10.1.0.2], nodeName: worker1, targetRef: {name: web-canary-one}}, "
		      "{addresses: [10.1.0.3], nodeName: worker1, targetRef: {name: web-canary-two}}, "
		      "{addresses: [10.1.0.4], nodeName: worker1, targetRef: {name: web-a}}, "
		      "{addresses: [10.1.0.5], nodeName: worker1}, "
		      "{addresses: [10.1.0.6], nodeName: worker2}, "
		      "{addresses: [10.1.0.7], nodeName: worker1}]"),
	      WEB "10.1.0.1:80*50,10.1.0.2:80*30,10.1.0.3:80*10,10.1.0.4:80*20,"
		  "10.1.0.5:80*200,10.1.0.6:80,10.1.0.7:80*0\n");
}

static void a_hostile_pattern_takes_no_time(void **state)
{
	char pattern[200] = "", pod[254], text[2048];
	struct timespec start, end;
	struct snapshot *snapshot;

	(void)state;
	for (int i = 0; i < 90; i++)
		strcat(pattern, "a*");
	memset(pod, 'a', sizeof(pod) - 1);
	pod[sizeof(pod) - 1] = '\0';
	snprintf(text, sizeof(text),
		 "--- {apiVersion: v1, kind: Service, metadata: {name: web, annotations: "
		 "{guideway.io/weights: '{\"%sb\": 1}'}}, spec: {clusterIP: 10.96.0.1, "
		 "ports: [{port: 80}]}}\n" SLICE(
			 "a", "web",
			 "addressType: IPv4, ports: [{name: '', port: 80}], endpoints: "
			 "[{addresses: [10.1.0.1], targetRef: {name: %s}}]"),
		 pattern, pod);
	clock_gettime(CLOCK_MONOTONIC, &start);
	snapshot = snapshot_of(text);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(snapshot->services[0].endpoints[0].weight, 100);
	assert_true(end.tv_sec - start.tv_sec < 2);
	snapshot_free(snapshot);
}

static void sctp_is_refused_and_its_siblings_work(void **state)
{
	struct snapshot *snapshot = snapshot_of(
		SERVICE("web", "spec: {clusterIP: 10.96.0.1, ports: [{name: a, port: 80}, "
			       "{name: b, port: 80, protocol: SCTP}]}"));
	char *text = snapshot_text(snapshot);

	(void)state;
	assert_string_equal(text, "default/web:a/TCP/4 C10.96.0.1:80 ->\n");
	assert_int_equal(snapshot->nrefusals, 1);
	assert_string_equal(snapshot->refusals[0].reason,
			    "spec.ports[1].protocol: SCTP is not supported");
	assert_string_equal(snapshot->refusals[0].name, "web");
	assert_false(snapshot->refusals[0].keep);
	free(text);
	snapshot_free(snapshot);
}

static void a_snapshot_tells_what_an_endpoint_and_a_service_are(void **state)
{
	struct snapshot *snapshot = snapshot_of(
		"--- {apiVersion: v1, kind: Service, metadata: {name: web, "
		"creationTimestamp: 2026-01-11T15:35:01Z}, spec: {clusterIP: 10.96.0.1, "
		"ports: [{port: 80, targetPort: http}]}}\n" SERVICE(
			"young", "spec: {clusterIP: 10.96.0.2, ports: [{port: 80, targetPort: 1}]}")
			SLICE("a", "web",
			      "addressType: IPv4, ports: [{name: '', port: 80}], endpoints: ["
			      "{addresses: [10.1.0.1], nodeName: here, targetRef: {kind: Pod, name: web-a, "
			      "uid: u-1}}, {addresses: [10.1.0.2]}]"));
	const struct model_endpoint *e = snapshot->services[0].endpoints;

	(void)state;
	assert_string_equal(snapshot->services[0].created, "2026-01-11T15:35:01Z");
	assert_string_equal(snapshot->services[1].created, "");
	assert_int_equal(snapshot->services[0].port, 80);
	assert_string_equal(e[0].node, "here");
	assert_string_equal(e[0].pod, "web-a");
	assert_string_equal(e[0].uid, "u-1");
	assert_string_equal(e[1].node, "");
	assert_string_equal(e[1].pod, "");
	assert_string_equal(e[1].uid, "");
	snapshot_free(snapshot);
}

static void refusals_come_in_the_order_of_their_lines(void **state)
{
	struct snapshot *snapshot = snapshot_of(SERVICE("z", "spec: {}") SERVICE(
		"a", "spec: {}") "\n\n\n\n\n\n\n" SERVICE("b", "spec: {}"));

	(void)state;
	assert_int_equal(snapshot->nrefusals, 3);
	assert_string_equal(snapshot->refusals[0].where, "test.yaml:1");
	assert_string_equal(snapshot->refusals[1].where, "test.yaml:2");
	assert_string_equal(snapshot->refusals[2].where, "test.yaml:10");
	snapshot_free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_without_cluster_ip_has_no_frontend),
		cmocka_unit_test(an_external_name_is_ignored_even_with_a_cluster_ip),
		cmocka_unit_test(another_proxys_services_are_left_alone),
		cmocka_unit_test(of_all_services_the_labelled_alone_can_be_taken),
		cmocka_unit_test(ports_are_services_of_their_own),
		cmocka_unit_test(frontends_follow_the_fields_in_each_family),
		cmocka_unit_test(a_family_without_cluster_ip_has_nothing),
		cmocka_unit_test(a_frontend_that_is_there_twice_counts_once),
		cmocka_unit_test(source_ranges_are_those_of_the_family_each_once),
		cmocka_unit_test(all_slices_of_the_label_in_the_namespace_are_merged),
		cmocka_unit_test(slice_ports_match_by_name_and_protocol),
		cmocka_unit_test(a_slice_port_without_a_name_is_ignored_and_told),
		cmocka_unit_test(endpoints_are_read_with_kubernetes_defaults),
		cmocka_unit_test(of_two_copies_of_an_endpoint_the_local_one_wins),
		cmocka_unit_test(a_service_that_comes_back_finds_its_slices),
		cmocka_unit_test(the_order_of_objects_changes_nothing),
		cmocka_unit_test(any_change_of_content_changes_the_digest),
		cmocka_unit_test(a_policy_of_the_namespace_marks_its_services),
		cmocka_unit_test(the_most_specific_weight_counts),
		cmocka_unit_test(a_hostile_pattern_takes_no_time),
		cmocka_unit_test(sctp_is_refused_and_its_siblings_work),
		cmocka_unit_test(a_snapshot_tells_what_an_endpoint_and_a_service_are),
		cmocka_unit_test(refusals_come_in_the_order_of_their_lines),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
