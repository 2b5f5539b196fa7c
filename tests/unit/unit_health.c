/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Health checks against servers of the test's own, on one loop with them. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "health.h"
#include "log.h"

#define INTERVAL_MS 100
#define SERVERS 3

/* What a server does with a connection. */
enum manner {
	ANSWERS, /* with status */
	HANGS,
};

static struct server {
	uv_tcp_t tcp;
	uint16_t port;
	enum manner manner;
	int status;
	unsigned int connections;
	char request[512]; /* the last one */
} servers[SERVERS];

static uv_loop_t loop;
static struct health *health;
static unsigned int changes;

/* ---- servers --------------------------------------------------------------------- */

struct connection {
	uv_tcp_t tcp; /* first */
	struct server *server;
	uv_write_t write;
	char answer[256];
};

static void connection_closed(uv_handle_t *handle)
{
	free(handle);
}

static void connection_close(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, connection_closed);
}

static void answered(uv_write_t *write, int status)
{
	(void)status;
	connection_close((uv_handle_t *)write->handle);
}

static void alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	static char bytes[4096];

	(void)handle;
	(void)size;
	*ret = uv_buf_init(bytes, sizeof(bytes));
}

static void request_came(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct connection *connection = (struct connection *)stream;
	struct server *server = connection->server;
	uv_buf_t answer;

	if (n <= 0) {
		connection_close((uv_handle_t *)stream);
		return;
	}
	snprintf(server->request, sizeof(server->request), "%.*s", (int)n, bytes->base);
	if (server->manner == HANGS)
		return;
	snprintf(connection->answer, sizeof(connection->answer),
		 "HTTP/1.1 %d Whatever\r\nContent-Length: 2\r\n\r\nok", server->status);
	answer = uv_buf_init(connection->answer, strlen(connection->answer));
	uv_write(&connection->write, stream, &answer, 1, answered);
}

static void connection_came(uv_stream_t *stream, int status)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	assert_int_equal(status, 0);
	connection->server = stream->data;
	connection->server->connections++;
	uv_tcp_init(&loop, &connection->tcp);
	assert_int_equal(uv_accept(stream, (uv_stream_t *)&connection->tcp), 0);
	uv_read_start((uv_stream_t *)&connection->tcp, alloc, request_came);
}

static void server_open(struct server *server)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(server->port),
				 .sin_addr.s_addr = htonl(INADDR_ANY)};
	int length = sizeof(at);

	uv_tcp_init(&loop, &server->tcp);
	server->tcp.data = server;
	assert_int_equal(uv_tcp_bind(&server->tcp, (struct sockaddr *)&at, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&server->tcp, 1024, connection_came), 0);
	uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&at, &length);
	server->port = ntohs(at.sin_port);
}

/* ---- the world --------------------------------------------------------------------- */

static struct model_endpoint endpoints[256];
static struct model_service services[2];
static struct snapshot snapshot;

static void changed(void *arg)
{
	(void)arg;
	changes++;
}

static void check_by(const char *how)
{
	struct health_options options = {.interval_ms = INTERVAL_MS, .rise = 2, .fall = 3};
	struct error error;

	assert_int_equal(health_check_parse(how, &options.check), 0);
	assert_int_equal(health_open(&loop, &options, changed, NULL, &health, &error), 0);
	assert_int_equal(health_follow(health, &snapshot), 0);
}

static int setup(void **state)
{
	(void)state;
	uv_loop_init(&loop);
	memset(servers, 0, sizeof(servers));
	memset(endpoints, 0, sizeof(endpoints));
	memset(services, 0, sizeof(services));
	for (int i = 0; i < SERVERS; i++) {
		servers[i].status = 200;
		server_open(&servers[i]);
		endpoints[i] = (struct model_endpoint){.addr = {4, {127, 0, 0, 1}},
						       .port = servers[i].port,
						       .ready = true,
						       .serving = true};
	}
	services[0] = (struct model_service){.name = "web",
					     .protocol = IPPROTO_TCP,
					     .endpoints = endpoints,
					     .nendpoints = SERVERS};
	services[1] = services[0];
	snapshot = (struct snapshot){.services = services, .nservices = 1};
	changes = 0;
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

static void handle_close(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle,
			 handle->type == UV_TCP && handle->data == NULL ? connection_closed : NULL);
}

static int teardown(void **state)
{
	(void)state;
	health_close(health);
	health = NULL;
	uv_walk(&loop, handle_close, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void stop(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void run_ms(uint64_t ms)
{
	static uv_timer_t timer;

	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, stop, ms, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
}

static enum health_state state_of(int endpoint)
{
	return health_state(health, &services[0], &endpoints[endpoint]);
}

/* Runs the loop until an endpoint is in a state. */
static void await(int endpoint, enum health_state state)
{
	for (int i = 0; i < 200 && state_of(endpoint) != state; i++)
		run_ms(20);
	assert_string_equal(health_state_name(state_of(endpoint)), health_state_name(state));
}

/* ---- cases ---------------------------------------------------------------------------- */

static void who_accepts_is_up_and_who_refuses_is_down(void **state)
{
	(void)state;
	uv_close((uv_handle_t *)&servers[1].tcp, NULL);
	check_by("tcp");
	assert_int_equal(state_of(0), HEALTH_UNKNOWN);
	assert_int_equal(health_for_plan(health, &services[0], &endpoints[0]), PLAN_HEALTH_UNKNOWN);
	await(0, HEALTH_UP);
	await(1, HEALTH_DOWN);
	assert_int_equal(health_for_plan(health, &services[0], &endpoints[1]), PLAN_HEALTH_DOWN);
	assert_true(changes >= 2);
	/* It comes back. */
	server_open(&servers[1]);
	await(1, HEALTH_UP);
	assert_true(servers[1].connections >= 2);
	await(2, HEALTH_UP);
	assert_int_equal(changes, 4);
}

static void http_status_decides(void **state)
{
	(void)state;
	servers[0].status = 399;
	servers[1].status = 503;
	servers[2].manner = HANGS;
	check_by("http:/healthz?full=1");
	await(0, HEALTH_UP);
	await(1, HEALTH_DOWN);
	await(2, HEALTH_DOWN);
	assert_non_null(strstr(servers[0].request, "GET /healthz?full=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(servers[0].request, "\r\nHost: 127.0.0.1:"));
	servers[1].status = 204;
	servers[0].status = 404;
	await(1, HEALTH_UP);
	await(0, HEALTH_DOWN);
}

static void one_bad_check_is_no_fall(void **state)
{
	unsigned int before;

	(void)state;
	check_by("http:/");
	await(0, HEALTH_UP);
	before = servers[0].connections;
	servers[0].status = 500;
	while (servers[0].connections == before)
		run_ms(5);
	run_ms(30);
	servers[0].status = 200;
	run_ms(5 * INTERVAL_MS);
	assert_int_equal(state_of(0), HEALTH_UP);
	assert_true(servers[0].connections > before + 3);
}

static void what_is_not_to_be_checked_is_off(void **state)
{
	(void)state;
	services[0].check.kind = HEALTH_NONE; /* the Service's own word */
	services[1].protocol = IPPROTO_UDP;
	snapshot.nservices = 2;
	check_by("tcp");
	run_ms(3 * INTERVAL_MS);
	assert_int_equal(state_of(0), HEALTH_OFF);
	assert_int_equal(health_state(health, &services[1], &endpoints[0]), HEALTH_OFF);
	assert_int_equal(health_state(NULL, &services[0], &endpoints[0]), HEALTH_OFF);
	assert_int_equal(servers[0].connections, 0);
}

static void service_may_ask_for_a_check_of_its_own(void **state)
{
	(void)state;
	services[1].check = (struct health_check){HEALTH_HTTP, "/ready"};
	snapshot.nservices = 2;
	check_by("none");
	run_ms(3 * INTERVAL_MS);
	assert_int_equal(state_of(0), HEALTH_OFF);
	assert_int_not_equal(health_state(health, &services[1], &endpoints[0]), HEALTH_OFF);
	assert_non_null(strstr(servers[0].request, "GET /ready "));
}

/* Two services, one target: it is asked once an interval. */
static void services_share_targets(void **state)
{
	unsigned int once;

	(void)state;
	check_by("tcp");
	run_ms(10 * INTERVAL_MS);
	once = servers[0].connections;
	snapshot.nservices = 2;
	assert_int_equal(health_follow(health, &snapshot), 0);
	assert_int_equal(state_of(0), HEALTH_UP); /* what is known stays */
	run_ms(10 * INTERVAL_MS);
	assert_in_range(servers[0].connections - once, 1, once + 4);
}

static void endpoint_that_left_is_asked_no_more(void **state)
{
	unsigned int asked;

	(void)state;
	servers[0].manner = HANGS;
	check_by("http:/");
	while (!servers[0].connections)
		run_ms(5); /* a check is under way when it leaves */
	services[0].nendpoints = 0;
	assert_int_equal(health_follow(health, &snapshot), 0);
	asked = servers[0].connections;
	run_ms(5 * INTERVAL_MS);
	assert_int_equal(servers[0].connections, asked);
	/* One that isn't ready isn't asked either. */
	services[0].nendpoints = SERVERS;
	endpoints[0].ready = endpoints[0].serving = false;
	assert_int_equal(health_follow(health, &snapshot), 0);
	run_ms(3 * INTERVAL_MS);
	assert_int_equal(servers[0].connections, asked);
}

/* More targets than may run at once, and all of them hang: each gets its turn. */
static void crowds_wait_for_their_turn(void **state)
{
	(void)state;
	servers[0].manner = HANGS;
	for (int i = 0; i < 256; i++) {
		endpoints[i] = endpoints[0];
		endpoints[i].addr.bytes[3] = 1;
		endpoints[i].addr.bytes[2] = i; /* 127.0.i.1 */
	}
	services[0].nendpoints = 256;
	uv_close((uv_handle_t *)&servers[1].tcp, NULL);
	check_by("http:/");
	for (int i = 0; i < 256; i++)
		await(i, HEALTH_DOWN);
}

static void forms_are_checked(void **state)
{
	static const char *const bad[] = {"",	      "TCP",	"tcp ",	     "http",
					  "http:",    "http:x", "http:/a b", "http:/a\n",
					  "http:/#x", "https:/"};
	struct health_check check = {.kind = HEALTH_TCP};
	char path[HEALTH_PATH_SIZE + 8] = "http:/";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(health_check_parse(bad[i], &check), -EINVAL);
	assert_int_equal(check.kind, HEALTH_TCP);
	memset(path + 6, 'a', HEALTH_PATH_SIZE - 2);
	assert_int_equal(health_check_parse(path, &check), 0);
	strcat(path, "a");
	assert_int_equal(health_check_parse(path, &check), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_accepts_is_up_and_who_refuses_is_down),
		TEST(http_status_decides),
		TEST(one_bad_check_is_no_fall),
		TEST(what_is_not_to_be_checked_is_off),
		TEST(service_may_ask_for_a_check_of_its_own),
		TEST(services_share_targets),
		TEST(endpoint_that_left_is_asked_no_more),
		TEST(crowds_wait_for_their_turn),
		cmocka_unit_test(forms_are_checked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
