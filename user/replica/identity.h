/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Who this replica is, as the downward API of Kubernetes tells it.  All
 * strings belong to the environment or to the struct; nothing is freed.
 */
#ifndef REPLICA_IDENTITY_H
#define REPLICA_IDENTITY_H

#include <limits.h>

struct identity {
	char host[HOST_NAME_MAX + 1]; /* HOSTNAME, else the kernel's */
	const char *pod;	      /* POD_NAME, else host */
	const char *pod_ip;	      /* POD_IP, else "unknown" */
	const char *node;	      /* NODE_NAME, else "unknown" */
};

void identity_read(struct identity *ret);

/* The last two parts of the pod's name: "web-7d4b9c6f5d-x2k9q" is replica
 * "7d4b9c6f5d-x2k9q".  Points into the name. */
const char *identity_replica(const struct identity *identity);

/* Now, in local time with microseconds: "2026-01-11T15:35:01.971515". */
#define TIMESTAMP_STRLEN 40
const char *timestamp_now(char buf[TIMESTAMP_STRLEN]);

/* The body of GET /info; malloc'ed, NULL if there is no memory. */
char *identity_info(const struct identity *identity, const char *timestamp);

#endif
