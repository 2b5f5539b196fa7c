/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * checksums DEV: watches the TCP and UDP packets that arrive at a device until
 * SIGTERM, then prints
 *   partial N bad N finished N bad N
 *
 * Between veths a packet's checksum is mostly partial: its field holds the sum
 * of the pseudo-header, for a device to finish, and whoever receives it on the
 * same machine trusts it unseen.  A wrong one breaks only the next hop that has
 * to finish it.  So no ordinary receiver notices it; this one does.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX (70 * 1024)
#define TOLD_MAX 5 /* wrong packets told one by one */

struct packet {
	const uint8_t *pseudo; /* source and destination address, side by side */
	size_t pseudo_bytes;
	uint8_t protocol;
	const uint8_t *l4;
	size_t l4_bytes;
	size_t check_offset; /* in l4 */
};

struct counts {
	unsigned long all, bad;
};

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	(void)signal;
	stopping = 1;
}

static uint32_t sum_bytes(const uint8_t *bytes, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	if (n % 2)
		sum += bytes[n - 1] << 8;
	return (sum & 0xffff) + (sum >> 16);
}

static uint16_t sum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static uint32_t sum_pseudo(const struct packet *p)
{
	return sum_bytes(p->pseudo, p->pseudo_bytes, 0) + p->protocol + (p->l4_bytes >> 16) +
	       (p->l4_bytes & 0xffff);
}

static uint16_t check_field(const struct packet *p)
{
	return p->l4[p->check_offset] << 8 | p->l4[p->check_offset + 1];
}

/* 0 and 0xffff are the same number in one's complement. */
static bool partial_is_good(const struct packet *p)
{
	return sum_fold(sum_pseudo(p)) % 0xffff == check_field(p) % 0xffff;
}

static bool finished_is_good(const struct packet *p)
{
	if (p->protocol == IPPROTO_UDP && !check_field(p))
		return p->pseudo_bytes == 8; /* IPv4 may go without */
	return sum_fold(sum_bytes(p->l4, p->l4_bytes, 0) + sum_pseudo(p)) == 0xffff;
}

/* Returns false for what isn't TCP or UDP, or a fragment. */
static bool packet_parse(const uint8_t *frame, size_t bytes, struct packet *ret)
{
	const struct ether_header *eth = (const void *)frame;
	const struct ip *ip4 = (const void *)(eth + 1);
	const struct ip6_hdr *ip6 = (const void *)(eth + 1);
	size_t need = sizeof(*eth);

	if (bytes >= need + sizeof(*ip4) && eth->ether_type == htons(ETHERTYPE_IP) &&
	    !(ip4->ip_off & htons(IP_MF | IP_OFFMASK))) {
		*ret = (struct packet){.pseudo = (const uint8_t *)&ip4->ip_src,
				       .pseudo_bytes = 8,
				       .protocol = ip4->ip_p,
				       .l4 = (const uint8_t *)ip4 + ip4->ip_hl * 4,
				       .l4_bytes = ntohs(ip4->ip_len) - ip4->ip_hl * 4};
	} else if (bytes >= need + sizeof(*ip6) && eth->ether_type == htons(ETHERTYPE_IPV6)) {
		*ret = (struct packet){.pseudo = (const uint8_t *)&ip6->ip6_src,
				       .pseudo_bytes = 32,
				       .protocol = ip6->ip6_nxt,
				       .l4 = (const uint8_t *)(ip6 + 1),
				       .l4_bytes = ntohs(ip6->ip6_plen)};
	} else {
		return false;
	}
	if (ret->protocol != IPPROTO_TCP && ret->protocol != IPPROTO_UDP)
		return false;
	ret->check_offset = ret->protocol == IPPROTO_TCP ? 16 : 6;
	return ret->l4_bytes >= ret->check_offset + 2 && ret->l4 + ret->l4_bytes <= frame + bytes;
}

static void count(struct counts *counts, bool good, const char *kind, const struct packet *p)
{
	counts->all++;
	if (good)
		return;
	if (counts->bad++ < TOLD_MAX)
		fprintf(stderr,
			"checksums: wrong %s, protocol %u, %zu bytes: field %04x, pseudo sum %04x\n",
			kind, p->protocol, p->l4_bytes, check_field(p), sum_fold(sum_pseudo(p)));
}

static int socket_open(const char *device)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = if_nametoindex(device)};
	int one = 1, buffer_bytes = 64 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || !address.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	static uint8_t buffer[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	const struct virtio_net_hdr *header = (const void *)buffer;
	struct sigaction action = {.sa_handler = on_signal};
	struct counts partial = {0}, finished = {0};
	int fd;

	fd = argc == 2 ? socket_open(argv[1]) : -1;
	if (fd < 0) {
		fprintf(stderr, "checksums: %s\n", argc == 2 ? strerror(errno) : "which device?");
		return 1;
	}
	/* No SA_RESTART: the signal ends recvfrom(). */
	sigaction(SIGTERM, &action, NULL);
	puts("ready");
	fflush(stdout);
	while (!stopping) {
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		struct packet p;
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from,
				     &from_len);

		if (n < (ssize_t)sizeof(*header) || from.sll_pkttype == PACKET_OUTGOING ||
		    !packet_parse(buffer + sizeof(*header), n - sizeof(*header), &p))
			continue;
		if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			count(&partial, partial_is_good(&p), "partial", &p);
		else
			count(&finished, finished_is_good(&p), "finished", &p);
	}
	close(fd);
	printf("partial %lu bad %lu finished %lu bad %lu\n", partial.all, partial.bad, finished.all,
	       finished.bad);
	return 0;
}
