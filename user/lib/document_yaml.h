/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * YAML documents as json_t, by libyaml's events.  Only for document.c.
 *
 * Nodes are shared between an anchor and its aliases, so nobody may change a
 * document's values.
 */
#ifndef GW_DOCUMENT_YAML_H
#define GW_DOCUMENT_YAML_H

#include "document.h"

struct yaml_reader;

/* first_line: the line number of the text's first line. */
int yaml_reader_open(const char *text, size_t size, unsigned int first_line,
		     struct yaml_reader **ret);
void yaml_reader_close(struct yaml_reader *reader);

/* Read the next document into an empty one.  Returns 1, 0 at the end, -EINVAL
 * with the line and the reason, or -ENOMEM. */
int yaml_reader_next(struct yaml_reader *reader, struct document *document, unsigned int *ret_line,
		     struct error *error);

/*
 * The value of a scalar as Kubernetes reads it (sigs.k8s.io/yaml: YAML 1.1
 * without sexagesimal numbers and timestamps): yes and on are true, 010 is 8,
 * 1_000 is 1000, ~ is null.  A number without a fraction is an integer.
 *
 * tag: YAML_SCALAR_PLAIN where the text itself says what it is; NULL for a
 * quoted text.  *ret_misfit becomes the tag's short name where the text can't
 * be what the tag says.  Returns NULL where memory ran out.
 */
#define YAML_SCALAR_PLAIN "?"
json_t *yaml_scalar_value(const char *text, size_t length, const char *tag,
			  const char **ret_misfit);

#endif
