/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lbd --check: what would be served and what would be refused, on any machine
 * and without maps.
 */
#ifndef GW_CHECK_H
#define GW_CHECK_H

#include <stdio.h>

#include "error.h"
#include "model.h"
#include "options.h"

/* Print a line for each service on out and one for each refusal on refused.
 * Returns the number of refusals, or -ENOMEM. */
int check_report(const struct options *options, const struct snapshot *snapshot, FILE *out,
		 FILE *refused, struct error *error);

#endif
