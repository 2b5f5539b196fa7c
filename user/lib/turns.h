/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Rings for backends that take turns (round-robin): a cursor goes through the
 * slots one by one, so their order is the order of the backends.  With weights
 * they are interleaved, as smoothly as can be.
 *
 * Pure, as maglev.h; the same input gives the same ring on every node.
 */
#ifndef GW_TURNS_H
#define GW_TURNS_H

#include "maglev.h"

#define TURNS_MAX_SLOTS 65536

/* Slots for these: the sum of the weights, divided by what divides them all; if
 * that is too many, as many for each as fit, and one at least. */
uint32_t turns_size(const struct maglev_entry *entries, size_t n);

/* Fill slots[0..nslots-1], nslots from turns_size().  Returns 0, -EINVAL or
 * -ENOMEM as maglev_build(). */
int turns_build(const struct maglev_entry *entries, size_t n, uint32_t *slots, uint32_t nslots);

#endif
