/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The source that --source names: files (source_file.h) or the Kubernetes API
 * (source_kube.h).  Nobody else needs to know which.
 */
#ifndef GW_SOURCE_H
#define GW_SOURCE_H

#include <uv.h>

#include "error.h"
#include "options.h"
#include "snapshot.h"

struct source;

/* Errors name the option at fault. */
int source_open(const struct options *options, struct source **ret, struct error *error);
void source_close(struct source *source); /* the loop has to run once more */

/*
 * The snapshot of now.  *ret_stale: a part of it is older than what the source
 * holds, and error says why.  -EAGAIN: there is none yet, wait for changed();
 * other -errno: the last one has to do.
 */
int source_load(struct source *source, const struct source_node *node, struct snapshot **ret,
		bool *ret_stale, struct error *error);

/* Call changed(arg), debounced, when it's worth loading again. */
int source_watch(struct source *source, uv_loop_t *loop, void (*changed)(void *arg), void *arg,
		 struct error *error);

#endif
