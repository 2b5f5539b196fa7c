/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The directory on bpffs where everything is pinned: DIR/v<LB_ABI>/maps and
 * DIR/v<LB_ABI>/links.  Whoever changes it holds its lock; a lock ends with
 * its process.
 */
#ifndef GW_PINS_H
#define GW_PINS_H

#include <stddef.h>

#include "error.h"

#define PINS_PATH_MAX 512

/* Write DIR/v<LB_ABI>/KIND/NAME (name "" = the directory). */
void pins_path(char ret[PINS_PATH_MAX], const char *dir, const char *kind, const char *name);

/* Make DIR and its directories and lock it.  Returns the lock's fd, -ENOTSUP
 * (no bpf file system there), -EBUSY (another process holds it) or -errno. */
int pins_create(const char *dir, struct error *error);

/* Lock DIR where it exists: the lock's fd, -ENOENT, -EBUSY or -errno. */
int pins_lock(const char *dir, struct error *error);

/* Call each(arg, path, name) for all pins of a kind; it may remove them.
 * Returns the first value that isn't 0. */
int pins_each(const char *dir, const char *kind,
	      int (*each)(void *arg, const char *path, const char *name), void *arg);

/* The same for all DIR/v<N> of other layouts than LB_ABI. */
int pins_each_other(const char *dir, const char *kind,
		    int (*each)(void *arg, const char *path, const char *name), void *arg);

/* Remove the directories, which have to be empty, DIR with them. */
int pins_remove(const char *dir, struct error *error);

/* Remove those of other layouts, which have to be empty. */
int pins_remove_others(const char *dir);

#endif
