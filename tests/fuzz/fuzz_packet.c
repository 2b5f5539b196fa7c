/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Any bytes as a frame to the datapath's parser, compiled for user space: the
 * verifier proves that it reads inside the packet, this shows that what it says
 * of a packet is true.  The first two bytes say how much longer the whole frame
 * is than what can be seen (a GSO packet's payload lies elsewhere).
 */
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"
#include <bpf/bpf_endian.h>

#define NULL ((void *)0)
#define __always_inline inline __attribute__((always_inline))

#include "lb.h"
#include "parse.bpf.h"

void abort(void);
void *malloc(size_t bytes);
void free(void *bytes);
void *memcpy(void *to, const void *from, size_t bytes);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check(const struct packet *p, const struct headers *h, enum lb_reason reason,
		  __u32 frame_bytes, bool v6)
{
	__u32 l3_bytes = frame_bytes - sizeof(struct ethhdr);

	require(reason == 0 || reason == LB_REASON_BAD_HEADER || reason == LB_REASON_NOT_TCP_UDP ||
		reason == LB_REASON_FRAGMENT);
	require((reason == LB_REASON_FRAGMENT) == (!reason && p->part == PACKET_LATER) ||
		p->part == PACKET_LATER);
	if (reason)
		return;
	require(p->bytes <= l3_bytes);
	require(p->l4_offset >= sizeof(struct ethhdr) + (v6 ? 40 : 20));
	require(p->l4_offset - sizeof(struct ethhdr) + p->l4_bytes <= p->bytes);
	require(h->l4 == (void *)h->eth + p->l4_offset);
	require((void *)h->check + sizeof(__u16) <= h->end);
	if (p->protocol == IPPROTO_TCP) {
		require((void *)(h->tcp + 1) <= h->end);
		require(p->tcp_header_bytes >= 20 && p->tcp_header_bytes <= p->l4_bytes);
	} else {
		require(p->protocol == IPPROTO_UDP && (void *)(h->udp + 1) <= h->end);
		require(!p->tcp_flags);
	}
	require((v6 ? p->tuple.v6.protocol : p->tuple.v4.protocol) == p->protocol);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	__u32 beyond, frame_bytes;
	struct headers h;
	struct packet p;
	__u8 *frame;

	if (size < 2)
		return 0;
	beyond = data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	/* A block of its own, so that the sanitizer sees a byte too many. */
	frame = malloc(size);
	memcpy(frame, data, size);
	frame_bytes = size + beyond;
	for (int v6 = 0; v6 < 2; v6++) {
		enum lb_reason reason =
			v6 ? parse_packet(&p, &h, frame, frame + size, frame_bytes, true)
			   : parse_packet(&p, &h, frame, frame + size, frame_bytes, false);

		check(&p, &h, reason, frame_bytes, v6);
	}
	free(frame);
	return 0;
}
