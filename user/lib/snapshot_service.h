/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One Service and its EndpointSlices as services of the model.  Only for
 * snapshot.c.
 */
#ifndef GW_SNAPSHOT_SERVICE_H
#define GW_SNAPSHOT_SERVICE_H

#include "snapshot.h"

/* An endpoint, and where it came in the order of slices. */
struct candidate {
	struct model_endpoint endpoint;
	size_t order;
};

struct service_builder {
	const struct source_node *node;
	const struct model_node *own; /* what its Node object says */
	struct pool *pool;	      /* of what is built; strings stay the objects' */

	struct candidate *candidates; /* scratch, freed by the owner */
	size_t max_candidates;
};

/* How many services snapshot_service_build() makes of a Service. */
size_t snapshot_service_count(const struct object_service *from);

/* Build them; slices are the Service's, ordered by name.  Returns 0 or
 * -ENOMEM. */
int snapshot_service_build(struct service_builder *builder, const struct object *object,
			   struct object *const *slices, size_t nslices, struct model_service *ret);

#endif
