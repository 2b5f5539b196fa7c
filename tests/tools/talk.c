/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * talk udp|connected[-each] ADDRESS PORT COUNT [WAIT-MS]: sends COUNT datagrams from one
 * socket, which is connected or not, or from one each, and awaits an answer to each, as a
 * program does that asks its socket who its peer is.  Prints a line for each:
 *
 *	ADDRESS PORT ANSWER	from whom recvfrom(2) says it is
 *	error NAME		errno of the call that failed; the end
 *
 * WAIT-MS is between two of them.  A COUNT of 0: one datagram, its answer, then it waits for
 * whatever comes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_S 2

static int fail(int err)
{
	printf("error %s\n", strerrorname_np(err));
	return 1;
}

static socklen_t address_parse(const char *text, int port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
		return 0;
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	return sizeof(*six);
}

static void address_print(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	bool v6 = address->ss_family == AF_INET6;
	char text[INET6_ADDRSTRLEN];

	inet_ntop(address->ss_family,
		  v6 ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr, text,
		  sizeof(text));
	printf("%s %d ", text, ntohs(v6 ? six->sin6_port : four->sin_port));
}

static int hear(int fd)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	char answer[256];
	ssize_t n = recvfrom(fd, answer, sizeof(answer) - 1, 0, (struct sockaddr *)&from, &length);

	if (n < 0)
		return -errno;
	answer[n] = '\0';
	address_print(&from);
	puts(answer);
	return 0;
}

/* A socket that is connected says whom to. */
static int peer_check(int fd, const struct sockaddr_storage *to, socklen_t length)
{
	struct sockaddr_storage peer = {0};
	socklen_t got = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &got))
		return -errno;
	return got == length && !memcmp(&peer, to, length) ? 0 : -EREMCHG;
}

/* Its fd, or -errno. */
static int socket_open(const struct sockaddr_storage *to, socklen_t length, bool connects)
{
	struct timeval patience = {.tv_sec = ANSWER_S};
	int err, fd = socket(to->ss_family, SOCK_DGRAM, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return -errno;
	if (!connects)
		return fd;
	err = connect(fd, (const struct sockaddr *)to, length) ? -errno
							       : peer_check(fd, to, length);
	return err ?: fd;
}

int main(int argc, char *argv[])
{
	struct timeval for_ever = {0};
	struct sockaddr_storage to;
	socklen_t length;
	bool connects, each;
	int fd, count, err = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 5 || !(length = address_parse(argv[2], atoi(argv[3]), &to))) {
		fputs("usage: talk udp|connected[-each] ADDRESS PORT COUNT [WAIT-MS]\n", stderr);
		return 2;
	}
	connects = !strncmp(argv[1], "connected", 9);
	each = strstr(argv[1], "-each");
	count = atoi(argv[4]);
	fd = socket_open(&to, length, connects);
	if (fd < 0)
		return fail(-fd);
	for (int i = 0; i < (count ?: 1) && !err; i++) {
		if (i && argc > 5)
			usleep(atoi(argv[5]) * 1000);
		if (i && each) {
			close(fd);
			fd = socket_open(&to, length, connects);
			if (fd < 0)
				return fail(-fd);
		}
		if (sendto(fd, "hello", 5, 0, connects ? NULL : (struct sockaddr *)&to,
			   connects ? 0 : length) < 0)
			err = -errno;
		err = err ?: hear(fd);
	}
	if (!count)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever));
	while (!count && !err)
		err = hear(fd);
	return err ? fail(-err) : 0;
}
