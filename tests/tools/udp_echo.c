/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * udp_echo [PORT]: answers each datagram with "POD_NAME DATAGRAM", on IPv6 and
 * IPv4, until it is killed.  Stands behind UDP services in the tests.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DATAGRAM_MAX 65536

static int socket_open(int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int off = 0;
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)))
		return -errno; /* the caller exits */
	return fd;
}

int main(int argc, char **argv)
{
	static char datagram[DATAGRAM_MAX], answer[DATAGRAM_MAX + 256];
	const char *pod = getenv("POD_NAME");
	int fd = socket_open(argc > 1 ? atoi(argv[1]) : 5000);

	if (fd < 0) {
		fprintf(stderr, "udp_echo: %s\n", strerror(-fd));
		return 1;
	}
	for (;;) {
		struct sockaddr_in6 peer;
		socklen_t peer_len = sizeof(peer);
		ssize_t n = recvfrom(fd, datagram, sizeof(datagram) - 1, 0,
				     (struct sockaddr *)&peer, &peer_len);

		if (n < 0)
			continue; /* an ICMP error of an earlier answer */
		datagram[n] = 0;
		n = snprintf(answer, sizeof(answer), "%s %s", pod ? pod : "unknown", datagram);
		sendto(fd, answer, n, 0, (struct sockaddr *)&peer, peer_len);
	}
}
