/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "namespace.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

int namespace_enter(void)
{
	int fd, written;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = open("/proc/sys/net/ipv6/conf/default/addr_gen_mode", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	written = (int)write(fd, "1", 1);
	close(fd);
	return written == 1 ? 0 : -1;
}

void ip(const char *format, ...)
{
	char command[256] = "ip ";
	va_list args;

	va_start(args, format);
	vsnprintf(command + 3, sizeof(command) - 3, format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

int index_of(const char *device)
{
	int ifindex = (int)if_nametoindex(device);

	assert_int_not_equal(ifindex, 0);
	return ifindex;
}
