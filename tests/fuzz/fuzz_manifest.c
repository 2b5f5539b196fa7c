/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Any bytes as a manifest, the whole way that a file takes: text, documents,
 * objects, the store, a snapshot.  The first byte says whether it is JSON.
 *
 * Nothing may leak or overrun, a refusal carries its reason, and what was taken
 * once is taken again: a second listing of the same text makes an equal
 * snapshot.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "model.h"
#include "snapshot.h"

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void store_fill(struct objects *objects, const struct manifest *manifest)
{
	objects_begin(objects, OBJECT_NONE);
	for (size_t i = 0; i < manifest->nobjects; i++)
		require(objects_put(objects, manifest->objects[i]) == 0);
	objects_end(objects, OBJECT_NONE);
}

static struct snapshot *snapshot_of(const struct objects *objects)
{
	struct addr node_address = {.family = 4, .bytes = {10, 200, 0, 1}};
	struct source_node node = {.name = "node1", .nodeports = &node_address, .nnodeports = 1};
	struct snapshot *snapshot;

	require(snapshot_build(objects, &node, 1, &snapshot) == 0);
	return snapshot;
}

static struct manifest *read_once(const char *name, const uint8_t *text, size_t size)
{
	struct manifest *manifest = NULL;
	struct error error = {""};
	int err = manifest_read(name, (const char *)text, size, &manifest, &error);

	require(err == 0 || err == -EINVAL);
	require(!err == (manifest != NULL));
	/* One line that names the file. */
	require(!err || (!strncmp(error.text, name, strlen(name)) && !strchr(error.text, '\n')));
	return manifest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *name = size && *data == '{' ? "fuzz.json" : "fuzz.yaml";
	struct manifest *manifest = read_once(name, data, size);
	struct snapshot *first, *second;
	struct objects *objects;

	if (!manifest)
		return 0;
	for (size_t i = 0; i < manifest->nobjects; i++) {
		const struct object *object = manifest->objects[i];

		require(object->kind != OBJECT_NONE || object->reason);
		require(!object->reason || (*object->reason && !strchr(object->reason, '\n')));
	}
	require(objects_create(&objects) == 0);
	store_fill(objects, manifest);
	first = snapshot_of(objects);
	store_fill(objects, manifest);
	second = snapshot_of(objects);
	require(snapshot_digest(first) == snapshot_digest(second));
	snapshot_free(first);
	snapshot_free(second);
	objects_free(objects);
	manifest_free(manifest);
	return 0;
}
