/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What there is to see: asked of the daemon, or, where none runs, read out of the
 * pinned maps.
 */
#ifndef LBCTL_RESOURCE_H
#define LBCTL_RESOURCE_H

#include "command.h"

enum resource {
	RESOURCE_SERVICES,
	RESOURCE_BACKENDS,
	RESOURCE_FLOWS,
	RESOURCE_AFFINITY,
	RESOURCE_RINGS,
	RESOURCE_STATS,
	RESOURCE_STATUS,
};

/* The rows that the invocation's options name.  As client_get(); without a daemon
 * -ENOENT where nothing is pinned either, and else the answer is the maps', and
 * invocation->from_pins is set. */
int resource_get(struct invocation *invocation, enum resource resource, struct answer **ret,
		 struct error *error);

/* Show an answer and free it: as a document where one is wanted, else by print(),
 * which returns 0 or -ENOMEM. */
int resource_show(struct answer *answer, const struct invocation *invocation,
		  int (*print)(const struct value *root, const struct invocation *invocation,
			       FILE *out),
		  FILE *out, struct error *error);

/* "PATH?service=...&backend=..." of the invocation's options, for other requests. */
#define RESOURCE_URL_SIZE 512
const char *resource_url(const struct invocation *invocation, const char *path,
			 char buf[RESOURCE_URL_SIZE]);

#endif
