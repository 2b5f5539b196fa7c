/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include "attach.h"
#include "attach_dispatcher.h"
#include "pins.h"

/* From kernel 6.6, which Debian 12's headers don't know: tcx (e420bed02507). */
#define ATTACH_BPF_TCX_INGRESS 46
#define ATTACH_BPF_TCX_EGRESS 47
#define ATTACH_BPF_F_BEFORE (1U << 3) /* without a relative program: first of all */

static const struct {
	const char *name;
	enum bpf_attach_type type;
	__u32 flags;
} hooks[] = {
	[ATTACH_XDP_NATIVE] = {"xdp", BPF_XDP, XDP_FLAGS_DRV_MODE},
	[ATTACH_XDP_GENERIC] = {"xdp-generic", BPF_XDP, XDP_FLAGS_SKB_MODE},
	[ATTACH_DISPATCHER_NATIVE] = {"dispatcher", 0, 0},
	[ATTACH_DISPATCHER_GENERIC] = {"dispatcher", 0, 0},
	[ATTACH_TCX_INGRESS] = {"tcx-ingress", ATTACH_BPF_TCX_INGRESS, ATTACH_BPF_F_BEFORE},
	[ATTACH_TCX_EGRESS] = {"tcx-egress", ATTACH_BPF_TCX_EGRESS, ATTACH_BPF_F_BEFORE},
	[ATTACH_CLSACT_INGRESS] = {"clsact-ingress", 0, 0},
	[ATTACH_CLSACT_EGRESS] = {"clsact-egress", 0, 0},
	[ATTACH_CGROUP_CONNECT4] = {"cgroup-connect4", BPF_CGROUP_INET4_CONNECT, 0},
	[ATTACH_CGROUP_CONNECT6] = {"cgroup-connect6", BPF_CGROUP_INET6_CONNECT, 0},
	[ATTACH_CGROUP_SENDMSG4] = {"cgroup-sendmsg4", BPF_CGROUP_UDP4_SENDMSG, 0},
	[ATTACH_CGROUP_SENDMSG6] = {"cgroup-sendmsg6", BPF_CGROUP_UDP6_SENDMSG, 0},
	[ATTACH_CGROUP_RECVMSG4] = {"cgroup-recvmsg4", BPF_CGROUP_UDP4_RECVMSG, 0},
	[ATTACH_CGROUP_RECVMSG6] = {"cgroup-recvmsg6", BPF_CGROUP_UDP6_RECVMSG, 0},
	[ATTACH_CGROUP_GETPEERNAME4] = {"cgroup-getpeername4", BPF_CGROUP_INET4_GETPEERNAME, 0},
	[ATTACH_CGROUP_GETPEERNAME6] = {"cgroup-getpeername6", BPF_CGROUP_INET6_GETPEERNAME, 0},
	[ATTACH_CGROUP_RELEASE] = {"cgroup-release", BPF_CGROUP_INET_SOCK_RELEASE, 0},
};

/* Our clsact filter: first in the chain, by a handle that nobody else uses. */
#define ATTACH_CLSACT_PRIORITY 1
#define ATTACH_CLSACT_HANDLE 0x6777

static bool hook_is_cgroup(enum attach_hook hook)
{
	return hook >= ATTACH_CGROUP_CONNECT4;
}

static void attach_name(char ret[32], const struct attach_point *point)
{
	if (hook_is_cgroup(point->hook))
		snprintf(ret, 32, "%s", hooks[point->hook].name);
	else
		snprintf(ret, 32, "%s-%d", hooks[point->hook].name, point->ifindex);
}

/* What a link is on: a device's ifindex, a cgroup's id. */
static uint64_t attach_target(const struct attach_point *point)
{
	return hook_is_cgroup(point->hook) ? point->cgroup_id : (uint64_t)point->ifindex;
}

/* The link's target, 0 = gone; and its program's id. */
static int link_info(int link_fd, enum attach_hook hook, uint64_t *ret_target, __u32 *ret_program)
{
	struct bpf_link_info info = {0};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &length))
		return -errno;
	/* tcx has its ifindex at the same place of the union. */
	*ret_target = hook_is_cgroup(hook) ? info.cgroup.cgroup_id : info.xdp.ifindex;
	*ret_program = info.prog_id;
	return 0;
}

static int program_id(int program_fd, __u32 *ret)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(program_fd, &info, &length))
		return -errno;
	*ret = info.id;
	return 0;
}

/* Remove a pin; the device or cgroup is free again when this returns. */
static int link_remove(const char *path)
{
	int fd = bpf_obj_get(path);

	if (fd >= 0) {
		/* Else the last reference's end detaches it some time later. */
		bpf_link_detach(fd);
		close(fd);
	}
	return unlink(path) ? -errno : 0;
}

/* Put our program behind a link that is pinned: 1 done, 0 there is no such
 * link (any more), or -errno. */
static int link_adopt(const char *path, const struct attach_point *point)
{
	__u32 wanted = 0, current = 0;
	uint64_t target = 0;
	int err, fd = bpf_obj_get(path);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = link_info(fd, point->hook, &target, &current);
	err = err ?: program_id(point->program_fd, &wanted);
	if (!err && target != attach_target(point))
		err = link_remove(path);
	else if (!err && current == wanted)
		err = 1;
	else if (!err)
		err = bpf_link_update(fd, point->program_fd, NULL) ? -errno : 1;
	close(fd);
	return err;
}

static int link_create(const char *path, const struct attach_point *point)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = hooks[point->hook].flags);
	int target = hook_is_cgroup(point->hook) ? point->cgroup_fd : point->ifindex;
	int err = 0,
	    fd = bpf_link_create(point->program_fd, target, hooks[point->hook].type, &opts);

	if (fd < 0)
		return -errno;
	if (bpf_obj_pin(fd, path))
		err = -errno;
	close(fd);
	return err;
}

bool attach_has_tcx(int program_fd)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = ATTACH_BPF_F_BEFORE);

	/* No device has this index: a kernel with tcx looks for it, one without
	 * doesn't come so far. */
	int fd = bpf_link_create(program_fd, INT32_MAX, ATTACH_BPF_TCX_INGRESS, &opts);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno == ENODEV;
}

static bool hook_is_clsact(enum attach_hook hook)
{
	return hook == ATTACH_CLSACT_INGRESS || hook == ATTACH_CLSACT_EGRESS;
}

static struct bpf_tc_hook clsact_hook(enum attach_hook hook, int ifindex)
{
	return (struct bpf_tc_hook){
		.sz = sizeof(struct bpf_tc_hook),
		.ifindex = ifindex,
		.attach_point = hook == ATTACH_CLSACT_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS,
	};
}

static struct bpf_tc_opts clsact_filter(void)
{
	return (struct bpf_tc_opts){
		.sz = sizeof(struct bpf_tc_opts),
		.handle = ATTACH_CLSACT_HANDLE,
		.priority = ATTACH_CLSACT_PRIORITY,
	};
}

/* Is our filter there, with this program? */
static bool clsact_is_attached(const struct attach_point *point)
{
	struct bpf_tc_hook hook = clsact_hook(point->hook, point->ifindex);
	struct bpf_tc_opts filter = clsact_filter();
	__u32 wanted = 0;

	return !program_id(point->program_fd, &wanted) && !bpf_tc_query(&hook, &filter) &&
	       filter.prog_id == wanted;
}

static int clsact_attach(const char *path, const struct attach_point *point)
{
	struct bpf_tc_hook hook = clsact_hook(point->hook, point->ifindex);
	struct bpf_tc_opts filter = clsact_filter();
	int err;

	if (!access(path, F_OK) && clsact_is_attached(point))
		return 0;
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return err;
	filter.prog_fd = point->program_fd;
	filter.flags = BPF_TC_F_REPLACE;
	err = bpf_tc_attach(&hook, &filter);
	if (err)
		return err;
	if (unlink(path) && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(point->program_fd, path) ? -errno : 0;
}

/* The filter goes; the qdisc, which does nothing without one, stays: others
 * may have put theirs on it. */
static int clsact_remove(const char *path, enum attach_hook at, int ifindex)
{
	struct bpf_tc_hook hook = clsact_hook(at, ifindex);
	struct bpf_tc_opts filter = clsact_filter();
	int err = bpf_tc_detach(&hook, &filter);

	if (err && err != -ENOENT && err != -ENODEV && err != -EINVAL)
		return err;
	return unlink(path) ? -errno : 0;
}

static bool hook_is_dispatcher(enum attach_hook hook)
{
	return hook == ATTACH_DISPATCHER_NATIVE || hook == ATTACH_DISPATCHER_GENERIC;
}

static bool hook_is_xdp(enum attach_hook hook)
{
	return hook == ATTACH_XDP_NATIVE || hook == ATTACH_XDP_GENERIC || hook_is_dispatcher(hook);
}

/* A device has one XDP program: ours that is attached another way goes first.
 * TC, which is attached by now, does alone what XDP does. */
static int xdp_make_room(const char *dir, const struct attach_point *point)
{
	static const enum attach_hook others[] = {ATTACH_XDP_NATIVE, ATTACH_XDP_GENERIC,
						  ATTACH_DISPATCHER_NATIVE};
	struct attach_point other = *point;
	char path[PINS_PATH_MAX], name[32];
	int err = 0;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && !err; i++) {
		other.hook = others[i];
		if (!strcmp(hooks[other.hook].name, hooks[point->hook].name))
			continue;
		attach_name(name, &other);
		pins_path(path, dir, "links", name);
		if (access(path, F_OK))
			continue;
		err = hook_is_dispatcher(other.hook) ? dispatcher_remove(path, point->ifindex)
						     : link_remove(path);
	}
	return err;
}

static int link_ensure(const char *dir, const char *path, const struct attach_point *point)
{
	int err = link_adopt(path, point);

	if (err)
		return err > 0 ? 0 : err;
	if (hook_is_xdp(point->hook))
		err = xdp_make_room(dir, point);
	return err ?: link_create(path, point);
}

/* Why XDP isn't to be had on a device. */
static int xdp_complain(const struct attach_point *point, int err, struct error *error)
{
	const char *mode = point->hook == ATTACH_DISPATCHER_NATIVE ? "native" : "generic";

	if (!hook_is_dispatcher(point->hook)) {
		/* -EEXIST: one in the other mode. */
		if (err == -EBUSY || err == -EEXIST)
			return error_set(error, err,
					 "device %s carries another XDP program; --hook tc goes "
					 "without, --attach dispatcher may share it",
					 point->device);
		return error_set(error, err, "device %s: can't attach %s: %s", point->device,
				 hooks[point->hook].name, strerror(-err));
	}
	switch (err) {
	case -EBUSY:
		return error_set(error, err,
				 "--attach dispatcher: device %s carries an XDP program that no "
				 "dispatcher of libxdp runs",
				 point->device);
	case -EEXIST:
		return error_set(error, err,
				 "--attach dispatcher: device %s has a dispatcher with others' "
				 "programs, but not for %s XDP",
				 point->device, mode);
	case -E2BIG:
		return error_set(error, err,
				 "--attach dispatcher: device %s has a dispatcher, and it is full",
				 point->device);
	default:
		return error_set(error, err,
				 "--attach dispatcher: device %s: libxdp can't attach %s XDP: %s; "
				 "--log-level debug shows its words",
				 point->device, mode, strerror(-err));
	}
}

int attach_ensure(const char *dir, const struct attach_point *point, struct error *error)
{
	char path[PINS_PATH_MAX], name[32];
	int err;

	attach_name(name, point);
	pins_path(path, dir, "links", name);
	if (hook_is_clsact(point->hook)) {
		err = clsact_attach(path, point);
	} else if (hook_is_dispatcher(point->hook)) {
		err = xdp_make_room(dir, point);
		err = err ?: dispatcher_ensure(path, point);
	} else {
		err = link_ensure(dir, path, point);
	}
	if (err && hook_is_xdp(point->hook))
		return xdp_complain(point, err, error);
	if (err)
		return error_set(error, err, "%s %s: can't attach %s: %s",
				 hook_is_cgroup(point->hook) ? "cgroup" : "device", point->device,
				 hooks[point->hook].name, strerror(-err));
	return 0;
}

struct attach_set {
	const struct attach_point *points;
	size_t n;
};

static int attach_prune_one(void *arg, const char *path, const char *name)
{
	const struct attach_set *set = arg;
	char wanted[32];
	int ifindex;

	for (size_t i = 0; i < set->n; i++) {
		attach_name(wanted, &set->points[i]);
		if (!strcmp(wanted, name))
			return 0;
	}
	if (sscanf(name, "clsact-ingress-%d", &ifindex) == 1)
		return clsact_remove(path, ATTACH_CLSACT_INGRESS, ifindex);
	if (sscanf(name, "clsact-egress-%d", &ifindex) == 1)
		return clsact_remove(path, ATTACH_CLSACT_EGRESS, ifindex);
	if (sscanf(name, "dispatcher-%d", &ifindex) == 1)
		return dispatcher_remove(path, ifindex);
	return link_remove(path);
}

int attach_prune(const char *dir, const struct attach_point *points, size_t n)
{
	struct attach_set set = {points, n};

	return pins_each(dir, "links", attach_prune_one, &set);
}

struct attach_others {
	const char *dir;
	const int *ifindexes; /* NULL: all */
	size_t n;
	int removed;
};

static bool is_among_others(const struct attach_others *others, const char *name)
{
	const char *number = strrchr(name, '-');

	if (!others->ifindexes)
		return true;
	if (!number || (strncmp(name, "xdp-", 4) && !strstr(name, "-ingress-")))
		return false;
	for (size_t i = 0; i < others->n; i++)
		if (atoi(number + 1) == others->ifindexes[i])
			return true;
	return false;
}

/* A clsact filter has one handle whatever the layout: where ours stands, that one is gone. */
static int attach_prune_other(void *arg, const char *path, const char *name)
{
	struct attach_others *others = arg;
	struct attach_set none = {0};
	char ours[PINS_PATH_MAX];

	if (!is_among_others(others, name))
		return 0;
	others->removed++;
	pins_path(ours, others->dir, "links", name);
	if (!strncmp(name, "clsact-", 7) && !access(ours, F_OK))
		return unlink(path) ? -errno : 0;
	return attach_prune_one(&none, path, name);
}

int attach_prune_others(const char *dir, const int *ifindexes, size_t n)
{
	struct attach_others others = {dir, ifindexes, n, 0};
	int err = pins_each_other(dir, "links", attach_prune_other, &others);

	return err ?: others.removed;
}
