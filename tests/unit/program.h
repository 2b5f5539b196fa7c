/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A built program run as a person runs it: what it writes, how it ends, how
 * long it takes.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <sys/types.h>
#include <time.h>

struct run {
	pid_t pid;
	int out_fd, err_fd;
	struct timespec started;
	/* after run_end() */
	int status; /* as waitpid() has it */
	char *out, *err;
	double took_ms;
};

/* Which program: NAME in the directory above this test's (argv[0]).
 * Returns 0 or -1 with a message shown. */
int program_find(const char *argv0, const char *name);

/* For run_begin(): the arguments after the program's name. */
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

void run_begin(struct run *run, const char *const *args);
/* The same with standard output somewhere else; out_fd is closed by run_end(). */
void run_begin_to(struct run *run, const char *const *args, int out_fd);
void run_end(struct run *run);
void run_free(struct run *run);

/* Run to the end and compare all that is seen; out may be NULL: anything. */
void run_expect(const char *const *args, int status, const char *out, const char *err);

/* A file's whole content, malloc'ed. */
char *fd_text(int fd);

#endif
