/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * An API server for tests, on 127.0.0.1 in threads of its own: it lists in pages
 * and watches as the real one does (resourceVersion, bookmarks, 410 Gone), and
 * misbehaves on command.
 */
#ifndef FAKE_API_H
#define FAKE_API_H

#include <stdbool.h>

enum fake_api_fault {
	FAULT_NONE,
	FAULT_500,
	FAULT_429, /* with Retry-After: 1 */
	FAULT_403,
	FAULT_401,
	FAULT_HTML,	  /* 200, and no JSON */
	FAULT_CUT,	  /* the connection ends in the middle of an answer */
	FAULT_SILENCE,	  /* no answer, the connection stays */
	FAULT_GONE,	  /* 410 as the HTTP status */
	FAULT_GONE_EVENT, /* a watch's first event is an ERROR of code 410 */
	FAULT_GARBAGE,	  /* a watch's first line isn't JSON */
	FAULT_HUGE,	  /* a watch's line of 40 MB */
};

struct fake_api;

struct fake_api *fake_api_start(void);
void fake_api_stop(struct fake_api *api); /* connections are closed, too */

/* "http://127.0.0.1:PORT" */
const char *fake_api_url(const struct fake_api *api);

/* Stop listening and close all connections, or listen again on the same port. */
void fake_api_down(struct fake_api *api);
void fake_api_up(struct fake_api *api);

/* Objects of a collection ("services", "endpointslices"); json is the object
 * without its version. */
void fake_api_put(struct fake_api *api, const char *collection, const char *name, const char *json);
void fake_api_delete(struct fake_api *api, const char *collection, const char *name);

/* The next `times` requests that match (a part of the URL) go wrong. */
void fake_api_misbehave(struct fake_api *api, enum fake_api_fault fault, const char *match,
			int times);

void fake_api_cut(struct fake_api *api);    /* close all connections */
void fake_api_forget(struct fake_api *api); /* versions up to now are too old to watch from */
void fake_api_page(struct fake_api *api, unsigned int items);
void fake_api_need_token(struct fake_api *api, const char *token);

/* Requests so far whose URL has `match` in it. */
unsigned int fake_api_requests(struct fake_api *api, const char *match);

#endif
