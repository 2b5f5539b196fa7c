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
#include <jansson.h>

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
	log_set_format(LOG_FORMAT_TEXT);
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

static void field_without_a_value_is_left_out(void **state)
{
	log_info("refused object=%s at=%s n=%d reason=\"%s\"", "", "a:1", 3, "");
	assert_string_equal(captured(*state), "info refused at=a:1 n=3\n");
	log_info("a=%s", "");
	assert_string_equal(captured(*state), "info a=\n");
}

/* ---- JSON -------------------------------------------------------------------------- */

/* The event without its time, which is looked at here. */
static const char *captured_json(const struct capture *c)
{
	static const char form[] = "....-..-..T..:..:........Z";
	static char rest[8192];
	const char *line = captured(c), *ts;
	json_t *event;

	assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
	event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(event);
	ts = json_string_value(json_object_get(event, "ts"));
	assert_non_null(ts);
	assert_int_equal(strlen(ts), 27);
	for (size_t i = 0; i < sizeof(form) - 2; i++)
		if (form[i] != '.')
			assert_int_equal(ts[i], form[i]);
	assert_memory_equal(line, "{\"ts\":\"", 7);
	json_object_del(event, "ts");
	json_dumpb(event, rest, sizeof(rest), JSON_COMPACT);
	rest[json_dumpb(event, NULL, 0, JSON_COMPACT)] = '\0';
	json_decref(event);
	return rest;
}

static void json_has_the_fields_of_the_format(void **state)
{
	log_set_format(LOG_FORMAT_JSON);
	log_info("synced revision=%d file=%s health=%s->%s took_ms=%llu reason=\"%s\"", 7, "x y",
		 "up", "down", 12ULL, "can't \"connect\"");
	assert_string_equal(captured_json(*state),
			    "{\"level\":\"info\",\"msg\":\"synced\",\"revision\":7,"
			    "\"file\":\"x y\",\"health\":\"up->down\",\"took_ms\":12,"
			    "\"reason\":\"can't \\\"connect\\\"\"}");
	log_error("no fields");
	assert_string_equal(captured_json(*state), "{\"level\":\"error\",\"msg\":\"no fields\"}");
	log_warn("%s happens n=%d", "it", -1);
	assert_string_equal(captured_json(*state),
			    "{\"level\":\"warn\",\"msg\":\"it happens\",\"n\":-1}");
}

static void value_that_looks_like_a_field_is_none(void **state)
{
	log_set_format(LOG_FORMAT_JSON);
	log_info("%s object=%s n=%d", "a level=x b=1", "o revision=9 n=2", 3);
	assert_string_equal(captured_json(*state), "{\"level\":\"info\",\"msg\":\"a level=x b=1\","
						   "\"object\":\"o revision=9 n=2\",\"n\":3}");
}

static void json_is_valid_whatever_the_values_are(void **state)
{
	char text[5000];

	log_set_format(LOG_FORMAT_JSON);
	log_info("x a=%s b=\"%s\"", "\xff\n\x1b\"\\", "\xc3\xa4");
	assert_string_equal(captured_json(*state),
			    "{\"level\":\"info\",\"msg\":\"x\",\"a\":\"?  \\\"\\\\\","
			    "\"b\":\"\xc3\xa4\"}");
	/* Cut in the first field, in the middle of a character, and in the message. */
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[sizeof(text) - 2] = '\0';
	for (int shift = 0; shift < 2; shift++) {
		log_info("%s a=\"%s\" b=%d", shift ? "xx" : "x", text, 1);
		assert_non_null(strstr(captured_json(*state), "...\"}"));
	}
	log_info("%s a=%d", text, 1);
	assert_non_null(strstr(captured_json(*state), "...\"}"));
}

static void last_words_are_an_event_in_json_alone(void **state)
{
	log_last_words("lbd", "no root");
	fflush(stderr);
	assert_string_equal(captured(*state), "lbd: no root\n");
	log_set_format(LOG_FORMAT_JSON);
	log_last_words("lbd", "no root");
	assert_string_equal(captured_json(*state), "{\"level\":\"error\",\"msg\":\"no root\"}");
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

static void format_names_are_parsed(void **state)
{
	enum log_format format = LOG_FORMAT_TEXT;

	assert_int_equal(log_format_parse("json", &format), 0);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_int_equal(log_format_parse("Text", &format), -EINVAL);
	assert_int_equal(log_format_parse("", &format), -EINVAL);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_int_equal(log_format_parse("text", &format), 0);
	assert_int_equal(format, LOG_FORMAT_TEXT);
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
		TEST(field_without_a_value_is_left_out),
		TEST(json_has_the_fields_of_the_format),
		TEST(value_that_looks_like_a_field_is_none),
		TEST(json_is_valid_whatever_the_values_are),
		TEST(last_words_are_an_event_in_json_alone),
		TEST(errno_survives),
		TEST(level_names_are_parsed),
		TEST(format_names_are_parsed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
