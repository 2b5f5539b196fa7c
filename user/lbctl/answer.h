/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The daemon's answers as read-only trees.
 *
 * yajl parses; the tree is one array in the order of the text, each value
 * followed by what it contains, and one block of text.  A tree of allocations
 * costs more time for 10,000 backends than lbctl may take for all of it.
 *
 * Looking never fails: what is missing or of another type reads as an empty
 * text, the number 0, nothing inside.
 */
#ifndef LBCTL_ANSWER_H
#define LBCTL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum value_type {
	VALUE_NULL,
	VALUE_FALSE,
	VALUE_TRUE,
	VALUE_NUMBER,
	VALUE_STRING,
	VALUE_ARRAY,
	VALUE_OBJECT,
};

struct value {
	const char *key;  /* in an object, else "" */
	const char *text; /* of a string, of a number as it was written, else "" */
	uint32_t span;	  /* values to the next one on this level: 1 + all that is inside */
	uint8_t type;	  /* enum value_type */
};

/* The values inside an array or an object; none inside others. */
#define value_foreach(parent, child) \
	for (const struct value *child = (parent) + 1; child < (parent) + (parent)->span; \
	     child += child->span)

/* How many there are. */
size_t value_count(const struct value *parent);

/* A field of an object, never NULL. */
const struct value *value_get(const struct value *object, const char *key);

/* The same with the value's text or number at once. */
const char *value_get_text(const struct value *object, const char *key);
long long value_get_number(const struct value *object, const char *key);

struct answer;

/* Returns 0, or -EPROTO (no JSON object; the text says why) or -ENOMEM. */
int answer_parse(const char *text, size_t length, struct answer **ret, struct error *error);
void answer_free(struct answer *answer);

/* The object that is the answer; it lives as long as the answer. */
const struct value *answer_root(const struct answer *answer);

#endif
