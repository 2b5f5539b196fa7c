/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "httpd.h"
#include "metrics.h"
#include "tcp_listen.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct monitor {
	struct httpd *httpd;
	const struct view *view;
	struct metrics_flows flows;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *type, char *text, size_t length,
			      enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, text, mode);
	enum MHD_Result result;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_line(struct MHD_Connection *connection, unsigned int status,
				   const char *line)
{
	return answer(connection, status, "text/plain", (char *)line, strlen(line),
		      MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result request_handle(void *arg, struct MHD_Connection *connection,
				      const char *path, const char *method, const char *version,
				      const char *data, size_t *data_bytes, void **request)
{
	struct monitor *monitor = arg;
	const struct view *view = monitor->view;
	size_t length;
	char *text;

	(void)version;
	(void)data;
	if (!httpd_is_complete(data_bytes, request))
		return MHD_YES;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				   "the method must be GET or HEAD\n");
	if (!strcmp(path, "/livez"))
		return answer_line(connection, MHD_HTTP_OK, "ok\n");
	if (!strcmp(path, "/healthz")) /* rule 78: load balancers ask here, too */
		return view->snapshot->node.deleting
			       ? answer_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
					     "this node is to be deleted\n")
			       : answer_line(connection, MHD_HTTP_OK, "ok\n");
	if (!strcmp(path, "/readyz"))
		return view->synced_revision ? answer_line(connection, MHD_HTTP_OK, "ok\n")
					     : answer_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
							   "not everything has been synced yet\n");
	if (strcmp(path, "/metrics"))
		return answer_line(connection, MHD_HTTP_NOT_FOUND,
				   "/metrics, /livez, /healthz and /readyz are here\n");
	text = metrics_text(view, &monitor->flows, &length);
	if (!text)
		return answer_line(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
				   "the counters can't be read\n");
	return answer(connection, MHD_HTTP_OK, METRICS_TYPE, text, length, MHD_RESPMEM_MUST_FREE);
}

int monitor_open(const struct addr *addr, uint16_t port, uv_loop_t *loop, const struct view *view,
		 struct monitor **ret, struct error *error)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));
	const struct httpd_calls calls = {.handle = request_handle, .closed = free, .arg = monitor};
	char text[ADDR_PORT_STRLEN];
	int err, fd;

	if (!monitor)
		return error_set(error, -ENOMEM, "no memory");
	monitor->view = view;
	fd = err = tcp_listen(addr, port);
	if (err < 0)
		error_set(error, err, "--listen: %s: %s", addr_port_format(addr, port, text),
			  strerror(-err));
	else
		err = httpd_open(fd, loop, &calls, &monitor->httpd, error);
	if (err) {
		if (fd >= 0)
			close(fd);
		free(monitor);
		return err;
	}
	*ret = monitor;
	return 0;
}

void monitor_close(struct monitor *monitor)
{
	if (monitor)
		httpd_close(monitor->httpd);
}
