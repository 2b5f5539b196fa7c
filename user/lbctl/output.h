/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The forms a result is shown in, and the two that are whole documents: the
 * daemon's answer as it is, in JSON or in YAML.  Tables are table.h's.
 */
#ifndef LBCTL_OUTPUT_H
#define LBCTL_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "answer.h"
#include "error.h"

enum output_format {
	OUTPUT_TABLE,
	OUTPUT_WIDE, /* a table with all columns */
	OUTPUT_JSON,
	OUTPUT_YAML,
	OUTPUT_NAME, /* names alone, one a line, as other commands take them */
};

/* "table|wide|json|yaml|name"; returns 0 or -EINVAL. */
int output_format_parse(const char *text, enum output_format *ret);

static inline bool output_is_document(enum output_format format)
{
	return format == OUTPUT_JSON || format == OUTPUT_YAML;
}

/* Print an answer as a document; returns 0 or -ENOMEM. */
int output_document(const struct answer *answer, enum output_format format, FILE *out,
		    struct error *error);

/* Print {"error":TEXT} as a document of one line; returns 0, -EPROTO (the text
 * is no UTF-8) or -ENOMEM, and then nothing is printed. */
int output_error(const char *text, enum output_format format, FILE *out);

#endif
