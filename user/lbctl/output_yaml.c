/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "output_yaml.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

/* Is the text, without quotes, a string for every YAML reader?  A word that
 * starts with a letter never is a number or a date. */
static bool text_is_plain(const char *text)
{
	static const char *const others[] = {"true", "false", "yes", "no", "on",
					     "off",  "null",  "y",   "n"};

	if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')))
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strcasecmp(text, others[i]))
			return false;
	return true;
}

/* libyaml chooses quotes by itself where a plain word has a wrong character. */
static bool emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
	yaml_event_t event;

	return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, -1, 1, 1,
					    style) &&
	       yaml_emitter_emit(emitter, &event);
}

static bool emit_string(yaml_emitter_t *emitter, const char *text)
{
	yaml_scalar_style_t style = YAML_SINGLE_QUOTED_SCALAR_STYLE;

	if (strchr(text, '\n'))
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	else if (text_is_plain(text))
		style = YAML_PLAIN_SCALAR_STYLE;
	return emit_scalar(emitter, text, style);
}

static bool emit_value(yaml_emitter_t *emitter, const struct value *value);

static bool emit_object(yaml_emitter_t *emitter, const struct value *object)
{
	yaml_event_t event;

	if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE) ||
	    !yaml_emitter_emit(emitter, &event))
		return false;
	value_foreach(object, field) if (!emit_string(emitter, field->key) ||
					 !emit_value(emitter, field)) return false;
	return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit_array(yaml_emitter_t *emitter, const struct value *array)
{
	yaml_event_t event;

	if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE) ||
	    !yaml_emitter_emit(emitter, &event))
		return false;
	value_foreach(array, element) if (!emit_value(emitter, element)) return false;
	return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit_value(yaml_emitter_t *emitter, const struct value *value)
{
	switch (value->type) {
	case VALUE_OBJECT:
		return emit_object(emitter, value);
	case VALUE_ARRAY:
		return emit_array(emitter, value);
	case VALUE_STRING:
		return emit_string(emitter, value->text);
	case VALUE_NUMBER:
		return emit_scalar(emitter, value->text, YAML_PLAIN_SCALAR_STYLE);
	case VALUE_NULL:
		return emit_scalar(emitter, "null", YAML_PLAIN_SCALAR_STYLE);
	default:
		return emit_scalar(emitter, value->type == VALUE_TRUE ? "true" : "false",
				   YAML_PLAIN_SCALAR_STYLE);
	}
}

static bool emit_document(yaml_emitter_t *emitter, const struct value *root)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
	       yaml_emitter_emit(emitter, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
	       yaml_emitter_emit(emitter, &event) && emit_value(emitter, root) &&
	       yaml_document_end_event_initialize(&event, 1) &&
	       yaml_emitter_emit(emitter, &event) && yaml_stream_end_event_initialize(&event) &&
	       yaml_emitter_emit(emitter, &event);
}

int output_yaml(const struct value *root, FILE *out)
{
	yaml_emitter_t emitter;
	bool done;

	if (!yaml_emitter_initialize(&emitter))
		return -ENOMEM;
	yaml_emitter_set_output_file(&emitter, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	done = emit_document(&emitter, root);
	yaml_emitter_delete(&emitter);
	return done ? 0 : -ENOMEM;
}
