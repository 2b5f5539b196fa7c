/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which cgroup is served: where cgroup2 is mounted, and what isn't one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "socket_lb.h"

/* What a mountinfo of these lines leads to; "" = nothing. */
static const char *mount_of(const char *lines)
{
	static char found[PATH_MAX];
	char path[] = "/tmp/guideway-mountinfo-XXXXXX";
	int fd = mkstemp(path), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	close(fd);
	strcpy(found, "");
	err = socket_lb_find_mount(path, found);
	unlink(path);
	assert_int_equal(err, *found ? 0 : -ENOENT);
	return found;
}

#define V1 "30 23 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n"

static void the_hierarchy_is_found_wherever_it_is_mounted(void **state)
{
	(void)state;
	assert_string_equal(mount_of("29 23 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 "
				     "cgroup2 rw,nsdelegate\n"),
			    "/sys/fs/cgroup");
	/* Beside version 1. */
	assert_string_equal(mount_of("25 23 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" V1
				     "28 25 0:24 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n"),
			    "/sys/fs/cgroup/unified");
	assert_string_equal(mount_of("29 23 0:25 / /my\\040own\\134place rw - cgroup2 c rw\n"),
			    "/my own\\place");
}

static void the_highest_one_is_taken(void **state)
{
	(void)state;
	/* A container's own, and the host's that it was given. */
	assert_string_equal(mount_of("1 0 0:25 / /sys/fs/cgroup rw - cgroup2 c rw\n"
				     "2 0 0:25 /../../.. /host/cgroup rw - cgroup2 c rw\n"
				     "3 0 0:25 /.. /parent rw - cgroup2 c rw\n"),
			    "/host/cgroup");
	/* A part of it, and the whole. */
	assert_string_equal(mount_of("1 0 0:25 /a/b /part rw - cgroup2 c rw\n"
				     "2 0 0:25 / /whole rw - cgroup2 c rw\n"
				     "3 0 0:25 / /again rw - cgroup2 c rw\n"),
			    "/whole");
	assert_string_equal(mount_of("1 0 0:25 /..a /part rw - cgroup2 c rw\n"
				     "2 0 0:25 / /whole rw - cgroup2 c rw\n"),
			    "/whole");
	assert_string_equal(mount_of("1 0 0:25 /a /part rw - cgroup2 c rw\n"), "/part");
}

static void where_there_is_none_that_is_told(void **state)
{
	char found[PATH_MAX];

	(void)state;
	assert_string_equal(mount_of(""), "");
	assert_string_equal(mount_of(V1), "");
	assert_string_equal(mount_of("1 0 0:25 / /cgroup2 rw - tmpfs cgroup2 rw\n"), "");
	assert_string_equal(mount_of("- cgroup2 c\n - cgroup2 \n1 - cgroup2 c\n\n"), "");
	assert_int_equal(socket_lb_find_mount("/nowhere", found), -ENOENT);
}

static void a_path_that_is_no_cgroup_is_refused(void **state)
{
	static const struct {
		const char *path, *text;
	} cases[] = {
		{"/", "--socket-lb /: not a cgroup of version 2"},
		{"/nowhere", "--socket-lb /nowhere: No such file or directory"},
		{"/dev/null", "--socket-lb /dev/null: Not a directory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct socket_lb socket_lb;
		struct error error;

		assert_int_equal(socket_lb_find(cases[i].path, &socket_lb, &error), -EINVAL);
		assert_string_equal(error.text, cases[i].text);
		assert_int_equal(socket_lb.fd, -1);
	}
}

static void off_is_no_error(void **state)
{
	struct socket_lb socket_lb;
	struct error error;

	(void)state;
	assert_int_equal(socket_lb_find("off", &socket_lb, &error), 0);
	assert_int_equal(socket_lb.fd, -1);
	assert_string_equal(socket_lb.reason, "--socket-lb off");
	assert_int_equal(socket_lb_attach(&socket_lb, NULL, &error), 0);
	assert_false(socket_lb.attached);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hierarchy_is_found_wherever_it_is_mounted),
		cmocka_unit_test(the_highest_one_is_taken),
		cmocka_unit_test(where_there_is_none_that_is_told),
		cmocka_unit_test(a_path_that_is_no_cgroup_is_refused),
		cmocka_unit_test(off_is_no_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
