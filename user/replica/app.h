/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A face of replica: one of the demo applications.
 *
 * A face is one file app_NAME.c with one const struct app, listed in http.c's
 * table.  What all faces answer (/health, /info) is there already.  Functions
 * run on the one thread of the server and must not block.
 */
#ifndef REPLICA_APP_H
#define REPLICA_APP_H

#include <stdbool.h>

#include "identity.h"

/* What an answer may depend on. */
struct replica {
	struct identity identity;
	bool draining; /* SIGTERM has come */
};

struct reply {
	unsigned int status; /* an HTTP status, 200 unless set */
	const char *type;    /* content type, JSON unless set; not freed */
	char *body;	     /* malloc'ed, freed by the server */
};

/* Answers GET, and so HEAD. */
struct route {
	const char *path; /* NULL ends a table */
	/* Returns 0 or -errno (the client sees 500). */
	int (*serve)(const struct replica *replica, struct reply *reply);
};

struct app {
	const char *name; /* --app NAME */
	const struct route *routes;
};

extern const struct app app_info;

#endif
