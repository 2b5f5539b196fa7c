/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "document.h"
#include "texts.h"

/* All documents of a text as compact JSON, a blank between them; problems and
 * the error follow as " LINE: text".  free() it. */
static char *read_all(const char *text, size_t size, enum document_format format)
{
	const struct document *document;
	struct documents *documents;
	struct guarded guarded;
	struct error error;
	size_t out_size;
	char *out;
	FILE *file = open_memstream(&out, &out_size);
	int err;

	guarded_make(&guarded, text, size);
	assert_int_equal(documents_open("f", guarded.text, size, format, &documents), 0);
	while ((err = documents_next(documents, &document, &error)) == 1) {
		json_dumpf(document->root, file,
			   JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS |
				   JSON_REAL_PRECISION(6));
		for (unsigned int i = 0; i < document->nproblems; i++)
			fprintf(file, " %u: %s", document->problems[i].line,
				document->problems[i].text);
		fputc(' ', file);
	}
	if (err)
		fprintf(file, "%s ", error.text);
	documents_close(documents);
	guarded_free(&guarded);
	fclose(file);
	if (out_size)
		out[out_size - 1] = '\0';
	return out;
}

struct row {
	const char *text, *read;
};

static void check(const struct row *rows, size_t n, enum document_format format)
{
	for (size_t i = 0; i < n; i++) {
		char *read = read_all(rows[i].text, strlen(rows[i].text), format);

		assert_string_equal(read, rows[i].read);
		free(read);
	}
}
#define CHECK(rows, format) check(rows, sizeof(rows) / sizeof((rows)[0]), format)

static void yaml_scalars_are_what_kubernetes_takes_them_for(void **state)
{
	static const struct row rows[] = {
		{"[80, '80', \"80\", 0x50, 0o120, 0120, 0b1010000, +80, -80, 8_0]",
		 "[80,\"80\",\"80\",80,80,80,80,80,-80,80]"},
		{"[80.0, 8e1, 80.5, .5, 5., -1.5e3, 08, 1e-1]", "[80,80,80.5,0.5,5,-1500,8,0.1]"},
		{"[yes, Yes, y, on, ON, true, no, n, off, False]",
		 "[true,true,true,true,true,true,false,false,false,false]"},
		{"['yes', yEs, oN, tRue, nope]", "[\"yes\",\"yEs\",\"oN\",\"tRue\",\"nope\"]"},
		{"[~, null, Null, NULL, nULL]", "[null,null,null,null,\"nULL\"]"},
		{"a:\nb: ''", "{\"a\":null,\"b\":\"\"}"},
		{"[1:30, 2026-01-11T15:35:01Z, 10.96.0.1, 1.2.3, 0x, 0b2, +, -, ., 1e, e1, _1]",
		 "[\"1:30\",\"2026-01-11T15:35:01Z\",\"10.96.0.1\",\"1.2.3\",\"0x\",\"0b2\","
		 "\"+\",\"-\",\".\",\"1e\",\"e1\",\"_1\"]"},
		{"[9223372036854775807, 9223372036854775808, .inf, .nan, 1e999]",
		 "[9223372036854775807,9.22337e18,\".inf\",\".nan\",\"1e999\"]"},
		{"[!!str 80, !!int '80', !!bool 'on', !!float 1, !!null '', ! 80, !x 80]",
		 "[\"80\",80,true,1,null,80,\"80\"]"},
		{"[!!int x]", "[\"x\"] 1: \"x\" is no !!int"},
		{"{80: a, on: b, null: c}", "{\"80\":\"a\",\"null\":\"c\",\"on\":\"b\"}"},
		{"a: |\n  x\n  y\nb: >-\n  x\n  y", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
		{"\"\\u00e9\\n\"", "\"\xc3\xa9\\n\""},
	};

	(void)state;
	CHECK(rows, DOCUMENT_YAML);
}

static void yaml_has_many_documents(void **state)
{
	static const struct row rows[] = {
		{"", ""},
		{"# nothing\n", ""},
		{"---\n", "null"},
		{"a: 1\n---\nb: 2\n...\n---\n- c\n", "{\"a\":1} {\"b\":2} [\"c\"]"},
		{"%YAML 1.1\n---\na: 1\n---\n---\nb", "{\"a\":1} null \"b\""},
		{"\xef\xbb\xbf"
		 "a: 1",
		 "{\"a\":1}"},
		{"a: 1\r\nb:\r\n- c\r\n", "{\"a\":1,\"b\":[\"c\"]}"},
	};

	(void)state;
	CHECK(rows, DOCUMENT_YAML);
}

static void yaml_anchors_and_merges_are_followed(void **state)
{
	static const struct row rows[] = {
		{"a: &x {b: 1}\nc: *x", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}"},
		{"[&x 1, *x, &x 2, *x]", "[1,1,2,2]"},
		{"a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}",
		 "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"b\":3,\"c\":2}}"},
		{"a: [&x {b: 1}, &y {b: 2, c: 3}]\nd: {e: 4, <<: [*x, *y]}",
		 "{\"a\":[{\"b\":1},{\"b\":2,\"c\":3}],\"d\":{\"b\":1,\"c\":3,\"e\":4}}"},
		{"{&k a: b, c: *k, *k : d}", "{\"a\":\"b\",\"c\":\"a\"} 1: duplicate key \"a\""},
		{"'<<': 1", "{\"<<\":1}"},
		{"a: 1\n<<: 2", "{\"a\":1} 1: << wants a mapping"},
		{"a: &x 1\n---\nb: *x",
		 "{\"a\":1} {\"b\":null} 3: no anchor \"x\" before its alias"},
		{"a: &x [1, *x]", "{\"a\":[1,null]} 1: no anchor \"x\" before its alias"},
	};

	(void)state;
	CHECK(rows, DOCUMENT_YAML);
}

static void faults_of_a_document_are_problems_of_it_alone(void **state)
{
	static const struct row rows[] = {
		{"a: 1\nb: 2\na: 3\n---\nc: 4",
		 "{\"a\":1,\"b\":2} 3: duplicate key \"a\" {\"c\":4}"},
		{"? [a]\n: b\nc: d", "{\"c\":\"d\"} 1: a key that isn't text"},
		{"? {a: b}\n: [c]", "{} 1: a key that isn't text"},
	};

	(void)state;
	CHECK(rows, DOCUMENT_YAML);
}

static void broken_yaml_is_told_with_its_line(void **state)
{
	static const struct row rows[] = {
		{"a: 1\nb: [1, 2\nc: 3\n",
		 "f:3: did not find expected ',' or ']' while parsing a flow sequence"},
		{"a: 1\n---\nb: 'x\n",
		 "{\"a\":1} f:4: found unexpected end of stream while scanning a quoted scalar"},
		{"a: 1\n b: 2\n", "f:2: mapping values are not allowed in this context"},
		{"a: 1\nb: \xff\xfe\n", "f:2: invalid leading UTF-8 octet"},
		{"a: 1\n\nb: \001\n", "f:3: control characters are not allowed"},
		{"a: \xed\xa0\x80", "f:1: invalid Unicode character"},
		{"a:\n\t- b", "f:2: found character that cannot start any token while scanning for "
			      "the next token"},
	};
	static const char nul[] = "a: 1\nb: \0\n";
	char *read;

	(void)state;
	CHECK(rows, DOCUMENT_YAML);
	read = read_all(nul, sizeof(nul) - 1, DOCUMENT_YAML);
	assert_string_equal(read, "f:2: control characters are not allowed");
	free(read);
}

static void a_billion_laughs_are_refused_in_one_line(void **state)
{
	char text[4096] = "a: &a [x, x, x, x, x, x, x, x, x]\n";
	const struct document *document;
	struct documents *documents;
	struct error error;

	(void)state;
	for (char c = 'b'; c <= 'z'; c++)
		sprintf(text + strlen(text), "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n",
			c, c, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
	assert_int_equal(documents_open("f", text, strlen(text), DOCUMENT_YAML, &documents), 0);
	assert_int_equal(documents_next(documents, &document, &error), 1);
	assert_string_equal(document->problems[0].text, "aliases add more than 65536 nodes");
	assert_int_equal(document->problems[0].line, 6);
	assert_int_equal(document->nproblems, DOCUMENT_MAX_PROBLEMS);
	documents_close(documents);
}

static char *repeated(const char *part, size_t n)
{
	char *text = calloc(n, strlen(part) + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * strlen(part), part, strlen(part));
	return text;
}

static void depth_and_number_of_nodes_have_limits(void **state)
{
	static const struct {
		const char *part;
		size_t n;
		enum document_format format;
		const char *read;
	} rows[] = {
		{"[", 1000000, DOCUMENT_YAML, "f:1: nested deeper than 64"},
		{"{a: ", 65, DOCUMENT_YAML, "f:1: nested deeper than 64"},
		{"- ", 65, DOCUMENT_YAML, "f:1: nested deeper than 64"},
		{"[\n", 65, DOCUMENT_YAML, "f:65: nested deeper than 64"},
		{"- 1\n", 1000001, DOCUMENT_YAML,
		 "f:1000000: a document of more than 1000000 nodes"},
		{"[", 1000001, DOCUMENT_JSON, "f: more than 1000000 objects and lists"},
		{"[", 100000, DOCUMENT_JSON, "f:1: maximum parsing depth reached near '['"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = repeated(rows[i].part, rows[i].n);
		char *read = read_all(text, strlen(text), rows[i].format);

		assert_string_equal(read, rows[i].read);
		free(read);
		free(text);
	}
}

static void sixty_four_levels_are_read(void **state)
{
	char *open = repeated("[", 64), *close = repeated("]", 64), text[130], deeper[132];

	(void)state;
	sprintf(text, "%s%s", open, close);
	sprintf(deeper, "[%s]", text);
	for (int format = DOCUMENT_YAML; format <= DOCUMENT_JSON; format++) {
		char *read = read_all(text, strlen(text), format);

		assert_string_equal(read, text);
		free(read);
		read = read_all(deeper, strlen(deeper), format);
		assert_string_equal(read, "f:1: nested deeper than 64");
		free(read);
	}
	free(open);
	free(close);
}

static void json_is_read_and_its_faults_told_with_their_line(void **state)
{
	static const struct row rows[] = {
		{"", ""},
		{" \n ", ""},
		{"{\"a\": [1, 2.5, \"80\", true, null]}", "{\"a\":[1,2.5,\"80\",true,null]}"},
		{"{\"a\":1}{\"b\":2}\n[3] 4 \"5\"", "{\"a\":1} {\"b\":2} [3] 4 \"5\""},
		{"{\"a\":\"\\ud83d\\ude00\\/\"}", "{\"a\":\"\xf0\x9f\x98\x80/\"}"},
		{"{\"a\": 1,\n\"b\": 2,\n}", "f:3: string or '}' expected near '}'"},
		{"{\"a\": 1}\n{\"b\":\n2,,}", "{\"a\":1} f:3: string or '}' expected near ','"},
		{"{\"a\": 1,\n\"a\": 2}", "f:2: duplicate object key near '\"a\"'"},
		{"{\"a\": \"\xff\"}", "f:1: unable to decode byte 0xff near '\"'"},
		{"{\"a\": \"\\u0000\"}",
		 "f:1: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
		{"a: 1", "f:1: invalid token near 'a'"},
		{"[99999999999999999999]", "f:1: too big integer near '99999999999999999999'"},
	};
	static const char nul[] = "{\"a\":\0}";
	char *read;

	(void)state;
	CHECK(rows, DOCUMENT_JSON);
	read = read_all(nul, sizeof(nul) - 1, DOCUMENT_JSON);
	assert_non_null(strstr(read, "f:1: "));
	free(read);
}

/* Line of the node that a path of keys and indices leads to. */
static unsigned int line_of(const struct document *document, const char *const *path)
{
	const json_t *node = document->root;

	for (; *path; path++)
		node = json_is_array(node) ? json_array_get(node, atoi(*path))
					   : json_object_get(node, *path);
	assert_non_null(node);
	return document_line(document, node);
}

static void nodes_know_their_lines(void **state)
{
	static const char *const texts[] = {
		"# first\n\na: 1\nb:\n  - c: x\n    d: [1,\n      2]\n  - z\n",
		"\n\n{\"a\": 1,\n\"b\":\n[{\"c\": \"x\",\n\"d\": [1,\n2]},\n\"z\"]}",
	};
	const struct document *document;
	struct documents *documents;
	struct error error;

	(void)state;
	for (int format = DOCUMENT_YAML; format <= DOCUMENT_JSON; format++) {
		const char *text = texts[format];

		assert_int_equal(documents_open("f", text, strlen(text), format, &documents), 0);
		assert_int_equal(documents_next(documents, &document, &error), 1);
		assert_int_equal(document->line, 3);
		assert_int_equal(line_of(document, (const char *[]){"a", NULL}), 3);
		assert_int_equal(line_of(document, (const char *[]){"b", NULL}), 5);
		assert_int_equal(line_of(document, (const char *[]){"b", "0", "c", NULL}), 5);
		assert_int_equal(line_of(document, (const char *[]){"b", "0", "d", NULL}), 6);
		assert_int_equal(line_of(document, (const char *[]){"b", "0", "d", "1", NULL}), 7);
		assert_int_equal(line_of(document, (const char *[]){"b", "1", NULL}), 8);
		documents_close(documents);
	}
}

/* Reads all prefixes of a text, each with memory ending behind it. */
static void prefixes_read(const char *name, enum document_format format)
{
	char *text, *whole;
	size_t size;

	text = fixture_read(name, &size);
	whole = read_all(text, size, format);
	assert_null(strstr(whole, "f:"));
	for (size_t n = 0; n < size; n++)
		free(read_all(text, n, format));
	free(whole);
	free(text);
}

static void every_prefix_of_a_document_is_read_or_refused(void **state)
{
	(void)state;
	prefixes_read("web.yaml", DOCUMENT_YAML);
	prefixes_read("web.json", DOCUMENT_JSON);
}

static void every_changed_byte_is_read_or_refused(void **state)
{
	static const char bytes[] = "\0\n\t\"'[]{}:,-&*!%#\\\x80\xff";
	char *text;
	size_t size;

	(void)state;
	for (int format = DOCUMENT_YAML; format <= DOCUMENT_JSON; format++) {
		text = fixture_read(format == DOCUMENT_YAML ? "web.yaml" : "web.json", &size);
		for (size_t i = 0; i < size; i++) {
			char was = text[i];

			text[i] = bytes[i % (sizeof(bytes) - 1)];
			free(read_all(text, size, format));
			text[i] = was;
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_scalars_are_what_kubernetes_takes_them_for),
		cmocka_unit_test(yaml_has_many_documents),
		cmocka_unit_test(yaml_anchors_and_merges_are_followed),
		cmocka_unit_test(faults_of_a_document_are_problems_of_it_alone),
		cmocka_unit_test(broken_yaml_is_told_with_its_line),
		cmocka_unit_test(a_billion_laughs_are_refused_in_one_line),
		cmocka_unit_test(depth_and_number_of_nodes_have_limits),
		cmocka_unit_test(sixty_four_levels_are_read),
		cmocka_unit_test(json_is_read_and_its_faults_told_with_their_line),
		cmocka_unit_test(nodes_know_their_lines),
		cmocka_unit_test(every_prefix_of_a_document_is_read_or_refused),
		cmocka_unit_test(every_changed_byte_is_read_or_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
