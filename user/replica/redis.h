/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The counter in Redis, over hiredis: one connection that is made when it is
 * needed and again when it has broken.  Nothing here blocks, looking up the
 * server's name neither, and every question is answered within REDIS_TIMEOUT_MS.
 *
 * The caller polls redis_fd() for redis_events(), at most redis_timeout_ms(),
 * and calls redis_run().
 */
#ifndef REPLICA_REDIS_H
#define REPLICA_REDIS_H

#include <stdbool.h>

#define REDIS_TIMEOUT_MS 1500
#define REDIS_PORT 6379

struct redis;

/* host: a name or an address; it has to stay.  Returns 0 or -ENOMEM. */
int redis_open(const char *host, struct redis **ret);
void redis_close(struct redis *redis); /* who still waits is told that it's away */

/* INCR hits; counted(arg, true, N) or counted(arg, false, 0) follows, from
 * redis_run().  Returns 0 or -ENOMEM: then nothing follows. */
int redis_count(struct redis *redis, void (*counted)(void *arg, bool ok, long long n), void *arg);

int redis_fd(const struct redis *redis);	 /* -1 = none at present */
short redis_events(const struct redis *redis);	 /* of poll(2) */
int redis_timeout_ms(const struct redis *redis); /* -1 = none */
void redis_run(struct redis *redis, short revents);

#endif
