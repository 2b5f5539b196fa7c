/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "health_ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "httpd.h"
#include "log.h"
#include "tcp_listen.h"

#define RETRY_MS 5000
#define SOON_MS 100 /* a socket that was closed goes in the loop's next turn */

struct health_port {
	LIST_ENTRY(health_port) link;
	const struct view *view;
	uint16_t port;
	char *namespace, *name;
	struct httpd *httpd; /* NULL = it couldn't be had */
	struct error why;    /* as it was told last */
	bool wanted;	     /* by the snapshot that is looked at */
};

struct health_ports {
	uv_loop_t *loop;
	const struct view *view;
	uv_timer_t retry;
	LIST_HEAD(, health_port) list;
};

/* ---- the answer ---------------------------------------------------------------- */

static bool is_of(const struct model_service *service, const struct health_port *port)
{
	return !strcmp(service->namespace, port->namespace) && !strcmp(service->name, port->name);
}

/* Is there an endpoint with this address among those of its Service before i? */
static bool seen_before(const struct model_service *first, const struct model_service *last,
			const struct addr *addr)
{
	for (const struct model_service *service = first; service <= last; service++) {
		if (service->family != addr->family)
			continue;
		for (size_t i = 0; i < service->nendpoints; i++) {
			const struct model_endpoint *e = &service->endpoints[i];

			if (service == last && &e->addr == addr)
				return false;
			if (e->local && e->ready && !addr_compare(&e->addr, addr))
				return true;
		}
	}
	return false;
}

/* Ready endpoints of this node, by address (rules 76 and 77): a pod with two ports is
 * one, and so is one with an address of each family. */
static size_t count_local(const struct health_port *port)
{
	const struct snapshot *snapshot = port->view->snapshot;
	const struct model_service *first = NULL;
	size_t n[2] = {0};

	for (size_t s = 0; s < snapshot->nservices; s++) {
		const struct model_service *service = &snapshot->services[s];

		if (!is_of(service, port))
			continue;
		first = first ? first : service;
		for (size_t i = 0; i < service->nendpoints; i++) {
			const struct model_endpoint *e = &service->endpoints[i];

			if (e->local && e->ready && !seen_before(first, service, &e->addr))
				n[service->family == 6]++;
		}
	}
	return n[0] > n[1] ? n[0] : n[1];
}

static enum MHD_Result request_handle(void *arg, struct MHD_Connection *connection,
				      const char *path, const char *method, const char *version,
				      const char *data, size_t *data_bytes, void **request)
{
	const struct health_port *port = arg;
	const struct view *view = port->view;
	bool healthy = view->synced_revision == view->snapshot->revision;
	struct MHD_Response *response;
	enum MHD_Result result;
	char text[512], weight[24];
	size_t n;

	(void)path; /* load balancers ask for all sorts */
	(void)method;
	(void)version;
	(void)data;
	if (!httpd_is_complete(data_bytes, request))
		return MHD_YES;
	n = count_local(port);
	snprintf(text, sizeof(text),
		 "{\"service\":{\"namespace\":\"%s\",\"name\":\"%s\"},\"localEndpoints\":%zu,"
		 "\"serviceProxyHealthy\":%s}\n",
		 port->namespace, port->name, n, healthy ? "true" : "false");
	snprintf(weight, sizeof(weight), "%zu", n);
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Load-Balancing-Endpoint-Weight", weight);
	result = MHD_queue_response(
		connection, n && healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- ports come and go ---------------------------------------------------------- */

static void port_free(void *arg)
{
	struct health_port *port = arg;

	free(port->namespace);
	free(port->name);
	free(port);
}

static void port_close(struct health_port *port)
{
	LIST_REMOVE(port, link);
	if (port->httpd)
		httpd_close(port->httpd);
	else
		port_free(port);
}

/* Listen.  A failure is told where it isn't the same as before. */
static void port_listen(struct health_ports *ports, struct health_port *port)
{
	const struct httpd_calls calls = {
		.handle = request_handle, .closed = port_free, .arg = port};
	struct error error = {""};
	int fd = tcp_listen(NULL, port->port), err = fd;

	if (fd >= 0)
		err = httpd_open(fd, ports->loop, &calls, &port->httpd, &error);
	else
		error_set(&error, err, "port %u: %s", port->port, strerror(-err));
	if (err < 0 && fd >= 0)
		close(fd);
	if (err >= 0)
		log_info("health checks are answered service=%s/%s port=%u", port->namespace,
			 port->name, port->port);
	else if (strcmp(port->why.text, error.text))
		log_warn("health checks can't be answered service=%s/%s reason=\"%s\"",
			 port->namespace, port->name, error.text);
	port->why = error;
}

static void retry_due(uv_timer_t *timer)
{
	struct health_ports *ports = timer->data;
	struct health_port *port;
	bool again = false;

	LIST_FOREACH(port, &ports->list, link)
	{
		if (!port->httpd)
			port_listen(ports, port);
		again |= !port->httpd;
	}
	if (again)
		uv_timer_start(timer, retry_due, RETRY_MS, 0);
}

static struct health_port *port_find(struct health_ports *ports,
				     const struct model_service *service)
{
	struct health_port *port;

	LIST_FOREACH(port, &ports->list, link)
	if (port->port == service->health_port && is_of(service, port))
		return port;
	return NULL;
}

static int port_add(struct health_ports *ports, const struct model_service *service)
{
	struct health_port *port = calloc(1, sizeof(*port));

	if (!port)
		return -ENOMEM;
	port->namespace = strdup(service->namespace);
	port->name = strdup(service->name);
	if (!port->namespace || !port->name) {
		port_free(port);
		return -ENOMEM;
	}
	port->view = ports->view;
	port->port = service->health_port;
	port->wanted = true;
	LIST_INSERT_HEAD(&ports->list, port, link);
	return 0;
}

int health_ports_follow(struct health_ports *ports)
{
	const struct snapshot *snapshot = ports->view->snapshot;
	struct health_port *port, *next;
	bool closed = false, missing = false;

	LIST_FOREACH(port, &ports->list, link)
	port->wanted = false;
	for (size_t i = 0; i < snapshot->nservices; i++) {
		const struct model_service *service = &snapshot->services[i];

		if (!service->health_port)
			continue;
		port = port_find(ports, service);
		if (port)
			port->wanted = true;
		else if (port_add(ports, service))
			return -ENOMEM;
	}
	for (port = LIST_FIRST(&ports->list); port; port = next) {
		next = LIST_NEXT(port, link);
		if (port->wanted)
			continue;
		closed |= port->httpd != NULL;
		port_close(port);
	}
	/* The port of one that has just gone is free in the loop's next turn. */
	LIST_FOREACH(port, &ports->list, link)
	{
		if (!port->httpd && !closed && !*port->why.text)
			port_listen(ports, port);
		missing |= !port->httpd;
	}
	if (missing)
		uv_timer_start(&ports->retry, retry_due, closed ? SOON_MS : RETRY_MS, 0);
	return 0;
}

const char *health_ports_trouble(const struct health_ports *ports,
				 const struct model_service *service)
{
	const struct health_port *port;

	LIST_FOREACH(port, &ports->list, link)
	if (port->port == service->health_port && is_of(service, port))
		return port->httpd ? NULL : *port->why.text ? port->why.text : "not yet";
	return "not yet";
}

int health_ports_open(uv_loop_t *loop, const struct view *view, struct health_ports **ret,
		      struct error *error)
{
	struct health_ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return error_set(error, -ENOMEM, "no memory");
	ports->loop = loop;
	ports->view = view;
	LIST_INIT(&ports->list);
	uv_timer_init(loop, &ports->retry);
	ports->retry.data = ports;
	*ret = ports;
	return 0;
}

static void retry_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void health_ports_close(struct health_ports *ports)
{
	if (!ports)
		return;
	while (!LIST_EMPTY(&ports->list))
		port_close(LIST_FIRST(&ports->list));
	uv_close((uv_handle_t *)&ports->retry, retry_closed);
}
