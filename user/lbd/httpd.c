/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "httpd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 64
#define CONNECTION_BYTES (32 * 1024) /* headers, mostly */
#define TIMEOUT_S 10
#define ACCEPT_REST_MS 100 /* after a lack of descriptors or memory */

struct httpd {
	struct httpd_calls calls;
	int listen_fd;
	struct MHD_Daemon *daemon;
	uv_poll_t http_poll, listen_poll;
	uv_timer_t http_timer, listen_timer;
	int handles; /* that aren't closed yet */
};

static void http_due(uv_timer_t *timer);
static void listen_again(uv_timer_t *timer);

static void http_run(struct httpd *httpd)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(httpd->daemon);
	if (MHD_get_timeout(httpd->daemon, &timeout_ms) == MHD_YES)
		uv_timer_start(&httpd->http_timer, http_due, timeout_ms, 0);
	else
		uv_timer_stop(&httpd->http_timer);
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
	struct httpd *httpd = poll->data;
	struct sockaddr_storage address;
	socklen_t length;
	int fd;

	(void)status;
	(void)events;
	for (;;) {
		length = sizeof(address);
		fd = accept4(httpd->listen_fd, (struct sockaddr *)&address, &length,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		MHD_add_connection(httpd->daemon, fd, (struct sockaddr *)&address, length);
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		uv_poll_stop(&httpd->listen_poll);
		uv_timer_start(&httpd->listen_timer, listen_again, ACCEPT_REST_MS, 0);
	}
	http_run(httpd);
}

static void listen_again(uv_timer_t *timer)
{
	struct httpd *httpd = timer->data;

	uv_poll_start(&httpd->listen_poll, UV_READABLE, listen_readable);
}

static void ignore_completed(void *arg, struct MHD_Connection *connection, void **request,
			     enum MHD_RequestTerminationCode how)
{
	(void)arg;
	(void)connection;
	(void)request;
	(void)how;
}

static void handles_start(struct httpd *httpd, uv_loop_t *loop)
{
	int http_fd = MHD_get_daemon_info(httpd->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int err;

	uv_timer_init(loop, &httpd->http_timer);
	uv_timer_init(loop, &httpd->listen_timer);
	err = uv_poll_init(loop, &httpd->http_poll, http_fd);
	assert(!err); /* both can be polled, and nobody else does */
	err = uv_poll_init(loop, &httpd->listen_poll, httpd->listen_fd);
	assert(!err);
	httpd->http_timer.data = httpd->listen_timer.data = httpd;
	httpd->http_poll.data = httpd->listen_poll.data = httpd;
	httpd->handles = 4;
	uv_poll_start(&httpd->http_poll, UV_READABLE, http_readable);
	uv_poll_start(&httpd->listen_poll, UV_READABLE, listen_readable);
}

int httpd_open(int listen_fd, uv_loop_t *loop, const struct httpd_calls *calls, struct httpd **ret,
	       struct error *error)
{
	struct httpd *httpd = calloc(1, sizeof(*httpd));

	if (!httpd)
		return error_set(error, -ENOMEM, "no memory");
	httpd->calls = *calls;
	httpd->listen_fd = listen_fd;
	httpd->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, calls->handle, calls->arg,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED,
		calls->completed ? calls->completed : ignore_completed, calls->arg, MHD_OPTION_END);
	if (!httpd->daemon) {
		free(httpd);
		return error_set(error, -EIO, "can't start the HTTP server");
	}
	handles_start(httpd, loop);
	*ret = httpd;
	return 0;
}

static void handle_closed(uv_handle_t *handle)
{
	struct httpd *httpd = handle->data;

	if (--httpd->handles)
		return;
	MHD_stop_daemon(httpd->daemon);
	close(httpd->listen_fd);
	if (httpd->calls.closed)
		httpd->calls.closed(httpd->calls.arg);
	free(httpd);
}

void httpd_close(struct httpd *httpd)
{
	if (!httpd)
		return;
	uv_close((uv_handle_t *)&httpd->http_poll, handle_closed);
	uv_close((uv_handle_t *)&httpd->http_timer, handle_closed);
	uv_close((uv_handle_t *)&httpd->listen_poll, handle_closed);
	uv_close((uv_handle_t *)&httpd->listen_timer, handle_closed);
}

bool httpd_is_complete(size_t *data_bytes, void **request)
{
	static char headers_seen;
	bool complete = *request == &headers_seen && !*data_bytes;

	*request = &headers_seen;
	*data_bytes = 0;
	return complete;
}
