/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internet checksums (RFC 1071, updates by RFC 1624 equation 3).
 *
 * Sums are kept in 64 bits and folded at the end.  16-bit words are summed as
 * they lie in memory: one's complement sums don't depend on byte order.
 */
#ifndef CHECKSUM_BPF_H
#define CHECKSUM_BPF_H

#define CHECKSUM_TCP_OFFSET 16
#define CHECKSUM_UDP_OFFSET 6

/* Longest packet that XDP sums up: larger ones are left to TC. */
#define CHECKSUM_SUM_MAX 9216
#define CHECKSUM_CHUNK 64

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The sum that turns `from` into `to` when it is added to a sum over both. */
static __always_inline __u64 checksum_delta32(__be32 from, __be32 to)
{
	return (__u64)(__u32)~from + to;
}

static __always_inline __u64 checksum_delta16(__be16 from, __be16 to)
{
	return (__u64)(__u16)~from + to;
}

/* RFC 1624: HC' = ~(~HC + delta). */
static __always_inline __u16 checksum_update(__u16 check, __u64 delta)
{
	return ~checksum_fold((__u16)~check + delta);
}

/* Sum over the pseudo-header. */
static __always_inline __u64 checksum_pseudo(const struct packet *p, const bool v6)
{
	__u64 sum = (__u64)bpf_htons(p->protocol) + bpf_htonl(p->l4_bytes);
	const __be32 *word = v6 ? p->tuple.v6.src : &p->tuple.v4.src;
	int i;

#pragma unroll
	for (i = 0; i < (v6 ? 8 : 2); i++)
		sum += word[i]; /* src and dst lie side by side */
	return sum;
}

/* Sum of a few words on the stack. */
static __always_inline __u64 checksum_sum32(const void *bytes, __u32 words)
{
	const __u32 *word = bytes;
	__u64 sum = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

enum checksum_state {
	CHECKSUM_FINISHED,    /* covers the packet; or UDP without one */
	CHECKSUM_PARTIAL,     /* holds the pseudo-header's sum; a device will finish it */
	CHECKSUM_UNDECIDABLE, /* could be either */
};

/*
 * Does the transport checksum verify?  1 yes, 0 no, -1 can't tell.  Cold, so a
 * function of its own, verified once.
 */
__noinline int checksum_verify(struct xdp_md *ctx, __u32 l4_offset, __u32 l4_bytes, __u32 pseudo)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 left = l4_bytes, i;
	__s64 sum = pseudo;
	void *at;

	if (l4_offset > 512 || left > CHECKSUM_SUM_MAX)
		return -1;
	at = data + l4_offset;
	for (i = 0; i < CHECKSUM_SUM_MAX / CHECKSUM_CHUNK; i++) {
		if (left < CHECKSUM_CHUNK)
			break;
		if (at + CHECKSUM_CHUNK > end)
			return -1;
		sum = bpf_csum_diff(NULL, 0, at, CHECKSUM_CHUNK, sum);
		at += CHECKSUM_CHUNK;
		left -= CHECKSUM_CHUNK;
	}
	/* The rest, less than a chunk, bit by bit of its length: a loop here
	 * makes clang 14 do arithmetic on `end`, which the verifier refuses. */
#pragma unroll
	for (i = CHECKSUM_CHUNK / 2; i >= 4; i /= 2) {
		if (!(left & i))
			continue;
		if (at + i > end)
			return -1;
		sum = bpf_csum_diff(NULL, 0, at, i, sum);
		at += i;
	}
	if (left & 2) {
		if (at + 2 > end)
			return -1;
		sum += *(__u16 *)at;
		at += 2;
	}
	if (left & 1) {
		if (at + 1 > end)
			return -1;
		sum += bpf_htons(*(__u8 *)at << 8);
	}
	return checksum_fold(sum) == 0xffff;
}

/*
 * What the checksum field of a packet in generic XDP holds.  The packet may
 * come from a sender on this machine, whose checksum is still to be finished,
 * and XDP sees bytes alone: a field unlike the pseudo-header's sum is
 * finished; else the packet is summed.  One in 65,536 verifies as well.
 */
static __always_inline enum checksum_state
checksum_state(struct xdp_md *ctx, const struct packet *p, __u16 check, const bool v6)
{
	__u16 pseudo;
	int verified;

	if (p->protocol == IPPROTO_UDP && !check)
		return CHECKSUM_FINISHED;
	pseudo = checksum_fold(checksum_pseudo(p, v6));
	if (check != pseudo)
		return CHECKSUM_FINISHED;
	verified = checksum_verify(ctx, p->l4_offset, p->l4_bytes, pseudo);
	return verified == 0 ? CHECKSUM_PARTIAL : CHECKSUM_UNDECIDABLE;
}

/* Longest quote that checksum_sum_skb() sums up. */
#define CHECKSUM_SKB_MAX 1280
#define CHECKSUM_SKB_CHUNK 32 /* small: it lies on the stack */

/* The folded sum over `bytes` bytes from `offset` on; -1 = not there. */
__noinline int checksum_sum_skb(struct __sk_buff *skb, __u32 offset, __u32 bytes)
{
	__u8 chunk[CHECKSUM_SKB_CHUNK];
	__u32 i, tail = bytes % CHECKSUM_SKB_CHUNK;
	__u64 sum = 0;

	if (bytes > CHECKSUM_SKB_MAX)
		return -1;
	for (i = 0; i < CHECKSUM_SKB_MAX / CHECKSUM_SKB_CHUNK; i++) {
		if (i >= bytes / CHECKSUM_SKB_CHUNK)
			break;
		if (bpf_skb_load_bytes(skb, offset, chunk, CHECKSUM_SKB_CHUNK))
			return -1;
		/* Folded each time: the verifier then sees that one round is
		 * like another. */
		sum = checksum_fold(sum + checksum_sum32(chunk, CHECKSUM_SKB_CHUNK / 4));
		offset += CHECKSUM_SKB_CHUNK;
	}
	__builtin_memset(chunk, 0, sizeof(chunk));
	if (tail) {
		/* For the verifier, before 6.3: from 1 to a chunk, whatever it
		 * was; clang mustn't see that it's the same. */
		asm volatile("" : "+r"(tail));
		tail = ((tail - 1) & (CHECKSUM_SKB_CHUNK - 1)) + 1;
		if (bpf_skb_load_bytes(skb, offset, chunk, tail))
			return -1;
	}
	return checksum_fold(sum + checksum_sum32(chunk, CHECKSUM_SKB_CHUNK / 4));
}

#endif
