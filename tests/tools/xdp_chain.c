/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A device's XDP programs in libxdp's dispatcher, and one that stands for somebody
 * else's (foreign.bpf.c):
 *
 *   xdp_chain add DEVICE generic|native PRIORITY
 *   xdp_chain remove DEVICE       all of those
 *   xdp_chain show DEVICE
 *
 * `show` prints "none", "alone", "generic" or "native", and where there is a dispatcher a
 * line for each of its programs, in the order they run: PRIORITY NAME ID, and the count
 * of somebody else's.
 */
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "foreign.skel.h"

#define PROGRAMS_MAX 10

static int complain(const char *what, int err)
{
	fprintf(stderr, "xdp_chain: %s: %s\n", what, strerror(-err));
	return 1;
}

static int add(int ifindex, enum xdp_attach_mode mode, unsigned int priority)
{
	struct foreign_bpf *skel = foreign_bpf__open();
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = skel ? skel->obj : NULL);
	struct xdp_program *program;
	struct xdp_multiprog *multi;
	int err;

	if (!skel)
		return complain("foreign.bpf.o", -errno);
	program = xdp_program__create(&opts);
	err = libxdp_get_error(program);
	if (err)
		return complain("foreign", err);
	xdp_program__set_run_prio(program, priority);
	err = xdp_program__attach(program, ifindex, mode, 0);
	if (err)
		return complain("attach", err);
	multi = xdp_multiprog__get_from_ifindex(ifindex);
	return xdp_multiprog__is_legacy(multi) ? complain("attach", -EOPNOTSUPP) : 0;
}

static bool is_foreign(struct xdp_program *program)
{
	return !strcmp(xdp_program__name(program), "foreign");
}

static int foreign_remove(int ifindex, struct xdp_multiprog *multi)
{
	struct xdp_program *program = NULL, *leaving[PROGRAMS_MAX];
	size_t n = 0;
	int err = 0;

	while ((program = xdp_multiprog__next_prog(program, multi)))
		if (is_foreign(program))
			leaving[n++] = program;
	if (n)
		err = xdp_program__detach_multi(leaving, n, ifindex,
						xdp_multiprog__attach_mode(multi), 0);
	return err ? complain("detach", err) : 0;
}

static uint64_t foreign_count(struct xdp_program *program)
{
	__u32 map = 0, key = 0;
	struct bpf_prog_info info = {.nr_map_ids = 1, .map_ids = (uintptr_t)&map};
	__u32 length = sizeof(info);
	uint64_t count = 0;
	int fd;

	if (bpf_obj_get_info_by_fd(xdp_program__fd(program), &info, &length))
		exit(complain("foreign", -errno));
	fd = bpf_map_get_fd_by_id(map);
	if (fd < 0 || bpf_map_lookup_elem(fd, &key, &count))
		exit(complain("foreign_count", -errno));
	close(fd);
	return count;
}

static int show(const struct xdp_multiprog *multi)
{
	struct xdp_program *program = NULL;

	if (xdp_multiprog__is_legacy(multi)) {
		puts("alone");
		return 0;
	}
	puts(xdp_multiprog__attach_mode(multi) == XDP_MODE_NATIVE ? "native" : "generic");
	while ((program = xdp_multiprog__next_prog(program, multi))) {
		printf("%u %s %u", xdp_program__run_prio(program), xdp_program__name(program),
		       xdp_program__id(program));
		if (is_foreign(program))
			printf(" %llu", (unsigned long long)foreign_count(program));
		putchar('\n');
	}
	return 0;
}

int main(int argc, char **argv)
{
	int ifindex = argc > 2 ? (int)if_nametoindex(argv[2]) : 0;
	struct xdp_multiprog *multi;
	int err;

	libbpf_set_print(NULL);
	libxdp_set_print(NULL);
	if (!ifindex)
		return complain(argc > 2 ? argv[2] : "DEVICE is missing", -ENODEV);
	if (argc == 5 && !strcmp(argv[1], "add"))
		return add(ifindex, strcmp(argv[3], "native") ? XDP_MODE_SKB : XDP_MODE_NATIVE,
			   atoi(argv[4]));
	multi = xdp_multiprog__get_from_ifindex(ifindex);
	err = libxdp_get_error(multi);
	if (err == -ENOENT) {
		puts("none");
		return 0;
	}
	if (err)
		return complain(argv[2], err);
	if (!strcmp(argv[1], "remove"))
		return foreign_remove(ifindex, multi);
	return show(multi);
}
