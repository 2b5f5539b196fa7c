/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The flow hash, shared by the datapath and by user space so that tests can
 * say which slot a packet must hit.
 *
 * Each step is the finaliser of MurmurHash3 (Austin Appleby, public domain):
 * every input bit moves every output bit.  BPF has no 128-bit product, which
 * rules out the wyhash family.
 */
#ifndef LB_HASH_H
#define LB_HASH_H

#include "lb.h"

static inline __attribute__((always_inline)) __u64 hash_mix(__u64 h, __u64 word)
{
	h ^= word;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}

static inline __attribute__((always_inline)) __u64 hash_tuple4(const struct lb_tuple4 *t,
							       __u64 seed)
{
	__u64 h = hash_mix(seed, (__u64)t->src << 32 | t->dst);

	return hash_mix(h, (__u64)t->sport << 32 | (__u64)t->dport << 16 | t->protocol);
}

static inline __attribute__((always_inline)) __u64 hash_tuple6(const struct lb_tuple6 *t,
							       __u64 seed)
{
	__u64 h = hash_mix(seed, (__u64)t->src[0] << 32 | t->src[1]);

	h = hash_mix(h, (__u64)t->src[2] << 32 | t->src[3]);
	h = hash_mix(h, (__u64)t->dst[0] << 32 | t->dst[1]);
	h = hash_mix(h, (__u64)t->dst[2] << 32 | t->dst[3]);
	return hash_mix(h, (__u64)t->sport << 32 | (__u64)t->dport << 16 | t->protocol);
}

/* The slot of a ring of `slots` slots: the hash's low half scaled, not taken
 * modulo, since a division costs more than the rest of the hash. */
static inline __attribute__((always_inline)) __u32 hash_slot(__u64 hash, __u32 slots)
{
	return (__u32)(((hash & 0xffffffffULL) * slots) >> 32);
}

/* Products of pairs of words: independent of each other, so that a processor
 * makes them side by side (NH: Black et al., UMAC, 1999). */
static inline __attribute__((always_inline)) __u64 hash_pair(__u32 a, __u32 b)
{
	return (__u64)(__u32)(a + 0x9e3779b9) * (__u32)(b + 0x7f4a7c15);
}

/* A cheaper hash of the tuple, since it is made for each packet; all that
 * guards against mistakes is made of it. */
static inline __attribute__((always_inline)) __u64 hash_key4(const struct lb_tuple4 *t)
{
	__u64 h = hash_pair(t->src, (__u32)t->sport << 16 | t->dport) +
		  hash_pair(t->dst, t->protocol);

	return h * 0xff51afd7ed558ccdULL;
}

static inline __attribute__((always_inline)) __u64 hash_key6(const struct lb_tuple6 *t)
{
	__u64 h = hash_pair(t->src[0], t->dst[0]) + hash_pair(t->src[1] ^ 1, t->dst[1]) +
		  hash_pair(t->src[2] ^ 2, t->dst[2]) +
		  hash_pair(t->src[3] ^ 3, (__u32)t->sport << 16 | t->dport) +
		  hash_pair(t->dst[3], t->protocol);

	return h * 0xff51afd7ed558ccdULL;
}

/* A tag of the key for values of LRU maps, whose elements may become another
 * key's under a reader. */
static inline __attribute__((always_inline)) __u16 hash_tag(__u64 key_hash)
{
	return key_hash >> 48;
}

/* A frontend's bit in the filter. */
static inline __attribute__((always_inline)) __u32 hash_frontend4(__be32 addr, __be16 port,
								  __u8 protocol)
{
	__u64 h = (__u64)addr << 32 | (__u32)port << 16 | protocol;

	return (h * 0x9e3779b97f4a7c15ULL) >> (64 - LB_FILTER_BITS_LOG2);
}

static inline __attribute__((always_inline)) __u32 hash_frontend6(const __be32 addr[4], __be16 port,
								  __u8 protocol)
{
	__u64 h = hash_pair(addr[0], addr[1]) + hash_pair(addr[2] ^ 1, addr[3]) +
		  ((__u32)port << 16 | protocol);

	return (h * 0x9e3779b97f4a7c15ULL) >> (64 - LB_FILTER_BITS_LOG2);
}

#endif
