/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_DIGITS 20 /* of 2^64 - 1 */

/* Where the next `bytes` go, or NULL: no memory. */
static char *room_make(struct rows *rows, size_t bytes)
{
	if (rows->failed)
		return NULL;
	if (rows->length + bytes > rows->room) {
		size_t room = 2 * (rows->length + bytes);
		char *grown = realloc(rows->text, room);

		if (!grown) {
			rows->failed = true;
			return NULL;
		}
		rows->text = grown;
		rows->room = room;
	}
	return rows->text + rows->length;
}

/* The comma and the key before a value, and room for a value of `bytes`: where it goes,
 * or NULL. */
static char *value_begin(struct rows *rows, const char *key, size_t bytes)
{
	size_t n = key ? strlen(key) : 0;
	char *to = room_make(rows, n + bytes + 4);

	if (!to)
		return NULL;
	if (rows->more)
		*to++ = ',';
	rows->more = true;
	if (key) {
		*to++ = '"';
		memcpy(to, key, n);
		to += n;
		*to++ = '"';
		*to++ = ':';
	}
	return to;
}

static void value_end(struct rows *rows, const char *end)
{
	rows->length = end - rows->text;
}

void rows_json(struct rows *rows, const char *key, const char *json, size_t length)
{
	char *to = value_begin(rows, key, length);

	if (!to)
		return;
	memcpy(to, json, length);
	value_end(rows, to + length);
}

bool rows_text(struct rows *rows, const char *key, const char *text)
{
	size_t n = 0;
	char *to;

	while (text[n] >= ' ' && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
		n++;
	if (text[n])
		return false;
	to = value_begin(rows, key, n + 2);
	if (!to)
		return true;
	*to++ = '"';
	memcpy(to, text, n);
	to += n;
	*to++ = '"';
	value_end(rows, to);
	return true;
}

void rows_number(struct rows *rows, const char *key, uint64_t number)
{
	char digits[NUMBER_DIGITS], *first = digits + NUMBER_DIGITS;

	do {
		*--first = '0' + number % 10;
		number /= 10;
	} while (number);
	rows_json(rows, key, first, digits + NUMBER_DIGITS - first);
}

void rows_bool(struct rows *rows, const char *key, bool value)
{
	rows_json(rows, key, value ? "true" : "false", value ? 4 : 5);
}

static void level_open(struct rows *rows, const char *key, const char *bracket)
{
	rows_json(rows, key, bracket, 1);
	rows->more = false;
}

static void level_close(struct rows *rows, const char *bracket)
{
	rows->more = false;
	rows_json(rows, NULL, bracket, 1);
}

void rows_object(struct rows *rows, const char *key)
{
	level_open(rows, key, "{");
}

void rows_object_end(struct rows *rows)
{
	level_close(rows, "}");
}

void rows_array(struct rows *rows, const char *key)
{
	level_open(rows, key, "[");
}

void rows_array_end(struct rows *rows)
{
	level_close(rows, "]");
}

void rows_begin(struct rows *rows)
{
	*rows = (struct rows){0};
}

char *rows_end(struct rows *rows, size_t *ret_length)
{
	char *end = room_make(rows, 1);

	if (!end) {
		free(rows->text);
		rows->text = NULL;
		return NULL;
	}
	*end = '\0';
	*ret_length = rows->length;
	return rows->text;
}
