/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The connections of replica's server, and how long each may take: libmicrohttpd
 * knows silence alone, so that a byte now and then would hold a connection for
 * ever (slow loris).
 */
#ifndef REPLICA_CLIENTS_H
#define REPLICA_CLIENTS_H

#include <stdint.h>
#include <sys/queue.h>

#define CLIENT_REQUEST_MS \
	(10 * 1000)		    /* from connecting to a first line, and on to a request's end */
#define CLIENT_IDLE_MS (300 * 1000) /* after a request */

struct client {
	int fd;
	int64_t until_ms; /* by clock_ms() */
	LIST_ENTRY(client) link;
};

struct clients {
	LIST_HEAD(, client) list;
	int64_t checked_ms;
};

/* NULL: no memory. */
struct client *client_add(struct clients *clients, int fd);
void client_remove(struct client *client);
void client_may_take(struct client *client, int64_t ms);

/* Shut those who took too long; looks once a second.  What is shut ends at the
 * server's next turn. */
void clients_check(struct clients *clients);
/* When to call it next; -1 = there is nobody. */
int clients_timeout_ms(const struct clients *clients);

int64_t clock_ms(void); /* CLOCK_MONOTONIC */

#endif
