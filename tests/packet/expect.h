/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a frame is to have become.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "frame.h"

/* Fails the test with the first byte that differs. */
void expect_same(const struct frame *out, const struct frame *expected, const char *what);

/* The frame with another destination, or source, and nothing else. */
struct frame expect_to(const struct frame *in, const char *addr, uint16_t port);
struct frame expect_from(const struct frame *in, const char *addr, uint16_t port);

#endif
