/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "socket_lb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "datapath.h"
#include "log.h"

/* ---- where cgroup2 is mounted ---------------------------------------------- */

/* Blanks and backslashes of a path are written as \OOO (proc(5)). */
static void path_unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		unsigned int byte;

		if (sscanf(from, "\\%3o", &byte) == 1) {
			*to = (char)byte;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* How far a mount's root is above our cgroup namespace's: "/.." for each level.  A
 * container sees its own cgroup as "/", and a mount of the host's that it was
 * given as "/../..".  Below the root: -1. */
static int root_height(const char *root)
{
	int height = 0;

	while (!strncmp(root, "/..", 3) && (!root[3] || root[3] == '/')) {
		root += 3;
		height++;
	}
	return height || !strcmp(root, "/") ? height : -1;
}

int socket_lb_find_mount(const char *mountinfo, char ret[PATH_MAX])
{
	char *line = NULL, *root = NULL, *point = NULL;
	int best = -2, err = -ENOENT;
	FILE *file = fopen(mountinfo, "re");
	size_t room = 0;

	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0) {
		const char *type = strstr(line, " - ");

		if (!type || strncmp(type, " - cgroup2 ", 11) ||
		    sscanf(line, "%*s %*s %*s %ms %ms", &root, &point) != 2)
			goto next;
		path_unescape(point);
		if (root_height(root) > best && strlen(point) < PATH_MAX) {
			best = root_height(root);
			strcpy(ret, point);
			err = 0;
		}
next:
		free(root);
		free(point);
		root = point = NULL;
	}
	free(line);
	fclose(file);
	return err;
}

/* ---------------------------------------------------------------------------- */

static int cgroup_open(struct socket_lb *socket_lb)
{
	struct statfs fs;

	socket_lb->fd = open(socket_lb->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (socket_lb->fd < 0)
		return -errno;
	if (fstatfs(socket_lb->fd, &fs))
		return -errno;
	return fs.f_type == CGROUP2_SUPER_MAGIC ? 0 : -EMEDIUMTYPE;
}

static int find_named(const char *path, struct socket_lb *socket_lb, struct error *error)
{
	int err;

	socket_lb->named = true;
	snprintf(socket_lb->path, sizeof(socket_lb->path), "%s", path);
	err = cgroup_open(socket_lb);
	if (!err)
		return 0;
	socket_lb_close(socket_lb);
	return error_set(error, -EINVAL, "--socket-lb %s: %s", path,
			 err == -EMEDIUMTYPE ? "not a cgroup of version 2" : strerror(-err));
}

static void find_mounted(struct socket_lb *socket_lb)
{
	int err = socket_lb_find_mount("/proc/self/mountinfo", socket_lb->path);

	if (!err)
		err = cgroup_open(socket_lb);
	if (!err)
		return;
	if (err == -ENOENT)
		snprintf(socket_lb->reason, sizeof(socket_lb->reason),
			 "no cgroup2 is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
	else
		snprintf(socket_lb->reason, sizeof(socket_lb->reason), "%.200s: %s",
			 socket_lb->path, strerror(-err));
	socket_lb_close(socket_lb);
}

int socket_lb_find(const char *option, struct socket_lb *ret, struct error *error)
{
	*ret = (struct socket_lb){.fd = -1};
	if (!strcmp(option, "off")) {
		strcpy(ret->reason, "--socket-lb off");
		return 0;
	}
	if (strcmp(option, "auto"))
		return find_named(option, ret, error);
	find_mounted(ret);
	return 0;
}

int socket_lb_attach(struct socket_lb *socket_lb, struct datapath *datapath, struct error *error)
{
	int err;

	if (socket_lb->fd < 0) {
		log_info("processes of this node aren't served: %s", socket_lb->reason);
		return 0;
	}
	err = datapath_attach_sockets(datapath, socket_lb->path, socket_lb->fd, error);
	socket_lb->attached = !err;
	if (!err || socket_lb->named)
		return err;
	snprintf(socket_lb->reason, sizeof(socket_lb->reason), "%.250s", error->text);
	log_warn("processes of this node aren't served: %s", socket_lb->reason);
	return 0;
}

void socket_lb_close(struct socket_lb *socket_lb)
{
	if (socket_lb->fd >= 0)
		close(socket_lb->fd);
	socket_lb->fd = -1;
}
