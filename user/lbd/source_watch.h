/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Watches a directory, for whoever reads files there: calls back once things
 * have been quiet for a moment.
 *
 * inotify (by libuv) sees what happens in the directory.  It doesn't see what
 * happens to a symbolic link's target, nor that the directory itself was
 * replaced; so once a second the watch looks whether it still is the same
 * directory, and asks stale() whether files changed without notice.
 */
#ifndef GW_SOURCE_WATCH_H
#define GW_SOURCE_WATCH_H

#include <stdbool.h>
#include <uv.h>

#include "error.h"

struct source_watch_events {
	/* Is a name of any concern? */
	bool (*concerns)(void *arg, const char *name);
	/* Did something change that can't have been noticed? */
	bool (*stale)(void *arg);
	void (*changed)(void *arg);
	void *arg;
};

struct source_watch;

int source_watch_start(uv_loop_t *loop, const char *directory,
		       const struct source_watch_events *events, struct source_watch **ret,
		       struct error *error);
/* No callback comes after this; memory is freed in the loop's next turn. */
void source_watch_stop(struct source_watch *watch);

#endif
