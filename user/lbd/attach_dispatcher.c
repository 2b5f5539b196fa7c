/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "attach_dispatcher.h"

#include <errno.h>
#include <glob.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include <xdp/prog_dispatcher.h>

#include "attach.h"
#include "log.h"
#include "pins.h"

#define PROGRAM_MAPS 64 /* at most: the kernel's MAX_USED_MAPS */
/* A dispatcher is pinned just before it is attached. */
#define STALE_S 2

/* Who is on a device. */
struct chain {
	struct xdp_multiprog *multi; /* NULL: nobody */
	struct xdp_program *ours[MAX_DISPATCHER_ACTIONS];
	size_t nours;
	size_t n; /* with others' */
};

static int dispatcher_print(enum libxdp_print_level level, const char *format, va_list args)
{
	char text[1024];

	if (level == LIBXDP_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("%s", text);
	return 0;
}

static const char *dispatcher_bpffs(void)
{
	return secure_getenv(XDP_BPFFS_ENVVAR) ?: "/sys/fs/bpf";
}

int dispatcher_check(int program_fd, struct error *error)
{
	const char *bpffs = dispatcher_bpffs();
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);
	struct statfs fs;
	int fd;

	libxdp_set_print(dispatcher_print);
	/* Of those who want a program alone on its device, whatever it asks for. */
	unsetenv("LIBXDP_SKIP_DISPATCHER");
	if (statfs(bpffs, &fs) || (unsigned int)fs.f_type != BPF_FS_MAGIC)
		return error_set(error, -ENOTSUP,
				 "--attach dispatcher: libxdp pins in %s, which is no bpf file "
				 "system; set %s, or run: mount -t bpf bpf %s",
				 bpffs, XDP_BPFFS_ENVVAR, bpffs);
	if (bpf_obj_get_info_by_fd(program_fd, &info, &length))
		return error_set(error, -errno, "--attach dispatcher: %s", strerror(errno));
	fd = bpf_prog_get_fd_by_id(info.id);
	if (fd < 0)
		return error_set(error, -errno,
				 "--attach dispatcher: CAP_SYS_ADMIN is needed to "
				 "look at others' programs");
	close(fd);
	return 0;
}

int dispatcher_program_open(struct bpf_object *object, const char *name, bool frags,
			    struct xdp_program **ret)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = object, .prog_name = name);
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	struct xdp_program *opened = xdp_program__create(&opts);
	int err = libxdp_get_error(opened);

	if (err)
		return err;
	/* Where it can't have a dispatcher libxdp attaches a program alone, in silence.
	 * Ours would be of a type then that the kernel attaches to no device; as an
	 * extension it has none. */
	bpf_program__set_expected_attach_type(program, BPF_XDP_CPUMAP);
	if (frags)
		err = xdp_program__set_xdp_frags_support(opened, true);
	if (err) {
		xdp_program__close(opened);
		return err;
	}
	*ret = opened;
	return 0;
}

void dispatcher_program_close(struct xdp_program *program)
{
	xdp_program__close(program);
}

static int map_id(int map_fd, __u32 *ret)
{
	struct bpf_map_info info = {0};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(map_fd, &info, &length))
		return -errno;
	*ret = info.id;
	return 0;
}

static bool program_uses(int program_fd, __u32 map)
{
	__u32 maps[PROGRAM_MAPS];
	struct bpf_prog_info info = {.nr_map_ids = PROGRAM_MAPS, .map_ids = (uintptr_t)maps};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(program_fd, &info, &length))
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < PROGRAM_MAPS; i++)
		if (maps[i] == map)
			return true;
	return false;
}

/* Its programs end with it. */
static int chain_read(int ifindex, __u32 map, struct chain *ret)
{
	struct xdp_multiprog *multi = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *program = NULL;
	int err = libxdp_get_error(multi);

	*ret = (struct chain){0};
	/* No program, or no device. */
	if (err)
		return err == -ENOENT || err == -ENODEV ? 0 : err;
	ret->multi = multi;
	while ((program = xdp_multiprog__next_prog(program, multi))) {
		ret->n++;
		if (program_uses(xdp_program__fd(program), map))
			ret->ours[ret->nours++] = program;
	}
	return 0;
}

static void chain_close(struct chain *chain)
{
	xdp_multiprog__close(chain->multi);
	*chain = (struct chain){0};
}

static bool chain_has(const struct chain *chain, __u32 program)
{
	for (size_t i = 0; i < chain->nours; i++)
		if (xdp_program__id(chain->ours[i]) == program)
			return true;
	return false;
}

/* Take ours out but one, 0 = all. */
static int chain_leave(const struct chain *chain, int ifindex, __u32 keep)
{
	struct xdp_program *leaving[MAX_DISPATCHER_ACTIONS];
	size_t n = 0;

	for (size_t i = 0; i < chain->nours; i++)
		if (xdp_program__id(chain->ours[i]) != keep)
			leaving[n++] = chain->ours[i];
	if (!n)
		return 0;
	return xdp_program__detach_multi(leaving, n, ifindex,
					 xdp_multiprog__attach_mode(chain->multi), 0);
}

static bool pins_have_ours(const char *dir, __u32 map)
{
	char pattern[PINS_PATH_MAX];
	glob_t pins = {0};
	bool ours = false;

	snprintf(pattern, sizeof(pattern), "%s/prog*-prog", dir);
	if (!glob(pattern, 0, NULL, &pins)) {
		for (size_t i = 0; i < pins.gl_pathc && !ours; i++) {
			int fd = bpf_obj_get(pins.gl_pathv[i]);

			ours = fd >= 0 && program_uses(fd, map);
			if (fd >= 0)
				close(fd);
		}
	}
	globfree(&pins);
	return ours;
}

static void pins_unlink(const char *dir)
{
	char pattern[PINS_PATH_MAX];
	glob_t pins = {0};

	snprintf(pattern, sizeof(pattern), "%s/*", dir);
	if (!glob(pattern, 0, NULL, &pins))
		for (size_t i = 0; i < pins.gl_pathc; i++)
			unlink(pins.gl_pathv[i]);
	globfree(&pins);
	rmdir(dir);
}

/*
 * Pins keep a dispatcher's programs where its device is gone, or a process was killed
 * between two of libxdp's steps; nobody looks for ours but us.  The names are those of
 * libxdp(3), "Pinning in bpffs".
 */
static void dispatcher_sweep(int ifindex, __u32 map, __u32 attached)
{
	char pattern[PINS_PATH_MAX];
	glob_t dirs = {0};

	snprintf(pattern, sizeof(pattern), "%s/xdp/dispatch-%d-*", dispatcher_bpffs(), ifindex);
	if (!glob(pattern, GLOB_ONLYDIR, NULL, &dirs)) {
		for (size_t i = 0; i < dirs.gl_pathc; i++) {
			const char *dir = dirs.gl_pathv[i];
			struct stat st;

			if (strtoul(strrchr(dir, '-') + 1, NULL, 10) == attached || stat(dir, &st))
				continue;
			if (time(NULL) - st.st_mtime >= STALE_S && pins_have_ours(dir, map))
				pins_unlink(dir);
		}
	}
	globfree(&dirs);
}

/* The id of the dispatcher, 0 = there is none. */
static __u32 chain_id(const struct chain *chain)
{
	return xdp_program__id(xdp_multiprog__main_prog(chain->multi));
}

/* Make the chain one that a program can join in this mode. */
static int chain_prepare(struct chain *chain, int ifindex, enum xdp_attach_mode mode)
{
	int err;

	if (!chain->multi)
		return 0;
	if (xdp_multiprog__is_legacy(chain->multi))
		return -EBUSY;
	if (xdp_multiprog__attach_mode(chain->multi) == mode)
		return 0;
	if (chain->nours < chain->n)
		return -EEXIST;
	err = chain_leave(chain, ifindex, 0);
	if (!err)
		chain_close(chain);
	return err;
}

static int mark_make(const char *mark, int map_fd)
{
	return access(mark, F_OK) && bpf_obj_pin(map_fd, mark) ? -errno : 0;
}

/* Join the chain: the new program first, then older ones leave, so that the device
 * is never without one. */
static int chain_join(const struct attach_point *point, __u32 map, enum xdp_attach_mode mode)
{
	struct chain chain;
	__u32 id;
	int err = xdp_program__attach(point->extension, point->ifindex, mode, 0);

	/* What dispatcher_program_open() has seen to. */
	if (err == -EINVAL)
		return -ENOTSUP;
	err = err ?: chain_read(point->ifindex, map, &chain);
	if (err)
		return err;
	id = xdp_program__id(point->extension);
	/* Somebody else was as fast: once more. */
	err = chain_has(&chain, id) ? chain_leave(&chain, point->ifindex, id) : -EAGAIN;
	chain_close(&chain);
	return err;
}

static int dispatcher_tidy(int ifindex, __u32 map)
{
	struct chain chain;
	int err = chain_read(ifindex, map, &chain);

	if (!err)
		dispatcher_sweep(ifindex, map, chain_id(&chain));
	chain_close(&chain);
	return err;
}

/* Where none of ours is left. */
static void mark_unlink(const char *mark, int ifindex, __u32 map)
{
	struct chain chain;

	if (!chain_read(ifindex, map, &chain) && !chain.nours)
		unlink(mark);
	chain_close(&chain);
}

int dispatcher_ensure(const char *mark, const struct attach_point *point)
{
	enum xdp_attach_mode mode =
		point->hook == ATTACH_DISPATCHER_NATIVE ? XDP_MODE_NATIVE : XDP_MODE_SKB;
	struct chain chain;
	bool done;
	__u32 map = 0;
	int err;

	err = map_id(point->map_fd, &map);
	err = err ?: chain_read(point->ifindex, map, &chain);
	if (err)
		return err;
	done = chain.nours == 1 && chain_has(&chain, xdp_program__id(point->extension)) &&
	       xdp_multiprog__attach_mode(chain.multi) == mode;
	if (!done) {
		err = mark_make(mark, point->map_fd);
		err = err ?: chain_prepare(&chain, point->ifindex, mode);
		err = err ?: chain_join(point, map, mode);
		err = err ?: dispatcher_tidy(point->ifindex, map);
	}
	chain_close(&chain);
	if (err)
		mark_unlink(mark, point->ifindex, map);
	return err;
}

int dispatcher_remove(const char *mark, int ifindex)
{
	int err, fd = bpf_obj_get(mark);
	struct chain chain = {0};
	__u32 map = 0;

	if (fd < 0)
		return -errno;
	err = map_id(fd, &map);
	close(fd);
	err = err ?: chain_read(ifindex, map, &chain);
	err = err ?: chain_leave(&chain, ifindex, 0);
	chain_close(&chain);
	err = err ?: dispatcher_tidy(ifindex, map);
	if (err)
		return err;
	return unlink(mark) ? -errno : 0;
}
