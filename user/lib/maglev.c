/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "hash.h"
#include "maglev.h"

/*
 * The classes keep about 100 slots for each backend, so that one slot more or
 * less is about 1 % of a share.  All are primes: then every step from 1 to
 * slots-1 visits every slot.
 */
static const struct {
	size_t backends;
	uint32_t slots;
} classes[] = {
	{10, 1021}, {40, 4093}, {160, 16381}, {655, 65521}, {SIZE_MAX, LB_RING_MAX_SLOTS},
};

#define NCLASSES (sizeof(classes) / sizeof(classes[0]))

/*
 * The paper's preference list goes through the slots in steps of one length.
 * Two backends whose steps are equal (among 40 of them, in every fifth ring of
 * 4093 slots) then run into each other all the time, and when a third one
 * leaves, a third of their slots move for nothing.  So a step is drawn anew
 * every STRIDE slots asked for; after `slots` of them it stays, and the next
 * `slots` are each slot once, so that a list still names them all.
 */
#define STRIDE 16

/* A backend while its ring is filled. */
struct seat {
	uint64_t identity;
	uint32_t id;
	uint32_t weight;
	uint32_t quota; /* slots it will have */
	uint32_t next;	/* the slot it asks for next */
	uint32_t step;
	uint32_t asked; /* slots asked for before */
};

uint32_t maglev_size(size_t n)
{
	size_t i = 0;

	while (n > classes[i].backends)
		i++;
	return classes[i].slots;
}

/* Words are put together from bytes, so that all machines agree. */
static uint64_t identity_word(const uint8_t bytes[8])
{
	uint64_t word = 0;

	for (int i = 0; i < 8; i++)
		word = word << 8 | bytes[i];
	return word;
}

uint64_t maglev_identity(const struct addr *addr, uint16_t port, uint64_t seed)
{
	uint64_t h = hash_mix(seed, (uint64_t)addr->family << 16 | port);

	h = hash_mix(h, identity_word(addr->bytes));
	return hash_mix(h, identity_word(addr->bytes + 8));
}

static int seat_compare_weight(const void *a, const void *b)
{
	const struct seat *x = a, *y = b;

	return (x->weight > y->weight) - (x->weight < y->weight);
}

static int seat_compare_identity(const void *a, const void *b)
{
	const struct seat *x = a, *y = b;

	if (x->identity != y->identity)
		return x->identity < y->identity ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/*
 * Divide the slots.  Who would get less than one slot gets one; the others
 * share what is left by weight, each within one slot of its exact part: the
 * rounding is that of the running total, so the sum is exact as well.
 * Leaves the seats in order of identity.
 */
static void seats_set_quotas(struct seat *seats, size_t n, uint32_t nslots)
{
	uint64_t slots = nslots, weights = 0, before = 0;
	size_t light = 0;

	for (size_t i = 0; i < n; i++)
		weights += seats[i].weight;
	qsort(seats, n, sizeof(*seats), seat_compare_weight);
	/* Ends before the last one, which has weight == weights and slots >= 1. */
	for (; seats[light].weight * slots < weights; light++) {
		seats[light].quota = 1;
		weights -= seats[light].weight;
		slots--;
	}
	qsort(seats, n, sizeof(*seats), seat_compare_identity);
	for (size_t i = 0; i < n; i++) {
		uint64_t after = before + seats[i].weight;

		if (seats[i].quota)
			continue;
		seats[i].quota = after * slots / weights - before * slots / weights;
		before = after;
	}
}

/*
 * The order in which seats take their turns, one turn a slot.  With equal
 * weights it is the paper's round-robin; else a seat's turns are spread evenly
 * over as many rounds as the heaviest has turns.  Counting sort by round; in a
 * round the order is that of the seats.  Returns nslots seat indexes, to be
 * freed, or NULL.
 */
static uint32_t *turns_make(const struct seat *seats, size_t n, uint32_t nslots)
{
	uint32_t *turns = NULL, *round, nrounds = 0, end = 0;

	for (size_t i = 0; i < n; i++)
		if (seats[i].quota > nrounds)
			nrounds = seats[i].quota;
	round = calloc(nrounds, sizeof(*round));
	if (!round)
		goto out;
	turns = malloc(nslots * sizeof(*turns));
	if (!turns)
		goto out;
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < seats[i].quota; k++)
			round[(uint64_t)k * nrounds / seats[i].quota]++;
	for (uint32_t r = 0; r < nrounds; r++) {
		uint32_t length = round[r];

		round[r] = end;
		end += length;
	}
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < seats[i].quota; k++)
			turns[round[(uint64_t)k * nrounds / seats[i].quota]++] = i;
out:
	free(round);
	return turns;
}

static uint32_t seat_draw_step(const struct seat *seat, uint32_t nslots)
{
	return hash_mix(seat->identity, 2 + seat->asked / STRIDE) % (nslots - 1) + 1;
}

static void seat_advance(struct seat *seat, uint32_t nslots)
{
	if (++seat->asked % STRIDE == 0 && seat->asked < nslots)
		seat->step = seat_draw_step(seat, nslots);
	seat->next += seat->step;
	if (seat->next >= nslots)
		seat->next -= nslots;
}

int maglev_build(const struct maglev_entry *entries, size_t n, uint32_t *slots, uint32_t nslots)
{
	struct seat *seats = NULL;
	uint32_t *turns = NULL;
	int err = -ENOMEM;
	size_t c = 0;

	while (c < NCLASSES && classes[c].slots != nslots)
		c++;
	if (c == NCLASSES || n == 0 || n > nslots)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (entries[i].weight == 0 || entries[i].id == 0)
			return -EINVAL;
	seats = calloc(n, sizeof(*seats));
	if (!seats)
		goto out;
	for (size_t i = 0; i < n; i++) {
		uint64_t identity = entries[i].identity;

		seats[i].identity = identity;
		seats[i].id = entries[i].id;
		seats[i].weight = entries[i].weight;
		seats[i].next = hash_mix(identity, 1) % nslots;
		seats[i].step = seat_draw_step(&seats[i], nslots);
	}
	seats_set_quotas(seats, n, nslots);
	turns = turns_make(seats, n, nslots);
	if (!turns)
		goto out;
	memset(slots, 0, nslots * sizeof(*slots));
	for (uint32_t i = 0; i < nslots; i++) {
		struct seat *seat = &seats[turns[i]];

		while (slots[seat->next])
			seat_advance(seat, nslots);
		slots[seat->next] = seat->id;
	}
	err = 0;
out:
	free(turns);
	free(seats);
	return err;
}
