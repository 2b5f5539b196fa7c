/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * XDP programs in libxdp's dispatcher, beside those of others on a device: each is
 * the extension (freplace) of one function of it, they run in the order of their
 * priorities, and XDP_PASS goes on to the next.  What belongs to a dispatcher is
 * pinned by libxdp below LIBXDP_BPFFS (/sys/fs/bpf), where everybody who shares
 * the device looks.
 *
 * Which of them are ours is told by a map that nobody else's programs use, not by
 * what was written down when they were attached: whatever way a lbd ended, the
 * next one finds what it left.  A pin of this map, the mark, tells that there may be
 * some on a device; it is made before the first is attached.
 *
 * Used by attach.c; who attaches gets programs here and puts them in its points.
 */
#ifndef GW_ATTACH_DISPATCHER_H
#define GW_ATTACH_DISPATCHER_H

#include <stdbool.h>
#include <linux/types.h>

#include "error.h"

struct attach_point;
struct bpf_object;
struct xdp_program;

/* Has libxdp what it needs, apart from the kernel's extensions?  -ENOTSUP no bpf file
 * system where it pins, -EPERM; any program of ours will do. */
int dispatcher_check(int program_fd, struct error *error);

/* One of object's programs, which isn't loaded yet: libxdp does that when it is attached
 * first.  It ends before its object does. */
int dispatcher_program_open(struct bpf_object *object, const char *name, bool frags,
			    struct xdp_program **ret);
void dispatcher_program_close(struct xdp_program *program);

/*
 * Have point's program, and no older one of ours, in the device's dispatcher.
 * -EBUSY the device has an XDP program without a dispatcher; -EEXIST the dispatcher
 * is in the other mode and others' programs with it; -E2BIG it is full; -ENOTSUP
 * libxdp would go without a dispatcher.
 */
int dispatcher_ensure(const char *mark, const struct attach_point *point);

/* Take ours out, others' stay; and the mark. */
int dispatcher_remove(const char *mark, int ifindex);

#endif
