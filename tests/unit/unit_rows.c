/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* JSON that is written as it comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "reason.h"
#include "rows.h"

static void expect(struct rows *rows, const char *text)
{
	size_t length;
	char *got = rows_end(rows, &length);

	assert_string_equal(got, text);
	assert_int_equal(length, strlen(text));
	free(got);
}

static void commas_are_between_values_on_every_level(void **state)
{
	struct rows rows;

	(void)state;
	rows_begin(&rows);
	rows_object(&rows, NULL);
	rows_array(&rows, "none");
	rows_array_end(&rows);
	rows_array(&rows, "two");
	for (int i = 0; i < 2; i++) {
		rows_object(&rows, NULL);
		rows_bool(&rows, "first", i == 0);
		rows_text(&rows, "text", "");
		rows_object_end(&rows);
	}
	rows_array_end(&rows);
	rows_object(&rows, "object");
	rows_object_end(&rows);
	rows_json(&rows, "json", "1.50", 4);
	rows_object_end(&rows);
	expect(&rows, "{\"none\":[],\"two\":[{\"first\":true,\"text\":\"\"},"
		      "{\"first\":false,\"text\":\"\"}],\"object\":{},\"json\":1.50}");
}

static void numbers_have_all_their_digits(void **state)
{
	static const uint64_t numbers[] = {0, 9, 10, UINT32_MAX, UINT64_MAX};
	struct rows rows;

	(void)state;
	rows_begin(&rows);
	rows_array(&rows, NULL);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		rows_number(&rows, NULL, numbers[i]);
	rows_array_end(&rows);
	expect(&rows, "[0,9,10,4294967295,18446744073709551615]");
}

static void text_that_needs_escapes_is_not_written(void **state)
{
	static const char *const texts[] = {"a\"b", "\\", "a\n", "\x7f", "\xc3\xa4", "\x01"};
	struct rows rows;

	(void)state;
	rows_begin(&rows);
	rows_object(&rows, NULL);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(rows_text(&rows, "text", texts[i]));
	assert_true(rows_text(&rows, "text", "all ~ else!/"));
	rows_object_end(&rows);
	expect(&rows, "{\"text\":\"all ~ else!/\"}");
}

/* They are written as they are. */
static void reasons_need_no_escapes(void **state)
{
	struct rows rows;

	(void)state;
	rows_begin(&rows);
	for (int i = 1; i < LB_REASON_MAX; i++) {
		assert_true(rows_text(&rows, NULL, reason_get(i)->text));
		assert_true(rows_text(&rows, NULL, reason_get(i)->verdict_text));
		assert_true(rows_text(&rows, NULL, reason_get(i)->meaning));
	}
	free(rows.text);
}

/* Beyond every size that it had to grow to. */
static void it_grows(void **state)
{
	struct rows rows;
	size_t length;
	json_t *json;
	char *text;

	(void)state;
	rows_begin(&rows);
	rows_array(&rows, NULL);
	for (uint64_t i = 0; i < 100000; i++) {
		rows_object(&rows, NULL);
		rows_number(&rows, "i", i);
		rows_object_end(&rows);
	}
	rows_array_end(&rows);
	text = rows_end(&rows, &length);
	json = json_loadb(text, length, 0, NULL);
	assert_int_equal(json_array_size(json), 100000);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(json_integer_value(json_object_get(json_array_get(json, i), "i")),
				 i);
	json_decref(json);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_are_between_values_on_every_level),
		cmocka_unit_test(numbers_have_all_their_digits),
		cmocka_unit_test(text_that_needs_escapes_is_not_written),
		cmocka_unit_test(reasons_need_no_escapes),
		cmocka_unit_test(it_grows),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
