/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The model: what a source wishes for, in terms of the datapath.
 *
 * A snapshot is immutable and complete.  It is made by snapshot_build() from
 * the Kubernetes objects a source holds (snapshot.h), is handed to plan_make(),
 * and is freed as a whole by snapshot_free().  All strings and arrays in it
 * belong to it.  No file here knows sources, maps or BPF.
 *
 * A model_service is NS/NAME:port-name + protocol in one address family: a
 * dual-stack Service with two ports is four of them.
 */
#ifndef GW_MODEL_H
#define GW_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "health_check.h"

enum frontend_kind {
	FRONTEND_CLUSTER_IP,
	FRONTEND_NODE_PORT,
	FRONTEND_EXTERNAL_IP,
	FRONTEND_LOAD_BALANCER,
};

struct model_frontend {
	enum frontend_kind kind;
	struct addr addr; /* a node port has one frontend per node address */
	uint16_t port;	  /* host order */
};

/* For whom an endpoint is meant (rules 41-49), seen from this node. */
enum model_hint {
	HINT_NONE,	/* nobody in particular */
	HINT_ELSEWHERE, /* others */
	HINT_HERE,	/* this node, or its zone; perhaps others, too */
};

struct model_hints {
	const char **names; /* of zones or nodes */
	size_t n;
	enum model_hint says;
};

/* One address:port of an EndpointSlice.  Duplicates are merged (rule 17). */
struct model_endpoint {
	struct addr addr;
	uint16_t port;	 /* host order */
	uint16_t weight; /* 0-1000, default 100 */
	bool ready, serving, terminating;
	bool local;	  /* nodeName is this node's (rule 20) */
	const char *node; /* nodeName, "" = unset */
	const char *pod;  /* targetRef.name, "" = unset */
	const char *uid;  /* targetRef.uid, "" = unset */
	struct model_hints zones, nodes;
};

struct model_service {
	const char *namespace, *name, *port_name;
	const char *created;		     /* creationTimestamp (RFC 3339, UTC), "" = unset */
	uint8_t family;			     /* 4 or 6 */
	uint8_t protocol;		     /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t port;			     /* host order */
	bool policed;			     /* a NetworkPolicy rules who reaches its pods */
	bool round_robin;		     /* backends take turns */
	bool internal_local, external_local; /* traffic policies (rule 31) */
	uint32_t affinity_s;		     /* 0 = none */
	uint16_t health_port;		     /* where to ask for local backends; 0 = nowhere */
	struct health_check check;	     /* HEALTH_UNSET = as lbd's options say */
	struct model_frontend *frontends;    /* sorted by kind, address, port */
	size_t nfrontends;
	/* Whom load-balancer addresses take, of this family; none = everybody
	 * (rules 71, 74).  Sorted, each once. */
	struct prefix *sources;
	size_t nsources;
	bool sources_have_node;		  /* one of them has an address of this node (rule 73) */
	struct model_endpoint *endpoints; /* sorted by address, port */
	size_t nendpoints;
};

/* An object, or a part of one, that was refused, and why.  The rest works. */
struct model_refusal {
	const char *where;     /* "FILE:LINE" */
	const char *kind;      /* "Service" */
	const char *namespace; /* of the Service it concerns, "" = unknown */
	const char *name;      /* likewise */
	const char *object;    /* the object's own name: the slice's, of an EndpointSlice */
	const char *reason;    /* "spec.ports[0].port: 70000 is not a port" */
	bool keep;	       /* no good state is known: what the maps hold stays */
};

/* This node's own Node object. */
struct model_node {
	bool known;	  /* there is one */
	const char *zone; /* "" = unset */
	bool deleting;	  /* or about to be (rule 78) */
	const struct addr *addresses;
	size_t naddresses;
	const struct prefix *pod_cidrs;
	size_t npod_cidrs;
};

struct snapshot {
	uint64_t revision;		/* raised by the source at each change */
	struct model_service *services; /* sorted: namespace, name, port_name, protocol, family */
	size_t nservices;
	struct model_refusal *refusals;
	size_t nrefusals;
	struct model_node node;
	bool unknown;	      /* nothing is known yet: what the maps hold stays */
	bool policed_clients; /* a NetworkPolicy rules whom pods reach */
	void *memory;	      /* owns all of the above (snapshot.c) */
};

void snapshot_free(struct snapshot *snapshot);

/* A hash of all content but the revision: equal snapshots, equal digests. */
uint64_t snapshot_digest(const struct snapshot *snapshot);

/* Order of services in a snapshot. */
int model_service_compare(const struct model_service *a, const struct model_service *b);

/* Which endpoints of a set, all or those on this node, get new flows. */
struct model_choice {
	/* Some endpoint of the set is ready; only where none is do serving
	 * terminating ones count (rules 25-27). */
	bool any_ready;
	/* Of the ready ones only those that are meant for this node, or its zone. */
	enum model_topology {
		TOPOLOGY_ALL,
		TOPOLOGY_ZONE,
		TOPOLOGY_NODE,
	} topology;
};

struct model_choice model_choose(const struct model_service *service, bool local);

/* Would any endpoint get new flows, of all or of those on this node, hints aside? */
bool model_any_usable(const struct model_service *service, bool local);

/* Rule 56: does a Local policy keep clients from endpoints that are elsewhere, those
 * of the ClusterIP (internal) or of external addresses? */
bool model_no_local(const struct model_service *service, bool internal);

static inline bool model_endpoint_usable(const struct model_endpoint *e,
					 const struct model_choice *choice)
{
	if (!choice->any_ready)
		return e->serving && e->terminating;
	return e->ready && (choice->topology != TOPOLOGY_ZONE || e->zones.says == HINT_HERE) &&
	       (choice->topology != TOPOLOGY_NODE || e->nodes.says == HINT_HERE);
}

#endif
