/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * GET requests to one API server, several at once, by libcurl on lbd's loop.
 *
 * Answers come in pieces, so that a watch can go on for hours.  A connection
 * whose other end is gone (a cut cable) is found by keepalive probes, one whose
 * other end is stuck by the request's own silence limit.  Callbacks never run
 * within a call of this header's.
 */
#ifndef GW_KUBE_CLIENT_H
#define GW_KUBE_CLIENT_H

#include <stddef.h>
#include <uv.h>

#include "error.h"
#include "kube_config.h"

struct kube_client;
struct kube_request;

struct kube_result {
	long status;		    /* of HTTP; 0 = there was none */
	unsigned int retry_after_s; /* what the server asks for; 0 = nothing */
	bool complete;		    /* the answer came to its end */
	char failure[256];	    /* of the connection, "" = none */
};

struct kube_request_events {
	/* A 200 has begun; its body may take hours to come. */
	void (*began)(void *arg);
	/* A piece of a 200's body.  Other than 0 ends the request. */
	int (*data)(void *arg, const char *bytes, size_t size);
	/* The request is over and freed after this; not called after a cancel. */
	void (*done)(void *arg, const struct kube_result *result);
	void *arg;
};

/* The configuration has to stay. */
int kube_client_open(uv_loop_t *loop, const struct kube_config *config, struct kube_client **ret,
		     struct error *error);
/* Requests that run are cancelled.  The loop has to run once more. */
void kube_client_close(struct kube_client *client);

/* path: from the first slash on.  silence_s: no byte for so long ends it.
 * Returns 0, -ENOMEM, or the -errno of a token's file. */
int kube_client_get(struct kube_client *client, const char *path, unsigned int silence_s,
		    const struct kube_request_events *events, struct kube_request **ret,
		    struct error *error);
void kube_request_cancel(struct kube_request *request); /* NULL is fine */

/* A text as a part of a URL; free() it.  NULL = no memory. */
char *kube_client_escape(const char *text);

#endif
