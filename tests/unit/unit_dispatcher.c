/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lbd's XDP program in libxdp's dispatcher, beside others', on a bpffs and in a network
 * of its own.  A kernel that lets no program extend another is told, and is left as it
 * was; which of the two this one is decides what is tested.
 */
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath.h"

static char root[] = "/tmp/guideway-bpffs-XXXXXX";
static char dir[64];

static struct datapath_config config(enum datapath_attach attach)
{
	return (struct datapath_config){.bpffs_dir = dir,
					.attach = attach,
					.max_services = 64,
					.max_backends = 64,
					.max_frontends = 64,
					.max_flows = 1024,
					.max_udp_flows = 1024,
					.max_new_flows = 1024,
					.max_slots = 65536};
}

static void shell(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("%s", command);
}

static int world_setup(void **state)
{
	char self[4096] = "", path[8192]; /* xdp_chain is beside this */

	(void)state;
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
	    unshare(CLONE_NEWNET | CLONE_NEWNS) || !mkdtemp(root) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", root, "bpf", 0, NULL))
		return -1;
	snprintf(path, sizeof(path), "%s:%s", dirname(self), getenv("PATH"));
	setenv("PATH", path, 1);
	snprintf(dir, sizeof(dir), "%s/guideway", root);
	setenv("LIBXDP_BPFFS", root, 1);
	return system("ip link add client type veth peer name client-peer");
}

static int world_teardown(void **state)
{
	(void)state;
	return umount(root) || rmdir(root);
}

static int uplink_setup(void **state)
{
	(void)state;
	return system("ip link add uplink type veth peer name peer && ip link set uplink up");
}

/* Everything of ours is gone after each test, and with the device everything. */
static int detach(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(datapath_detach(dir, &error), 0);
	assert_int_equal(access(dir, F_OK), -1);
	shell("ip link del uplink; rm -rf %s/xdp/*", root); /* libxdp knows its directory */
	return 0;
}

static struct datapath *open_or_fail(enum datapath_attach attach)
{
	struct datapath_config c = config(attach);
	struct datapath *datapath;
	struct error error;

	if (datapath_open(&c, &datapath, &error))
		fail_msg("%s", error.text);
	return datapath;
}

static struct datapath_device uplink(enum hook hook)
{
	return (struct datapath_device){.ifindex = if_nametoindex("uplink"),
					.name = "uplink",
					.role = DEVICE_UPLINK,
					.hook = hook};
}

static void attach_or_fail(struct datapath *datapath, struct datapath_device *device)
{
	struct error error;

	if (datapath_attach(datapath, device, 1, &error))
		fail_msg("%s", error.text);
}

/* A lbd that starts, attaches and ends, by whatever means. */
static void run(enum datapath_attach attach, enum hook hook)
{
	struct datapath *datapath = open_or_fail(attach);
	struct datapath_device device = uplink(hook);

	attach_or_fail(datapath, &device);
	assert_string_equal(device.refusal, "");
	datapath_close(datapath);
}

static void assert_refused(struct datapath *datapath, struct datapath_device *device, int wanted,
			   const char *text)
{
	struct error error;

	assert_int_equal(datapath_attach(datapath, device, 1, &error), wanted);
	if (!strstr(error.text, text))
		fail_msg("%s", error.text);
}

/* What `xdp_chain show` says of the uplink; without ids and counts: "generic 10 foreign
 * 50 lb_xdp". */
static const char *chain(void)
{
	static char text[1024];
	char line[128], name[64];
	unsigned int priority;
	FILE *from = popen("xdp_chain show uplink", "r");
	*text = '\0';
	while (from && fgets(line, sizeof(line), from)) {
		if (sscanf(line, "%u %63s", &priority, name) == 2)
			snprintf(line, sizeof(line), " %u %s", priority, name);
		line[strcspn(line, "\n")] = '\0';
		strcat(text, line);
	}
	assert_int_equal(pclose(from), 0);
	return text;
}

/* The id of the program with this priority. */
static unsigned int chain_id(unsigned int wanted)
{
	unsigned int priority, id, found = 0;
	char line[128];
	FILE *from = popen("xdp_chain show uplink", "r");
	while (from && fgets(line, sizeof(line), from))
		if (sscanf(line, "%u %*s %u", &priority, &id) == 2 && priority == wanted)
			found = id;
	assert_int_equal(pclose(from), 0);
	return found;
}

/* Dispatchers that something is pinned for. */
static size_t dispatchers_pinned(void)
{
	char pattern[128];
	glob_t pins = {0};
	size_t n;

	snprintf(pattern, sizeof(pattern), "%s/xdp/dispatch-*", root);
	n = glob(pattern, 0, NULL, &pins) ? 0 : pins.gl_pathc;
	globfree(&pins);
	return n;
}

static void others_stay_beside_ours(void **state)
{
	struct datapath *datapath;
	struct datapath_device device = uplink(HOOK_XDP_GENERIC);

	(void)state;
	shell("xdp_chain add uplink generic 10");
	datapath = open_or_fail(DATAPATH_ATTACH_DISPATCHER);
	attach_or_fail(datapath, &device);
	assert_int_equal(device.used, HOOK_XDP_GENERIC);
	assert_string_equal(device.attach, "dispatcher");
	shell("xdp_chain add uplink generic 90");
	assert_string_equal(chain(), "generic 10 foreign 50 lb_xdp 90 foreign");
	/* Nothing to do. */
	attach_or_fail(datapath, &device);
	datapath_close(datapath);
	assert_string_equal(chain(), "generic 10 foreign 50 lb_xdp 90 foreign");
}

static void a_restart_replaces_ours_alone(void **state)
{
	unsigned int first, ours;

	(void)state;
	shell("xdp_chain add uplink generic 10");
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	first = chain_id(10);
	ours = chain_id(50);
	for (int i = 0; i < 2; i++) {
		run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
		assert_string_equal(chain(), "generic 10 foreign 50 lb_xdp");
		assert_int_equal(chain_id(10), first);
		assert_int_not_equal(chain_id(50), ours);
		assert_int_equal(dispatchers_pinned(), 1);
		ours = chain_id(50);
	}
}

static void detaching_leaves_others(void **state)
{
	unsigned int first;
	struct error error;

	(void)state;
	shell("xdp_chain add uplink generic 10");
	first = chain_id(10);
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	assert_int_equal(datapath_detach(dir, &error), 0);
	assert_string_equal(chain(), "generic 10 foreign");
	assert_int_equal(chain_id(10), first);
	assert_int_equal(dispatchers_pinned(), 1);
	/* And a dispatcher of ours alone goes with us. */
	shell("xdp_chain remove uplink");
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	assert_string_equal(chain(), "generic 50 lb_xdp");
	assert_int_equal(datapath_detach(dir, &error), 0);
	assert_string_equal(chain(), "none");
	assert_int_equal(dispatchers_pinned(), 0);
}

static void others_may_come_and_go(void **state)
{
	unsigned int ours;

	(void)state;
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	ours = chain_id(50);
	shell("xdp_chain add uplink generic 10");
	assert_string_equal(chain(), "generic 10 foreign 50 lb_xdp");
	shell("xdp_chain remove uplink");
	assert_string_equal(chain(), "generic 50 lb_xdp");
	assert_int_equal(chain_id(50), ours);
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	assert_string_equal(chain(), "generic 50 lb_xdp");
	assert_int_equal(dispatchers_pinned(), 1);
}

static void link_and_dispatcher_take_each_others_place(void **state)
{
	struct datapath_device device = uplink(HOOK_XDP_GENERIC);
	struct datapath *datapath;

	(void)state;
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	run(DATAPATH_ATTACH_LINK, HOOK_XDP_GENERIC);
	assert_string_equal(chain(), "alone");
	assert_int_equal(dispatchers_pinned(), 0);
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	assert_string_equal(chain(), "generic 50 lb_xdp");
	/* A link doesn't share. */
	shell("xdp_chain add uplink generic 10");
	datapath = open_or_fail(DATAPATH_ATTACH_LINK);
	assert_refused(datapath, &device, -EBUSY, "device uplink carries another XDP program");
	assert_string_equal(chain(), "generic 10 foreign");
	device.may_fall_back = true;
	device.hook = HOOK_XDP;
	attach_or_fail(datapath, &device);
	assert_int_equal(device.used, HOOK_TC);
	assert_true(!strcmp(device.attach, "tcx") || !strcmp(device.attach, "clsact"));
	datapath_close(datapath);
}

static void modes_take_each_others_place_while_nobody_shares(void **state)
{
	struct datapath_device device = uplink(HOOK_XDP_GENERIC);
	struct datapath *datapath;

	(void)state;
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP);
	assert_string_equal(chain(), "native 50 lb_xdp_native");
	datapath = open_or_fail(DATAPATH_ATTACH_DISPATCHER);
	attach_or_fail(datapath, &device);
	assert_string_equal(chain(), "generic 50 lb_xdp");
	device.hook = HOOK_TC;
	attach_or_fail(datapath, &device);
	assert_string_equal(chain(), "none");
	device.hook = HOOK_XDP;
	attach_or_fail(datapath, &device);
	assert_string_equal(chain(), "native 50 lb_xdp_native");
	shell("xdp_chain add uplink native 10");
	device.hook = HOOK_XDP_GENERIC;
	assert_refused(datapath, &device, -EEXIST,
		       "--attach dispatcher: device uplink has a dispatcher with others' programs, "
		       "but not for generic XDP");
	assert_string_equal(chain(), "native 10 foreign");
	shell("xdp_chain remove uplink && xdp_chain add uplink generic 10");
	device.hook = HOOK_XDP;
	device.may_fall_back = true;
	attach_or_fail(datapath, &device);
	assert_int_equal(device.used, HOOK_XDP_GENERIC);
	assert_non_null(strstr(device.refusal, "not for native XDP"));
	assert_string_equal(chain(), "generic 10 foreign 50 lb_xdp");
	datapath_close(datapath);
}

static void a_program_without_a_dispatcher_is_respected(void **state)
{
	static const struct bpf_insn pass[] = {
		{.code = 0xb7, .dst_reg = 0, .imm = 2}, /* r0 = XDP_PASS */
		{.code = 0x95},				/* exit */
	};
	struct datapath_device device = uplink(HOOK_XDP_GENERIC);
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", pass, 2, NULL);
	struct datapath *datapath;

	(void)state;
	assert_true(program >= 0);
	assert_int_equal(bpf_xdp_attach(device.ifindex, program, 0, NULL), 0);
	datapath = open_or_fail(DATAPATH_ATTACH_DISPATCHER);
	assert_refused(datapath, &device, -EBUSY,
		       "--attach dispatcher: device uplink carries an XDP program that no "
		       "dispatcher of libxdp runs");
	device.may_fall_back = true;
	attach_or_fail(datapath, &device);
	assert_int_equal(device.used, HOOK_TC);
	assert_string_equal(chain(), "alone");
	datapath_close(datapath);
	close(program);
}

static void a_full_dispatcher_is_told(void **state)
{
	struct datapath_device device = uplink(HOOK_XDP_GENERIC);
	struct datapath *datapath = open_or_fail(DATAPATH_ATTACH_DISPATCHER);

	(void)state;
	for (int i = 0; i < 10; i++)
		shell("xdp_chain add uplink generic %d", 10 + i);
	assert_refused(datapath, &device, -E2BIG,
		       "--attach dispatcher: device uplink has a dispatcher, and it is full");
	datapath_close(datapath);
}

/* Pins would keep the programs, and with them all maps. */
static void nothing_is_left_of_a_device_that_is_gone(void **state)
{
	struct datapath_device device = uplink(HOOK_XDP_GENERIC);
	struct datapath *datapath = open_or_fail(DATAPATH_ATTACH_DISPATCHER);
	struct error error;

	(void)state;
	attach_or_fail(datapath, &device);
	assert_int_equal(dispatchers_pinned(), 1);
	shell("ip link del uplink && touch -d '1 minute ago' %s/xdp/dispatch-*", root);
	assert_int_equal(datapath_attach(datapath, NULL, 0, &error), 0);
	assert_int_equal(dispatchers_pinned(), 0);
	datapath_close(datapath);
	uplink_setup(NULL);
}

/* As a lbd leaves it that is killed while libxdp is at work. */
static void what_a_killed_one_left_is_swept(void **state)
{
	struct datapath_device device = uplink(HOOK_XDP_GENERIC);

	(void)state;
	shell("xdp_chain add uplink generic 10");
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	/* One of ours, one of others alone, one of another device. */
	shell("cd %s/xdp && mkdir dispatch-%d-1 dispatch-%d-2 dispatch-%d-1", root, device.ifindex,
	      device.ifindex, device.ifindex + 1000);
	for (int i = 0; i < 3; i++) {
		char to[128];
		int fd;

		snprintf(to, sizeof(to), "%s/xdp/dispatch-%d-%d/prog0-prog", root,
			 device.ifindex + (i == 2) * 1000, i == 1 ? 2 : 1);
		fd = bpf_prog_get_fd_by_id(chain_id(i == 1 ? 10 : 50));
		assert_true(fd >= 0);
		assert_int_equal(bpf_obj_pin(fd, to), 0);
		close(fd);
	}
	shell("touch -d '1 minute ago' %s/xdp/dispatch-*", root);
	run(DATAPATH_ATTACH_DISPATCHER, HOOK_XDP_GENERIC);
	/* The one in use, the one without ours, the other device's. */
	assert_int_equal(dispatchers_pinned(), 3);
	assert_string_equal(chain(), "generic 10 foreign 50 lb_xdp");
}

static void two_uplinks_share_one_program(void **state)
{
	struct datapath_device devices[] = {uplink(HOOK_XDP_GENERIC), uplink(HOOK_XDP_GENERIC)};
	struct datapath *datapath = open_or_fail(DATAPATH_ATTACH_DISPATCHER);
	struct error error;

	(void)state;
	devices[1].ifindex = if_nametoindex("client");
	devices[1].name = "client";
	if (datapath_attach(datapath, devices, 2, &error))
		fail_msg("%s", error.text);
	assert_int_equal(dispatchers_pinned(), 2);
	assert_string_equal(chain(), "generic 50 lb_xdp");
	attach_or_fail(datapath, devices);
	assert_int_equal(dispatchers_pinned(), 1);
	assert_string_equal(chain(), "generic 50 lb_xdp");
	datapath_close(datapath);
}

static void a_kernel_without_extensions_is_told_and_nothing_changed(void **state)
{
	struct datapath_config c = config(DATAPATH_ATTACH_DISPATCHER);
	struct datapath *datapath;
	struct error error;
	char xdp[64];

	(void)state;
	assert_int_equal(datapath_open(&c, &datapath, &error), -ENOTSUP);
	if (!strstr(error.text, "--attach dispatcher: this kernel lets no program extend another"))
		fail_msg("%s", error.text);
	assert_int_equal(access(dir, F_OK), -1);
	snprintf(xdp, sizeof(xdp), "%s/xdp", root);
	assert_int_equal(access(xdp, F_OK), -1);
	assert_string_equal(chain(), "none");
	/* What another lbd has attached stays. */
	run(DATAPATH_ATTACH_LINK, HOOK_XDP_GENERIC);
	assert_int_equal(datapath_open(&c, &datapath, &error), -ENOTSUP);
	assert_int_equal(access(dir, F_OK), 0);
	assert_string_equal(chain(), "alone");
}

static void without_a_bpf_file_system_libxdp_cannot(void **state)
{
	struct datapath_config c = config(DATAPATH_ATTACH_DISPATCHER);
	struct datapath *datapath;
	struct error error;

	(void)state;
	setenv("LIBXDP_BPFFS", "/tmp", 1);
	assert_int_equal(datapath_open(&c, &datapath, &error), -ENOTSUP);
	setenv("LIBXDP_BPFFS", root, 1);
	if (!strstr(error.text, "--attach dispatcher: libxdp pins in /tmp"))
		fail_msg("%s", error.text);
	assert_int_equal(access(dir, F_OK), -1);
}

/* Asked by other means than lbd's: with libxdp itself. */
static bool kernel_has_extensions(void)
{
	bool has = !system("xdp_chain add client generic 10 2>/dev/null");

	shell("%s", has ? "xdp_chain remove client" : "ip link set client xdpgeneric off");
	shell("rm -rf %s/xdp", root);
	return has;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, uplink_setup, detach)

int main(void)
{
	const struct CMUnitTest with[] = {
		TEST(others_stay_beside_ours),
		TEST(a_restart_replaces_ours_alone),
		TEST(detaching_leaves_others),
		TEST(others_may_come_and_go),
		TEST(link_and_dispatcher_take_each_others_place),
		TEST(modes_take_each_others_place_while_nobody_shares),
		TEST(a_program_without_a_dispatcher_is_respected),
		TEST(a_full_dispatcher_is_told),
		TEST(nothing_is_left_of_a_device_that_is_gone),
		TEST(what_a_killed_one_left_is_swept),
		TEST(two_uplinks_share_one_program),
		TEST(without_a_bpf_file_system_libxdp_cannot),
	};
	const struct CMUnitTest without[] = {
		TEST(a_kernel_without_extensions_is_told_and_nothing_changed),
		TEST(without_a_bpf_file_system_libxdp_cannot),
	};
	bool has;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (world_setup(NULL)) {
		puts("Bail out! no network and bpffs of its own");
		return 1;
	}
	has = kernel_has_extensions();
	printf("# the kernel lets programs extend others: %s\n", has ? "yes" : "no");
	if (has)
		return cmocka_run_group_tests_name("unit_dispatcher", with, NULL, world_teardown);
	return cmocka_run_group_tests_name("unit_dispatcher", without, NULL, world_teardown);
}
