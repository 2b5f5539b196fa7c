/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One kind of object of the API server, kept equal to the server's: listed in
 * pages, then watched from where the list ended.
 *
 *	list --+--> watch --+-- the server ends it, or it breaks: watch again
 *	  ^    +-- fails: later     from the last resourceVersion
 *	  +------ 410 Gone: that version is forgotten; list and compare
 *
 * Objects go to the store as they come; what a list no longer has goes only at
 * the list's end, so that one that breaks off removes nothing.  Attempts after
 * a failure are apart by up to two seconds, with jitter, or by what the server
 * asks for.
 */
#ifndef GW_KUBE_WATCH_H
#define GW_KUBE_WATCH_H

#include <stdbool.h>
#include <uv.h>

#include "kube_client.h"
#include "objects.h"

struct kube_watch_spec {
	enum object_kind kind;
	const char *api_version, *kind_name; /* what a list's items leave out */
	const char *resource;		     /* "endpointslices", for messages */
	const char *path;		     /* of the whole collection */
	const char *field_selector;	     /* "metadata.name=node1", or NULL */
};

struct kube_watch_events {
	/* Something in the store has changed, or a list has ended. */
	void (*changed)(void *arg);
	/* The state of the connection has: see kube_watch_trouble(). */
	void (*trouble)(void *arg, const struct kube_watch_spec *spec);
	void *arg;
};

struct kube_watch;

/* All pointers have to stay. */
int kube_watch_open(uv_loop_t *loop, struct kube_client *client, struct objects *objects,
		    const struct kube_watch_spec *spec, const struct kube_watch_events *events,
		    struct kube_watch **ret);
/* Starts it, too. */
void kube_watch_close(struct kube_watch *watch);

/* Has a list been complete once? */
bool kube_watch_synced(const struct kube_watch *watch);

/* Why the server can't be followed at present: one line, NULL = it is. */
const char *kube_watch_trouble(const struct kube_watch *watch);

#endif
