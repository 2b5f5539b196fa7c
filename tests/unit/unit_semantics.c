/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* docs/SEMANTICS.md: every rule has its row, every file and test that it names is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define RULES 92
#define COLUMNS 5

static char top[4096];

/* A file of the tree as text, or NULL. */
static char *tree_read(const char *directory, const char *name, const char *suffix)
{
	char path[8192], *text;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s/%s%s", top, directory, name, suffix);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	text = calloc(1, 1 << 20);
	n = fread(text, 1, (1 << 20) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static int setup(void **state)
{
	ssize_t n = readlink("/proc/self/exe", top, sizeof(top) - 1);

	(void)state;
	if (n <= 0)
		return -1;
	top[n] = '\0'; /* TREE/BUILD/tests/unit_semantics */
	for (int i = 0; i < 3; i++)
		*strrchr(top, '/') = '\0';
	return 0;
}

static char *trimmed(char *text)
{
	while (*text == ' ')
		text++;
	for (char *end = text + strlen(text); end > text && end[-1] == ' ';)
		*--end = '\0';
	return text;
}

/* "FILE:TEST" or "net/FILE:SENTENCE". */
static void test_check(int rule, char *name)
{
	char *test = strchr(name, ':'), *text, wanted[256];
	bool shell = !strncmp(name, "net/", 4);

	if (!test)
		fail_msg("rule %d: \"%s\" names no test", rule, name);
	*test++ = '\0';
	text = shell			      ? tree_read("tests", name, ".sh")
	       : !strncmp(name, "packet_", 7) ? tree_read("tests/packet", name, ".c")
					      : tree_read("tests/unit", name, ".c");
	if (!text)
		fail_msg("rule %d: there is no %s", rule, name);
	snprintf(wanted, sizeof(wanted), shell ? "%s\"" : "%s(void **state)", test);
	if (!strstr(text, wanted))
		fail_msg("rule %d: %s has no %s", rule, name, test);
	free(text);
}

static void file_check(int rule, const char *name)
{
	static const char *const directories[] = {"user/lib", "user/lbd", "bpf"};
	char *text = NULL;

	for (int i = 0; i < 3 && !text; i++)
		text = tree_read(directories[i], name, "");
	if (!text)
		fail_msg("rule %d: there is no %s", rule, name);
	free(text);
}

/* Each of a list; returns how many. */
static int each(int rule, char *list, void (*check)(int rule, char *item))
{
	char *item, *rest = list;
	int n = 0;

	while ((item = strsep(&rest, ","))) {
		item = trimmed(item);
		if (!*item)
			continue;
		check(rule, item);
		n++;
	}
	return n;
}

static void quoted_test_check(int rule, char *item)
{
	size_t length = strlen(item);

	if (length < 2 || *item != '`' || item[length - 1] != '`')
		fail_msg("rule %d: %s isn't in back-ticks", rule, item);
	item[length - 1] = '\0';
	test_check(rule, item + 1);
}

static void plain_file_check(int rule, char *item)
{
	file_check(rule, item);
}

/* A sentence of a shell test may have commas. */
static void row_check(int rule, char *cells[COLUMNS])
{
	bool is_ours = strncmp(cells[2], "not ours", 8) != 0;
	int files = each(rule, cells[3], plain_file_check), tests = 0;
	char *at = cells[4], *end;

	while ((at = strchr(at, '`')) && (end = strchr(at + 1, '`'))) {
		char item[256];

		snprintf(item, sizeof(item), "%.*s", (int)(end + 1 - at), at);
		quoted_test_check(rule, item);
		at = end + 1;
		tests++;
	}
	if (is_ours && (!files || !tests))
		fail_msg("rule %d has no place or no test", rule);
	if (strncmp(cells[2], "ours", 4) && strncmp(cells[2], "differs", 7) && is_ours)
		fail_msg("rule %d: \"%s\" is no answer", rule, cells[2]);
}

static void every_rule_has_a_place_and_a_test(void **state)
{
	char *text = tree_read("docs", "SEMANTICS.md", ""), *rest = text, *line;
	int last = 0;

	(void)state;
	assert_non_null(text);
	while ((line = strsep(&rest, "\n"))) {
		char *cells[COLUMNS], *cell = line + 1;
		int rule = *line == '|' ? atoi(line + 1) : 0;

		if (!rule)
			continue;
		if (rule != last + 1)
			fail_msg("rule %d comes after %d", rule, last);
		for (int i = 0; i < COLUMNS; i++) {
			cells[i] = strsep(&cell, "|");
			if (!cells[i])
				fail_msg("rule %d has %d columns", rule, i);
			cells[i] = trimmed(cells[i]);
		}
		row_check(rule, cells);
		last = rule;
	}
	assert_int_equal(last, RULES);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_has_a_place_and_a_test),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
