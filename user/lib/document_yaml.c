/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "document_yaml.h"

/* A sequence or a mapping that isn't complete yet. */
struct frame {
	json_t *value;
	unsigned int line;
	char *anchor;	/* NULL = none */
	char *key;	/* of a mapping, its value is due; else NULL */
	size_t length;	/* of the key */
	bool merge;	/* the key is << */
	bool ignore;	/* the key can't be kept */
	json_t *merged; /* the mappings that << named, in their order; NULL = none */
};

struct yaml_reader {
	yaml_parser_t parser;
	const char *text;
	size_t size;
	unsigned int first_line;

	/* The document that is being read. */
	struct document *document;
	struct frame frames[DOCUMENT_MAX_DEPTH];
	unsigned int depth;
	json_t *anchors; /* name -> node */
	size_t naliased;
};

int yaml_reader_open(const char *text, size_t size, unsigned int first_line,
		     struct yaml_reader **ret)
{
	struct yaml_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	if (!yaml_parser_initialize(&reader->parser)) {
		free(reader);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, size);
	reader->text = text;
	reader->size = size;
	reader->first_line = first_line;
	*ret = reader;
	return 0;
}

static void frame_clear(struct frame *frame)
{
	json_decref(frame->value);
	json_decref(frame->merged);
	free(frame->anchor);
	free(frame->key);
	*frame = (struct frame){};
}

static void reader_reset(struct yaml_reader *reader, struct document *document)
{
	while (reader->depth)
		frame_clear(&reader->frames[--reader->depth]);
	json_decref(reader->anchors);
	reader->anchors = NULL;
	reader->naliased = 0;
	reader->document = document;
}

void yaml_reader_close(struct yaml_reader *reader)
{
	if (!reader)
		return;
	reader_reset(reader, NULL);
	yaml_parser_delete(&reader->parser);
	free(reader);
}

static unsigned int mark_line(const struct yaml_reader *reader, const yaml_mark_t *mark)
{
	return reader->first_line + mark->line;
}

/* Something is wrong within all that isn't complete yet. */
static void problem_add(struct yaml_reader *reader, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void problem_add(struct yaml_reader *reader, unsigned int line, const char *format, ...)
{
	unsigned int problem;
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	problem = document_problem_add(reader->document, line, text);
	for (unsigned int i = 0; i < reader->depth; i++)
		document_problem_mark(reader->document, reader->frames[i].value, problem);
}

/* The mapping whose next node is a key, or NULL. */
static struct frame *frame_wanting_key(struct yaml_reader *reader)
{
	struct frame *frame = reader->depth ? &reader->frames[reader->depth - 1] : NULL;

	return frame && json_is_object(frame->value) && !frame->key ? frame : NULL;
}

static int key_set(struct frame *frame, const char *text, size_t length, bool plain)
{
	frame->key = malloc(length + 1);
	if (!frame->key)
		return -ENOMEM;
	memcpy(frame->key, text, length);
	frame->key[length] = '\0';
	frame->length = length;
	frame->merge = plain && !strcmp(frame->key, "<<");
	frame->ignore = false;
	return 0;
}

/* The mappings to merge wait for the end, since keys of the mapping itself win
 * wherever they stand. */
static int merge_add(struct frame *frame, json_t *value)
{
	int err;

	if (!frame->merged)
		frame->merged = json_array();
	if (!frame->merged)
		return -ENOMEM;
	if (json_is_array(value))
		err = json_array_extend(frame->merged, value);
	else
		err = json_array_append(frame->merged, value);
	return err ? -ENOMEM : 0;
}

static int merge_apply(struct yaml_reader *reader, struct frame *frame)
{
	json_t *from;
	size_t i;

	json_array_foreach(frame->merged, i, from) {
		if (!json_is_object(from))
			problem_add(reader, frame->line, "<< wants a mapping");
		else if (json_object_update_missing(frame->value, from))
			return -ENOMEM;
	}
	return 0;
}

static int member_add(struct yaml_reader *reader, struct frame *frame, json_t *value,
		      unsigned int line)
{
	char quoted[ERROR_QUOTE_LEN];
	int err = 0;

	if (frame->merge)
		err = merge_add(frame, value);
	else if (json_object_getn(frame->value, frame->key, frame->length))
		problem_add(reader, line, "duplicate key %s", error_quote(frame->key, quoted));
	else if (!frame->ignore &&
		 json_object_setn_nocheck(frame->value, frame->key, frame->length, value))
		err = -ENOMEM;
	free(frame->key);
	frame->key = NULL;
	return err;
}

/* Put a complete node where it belongs.  Takes over value, which may be NULL
 * where memory ran out. */
static int node_place(struct yaml_reader *reader, json_t *value, unsigned int line)
{
	struct frame *frame = reader->depth ? &reader->frames[reader->depth - 1] : NULL;
	int err = 0;

	if (!value)
		return -ENOMEM;
	if (!frame) {
		reader->document->root = value;
		reader->document->line = line;
		return 0;
	}
	if (json_is_array(frame->value)) {
		err = json_array_append(frame->value, value) ? -ENOMEM : 0;
	} else if (frame->key) {
		err = member_add(reader, frame, value, line);
	} else if (json_is_string(value)) { /* by an alias */
		err = key_set(frame, json_string_value(value), json_string_length(value), false);
	} else {
		problem_add(reader, line, "a key that isn't text");
		err = key_set(frame, "", 0, false);
		frame->ignore = true;
	}
	json_decref(value);
	return err;
}

static int node_anchor(struct yaml_reader *reader, const char *anchor, json_t *value)
{
	if (!anchor || !value)
		return 0;
	return json_object_set_nocheck(reader->anchors, anchor, value) ? -ENOMEM : 0;
}

static json_t *scalar_value(struct yaml_reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	char quoted[ERROR_QUOTE_LEN];
	const char *misfit = NULL;
	json_t *value;

	value = yaml_scalar_value(text, event->data.scalar.length,
				  event->data.scalar.plain_implicit ? YAML_SCALAR_PLAIN : tag,
				  &misfit);
	if (misfit)
		problem_add(reader, mark_line(reader, &event->start_mark), "%s is no !!%s",
			    error_quote(text, quoted), misfit);
	return value;
}

static int scalar_read(struct yaml_reader *reader, const yaml_event_t *event)
{
	unsigned int line = mark_line(reader, &event->start_mark);
	struct frame *frame = frame_wanting_key(reader);
	json_t *value;
	int err;

	/* A key is the text that's written: 80 and no are names there. */
	if (frame && !event->data.scalar.anchor)
		return key_set(frame, (const char *)event->data.scalar.value,
			       event->data.scalar.length, event->data.scalar.plain_implicit);
	if (frame)
		value = json_stringn_nocheck((const char *)event->data.scalar.value,
					     event->data.scalar.length);
	else
		value = scalar_value(reader, event);
	err = node_anchor(reader, (const char *)event->data.scalar.anchor, value);
	if (!err && value)
		err = document_node_add(reader->document, value, line);
	if (err) {
		json_decref(value);
		return err;
	}
	return node_place(reader, value, line);
}

/* Number of nodes below and with value, counted up to max + 1. */
static size_t nodes_count(const json_t *value, size_t max)
{
	const char *key;
	size_t n = 1, i;
	json_t *item;

	if (json_is_array(value)) {
		json_array_foreach(value, i, item) {
			if (n > max)
				break;
			n += nodes_count(item, max - n);
		}
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, item) {
			if (n > max)
				break;
			n += nodes_count(item, max - n);
		}
	}
	return n;
}

static int alias_read(struct yaml_reader *reader, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	unsigned int line = mark_line(reader, &event->start_mark);
	json_t *value = json_object_get(reader->anchors, name);
	char quoted[ERROR_QUOTE_LEN];

	if (!value) {
		/* Also where it stands within what it names. */
		problem_add(reader, line, "no anchor %s before its alias",
			    error_quote(name, quoted));
		return node_place(reader, json_null(), line);
	}
	if (reader->naliased <= DOCUMENT_MAX_ALIASED)
		reader->naliased += nodes_count(value, DOCUMENT_MAX_ALIASED - reader->naliased);
	if (reader->naliased > DOCUMENT_MAX_ALIASED) {
		problem_add(reader, line, "aliases add more than %d nodes", DOCUMENT_MAX_ALIASED);
		return node_place(reader, json_null(), line);
	}
	return node_place(reader, json_incref(value), line);
}

static int collection_begin(struct yaml_reader *reader, json_t *value, const char *anchor,
			    const yaml_mark_t *mark)
{
	unsigned int line = mark_line(reader, mark);
	struct frame *frame;

	if (!value)
		return -ENOMEM;
	frame = &reader->frames[reader->depth++];
	frame->value = value;
	frame->line = line;
	frame->anchor = anchor ? strdup(anchor) : NULL;
	return anchor && !frame->anchor ? -ENOMEM
					: document_node_add(reader->document, value, line);
}

static int collection_end(struct yaml_reader *reader)
{
	struct frame *frame = &reader->frames[reader->depth - 1];
	unsigned int line = frame->line;
	json_t *value;
	int err;

	err = merge_apply(reader, frame);
	if (!err)
		err = node_anchor(reader, frame->anchor, frame->value);
	value = json_incref(frame->value);
	frame_clear(frame);
	reader->depth--;
	if (err) {
		json_decref(value);
		return err;
	}
	return node_place(reader, value, line);
}

/* Take in an event of a node. */
static int node_read(struct yaml_reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return scalar_read(reader, event);
	case YAML_ALIAS_EVENT:
		return alias_read(reader, event);
	case YAML_SEQUENCE_START_EVENT:
		return collection_begin(reader, json_array(),
					(const char *)event->data.sequence_start.anchor,
					&event->start_mark);
	case YAML_MAPPING_START_EVENT:
		return collection_begin(reader, json_object(),
					(const char *)event->data.mapping_start.anchor,
					&event->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return collection_end(reader);
	default:
		return 0;
	}
}

/* Reading on could take very long (libyaml's time is quadratic in the depth) or
 * much memory. */
static int limits_check(struct yaml_reader *reader, const yaml_event_t *event,
			unsigned int *ret_line, struct error *error)
{
	bool begin =
		event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;

	*ret_line = mark_line(reader, &event->start_mark);
	if (begin && reader->depth == DOCUMENT_MAX_DEPTH)
		return error_set(error, -EINVAL, "nested deeper than %d", DOCUMENT_MAX_DEPTH);
	if (reader->document->nnodes == DOCUMENT_MAX_NODES)
		return error_set(error, -EINVAL, "a document of more than %d nodes",
				 DOCUMENT_MAX_NODES);
	return 0;
}

static int syntax_error(struct yaml_reader *reader, unsigned int *ret_line, struct error *error)
{
	const yaml_parser_t *parser = &reader->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	*ret_line = mark_line(reader, &parser->problem_mark);
	if (parser->error == YAML_READER_ERROR) { /* it has no mark, but an offset */
		*ret_line = reader->first_line;
		for (size_t i = 0; i < parser->problem_offset && i < reader->size; i++)
			*ret_line += reader->text[i] == '\n';
	}
	return error_set(error, -EINVAL, "%s%s%s", parser->problem, parser->context ? " " : "",
			 parser->context ? parser->context : "");
}

int yaml_reader_next(struct yaml_reader *reader, struct document *document, unsigned int *ret_line,
		     struct error *error)
{
	yaml_event_type_t type;
	yaml_event_t event;
	int err = 0;

	reader_reset(reader, document);
	reader->anchors = json_object();
	if (!reader->anchors)
		return -ENOMEM;
	do {
		if (!yaml_parser_parse(&reader->parser, &event))
			return syntax_error(reader, ret_line, error);
		type = event.type;
		err = limits_check(reader, &event, ret_line, error);
		if (!err)
			err = node_read(reader, &event);
		yaml_event_delete(&event);
		if (err)
			return err;
	} while (type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT &&
		 type != YAML_NO_EVENT);
	return type == YAML_DOCUMENT_END_EVENT;
}
