/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lb.h"
#include "pins.h"

static const char *const kinds_inside_out[] = {"links", "maps", ""};

static void layout_path(char ret[PINS_PATH_MAX], const char *dir, int abi, const char *kind,
			const char *name)
{
	snprintf(ret, PINS_PATH_MAX, "%s/v%d%s%s%s%s", dir, abi, *kind ? "/" : "", kind,
		 *name ? "/" : "", name);
}

void pins_path(char ret[PINS_PATH_MAX], const char *dir, const char *kind, const char *name)
{
	layout_path(ret, dir, LB_ABI, kind, name);
}

/* Is the nearest ancestor of dir that exists on a bpf file system? */
static int pins_check_bpffs(const char *dir, struct error *error)
{
	char copy[PINS_PATH_MAX], *path = copy;
	struct statfs fs;

	if (snprintf(copy, sizeof(copy), "%s", dir) >= (int)sizeof(copy) - 64)
		return error_set(error, -ENAMETOOLONG, "--bpffs %s: too long", dir);
	while (statfs(path, &fs)) {
		if (errno != ENOENT || !strcmp(path, "/") || !strcmp(path, "."))
			return error_set(error, -errno, "--bpffs %s: %s", dir, strerror(errno));
		path = dirname(path); /* of a relative one "." in the end, elsewhere */
	}
	if ((unsigned int)fs.f_type != BPF_FS_MAGIC)
		return error_set(error, -ENOTSUP,
				 "--bpffs %s: %s is not on a bpf file system; "
				 "run: mount -t bpf bpf /sys/fs/bpf",
				 dir, path);
	return 0;
}

static int pins_mkdir(const char *path, struct error *error)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(error, -errno, "--bpffs: can't make %s: %s", path,
				 strerror(errno));
	return 0;
}

int pins_lock(const char *dir, struct error *error)
{
	int err, fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(error, -errno, "--bpffs %s: %s", dir, strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = errno == EWOULDBLOCK
		      ? error_set(error, -EBUSY, "--bpffs %s: another lbd is running on it", dir)
		      : error_set(error, -errno, "--bpffs %s: %s", dir, strerror(errno));
	close(fd);
	return err;
}

int pins_create(const char *dir, struct error *error)
{
	static const char *const kinds[] = {"", "maps", "links"};
	char path[PINS_PATH_MAX];
	int lock, err;

	err = pins_check_bpffs(dir, error);
	err = err ?: pins_mkdir(dir, error);
	if (err)
		return err;
	lock = pins_lock(dir, error);
	if (lock < 0)
		return lock;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !err; i++) {
		pins_path(path, dir, kinds[i], "");
		err = pins_mkdir(path, error);
	}
	if (err) {
		close(lock);
		return err;
	}
	return lock;
}

static int layout_each(const char *dir, int abi, const char *kind,
		       int (*each)(void *arg, const char *path, const char *name), void *arg)
{
	char path[PINS_PATH_MAX];
	struct dirent **entries;
	int n, err = 0;

	layout_path(path, dir, abi, kind, "");
	/* A list first, since each() may remove what it is given. */
	n = scandir(path, &entries, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (!err && strcmp(name, ".") && strcmp(name, "..")) {
			layout_path(path, dir, abi, kind, name);
			err = each(arg, path, name);
		}
		free(entries[i]);
	}
	free(entries);
	return err;
}

int pins_each(const char *dir, const char *kind,
	      int (*each)(void *arg, const char *path, const char *name), void *arg)
{
	return layout_each(dir, LB_ABI, kind, each, arg);
}

/* The number of a directory v<N> that isn't ours; 0: it is something else. */
static int other_layout(const char *name)
{
	int abi, end = 0;

	return sscanf(name, "v%d%n", &abi, &end) == 1 && !name[end] && abi != LB_ABI ? abi : 0;
}

static int is_other_layout(const struct dirent *entry)
{
	return other_layout(entry->d_name) > 0;
}

/* Do something with each layout that isn't ours, until it fails. */
static int others_each(const char *dir, int (*each)(const char *dir, int abi, void *arg), void *arg)
{
	struct dirent **entries;
	int n, err = 0;

	/* A list first, since each() may remove what it is given. */
	n = scandir(dir, &entries, is_other_layout, alphasort);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		err = err ?: each(dir, other_layout(entries[i]->d_name), arg);
		free(entries[i]);
	}
	free(entries);
	return err;
}

struct pins_walk {
	const char *kind;
	int (*each)(void *arg, const char *path, const char *name);
	void *arg;
};

static int other_walk(const char *dir, int abi, void *arg)
{
	const struct pins_walk *walk = arg;

	return layout_each(dir, abi, walk->kind, walk->each, walk->arg);
}

int pins_each_other(const char *dir, const char *kind,
		    int (*each)(void *arg, const char *path, const char *name), void *arg)
{
	struct pins_walk walk = {kind, each, arg};

	return others_each(dir, other_walk, &walk);
}

/* Returns 0, where there is none as well, or -errno; path is the one that failed. */
static int layout_remove(const char *dir, int abi, char path[PINS_PATH_MAX])
{
	for (size_t i = 0; i < sizeof(kinds_inside_out) / sizeof(kinds_inside_out[0]); i++) {
		layout_path(path, dir, abi, kinds_inside_out[i], "");
		if (rmdir(path) && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int pins_remove(const char *dir, struct error *error)
{
	char path[PINS_PATH_MAX];
	int err = layout_remove(dir, LB_ABI, path);

	if (err)
		return error_set(error, err, "%s: %s", path, strerror(-err));
	/* Something of others may be there: then DIR stays. */
	if (rmdir(dir) && errno != ENOENT && errno != ENOTEMPTY)
		return error_set(error, -errno, "%s: %s", dir, strerror(errno));
	return 0;
}

static int other_remove(const char *dir, int abi, void *arg)
{
	char path[PINS_PATH_MAX];

	(void)arg;
	return layout_remove(dir, abi, path);
}

int pins_remove_others(const char *dir)
{
	return others_each(dir, other_remove, NULL);
}
