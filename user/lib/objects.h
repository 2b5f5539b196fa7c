/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Kubernetes objects, checked and typed, and the store of those that a source
 * holds now.  The file source and the API server's feed the same store.
 *
 * An object is immutable and counted.  object_read() makes one of any JSON
 * value of a kind that Guideway knows; a bad one is an object as well, of
 * which only the identity and the reason count.  The store keeps an object's
 * last good state beside the reason why its present one is refused.
 */
#ifndef GW_OBJECTS_H
#define GW_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "document.h"
#include "health_check.h"
#include "pool.h"

#define OBJECT_MAX_PORTS 256	  /* of a Service, of a slice */
#define OBJECT_MAX_ENDPOINTS 1000 /* of a slice: the API server's own limit */
#define OBJECT_MAX_ADDRESSES 256  /* externalIPs, load-balancer addresses */
#define OBJECT_MAX_RANGES 1024	  /* loadBalancerSourceRanges */
#define OBJECT_MAX_HINTS 64	  /* of an endpoint, zones or nodes */
#define OBJECT_MAX_WEIGHTS 1024	  /* keys of the annotation */
#define OBJECT_MAX_WEIGHT 1000
#define OBJECT_DEFAULT_WEIGHT 100
#define OBJECT_MAX_AFFINITY_S 86400 /* as the API server has it */
#define OBJECT_DEFAULT_AFFINITY_S 10800

enum object_kind {
	OBJECT_NONE, /* what it is wasn't to be found out; always refused */
	OBJECT_SERVICE,
	OBJECT_ENDPOINT_SLICE,
	OBJECT_NETWORK_POLICY,
	OBJECT_NODE,
	OBJECT_KINDS, /* how many there are */
};

struct object_port {
	const char *name; /* "" = the only one */
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t port;	  /* host order */
	uint16_t node_port;
};

/* A rule of the annotation guideway.io/weights. */
struct object_weight {
	enum {
		WEIGHT_ADDR,
		WEIGHT_POD,
		WEIGHT_NODE
	} by;		 /* the more specific first */
	const char *key; /* node name, or pattern of pod names */
	struct addr addr;
	uint16_t weight;
};

struct object_service {
	bool handled;		/* not headless, an ExternalName or another proxy's (rules 1-3) */
	bool labelled;		/* the label says that it is ours (rule 3) */
	struct addr cluster[2]; /* ClusterIP per family, [0] IPv4; family 0 = none */
	struct object_port *ports;
	size_t nports;
	struct addr *external; /* externalIPs */
	size_t nexternal;
	struct addr *balancer; /* load-balancer addresses that are VIPs (rules 6, 7) */
	size_t nbalancer;
	/* Of a LoadBalancer under a Local policy: where load balancers ask whether
	 * there are backends on this node (rule 75); 0 = nowhere. */
	uint16_t health_port;
	struct prefix *ranges; /* loadBalancerSourceRanges, of both families */
	size_t nranges;
	struct object_weight *weights; /* the first that matches counts */
	size_t nweights;
	const char *created;		     /* creationTimestamp, "" = unset */
	uint32_t affinity_s;		     /* sessionAffinity ClientIP's time-out; 0 = none */
	bool internal_local, external_local; /* traffic policies */
	bool round_robin;		     /* guideway.io/scheduler */
	struct health_check check;	     /* guideway.io/health-check */
};

struct object_endpoint {
	struct addr addr;
	bool ready, serving, terminating;
	const char *node, *pod, *uid; /* "" = unset */
	const char **zone_hints, **node_hints;
	size_t nzone_hints, nnode_hints;
};

struct object_slice {
	uint8_t family;
	struct object_port *ports; /* node_port is 0 */
	size_t nports;
	struct object_endpoint *endpoints;
	size_t nendpoints;
};

/* Whom a NetworkPolicy selects doesn't matter: its namespace is looked after as a
 * whole. */
struct object_policy {
	bool ingress, egress; /* which traffic it rules */
};

struct object_node {
	const char *zone; /* "" = unset */
	bool deleting;	  /* or about to be: no new clients, please (rule 78) */
	struct addr *addresses;
	size_t naddresses;
	struct prefix *pod_cidrs;
	size_t npod_cidrs;
};

/* A part of an object that was refused: the rest of it works. */
struct object_note {
	const char *where, *reason;
	struct object_note *next;
};

struct object {
	enum object_kind kind;
	const char *namespace, *name; /* "" = not to be found out */
	const char *service;	      /* name of the Service it concerns, "" likewise */
	const char *where;	      /* "FILE:LINE", of the fault where it's refused */
	const char *reason;	      /* NULL = good */
	union {
		struct object_service as_service;
		struct object_slice as_slice;
		struct object_policy as_policy;
		struct object_node as_node;
	};
	struct object_note *notes;

	unsigned int refs; /* the rest is objects.c's */
	struct pool pool;
};

const char *object_kind_name(enum object_kind kind); /* "Service"; "" for none */
/* Where an object is that doesn't say; "": its kind has no namespaces. */
const char *object_default_namespace(enum object_kind kind);

/*
 * Read a value of a document as an object (for the API server's: a document
 * that has a name and no lines).  Returns 0, -ENOENT for a kind of no concern,
 * or -ENOMEM.  The caller holds one reference.
 */
int object_read(const struct document *document, const json_t *value, struct object **ret);

/* Make an object that's nothing but a refusal; of: whose identity it has, or
 * NULL. */
int object_refuse(const struct object *of, const char *where, struct object **ret,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

struct object *object_ref(struct object *object);
void object_unref(struct object *object);

/* ---- the store ---- */

struct objects;

/* What the store holds under one identity; either may be NULL, not both. */
struct objects_entry {
	struct object *good;	/* its last good state */
	struct object *refused; /* its present state, if that is bad */
	bool stray;		/* of no identity, or a second of one */
};

int objects_create(struct objects **ret);
void objects_free(struct objects *objects);

/*
 * Put an object in: a good one replaces what was there, a bad one leaves the
 * last good state.  The store takes a reference.  One of unknown identity is a
 * refusal of this listing.  Returns 0 or -ENOMEM.
 */
int objects_put(struct objects *objects, struct object *object);
void objects_delete(struct objects *objects, enum object_kind kind, const char *namespace,
		    const char *name);

/*
 * A listing of one kind, or of all (OBJECT_NONE): what isn't put between begin
 * and end is gone afterwards, and after an abort everything stays.  An identity
 * that is put twice keeps the first; the second is refused.
 */
void objects_begin(struct objects *objects, enum object_kind kind);
void objects_end(struct objects *objects, enum object_kind kind);
void objects_abort(struct objects *objects, enum object_kind kind);

/* Call visit for each identity, ordered by kind, namespace and name, until it
 * returns other than 0; returns that.  Refusals without an identity of their
 * own come last. */
int objects_visit(const struct objects *objects,
		  int (*visit)(void *arg, const struct objects_entry *entry), void *arg);

#endif
