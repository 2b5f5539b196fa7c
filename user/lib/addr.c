/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

#define ADDR4_BITS 32
#define ADDR6_BITS 128

/* A decimal number up to max at *text, which is moved behind it. */
static int number_parse(const char **text, unsigned int max, unsigned int *ret)
{
	const char *p = *text;
	unsigned int n = 0;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		n = n * 10 + (*p - '0');
		if (n > max)
			return -EINVAL;
	}
	*text = p;
	*ret = n;
	return 0;
}

/* Not inet_pton(): it refuses leading zeros. */
static int addr4_parse(const char *text, uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned int octet;

		if (i && *text++ != '.')
			return -EINVAL;
		if (number_parse(&text, 255, &octet))
			return -EINVAL;
		bytes[i] = octet;
	}
	return *text ? -EINVAL : 0;
}

/* An IPv6 address whose last 32 bits may be a dotted quad. */
static int addr6_parse(const char *text, uint8_t bytes[16])
{
	const char *quad = strrchr(text, ':') + 1;
	char hex[ADDR_STRLEN];
	uint8_t last[4];

	if (!strchr(quad, '.'))
		return inet_pton(AF_INET6, text, bytes) == 1 ? 0 : -EINVAL;
	if (addr4_parse(quad, last) || quad - text > ADDR_STRLEN - 10)
		return -EINVAL;
	snprintf(hex, sizeof(hex), "%.*s%02x%02x:%02x%02x", (int)(quad - text), text, last[0],
		 last[1], last[2], last[3]);
	return inet_pton(AF_INET6, hex, bytes) == 1 ? 0 : -EINVAL;
}

/* As written: an IPv4-mapped address stays IPv6. */
static int addr_parse_literal(const char *text, struct addr *ret)
{
	struct addr addr = {};
	int err;

	if (strchr(text, ':')) {
		addr.family = 6;
		err = addr6_parse(text, addr.bytes);
	} else {
		addr.family = 4;
		err = addr4_parse(text, addr.bytes);
	}
	if (err)
		return err;
	*ret = addr;
	return 0;
}

/* An IPv4-mapped address becomes IPv4; says whether it was one. */
static bool addr_unmap(struct addr *addr)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct addr addr4 = {.family = 4};

	if (addr->family != 6 || memcmp(addr->bytes, mapped, sizeof(mapped)))
		return false;
	memcpy(addr4.bytes, addr->bytes + sizeof(mapped), 4);
	*addr = addr4;
	return true;
}

int addr_parse(const char *text, struct addr *ret)
{
	struct addr addr;
	int err;

	err = addr_parse_literal(text, &addr);
	if (err)
		return err;
	addr_unmap(&addr);
	*ret = addr;
	return 0;
}

const char *addr_format(const struct addr *addr, char buf[ADDR_STRLEN])
{
	if (!addr->family)
		strcpy(buf, "none");
	else
		inet_ntop(addr->family == 4 ? AF_INET : AF_INET6, addr->bytes, buf, ADDR_STRLEN);
	return buf;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

const char *addr_port_format(const struct addr *addr, uint16_t port_host,
			     char buf[ADDR_PORT_STRLEN])
{
	char text[ADDR_STRLEN];

	snprintf(buf, ADDR_PORT_STRLEN, addr->family == 6 ? "[%s]:%u" : "%s:%u",
		 addr_format(addr, text), port_host);
	return buf;
}

const char *addr_place_format(const struct addr *addr, uint16_t port_host,
			      char buf[ADDR_PORT_STRLEN])
{
	return port_host ? addr_port_format(addr, port_host, buf) : addr_format(addr, buf);
}

int addr_port_parse(const char *text, struct addr *ret, uint16_t *ret_port)
{
	bool brackets = *text == '[';
	const char *end = brackets ? strchr(text, ']') : strrchr(text, ':');
	const char *port = end ? end + 1 + brackets : NULL;
	char host[ADDR_STRLEN], *rest;
	unsigned long number;
	struct addr addr;

	/* One colon is a port's, more of them an IPv6 address'. */
	if (!brackets && (!end || strchr(text, ':') != end)) {
		if (addr_parse(text, ret))
			return -EINVAL;
		*ret_port = 0;
		return 0;
	}
	if (!end || (brackets && end[1] != ':') || (size_t)(end - text) >= sizeof(host))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(end - text - brackets), text + brackets);
	number = strtoul(port, &rest, 10);
	if (*port < '0' || *port > '9' || *rest || strlen(port) > 5 || !number ||
	    number > UINT16_MAX || addr_parse(host, &addr) || (addr.family == 6) != brackets)
		return -EINVAL;
	*ret = addr;
	*ret_port = number;
	return 0;
}

const char *addr_special(const struct addr *addr)
{
	const uint8_t *b = addr->bytes;
	static const uint8_t loopback6[16] = {[15] = 1}, zero[16];

	if (!memcmp(b, zero, sizeof(zero)))
		return "unspecified";
	if (addr->family == 4) {
		if (b[0] == 127)
			return "loopback";
		if (b[0] == 169 && b[1] == 254)
			return "link-local";
		return (b[0] & 0xf0) == 0xe0 ? "multicast" : NULL;
	}
	if (!memcmp(b, loopback6, sizeof(loopback6)))
		return "loopback";
	if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
		return "link-local";
	return b[0] == 0xff ? "multicast" : NULL;
}

void addr_to_words(const struct addr *addr, uint32_t words[4])
{
	memcpy(words, addr->bytes, sizeof(addr->bytes));
}

void addr_from_words(uint8_t family, const uint32_t words[4], struct addr *ret)
{
	*ret = (struct addr){.family = family};
	memcpy(ret->bytes, words, family == 4 ? 4 : sizeof(ret->bytes));
}

/* Clear the bits from length on. */
static void addr_mask(struct addr *addr, unsigned int length)
{
	for (unsigned int i = 0; i < sizeof(addr->bytes); i++) {
		if (length >= 8 * (i + 1))
			continue;
		addr->bytes[i] &= length > 8 * i ? 0xff << (8 - (length - 8 * i)) : 0;
	}
}

int prefix_parse(const char *text, struct prefix *ret)
{
	char copy[2 * PREFIX_STRLEN], *slash;
	struct prefix prefix = {};
	unsigned int bits, length;
	size_t n;

	while (isspace((unsigned char)*text))
		text++;
	n = strlen(text);
	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	if (n >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, n);
	copy[n] = '\0';

	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (addr_parse_literal(copy, &prefix.addr))
		return -EINVAL;
	bits = prefix.addr.family == 4 ? ADDR4_BITS : ADDR6_BITS;
	length = bits;
	if (slash) {
		const char *p = slash + 1;

		if (number_parse(&p, bits, &length) || *p)
			return -EINVAL;
	}
	if (addr_unmap(&prefix.addr)) {
		/* A shorter one would hold addresses that aren't IPv4. */
		if (length < ADDR6_BITS - ADDR4_BITS)
			return -EINVAL;
		length -= ADDR6_BITS - ADDR4_BITS;
	}
	addr_mask(&prefix.addr, length);
	prefix.length = length;
	*ret = prefix;
	return 0;
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : a->length - b->length;
}

bool prefix_contains(const struct prefix *prefix, const struct addr *addr)
{
	struct addr masked = *addr;

	addr_mask(&masked, prefix->length);
	return addr_compare(&prefix->addr, &masked) == 0;
}

const char *prefix_format(const struct prefix *prefix, char buf[PREFIX_STRLEN])
{
	char text[ADDR_STRLEN];

	snprintf(buf, PREFIX_STRLEN, "%s/%u", addr_format(&prefix->addr, text), prefix->length);
	return buf;
}
