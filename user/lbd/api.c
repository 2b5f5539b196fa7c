/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "api.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api_socket.h"

#define API_CONNECTIONS 64
#define API_CONNECTION_BYTES (32 * 1024) /* headers, mostly */
#define API_TIMEOUT_S 10
#define API_ACCEPT_REST_MS 100	   /* after a lack of descriptors or memory */
#define API_BODY_BYTES (64 * 1024) /* no request needs one */
#define API_FLOWS_MS 1000	   /* flows are counted at most so often: it walks all of them */

struct api {
	char *path;
	const struct view *view;
	struct api_calls calls;
	int listen_fd;
	struct MHD_Daemon *httpd;
	uv_poll_t http_poll, listen_poll;
	uv_timer_t http_timer, listen_timer;
	int handles; /* that aren't closed yet */

	/* By backend id; allocated at the first request for them. */
	struct lb_traffic *traffic;
	uint32_t *flows;
	uint64_t flows_counted_ms;
};

/* An answer's text, malloc'ed. */
struct answer {
	unsigned int status; /* HTTP */
	char *text;
	size_t length;
	const char *allow; /* of a 405 */
};

/* ---- what is asked for ------------------------------------------------------ */

static void answer_error(struct answer *answer, unsigned int status, const char *text)
{
	json_t *object = json_object();

	view_set_text(object, "error", text);
	answer->status = status;
	answer->text = json_dumps(object, JSON_COMPACT);
	answer->length = answer->text ? strlen(answer->text) : 0;
	json_decref(object);
}

static void answer_errno(struct answer *answer, const char *what, int err)
{
	struct error error;

	error_set(&error, err, "%s: %s", what, strerror(-err));
	answer_error(answer, MHD_HTTP_INTERNAL_SERVER_ERROR, error.text);
}

static void get_services(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	(void)connection;
	answer->text = view_services(api->view, &answer->length);
}

/* Returns 0 or -errno. */
static int counters_read(struct api *api)
{
	const struct maps *maps = api->view->maps;
	uint64_t now_ms = uv_now(api->http_timer.loop);
	int err;

	if (!api->traffic)
		api->traffic = calloc(maps->max_backends, sizeof(*api->traffic));
	if (!api->flows)
		api->flows = calloc(maps->max_backends, sizeof(*api->flows));
	if (!api->traffic || !api->flows)
		return -ENOMEM;
	err = maps_backend_counters(maps, api->traffic);
	if (err)
		return err;
	if (api->flows_counted_ms && now_ms - api->flows_counted_ms < API_FLOWS_MS)
		return 0;
	err = maps_flow_counts(maps, api->flows);
	if (!err)
		api->flows_counted_ms = now_ms;
	return err;
}

static void get_backends(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	const char *service =
		MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "service");
	int err;

	if (service && !strchr(service, '/')) {
		answer_error(answer, MHD_HTTP_BAD_REQUEST, "service: NAMESPACE/NAME expected");
		return;
	}
	err = counters_read(api);
	if (err)
		answer_errno(answer, "can't read the counters", err);
	else
		answer->text = view_backends(api->view, service, api->traffic, api->flows,
					     &answer->length);
}

static void get_status(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	struct lb_reason_counter reasons[LB_REASON_MAX];
	int err = maps_reason_counters(api->view->maps, reasons);

	(void)connection;
	if (err)
		answer_errno(answer, "can't read the counters", err);
	else
		answer->text = view_status(api->view, reasons, &answer->length);
}

static void post_sync(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	struct error error;
	uint64_t revision;
	json_t *object;

	(void)connection;
	if (api->calls.sync(api->calls.arg, &revision, &error)) {
		answer_error(answer, MHD_HTTP_SERVICE_UNAVAILABLE, error.text);
		return;
	}
	object = json_pack("{s:I}", "revision", (json_int_t)revision);
	answer->text = json_dumps(object, JSON_COMPACT);
	answer->length = answer->text ? strlen(answer->text) : 0;
	json_decref(object);
}

static const struct route {
	const char *path, *method;
	void (*answer)(struct api *api, struct MHD_Connection *connection, struct answer *answer);
} routes[] = {
	{"/v1/services", MHD_HTTP_METHOD_GET, get_services},
	{"/v1/backends", MHD_HTTP_METHOD_GET, get_backends},
	{"/v1/status", MHD_HTTP_METHOD_GET, get_status},
	{"/v1/sync", MHD_HTTP_METHOD_POST, post_sync},
};

static void answer_make(struct api *api, struct MHD_Connection *connection, const char *path,
			const char *method, struct answer *answer)
{
	/* HEAD is GET; the library leaves the body out. */
	if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
		method = MHD_HTTP_METHOD_GET;
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		if (strcmp(path, routes[i].path))
			continue;
		if (strcmp(method, routes[i].method) == 0) {
			routes[i].answer(api, connection, answer);
			return;
		}
		answer->allow = routes[i].method;
		answer_error(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed");
		return;
	}
	answer_error(answer, MHD_HTTP_NOT_FOUND, "no such path");
}

/* ---- HTTP -------------------------------------------------------------------- */

static enum MHD_Result answer_send(struct MHD_Connection *connection, struct answer *answer)
{
	static char no_memory[] = "{\"error\":\"no memory\"}";
	struct MHD_Response *response;
	enum MHD_Result result;

	if (answer->text) {
		response = MHD_create_response_from_buffer(answer->length, answer->text,
							   MHD_RESPMEM_MUST_FREE);
		if (!response)
			free(answer->text);
	} else {
		answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		response = MHD_create_response_from_buffer(sizeof(no_memory) - 1, no_memory,
							   MHD_RESPMEM_PERSISTENT);
	}
	if (!response)
		return MHD_NO; /* closes the connection */
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (answer->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Called once with the headers, then for each part of a body, then to answer. */
static enum MHD_Result request_handle(void *arg, struct MHD_Connection *connection,
				      const char *path, const char *method, const char *version,
				      const char *upload, size_t *upload_length, void **request)
{
	struct answer answer = {.status = MHD_HTTP_OK};
	size_t *body_length = *request;

	(void)version;
	(void)upload;
	if (!body_length) {
		*request = calloc(1, sizeof(*body_length));
		return *request ? MHD_YES : MHD_NO;
	}
	/* Nobody reads a body, and nobody may send one for ever. */
	*body_length += *upload_length;
	if (*body_length > API_BODY_BYTES)
		return MHD_NO;
	if (*upload_length) {
		*upload_length = 0;
		return MHD_YES;
	}
	answer_make(arg, connection, path, method, &answer);
	return answer_send(connection, &answer);
}

static void request_end(void *arg, struct MHD_Connection *connection, void **request,
			enum MHD_RequestTerminationCode how)
{
	(void)arg;
	(void)connection;
	(void)how;
	free(*request);
	*request = NULL;
}

/* ---- the loop ----------------------------------------------------------------- */

static void http_due(uv_timer_t *timer);
static void listen_again(uv_timer_t *timer);

static void http_run(struct api *api)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(api->httpd);
	if (MHD_get_timeout(api->httpd, &timeout_ms) == MHD_YES)
		uv_timer_start(&api->http_timer, http_due, timeout_ms, 0);
	else
		uv_timer_stop(&api->http_timer);
}

static void http_due(uv_timer_t *timer)
{
	http_run(timer->data);
}

static void http_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	http_run(poll->data);
}

/*
 * Connections are accepted here, since the library, left alone with a listening
 * socket, spins when the process has no descriptor left.  One beyond the limit
 * it closes at once.
 */
static void listen_readable(uv_poll_t *poll, int status, int events)
{
	struct api *api = poll->data;
	struct sockaddr_un address;
	socklen_t length;
	int fd;

	(void)status;
	(void)events;
	for (;;) {
		length = sizeof(address);
		fd = accept4(api->listen_fd, (struct sockaddr *)&address, &length,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		MHD_add_connection(api->httpd, fd, (struct sockaddr *)&address, length);
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		uv_poll_stop(&api->listen_poll);
		uv_timer_start(&api->listen_timer, listen_again, API_ACCEPT_REST_MS, 0);
	}
	http_run(api);
}

static void listen_again(uv_timer_t *timer)
{
	struct api *api = timer->data;

	uv_poll_start(&api->listen_poll, UV_READABLE, listen_readable);
}

static int httpd_start(struct api *api, struct error *error)
{
	api->httpd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, request_handle, api,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)API_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_CONNECTION_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)API_TIMEOUT_S,
		MHD_OPTION_NOTIFY_COMPLETED, request_end, NULL, MHD_OPTION_END);
	if (!api->httpd)
		return error_set(error, -EIO, "--control: can't start the HTTP server");
	return 0;
}

static void handles_start(struct api *api, uv_loop_t *loop)
{
	int http_fd = MHD_get_daemon_info(api->httpd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int err;

	uv_timer_init(loop, &api->http_timer);
	uv_timer_init(loop, &api->listen_timer);
	err = uv_poll_init(loop, &api->http_poll, http_fd);
	assert(!err); /* both can be polled, and nobody else does */
	err = uv_poll_init(loop, &api->listen_poll, api->listen_fd);
	assert(!err);
	api->http_timer.data = api->listen_timer.data = api;
	api->http_poll.data = api->listen_poll.data = api;
	api->handles = 4;
	uv_poll_start(&api->http_poll, UV_READABLE, http_readable);
	uv_poll_start(&api->listen_poll, UV_READABLE, listen_readable);
}

int api_open(const char *path, uv_loop_t *loop, const struct view *view,
	     const struct api_calls *calls, struct api **ret, struct error *error)
{
	struct api *api = calloc(1, sizeof(*api));
	int err = -ENOMEM;

	if (api)
		api->path = strdup(path);
	if (!api || !api->path) {
		free(api);
		return error_set(error, err, "no memory");
	}
	api->view = view;
	api->calls = *calls;
	api->listen_fd = err = api_socket_open(path, error);
	if (err < 0)
		goto fail;
	err = httpd_start(api, error);
	if (err) {
		close(api->listen_fd);
		unlink(path);
		goto fail;
	}
	handles_start(api, loop);
	*ret = api;
	return 0;
fail:
	free(api->path);
	free(api);
	return err;
}

static void handle_closed(uv_handle_t *handle)
{
	struct api *api = handle->data;

	if (--api->handles)
		return;
	MHD_stop_daemon(api->httpd);
	close(api->listen_fd);
	free(api->traffic);
	free(api->flows);
	free(api->path);
	free(api);
}

void api_close(struct api *api)
{
	if (!api)
		return;
	unlink(api->path);
	uv_close((uv_handle_t *)&api->http_poll, handle_closed);
	uv_close((uv_handle_t *)&api->http_timer, handle_closed);
	uv_close((uv_handle_t *)&api->listen_poll, handle_closed);
	uv_close((uv_handle_t *)&api->listen_timer, handle_closed);
}
