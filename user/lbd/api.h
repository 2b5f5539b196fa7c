/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The control API of docs/API.md: HTTP on a UNIX socket, in lbd's loop and
 * thread.  Answers are made from a struct view, at once.
 */
#ifndef GW_API_H
#define GW_API_H

#include <uv.h>

#include "error.h"
#include "view.h"

struct api;

/* What the API can have done. */
struct api_calls {
	/* Read the source and apply it.  Returns 0 and the revision that is in
	 * the maps, or -errno and which part of the source isn't. */
	int (*sync)(void *arg, uint64_t *ret_revision, struct error *error);
	/* What a sync would change now; plan_free() it. */
	int (*diff)(void *arg, struct plan **ret, struct error *error);
	/* drain.h's drain_set(), and what follows from it. */
	int (*drain)(void *arg, const struct addr *addr, uint16_t port, bool drain, size_t *ret_n,
		     struct error *error);
	void *arg;
};

/*
 * Take the socket at path; clients are answered once the loop runs, and from
 * then on view has to be filled.  Errors name --control; -EADDRINUSE: another
 * daemon has it.
 */
int api_open(const char *path, uv_loop_t *loop, const struct view *view,
	     const struct api_calls *calls, struct api **ret, struct error *error);

/* Removes the socket; memory is freed in the loop's next turn. */
void api_close(struct api *api);

#endif
