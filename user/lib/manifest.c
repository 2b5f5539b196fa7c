/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

struct manifest_reader {
	struct manifest *manifest;
	size_t max_objects, nnameless;
	struct error *error;
};

/* Takes over the reference. */
static int object_add(struct manifest_reader *reader, struct object *object)
{
	struct manifest *manifest = reader->manifest;

	if (!*object->name && ++reader->nnameless > MANIFEST_MAX_NAMELESS) {
		error_set(reader->error, 0, "%s: no manifest: more than %d parts aren't objects",
			  object->where, MANIFEST_MAX_NAMELESS);
		object_unref(object);
		return -EINVAL;
	}
	if (manifest->nobjects == reader->max_objects) {
		size_t max = reader->max_objects ? 2 * reader->max_objects : 16;
		struct object **objects =
			reallocarray(manifest->objects, max, sizeof(*manifest->objects));

		if (!objects) {
			object_unref(object);
			return -ENOMEM;
		}
		manifest->objects = objects;
		reader->max_objects = max;
	}
	manifest->objects[manifest->nobjects++] = object;
	return 0;
}

static bool is_list(const json_t *value)
{
	const char *kind = json_string_value(json_object_get(value, "kind"));
	const char *version = json_string_value(json_object_get(value, "apiVersion"));

	return kind && version && !strcmp(kind, "List") && !strcmp(version, "v1");
}

/* Refuse a list as a whole. */
static int list_refuse(struct manifest_reader *reader, const char *name, unsigned int line,
		       const char *reason)
{
	struct object *object;
	char where[512];
	int err;

	snprintf(where, sizeof(where), "%s:%u", name, line);
	err = object_refuse(NULL, where, &object, "%s", reason);
	return err ? err : object_add(reader, object);
}

static int value_read(struct manifest_reader *reader, const struct document *document,
		      const json_t *value, unsigned int lists);

static int list_read(struct manifest_reader *reader, const struct document *document,
		     const json_t *list, unsigned int lists)
{
	const struct document_problem *problem = document_problem(document, list);
	const json_t *items = json_object_get(list, "items"), *item;
	unsigned int line = document_line(document, list);
	const char *name = document->name;
	size_t i;

	if (lists == MANIFEST_MAX_LISTS)
		return list_refuse(reader, name, line, "too many Lists within a List");
	if (items && !json_is_array(items) && !json_is_null(items))
		return list_refuse(reader, name, line, "items: not a list");
	/* A problem within the items is an item's own. */
	if (problem && problem != document_problem(document, items))
		return list_refuse(reader, name, problem->line, problem->text);
	json_array_foreach(items, i, item) {
		int err = value_read(reader, document, item, lists + 1);

		if (err)
			return err;
	}
	return 0;
}

static int value_read(struct manifest_reader *reader, const struct document *document,
		      const json_t *value, unsigned int lists)
{
	struct object *object;
	int err;

	if (is_list(value))
		return list_read(reader, document, value, lists);
	err = object_read(document, value, &object);
	if (err)
		return err == -ENOENT ? 0 : err;
	return object_add(reader, object);
}

static int documents_read(struct manifest_reader *reader, struct documents *documents)
{
	const struct document *document;
	size_t n = 0;
	int err;

	while ((err = documents_next(documents, &document, reader->error)) == 1) {
		if (++n > MANIFEST_MAX_DOCUMENTS)
			return error_set(reader->error, -EINVAL, "%s:%u: more than %d documents",
					 document->name, document->line, MANIFEST_MAX_DOCUMENTS);
		/* Nothing between two --- is common, and no mistake. */
		if (json_is_null(document->root))
			continue;
		err = value_read(reader, document, document->root, 0);
		if (err)
			break;
	}
	return err;
}

int manifest_read(const char *name, const char *text, size_t size, struct manifest **ret,
		  struct error *error)
{
	const char *suffix = strrchr(name, '.');
	bool json = suffix && !strcmp(suffix, ".json");
	struct manifest *manifest = calloc(1, sizeof(*manifest));
	struct manifest_reader reader = {.manifest = manifest, .error = error};
	struct documents *documents = NULL;
	int err;

	if (!manifest)
		return -ENOMEM;
	err = documents_open(name, text, size, json ? DOCUMENT_JSON : DOCUMENT_YAML, &documents);
	if (!err)
		err = documents_read(&reader, documents);
	documents_close(documents);
	if (err) {
		manifest_free(manifest);
		return err;
	}
	*ret = manifest;
	return 0;
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	for (size_t i = 0; i < manifest->nobjects; i++)
		object_unref(manifest->objects[i]);
	free(manifest->objects);
	free(manifest);
}
