/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Log lines on stderr: one line an event, "level message key=value ..." or a JSON
 * object.
 *
 * The message and its keys are one printf format; keys are fixed words
 * (service= backend= device= revision= reason= took_ms=) that stand in the format
 * itself, and end the message.  A field without a value is left out.  errno survives
 * a call.  A function logs an error or returns it, never both.
 */
#ifndef GW_LOG_H
#define GW_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* What is shown: level and all that is more serious.  Default: info. */
void log_set_level(enum log_level level);

/* "error|warn|info|debug"; returns 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret);

enum log_format {
	LOG_FORMAT_TEXT,
	/* {"ts":"2026-01-11T15:35:01.971515Z","level":"info","msg":...}, then the
	 * fields: those that the format has as %d, %u and the like are numbers. */
	LOG_FORMAT_JSON
};

/* Default: text. */
void log_set_format(enum log_format format);

/* "text|json"; returns 0 or -EINVAL. */
int log_format_parse(const char *text, enum log_format *ret);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_vline(enum log_level level, const char *format, va_list args);

/* The line that a program ends with: "PROGRAM: text" for the person who started it,
 * an event where a machine reads the log. */
void log_last_words(const char *program, const char *text);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
