/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What bench/packet.c and bench/packet.bpf.c share. */
#ifndef BENCH_PACKET_H
#define BENCH_PACKET_H

#define PACKET_HEADER_BYTES 128

/* The packet's first bytes, and whose flow it is. */
struct packet_template {
	__u8 bytes[PACKET_HEADER_BYTES];
	__u32 length; /* of the frame */
	__u32 v6;
	__u32 flows;   /* a power of two: one after another; 0 = the bytes as they are */
	__u32 replies; /* the client is the packet's destination */
};

#endif
