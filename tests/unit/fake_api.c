/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "fake_api.h"

#include <arpa/inet.h>
#include <assert.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define OBJECTS_MAX 4096
#define EVENTS_MAX 65536
#define REQUESTS_MAX 8192
#define HUGE_BYTES (40U << 20)

struct stored {
	char collection[32], name[128];
	json_t *object; /* NULL = deleted */
};

struct event {
	unsigned int version;
	char collection[32];
	const char *type;
	json_t *object;
};

struct connection {
	struct fake_api *api;
	pthread_t thread;
	int fd;
	bool used;
};

struct fake_api {
	pthread_mutex_t lock;
	pthread_cond_t news;
	pthread_t thread;
	int listener;
	uint16_t port;
	char url[64];
	bool ending, down;
	struct connection connections[CONNECTIONS_MAX];

	struct stored objects[OBJECTS_MAX];
	size_t nobjects;
	struct event events[EVENTS_MAX];
	size_t nevents;
	unsigned int version, oldest, page;
	char token[64];

	enum fake_api_fault fault;
	char match[64];
	int times;
	char *requests[REQUESTS_MAX];
	size_t nrequests;
};

/* ---- answers --------------------------------------------------------------- */

static bool put(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		size -= n;
	}
	return true;
}

static bool answer(int fd, int status, const char *header, const char *body)
{
	char head[256];

	snprintf(head, sizeof(head),
		 "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
		 status, header, strlen(body));
	return put(fd, head, strlen(head)) && put(fd, body, strlen(body));
}

static bool put_chunk(int fd, const char *bytes, size_t size)
{
	char head[32];

	snprintf(head, sizeof(head), "%zx\r\n", size);
	return put(fd, head, strlen(head)) && put(fd, bytes, size) && put(fd, "\r\n", 2);
}

static bool put_event(int fd, const char *type, json_t *object)
{
	json_t *event = json_pack("{s:s, s:O}", "type", type, "object", object);
	char *line = json_dumps(event, JSON_COMPACT);
	bool ok;

	line = realloc(line, strlen(line) + 2);
	strcat(line, "\n");
	ok = put_chunk(fd, line, strlen(line));
	free(line);
	json_decref(event);
	return ok;
}

/* ---- requests ----------------------------------------------------------------- */

static unsigned int parameter(const char *url, const char *name)
{
	const char *at = strstr(url, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static const char *collection_of(const char *url)
{
	return strstr(url, "/endpointslices") ? "endpointslices"
	       : strstr(url, "/services")     ? "services"
	       : strstr(url, "/nodes")	      ? "nodes"
					      : "networkpolicies";
}

static bool serve_list(struct fake_api *api, int fd, const char *url)
{
	unsigned int from = parameter(url, "continue="), limit = api->page, n = 0, seen = 0;
	json_t *items = json_array(), *list;
	char next[32] = "", version[32], *text;
	bool ok;

	pthread_mutex_lock(&api->lock);
	for (size_t i = 0; i < api->nobjects; i++) {
		const struct stored *stored = &api->objects[i];

		if (!stored->object || strcmp(stored->collection, collection_of(url)))
			continue;
		if (seen++ < from)
			continue;
		if (n == limit) {
			snprintf(next, sizeof(next), "%u", from + n);
			break;
		}
		json_array_append(items, stored->object);
		n++;
	}
	snprintf(version, sizeof(version), "%u", api->version);
	pthread_mutex_unlock(&api->lock);
	list = json_pack("{s:s, s:{s:s, s:s}, s:o}", "kind", "List", "metadata", "resourceVersion",
			 version, "continue", next, "items", items);
	text = json_dumps(list, JSON_COMPACT);
	ok = answer(fd, 200, "", text);
	free(text);
	json_decref(list);
	return ok;
}

static const char gone[] = "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}";

static bool serve_watch(struct fake_api *api, int fd, const char *url, enum fake_api_fault fault)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	unsigned int version = parameter(url, "resourceVersion=");
	const char *collection = collection_of(url);
	size_t next = 0;
	bool ok;

	pthread_mutex_lock(&api->lock);
	ok = version >= api->oldest;
	pthread_mutex_unlock(&api->lock);
	if (!ok)
		return answer(fd, 410, "", gone);
	if (!put(fd, head, strlen(head)))
		return false;
	if (fault == FAULT_GONE_EVENT) {
		json_t *status = json_loads(gone, 0, NULL);

		put_event(fd, "ERROR", status);
		json_decref(status);
		return false;
	}
	if (fault == FAULT_GARBAGE)
		return put_chunk(fd, "{\"type\":\n", 9) && false;
	if (fault == FAULT_HUGE) {
		char *line = malloc(HUGE_BYTES);

		memset(line, 'x', HUGE_BYTES);
		put_chunk(fd, line, HUGE_BYTES);
		free(line);
		return false;
	}
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		struct event event = {0};

		pthread_mutex_lock(&api->lock);
		while (next < api->nevents && (api->events[next].version <= version ||
					       strcmp(api->events[next].collection, collection)))
			next++;
		if (next < api->nevents)
			event = api->events[next++];
		ok = !api->ending && !api->down;
		pthread_mutex_unlock(&api->lock);
		if (!ok)
			return false;
		if (event.type) {
			if (fault == FAULT_CUT)
				return put_chunk(fd, "{\"type\":\"ADDED\",\"obj", 20) && false;
			if (!put_event(fd, event.type, event.object))
				return false;
		} else if (poll(&poll_fd, 1, 5) > 0) {
			return false; /* the client has gone */
		}
	}
}

static enum fake_api_fault fault_of(struct fake_api *api, const char *url)
{
	enum fake_api_fault fault = FAULT_NONE;

	pthread_mutex_lock(&api->lock);
	if (api->nrequests < REQUESTS_MAX)
		api->requests[api->nrequests++] = strdup(url);
	if (api->times && strstr(url, api->match)) {
		fault = api->fault;
		api->times--;
	}
	pthread_mutex_unlock(&api->lock);
	return fault;
}

static bool serve(struct fake_api *api, int fd, const char *request)
{
	char url[1024] = "", wanted[128];
	enum fake_api_fault fault;

	sscanf(request, "GET %1023s", url);
	fault = fault_of(api, url);
	snprintf(wanted, sizeof(wanted), "Authorization: Bearer %s\r\n", api->token);
	if (*api->token && !strstr(request, wanted))
		return answer(fd, 401, "", "{}");
	switch (fault) {
	case FAULT_500:
		return answer(fd, 500, "", "{}");
	case FAULT_429:
		return answer(fd, 429, "Retry-After: 1\r\n", "{}");
	case FAULT_403:
		return answer(fd, 403, "", "{}");
	case FAULT_401:
		return answer(fd, 401, "", "{}");
	case FAULT_GONE:
		return answer(fd, 410, "", gone);
	case FAULT_HTML:
		return answer(fd, 200, "", "<html>busy</html>");
	case FAULT_SILENCE:
		while (!api->ending && !api->down)
			usleep(5000);
		return false;
	default:
		break;
	}
	if (strstr(url, "watch=1"))
		return serve_watch(api, fd, url, fault);
	if (fault == FAULT_CUT)
		return put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"items\":[", 50) &&
		       false;
	return serve_list(api, fd, url);
}

static void *connection_run(void *arg)
{
	struct connection *connection = arg;
	char request[8192];
	size_t length = 0;

	for (;;) {
		ssize_t n = recv(connection->fd, request + length, sizeof(request) - 1 - length, 0);

		if (n <= 0)
			break;
		length += n;
		request[length] = '\0';
		if (!strstr(request, "\r\n\r\n"))
			continue;
		if (!serve(connection->api, connection->fd, request))
			break;
		length = 0;
	}
	shutdown(connection->fd, SHUT_RDWR);
	return NULL;
}

static void *listener_run(void *arg)
{
	struct fake_api *api = arg;

	for (;;) {
		struct pollfd poll_fd = {.fd = api->listener, .events = POLLIN};
		struct connection *connection = NULL;

		pthread_mutex_lock(&api->lock);
		for (int i = 0; i < CONNECTIONS_MAX; i++) {
			struct connection *c = &api->connections[i];

			if (c->used && !pthread_tryjoin_np(c->thread, NULL)) {
				close(c->fd);
				c->used = false;
			}
			if (!c->used)
				connection = c;
		}
		if (api->ending || api->down) {
			pthread_mutex_unlock(&api->lock);
			return NULL;
		}
		pthread_mutex_unlock(&api->lock);
		if (!connection || poll(&poll_fd, 1, 5) <= 0)
			continue;
		connection->api = api;
		connection->fd = accept(api->listener, NULL, NULL);
		if (connection->fd < 0)
			continue;
		pthread_mutex_lock(&api->lock);
		connection->used = true;
		assert(!pthread_create(&connection->thread, NULL, connection_run, connection));
		pthread_mutex_unlock(&api->lock);
	}
}

/* ---- life --------------------------------------------------------------------------- */

void fake_api_cut(struct fake_api *api)
{
	pthread_mutex_lock(&api->lock);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (api->connections[i].used)
			shutdown(api->connections[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&api->lock);
}

void fake_api_up(struct fake_api *api)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(api->port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(addr);
	int on = 1;

	api->down = false;
	api->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(api->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert(!bind(api->listener, (struct sockaddr *)&addr, sizeof(addr)));
	assert(!listen(api->listener, 64));
	assert(!getsockname(api->listener, (struct sockaddr *)&addr, &size));
	api->port = ntohs(addr.sin_port);
	assert(!pthread_create(&api->thread, NULL, listener_run, api));
}

void fake_api_down(struct fake_api *api)
{
	api->down = true;
	pthread_join(api->thread, NULL);
	close(api->listener);
	fake_api_cut(api);
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &api->connections[i];

		if (!connection->used)
			continue;
		pthread_join(connection->thread, NULL);
		close(connection->fd);
		connection->used = false;
	}
}

struct fake_api *fake_api_start(void)
{
	struct fake_api *api = calloc(1, sizeof(*api));

	pthread_mutex_init(&api->lock, NULL);
	api->version = 100;
	api->page = 500;
	fake_api_up(api);
	snprintf(api->url, sizeof(api->url), "http://127.0.0.1:%u", api->port);
	return api;
}

void fake_api_stop(struct fake_api *api)
{
	api->ending = true;
	fake_api_down(api);
	for (size_t i = 0; i < api->nobjects; i++)
		json_decref(api->objects[i].object);
	for (size_t i = 0; i < api->nevents; i++)
		json_decref(api->events[i].object);
	for (size_t i = 0; i < api->nrequests; i++)
		free(api->requests[i]);
	free(api);
}

const char *fake_api_url(const struct fake_api *api)
{
	return api->url;
}

/* ---- what it holds --------------------------------------------------------------------- */

static struct stored *stored_find(struct fake_api *api, const char *collection, const char *name)
{
	for (size_t i = 0; i < api->nobjects; i++)
		if (!strcmp(api->objects[i].collection, collection) &&
		    !strcmp(api->objects[i].name, name))
			return &api->objects[i];
	assert(api->nobjects < OBJECTS_MAX);
	snprintf(api->objects[api->nobjects].collection, 32, "%s", collection);
	snprintf(api->objects[api->nobjects].name, 128, "%s", name);
	return &api->objects[api->nobjects++];
}

static void happen(struct fake_api *api, const char *collection, const char *type, json_t *object)
{
	struct event *event = &api->events[api->nevents];
	char version[32];

	assert(api->nevents < EVENTS_MAX);
	snprintf(version, sizeof(version), "%u", ++api->version);
	event->version = api->version;
	event->type = type;
	snprintf(event->collection, sizeof(event->collection), "%s", collection);
	event->object = json_deep_copy(object);
	json_object_set_new(json_object_get(event->object, "metadata"), "resourceVersion",
			    json_string(version));
	api->nevents++;
}

void fake_api_put(struct fake_api *api, const char *collection, const char *name, const char *json)
{
	json_t *object = json_loads(json, 0, NULL);
	struct stored *stored;

	assert(object);
	pthread_mutex_lock(&api->lock);
	stored = stored_find(api, collection, name);
	happen(api, collection, stored->object ? "MODIFIED" : "ADDED", object);
	json_decref(stored->object);
	stored->object = object;
	pthread_mutex_unlock(&api->lock);
}

void fake_api_delete(struct fake_api *api, const char *collection, const char *name)
{
	struct stored *stored;

	pthread_mutex_lock(&api->lock);
	stored = stored_find(api, collection, name);
	assert(stored->object);
	happen(api, collection, "DELETED", stored->object);
	json_decref(stored->object);
	stored->object = NULL;
	pthread_mutex_unlock(&api->lock);
}

void fake_api_misbehave(struct fake_api *api, enum fake_api_fault fault, const char *match,
			int times)
{
	pthread_mutex_lock(&api->lock);
	api->fault = fault;
	snprintf(api->match, sizeof(api->match), "%s", match);
	api->times = times;
	pthread_mutex_unlock(&api->lock);
}

void fake_api_forget(struct fake_api *api)
{
	pthread_mutex_lock(&api->lock);
	api->oldest = ++api->version;
	pthread_mutex_unlock(&api->lock);
}

void fake_api_page(struct fake_api *api, unsigned int items)
{
	api->page = items;
}

void fake_api_need_token(struct fake_api *api, const char *token)
{
	snprintf(api->token, sizeof(api->token), "%s", token);
}

unsigned int fake_api_requests(struct fake_api *api, const char *match)
{
	unsigned int n = 0;

	pthread_mutex_lock(&api->lock);
	for (size_t i = 0; i < api->nrequests; i++)
		n += strstr(api->requests[i], match) != NULL;
	pthread_mutex_unlock(&api->lock);
	return n;
}
