/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The command line as data: the table of commands and the table of options,
 * from which both the reading and the usage are made.
 */
#ifndef LBCTL_REQUEST_H
#define LBCTL_REQUEST_H

#include <stdbool.h>
#include <stdio.h>

#include "command.h"
#include "error.h"

struct request {
	struct invocation invocation;
	const struct command *command;
	unsigned int flags; /* of the options given */
	bool version, help;
};

/*
 * Read the command line and the environment.  On bad usage -EINVAL with the
 * error's text; also then ret says how errors are to be shown
 * (invocation.output).  The invocation has no client yet.
 */
int request_read(struct request *ret, int argc, char **argv, struct error *error);

/* Of one command, or with NULL of all. */
void request_usage(const struct command *command, FILE *out);

#endif
