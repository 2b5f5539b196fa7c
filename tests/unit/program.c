/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_ARGS 15

static char program[PATH_MAX];

int program_find(const char *argv0, const char *name)
{
	char self[PATH_MAX];

	if (!realpath(argv0, self)) {
		perror(argv0);
		return -1;
	}
	snprintf(program, sizeof(program), "%s/../%s", dirname(self), name);
	if (access(program, X_OK)) {
		perror(program);
		return -1;
	}
	return 0;
}

char *fd_text(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, size + 1);

	assert_non_null(text);
	assert_int_equal(pread(fd, text, size, 0), size);
	return text;
}

void run_begin_to(struct run *run, const char *const *args, int out_fd)
{
	char *argv[MAX_ARGS + 2] = {program};
	posix_spawn_file_actions_t actions;

	for (size_t i = 0; args[i]; i++) {
		assert_true(i < MAX_ARGS);
		argv[i + 1] = (char *)args[i];
	}
	run->out_fd = out_fd;
	run->err_fd = memfd_create("err", MFD_CLOEXEC);
	assert_true(run->out_fd >= 0 && run->err_fd >= 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, run->out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, run->err_fd, STDERR_FILENO);
	clock_gettime(CLOCK_MONOTONIC, &run->started);
	assert_int_equal(posix_spawn(&run->pid, program, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
}

void run_begin(struct run *run, const char *const *args)
{
	run_begin_to(run, args, memfd_create("out", MFD_CLOEXEC));
}

void run_end(struct run *run)
{
	struct timespec now;

	assert_int_equal(waitpid(run->pid, &run->status, 0), run->pid);
	clock_gettime(CLOCK_MONOTONIC, &now);
	run->took_ms = (now.tv_sec - run->started.tv_sec) * 1e3 +
		       (now.tv_nsec - run->started.tv_nsec) / 1e6;
	run->out = fd_text(run->out_fd);
	run->err = fd_text(run->err_fd);
	close(run->out_fd);
	close(run->err_fd);
}

void run_free(struct run *run)
{
	free(run->out);
	free(run->err);
}

void run_expect(const char *const *args, int status, const char *out, const char *err)
{
	struct run run;

	run_begin(&run, args);
	run_end(&run);
	assert_string_equal(run.err, err);
	if (out)
		assert_string_equal(run.out, out);
	assert_true(WIFEXITED(run.status));
	assert_int_equal(WEXITSTATUS(run.status), status);
	run_free(&run);
}
