/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The readers of one kind each: they fill in the part of an object that is
 * their kind's.  Only for object.c, which has read the metadata by then.
 *
 * They return 0, -EINVAL with the reading's reason, or -ENOMEM.
 */
#ifndef GW_OBJECT_READ_H
#define GW_OBJECT_READ_H

#include "field.h"
#include "objects.h"

int object_read_service(struct reading *reading, const struct field *root, struct object *object);
int object_read_policy(struct reading *reading, const struct field *root, struct object *object);
int object_read_node(struct reading *reading, const struct field *root, struct object *object);
int object_read_slice(struct reading *reading, const struct field *root, struct object *object);

/* The annotation guideway.io/weights: rules, the most specific first. */
int object_read_weights(struct reading *reading, const struct field *annotation,
			struct object_service *service);

/* Refuse a part of the object. */
int object_note(struct reading *reading, const struct field *field, struct object *object,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
