/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "api.h"
#include "socket_lb.h"

static char directory[] = "/tmp/guideway-unit-api-XXXXXX";
static char path[64];

static uv_loop_t loop;
static struct api *api;
static struct error error;

/* An empty world without maps of the kernel: counters can't be read. */
static struct options options = {.source_path = "/m", .node = "n"};
static struct snapshot snapshot = {.revision = 3};
static struct maps maps = {
	.reason_counters_fd = -1, .backend_counters_fd = -1, .max_services = 1, .max_backends = 1};
static struct attachments attachments;
static struct socket_lb socket_lb;
static struct view view = {.options = &options,
			   .snapshot = &snapshot,
			   .maps = &maps,
			   .attachments = &attachments,
			   .socket_lb = &socket_lb};

static int sync_err; /* what the next sync returns */

static int fake_sync(void *arg, uint64_t *ret_revision, struct error *ret_error)
{
	(void)arg;
	if (sync_err)
		return error_set(ret_error, sync_err, "a \"reason\"");
	*ret_revision = 12345678901234567;
	return 0;
}

static int drain_err; /* what the next drain returns */
static char drain_asked[100];

static int fake_drain(void *arg, const struct addr *addr, uint16_t port, bool drain, size_t *ret_n,
		      struct error *ret_error)
{
	char text[ADDR_STRLEN];

	(void)arg;
	snprintf(drain_asked, sizeof(drain_asked), "%s %u %d", addr_format(addr, text), port,
		 drain);
	if (drain_err)
		return error_set(ret_error, drain_err, "why not");
	*ret_n = 3;
	return 0;
}
static const struct api_calls calls = {.sync = fake_sync, .drain = fake_drain};

static int setup(void **state)
{
	(void)state;
	sync_err = drain_err = 0;
	snprintf(path, sizeof(path), "%s/run/lbd.sock", directory);
	uv_loop_init(&loop);
	return api_open(path, &loop, &view, &calls, &api, &error);
}

static void end(void)
{
	api_close(api);
	api = NULL;
	uv_run(&loop, UV_RUN_DEFAULT);
}

static int teardown(void **state)
{
	(void)state;
	end();
	return uv_loop_close(&loop);
}

/* ---- a client --------------------------------------------------------------------- */

static int client_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Let the loop work for a while. */
static void turn(void)
{
	for (int i = 0; i < 5; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

/* All that the server sends until it closes, or until 2 s are over. */
static const char *client_read(int fd)
{
	static char text[65536];
	size_t length = 0;
	ssize_t n = 0;

	for (int i = 0; i < 2000; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		n = recv(fd, text + length, sizeof(text) - 1 - length, MSG_DONTWAIT);
		if (n > 0)
			length += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			usleep(1000);
	}
	text[length] = '\0';
	close(fd);
	return text;
}

static const char *exchange(const char *request)
{
	int fd = client_connect();

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return client_read(fd);
}

#define REQUEST(method, target) \
	method " " target " HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n\r\n"

static void assert_answer(const char *answer, const char *status, const char *body)
{
	const char *blank = strstr(answer, "\r\n\r\n");

	assert_non_null(blank);
	assert_memory_equal(answer, "HTTP/1.1 ", 9);
	assert_memory_equal(answer + 9, status, strlen(status));
	assert_string_equal(blank + 4, body);
	if (*body)
		assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
}

/* ---- requests ----------------------------------------------------------------------- */

static void services_are_answered(void **state)
{
	(void)state;
	assert_answer(exchange(REQUEST("GET", "/v1/services")), "200", "{\"services\":[]}");
}

static void head_has_no_body(void **state)
{
	(void)state;
	assert_answer(exchange(REQUEST("HEAD", "/v1/services")), "200", "");
}

static void sync_answers_with_the_revision(void **state)
{
	(void)state;
	assert_answer(exchange(REQUEST("POST", "/v1/sync")), "200",
		      "{\"revision\":12345678901234567}");
}

static void failed_sync_gives_its_reason(void **state)
{
	(void)state;
	sync_err = -EBADMSG;
	assert_answer(exchange(REQUEST("POST", "/v1/sync")), "503",
		      "{\"error\":\"a \\\"reason\\\"\"}");
}

static void drain_is_asked_of_an_address_and_perhaps_a_port(void **state)
{
	(void)state;
	assert_answer(
		exchange("POST /v1/backends/drain?address=10.1.0.2&port=5000 HTTP/1.0\r\n\r\n"),
		"200 OK", "{\"backends\":3}");
	assert_string_equal(drain_asked, "10.1.0.2 5000 1");
	assert_answer(exchange("POST /v1/backends/undrain?address=fd00::2 HTTP/1.0\r\n\r\n"),
		      "200 OK", "{\"backends\":3}");
	assert_string_equal(drain_asked, "fd00::2 0 0");
	drain_err = -ENOENT;
	assert_answer(exchange("POST /v1/backends/drain?address=10.1.0.2 HTTP/1.0\r\n\r\n"),
		      "404 Not Found", "{\"error\":\"why not\"}");
	drain_err = -EEXIST;
	assert_answer(exchange("POST /v1/backends/undrain?address=10.1.0.2 HTTP/1.0\r\n\r\n"),
		      "409 Conflict", "{\"error\":\"why not\"}");
	assert_answer(exchange("POST /v1/backends/drain HTTP/1.0\r\n\r\n"), "400 Bad Request",
		      "{\"error\":\"address: an IP address expected\"}");
	assert_answer(
		exchange("POST /v1/backends/drain?address=10.1.0.2&port=65536 HTTP/1.0\r\n\r\n"),
		"400 Bad Request", "{\"error\":\"port: a number expected\"}");
}

static void unknown_path_is_not_found(void **state)
{
	(void)state;
	assert_answer(exchange(REQUEST("GET", "/")), "404", "{\"error\":\"no such path\"}");
	assert_answer(exchange(REQUEST("GET", "/v1/services/")), "404",
		      "{\"error\":\"no such path\"}");
	assert_answer(exchange(REQUEST("GET", "/v1/../v1/services")), "404",
		      "{\"error\":\"no such path\"}");
}

static void wrong_method_names_the_right_one(void **state)
{
	const char *answer = exchange(REQUEST("GET", "/v1/sync"));

	(void)state;
	assert_answer(answer, "405", "{\"error\":\"method not allowed\"}");
	assert_non_null(strstr(answer, "Allow: POST\r\n"));
	answer = exchange(REQUEST("DELETE", "/v1/backends"));
	assert_answer(answer, "405", "{\"error\":\"method not allowed\"}");
	assert_non_null(strstr(answer, "Allow: GET\r\n"));
}

static void service_has_to_be_a_name(void **state)
{
	(void)state;
	assert_answer(exchange(REQUEST("GET", "/v1/backends?service=web")), "400",
		      "{\"error\":\"service: NAMESPACE/NAME expected\"}");
}

static void counters_that_can_not_be_read_are_an_error(void **state)
{
	(void)state;
	assert_answer(exchange(REQUEST("GET", "/v1/status")), "500",
		      "{\"error\":\"can't read the counters: Bad file descriptor\"}");
}

static void connection_is_kept_for_more_requests(void **state)
{
	const char request[] =
		"GET /v1/services HTTP/1.1\r\nHost: lbd\r\n\r\n"
		"GET /v1/services HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n\r\n";
	const char *first, *second;

	(void)state;
	first = strstr(exchange(request), "{\"services\":[]}");
	assert_non_null(first);
	second = strstr(first + 1, "{\"services\":[]}");
	assert_non_null(second);
}

/* ---- bad clients ------------------------------------------------------------------------ */

static void request_that_is_not_http_is_refused(void **state)
{
	const char *answer = exchange("\x16\x03\x01 hello\r\n\r\n");

	(void)state;
	assert_true(*answer == '\0' || strstr(answer, " 400 "));
	assert_answer(exchange(REQUEST("GET", "/v1/services")), "200", "{\"services\":[]}");
}

static void body_is_thrown_away(void **state)
{
	(void)state;
	assert_answer(exchange("POST /v1/sync HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n"
			       "Content-Length: 5\r\n\r\nhello"),
		      "200", "{\"revision\":12345678901234567}");
}

static void huge_header_and_huge_body_are_refused(void **state)
{
	char *request = malloc(200000);
	int fd;

	(void)state;
	memset(request, 'a', 200000);
	memcpy(request, "GET /v1/services?", 17);
	strcpy(request + 60000, " HTTP/1.1\r\n\r\n");
	assert_null(strstr(exchange(request), " 200 "));
	memset(request, 'a', 200000);
	fd = client_connect();
	dprintf(fd, "POST /v1/sync HTTP/1.1\r\nHost: lbd\r\nContent-Length: 200000\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		if (send(fd, request, 10000, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			break;
		turn();
	}
	assert_null(strstr(client_read(fd), " 200 "));
	free(request);
}

static void client_that_goes_away_harms_nobody(void **state)
{
	int fd;

	(void)state;
	for (int i = 0; i < 200; i++) {
		fd = client_connect();
		if (i % 2)
			dprintf(fd, i % 4 == 1 ? "POST /v1/sync HTTP/1.1\r\n\r\n" : "GET /v1/ser");
		if (i % 3)
			uv_run(&loop, UV_RUN_NOWAIT);
		close(fd);
	}
	turn();
	assert_answer(exchange(REQUEST("GET", "/v1/services")), "200", "{\"services\":[]}");
}

static void idle_clients_leave_room_for_one_more_after_they_go(void **state)
{
	int fds[100];

	(void)state;
	for (int i = 0; i < 100; i++) {
		fds[i] = client_connect();
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	turn();
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	turn();
	assert_answer(exchange(REQUEST("GET", "/v1/services")), "200", "{\"services\":[]}");
}

static unsigned int turns; /* of the loop */

static void count_turn(uv_prepare_t *prepare)
{
	(void)prepare;
	turns++;
}

static void stop(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* How often does the loop wake up in 200 ms? */
static unsigned int count_turns(void)
{
	uv_prepare_t prepare;
	uv_timer_t timer;

	turns = 0;
	uv_prepare_init(&loop, &prepare);
	uv_prepare_start(&prepare, count_turn);
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, stop, 200, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&prepare, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return turns;
}

static void lack_of_descriptors_passes(void **state)
{
	const char request[] = REQUEST("GET", "/v1/services");
	int fd = client_connect();
	struct rlimit before, tight;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	tight = before;
	tight.rlim_cur = (rlim_t)fd + 1; /* nothing is left to accept with */
	setrlimit(RLIMIT_NOFILE, &tight);
	assert_in_range(count_turns(), 1, 50);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	assert_answer(client_read(fd), "200", "{\"services\":[]}");
}

static void idle_server_sleeps(void **state)
{
	int fd = client_connect();

	(void)state;
	assert_in_range(count_turns(), 1, 10);
	close(fd);
}

/* ---- the socket ---------------------------------------------------------------------------- */

static void socket_is_for_owner_and_group_alone(void **state)
{
	char run[64];
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	snprintf(run, sizeof(run), "%s/run", directory);
	assert_int_equal(stat(run, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	end();
	assert_int_equal(stat(path, &st), -1);
}

static void second_daemon_is_refused(void **state)
{
	char text[256];
	struct api *second;

	(void)state;
	assert_int_equal(api_open(path, &loop, &view, &calls, &second, &error), -EADDRINUSE);
	snprintf(text, sizeof(text), "--control: another lbd answers at %s", path);
	assert_string_equal(error.text, text);
	assert_answer(exchange(REQUEST("GET", "/v1/services")), "200", "{\"services\":[]}");
}

static void socket_of_a_dead_daemon_is_replaced(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	end();
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(api_open(path, &loop, &view, &calls, &api, &error), 0);
	assert_answer(exchange(REQUEST("GET", "/v1/services")), "200", "{\"services\":[]}");
}

static void what_is_no_socket_is_left_alone(void **state)
{
	char text[256];
	struct stat st;
	int fd;

	(void)state;
	end();
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(api_open(path, &loop, &view, &calls, &api, &error), -EEXIST);
	snprintf(text, sizeof(text), "--control: %s is not a socket", path);
	assert_string_equal(error.text, text);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(path);
}

static void directory_that_can_not_be_made_is_named(void **state)
{
	struct api *other;

	(void)state;
	assert_int_equal(
		api_open("/nonexistent/guideway/x.sock", &loop, &view, &calls, &other, &error),
		-ENOENT);
	assert_string_equal(
		error.text,
		"--control: can't make /nonexistent/guideway: No such file or directory");
}

static int directory_make(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int directory_remove(void **state)
{
	char run[64];

	(void)state;
	snprintf(run, sizeof(run), "%s/run", directory);
	rmdir(run);
	return rmdir(directory);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(services_are_answered),
		TEST(head_has_no_body),
		TEST(sync_answers_with_the_revision),
		TEST(failed_sync_gives_its_reason),
		TEST(drain_is_asked_of_an_address_and_perhaps_a_port),
		TEST(unknown_path_is_not_found),
		TEST(wrong_method_names_the_right_one),
		TEST(service_has_to_be_a_name),
		TEST(counters_that_can_not_be_read_are_an_error),
		TEST(connection_is_kept_for_more_requests),
		TEST(request_that_is_not_http_is_refused),
		TEST(body_is_thrown_away),
		TEST(huge_header_and_huge_body_are_refused),
		TEST(client_that_goes_away_harms_nobody),
		TEST(idle_clients_leave_room_for_one_more_after_they_go),
		TEST(lack_of_descriptors_passes),
		TEST(idle_server_sleeps),
		TEST(socket_is_for_owner_and_group_alone),
		TEST(second_daemon_is_refused),
		TEST(socket_of_a_dead_daemon_is_replaced),
		TEST(what_is_no_socket_is_left_alone),
		TEST(directory_that_can_not_be_made_is_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
