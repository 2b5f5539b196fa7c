/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A field of a Kubernetes object: its value, and its path for messages.
 *
 * Fields live on the stack of whoever reads an object and point at the field
 * they are part of; the path is written out only where a value is refused.
 * An absent field and one that is null are the same, as in Kubernetes.
 *
 * Functions return 0, -EINVAL after they set the reading's reason and where,
 * or -ENOMEM.  Strings they give belong to the reading's pool.
 */
#ifndef GW_FIELD_H
#define GW_FIELD_H

#include <stdint.h>

#include "addr.h"
#include "document.h"
#include "pool.h"

/* An object being read. */
struct reading {
	const struct document *document;
	struct pool *pool;
	const char *where, *reason; /* of the refusal; NULL until there is one */
};

struct field {
	const struct field *parent; /* NULL: the object itself */
	const char *key;	    /* NULL: an item of a list */
	size_t index;
	const json_t *value; /* NULL = absent */
};

struct field field_get(const struct field *object, const char *key);
struct field field_item(const struct field *list, size_t index);
static inline bool field_present(const struct field *field)
{
	return field->value;
}

/* "FILE:LINE" of the field, or of the nearest one around it whose line is known. */
char *field_where(const struct reading *reading, const struct field *field);
/* "spec.ports[0].port: " and the text. */
char *field_describe(const struct reading *reading, const struct field *field, const char *format,
		     ...) __attribute__((format(printf, 3, 4)));
int field_refuse(struct reading *reading, const struct field *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Typed values.  Absent: an error for field_need(), else fine. */
int field_need(struct reading *reading, const struct field *field);
int field_object(struct reading *reading, const struct field *field);
int field_list(struct reading *reading, const struct field *field, size_t max, size_t *ret_n);
/* Absent: "". */
int field_string(struct reading *reading, const struct field *field, const char **ret);
/* 0 to max; absent: 0.  what: "is not a WHAT". */
int field_number(struct reading *reading, const struct field *field, unsigned int max,
		 const char *what, unsigned int *ret);
int field_bool(struct reading *reading, const struct field *field, bool absent, bool *ret);

/* Kubernetes' own types. */
int field_dns_label(struct reading *reading, const struct field *field, const char **ret);
int field_dns_subdomain(struct reading *reading, const struct field *field, const char **ret);
/* An address that can be a machine's or a service's; it must be there. */
int field_addr(struct reading *reading, const struct field *field, struct addr *ret);
/* "ADDR/LEN", or an address as a prefix of its own; it must be there. */
int field_prefix(struct reading *reading, const struct field *field, struct prefix *ret);
/* IPPROTO_TCP, IPPROTO_UDP or IPPROTO_SCTP; absent: TCP. */
int field_protocol(struct reading *reading, const struct field *field, uint8_t *ret);

#endif
