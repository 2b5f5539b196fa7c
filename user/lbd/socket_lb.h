/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The cgroup whose processes are clients of services: the one that --socket-lb names,
 * or the root of the cgroup2 hierarchy, wherever it is mounted.  Where it is found
 * by ourselves, nothing that goes wrong keeps lbd from serving all others.
 */
#ifndef GW_SOCKET_LB_H
#define GW_SOCKET_LB_H

#include <limits.h>
#include <stdbool.h>

#include "error.h"

struct datapath;

struct socket_lb {
	char path[PATH_MAX]; /* "" = none */
	int fd;		     /* of it */
	bool named;	     /* by the option */
	bool attached;
	char reason[256]; /* why there is none, or it isn't attached */
};

/* option: a path, "auto" or "off".  -EINVAL: the path is no cgroup2. */
int socket_lb_find(const char *option, struct socket_lb *ret, struct error *error);

/* Attach, if there is one.  Fails only where the option names it. */
int socket_lb_attach(struct socket_lb *socket_lb, struct datapath *datapath, struct error *error);

void socket_lb_close(struct socket_lb *socket_lb);

/* The mount point of the cgroup2 mount that reaches highest, of a file like
 * /proc/self/mountinfo: 0, -ENOENT (there is none) or -errno. */
int socket_lb_find_mount(const char *mountinfo, char ret[PATH_MAX]);

#endif
