/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longer lines end in "...": below PIPE_BUF, so that a line isn't torn in a
 * pipe that several processes write to. */
#define LOG_LINE_MAX 2048

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static enum log_level shown_level = LOG_LEVEL_INFO;

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

/* Names that come from manifests may hold anything: an event stays one line,
 * and a terminal gets no escape sequences. */
static void blank_control_characters(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void log_vline(enum log_level level, const char *format, va_list args)
{
	static const char cut[] = "...";
	int saved_errno = errno;
	char line[LOG_LINE_MAX];
	size_t room = sizeof(line) - 1; /* for the newline */
	size_t length;
	int n;

	if (level > shown_level)
		return;
	length = (size_t)snprintf(line, room, "%s ", level_names[level]);
	n = vsnprintf(line + length, room - length, format, args);
	if (n < 0)
		goto out;
	length += (size_t)n;
	if (length >= room) {
		length = room - 1;
		memcpy(line + length - (sizeof(cut) - 1), cut, sizeof(cut));
	}
	blank_control_characters(line);
	line[length++] = '\n';
	/* A line that can't be written has nowhere else to go. */
	while (write(STDERR_FILENO, line, length) < 0 && errno == EINTR)
		;
out:
	errno = saved_errno;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vline(level, format, args);
	va_end(args);
}
