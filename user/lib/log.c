/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "log.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Longer events end in "...": below PIPE_BUF, so that a line isn't torn in a
 * pipe that several processes write to. */
#define EVENT_MAX 2048

#define FIELDS_MAX 16
#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static enum log_level shown_level = LOG_LEVEL_INFO;
static enum log_format shown_format = LOG_FORMAT_TEXT;

void log_set_level(enum log_level level)
{
	shown_level = level;
}

int log_level_parse(const char *text, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_format(enum log_format format)
{
	shown_format = format;
}

int log_format_parse(const char *text, enum log_format *ret)
{
	if (strcmp(text, "text") && strcmp(text, "json"))
		return -EINVAL;
	*ret = strcmp(text, "json") ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
	return 0;
}

/* ---- an event: a message and its fields ------------------------------------------ */

struct field {
	const char *key; /* in the format */
	int key_length;
	bool quoted, number;	   /* as the format has it: "%s", %u */
	size_t start, text, after; /* in the event's text: " key=", the value, its end */
};

struct event {
	char text[EVENT_MAX];
	size_t length, message_length;
	struct field fields[FIELDS_MAX];
	size_t nfields;
};

/* The next " key=" of a format; NULL = none is left. */
static const char *key_find(const char *format, int *ret_length)
{
	while ((format = strchr(format, ' '))) {
		size_t length = strspn(++format, KEY_CHARACTERS);

		if (length && format[length] == '=') {
			*ret_length = (int)length;
			return format;
		}
	}
	return NULL;
}

/*
 * How long the text is that the format makes up to a place in it.  A value may look
 * like a field; so the text isn't searched for keys, but its beginning is rendered
 * once more.
 */
static size_t rendered_length(const char *format, const char *end, va_list args)
{
	char *beginning = strndup(format, end - format);
	va_list again;
	int n = -1;

	va_copy(again, args);
	if (beginning)
		n = vsnprintf(NULL, 0, beginning, again);
	va_end(again);
	free(beginning);
	return n < 0 ? EVENT_MAX : n;
}

/* A field's value in the format, from start to end. */
static void field_set_kind(struct field *field, const char *start, const char *end)
{
	field->quoted = end - start >= 2 && *start == '"' && end[-1] == '"';
	field->number = *start == '%' && memchr("diu", end[-1], 3) &&
			!memchr(start + 1, '%', end - start - 1);
}

static void event_find_fields(struct event *event, const char *format, va_list args)
{
	int key_length, next_length;
	const char *key = key_find(format, &key_length), *next;

	event->message_length = event->length;
	for (; key && event->nfields < FIELDS_MAX; key = next, key_length = next_length) {
		struct field *field = &event->fields[event->nfields];
		const char *value = key + key_length + 1;

		next = key_find(value, &next_length);
		field_set_kind(field, value, next ? next - 1 : value + strlen(value));
		field->key = key;
		field->key_length = key_length;
		field->start = rendered_length(format, key - 1, args);
		field->text = field->start + 1 + key_length + 1 + field->quoted;
		if (field->text > event->length) /* it was cut off */
			break;
		if (!event->nfields)
			event->message_length = field->start;
		else
			field[-1].after = field->start - field[-1].quoted;
		field->after = event->length;
		event->nfields++;
	}
	/* The last one: a quote that was cut off isn't there. */
	if (event->nfields) {
		struct field *last = &event->fields[event->nfields - 1];

		if (last->quoted && last->after > last->text && event->text[last->after - 1] == '"')
			last->after--;
	}
}

/* Names that come from manifests may hold anything: an event stays one line,
 * and a terminal gets no escape sequences. */
static void blank_control_characters(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

static int event_make(struct event *event, const char *format, va_list args)
{
	static const char cut[] = "...";
	/* For what is put around it: level, newline. */
	const size_t room = sizeof(event->text) - 16;
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(event->text, room, format, again);
	va_end(again);
	if (n < 0)
		return -errno;
	event->length = (size_t)n;
	if (event->length >= room) {
		event->length = room - 1;
		memcpy(event->text + room - sizeof(cut), cut, sizeof(cut));
	}
	blank_control_characters(event->text);
	event->nfields = 0;
	event_find_fields(event, format, args);
	return 0;
}

/* ---- the two ways to write it ------------------------------------------------------ */

/* A line that can't be written has nowhere else to go. */
static void line_write(const char *line, size_t length)
{
	while (write(STDERR_FILENO, line, length) < 0 && errno == EINTR)
		;
}

static void text_write(enum log_level level, const struct event *event)
{
	char line[EVENT_MAX];
	size_t length = sprintf(line, "%s %.*s", level_names[level], (int)event->message_length,
				event->text);

	for (size_t i = 0; i < event->nfields; i++) {
		const struct field *field = &event->fields[i];
		size_t end = i + 1 < event->nfields ? field[1].start : event->length;

		if (field->after == field->text)
			continue;
		memcpy(line + length, event->text + field->start, end - field->start);
		length += end - field->start;
	}
	line[length++] = '\n';
	line_write(line, length);
}

/* Bytes of other encodings, and half a character at a cut, become "?". */
static json_t *json_text(const char *text, size_t length)
{
	json_t *json = json_stringn(text, length);
	char *ascii;

	if (json)
		return json;
	ascii = strndup(text, length);
	for (char *p = ascii; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	json = ascii ? json_string(ascii) : NULL;
	free(ascii);
	return json;
}

static json_t *json_now(void)
{
	struct timespec now;
	char text[64];
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	sprintf(text + strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc), ".%06ldZ",
		now.tv_nsec / 1000);
	return json_string(text);
}

static void json_write(enum log_level level, const struct event *event)
{
	json_t *object = json_object();
	char key[64], *line;
	size_t length;

	json_object_set_new(object, "ts", json_now());
	json_object_set_new(object, "level", json_string(level_names[level]));
	json_object_set_new(object, "msg", json_text(event->text, event->message_length));
	for (size_t i = 0; i < event->nfields; i++) {
		const struct field *field = &event->fields[i];
		const char *text = event->text + field->text;

		if (field->after == field->text)
			continue;
		snprintf(key, sizeof(key), "%.*s", field->key_length, field->key);
		json_object_set_new(object, key,
				    field->number ? json_integer(strtoll(text, NULL, 10))
						  : json_text(text, field->after - field->text));
	}
	line = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!line) {
		text_write(level, event); /* no memory */
		return;
	}
	length = strlen(line);
	line[length++] = '\n'; /* in the NUL's place */
	line_write(line, length);
	free(line);
}

void log_vline(enum log_level level, const char *format, va_list args)
{
	int saved_errno = errno;
	struct event event;

	if (level > shown_level)
		return;
	if (!event_make(&event, format, args)) {
		if (shown_format == LOG_FORMAT_JSON)
			json_write(level, &event);
		else
			text_write(level, &event);
	}
	errno = saved_errno;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vline(level, format, args);
	va_end(args);
}

void log_last_words(const char *program, const char *text)
{
	if (shown_format == LOG_FORMAT_JSON)
		log_error("%s", text);
	else
		fprintf(stderr, "%s: %s\n", program, text);
}
