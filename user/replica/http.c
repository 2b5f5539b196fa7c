/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <jansson.h>
#include <microhttpd.h>

#include "http.h"

#define MAX_BODY_BYTES (64 * 1024) /* of a request; more is 413 */
#define MAX_HEADER_BYTES (8 * 1024)
#define IDLE_S 300 /* a silent connection is closed */
#define BACKLOG 4096
#define SPARE_FDS 16 /* of the limit, for all but connections */

static const struct app *const apps[] = {&app_info};

struct http {
	struct MHD_Daemon *daemon;
	const struct app *app;
	const struct replica *replica;
	unsigned int in_flight; /* requests begun and not ended */
	int64_t last_end_ms;
};

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct app *http_app(const char *name)
{
	for (size_t i = 0; i < sizeof(apps) / sizeof(apps[0]); i++) {
		if (!strcmp(apps[i]->name, name))
			return apps[i];
	}
	return NULL;
}

const char *http_app_names(char *buf, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < sizeof(apps) / sizeof(apps[0]) && used < size; i++)
		used += snprintf(buf + used, size - used, "%s%s", i ? " " : "", apps[i]->name);
	return buf;
}

/* ---- routes ------------------------------------------------------------ */

static int serve_health(const struct replica *replica, struct reply *reply)
{
	json_t *health =
		json_pack("{s:s, s:s}", "status", replica->draining ? "terminating" : "healthy",
			  "pod", replica->identity.pod);

	reply->body = json_dumps(health, JSON_COMPACT);
	json_decref(health);
	if (replica->draining)
		reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	return reply->body ? 0 : -ENOMEM;
}

static int serve_info(const struct replica *replica, struct reply *reply)
{
	char timestamp[TIMESTAMP_STRLEN];

	reply->body = identity_info(&replica->identity, timestamp_now(timestamp));
	return reply->body ? 0 : -ENOMEM;
}

static const struct route common_routes[] = {
	{"/health", serve_health},
	{"/info", serve_info},
	{NULL, NULL},
};

static const struct route *route_find(const struct route *table, const char *path)
{
	while (table->path && strcmp(table->path, path))
		table++;
	return table->path ? table : NULL;
}

/* ---- answers ----------------------------------------------------------- */

static enum MHD_Result answer(const struct http *http, struct MHD_Connection *connection,
			      const struct reply *reply)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(reply->body), reply->body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(reply->body);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				reply->type ? reply->type : "application/json");
	if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (http->replica->draining)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_error(const struct http *http, struct MHD_Connection *connection,
				    unsigned int status, const char *text)
{
	json_t *error = json_pack("{s:s}", "error", text);
	struct reply reply = {.status = status, .body = json_dumps(error, JSON_COMPACT)};

	json_decref(error);
	return reply.body ? answer(http, connection, &reply) : MHD_NO;
}

static enum MHD_Result answer_request(const struct http *http, struct MHD_Connection *connection,
				      const char *path, const char *method)
{
	const struct route *route = route_find(common_routes, path);
	struct reply reply = {.status = MHD_HTTP_OK};

	if (!route)
		route = route_find(http->app->routes, path);
	if (!route)
		return answer_error(http, connection, MHD_HTTP_NOT_FOUND, "no such path");
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_error(http, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				    "the method must be GET or HEAD");
	if (route->serve(http->replica, &reply))
		return answer_error(http, connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
				    "out of memory");
	return answer(http, connection, &reply);
}

/* ---- libmicrohttpd's callbacks ----------------------------------------- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Why a request's body isn't read; NULL = it is.  *ret_status is for the answer. */
static const char *body_refusal(struct MHD_Connection *connection, unsigned int *ret_status)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		*ret_status = MHD_HTTP_LENGTH_REQUIRED;
		return "a body needs a Content-Length";
	}
	if (length && strtoull(length, NULL, 10) > MAX_BODY_BYTES) {
		*ret_status = MHD_HTTP_CONTENT_TOO_LARGE;
		return "the body is too long";
	}
	return NULL;
}

/* How far a request is: what *context points to. */
static char first_line_seen, headers_seen;

static void *on_first_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct http *http = arg;

	(void)uri;
	(void)connection;
	http->in_flight++;
	return &first_line_seen;
}

/*
 * Called once when the headers are read, then for each piece of the body, then
 * once more.  Only in the last call an answer leaves the connection open, so
 * bodies are read, and thrown away.
 */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *data_bytes, void **context)
{
	struct http *http = arg;
	unsigned int status;
	const char *refusal;

	(void)version;
	(void)data;
	if (*context == &first_line_seen) {
		*context = &headers_seen;
		refusal = body_refusal(connection, &status);
		return refusal ? answer_error(http, connection, status, refusal) : MHD_YES;
	}
	if (*data_bytes) {
		*data_bytes = 0;
		return MHD_YES;
	}
	return answer_request(http, connection, path, method);
}

static void on_end(void *arg, struct MHD_Connection *connection, void **context,
		   enum MHD_RequestTerminationCode code)
{
	struct http *http = arg;

	(void)connection;
	(void)code;
	(void)context;
	http->in_flight--;
	http->last_end_ms = clock_ms();
}

/* ---- life -------------------------------------------------------------- */

/* As many connections as files may be open. */
static unsigned int connection_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return 1024 - SPARE_FDS;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files); /* raising to the hard limit is always allowed */
	if (files.rlim_cur > INT_MAX)
		return INT_MAX;
	return files.rlim_cur > SPARE_FDS ? files.rlim_cur - SPARE_FDS : 1;
}

static struct MHD_Daemon *daemon_start(struct http *http, uint16_t port, unsigned int flags)
{
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_first_line, http},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_end, http},
		{MHD_OPTION_CONNECTION_LIMIT, connection_limit(), NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MAX_HEADER_BYTES, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, NULL},
		{MHD_OPTION_LISTEN_BACKLOG_SIZE, BACKLOG, NULL},
		{MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO | flags, port, NULL, NULL, on_request,
				http, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

int http_open(uint16_t port, const struct app *app, const struct replica *replica,
	      struct http **ret)
{
	struct http *http = calloc(1, sizeof(*http));
	int err;

	if (!http)
		return -ENOMEM;
	http->app = app;
	http->replica = replica;
	errno = 0;
	http->daemon = daemon_start(http, port, MHD_USE_DUAL_STACK);
	if (!http->daemon && errno == EAFNOSUPPORT)
		http->daemon = daemon_start(http, port, 0);
	if (!http->daemon) {
		err = errno ? -errno : -ENOMEM;
		free(http);
		return err;
	}
	*ret = http;
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	MHD_stop_daemon(http->daemon);
	free(http);
}

int http_fd(const struct http *http)
{
	return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int http_timeout_ms(const struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(http->daemon, &ms) != MHD_YES)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

void http_run(struct http *http)
{
	MHD_run(http->daemon);
}

int64_t http_idle_since_ms(const struct http *http)
{
	return http->in_flight ? -1 : http->last_end_ms;
}
