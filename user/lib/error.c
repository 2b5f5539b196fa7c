/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

/* One line, whatever the parts were. */
static void text_keep_line(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
}

int error_set(struct error *error, int err, const char *format, ...)
{
	char text[sizeof(error->text)]; /* the arguments may point into error */
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_keep_line(text);
	memcpy(error->text, text, sizeof(text));
	return err;
}

int error_prefix(struct error *error, int err, const char *format, ...)
{
	char rest[sizeof(error->text)];
	va_list args;
	size_t n;

	memcpy(rest, error->text, sizeof(rest));
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text) - 2, format, args);
	va_end(args);
	text_keep_line(error->text);
	strcat(error->text, ": ");
	/* A text that gets too long loses its end: the place matters most. */
	n = strlen(error->text);
	snprintf(error->text + n, sizeof(error->text) - n, "%s", rest);
	return err;
}

const char *error_quote(const char *text, char buf[ERROR_QUOTE_LEN])
{
	/* Room for the longest escape, "...", the closing quote and the NUL. */
	const char *end = buf + ERROR_QUOTE_LEN - 9;
	char *p = buf;

	*p++ = '"';
	for (; *text && p < end; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			p += sprintf(p, "\\%c", c);
		else if (c >= ' ' && c <= '~')
			*p++ = c;
		else
			p += sprintf(p, "\\x%02x", c);
	}
	sprintf(p, "%s\"", *text ? "..." : "");
	return buf;
}
