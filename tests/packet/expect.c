/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "expect.h"

void expect_same(const struct frame *out, const struct frame *expected, const char *what)
{
	if (out->length != expected->length)
		fail_msg("%s: %zu bytes, not %zu", what, out->length, expected->length);
	for (size_t i = 0; i < out->length; i++)
		if (out->bytes[i] != expected->bytes[i])
			fail_msg("%s: byte %zu is %02x, not %02x", what, i, out->bytes[i],
				 expected->bytes[i]);
}

struct frame expect_to(const struct frame *in, const char *addr, uint16_t port)
{
	struct frame frame = *in;
	bool v6 = frame_is_ipv6(in);

	inet_pton(v6 ? AF_INET6 : AF_INET, addr, frame.bytes + FRAME_ETH + (v6 ? 24 : 16));
	*frame_dport(&frame) = htons(port);
	frame_finish(&frame);
	return frame;
}

struct frame expect_from(const struct frame *in, const char *addr, uint16_t port)
{
	struct frame frame = *in;
	bool v6 = frame_is_ipv6(in);

	inet_pton(v6 ? AF_INET6 : AF_INET, addr, frame.bytes + FRAME_ETH + (v6 ? 8 : 12));
	*frame_sport(&frame) = htons(port);
	frame_finish(&frame);
	return frame;
}
