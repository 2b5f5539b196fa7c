/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "log.h"

/* stderr as a packet socket: each write(2) is one message. */
struct capture {
	int read_fd, saved_stderr;
};

static int capture_start(void **state)
{
	struct capture *c = malloc(sizeof(*c));
	int fds[2];

	if (!c || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		return -1;
	c->read_fd = fds[0];
	c->saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	log_set_level(LOG_LEVEL_INFO);
	*state = c;
	return 0;
}

static int capture_stop(void **state)
{
	struct capture *c = *state;

	dup2(c->saved_stderr, STDERR_FILENO);
	close(c->saved_stderr);
	close(c->read_fd);
	free(c);
	return 0;
}

/* One write's bytes, "" where nothing was written. */
static const char *captured(const struct capture *c)
{
	static char text[8192];
	ssize_t n = recv(c->read_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void line_has_level_and_text(void **state)
{
	log_info("synced revision=%d took_ms=%d", 7, 12);
	assert_string_equal(captured(*state), "info synced revision=7 took_ms=12\n");
	log_error("x");
	assert_string_equal(captured(*state), "error x\n");
}

static void levels_below_the_shown_one_are_silent(void **state)
{
	log_debug("hidden");
	assert_string_equal(captured(*state), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("shown");
	assert_string_equal(captured(*state), "debug shown\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("hidden");
	assert_string_equal(captured(*state), "");
}

static void line_is_one_write(void **state)
{
	log_info("one");
	log_info("two");
	assert_string_equal(captured(*state), "info one\n");
	assert_string_equal(captured(*state), "info two\n");
	assert_string_equal(captured(*state), "");
}

static void long_line_is_cut_and_says_so(void **state)
{
	char text[5000];
	const char *line;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	line = captured(*state);
	assert_in_range(strlen(line), 1000, 2048);
	assert_string_equal(line + strlen(line) - 4, "...\n");
}

static void control_characters_do_not_make_lines(void **state)
{
	log_info("reason=\"%s\"", "a\nb\x1b[31mc\x7f");
	assert_string_equal(captured(*state), "info reason=\"a b [31mc \"\n");
}

static void errno_survives(void **state)
{
	int fd = dup(STDERR_FILENO);

	close(STDERR_FILENO);
	errno = ENOSPC;
	log_info("nobody reads this");
	assert_int_equal(errno, ENOSPC);
	dup2(fd, STDERR_FILENO);
	close(fd);
	(void)state;
}

static void level_names_are_parsed(void **state)
{
	enum log_level level = LOG_LEVEL_WARN;

	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("verbose", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(log_level_parse("INFO", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	(void)state;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, capture_start, capture_stop)
	const struct CMUnitTest tests[] = {
		TEST(line_has_level_and_text),
		TEST(levels_below_the_shown_one_are_silent),
		TEST(line_is_one_write),
		TEST(long_line_is_cut_and_says_so),
		TEST(control_characters_do_not_make_lines),
		TEST(errno_survives),
		TEST(level_names_are_parsed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
