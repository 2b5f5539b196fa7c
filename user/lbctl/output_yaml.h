/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A value as a YAML document, by libyaml's emitter. */
#ifndef LBCTL_OUTPUT_YAML_H
#define LBCTL_OUTPUT_YAML_H

#include <stdio.h>

#include "answer.h"

/* Returns 0 or -ENOMEM. */
int output_yaml(const struct value *root, FILE *out);

#endif
