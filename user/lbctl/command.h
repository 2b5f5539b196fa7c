/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a command of lbctl is: one const struct in a file of its own
 * (cmd_*.c), listed in lbctl.c's table, from which the usage is printed, too.
 *
 * A command gets the options already checked and a client that has not
 * connected yet.  It writes its result to `out` in the format asked for, and
 * nothing to stdout or stderr: with --watch the result is kept in memory and
 * shown if it differs from the one before.
 */
#ifndef LBCTL_COMMAND_H
#define LBCTL_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "client.h"
#include "error.h"
#include "output.h"

struct invocation {
	enum output_format output;
	const char *control;		    /* path of the daemon's socket */
	const char *service;		    /* --service: "NS/NAME", NULL = all */
	const char *operand;		    /* what follows the command's words */
	const char *backend, *client_place; /* --backend, --client: ADDR[:PORT]; NULL = all */
	const char *bpffs;		    /* where maps are pinned */
	unsigned int timeout_s, limit;	    /* limit 0 = none */
	bool watch, wait;
	bool from_pins; /* the result is the maps', no daemon runs */
	struct client *client;
};

/* What a command takes besides --control and -o. */
enum command_flag {
	COMMAND_F_WATCH = 1U << 0,
	COMMAND_F_SERVICE = 1U << 1,
	COMMAND_F_TIMEOUT = 1U << 2,
	COMMAND_F_NAME = 1U << 3, /* -o name: its result has names */
	COMMAND_F_WAIT = 1U << 4,
	COMMAND_F_PLACES = 1U << 5, /* --backend, --client */
	COMMAND_F_LIMIT = 1U << 6,
	COMMAND_F_SELECTS = 1U << 7, /* not without --service, --backend or --client */
};

struct command {
	const char *words;	 /* "services list" */
	const char *operand;	 /* what has to follow: "ADDR[:PORT]"; NULL = nothing */
	bool operand_is_service; /* NS/NAME, perhaps :PORT; else it's a place */
	const char *summary;
	unsigned int flags; /* COMMAND_F_* */
	/* Returns 0, or -errno with the error's text set. */
	int (*run)(struct invocation *invocation, FILE *out, struct error *error);
};

extern const struct command cmd_services_list;
extern const struct command cmd_services_describe;
extern const struct command cmd_backends_list;
extern const struct command cmd_backends_drain;
extern const struct command cmd_backends_undrain;
extern const struct command cmd_flows_list;
extern const struct command cmd_flows_delete;
extern const struct command cmd_affinity_list;
extern const struct command cmd_ring_show;
extern const struct command cmd_stats;
extern const struct command cmd_diff;
extern const struct command cmd_export;
extern const struct command cmd_status;
extern const struct command cmd_wait;

#endif
