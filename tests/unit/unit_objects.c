/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "manifest.h"
#include "texts.h"

/* "WHERE KIND NS/NAME OBJECT keep|-: REASON", a line each; free() it. */
static char *refusals_text(const struct snapshot *snapshot)
{
	size_t size;
	char *text;
	FILE *file = open_memstream(&text, &size);

	for (size_t i = 0; i < snapshot->nrefusals; i++) {
		const struct model_refusal *r = &snapshot->refusals[i];

		fprintf(file, "%s %s %s/%s %s %s: %s\n", r->where, r->kind, r->namespace, r->name,
			r->object, r->keep ? "keep" : "-", r->reason);
	}
	fclose(file);
	return text;
}

static void check_refusals(const char *manifest, const char *expected)
{
	struct snapshot *snapshot = snapshot_of(manifest);
	char *text = refusals_text(snapshot);

	assert_string_equal(text, expected);
	free(text);
	snapshot_free(snapshot);
}

struct row {
	const char *part, *reason;
};

/* Each part in its place of a Service, which is refused for the reason. */
static void check_service(const struct row *rows, size_t n, const char *before)
{
	for (size_t i = 0; i < n; i++) {
		char text[2048], expected[1024];

		snprintf(text, sizeof(text), "apiVersion: v1\nkind: Service\n%s%s\n", before,
			 rows[i].part);
		snprintf(expected, sizeof(expected), "test.yaml:%s\n", rows[i].reason);
		check_refusals(text, expected);
	}
}
#define CHECK(rows, before) check_service(rows, sizeof(rows) / sizeof((rows)[0]), before)

#define WEB "Service default/web web keep: "

static void a_bad_port_refuses_its_service_with_line_and_reason(void **state)
{
	static const struct row rows[] = {
		{"", "5 " WEB "spec.ports: a Service needs at least one port"},
		{"  ports:", "5 " WEB "spec.ports: a Service needs at least one port"},
		{"  ports: []", "6 " WEB "spec.ports: a Service needs at least one port"},
		{"  ports: {port: 80}", "6 " WEB "spec.ports: an object, not a list"},
		{"  ports: [80]", "6 " WEB "spec.ports[0]: an integer, not an object"},
		{"  ports: [~]", "6 " WEB "spec.ports[0]: missing"},
		{"  ports:\n  - name: a\n    port: 70000",
		 "8 " WEB "spec.ports[0].port: 70000 is not a port"},
		{"  ports:\n  - {name: a, port: 80}\n  - {name: b, port: 0}",
		 "8 " WEB "spec.ports[1].port: 0 is not a port"},
		{"  ports: [{port: -1}]", "6 " WEB "spec.ports[0].port: -1 is not a port"},
		{"  ports: [{port: 80.5}]", "6 " WEB "spec.ports[0].port: 80.5 is not a port"},
		{"  ports: [{port: '80'}]",
		 "6 " WEB "spec.ports[0].port: \"80\" is a string, not an integer"},
		{"  ports: [{port: yes}]",
		 "6 " WEB "spec.ports[0].port: a boolean, not an integer"},
		{"  ports: [{name: a}]", "6 " WEB "spec.ports[0].port: missing"},
		{"  ports: [{port: 80, nodePort: 65536}]",
		 "6 " WEB "spec.ports[0].nodePort: 65536 is not a port"},
		{"  ports: [{port: 80, protocol: tcp}]",
		 "6 " WEB "spec.ports[0].protocol: \"tcp\" is not TCP, UDP or SCTP"},
		{"  ports: [{port: 80, name: A_b}]",
		 "6 " WEB "spec.ports[0].name: \"A_b\" is not a DNS label (RFC 1123)"},
		{"  ports: [{port: 80, name: 8}]",
		 "6 " WEB "spec.ports[0].name: an integer, not a string"},
		{"  ports: [{port: 80, name: \"a\\0b\"}]",
		 "6 " WEB "spec.ports[0].name: a NUL in a string"},
		{"  ports: [{port: 80, name: a}, {port: 80, name: b}]",
		 "6 " WEB "spec.ports[1].port: 80 is there twice"},
		{"  ports: [{port: 80, name: a}, {port: 81, name: a}]",
		 "6 " WEB "spec.ports[1].name: a second port has the name \"a\""},
		{"  ports: [{port: 80, name: a, nodePort: 30000}, {port: 81, nodePort: 30000}]",
		 "6 " WEB "spec.ports[1].nodePort: 30000 is there twice"},
	};

	(void)state;
	CHECK(rows, "metadata: {name: web}\nspec:\n  clusterIP: 10.96.0.1\n");
}

static void a_bad_address_refuses_its_service(void **state)
{
	static const struct row rows[] = {
		{"clusterIP: foo.example",
		 "6 " WEB "spec.clusterIP: \"foo.example\" is not an IP address"},
		{"clusterIP: 10", "6 " WEB "spec.clusterIP: an integer, not a string"},
		{"clusterIP: 127.0.0.1", "6 " WEB "spec.clusterIP: 127.0.0.1 is loopback"},
		{"clusterIP: 0.0.0.0", "6 " WEB "spec.clusterIP: 0.0.0.0 is unspecified"},
		{"clusterIPs: 10.96.0.1",
		 "6 " WEB "spec.clusterIPs: \"10.96.0.1\" is a string, not a list"},
		{"clusterIPs: [10.96.0.1, 'fd00::1', 10.96.0.2]",
		 "6 " WEB "spec.clusterIPs: 3 items, the limit is 2"},
		{"clusterIPs: [10.96.0.1, 10.96.0.2]",
		 "6 " WEB "spec.clusterIPs: two addresses of one family"},
		{"clusterIP: 10.96.0.2\n  clusterIPs: [10.96.0.1]",
		 "6 " WEB "spec.clusterIP: is not the first of spec.clusterIPs"},
		{"clusterIP: 10.96.0.1\n  ipFamilies: [IPv6]",
		 "7 " WEB "spec.ipFamilies[0]: IPv6, but the ClusterIP is IPv4"},
		{"clusterIP: 10.96.0.1\n  ipFamilies: [4]",
		 "7 " WEB "spec.ipFamilies[0]: an integer, not a string"},
		{"clusterIP: 10.96.0.1\n  externalIPs:\n  - 192.0.2.1\n  - '192.0.2'",
		 "9 " WEB "spec.externalIPs[1]: \"192.0.2\" is not an IP address"},
		{"clusterIP: 10.96.0.1\n  externalIPs: ['ff02::1']",
		 "7 " WEB "spec.externalIPs[0]: ff02::1 is multicast"},
		{"clusterIP: 10.96.0.1\nstatus:\n  loadBalancer:\n    ingress: [{ip: x}]",
		 "9 " WEB "status.loadBalancer.ingress[0].ip: \"x\" is not an IP address"},
		{"clusterIP: 10.96.0.1\nstatus:\n  loadBalancer:\n    ingress: [{ipMode: x}]",
		 "9 " WEB "status.loadBalancer.ingress[0].ipMode: \"x\" is not VIP or Proxy"},
		{"clusterIP: 10.96.0.1\n  loadBalancerSourceRanges: [10.0.0.0/8, 10.0.0.0/33]",
		 "7 " WEB
		 "spec.loadBalancerSourceRanges[1]: \"10.0.0.0/33\" is not an address range"},
		{"clusterIP: 10.96.0.1\n  loadBalancerSourceRanges: 10.0.0.0/8",
		 "7 " WEB "spec.loadBalancerSourceRanges: \"10.0.0.0/8\" is a string, not a list"},
		{"clusterIP: 10.96.0.1\n  healthCheckNodePort: 70000",
		 "7 " WEB "spec.healthCheckNodePort: 70000 is not a port"},
		{"clusterIP: 10.96.0.1\n  loadBalancerSourceRanges: ['']",
		 "7 " WEB "spec.loadBalancerSourceRanges[0]: \"\" is not an address range"},
		{"clusterIP: 10.96.0.1\nstatus: ok",
		 "7 " WEB "status: \"ok\" is a string, not an object"},
	};

	(void)state;
	CHECK(rows, "metadata: {name: web}\nspec:\n  ports: [{port: 80}]\n  ");
}

static void a_bad_setting_refuses_its_service(void **state)
{
	static const struct row rows[] = {
		{"sessionAffinity: Cookie",
		 "7 " WEB "spec.sessionAffinity: \"Cookie\" is not None or ClientIP"},
		{"sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}",
		 "7 " WEB
		 "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not a time-out"},
		{"sessionAffinityConfig: {clientIP: {timeoutSeconds: 2147483648}}",
		 "7 " WEB "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 2147483648 is not a "
		 "time-out"},
		{"internalTrafficPolicy: local",
		 "7 " WEB "spec.internalTrafficPolicy: \"local\" is not Cluster or Local"},
		{"externalTrafficPolicy: 7",
		 "7 " WEB "spec.externalTrafficPolicy: an integer, not a string"},
	};

	(void)state;
	CHECK(rows,
	      "metadata: {name: web}\nspec:\n  clusterIP: 10.96.0.1\n  ports: [{port: 80}]\n  ");
	check_refusals("apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations: "
		       "{guideway.io/scheduler: random}\nspec: {ports: [{port: 80}]}\n",
		       "test.yaml:5 " WEB
		       "metadata.annotations.guideway.io/scheduler: \"random\" is "
		       "not maglev or round-robin\n");
	check_refusals("apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations: "
		       "{guideway.io/health-check: \"http:health\"}\nspec: {ports: [{port: 80}]}\n",
		       "test.yaml:5 " WEB
		       "metadata.annotations.guideway.io/health-check: \"http:health\" is "
		       "not none|tcp|http:PATH\n");
}

static void bad_metadata_refuses_the_object(void **state)
{
	static const struct row rows[] = {
		{"", "1 Service /  -: metadata.name: missing"},
		{"metadata: web", "3 Service /  -: metadata: \"web\" is a string, not an object"},
		{"metadata:\n  namespace: shop", "4 Service /  -: metadata.name: missing"},
		{"metadata: {name: Web}",
		 "3 Service /  -: metadata.name: \"Web\" is not a DNS label (RFC 1123)"},
		{"metadata: {name: -web}",
		 "3 Service /  -: metadata.name: \"-web\" is not a DNS label (RFC 1123)"},
		{"metadata: {name: web, namespace: a.b}",
		 "3 Service /  -: metadata.namespace: \"a.b\" is not a DNS label (RFC 1123)"},
		{"metadata: {name: 0123456789012345678901234567890123456789012345678901234567890123x}",
		 "3 Service /  -: metadata.name: "
		 "\"0123456789012345678901234567890123456789012345678901234567890123x\" is not a "
		 "DNS label (RFC 1123)"},
		{"metadata: {name: \"a\\x1b[31m\"}",
		 "3 Service /  -: metadata.name: \"a\\x1b[31m\" is not a DNS label (RFC 1123)"},
		{"metadata: {name: web}", "1 " WEB "spec: missing"},
		{"metadata: {name: web}\nspec: []", "4 " WEB "spec: a list, not an object"},
		{"metadata: {name: web, labels: []}\nspec: {}",
		 "3 " WEB "metadata.labels: a list, not an object"},
		{"metadata: {name: web, creationTimestamp: 1}\nspec: {}",
		 "3 " WEB "metadata.creationTimestamp: an integer, not a string"},
	};

	(void)state;
	CHECK(rows, "");
}

static void a_bad_node_is_refused(void **state)
{
	(void)state;
#define NODE(rest) "--- {apiVersion: v1, kind: Node, metadata: {name: n1" rest "}\n"
	check_refusals(
		NODE("}, spec: {podCIDRs: [10.0.0.0/33]}")
			NODE("2}, status: {addresses: [{type: InternalIP, address: x}, "
			     "{type: Hostname, address: n1}]}")
				NODE("3, labels: {topology.kubernetes.io/zone: [a]}}")
					NODE("4}, spec: {taints: [7]}") NODE("_}")
						NODE("5, namespace: ignored}"),
		"test.yaml:1 Node / n1 -: spec.podCIDRs[0]: \"10.0.0.0/33\" is not an address "
		"range\n"
		"test.yaml:2 Node / n12 -: status.addresses[0].address: \"x\" is not an IP "
		"address\n"
		"test.yaml:3 Node / n13 -: metadata.labels.topology.kubernetes.io/zone: a list, "
		"not a string\n"
		"test.yaml:4 Node / n14 -: spec.taints[0]: an integer, not an object\n"
		"test.yaml:5 Node /  -: metadata.name: \"n1_\" is not a DNS name (RFC 1123)\n");
#undef NODE
}

static void bad_hints_refuse_their_slice(void **state)
{
	(void)state;
#define SLICE(hints) \
	"--- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s, labels: " \
	"{kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [{addresses: " \
	"[10.1.0.1], hints: " hints "}]}\n"
	check_refusals(SLICE("a"), "test.yaml:1 EndpointSlice default/web s keep: "
				   "endpoints[0].hints: \"a\" is a string, not an object\n");
	check_refusals(SLICE("{forZones: [a]}"),
		       "test.yaml:1 EndpointSlice default/web s keep: "
		       "endpoints[0].hints.forZones[0]: \"a\" is a string, not an object\n");
	check_refusals(SLICE("{forNodes: [{}]}"), "test.yaml:1 EndpointSlice default/web s keep: "
						  "endpoints[0].hints.forNodes[0].name: missing\n");
#undef SLICE
}

static void what_is_no_object_is_refused_and_its_neighbours_work(void **state)
{
	(void)state;
	check_refusals("web\n"
		       "---\n"
		       "- apiVersion: v1\n"
		       "---\n"
		       "apiVersion: v1\n"
		       "---\n"
		       "kind: [Service]\n"
		       "---\n"
		       "kind: Service\n"
		       "metadata: {name: web}\n"
		       "---\n"
		       "{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice}\n"
		       "---\n"
		       "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {}}\n",
		       "test.yaml:1  /  -: \"web\" is a string, not an object\n"
		       "test.yaml:3  /  -: a list, not an object\n"
		       "test.yaml:5  /  -: kind: missing\n"
		       "test.yaml:7  /  -: kind: a list, not a string\n"
		       "test.yaml:9  /  -: apiVersion: missing\n"
		       "test.yaml:12  /  -: apiVersion: only discovery.k8s.io/v1 is supported\n"
		       "test.yaml:14 " WEB "spec.ports: a Service needs at least one port\n");
}

static void other_kinds_are_skipped_whatever_is_in_them(void **state)
{
	(void)state;
	check_refusals("apiVersion: apps/v1\nkind: Deployment\nmetadata: 7\n"
		       "---\n"
		       "apiVersion: serving.knative.dev/v1\nkind: Service\nspec: 7\n"
		       "---\n"
		       "apiVersion: v1\nkind: ConfigMap\ndata: {a: 1, a: 2}\n"
		       "---\n"
		       "# nothing\n"
		       "---\n"
		       "apiVersion: v1\nkind: List\n",
		       "");
}

static void a_problem_of_the_text_refuses_the_object_around_it(void **state)
{
	(void)state;
	check_refusals(
		"apiVersion: v1\nkind: List\nitems:\n"
		"- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n"
		"  spec:\n    clusterIP: 10.96.0.1\n    ports: [{port: 80, port: 81}]\n"
		"- apiVersion: v1\n  kind: Service\n  metadata: {name: b}\n"
		"  spec:\n    clusterIP: 10.96.0.2\n    ports: [{port: 80}]\n"
		"- apiVersion: v1\n  kind: Service\n  metadata: {name: c}\n"
		"  spec: *nothing\n",
		"test.yaml:9 Service default/a a keep: duplicate key \"port\"\n"
		"test.yaml:19 Service default/c c keep: no anchor \"nothing\" before its alias\n");
	check_refusals("apiVersion: v1\nkind: List\nitems: []\nitems: []\n",
		       "test.yaml:4  /  -: duplicate key \"items\"\n");
	check_refusals("apiVersion: v1\nkind: List\nitems: {}\n",
		       "test.yaml:1  /  -: items: not a list\n");
	check_refusals("{apiVersion: v1, kind: List, items: [\n"
		       "{apiVersion: v1, kind: List, items: [\n"
		       "{apiVersion: v1, kind: List, items: [\n"
		       "{apiVersion: v1, kind: List, items: [\n"
		       "{apiVersion: v1, kind: List, items: []}]}]}]}]}\n",
		       "test.yaml:5  /  -: too many Lists within a List\n");
}

#define SLICE "EndpointSlice default/web web-1 "

static void a_bad_slice_is_refused_with_line_and_reason(void **state)
{
	static const struct row rows[] = {
		{"", "1 " SLICE "keep: addressType: missing"},
		{"addressType: FQDN\nendpoints: [{addresses: [foo.example]}]",
		 "6 " SLICE "keep: addressType: FQDN: host names are not supported"},
		{"addressType: ipv4", "6 " SLICE "keep: addressType: \"ipv4\" is not IPv4 or IPv6"},
		{"addressType: 4", "6 " SLICE "keep: addressType: an integer, not a string"},
		{"addressType: IPv4\nendpoints:\n- addresses:\n  - foo.example",
		 "9 " SLICE
		 "keep: endpoints[0].addresses[0]: \"foo.example\" is not an IP address"},
		{"addressType: IPv4\nendpoints: [{addresses: ['fd00::1']}]",
		 "7 " SLICE "keep: endpoints[0].addresses[0]: not an IPv4 address"},
		{"addressType: IPv6\nendpoints: [{addresses: [10.1.0.1]}]",
		 "7 " SLICE "keep: endpoints[0].addresses[0]: not an IPv6 address"},
		{"addressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]",
		 "7 " SLICE "keep: endpoints[0].addresses[0]: 127.0.0.1 is loopback"},
		{"addressType: IPv4\nendpoints: [{addresses: 10.1.0.1}]",
		 "7 " SLICE "keep: endpoints[0].addresses: \"10.1.0.1\" is a string, not a list"},
		{"addressType: IPv4\nendpoints: [10.1.0.1]",
		 "7 " SLICE "keep: endpoints[0]: \"10.1.0.1\" is a string, not an object"},
		{"addressType: IPv4\nendpoints: {}",
		 "7 " SLICE "keep: endpoints: an object, not a list"},
		{"addressType: IPv4\nendpoints:\n- addresses: [10.1.0.1]\n  conditions: {ready: 'true'}",
		 "9 " SLICE
		 "keep: endpoints[0].conditions.ready: \"true\" is a string, not a boolean"},
		{"addressType: IPv4\nendpoints: [{addresses: [10.1.0.1], nodeName: 1}]",
		 "7 " SLICE "keep: endpoints[0].nodeName: an integer, not a string"},
		{"addressType: IPv4\nports: [{name: a, port: 65536}]",
		 "7 " SLICE "keep: ports[0].port: 65536 is not a port"},
		{"addressType: IPv4\nports: [{name: a, port: '80'}]",
		 "7 " SLICE "keep: ports[0].port: \"80\" is a string, not an integer"},
		{"addressType: IPv4\nports: [{name: a, protocol: ICMP}]",
		 "7 " SLICE "keep: ports[0].protocol: \"ICMP\" is not TCP, UDP or SCTP"},
		{"addressType: IPv4\nports: [{port: 80}]",
		 "7 " SLICE "-: ports[0].name: unset, so the port is ignored; \"\" is that of an "
		 "unnamed port"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[2048], expected[1024];

		snprintf(text, sizeof(text),
			 "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n"
			 "  name: web-1\n  labels: {kubernetes.io/service-name: web}\n%s\n",
			 rows[i].part);
		snprintf(expected, sizeof(expected), "test.yaml:%s\n", rows[i].reason);
		check_refusals(text, expected);
	}
}

static void a_slice_without_the_label_belongs_to_nobody(void **state)
{
	(void)state;
	check_refusals("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		       "metadata:\n  name: web-1\n"
		       "addressType: IPv4\n",
		       "test.yaml:4 EndpointSlice default/ web-1 -: metadata.labels: "
		       "no kubernetes.io/service-name\n");
}

static void lists_have_limits(void **state)
{
	static const struct {
		const char *before, *item, *after;
		size_t limit;
		const char *reason;
	} rows[] = {
		{"{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [",
		 "{port: %zu, name: p%zu},", "]}}", OBJECT_MAX_PORTS,
		 "Service default/web web keep: spec.ports: 257 items, the limit is 256"},
		{"{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 1}], "
		 "externalIPs: [",
		 "192.0.2.1,", "]}}", OBJECT_MAX_ADDRESSES,
		 "Service default/web web keep: spec.externalIPs: 257 items, the limit is 256"},
		{"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, "
		 "labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [",
		 "{addresses: [10.1.0.1]},", "]}", OBJECT_MAX_ENDPOINTS,
		 SLICE "keep: endpoints: 1001 items, the limit is 1000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t over = 0; over < 2; over++) {
			char expected[256], *text;
			size_t size;
			FILE *file = open_memstream(&text, &size);

			fputs(rows[i].before, file);
			for (size_t j = 1; j <= rows[i].limit + over; j++)
				fprintf(file, rows[i].item, j, j);
			fputs(rows[i].after, file);
			fclose(file);
			snprintf(expected, sizeof(expected), over ? "test.yaml:1 %s\n" : "",
				 rows[i].reason);
			check_refusals(text, expected);
			free(text);
		}
	}
}

static void a_file_of_scraps_is_no_manifest(void **state)
{
	struct manifest *manifest;
	struct error error;
	char text[1024] = "";

	(void)state;
	for (int i = 0; i < MANIFEST_MAX_NAMELESS; i++)
		strcat(text, "--- a\n");
	assert_int_equal(manifest_read("f", text, strlen(text), &manifest, &error), 0);
	assert_int_equal(manifest->nobjects, MANIFEST_MAX_NAMELESS);
	manifest_free(manifest);
	strcat(text, "--- a\n");
	assert_int_equal(manifest_read("f", text, strlen(text), &manifest, &error), -EINVAL);
	assert_string_equal(error.text, "f:65: no manifest: more than 64 parts aren't objects");
}

static void bad_weights_refuse_their_service(void **state)
{
	static const struct row rows[] = {
		{"'{'", "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: not JSON: "
			"string or '}' expected near end of file"},
		{"'[]'", "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: "
			 "not a JSON object"},
		{"'{\"a\": 1001}'", "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: "
				    "\"a\": 1001 is not a weight (0-1000)"},
		{"'{\"a\": -1}'", "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: "
				  "\"a\": -1 is not a weight (0-1000)"},
		{"'{\"a\": \"1\"}'", "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: "
				     "\"a\": not an integer"},
		{"'{\"a\": 1, \"a\": 2}'",
		 "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: "
		 "not JSON: duplicate object key near '\"a\"'"},
		{"'{\"\": 1}'", "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: "
				"\"\": not an address, node or pod"},
		{"{a: 1}", "test.yaml:5 " WEB "metadata.annotations.guideway.io/weights: "
			   "an object, not a string"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024], expected[512];

		snprintf(text, sizeof(text),
			 "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations: "
			 "{guideway.io/weights: %s}\nspec: {ports: [{port: 80}]}\n",
			 rows[i].part);
		snprintf(expected, sizeof(expected), "%s\n", rows[i].reason);
		check_refusals(text, expected);
	}
}

/* ---- the store ---- */

#define SERVICE(name, port) \
	"---\n{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: {clusterIP: " \
	"10.96.0.1, ports: [{port: " port "}]}}\n"

static void check_services(const struct objects *objects, const char *services,
			   const char *refusals)
{
	struct snapshot *snapshot = snapshot_of_objects(objects);
	char *text = snapshot_text(snapshot);

	assert_string_equal(text, services);
	free(text);
	text = refusals_text(snapshot);
	assert_string_equal(text, refusals);
	free(text);
	snapshot_free(snapshot);
}

static void the_last_good_state_stays_while_an_object_is_bad(void **state)
{
	struct objects *objects;

	(void)state;
	assert_int_equal(objects_create(&objects), 0);
	objects_list(objects, "f", SERVICE("a", "80") SERVICE("b", "81"));
	check_services(objects,
		       "default/a:/TCP/4 C10.96.0.1:80 ->\ndefault/b:/TCP/4 C10.96.0.1:81 ->\n",
		       "");
	for (int i = 0; i < 2; i++) {
		objects_list(objects, "f", SERVICE("a", "0") SERVICE("b", "82"));
		check_services(
			objects,
			"default/a:/TCP/4 C10.96.0.1:80 ->\ndefault/b:/TCP/4 C10.96.0.1:82 ->\n",
			"f:2 Service default/a a -: spec.ports[0].port: 0 is not a port\n");
	}
	objects_list(objects, "f", SERVICE("a", "83"));
	check_services(objects, "default/a:/TCP/4 C10.96.0.1:83 ->\n", "");
	objects_list(objects, "f", "");
	check_services(objects, "", "");
	objects_list(objects, "f", SERVICE("a", "0"));
	check_services(objects, "",
		       "f:2 Service default/a a keep: spec.ports[0].port: 0 is not a port\n");
	objects_free(objects);
}

static void the_first_of_two_objects_with_one_name_counts(void **state)
{
	struct objects *objects;

	(void)state;
	assert_int_equal(objects_create(&objects), 0);
	for (int i = 0; i < 2; i++) {
		objects_list(objects, "f", SERVICE("a", "80") SERVICE("a", "81"));
		check_services(objects, "default/a:/TCP/4 C10.96.0.1:80 ->\n",
			       "f:4 Service default/a a -: the same object is at f:2\n");
	}
	/* Where the first is bad, it has the name all the same. */
	objects_list(objects, "f", SERVICE("a", "0") SERVICE("a", "81"));
	check_services(objects, "default/a:/TCP/4 C10.96.0.1:80 ->\n",
		       "f:2 Service default/a a -: spec.ports[0].port: 0 is not a port\n"
		       "f:4 Service default/a a -: the same object is at f:2\n");
	objects_list(objects, "f", SERVICE("a", "81"));
	check_services(objects, "default/a:/TCP/4 C10.96.0.1:81 ->\n", "");
	objects_free(objects);
}

/* One object of a text, as an event of a watch brings it. */
static struct object *object_of(const char *text)
{
	struct manifest *manifest;
	struct object *object;
	struct error error;

	assert_int_equal(manifest_read("f", text, strlen(text), &manifest, &error), 0);
	assert_int_equal(manifest->nobjects, 1);
	object = object_ref(manifest->objects[0]);
	manifest_free(manifest);
	return object;
}

static void objects_come_and_go_one_by_one(void **state)
{
	static const char *const texts[] = {SERVICE("b", "80"), SERVICE("a", "80"),
					    SERVICE("b", "81"), SERVICE("a", "0")};
	struct objects *objects;

	(void)state;
	assert_int_equal(objects_create(&objects), 0);
	for (size_t i = 0; i < 4; i++) {
		struct object *object = object_of(texts[i]);

		assert_int_equal(objects_put(objects, object), 0);
		object_unref(object);
	}
	check_services(objects,
		       "default/a:/TCP/4 C10.96.0.1:80 ->\ndefault/b:/TCP/4 C10.96.0.1:81 ->\n",
		       "f:2 Service default/a a -: spec.ports[0].port: 0 is not a port\n");
	objects_delete(objects, OBJECT_SERVICE, "default", "a");
	objects_delete(objects, OBJECT_SERVICE, "default", "nobody");
	objects_delete(objects, OBJECT_ENDPOINT_SLICE, "default", "b");
	check_services(objects, "default/b:/TCP/4 C10.96.0.1:81 ->\n", "");
	objects_free(objects);
}

static void put_text(struct objects *objects, const char *text)
{
	struct object *object = object_of(text);

	assert_int_equal(objects_put(objects, object), 0);
	object_unref(object);
}

static void a_listing_of_one_kind_sweeps_that_kind_alone(void **state)
{
	struct objects *objects;

	(void)state;
	assert_int_equal(objects_create(&objects), 0);
	put_text(objects, SERVICE("a", "80"));
	put_text(objects, SERVICE("b", "81"));
	objects_begin(objects, OBJECT_SERVICE);
	put_text(objects, SERVICE("b", "82"));
	objects_abort(objects, OBJECT_SERVICE);
	check_services(objects,
		       "default/a:/TCP/4 C10.96.0.1:80 ->\ndefault/b:/TCP/4 C10.96.0.1:82 ->\n",
		       "");
	objects_begin(objects, OBJECT_ENDPOINT_SLICE);
	objects_end(objects, OBJECT_ENDPOINT_SLICE);
	check_services(objects,
		       "default/a:/TCP/4 C10.96.0.1:80 ->\ndefault/b:/TCP/4 C10.96.0.1:82 ->\n",
		       "");
	objects_begin(objects, OBJECT_SERVICE);
	put_text(objects, SERVICE("b", "83"));
	objects_end(objects, OBJECT_SERVICE);
	check_services(objects, "default/b:/TCP/4 C10.96.0.1:83 ->\n", "");
	objects_free(objects);
}

static void many_objects_are_kept_and_swept(void **state)
{
	struct objects *objects;
	char *text;
	size_t size;

	(void)state;
	assert_int_equal(objects_create(&objects), 0);
	for (int step = 1; step <= 3; step++) {
		FILE *file = open_memstream(&text, &size);
		struct snapshot *snapshot;

		for (int i = 0; i < 3000; i += step)
			fprintf(file, SERVICE("s%d", "80"), i * 7919 % 3000);
		fclose(file);
		objects_list(objects, "f", text);
		free(text);
		snapshot = snapshot_of_objects(objects);
		assert_int_equal(snapshot->nservices, (3000 + step - 1) / step);
		snapshot_free(snapshot);
	}
	objects_free(objects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_port_refuses_its_service_with_line_and_reason),
		cmocka_unit_test(a_bad_address_refuses_its_service),
		cmocka_unit_test(a_bad_setting_refuses_its_service),
		cmocka_unit_test(bad_metadata_refuses_the_object),
		cmocka_unit_test(a_bad_node_is_refused),
		cmocka_unit_test(bad_hints_refuse_their_slice),
		cmocka_unit_test(what_is_no_object_is_refused_and_its_neighbours_work),
		cmocka_unit_test(other_kinds_are_skipped_whatever_is_in_them),
		cmocka_unit_test(a_problem_of_the_text_refuses_the_object_around_it),
		cmocka_unit_test(a_bad_slice_is_refused_with_line_and_reason),
		cmocka_unit_test(a_slice_without_the_label_belongs_to_nobody),
		cmocka_unit_test(lists_have_limits),
		cmocka_unit_test(a_file_of_scraps_is_no_manifest),
		cmocka_unit_test(bad_weights_refuse_their_service),
		cmocka_unit_test(the_last_good_state_stays_while_an_object_is_bad),
		cmocka_unit_test(the_first_of_two_objects_with_one_name_counts),
		cmocka_unit_test(objects_come_and_go_one_by_one),
		cmocka_unit_test(a_listing_of_one_kind_sweeps_that_kind_alone),
		cmocka_unit_test(many_objects_are_kept_and_swept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
