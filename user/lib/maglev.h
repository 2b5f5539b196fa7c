/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Maglev consistent hashing (Eisenbud et al., "Maglev: A Fast and Reliable
 * Software Network Load Balancer", NSDI 2016, section 3.4), with weights.
 *
 * Pure: no allocation is kept, no global state, the same input gives the same
 * ring on every node.
 */
#ifndef GW_MAGLEV_H
#define GW_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

struct maglev_entry {
	uint64_t identity; /* stable hash of the backend: maglev_identity() */
	uint32_t id;	   /* what is written into the slots, never 0 */
	uint16_t weight;   /* 1-1000; entries of weight 0 are left out by the caller */
};

/* Slots for a ring of n backends: a prime, a pure function of n in few
 * classes (<= 10: 1021, <= 40: 4093, <= 160: 16381, <= 655: 65521, else
 * 655357), since another size reshuffles nearly every slot. */
uint32_t maglev_size(size_t n);

/* Identity of a backend: its address and port (host order), hashed with a
 * seed; independent of ids, order and time. */
struct addr;
uint64_t maglev_identity(const struct addr *addr, uint16_t port, uint64_t seed);

/*
 * Fill slots[0..nslots-1] (nslots from maglev_size()).  Entries may come in
 * any order: they are sorted by identity first, so the ring depends on the set
 * alone.  Entries whose part is less than a slot get one; the others divide the
 * rest by weight, each within one slot of its exact part.  Time, as in the
 * paper: nslots * log(nslots) on average, 45 ms for the largest class.
 * Returns 0, -EINVAL (n = 0, n > nslots, a weight or id of 0, another nslots)
 * or -ENOMEM; slots are written only where it returns 0.
 */
int maglev_build(const struct maglev_entry *entries, size_t n, uint32_t *slots, uint32_t nslots);

#endif
