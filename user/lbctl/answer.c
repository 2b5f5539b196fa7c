/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#define MAX_DEPTH 32 /* the API needs 4; whoever walks a tree recurses */

struct answer {
	struct value *values;
	size_t nvalues, room;
	char *texts, *free_text;
	const char *key; /* of the value that comes next */
	uint32_t open[MAX_DEPTH], depth;
};

/* As long as the JSON is enough for all texts: quotes or a delimiter make room
 * for the NULs, and no escape is shorter than what it stands for. */
static const char *text_keep(struct answer *answer, const char *text, size_t length)
{
	char *kept = answer->free_text;

	memcpy(kept, text, length);
	kept[length] = '\0';
	answer->free_text += length + 1;
	return kept;
}

/* The callbacks return 1, or 0 to stop: out of memory, or too deep. */
static int value_add(struct answer *answer, enum value_type type, const char *text)
{
	if (answer->nvalues == answer->room) {
		size_t room = 2 * answer->room;
		struct value *grown = realloc(answer->values, room * sizeof(*grown));

		if (!grown)
			return 0;
		answer->values = grown;
		answer->room = room;
	}
	answer->values[answer->nvalues++] = (struct value){
		.key = answer->key,
		.text = text,
		.span = 1,
		.type = type,
	};
	answer->key = "";
	return 1;
}

static int on_null(void *arg)
{
	return value_add(arg, VALUE_NULL, "");
}

static int on_boolean(void *arg, int value)
{
	return value_add(arg, value ? VALUE_TRUE : VALUE_FALSE, "");
}

static int on_number(void *arg, const char *text, size_t length)
{
	return value_add(arg, VALUE_NUMBER, text_keep(arg, text, length));
}

static int on_string(void *arg, const unsigned char *text, size_t length)
{
	return value_add(arg, VALUE_STRING, text_keep(arg, (const char *)text, length));
}

static int on_key(void *arg, const unsigned char *text, size_t length)
{
	struct answer *answer = arg;

	answer->key = text_keep(answer, (const char *)text, length);
	return 1;
}

static int value_open(struct answer *answer, enum value_type type)
{
	if (answer->depth == MAX_DEPTH)
		return 0;
	answer->open[answer->depth++] = answer->nvalues;
	return value_add(answer, type, "");
}

static int on_object(void *arg)
{
	return value_open(arg, VALUE_OBJECT);
}

static int on_array(void *arg)
{
	return value_open(arg, VALUE_ARRAY);
}

static int on_end(void *arg)
{
	struct answer *answer = arg;
	uint32_t opened = answer->open[--answer->depth];

	answer->values[opened].span = answer->nvalues - opened;
	return 1;
}

static int parse_error(yajl_handle parser, yajl_status status, struct error *error)
{
	unsigned char *text;

	if (status == yajl_status_client_canceled)
		return error_set(error, -EPROTO, "the daemon's answer is too deep or too long");
	text = yajl_get_error(parser, 0, NULL, 0);
	error_set(error, -EPROTO, "the daemon's answer is no JSON (%.*s)",
		  text ? (int)strcspn((char *)text, "\n") : 0, text);
	yajl_free_error(parser, text);
	return -EPROTO;
}

int answer_parse(const char *text, size_t length, struct answer **ret, struct error *error)
{
	static const yajl_callbacks callbacks = {
		.yajl_null = on_null,
		.yajl_boolean = on_boolean,
		.yajl_number = on_number,
		.yajl_string = on_string,
		.yajl_start_map = on_object,
		.yajl_map_key = on_key,
		.yajl_end_map = on_end,
		.yajl_start_array = on_array,
		.yajl_end_array = on_end,
	};
	struct answer *answer = calloc(1, sizeof(*answer));
	yajl_handle parser = answer ? yajl_alloc(&callbacks, NULL, answer) : NULL;
	yajl_status status;
	int err;

	if (parser) {
		answer->texts = malloc(length + 1);
		answer->room = length / 16 + 16; /* what backends need */
		answer->values = malloc(answer->room * sizeof(*answer->values));
	}
	if (!parser || !answer->texts || !answer->values) {
		err = error_set(error, -ENOMEM, "out of memory");
		goto out;
	}
	answer->free_text = answer->texts;
	answer->key = "";
	status = yajl_parse(parser, (const unsigned char *)text, length);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(parser);
	if (status != yajl_status_ok) {
		err = parse_error(parser, status, error);
		goto out;
	}
	if (answer->values->type != VALUE_OBJECT) {
		err = error_set(error, -EPROTO, "the daemon's answer is no JSON object");
		goto out;
	}
	*ret = answer;
	answer = NULL;
	err = 0;
out:
	if (parser)
		yajl_free(parser);
	answer_free(answer);
	return err;
}

void answer_free(struct answer *answer)
{
	if (!answer)
		return;
	free(answer->values);
	free(answer->texts);
	free(answer);
}

const struct value *answer_root(const struct answer *answer)
{
	return answer->values;
}

size_t value_count(const struct value *parent)
{
	size_t n = 0;

	value_foreach(parent, child) n += child->span > 0;
	return n;
}

const struct value *value_get(const struct value *object, const char *key)
{
	static const struct value none = {.key = "", .text = "", .span = 1};

	/* Most keys differ in their first letter, and this is where a table's time goes. */
	value_foreach(object, field)
	{
		if (*field->key == *key && !strcmp(field->key, key))
			return field;
	}
	return &none;
}

const char *value_get_text(const struct value *object, const char *key)
{
	return value_get(object, key)->text;
}

long long value_get_number(const struct value *object, const char *key)
{
	return strtoll(value_get(object, key)->text, NULL, 10);
}
