/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "source_scan.h"

/* Longer than any file system's grain of time, FAT's two seconds apart. */
#define FRESH_NS 1000000000LL

bool source_scan_wants(const char *name)
{
	static const char *const suffixes[] = {".yaml", ".yml", ".json"};
	size_t length = strlen(name);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i]);

		if (name[0] != '.' && length > n && !strcmp(name + length - n, suffixes[i]))
			return true;
	}
	return false;
}

static void stamp_set(struct source_stamp *stamp, const struct stat *st)
{
	*stamp = (struct source_stamp){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.modified = st->st_mtim,
		.changed = st->st_ctim,
	};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool source_stamp_equal(const struct source_stamp *a, const struct source_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

bool source_stamp_fresh(const struct source_stamp *stamp)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - stamp->changed.tv_sec) * 1000000000LL + now.tv_nsec -
		       stamp->changed.tv_nsec <
	       FRESH_NS;
}

static int scan_add(struct source_scan *scan, size_t *max, const char *path, const struct stat *st)
{
	struct source_scan_file *files;
	char *copy;

	if (scan->nfiles == *max) {
		size_t more = *max ? 2 * *max : 16;

		files = reallocarray(scan->files, more, sizeof(*files));
		if (!files)
			return -ENOMEM;
		scan->files = files;
		*max = more;
	}
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	scan->files[scan->nfiles].path = copy;
	stamp_set(&scan->files[scan->nfiles].stamp, st);
	scan->nfiles++;
	return 0;
}

static int compare_files(const void *left, const void *right)
{
	const struct source_scan_file *a = left, *b = right;

	return strcmp(a->path, b->path);
}

/* Add a directory's entry, if it's a manifest. */
static int entry_add(struct source_scan *scan, size_t *max, const char *directory, DIR *dir,
		     const struct dirent *entry)
{
	struct stat st;
	char *path;
	int err;

	if (!source_scan_wants(entry->d_name))
		return 0;
	/* Gone meanwhile, or a dangling link: then it isn't there. */
	if (fstatat(dirfd(dir), entry->d_name, &st, 0) || S_ISDIR(st.st_mode))
		return 0;
	if (scan->nfiles == SOURCE_MAX_FILES)
		return -E2BIG;
	scan->links |= entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
	if (asprintf(&path, "%s/%s", directory, entry->d_name) < 0)
		return -ENOMEM;
	err = scan_add(scan, max, path, &st);
	free(path);
	return err;
}

int source_scan_directory(const char *path, struct source_scan *ret, struct error *error)
{
	struct source_scan scan = {};
	struct dirent *entry;
	size_t max = 0;
	int err = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		err = -errno;
		if (!entry || err)
			break;
		err = entry_add(&scan, &max, path, dir, entry);
		if (err)
			break;
	}
	closedir(dir);
	if (err == -E2BIG)
		error_set(error, err, "%s: more than %d manifests", path, SOURCE_MAX_FILES);
	else if (err)
		error_set(error, err, "%s: %s", path, strerror(-err));
	if (err) {
		source_scan_clear(&scan);
		return err;
	}
	if (scan.nfiles)
		qsort(scan.files, scan.nfiles, sizeof(*scan.files), compare_files);
	*ret = scan;
	return 0;
}

int source_scan_file(const char *path, struct source_scan *ret, struct error *error)
{
	struct source_scan scan = {};
	struct stat st, link;
	size_t max = 0;
	int err;

	if (stat(path, &st) || lstat(path, &link))
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	err = scan_add(&scan, &max, path, &st);
	if (err) {
		source_scan_clear(&scan);
		return error_set(error, err, "%s: %s", path, strerror(-err));
	}
	scan.links = S_ISLNK(link.st_mode);
	*ret = scan;
	return 0;
}

void source_scan_clear(struct source_scan *scan)
{
	for (size_t i = 0; i < scan->nfiles; i++)
		free(scan->files[i].path);
	free(scan->files);
	*scan = (struct source_scan){};
}

/* Read to the end, whatever size stat said: the file may be growing. */
static int read_all(int fd, size_t size, char **ret_text, size_t *ret_size)
{
	size_t max = size + 1, n = 0;
	char *text = malloc(max);

	while (text) {
		ssize_t got = read(fd, text + n, max - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || (got && n + got > SOURCE_MAX_FILE_BYTES)) {
			int err = got < 0 ? -errno : -EFBIG;

			free(text);
			return err;
		}
		if (!got) {
			*ret_text = text;
			*ret_size = n;
			return 0;
		}
		n += got;
		if (n == max) {
			char *more = realloc(text, 2 * max);

			if (!more)
				free(text);
			text = more;
			max *= 2;
		}
	}
	return -ENOMEM;
}

int source_scan_read(const char *path, char **ret_text, size_t *ret_size,
		     struct source_stamp *ret_stamp, struct error *error)
{
	struct stat st;
	int fd, err;

	/* A FIFO by the name of a manifest must not stop us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -ENOTSUP;
	else if (st.st_size > SOURCE_MAX_FILE_BYTES)
		err = -EFBIG;
	else
		err = read_all(fd, st.st_size, ret_text, ret_size);
	close(fd);
	if (err == -ENOTSUP)
		return error_set(error, err, "%s: not a regular file", path);
	if (err == -EFBIG)
		return error_set(error, err, "%s: more than %d bytes", path, SOURCE_MAX_FILE_BYTES);
	if (err)
		return error_set(error, err, "%s: %s", path, strerror(-err));
	stamp_set(ret_stamp, &st);
	return 0;
}
