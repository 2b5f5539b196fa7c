/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The HTTP server of replica, over libmicrohttpd: one thread, one epoll
 * descriptor, keep-alive connections up to the limit of open files.
 *
 * The caller polls http_fd() for at most http_timeout_ms() and calls
 * http_run(); nothing happens in between.
 */
#ifndef REPLICA_HTTP_H
#define REPLICA_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app.h"

struct http;

/* The app of this name, NULL if there is none. */
const struct app *http_app(const char *name);
/* The names of all apps, blank-separated; returns buf. */
const char *http_app_names(char *buf, size_t size);

/* Listen on every IPv6 and IPv4 address.  Returns 0 or -errno.  replica is
 * read at each request and must outlive the server; while it is draining,
 * each answer ends its connection. */
int http_open(uint16_t port, const struct app *app, const struct replica *replica,
	      struct http **ret);
void http_close(struct http *http);

int http_fd(const struct http *http);
int http_timeout_ms(const struct http *http); /* -1 = none */
void http_run(struct http *http);

/* When the last request ended, by clock_ms(); -1 = one is under way. */
int64_t http_idle_since_ms(const struct http *http);

#endif
