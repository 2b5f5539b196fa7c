/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "host.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool capable(const struct __user_cap_data_struct data[2], int capability)
{
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

int host_check_privileges(struct error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	char missing[64] = "";
	bool admin;

	/* libc has no wrapper; libcap would be a library for this one call. */
	if (syscall(SYS_capget, &header, data))
		return error_set(error, -errno, "capget: %s", strerror(errno));
	/* CAP_SYS_ADMIN holds what CAP_BPF and CAP_PERFMON were made out of. */
	admin = capable(data, CAP_SYS_ADMIN);
	if (!admin && !capable(data, CAP_BPF))
		strcat(missing, " CAP_BPF");
	if (!admin && !capable(data, CAP_PERFMON))
		strcat(missing, " CAP_PERFMON");
	if (!capable(data, CAP_NET_ADMIN))
		strcat(missing, " CAP_NET_ADMIN");
	if (*missing)
		return error_set(error, -EPERM,
				 "no right to load programs: run it as root, or give it%s",
				 missing);
	return 0;
}

bool host_forwards(uint8_t family)
{
	FILE *file = fopen(family == 4 ? "/proc/sys/net/ipv4/ip_forward"
				       : "/proc/sys/net/ipv6/conf/all/forwarding",
			   "re");
	bool off;

	if (!file) /* IPv6 is not in this kernel: nothing to complain about */
		return true;
	off = fgetc(file) == '0';
	fclose(file);
	return !off;
}

const char *host_forwarding_command(uint8_t family)
{
	return family == 4 ? "sysctl -w net.ipv4.ip_forward=1"
			   : "sysctl -w net.ipv6.conf.all.forwarding=1";
}

int host_check_snat_ports(uint16_t first, uint16_t last, struct error *error)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned int from = 0, until = 0;
	int n = file ? fscanf(file, "%u %u", &from, &until) : 0;

	if (file)
		fclose(file);
	if (n == 2 && first <= until && last >= from)
		return error_set(
			error, -EINVAL,
			"--snat-ports %u-%u: the kernel gives %u-%u to sockets; choose "
			"others, or run: sysctl -w net.ipv4.ip_local_port_range='%u 60999'",
			first, last, from, until, last + 1 > 32768 ? last + 1 : 32768);
	return 0;
}
