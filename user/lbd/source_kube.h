/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The Kubernetes source: Services, EndpointSlices, NetworkPolicies and this node's
 * Node of the API server, kept in one store by one watch for each kind
 * (kube_watch.h).
 *
 * There is no snapshot until every kind has been listed once: a half-read list
 * never removes a service.  Where the server can't be followed, the last one
 * stays in force.
 */
#ifndef GW_SOURCE_KUBE_H
#define GW_SOURCE_KUBE_H

#include <uv.h>

#include "error.h"
#include "kube_config.h"
#include "snapshot.h"

struct source_kube;

/* Takes the configuration over.  node: this one's name; of Nodes it alone is asked
 * for.  Nothing is asked before _watch(). */
int source_kube_open(struct kube_config *config, const char *node, struct source_kube **ret,
		     struct error *error);
void source_kube_close(struct source_kube *source); /* the loop has to run once more */

/* As source_file_load().  -EAGAIN until all has been listed; then error says
 * what is waited for. */
int source_kube_load(struct source_kube *source, const struct source_node *node,
		     struct snapshot **ret, struct error *error);

/* Begin to list and watch; changed(arg) is called, debounced, when the store has
 * changed. */
int source_kube_watch(struct source_kube *source, uv_loop_t *loop, void (*changed)(void *arg),
		      void *arg, struct error *error);

/* Why the server can't be followed at present, one line; NULL = it is. */
const char *source_kube_trouble(const struct source_kube *source);

#endif
