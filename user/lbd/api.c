/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "api.h"

#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_filter.h"
#include "api_socket.h"
#include "httpd.h"
#include "show.h"

#define API_BODY_BYTES (64 * 1024) /* no request needs one */
#define API_FLOWS_MS 1000	   /* flows are counted at most so often: it walks all of them */

struct api {
	char *path;
	const struct view *view;
	struct api_calls calls;
	struct httpd *httpd;
	uv_loop_t *loop;

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

/* Returns 0 or -errno. */
static int counters_read(struct api *api)
{
	const struct maps *maps = api->view->maps;
	uint64_t now_ms = uv_now(api->loop);
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

/* *ret = the Service that is asked for, NULL = all.  false: the answer is an error. */
static bool service_read(struct MHD_Connection *connection, const char **ret, struct answer *answer)
{
	struct error error;
	int err = api_filter_service(connection, ret, &error);

	if (err)
		answer_error(answer, MHD_HTTP_BAD_REQUEST, error.text);
	return !err;
}

static void get_services(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	const char *service;

	if (service_read(connection, &service, answer))
		answer->text = view_services(api->view, service, &answer->length);
}

static void get_backends(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	const char *service;
	int err;

	if (!service_read(connection, &service, answer))
		return;
	err = counters_read(api);
	if (err)
		answer_errno(answer, "can't read the counters", err);
	else
		answer->text = view_backends(api->view, service, api->traffic, api->flows,
					     &answer->length);
}

/* Both in one object. */
static void get_describe(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	struct answer backends = {.status = MHD_HTTP_OK};
	char *both = NULL;
	int length;

	get_services(api, connection, answer);
	if (answer->status != MHD_HTTP_OK || !answer->text)
		return;
	get_backends(api, connection, &backends);
	if (backends.status != MHD_HTTP_OK || !backends.text) {
		free(answer->text);
		*answer = backends;
		return;
	}
	length = asprintf(&both, "%.*s,%s", (int)answer->length - 1, answer->text,
			  backends.text + 1);
	free(answer->text);
	free(backends.text);
	answer->text = length < 0 ? NULL : both;
	answer->length = length < 0 ? 0 : (size_t)length;
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

/* One of show.h's. */
static void answer_show(struct api *api, struct MHD_Connection *connection,
			int (*show)(const struct maps *maps, const struct show_filter *filter,
				    struct rows *to),
			struct answer *answer)
{
	struct show_filter filter;
	struct error error;
	struct rows rows;
	int err;

	if (api_filter_read(connection, &filter, &error)) {
		answer_error(answer, MHD_HTTP_BAD_REQUEST, error.text);
		return;
	}
	rows_begin(&rows);
	err = show(api->view->maps, &filter, &rows);
	answer->text = rows_end(&rows, &answer->length);
	if (err) {
		free(answer->text);
		answer_errno(answer, "can't read the maps", err);
	}
}

static void get_flows(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	answer_show(api, connection, show_flows, answer);
}

static void get_affinity(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	answer_show(api, connection, show_affinity, answer);
}

static void get_rings(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	answer_show(api, connection, show_rings, answer);
}

static void get_stats(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	answer_show(api, connection, show_stats, answer);
}

static void get_diff(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	struct error error;
	struct plan *plan;

	(void)connection;
	if (api->calls.diff(api->calls.arg, &plan, &error)) {
		answer_error(answer, MHD_HTTP_SERVICE_UNAVAILABLE, error.text);
		return;
	}
	answer->text = view_diff(api->view, plan, &answer->length);
	plan_free(plan);
}

static void get_export(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	answer->text = view_export(
		api->view,
		MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "service"),
		&answer->length);
}

/* {"KEY":NUMBER} */
static void answer_number(struct answer *answer, const char *key, uint64_t number)
{
	json_t *object = json_pack("{s:I}", key, (json_int_t)number);

	answer->text = json_dumps(object, JSON_COMPACT);
	answer->length = answer->text ? strlen(answer->text) : 0;
	json_decref(object);
}

/* Never all of them by an empty request. */
static void post_flows_delete(struct api *api, struct MHD_Connection *connection,
			      struct answer *answer)
{
	struct show_filter filter;
	struct error error;
	uint32_t n;
	int err;

	if (api_filter_read(connection, &filter, &error)) {
		answer_error(answer, MHD_HTTP_BAD_REQUEST, error.text);
		return;
	}
	if (!filter.service && !filter.backend.family && !filter.client.family) {
		answer_error(answer, MHD_HTTP_BAD_REQUEST,
			     "a service, a backend or a client has to be named");
		return;
	}
	err = show_flows_delete(api->view->maps, &filter, &n);
	if (err)
		answer_errno(answer, "can't delete flows", err);
	else
		answer_number(answer, "deleted", n);
}

static void post_sync(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	struct error error;
	uint64_t revision;

	(void)connection;
	if (api->calls.sync(api->calls.arg, &revision, &error)) {
		answer_error(answer, MHD_HTTP_SERVICE_UNAVAILABLE, error.text);
		return;
	}
	answer_number(answer, "revision", revision);
}

static void drain_set_by(struct api *api, struct MHD_Connection *connection, bool drain,
			 struct answer *answer)
{
	const char *address =
		MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "address");
	const char *port = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "port");
	unsigned long number = 0;
	char *end = NULL;
	struct error error;
	struct addr addr;
	size_t n;
	int err;

	if (port)
		number = strtoul(port, &end, 10);
	if (!address || addr_parse(address, &addr)) {
		answer_error(answer, MHD_HTTP_BAD_REQUEST, "address: an IP address expected");
		return;
	}
	if (port && (*port < '0' || *port > '9' || *end || number > UINT16_MAX)) {
		answer_error(answer, MHD_HTTP_BAD_REQUEST, "port: a number expected");
		return;
	}
	err = api->calls.drain(api->calls.arg, &addr, number, drain, &n, &error);
	if (err) {
		answer_error(answer,
			     err == -ENOENT   ? MHD_HTTP_NOT_FOUND
			     : err == -EEXIST ? MHD_HTTP_CONFLICT
					      : MHD_HTTP_SERVICE_UNAVAILABLE,
			     error.text);
		return;
	}
	answer_number(answer, "backends", n);
}

static void post_drain(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	drain_set_by(api, connection, true, answer);
}

static void post_undrain(struct api *api, struct MHD_Connection *connection, struct answer *answer)
{
	drain_set_by(api, connection, false, answer);
}

static const struct route {
	const char *path, *method;
	void (*answer)(struct api *api, struct MHD_Connection *connection, struct answer *answer);
} routes[] = {
	{"/v1/services", MHD_HTTP_METHOD_GET, get_services},
	{"/v1/services/describe", MHD_HTTP_METHOD_GET, get_describe},
	{"/v1/backends", MHD_HTTP_METHOD_GET, get_backends},
	{"/v1/backends/drain", MHD_HTTP_METHOD_POST, post_drain},
	{"/v1/backends/undrain", MHD_HTTP_METHOD_POST, post_undrain},
	{"/v1/status", MHD_HTTP_METHOD_GET, get_status},
	{"/v1/flows", MHD_HTTP_METHOD_GET, get_flows},
	{"/v1/flows/delete", MHD_HTTP_METHOD_POST, post_flows_delete},
	{"/v1/affinity", MHD_HTTP_METHOD_GET, get_affinity},
	{"/v1/rings", MHD_HTTP_METHOD_GET, get_rings},
	{"/v1/stats", MHD_HTTP_METHOD_GET, get_stats},
	{"/v1/diff", MHD_HTTP_METHOD_GET, get_diff},
	{"/v1/export", MHD_HTTP_METHOD_GET, get_export},
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

/* ---- life ------------------------------------------------------------------------ */

static void api_free(void *arg)
{
	struct api *api = arg;

	free(api->traffic);
	free(api->flows);
	free(api->path);
	free(api);
}

int api_open(const char *path, uv_loop_t *loop, const struct view *view,
	     const struct api_calls *calls, struct api **ret, struct error *error)
{
	struct api *api = calloc(1, sizeof(*api));
	const struct httpd_calls httpd_calls = {
		.handle = request_handle, .completed = request_end, .closed = api_free, .arg = api};
	int err, listen_fd;

	if (api)
		api->path = strdup(path);
	if (!api || !api->path) {
		free(api);
		return error_set(error, -ENOMEM, "no memory");
	}
	api->loop = loop;
	api->view = view;
	api->calls = *calls;
	listen_fd = err = api_socket_open(path, error);
	if (err >= 0) {
		err = httpd_open(listen_fd, loop, &httpd_calls, &api->httpd, error);
		if (err) {
			error_prefix(error, err, "--control");
			close(listen_fd);
			unlink(path);
		}
	}
	if (err < 0) {
		api_free(api);
		return err;
	}
	*ret = api;
	return 0;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	unlink(api->path);
	httpd_close(api->httpd);
}
