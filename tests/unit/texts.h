/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Manifests as text, for the tests of what reads them.  What fails is an
 * assertion of cmocka.
 */
#ifndef TEXTS_H
#define TEXTS_H

#include "snapshot.h"

/* A copy of n bytes that ends where the memory ends: reading on is a fault. */
struct guarded {
	char *text, *map;
	size_t map_size;
};
void guarded_make(struct guarded *guarded, const char *text, size_t n);
void guarded_free(struct guarded *guarded);

/* A file of tests/fixtures, NUL-terminated; free() it. */
char *fixture_read(const char *name, size_t *ret_size);

/* Put a manifest's objects into the store, as a listing of one file. */
void objects_list(struct objects *objects, const char *name, const char *text);

/* The snapshot of a manifest named test.yaml on node "here", which has the
 * addresses 10.200.0.1, 10.200.0.2 and fd00:200::1. */
struct snapshot *snapshot_of(const char *text);
struct snapshot *snapshot_of_objects(const struct objects *objects);

/* "NS/NAME:PORT/PROTOCOL/FAMILY FRONTEND,... -> ENDPOINT,...", e.g.
 * "default/web:http/TCP/4 C10.96.0.1:80,N10.200.0.1:30080 -> 10.1.0.1:8080".
 * Kinds are C, N, E and L; behind an endpoint there is "*WEIGHT" unless it's
 * 100, "!" where it's not ready, "s" where it's serving then, "t" where it's
 * terminating, "@" where it's local.  free() it. */
char *service_text(const struct model_service *service);
/* All services, a line each; free() it. */
char *snapshot_text(const struct snapshot *snapshot);

#endif
