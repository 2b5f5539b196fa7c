/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lbd's REST API over its UNIX socket (docs/API.md), one request at a time on
 * one connection that is kept.
 */
#ifndef LBCTL_CLIENT_H
#define LBCTL_CLIENT_H

#include "answer.h"
#include "error.h"

#define CLIENT_GET_TIMEOUT_MS 5000

struct client;

/* Nothing is connected yet.  The path has to outlive the client. */
int client_open(const char *control, struct client **ret, struct error *error);
void client_close(struct client *client);

/*
 * Both return 0 with the answer, to be freed by the caller, or, with the text
 * set:
 *   -ENOENT     no daemon listens on the socket
 *   -EACCES     the socket is not for this user
 *   -ETIMEDOUT  no whole answer in time
 *   -EAGAIN     the daemon says 503: not now
 *   -EREMOTEIO  the daemon refused the request (4xx, other 5xx)
 *   -EPROTO     the answer broke off, or isn't what the API says
 *   -ENOMEM
 */
int client_get(struct client *client, const char *path, struct answer **ret, struct error *error);
int client_post(struct client *client, const char *path, unsigned int timeout_ms,
		struct answer **ret, struct error *error);

#endif
