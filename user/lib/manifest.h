/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A manifest: the text of a file to the objects in it, in their order.  Pure:
 * reading and watching files is the source's business.
 */
#ifndef GW_MANIFEST_H
#define GW_MANIFEST_H

#include "objects.h"

#define MANIFEST_MAX_DOCUMENTS 100000
/* Documents that are no objects: more of them, and the file is no manifest. */
#define MANIFEST_MAX_NAMELESS 64
#define MANIFEST_MAX_LISTS 4 /* v1 List within List */

struct manifest {
	struct object **objects; /* good and refused ones */
	size_t nobjects;
};

/*
 * Read a text.  name is that of the file, for messages; *.json is JSON, all
 * else YAML.  Returns 0, -EINVAL with "NAME:LINE: reason" where the text as a
 * whole is no manifest, or -ENOMEM.
 */
int manifest_read(const char *name, const char *text, size_t size, struct manifest **ret,
		  struct error *error);
void manifest_free(struct manifest *manifest);

#endif
