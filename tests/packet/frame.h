/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Ethernet frames for tests: built from a few words, with right checksums, and
 * checked by code that shares nothing with the datapath's.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define FRAME_MAX 16384
#define FRAME_ETH 14

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* What the transport checksum field holds. */
enum frame_checksum {
	FRAME_FINISHED,
	FRAME_PARTIAL, /* the pseudo-header's sum, as a local sender leaves it */
	FRAME_NONE,    /* 0: UDP over IPv4 without one */
	FRAME_WRONG,
};

struct frame_spec {
	const char *src, *dst; /* the family follows from these */
	uint16_t sport, dport; /* host order */
	uint8_t protocol;      /* IPPROTO_TCP (if 0), IPPROTO_UDP, ... */
	uint8_t tcp_flags;
	uint32_t tcp_seq, tcp_ack; /* host order */
	uint8_t ttl;		   /* 64 if 0 */
	uint8_t tos;
	uint8_t options_bytes; /* IPv4 options (NOPs), a multiple of 4 */
	uint8_t extensions;    /* IPv6 destination options headers of 8 bytes each */
	uint16_t payload_bytes;
	uint8_t payload_byte; /* all payload bytes; else a counting pattern */
	enum frame_checksum checksum;
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t length;
};

void frame_build(struct frame *frame, const struct frame_spec *spec);

/* Offset of the transport header. */
size_t frame_l4(const struct frame *frame);
bool frame_is_ipv6(const struct frame *frame);
uint8_t frame_protocol(const struct frame *frame);

/* The transport checksum field as it lies in memory, and pointers to ports. */
uint16_t *frame_check(struct frame *frame);
uint16_t *frame_sport(struct frame *frame);
uint16_t *frame_dport(struct frame *frame);

/* The folded pseudo-header's sum, and whether checksums verify. */
uint16_t frame_pseudo(const struct frame *frame);
bool frame_ip_verifies(const struct frame *frame);
bool frame_l4_verifies(const struct frame *frame);

/* `bytes` bytes from byte `from` on (a multiple of 8) of what a whole packet's
 * IP header is followed by, as a fragment.  IPv6 gets a fragment header. */
void frame_cut(const struct frame *whole, size_t from, size_t bytes, bool more, uint16_t id,
	       struct frame *ret);

/* An ICMP error from src to dst that quotes the first `quoted` bytes of a packet. */
void frame_icmp_error(struct frame *frame, const char *src, const char *dst, uint8_t type,
		      uint8_t code, uint16_t mtu, uint8_t ttl, const struct frame *packet,
		      size_t quoted);

/* Compute and write both checksums of a frame whose fields were changed. */
void frame_finish(struct frame *frame);

#endif
