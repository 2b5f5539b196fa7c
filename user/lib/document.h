/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Text to documents: YAML (as Kubernetes reads it) or JSON, several to a text,
 * as jansson values that know their lines.
 *
 * The text is foreign: aliases are expanded only so far, nesting is bounded.
 * What is wrong with the text as such ends the reading with an error; what is
 * wrong within a document that can be read all the same (a duplicate key, too
 * many aliases) is a problem of the nodes around it, and reading goes on.
 *
 * The text must stay until documents_close(); a document belongs to its reader
 * and is valid until the next call.
 */
#ifndef GW_DOCUMENT_H
#define GW_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define DOCUMENT_MAX_DEPTH 64
#define DOCUMENT_MAX_NODES 1000000
/* Nodes that aliases may add to a document: more is a "billion laughs". */
#define DOCUMENT_MAX_ALIASED 65536
#define DOCUMENT_MAX_PROBLEMS 16 /* the last one stands for all that follow */

enum document_format {
	DOCUMENT_YAML,
	DOCUMENT_JSON
};

/* What is known of a node besides its value. */
struct document_node {
	const json_t *value;
	unsigned int line;
	unsigned int problem; /* number of the first one in it; 0 = none */
};

struct document_problem {
	unsigned int line;
	char text[160];
};

struct document {
	const char *name;  /* of the text, for messages: a file */
	json_t *root;	   /* parts that are a problem are null or left out */
	unsigned int line; /* of its first node; 0 = lines aren't known */

	struct document_problem problems[DOCUMENT_MAX_PROBLEMS];
	unsigned int nproblems;

	/* A hash table by value, since a json_t has no room for this. */
	struct document_node *nodes;
	size_t nnodes, max_nodes;
};

struct documents;

int documents_open(const char *name, const char *text, size_t size, enum document_format format,
		   struct documents **ret);
void documents_close(struct documents *documents);

/* Read the next document.  Returns 1, 0 at the end, -EINVAL with "NAME:LINE:
 * reason" in error, or -ENOMEM. */
int documents_next(struct documents *documents, const struct document **ret, struct error *error);

/* Line of a node, 0 = not known (true, false and null have none). */
unsigned int document_line(const struct document *document, const json_t *value);

/* The first problem within an object or a list, NULL = none. */
const struct document_problem *document_problem(const struct document *document,
						const json_t *value);

/* For the readers of a format. */
int document_node_add(struct document *document, const json_t *value, unsigned int line);
unsigned int document_problem_add(struct document *document, unsigned int line, const char *text);
void document_problem_mark(struct document *document, const json_t *value, unsigned int problem);
void document_clear(struct document *document); /* all but its name */

#endif
