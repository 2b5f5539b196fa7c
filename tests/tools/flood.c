/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * flood: packets from many invented sources to one address, for the tests of
 * flow tables.  It runs in a lab's namespace alone, and refuses elsewhere.
 *
 *   flood --syn|--ack|--udp|--guess [--sources N] [--rounds N] [--rate N]
 *         FIRST-SOURCE ADDR PORT
 *
 * Source i is FIRST-SOURCE + i with a port of its own, and sends a packet in
 * each round, with correct checksums; 64 sources go through all their rounds
 * before the next 64.  --guess: a SYN in the first round, and in the others an
 * ACK that guesses the answer's sequence number.  --rate is packets a second at
 * most.  At the end: "sent N packets in T ms".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SOURCES_MAX 1000000
#define ROUNDS_MAX 4
#define RATE_MAX 1000000
#define SECONDS_MAX 60
#define BATCH 64
#define PACKET_BYTES 64

#define TCP_SYN 0x02
#define TCP_ACK 0x10

struct tcp_header {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t offset, flags;
	uint16_t window, check, urgent;
};

struct udp_header {
	uint16_t sport, dport, length, check;
	char payload[4];
};

struct ip4_header {
	uint8_t version_ihl, tos;
	uint16_t length, id, fragment;
	uint8_t ttl, protocol;
	uint16_t check;
	uint32_t src, dst;
};

struct ip6_header {
	uint32_t version;
	uint16_t length;
	uint8_t next, hops;
	uint8_t src[16], dst[16];
};

static struct {
	enum {
		KIND_NONE,
		KIND_SYN,
		KIND_ACK,
		KIND_UDP,
		KIND_GUESS
	} kind;
	int family;
	int sources, rounds, rate;
	uint8_t first[16], target[16]; /* IPv4: the first four bytes */
	uint16_t port;
} options = {.sources = 300000, .rounds = 1, .rate = 100000};

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is this a network namespace with a name (ip netns), and surely not that of
 * process 1?  The latter can't always be told; the former is never true of the
 * network that the machine lives in. */
static bool in_a_lab(void)
{
	struct stat own, other;
	bool named = false;
	glob_t names;

	if (stat("/proc/self/ns/net", &own) || glob("/run/netns/*", 0, NULL, &names))
		return false;
	for (size_t i = 0; i < names.gl_pathc; i++)
		named |= !stat(names.gl_pathv[i], &other) && same_file(&own, &other);
	globfree(&names);
	return named && (stat("/proc/1/ns/net", &other) || !same_file(&own, &other));
}

static int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- a packet -------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t sum_bytes(const void *data, size_t bytes)
{
	const uint8_t *byte = data;
	uint64_t sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum += i % 2 ? byte[i] : (uint64_t)byte[i] << 8;
	return sum;
}

static uint16_t checksum(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static void source_address(int source, uint8_t ret[16])
{
	size_t last = options.family == AF_INET ? 4 : 16;
	uint32_t low;

	memcpy(ret, options.first, 16);
	memcpy(&low, ret + last - 4, 4);
	low = htonl(ntohl(low) + source);
	memcpy(ret + last - 4, &low, 4);
}

static size_t transport_fill(void *at, int source, int round)
{
	uint16_t sport = htons(1024 + source % 60000), dport = htons(options.port);
	struct udp_header udp = {sport, dport, htons(sizeof(udp)), 0, "ping"};
	struct tcp_header tcp = {
		.sport = sport,
		.dport = dport,
		.seq = htonl(mix(source) + (round > 0)),
		.offset = sizeof(tcp) / 4 << 4,
		.flags = TCP_SYN,
		.window = htons(65535),
	};

	if (options.kind == KIND_UDP) {
		memcpy(at, &udp, sizeof(udp));
		return sizeof(udp);
	}
	if (options.kind == KIND_ACK || (options.kind == KIND_GUESS && round)) {
		tcp.flags = TCP_ACK;
		tcp.ack = htonl(mix((uint64_t)round << 32 | source));
	}
	memcpy(at, &tcp, sizeof(tcp));
	return sizeof(tcp);
}

/* Returns its length. */
static size_t packet_fill(uint8_t *packet, int source, int round)
{
	uint8_t protocol = options.kind == KIND_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	bool v6 = options.family == AF_INET6;
	size_t header = v6 ? sizeof(struct ip6_header) : sizeof(struct ip4_header);
	size_t bytes = transport_fill(packet + header, source, round);
	size_t check_at = header + (protocol == IPPROTO_UDP ? 6 : 16), addr = v6 ? 16 : 4;
	uint8_t src[16];
	uint64_t sum;
	uint16_t check;

	source_address(source, src);
	sum = sum_bytes(src, addr) + sum_bytes(options.target, addr) + protocol + bytes +
	      sum_bytes(packet + header, bytes);
	check = checksum(sum);
	memcpy(packet + check_at, &check, sizeof(check));
	if (v6) {
		struct ip6_header ip = {htonl(6U << 28), htons(bytes), protocol, 64, {0}, {0}};

		memcpy(ip.src, src, sizeof(ip.src));
		memcpy(ip.dst, options.target, sizeof(ip.dst));
		memcpy(packet, &ip, sizeof(ip));
	} else {
		/* The kernel completes its checksum. */
		struct ip4_header ip = {
			.version_ihl = 0x45,
			.length = htons(header + bytes),
			.ttl = 64,
			.protocol = protocol,
		};

		memcpy(&ip.src, src, sizeof(ip.src));
		memcpy(&ip.dst, options.target, sizeof(ip.dst));
		memcpy(packet, &ip, sizeof(ip));
	}
	return header + bytes;
}

/* ---- all of them ------------------------------------------------------------ */

static int socket_open(void)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer = {.any = {.sa_family = options.family}};
	int fd = socket(options.family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	if (options.family == AF_INET)
		memcpy(&peer.v4.sin_addr, options.target, 4);
	else
		memcpy(&peer.v6.sin6_addr, options.target, 16);
	if (fd < 0 ||
	    connect(fd, &peer.any, options.family == AF_INET ? sizeof(peer.v4) : sizeof(peer.v6))) {
		perror("flood");
		exit(1);
	}
	return fd;
}

/* Packets first to first + n - 1 of a round.  What a full queue refuses is
 * sent again. */
static void batch_send(int fd, int first, int n, int round)
{
	static uint8_t packets[BATCH][PACKET_BYTES];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	int sent = 0, did;

	for (int i = 0; i < n; i++) {
		parts[i].iov_base = packets[i];
		parts[i].iov_len = packet_fill(packets[i], first + i, round);
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < n) {
		did = sendmmsg(fd, messages + sent, n - sent, 0);
		if (did < 0 && errno != ENOBUFS && errno != EAGAIN) {
			perror("flood");
			exit(1);
		}
		if (did > 0)
			sent += did;
		else
			usleep(1000);
	}
}

static void flood_run(void)
{
	int64_t start_us = clock_us(), due_us;
	int fd = socket_open();
	long sent = 0;

	for (int source = 0; source < options.sources; source += BATCH) {
		int left = options.sources - source, n = left < BATCH ? left : BATCH;

		for (int round = 0; round < options.rounds; round++) {
			batch_send(fd, source, n, round);
			sent += n;
			due_us = start_us + sent * 1000000 / options.rate;
			while (clock_us() < due_us)
				usleep(100);
		}
	}
	close(fd);
	printf("sent %ld packets in %lld ms\n", sent, (long long)(clock_us() - start_us) / 1000);
}

/* ---- options ---------------------------------------------------------------- */

static int number_parse(const char *text, int max)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *end || n < 1 || n > max ? -1 : (int)n;
}

static bool options_parse(int argc, char **argv)
{
	static const struct option table[] = {
		{"syn", no_argument, NULL, KIND_SYN},	   {"ack", no_argument, NULL, KIND_ACK},
		{"udp", no_argument, NULL, KIND_UDP},	   {"guess", no_argument, NULL, KIND_GUESS},
		{"sources", required_argument, NULL, 's'}, {"rounds", required_argument, NULL, 'r'},
		{"rate", required_argument, NULL, 'R'},	   {0},
	};
	int opt, port;

	while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (opt) {
		case KIND_SYN:
		case KIND_ACK:
		case KIND_UDP:
		case KIND_GUESS:
			options.kind = opt;
			break;
		case 's':
			options.sources = number_parse(optarg, SOURCES_MAX);
			break;
		case 'r':
			options.rounds = number_parse(optarg, ROUNDS_MAX);
			break;
		case 'R':
			options.rate = number_parse(optarg, RATE_MAX);
			break;
		default:
			return false;
		}
	}
	if (optind + 3 != argc || !options.kind || options.sources < 0 || options.rounds < 0 ||
	    options.rate < 0)
		return false;
	options.family = strchr(argv[optind], ':') ? AF_INET6 : AF_INET;
	port = number_parse(argv[optind + 2], 65535);
	options.port = port;
	return port > 0 && inet_pton(options.family, argv[optind], options.first) == 1 &&
	       inet_pton(options.family, argv[optind + 1], options.target) == 1;
}

int main(int argc, char **argv)
{
	if (!options_parse(argc, argv)) {
		fputs("usage: flood --syn|--ack|--udp|--guess [--sources N] [--rounds N] "
		      "[--rate N] FIRST-SOURCE ADDR PORT\n",
		      stderr);
		return 2;
	}
	if (!in_a_lab()) {
		fputs("flood: only in a lab's network namespace\n", stderr);
		return 1;
	}
	alarm(SECONDS_MAX);
	flood_run();
	return 0;
}
