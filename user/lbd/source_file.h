/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The file source: manifests of a file or a directory (*.yaml *.yml *.json),
 * watched for changes.
 *
 * A file that can't be read as a whole (broken YAML, unreadable) keeps the
 * objects it last gave; a bad object keeps the last good state of that object
 * alone.  Both are told in the snapshot's refusals.  Of two objects with one
 * identity the first counts, files in the order of their names.
 */
#ifndef GW_SOURCE_FILE_H
#define GW_SOURCE_FILE_H

#include <uv.h>

#include "error.h"
#include "snapshot.h"

struct source_file;

/* No file is read yet.  -errno where the path doesn't exist or isn't readable. */
int source_file_open(const char *path, struct source_file **ret, struct error *error);
void source_file_close(struct source_file *source); /* stops watching, too */

/*
 * Read the files that changed since the last call (all the first time) and
 * build a snapshot of what is good now.  *ret_broken is the number of files
 * that keep their last state; error names the first of them.  The first load
 * has no last state: then a broken file fails the load with -EINVAL.  Where the
 * path itself can't be read (any more) nothing changes, and that's the -errno.
 * The revision is raised where the content differs from the last snapshot's.
 */
int source_file_load(struct source_file *source, const struct source_node *node,
		     struct snapshot **ret, size_t *ret_broken, struct error *error);

/* Call changed(arg), debounced, whenever the directory or a file changes; the
 * first time soon after this, for what may have changed since the load. */
int source_file_watch(struct source_file *source, uv_loop_t *loop, void (*changed)(void *arg),
		      void *arg, struct error *error);

#endif
