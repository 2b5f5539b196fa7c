/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <jansson.h>
#include <microhttpd.h>

#include "clients.h"
#include "http.h"
#include "http_headers.h"

#define MAX_READ_BYTES (1024 * 1024) /* of a body that is too long, before we hang up */
#define MAX_HEADER_BYTES (8 * 1024)
#define BACKLOG 4096
#define SPARE_FDS 16 /* of the limit, for all but connections */

static const struct app *const apps[] = {&app_info, &app_sale, &app_hello, &app_coinflip};

/* What libmicrohttpd's *context is from a request's first line on. */
struct request {
	struct http *http;
	struct MHD_Connection *connection;
	bool headers_seen;
	enum {
		REQUEST_READ,	  /* it comes in, or nobody has looked at it */
		REQUEST_WAITS,	  /* suspended: its face answers later */
		REQUEST_ANSWERED, /* ... has answered: to be sent */
	} state;
	struct reply reply;
	char *body;	   /* MAX_BODY_BYTES at most */
	size_t body_bytes; /* that have come */
};

struct http {
	struct MHD_Daemon *daemon;
	const struct app *app;
	const struct replica *replica;
	unsigned int in_flight; /* requests begun and not ended */
	int64_t last_end_ms;
	struct clients clients;
};

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

static int serve_health(const struct replica *replica, struct request *request, struct reply *reply)
{
	json_t *health =
		json_pack("{s:s, s:s}", "status", replica->draining ? "terminating" : "healthy",
			  "pod", replica->identity.pod);

	(void)request;
	reply->body = json_dumps(health, JSON_COMPACT);
	json_decref(health);
	if (replica->draining)
		reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	return reply->body ? 0 : -ENOMEM;
}

static int serve_info(const struct replica *replica, struct request *request, struct reply *reply)
{
	char timestamp[TIMESTAMP_STRLEN];

	(void)request;
	reply->body = identity_info(&replica->identity, timestamp_now(timestamp));
	return reply->body ? 0 : -ENOMEM;
}

static const struct route common_routes[] = {
	{"/health", false, serve_health},
	{"/info", false, serve_info},
	{0},
};

static const struct route *route_find(const struct route *table, const char *path)
{
	while (table->path && strcmp(table->path, path))
		table++;
	return table->path ? table : NULL;
}

/* ---- answers ----------------------------------------------------------- */

static enum MHD_Result answer(const struct http *http, struct MHD_Connection *connection,
			      const struct reply *reply, const char *allow)
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
	if (allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	if (http->replica->draining)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

int reply_error(struct reply *reply, unsigned int status, const char *text)
{
	json_t *error = json_pack("{s:s}", "error", text);

	reply->status = status;
	reply->type = NULL;
	reply->body = json_dumps(error, JSON_COMPACT);
	json_decref(error);
	return reply->body ? 0 : -ENOMEM;
}

static enum MHD_Result answer_error(const struct request *request, unsigned int status,
				    const char *text, const char *allow)
{
	struct reply reply;

	if (reply_error(&reply, status, text))
		return MHD_NO;
	return answer(request->http, request->connection, &reply, allow);
}

static bool method_fits(const struct route *route, const char *method)
{
	if (route->post)
		return !strcmp(method, MHD_HTTP_METHOD_POST);
	return !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
}

static enum MHD_Result answer_request(struct request *request, const char *path, const char *method)
{
	const struct http *http = request->http;
	const struct route *route = route_find(common_routes, path);
	struct reply reply = {.status = MHD_HTTP_OK};
	int err;

	if (!route)
		route = route_find(http->app->routes, path);
	if (!route)
		return answer_error(request, MHD_HTTP_NOT_FOUND, "no such path", NULL);
	if (!method_fits(route, method))
		return answer_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
				    route->post ? "the method must be POST"
						: "the method must be GET or HEAD",
				    route->post ? "POST" : "GET, HEAD");
	err = route->serve(http->replica, request, &reply);
	if (err < 0)
		return answer_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory", NULL);
	if (err == LATER) {
		request->state = REQUEST_WAITS;
		MHD_suspend_connection(request->connection);
		return MHD_YES;
	}
	return answer(http, request->connection, &reply, NULL);
}

/* ---- for the faces -------------------------------------------------------- */

const char *request_parameter(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_body(const struct request *request, size_t *ret_bytes)
{
	*ret_bytes = request->body_bytes;
	return request->body ? request->body : "";
}

void request_answer(struct request *request, struct reply *reply)
{
	request->reply = *reply;
	request->state = REQUEST_ANSWERED;
	MHD_resume_connection(request->connection);
}

/* ---- libmicrohttpd's callbacks ----------------------------------------- */

static struct client *client_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = client_add(
			&http->clients,
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				->connect_fd);
	} else {
		client_remove(*context);
		*context = NULL;
	}
}

static void client_turns(struct MHD_Connection *connection, int64_t may_take_ms)
{
	struct client *client = client_of(connection);

	if (client)
		client_may_take(client, may_take_ms);
}

static void *on_first_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));
	struct http *http = arg;

	(void)uri;
	http->in_flight++;
	client_turns(connection, CLIENT_REQUEST_MS);
	if (request) {
		request->http = http;
		request->connection = connection;
	}
	return request;
}

/* What is too long is counted, so that it can be answered when it has come: in its
 * midst libmicrohttpd takes no answer. */
static enum MHD_Result body_add(struct request *request, const char *data, size_t bytes)
{
	size_t before = request->body_bytes;
	char *grown;

	request->body_bytes += bytes;
	if (request->body_bytes > MAX_BODY_BYTES)
		return request->body_bytes > MAX_READ_BYTES ? MHD_NO : MHD_YES;
	grown = realloc(request->body, request->body_bytes + 1);
	if (!grown)
		return MHD_NO;
	memcpy(grown + before, data, bytes);
	request->body = grown;
	grown[request->body_bytes] = '\0';
	return MHD_YES;
}

/*
 * Called once when the headers are read, then for each piece of the body, then
 * once more, and again where it was suspended there.  Only in the last call an
 * answer leaves the connection open, so bodies are read in any case.
 */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *data_bytes, void **context)
{
	struct request *request = *context;
	enum MHD_Result result;
	const char *refusal;
	unsigned int status;

	(void)arg;
	if (!request)
		return MHD_NO;
	if (!request->headers_seen) {
		request->headers_seen = true;
		refusal = headers_refusal(connection, version, &status);
		return refusal ? answer_error(request, status, refusal, NULL) : MHD_YES;
	}
	if (*data_bytes) {
		result = body_add(request, data, *data_bytes);
		*data_bytes = 0;
		return result;
	}
	if (request->state == REQUEST_ANSWERED) {
		request->state = REQUEST_READ;
		return answer(request->http, connection, &request->reply, NULL);
	}
	if (request->body_bytes > MAX_BODY_BYTES)
		return answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long",
				    NULL);
	return answer_request(request, path, method);
}

static void on_end(void *arg, struct MHD_Connection *connection, void **context,
		   enum MHD_RequestTerminationCode code)
{
	struct request *request = *context;
	struct http *http = arg;

	(void)code;
	client_turns(connection, CLIENT_IDLE_MS);
	http->in_flight--;
	http->last_end_ms = clock_ms();
	if (!request)
		return;
	if (request->state == REQUEST_ANSWERED)
		free(request->reply.body);
	free(request->body);
	free(request);
	*context = NULL;
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
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, http},
		{MHD_OPTION_CONNECTION_LIMIT, connection_limit(), NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MAX_HEADER_BYTES, NULL},
		{MHD_OPTION_LISTEN_BACKLOG_SIZE, BACKLOG, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | flags,
				port, NULL, NULL, on_request, http, MHD_OPTION_ARRAY, options,
				MHD_OPTION_END);
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
	int check_ms = clients_timeout_ms(&http->clients);
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(http->daemon, &ms) != MHD_YES ||
	    (check_ms >= 0 && ms > (unsigned int)check_ms))
		return check_ms;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

void http_run(struct http *http)
{
	clients_check(&http->clients);
	MHD_run(http->daemon);
}

int64_t http_idle_since_ms(const struct http *http)
{
	return http->in_flight ? -1 : http->last_end_ms;
}
