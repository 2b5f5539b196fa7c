/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "frame.h"

static const uint8_t eth_dst[6] = {0x02, 0, 0, 0, 0, 0x01};
static const uint8_t eth_src[6] = {0x02, 0, 0, 0, 0, 0x02};

bool frame_is_ipv6(const struct frame *frame)
{
	return frame->bytes[12] == 0x86;
}

size_t frame_l4(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + FRAME_ETH;
	size_t at;
	uint8_t next;

	if (!frame_is_ipv6(frame))
		return FRAME_ETH + (ip[0] & 0xf) * 4;
	next = ip[6];
	for (at = FRAME_ETH + 40; next == 60; at += (frame->bytes[at + 1] + 1) * 8)
		next = frame->bytes[at];
	return at;
}

uint8_t frame_protocol(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + FRAME_ETH;
	size_t at;
	uint8_t next;

	if (!frame_is_ipv6(frame))
		return ip[9];
	next = ip[6];
	for (at = FRAME_ETH + 40; next == 60; at += (frame->bytes[at + 1] + 1) * 8)
		next = frame->bytes[at];
	return next;
}

static uint16_t *field16(struct frame *frame, size_t at)
{
	return (uint16_t *)(void *)(frame->bytes + at);
}

uint16_t *frame_check(struct frame *frame)
{
	return field16(frame, frame_l4(frame) + (frame_protocol(frame) == IPPROTO_TCP ? 16 : 6));
}

uint16_t *frame_sport(struct frame *frame)
{
	return field16(frame, frame_l4(frame));
}

uint16_t *frame_dport(struct frame *frame)
{
	return field16(frame, frame_l4(frame) + 2);
}

/* RFC 1071, the plain way: big-endian words, carries folded at once. */
static uint16_t sum_bytes(const uint8_t *bytes, size_t n, uint16_t start)
{
	uint32_t sum = start;

	for (size_t i = 0; i < n; i++) {
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* Transport bytes: what the IP header says, not what the buffer holds. */
static size_t l4_bytes(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + FRAME_ETH;
	size_t l4 = frame_l4(frame);

	if (frame_is_ipv6(frame))
		return FRAME_ETH + 40 + (ip[4] << 8 | ip[5]) - l4;
	return FRAME_ETH + (ip[2] << 8 | ip[3]) - l4;
}

static uint16_t pseudo_sum(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + FRAME_ETH;
	uint8_t tail[4] = {l4_bytes(frame) >> 8, l4_bytes(frame), 0, frame_protocol(frame)};
	uint16_t sum = frame_is_ipv6(frame) ? sum_bytes(ip + 8, 32, 0) : sum_bytes(ip + 12, 8, 0);

	return sum_bytes(tail, sizeof(tail), sum);
}

uint16_t frame_pseudo(const struct frame *frame)
{
	return htons(pseudo_sum(frame));
}

bool frame_ip_verifies(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + FRAME_ETH;

	return frame_is_ipv6(frame) || sum_bytes(ip, (ip[0] & 0xf) * 4, 0) == 0xffff;
}

bool frame_l4_verifies(const struct frame *frame)
{
	return sum_bytes(frame->bytes + frame_l4(frame), l4_bytes(frame), pseudo_sum(frame)) ==
	       0xffff;
}

void frame_finish(struct frame *frame)
{
	uint8_t *ip = frame->bytes + FRAME_ETH;
	uint16_t *check = frame_check(frame);

	if (!frame_is_ipv6(frame)) {
		ip[10] = ip[11] = 0;
		*field16(frame, FRAME_ETH + 10) = htons(~sum_bytes(ip, (ip[0] & 0xf) * 4, 0));
	}
	*check = 0;
	*check = htons(
		~sum_bytes(frame->bytes + frame_l4(frame), l4_bytes(frame), pseudo_sum(frame)));
	if (!*check && frame_protocol(frame) == IPPROTO_UDP)
		*check = 0xffff;
}

void frame_build(struct frame *frame, const struct frame_spec *spec)
{
	bool v6 = strchr(spec->dst, ':');
	uint8_t protocol = spec->protocol ?: IPPROTO_TCP;
	size_t ip_bytes = v6 ? 40 + 8 * spec->extensions : 20 + spec->options_bytes;
	size_t header = protocol == IPPROTO_TCP ? 20 : 8;
	size_t total = ip_bytes + header + spec->payload_bytes;
	uint8_t *ip = frame->bytes + FRAME_ETH, *l4 = ip + ip_bytes;

	assert(FRAME_ETH + total <= FRAME_MAX);
	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, eth_dst, 6);
	memcpy(frame->bytes + 6, eth_src, 6);
	*field16(frame, 12) = htons(v6 ? 0x86dd : 0x0800);
	frame->length = FRAME_ETH + total;

	if (v6) {
		ip[0] = 0x60 | spec->tos >> 4;
		ip[1] = spec->tos << 4;
		*field16(frame, FRAME_ETH + 4) = htons(total - 40);
		ip[6] = spec->extensions ? 60 : protocol;
		ip[7] = spec->ttl ?: 64;
		assert(inet_pton(AF_INET6, spec->src, ip + 8) == 1);
		assert(inet_pton(AF_INET6, spec->dst, ip + 24) == 1);
		for (int i = 0; i < spec->extensions; i++) {
			uint8_t *extension = ip + 40 + 8 * i;

			extension[0] = i + 1 < spec->extensions ? 60 : protocol;
			extension[2] = 1; /* PadN of 4 bytes */
			extension[3] = 4;
		}
	} else {
		ip[0] = 0x40 | ip_bytes / 4;
		ip[1] = spec->tos;
		*field16(frame, FRAME_ETH + 2) = htons(total);
		*field16(frame, FRAME_ETH + 4) = htons(0x1234);
		*field16(frame, FRAME_ETH + 6) = htons(0x4000); /* don't fragment */
		ip[8] = spec->ttl ?: 64;
		ip[9] = protocol;
		assert(inet_pton(AF_INET, spec->src, ip + 12) == 1);
		assert(inet_pton(AF_INET, spec->dst, ip + 16) == 1);
		memset(ip + 20, 1, spec->options_bytes); /* NOPs */
	}

	*field16(frame, l4 - frame->bytes) = htons(spec->sport);
	*field16(frame, l4 - frame->bytes + 2) = htons(spec->dport);
	if (protocol == IPPROTO_TCP) {
		uint32_t seq = htonl(spec->tcp_seq), ack = htonl(spec->tcp_ack);

		memcpy(l4 + 4, &seq, 4);
		memcpy(l4 + 8, &ack, 4);
		l4[12] = 0x50; /* data offset 5 */
		l4[13] = spec->tcp_flags;
		l4[14] = 0x20; /* window */
	} else {
		*field16(frame, l4 - frame->bytes + 4) = htons(header + spec->payload_bytes);
	}
	for (size_t i = 0; i < spec->payload_bytes; i++)
		l4[header + i] = spec->payload_byte ?: i * 7 + 3;

	frame_finish(frame);
	switch (spec->checksum) {
	case FRAME_FINISHED:
		break;
	case FRAME_PARTIAL:
		*frame_check(frame) = frame_pseudo(frame);
		break;
	case FRAME_NONE:
		*frame_check(frame) = 0;
		break;
	case FRAME_WRONG:
		*frame_check(frame) ^= 0x5a5a;
		break;
	}
}

void frame_cut(const struct frame *whole, size_t from, size_t bytes, bool more, uint16_t id,
	       struct frame *ret)
{
	bool v6 = frame_is_ipv6(whole);
	size_t ip_bytes = v6 ? 40 : 20, at = FRAME_ETH + ip_bytes, header = v6 ? 8 : 0;
	uint16_t position = from | more;
	uint8_t *ip = ret->bytes + FRAME_ETH;

	*ret = *whole;
	memcpy(ret->bytes + at + header, whole->bytes + at + from, bytes);
	ret->length = at + header + bytes;
	if (v6) {
		uint8_t fragment[8] = {frame_protocol(whole),
				       0,
				       position >> 8,
				       position,
				       0,
				       0,
				       id >> 8,
				       id & 0xff};

		memcpy(ret->bytes + at, fragment, 8);
		ip[4] = (header + bytes) >> 8;
		ip[5] = header + bytes;
		ip[6] = 44;
	} else {
		uint32_t sum = 0;

		ip[2] = (20 + bytes) >> 8;
		ip[3] = 20 + bytes;
		ip[4] = id >> 8;
		ip[5] = id & 0xff;
		ip[6] = (from >> 11) | (more ? 0x20 : 0);
		ip[7] = from / 8;
		ip[10] = ip[11] = 0;
		for (int i = 0; i < 20; i += 2)
			sum += ip[i] << 8 | ip[i + 1];
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~((sum & 0xffff) + (sum >> 16));
		ip[10] = sum >> 8;
		ip[11] = sum;
	}
}

void frame_icmp_error(struct frame *frame, const char *src, const char *dst, uint8_t type,
		      uint8_t code, uint16_t mtu, uint8_t ttl, const struct frame *packet,
		      size_t quoted)
{
	bool v6 = strchr(src, ':');
	uint8_t *icmp = frame->bytes + FRAME_ETH + (v6 ? 40 : 20);

	if (quoted > packet->length - FRAME_ETH)
		quoted = packet->length - FRAME_ETH;
	/* An ICMP packet of the right length, with the IP header. */
	frame_build(frame, &(struct frame_spec){.src = src,
						.dst = dst,
						.ttl = ttl,
						.protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
						.payload_bytes = quoted});
	memset(icmp, 0, 8);
	icmp[0] = type;
	icmp[1] = code;
	*field16(frame, icmp + 6 - frame->bytes) = htons(mtu);
	memcpy(icmp + 8, packet->bytes + FRAME_ETH, quoted);
	*field16(frame, icmp + 2 - frame->bytes) =
		htons(~sum_bytes(icmp, 8 + quoted, v6 ? pseudo_sum(frame) : 0));
}
