/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * From the Kubernetes objects that a source holds to a snapshot of the model:
 * services out of Services and EndpointSlices (service-semantics sections A, B
 * and K), refusals out of what was refused.
 */
#ifndef GW_SNAPSHOT_H
#define GW_SNAPSHOT_H

#include "model.h"
#include "objects.h"

/* Facts of this node that a snapshot depends on. */
struct source_node {
	const char *name;	      /* node name, compared with an endpoint's nodeName */
	const struct addr *addresses; /* its primary ones */
	size_t naddresses;
	const struct addr *nodeports; /* where node ports are served */
	size_t nnodeports;
	bool labelled_only; /* Services without the label are another proxy's */
};

/* Returns 0 or -ENOMEM; nothing else can go wrong, since objects were checked
 * when they were read.  The objects are held as long as the snapshot lives. */
int snapshot_build(const struct objects *objects, const struct source_node *node, uint64_t revision,
		   struct snapshot **ret);

#endif
