/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Loading, pinning, adopting and attaching, on a bpffs and in a network of its own. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "datapath.h"

static char root[] = "/tmp/guideway-bpffs-XXXXXX";
static char dir[64];

static struct datapath_config config(void)
{
	return (struct datapath_config){.bpffs_dir = dir,
					.max_services = 64,
					.max_backends = 64,
					.max_frontends = 64,
					.max_flows = 1024,
					.max_udp_flows = 1024,
					.max_new_flows = 1024,
					.max_slots = 65536};
}

static int world_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || !mkdtemp(root) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", root, "bpf", 0, NULL))
		return -1;
	snprintf(dir, sizeof(dir), "%s/guideway", root);
	return system("ip link add uplink type veth peer name client && ip link set uplink up && "
		      "ip link add pod1 type veth peer name inside1 && ip link set pod1 up");
}

static int world_teardown(void **state)
{
	(void)state;
	return umount(root) || rmdir(root);
}

/* Everything of ours is gone after each test. */
static int detach(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(datapath_detach(dir, &error), 0);
	assert_int_equal(access(dir, F_OK), -1);
	return 0;
}

static struct datapath *open_or_fail(const struct datapath_config *c)
{
	struct datapath *datapath;
	struct error error;
	int err = datapath_open(c, &datapath, &error);

	if (err)
		fail_msg("%s", error.text);
	return datapath;
}

static void attach_or_fail(struct datapath *datapath, struct datapath_device *devices, size_t n)
{
	struct error error;

	if (datapath_attach(datapath, devices, n, &error))
		fail_msg("%s", error.text);
}

static void maps_are_adopted_with_their_contents(void **state)
{
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);
	struct error error;

	(void)state;
	assert_int_equal(maps_make_writable(datapath_maps(datapath), &error), 0);
	datapath_maps(datapath)->backends[5].port = 1234;
	datapath_close(datapath);
	datapath = open_or_fail(&c);
	assert_int_equal(datapath_maps(datapath)->backends[5].port, 1234);
	assert_int_equal(datapath_maps(datapath)->max_backends, 64);
	datapath_close(datapath);
}

static void sizes_that_are_not_given_are_adopted(void **state)
{
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);

	(void)state;
	datapath_close(datapath);
	c = (struct datapath_config){.bpffs_dir = dir};
	datapath = open_or_fail(&c);
	assert_int_equal(datapath_maps(datapath)->max_flows, 1024);
	assert_int_equal(datapath_maps(datapath)->arena_lines, 4096);
	datapath_close(datapath);
}

static void another_size_is_refused_by_its_option(void **state)
{
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);
	struct error error;

	(void)state;
	datapath_close(datapath);
	c.max_flows = 2048;
	assert_int_equal(datapath_open(&c, &datapath, &error), -EEXIST);
	assert_non_null(strstr(error.text, "--max-flows"));
	assert_non_null(strstr(error.text, "1024"));
	c = config();
	c.max_slots = 131072;
	assert_int_equal(datapath_open(&c, &datapath, &error), -EEXIST);
	assert_non_null(strstr(error.text, "--max-slots"));
	assert_non_null(strstr(error.text, "65536"));
}

static void another_layout_is_refused(void **state)
{
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);
	struct error error;
	char path[256];
	int fd;

	(void)state;
	datapath_close(datapath);
	snprintf(path, sizeof(path), "%s/v%d/maps/flows4", dir, LB_ABI);
	assert_int_equal(unlink(path), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "flows4", sizeof(struct lb_tuple4),
			    sizeof(struct lb_flow) + 8, 1024, NULL);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(datapath_open(&c, &datapath, &error), -EEXIST);
	assert_non_null(strstr(error.text, "flows4"));
	assert_non_null(strstr(error.text, "--detach"));
}

static void a_second_daemon_is_refused(void **state)
{
	struct datapath_config c = config();
	struct datapath *first = open_or_fail(&c), *second;
	struct error error;

	(void)state;
	assert_int_equal(datapath_open(&c, &second, &error), -EBUSY);
	assert_non_null(strstr(error.text, dir));
	assert_int_equal(datapath_detach(dir, &error), -EBUSY);
	datapath_close(first);
}

static void a_directory_off_bpffs_is_refused(void **state)
{
	struct datapath_config c = config();
	struct datapath *datapath;
	struct error error;

	(void)state;
	c.bpffs_dir = "/tmp/not/bpffs";
	assert_int_equal(datapath_open(&c, &datapath, &error), -ENOTSUP);
	assert_non_null(strstr(error.text, "/tmp/not/bpffs"));
	assert_non_null(strstr(error.text, "mount -t bpf"));
}

/* A program of somebody else's. */
static const struct bpf_insn pass[] = {
	{.code = 0xb7, .dst_reg = 0, .imm = 2}, /* r0 = XDP_PASS */
	{.code = 0x95},				/* exit */
};

/* A link's own id and its program's, by pin. */
static void link_ids(const char *name, __u32 *ret_link, __u32 *ret_program)
{
	struct bpf_link_info info = {0};
	__u32 length = sizeof(info);
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/v%d/links/%s", dir, LB_ABI, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
	close(fd);
	*ret_link = info.id;
	*ret_program = info.prog_id;
}

static bool link_exists(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/v%d/links/%s", dir, LB_ABI, name);
	return !access(path, F_OK);
}

/* Kernels before 6.6 have clsact filters instead of tcx links. */
static bool kernel_has_tcx(void)
{
	static int has = -1;

	if (has < 0) {
		int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "probe", "GPL", pass, 2, NULL);

		assert_true(fd >= 0);
		has = attach_has_tcx(fd);
		close(fd);
	}
	return has;
}

static void tc_name(char name[32], int ifindex)
{
	snprintf(name, 32, "%s-ingress-%d", kernel_has_tcx() ? "tcx" : "clsact", ifindex);
}

static void programs_are_replaced_behind_their_links(void **state)
{
	int nlinks = kernel_has_tcx() ? 3 : 1; /* a clsact filter is none */
	struct datapath_device devices[] = {
		{.ifindex = if_nametoindex("uplink"),
		 .name = "uplink",
		 .role = DEVICE_UPLINK,
		 .hook = HOOK_XDP_GENERIC},
		{.ifindex = if_nametoindex("pod1"), .name = "pod1", .role = DEVICE_POD},
	};
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);
	__u32 link[3], program[3], new_link, new_program;
	char names[3][32];

	(void)state;
	attach_or_fail(datapath, devices, 2);
	snprintf(names[0], 32, "xdp-generic-%d", devices[0].ifindex);
	tc_name(names[1], devices[0].ifindex);
	tc_name(names[2], devices[1].ifindex);
	for (int i = 0; i < nlinks; i++)
		link_ids(names[i], &link[i], &program[i]);
	attach_or_fail(datapath, devices, 2); /* nothing to do */
	for (int i = 0; i < nlinks; i++) {
		link_ids(names[i], &new_link, &new_program);
		assert_int_equal(new_link, link[i]);
		assert_int_equal(new_program, program[i]);
	}
	datapath_close(datapath);

	datapath = open_or_fail(&c);
	attach_or_fail(datapath, devices, 2);
	for (int i = 0; i < nlinks; i++) {
		link_ids(names[i], &new_link, &new_program);
		assert_int_equal(new_link, link[i]);
		assert_int_not_equal(new_program, program[i]);
	}
	datapath_close(datapath);
}

static void native_and_generic_take_each_others_place(void **state)
{
	struct datapath_device device = {
		.ifindex = if_nametoindex("uplink"), .name = "uplink", .role = DEVICE_UPLINK};
	static const enum hook hooks[] = {HOOK_XDP_GENERIC, HOOK_XDP, HOOK_XDP,
					  HOOK_XDP_GENERIC, HOOK_TC,  HOOK_XDP};
	struct datapath_config c = config();
	char native[32], generic[32];

	(void)state;
	snprintf(native, sizeof(native), "xdp-%d", device.ifindex);
	snprintf(generic, sizeof(generic), "xdp-generic-%d", device.ifindex);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		struct datapath *datapath = open_or_fail(&c);

		device.hook = hooks[i];
		attach_or_fail(datapath, &device, 1);
		assert_int_equal(device.used, hooks[i]);
		assert_string_equal(device.refusal, "");
		assert_int_equal(link_exists(native), hooks[i] == HOOK_XDP);
		assert_int_equal(link_exists(generic), hooks[i] == HOOK_XDP_GENERIC);
		datapath_close(datapath);
	}
	/* A device that can't: the next best, and why. */
	assert_int_equal(system("ip link add flat type bridge && ip link set flat up"), 0);
	device = (struct datapath_device){.ifindex = if_nametoindex("flat"),
					  .name = "flat",
					  .role = DEVICE_UPLINK,
					  .hook = HOOK_XDP};
	struct datapath *datapath = open_or_fail(&c);
	struct error error;

	assert_true(datapath_attach(datapath, &device, 1, &error) < 0);
	assert_non_null(strstr(error.text, "device flat: can't attach xdp: "));
	device.may_fall_back = true;
	attach_or_fail(datapath, &device, 1);
	assert_int_equal(device.used, HOOK_XDP_GENERIC);
	assert_non_null(strstr(device.refusal, "device flat: can't attach xdp: "));
	datapath_close(datapath);
	assert_int_equal(system("ip link del flat"), 0);
}

static void devices_that_are_not_named_are_detached(void **state)
{
	struct datapath_device device = {.ifindex = if_nametoindex("uplink"),
					 .name = "uplink",
					 .role = DEVICE_UPLINK,
					 .hook = HOOK_XDP_GENERIC};
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);
	char xdp[32], tc[32];

	(void)state;
	snprintf(xdp, sizeof(xdp), "xdp-generic-%d", device.ifindex);
	tc_name(tc, device.ifindex);
	attach_or_fail(datapath, &device, 1);
	assert_true(link_exists(xdp) && link_exists(tc));
	device.hook = HOOK_TC;
	attach_or_fail(datapath, &device, 1);
	assert_true(!link_exists(xdp) && link_exists(tc));
	assert_int_equal(system("! ip link show dev uplink | grep -q xdp"), 0);
	attach_or_fail(datapath, NULL, 0);
	assert_true(!link_exists(xdp) && !link_exists(tc));
	datapath_close(datapath);
}

/* Kernels before 6.6, or a setting. */
static void clsact_does_what_tcx_does(void **state)
{
	struct datapath_device device = {.ifindex = if_nametoindex("uplink"),
					 .name = "uplink",
					 .role = DEVICE_UPLINK,
					 .hook = HOOK_TC};
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = device.ifindex,
			    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, foreign, .priority = 5);
	struct datapath_config c = config();
	struct datapath *datapath;
	char name[32];

	(void)state;
	c.tc = DATAPATH_TC_CLSACT;
	snprintf(name, sizeof(name), "clsact-ingress-%d", device.ifindex);
	for (int restart = 0; restart < 2; restart++) {
		datapath = open_or_fail(&c);
		attach_or_fail(datapath, &device, 1);
		attach_or_fail(datapath, &device, 1);
		assert_true(link_exists(name));
		/* Once, and it is first. */
		assert_int_equal(system("test $(tc filter show dev uplink ingress | "
					"grep -c 'pref 1 bpf.*lb_tc_uplink') = 1"),
				 0);
		datapath_close(datapath);
	}
	/* A foreign filter outlives ours. */
	foreign.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", pass, 2, NULL);
	assert_int_equal(bpf_tc_attach(&hook, &foreign), 0);
	close(foreign.prog_fd);
	if (!kernel_has_tcx())
		return;
	c.tc = DATAPATH_TC_AUTO;
	datapath = open_or_fail(&c);
	attach_or_fail(datapath, &device, 1);
	assert_false(link_exists(name));
	assert_int_equal(system("! tc filter show dev uplink ingress | grep -q lb_tc_uplink && "
				"tc filter show dev uplink ingress | grep -q foreign && "
				"tc qdisc del dev uplink clsact"),
			 0);
	datapath_close(datapath);
}

static void a_device_that_came_back_gets_a_new_link(void **state)
{
	struct datapath_device device = {.name = "pod2", .role = DEVICE_POD};
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);
	__u32 first, second, program;
	char name[32];

	(void)state;
	assert_int_equal(system("ip link add pod2 index 77 type veth peer name inside2"), 0);
	device.ifindex = 77;
	tc_name(name, 77);
	attach_or_fail(datapath, &device, 1);
	if (kernel_has_tcx())
		link_ids(name, &first, &program);
	/* Its ifindex, too: the pinned link is dead all the same. */
	assert_int_equal(system("ip link del pod2 && "
				"ip link add pod2 index 77 type veth peer name inside2"),
			 0);
	attach_or_fail(datapath, &device, 1);
	assert_true(link_exists(name));
	if (kernel_has_tcx()) {
		link_ids(name, &second, &program);
		assert_int_not_equal(first, second);
	} else {
		assert_int_equal(system("tc filter show dev pod2 ingress | grep -q lb_tc_pod"), 0);
	}
	datapath_close(datapath);
}

static void a_foreign_xdp_program_is_respected(void **state)
{
	struct datapath_device devices[] = {
		{.ifindex = if_nametoindex("uplink"),
		 .name = "uplink",
		 .role = DEVICE_UPLINK,
		 .hook = HOOK_XDP_GENERIC},
		{.ifindex = if_nametoindex("pod1"), .name = "pod1", .role = DEVICE_POD},
	};
	struct datapath_config c = config();
	struct datapath *datapath = open_or_fail(&c);
	struct error error;
	char name[32];
	int program, link;

	(void)state;
	program = bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", pass, 2, NULL);
	assert_true(program >= 0);
	link = bpf_link_create(program, devices[0].ifindex, BPF_XDP, NULL);
	assert_true(link >= 0);
	assert_true(datapath_attach(datapath, devices, 2, &error) < 0);
	assert_non_null(strstr(error.text, "device uplink carries another XDP program"));
	/* The other devices have theirs. */
	tc_name(name, devices[1].ifindex);
	assert_true(link_exists(name));
	/* Where nobody insists, TC alone does it. */
	devices[0].may_fall_back = true;
	attach_or_fail(datapath, devices, 2);
	assert_int_equal(devices[0].used, HOOK_TC);
	assert_non_null(strstr(devices[0].refusal, "carries another XDP program"));
	devices[0].may_fall_back = false;
	close(link);
	close(program);
	datapath_close(datapath);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(maps_are_adopted_with_their_contents, detach),
		cmocka_unit_test_teardown(sizes_that_are_not_given_are_adopted, detach),
		cmocka_unit_test_teardown(another_size_is_refused_by_its_option, detach),
		cmocka_unit_test_teardown(another_layout_is_refused, detach),
		cmocka_unit_test_teardown(a_second_daemon_is_refused, detach),
		cmocka_unit_test_teardown(a_directory_off_bpffs_is_refused, detach),
		cmocka_unit_test_teardown(programs_are_replaced_behind_their_links, detach),
		cmocka_unit_test_teardown(native_and_generic_take_each_others_place, detach),
		cmocka_unit_test_teardown(devices_that_are_not_named_are_detached, detach),
		cmocka_unit_test_teardown(clsact_does_what_tcx_does, detach),
		cmocka_unit_test_teardown(a_device_that_came_back_gets_a_new_link, detach),
		cmocka_unit_test_teardown(a_foreign_xdp_program_is_respected, detach),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("unit_datapath", tests, world_setup, world_teardown);
}
