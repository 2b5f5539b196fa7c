/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* healthCheckNodePort: rules 75-77 of service-semantics, and /healthz of 78. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "health_ports.h"
#include "log.h"
#include "monitor.h"
#include "namespace.h"
#include "tcp_listen.h"
#include "texts.h"

#define PATIENCE_MS 10000

static uv_loop_t loop;
static struct view view;
static struct snapshot *snapshot;
static struct health_ports *ports;

#define SERVICE(name, spec) \
	"--- {apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: {clusterIP: " \
	"10.96.0.1, " spec "}}\n"
#define LOCAL(port) \
	"type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: " port \
	", ports: [{name: a, port: 80}, {name: b, port: 81}]"
#define SLICE(name, endpoints) \
	"--- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " name \
	"-1, labels: {kubernetes.io/service-name: " name "}}, addressType: IPv4, ports: " \
	"[{name: a, port: 80}, {name: b, port: 81}], endpoints: [" endpoints "]}\n"
#define HERE(addr, conditions) \
	"{addresses: [" addr "], nodeName: here, conditions: {" conditions "}}"

static void turn(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	usleep(1000);
}

/* The source says this now, and it is in the maps. */
static void source_says(const char *text)
{
	struct snapshot *before = snapshot;

	view.snapshot = snapshot = snapshot_of(text);
	view.synced_revision = snapshot->revision;
	assert_int_equal(health_ports_follow(ports), 0);
	snapshot_free(before);
}

static int setup(void **state)
{
	struct error error;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(health_ports_open(&loop, &view, &ports, &error), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	health_ports_close(ports);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	snapshot_free(snapshot);
	view.snapshot = snapshot = NULL;
	return 0;
}

/* A connected socket, or -1: nobody listens. */
static int connected(const char *addr, uint16_t port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool v6 = inet_pton(AF_INET6, addr, &in6.sin6_addr) == 1;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	if (!v6)
		assert_int_equal(inet_pton(AF_INET, addr, &in4.sin_addr), 1);
	if (connect(fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in4,
		    v6 ? sizeof(in6) : sizeof(in4))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The answer to GET path; "" where nobody listens. */
static const char *ask(const char *addr, uint16_t port, const char *path)
{
	static char answer[4096];
	char request[256];
	size_t length = 0;
	int fd = connected(addr, port);
	ssize_t n;

	*answer = '\0';
	if (fd < 0)
		return answer;
	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		turn();
		n = recv(fd, answer + length, sizeof(answer) - 1 - length, MSG_DONTWAIT);
		if (n == 0)
			break;
		if (n > 0)
			length += n;
		answer[length] = '\0';
	}
	close(fd);
	return answer;
}

static void assert_says(const char *answer, const char *status, size_t n, bool healthy)
{
	char body[256], weight[64];

	snprintf(body, sizeof(body),
		 "\r\n\r\n{\"service\":{\"namespace\":\"default\",\"name\":\"web\"},"
		 "\"localEndpoints\":%zu,\"serviceProxyHealthy\":%s}\n",
		 n, healthy ? "true" : "false");
	snprintf(weight, sizeof(weight), "\r\nX-Load-Balancing-Endpoint-Weight: %zu\r\n", n);
	if (strncmp(answer, status, strlen(status)) || !strstr(answer, body) ||
	    !strstr(answer, weight) || !strstr(answer, "\r\nContent-Type: application/json\r\n"))
		fail_msg("%s\nwanted: %s %s", answer, status, body);
}

#define OK "HTTP/1.1 200 "
#define UNAVAILABLE "HTTP/1.1 503 "

static void ready_endpoints_of_this_node_are_counted_by_address(void **state)
{
	(void)state;
	source_says(SERVICE("web", LOCAL("32000")) SLICE(
		"web",
		HERE("10.1.0.1", "") ", " HERE("10.1.0.2", "ready: true") ", " HERE(
			"10.1.0.3",
			"ready: false, serving: true, terminating: true") ", {"
									  "addresses: [10.1.0.4], nodeName: elsewhere}, {addresses: [10.1.0.5]}"));
	assert_says(ask("127.0.0.1", 32000, "/"), OK, 2, true);
	assert_says(ask("127.0.0.1", 32000, "/healthz?any=path"), OK, 2, true);
	assert_says(ask("::1", 32000, "/"), OK, 2, true);
	/* Rule 76: terminating ones carry traffic, and don't count. */
	source_says(SERVICE("web", LOCAL("32000")) SLICE(
		"web", HERE("10.1.0.3", "ready: false, serving: true, terminating: true")));
	assert_says(ask("127.0.0.1", 32000, "/"), UNAVAILABLE, 0, true);
	source_says(SERVICE("web", LOCAL("32000")));
	assert_says(ask("127.0.0.1", 32000, "/"), UNAVAILABLE, 0, true);
}

static void what_is_not_in_the_maps_is_not_healthy(void **state)
{
	(void)state;
	source_says(SERVICE("web", LOCAL("32000")) SLICE("web", HERE("10.1.0.1", "")));
	view.synced_revision = 0;
	assert_says(ask("127.0.0.1", 32000, "/"), UNAVAILABLE, 1, false);
}

static void a_pod_of_two_families_is_one(void **state)
{
	(void)state;
	source_says("--- {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIPs: "
		    "[10.96.0.1, 'fd00:96::1'], " LOCAL("32000") "}}\n" SLICE(
			    "web", HERE("10.1.0.1",
					"")) "--- {apiVersion: discovery.k8s.io/v1, kind: "
					     "EndpointSlice, metadata: {name: web-6, "
					     "labels: {kubernetes.io/service-name: web}}, "
					     "addressType: IPv6, ports: [{name: a, port: "
					     "80}], endpoints: [" HERE("'fd00:1::1'", "") "]}\n");
	assert_says(ask("127.0.0.1", 32000, "/"), OK, 1, true);
}

/* Rule 75 */
static void others_have_no_port(void **state)
{
	(void)state;
	source_says(SERVICE("web", "type: NodePort, externalTrafficPolicy: Local, "
				   "healthCheckNodePort: 32000, ports: [{port: 80}]")
			    SERVICE("api", "type: LoadBalancer, healthCheckNodePort: 32001, "
					   "ports: [{port: 80}]"));
	assert_int_equal(connected("127.0.0.1", 32000), -1);
	assert_int_equal(connected("127.0.0.1", 32001), -1);
}

static void wait_closed(uint16_t port)
{
	int fd = 0;

	for (int ms = 0; ms < PATIENCE_MS && fd >= 0; ms++) {
		turn();
		fd = connected("127.0.0.1", port);
		if (fd >= 0)
			close(fd);
	}
	assert_int_equal(fd, -1);
}

static void ports_come_and_go_with_their_service(void **state)
{
	(void)state;
	source_says(SERVICE("web", LOCAL("32000")) SLICE("web", HERE("10.1.0.1", "")));
	assert_says(ask("127.0.0.1", 32000, "/"), OK, 1, true);
	source_says(SERVICE("web", LOCAL("32001")) SLICE("web", HERE("10.1.0.1", "")));
	wait_closed(32000);
	for (int ms = 0; ms < PATIENCE_MS && health_ports_trouble(ports, &snapshot->services[0]);
	     ms++)
		turn();
	assert_says(ask("127.0.0.1", 32001, "/"), OK, 1, true);
	source_says("");
	wait_closed(32001);
}

/* By another Service at once: the socket before goes a turn later. */
static void a_port_changes_hands(void **state)
{
	(void)state;
	source_says(SERVICE("api", LOCAL("32000")));
	assert_non_null(strstr(ask("127.0.0.1", 32000, "/"), "\"name\":\"api\""));
	source_says(SERVICE("web", LOCAL("32000")) SLICE("web", HERE("10.1.0.1", "")));
	for (int ms = 0; ms < PATIENCE_MS && health_ports_trouble(ports, &snapshot->services[0]);
	     ms++)
		turn();
	assert_says(ask("127.0.0.1", 32000, "/"), OK, 1, true);
}

static void a_port_in_use_is_told_and_tried_again(void **state)
{
	int taken = tcp_listen(NULL, 32000);

	(void)state;
	assert_true(taken >= 0);
	source_says(SERVICE("web", LOCAL("32000")) SLICE("web", HERE("10.1.0.1", ""))
			    SERVICE("api", LOCAL("32002")));
	assert_string_equal(health_ports_trouble(ports, &snapshot->services[2]),
			    "port 32000: Address already in use");
	/* The others' work. */
	assert_null(health_ports_trouble(ports, &snapshot->services[0]));
	close(taken);
	for (int ms = 0; ms < PATIENCE_MS && health_ports_trouble(ports, &snapshot->services[2]);
	     ms++)
		turn();
	assert_says(ask("127.0.0.1", 32000, "/"), OK, 1, true);
}

/* Rule 78 */
static void a_node_that_goes_is_alive_but_not_healthy(void **state)
{
	static const struct {
		const char *node, *status;
	} rows[] = {
		{"metadata: {name: here}", OK},
		{"metadata: {name: here, deletionTimestamp: '2026-01-01T00:00:00Z'}", UNAVAILABLE},
		{"metadata: {name: here}, spec: {taints: [{key: ToBeDeletedByClusterAutoscaler}]}",
		 UNAVAILABLE},
		{"metadata: {name: here}, spec: {taints: [{key: other}]}", OK},
		{"metadata: {name: elsewhere, deletionTimestamp: '2026-01-01T00:00:00Z'}", OK},
	};
	struct addr addr = {.family = 4, .bytes = {127, 0, 0, 1}};
	struct monitor *monitor;
	struct error error;

	(void)state;
	source_says("");
	assert_int_equal(monitor_open(&addr, 9095, &loop, &view, &monitor, &error), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), "--- {apiVersion: v1, kind: Node, %s}\n",
			 rows[i].node);
		source_says(text);
		assert_memory_equal(ask("127.0.0.1", 9095, "/healthz"), rows[i].status,
				    strlen(rows[i].status));
		assert_memory_equal(ask("127.0.0.1", 9095, "/livez"), OK, strlen(OK));
	}
	monitor_close(monitor);
}

static int enter(void **state)
{
	(void)state;
	if (namespace_enter())
		return -1;
	ip("link set lo up");
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ready_endpoints_of_this_node_are_counted_by_address),
		TEST(what_is_not_in_the_maps_is_not_healthy),
		TEST(a_pod_of_two_families_is_one),
		TEST(others_have_no_port),
		TEST(ports_come_and_go_with_their_service),
		TEST(a_port_changes_hands),
		TEST(a_port_in_use_is_told_and_tried_again),
		TEST(a_node_that_goes_is_alive_but_not_healthy),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter, NULL);
}
