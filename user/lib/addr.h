/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * IP addresses of either family as one value.
 *
 * Bytes are in network order.  An IPv4 address uses the first four bytes and
 * leaves the rest zero, so that two equal addresses are equal bytes.
 */
#ifndef GW_ADDR_H
#define GW_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct addr {
	uint8_t family; /* 4 or 6; 0 = none */
	uint8_t bytes[16];
};

struct prefix {
	struct addr addr; /* host bits are zero */
	uint8_t length;	  /* bits */
};

#define ADDR_STRLEN 46	 /* INET6_ADDRSTRLEN */
#define PREFIX_STRLEN 50 /* "ADDR/128" */

/*
 * Read an address in text.  IPv4 octets with leading zeros are decimal, as
 * Kubernetes reads them (service-semantics rule 8).  An IPv4-mapped IPv6
 * address is IPv4.  Returns 0 or -EINVAL (a host name, a scope id, blanks).
 */
int addr_parse(const char *text, struct addr *ret);

/* Write an address as RFC 5952 has it; returns buf. */
const char *addr_format(const struct addr *addr, char buf[ADDR_STRLEN]);

/* Order by family, then by bytes: <0, 0, >0. */
int addr_compare(const struct addr *a, const struct addr *b);

/* Write "ADDR:PORT", IPv6 in brackets; port in host order. */
#define ADDR_PORT_STRLEN (ADDR_STRLEN + 8)
const char *addr_port_format(const struct addr *addr, uint16_t port_host,
			     char buf[ADDR_PORT_STRLEN]);

/* The same, or "ADDR" where the port is 0; addr_port_parse() reads it back. */
const char *addr_place_format(const struct addr *addr, uint16_t port_host,
			      char buf[ADDR_PORT_STRLEN]);

/* Read "ADDR", "ADDR:PORT" or "[ADDR]:PORT" (an IPv6 address with a port needs the
 * brackets); *ret_port: host order, 0 = none is given.  Returns 0 or -EINVAL. */
int addr_port_parse(const char *text, struct addr *ret, uint16_t *ret_port);

/* "unspecified", "loopback", "link-local" or "multicast" where an address is no
 * single machine's in the network; else NULL. */
const char *addr_special(const struct addr *addr);

/* The same address as lb.h keeps it: IPv4 in words[0]. */
void addr_to_words(const struct addr *addr, uint32_t words[4]);
void addr_from_words(uint8_t family, const uint32_t words[4], struct addr *ret);

/* Read "ADDR/LEN", or "ADDR" as a prefix of its full length; blanks around it
 * are trimmed (rule 8), host bits are cleared.  Returns 0 or -EINVAL. */
int prefix_parse(const char *text, struct prefix *ret);
/* Order by family, address, length. */
int prefix_compare(const struct prefix *a, const struct prefix *b);
bool prefix_contains(const struct prefix *prefix, const struct addr *addr);
const char *prefix_format(const struct prefix *prefix, char buf[PREFIX_STRLEN]);

#endif
