/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A face of replica: one of the demo applications.
 *
 * A face is one file app_NAME.c with one const struct app, listed in http.c's
 * table.  What all faces answer (/health, /info) is there already.  Functions
 * run on the one thread of the server and must not block: who has to wait for
 * something answers later.
 */
#ifndef REPLICA_APP_H
#define REPLICA_APP_H

#include <stdbool.h>
#include <stddef.h>

#include "identity.h"

struct redis;

/* What an answer may depend on. */
struct replica {
	struct identity identity;
	bool draining;	     /* SIGTERM has come */
	struct redis *redis; /* of a face that needs it, else NULL */
};

struct reply {
	unsigned int status; /* an HTTP status, 200 unless set */
	const char *type;    /* content type, JSON unless set; not freed */
	char *body;	     /* malloc'ed, freed by the server */
};

/* A request that is being answered. */
struct request;

/* A parameter of the query, decoded; NULL = it isn't there. */
const char *request_parameter(const struct request *request, const char *name);
/* The body, NUL-terminated (it may hold NULs, too). */
const char *request_body(const struct request *request, size_t *ret_bytes);
/* Answer a request whose function has said LATER; takes the body over.  The
 * request may be gone then, if the client is. */
void request_answer(struct request *request, struct reply *reply);

/* What is wrong with a request, as JSON: sets status and body.  0 or -ENOMEM. */
int reply_error(struct reply *reply, unsigned int status, const char *text);

enum {
	LATER = 1
};

struct route {
	const char *path; /* NULL ends a table */
	bool post;	  /* answers POST, else GET and so HEAD */
	/* Returns 0, LATER, or -errno (the client sees 500). */
	int (*serve)(const struct replica *replica, struct request *request, struct reply *reply);
};

struct app {
	const char *name; /* --app NAME */
	const struct route *routes;
	bool needs_redis;
};

extern const struct app app_info, app_sale, app_hello, app_coinflip;

#endif
