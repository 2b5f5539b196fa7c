/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "output.h"

#include <errno.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "output_yaml.h"

#define JSON_FLUSH_BYTES (64 << 10)

int output_format_parse(const char *text, enum output_format *ret)
{
	static const char *const names[] = {
		[OUTPUT_TABLE] = "table", [OUTPUT_WIDE] = "wide", [OUTPUT_JSON] = "json",
		[OUTPUT_YAML] = "yaml",	  [OUTPUT_NAME] = "name",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(text, names[i])) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

static void json_string(yajl_gen gen, const char *text)
{
	yajl_gen_string(gen, (const unsigned char *)text, strlen(text));
}

/* Written out now and then: a text of 6 MB for 10,000 backends costs more by its pages
 * than by its characters. */
static void json_flush(yajl_gen gen, size_t at_least, FILE *out)
{
	const unsigned char *json;
	size_t length;

	yajl_gen_get_buf(gen, &json, &length);
	if (length < at_least)
		return;
	fwrite(json, 1, length, out);
	yajl_gen_clear(gen);
}

/* What yajl has parsed it can also write, so no status is looked at. */
static void json_value(yajl_gen gen, const struct value *value, FILE *out)
{
	bool empty = value->span == 1;

	switch (value->type) {
	case VALUE_OBJECT:
		/* as text: yajl would give an empty one three lines */
		if (empty) {
			yajl_gen_number(gen, "{}", 2);
			break;
		}
		yajl_gen_map_open(gen);
		value_foreach(value, field)
		{
			json_string(gen, field->key);
			json_value(gen, field, out);
		}
		yajl_gen_map_close(gen);
		break;
	case VALUE_ARRAY:
		if (empty) {
			yajl_gen_number(gen, "[]", 2);
			break;
		}
		yajl_gen_array_open(gen);
		value_foreach(value, element)
		{
			json_value(gen, element, out);
			json_flush(gen, JSON_FLUSH_BYTES, out);
		}
		yajl_gen_array_close(gen);
		break;
	case VALUE_STRING:
		json_string(gen, value->text);
		break;
	case VALUE_NUMBER:
		yajl_gen_number(gen, value->text, strlen(value->text));
		break;
	case VALUE_NULL:
		yajl_gen_null(gen);
		break;
	default:
		yajl_gen_bool(gen, value->type == VALUE_TRUE);
	}
}

static int json_document(const struct value *root, FILE *out)
{
	yajl_gen gen = yajl_gen_alloc(NULL);

	if (!gen)
		return -ENOMEM;
	yajl_gen_config(gen, yajl_gen_beautify, 1);
	yajl_gen_config(gen, yajl_gen_indent_string, "    ");
	json_value(gen, root, out);
	json_flush(gen, 0, out);
	yajl_gen_free(gen);
	return 0;
}

int output_document(const struct answer *answer, enum output_format format, FILE *out,
		    struct error *error)
{
	const struct value *root = answer_root(answer);
	int err = format == OUTPUT_YAML ? output_yaml(root, out) : json_document(root, out);

	return err ? error_set(error, err, "out of memory") : 0;
}

/* One line in either format: short JSON, and YAML's emitter doesn't fold. */
int output_error(const char *text, enum output_format format, FILE *out)
{
	yajl_gen gen = yajl_gen_alloc(NULL);
	const unsigned char *json;
	struct answer *answer = NULL;
	struct error error;
	size_t length;
	int err;

	if (!gen)
		return -ENOMEM;
	yajl_gen_map_open(gen);
	json_string(gen, "error");
	json_string(gen, text);
	yajl_gen_map_close(gen);
	yajl_gen_get_buf(gen, &json, &length);
	/* yajl writes what isn't UTF-8, too, but doesn't read it */
	err = answer_parse((const char *)json, length, &answer, &error);
	if (!err && format == OUTPUT_YAML)
		err = output_yaml(answer_root(answer), out);
	else if (!err)
		fprintf(out, "%.*s\n", (int)length, json);
	answer_free(answer);
	yajl_gen_free(gen);
	return err;
}
