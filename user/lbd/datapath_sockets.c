/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "datapath_sockets.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lb.h"
#include "lb.skel.h"
#include "maps.h"

struct socket_program {
	enum attach_hook hook;
	struct bpf_program *program;
};

static void programs_list(const struct lb_bpf *skel,
			  struct socket_program ret[DATAPATH_SOCKET_HOOKS])
{
	const struct socket_program list[DATAPATH_SOCKET_HOOKS] = {
		{ATTACH_CGROUP_GETPEERNAME4, skel->progs.lb_getpeername4},
		{ATTACH_CGROUP_GETPEERNAME6, skel->progs.lb_getpeername6},
		{ATTACH_CGROUP_RECVMSG4, skel->progs.lb_recvmsg4},
		{ATTACH_CGROUP_RECVMSG6, skel->progs.lb_recvmsg6},
		{ATTACH_CGROUP_RELEASE, skel->progs.lb_sock_release},
		{ATTACH_CGROUP_SENDMSG4, skel->progs.lb_sendmsg4},
		{ATTACH_CGROUP_SENDMSG6, skel->progs.lb_sendmsg6},
		{ATTACH_CGROUP_CONNECT4, skel->progs.lb_connect4},
		{ATTACH_CGROUP_CONNECT6, skel->progs.lb_connect6},
	};

	memcpy(ret, list, sizeof(list));
}

int datapath_sockets_prepare(struct lb_bpf *skel, bool wanted, struct error *error)
{
	struct socket_program programs[DATAPATH_SOCKET_HOOKS];
	uint64_t cookie;
	int err;

	programs_list(skel, programs);
	for (int i = 0; i < DATAPATH_SOCKET_HOOKS; i++)
		bpf_program__set_autoload(programs[i].program, wanted);
	if (!wanted)
		return 0;
	err = maps_netns_cookie(&cookie);
	if (err)
		return error_set(error, err, "can't read the network namespace's cookie: %s",
				 strerror(-err));
	skel->rodata->config_netns_cookie = cookie;
	return 0;
}

int datapath_sockets_points(const struct lb_bpf *skel, const char *cgroup, int cgroup_fd,
			    struct attach_point ret[DATAPATH_SOCKET_HOOKS], struct error *error)
{
	struct socket_program programs[DATAPATH_SOCKET_HOOKS];
	struct stat st;

	if (fstat(cgroup_fd, &st))
		return error_set(error, -errno, "cgroup %s: %s", cgroup, strerror(errno));
	programs_list(skel, programs);
	for (int i = 0; i < DATAPATH_SOCKET_HOOKS; i++)
		ret[i] = (struct attach_point){
			.hook = programs[i].hook,
			.device = cgroup,
			.program_fd = bpf_program__fd(programs[i].program),
			.cgroup_fd = cgroup_fd,
			.cgroup_id = st.st_ino,
		};
	return 0;
}
