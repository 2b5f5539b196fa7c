/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "tcp_listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

static int listen_at(const struct addr *addr, uint16_t port, bool both)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool v6 = addr->family == 6;
	int fd, on = 1, off = 0, err;

	memcpy(&in6.sin6_addr, addr->bytes, 16);
	memcpy(&in4.sin_addr, addr->bytes, 4);
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (both) /* net.ipv6.bindv6only may say otherwise */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in4,
		 v6 ? sizeof(in6) : sizeof(in4)) ||
	    listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int tcp_listen(const struct addr *addr, uint16_t port)
{
	static const struct addr any4 = {.family = 4}, any6 = {.family = 6};
	int fd;

	if (addr)
		return listen_at(addr, port, false);
	fd = listen_at(&any6, port, true);
	return fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL ? listen_at(&any4, port, false) : fd;
}
