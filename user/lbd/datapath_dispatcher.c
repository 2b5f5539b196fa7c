/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "datapath_dispatcher.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "attach_dispatcher.h"
#include "lb.h"
#include "lb.skel.h"

/* A function of both XDP programs that takes what they take, for a kernel to try on. */
#define EXTENDED_FUNCTION "xdp_is_for_any"

static int copy_open(const struct lb_bpf *loaded, struct lb_bpf **ret)
{
	struct lb_bpf *copy = lb_bpf__open();
	struct bpf_program *program;
	struct bpf_map *map;
	int err = copy ? 0 : -errno;

	if (err)
		return err;
	bpf_object__for_each_program(program, copy->obj)
	{
		bpf_program__set_autoload(program, false);
	}
	/* Sections of data, too: they are filled by now. */
	bpf_object__for_each_map(map, copy->obj)
	{
		const struct bpf_map *first =
			bpf_object__find_map_by_name(loaded->obj, bpf_map__name(map));

		err = err ?: first ? bpf_map__reuse_fd(map, bpf_map__fd(first)) : -ENOENT;
	}
	if (err)
		lb_bpf__destroy(copy);
	else
		*ret = copy;
	return err;
}

/* Before anything is changed: does the kernel load a program of ours as an extension of
 * another, and attach it?  The other one is lb_xdp, which runs nowhere as it is. */
static int kernel_check(const struct lb_bpf *loaded)
{
	int target = bpf_program__fd(loaded->progs.lb_xdp);
	struct bpf_program *program;
	struct bpf_link *link;
	struct lb_bpf *copy;
	int err = copy_open(loaded, &copy);

	if (err)
		return err;
	program = copy->progs.lb_xdp;
	bpf_program__set_autoload(program, true);
	bpf_program__set_type(program, BPF_PROG_TYPE_EXT);
	bpf_program__set_expected_attach_type(program, 0);
	err = bpf_program__set_attach_target(program, target, EXTENDED_FUNCTION);
	err = err ?: bpf_object__load(copy->obj);
	if (!err) {
		link = bpf_program__attach_freplace(program, target, EXTENDED_FUNCTION);
		err = libbpf_get_error(link);
		bpf_link__destroy(link);
	}
	lb_bpf__destroy(copy);
	return err;
}

int datapath_dispatcher_open(const struct lb_bpf *loaded, struct datapath_dispatcher *ret,
			     struct error *error)
{
	static const char *const names[] = {"lb_xdp", "lb_xdp_native"};
	int err;

	*ret = (struct datapath_dispatcher){0};
	err = dispatcher_check(bpf_program__fd(loaded->progs.lb_xdp), error);
	if (err)
		return err;
	err = kernel_check(loaded);
	if (err)
		return error_set(error, -ENOTSUP,
				 "--attach dispatcher: this kernel lets no program extend another "
				 "(freplace: %s), which libxdp's dispatcher needs",
				 strerror(-err));
	for (int i = 0; i < 2 && !err; i++) {
		err = copy_open(loaded, &ret->copies[i]);
		err = err
			      ?: dispatcher_program_open(ret->copies[i]->obj, names[i], i == 1,
							 &ret->programs[i]);
	}
	if (!err)
		return 0;
	datapath_dispatcher_close(ret);
	return error_set(error, err, "--attach dispatcher: can't open the programs: %s",
			 strerror(-err));
}

void datapath_dispatcher_close(struct datapath_dispatcher *dispatcher)
{
	for (int i = 0; i < 2; i++) {
		dispatcher_program_close(dispatcher->programs[i]);
		lb_bpf__destroy(dispatcher->copies[i]);
	}
	*dispatcher = (struct datapath_dispatcher){0};
}
