/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Which manifests are there, and have they changed?  A scan lists the files of
 * a directory (or the one file) with a stamp of each; equal stamps mean equal
 * contents, as long as the stamp is older than the clock's grain.
 */
#ifndef GW_SOURCE_SCAN_H
#define GW_SOURCE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "error.h"

#define SOURCE_MAX_FILES 100000
#define SOURCE_MAX_FILE_BYTES (16 << 20)

struct source_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec modified, changed;
};

struct source_scan {
	struct source_scan_file {
		char *path;
		struct source_stamp stamp;
	} * files; /* sorted by path */
	size_t nfiles;
	bool links; /* one of them may be a symbolic link */
};

/* Is it the name of a manifest? */
bool source_scan_wants(const char *name);

/* Returns 0 or -errno with a reason. */
int source_scan_directory(const char *path, struct source_scan *ret, struct error *error);
int source_scan_file(const char *path, struct source_scan *ret, struct error *error);
void source_scan_clear(struct source_scan *scan);

bool source_stamp_equal(const struct source_stamp *a, const struct source_stamp *b);
/* Could the file change once more without its stamp changing? */
bool source_stamp_fresh(const struct source_stamp *stamp);

/* Read a whole file.  Returns 0 or -errno (-EFBIG, ...) with "PATH: reason". */
int source_scan_read(const char *path, char **ret_text, size_t *ret_size,
		     struct source_stamp *ret_stamp, struct error *error);

#endif
