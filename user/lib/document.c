/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "document_yaml.h"
#include "hash.h"

struct documents {
	struct document document;
	struct yaml_reader *yaml; /* NULL for JSON */

	/* What's left of a JSON text. */
	const char *text;
	size_t size;
	unsigned int line;
	bool too_big;
};

/* ---- what is known of nodes ---- */

static struct document_node *node_slot(struct document_node *nodes, size_t max, const json_t *value)
{
	size_t i = hash_mix(0, (uintptr_t)value) & (max - 1);

	while (nodes[i].value && nodes[i].value != value)
		i = (i + 1) & (max - 1);
	return &nodes[i];
}

int document_node_add(struct document *document, const json_t *value, unsigned int line)
{
	if (json_is_boolean(value) || json_is_null(value))
		return 0; /* jansson has one of each for all */
	if (2 * document->nnodes >= document->max_nodes) {
		size_t max = document->max_nodes ? 2 * document->max_nodes : 64;
		struct document_node *nodes = calloc(max, sizeof(*nodes));

		if (!nodes)
			return -ENOMEM;
		for (size_t i = 0; i < document->max_nodes; i++) {
			const struct document_node *node = &document->nodes[i];

			if (node->value)
				*node_slot(nodes, max, node->value) = *node;
		}
		free(document->nodes);
		document->nodes = nodes;
		document->max_nodes = max;
	}
	/* The slot may be in use: by a value that was dropped before. */
	*node_slot(document->nodes, document->max_nodes, value) =
		(struct document_node){.value = value, .line = line};
	document->nnodes++;
	return 0;
}

static const struct document_node *document_node(const struct document *document,
						 const json_t *value)
{
	static const struct document_node unknown;

	if (!value || !document->max_nodes)
		return &unknown;
	return node_slot(document->nodes, document->max_nodes, value);
}

unsigned int document_line(const struct document *document, const json_t *value)
{
	return document_node(document, value)->line;
}

const struct document_problem *document_problem(const struct document *document,
						const json_t *value)
{
	unsigned int problem = document_node(document, value)->problem;

	return problem ? &document->problems[problem - 1] : NULL;
}

unsigned int document_problem_add(struct document *document, unsigned int line, const char *text)
{
	struct document_problem *problem = &document->problems[document->nproblems];

	if (document->nproblems == DOCUMENT_MAX_PROBLEMS)
		return DOCUMENT_MAX_PROBLEMS;
	problem->line = line;
	snprintf(problem->text, sizeof(problem->text), "%s", text);
	return ++document->nproblems;
}

void document_problem_mark(struct document *document, const json_t *value, unsigned int problem)
{
	struct document_node *node = node_slot(document->nodes, document->max_nodes, value);

	if (!node->problem)
		node->problem = problem;
}

/* ---- documents ---- */

void document_clear(struct document *document)
{
	json_decref(document->root);
	free(document->nodes);
	*document = (struct document){.name = document->name};
}

/* Is there memory for it?  An object or a list takes some hundred bytes. */
static bool json_too_big(const char *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '{' || text[i] == '[';
	return n > DOCUMENT_MAX_NODES;
}

int documents_open(const char *name, const char *text, size_t size, enum document_format format,
		   struct documents **ret)
{
	struct documents *documents = calloc(1, sizeof(*documents));
	int err = 0;

	if (!documents)
		return -ENOMEM;
	documents->document.name = name;
	documents->text = text;
	documents->size = size;
	documents->line = 1;
	if (format == DOCUMENT_YAML)
		err = yaml_reader_open(text, size, 1, &documents->yaml);
	else
		documents->too_big = json_too_big(text, size);
	if (err) {
		free(documents);
		return err;
	}
	*ret = documents;
	return 0;
}

void documents_close(struct documents *documents)
{
	if (!documents)
		return;
	yaml_reader_close(documents->yaml);
	document_clear(&documents->document);
	free(documents);
}

static bool deeper_than(const json_t *value, unsigned int max)
{
	const char *key;
	json_t *item;
	size_t i;

	if (!json_is_array(value) && !json_is_object(value))
		return false;
	if (!max)
		return true;
	json_array_foreach(value, i, item)
		if (deeper_than(item, max - 1))
			return true;
	json_object_foreach((json_t *)value, key, item)
		if (deeper_than(item, max - 1))
			return true;
	return false;
}

/* Move over n bytes of the JSON text. */
static void json_advance(struct documents *documents, size_t n)
{
	for (const char *p = documents->text; p < documents->text + n; p++)
		documents->line += *p == '\n';
	documents->text += n;
	documents->size -= n;
}

/*
 * jansson keeps no lines, but nearly all JSON is YAML too: where libyaml reads
 * the same value out of the same text, take the one with lines.  Without them
 * a message names the document's first line.
 */
static int json_add_lines(struct documents *documents, size_t size)
{
	struct document *document = &documents->document;
	struct document twin = {.name = document->name};
	struct yaml_reader *yaml = NULL;
	unsigned int line;
	struct error error;
	int err;

	err = yaml_reader_open(documents->text, size, documents->line, &yaml);
	if (!err)
		err = yaml_reader_next(yaml, &twin, &line, &error);
	if (err == 1 && !twin.nproblems && json_equal(twin.root, document->root)) {
		struct document swapped = *document;

		*document = twin;
		twin = swapped;
	}
	yaml_reader_close(yaml);
	document_clear(&twin);
	return err == -ENOMEM ? err : 0;
}

static int json_next(struct documents *documents, struct error *error)
{
	struct document *document = &documents->document;
	json_error_t json_error;
	size_t size;
	int err;

	while (documents->size && strchr(" \t\r\n", *documents->text) && *documents->text)
		json_advance(documents, 1);
	if (!documents->size)
		return 0;
	if (documents->too_big)
		return error_set(error, -EINVAL, "%s: more than %d objects and lists",
				 document->name, DOCUMENT_MAX_NODES);
	document->root = json_loadb(
		documents->text, documents->size,
		JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &json_error);
	if (!document->root && json_error_code(&json_error) == json_error_out_of_memory)
		return -ENOMEM;
	if (!document->root) {
		unsigned int below = json_error.line > 0 ? json_error.line - 1 : 0;

		return error_set(error, -EINVAL, "%s:%u: %s", document->name,
				 documents->line + below, json_error.text);
	}
	size = json_error.position;
	document->line = documents->line;
	if (deeper_than(document->root, DOCUMENT_MAX_DEPTH))
		return error_set(error, -EINVAL, "%s:%u: nested deeper than %d", document->name,
				 document->line, DOCUMENT_MAX_DEPTH);
	err = json_add_lines(documents, size);
	json_advance(documents, size);
	return err ? err : 1;
}

int documents_next(struct documents *documents, const struct document **ret, struct error *error)
{
	struct document *document = &documents->document;
	unsigned int line;
	int err;

	document_clear(document);
	if (documents->yaml) {
		err = yaml_reader_next(documents->yaml, document, &line, error);
		if (err == -EINVAL)
			error_prefix(error, err, "%s:%u", document->name, line);
	} else {
		err = json_next(documents, error);
	}
	if (err == 1)
		*ret = document;
	return err;
}
