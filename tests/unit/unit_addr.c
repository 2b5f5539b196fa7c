/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "addr.h"
#include "error.h"

/* What's read, and how it's written; NULL = refused. */
struct row {
	const char *text, *written;
};

static void an_address_is_read_and_written_as_rfc_5952_has_it(void **state)
{
	static const struct row rows[] = {
		{"10.96.0.1", "10.96.0.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"010.001.000.008", "10.1.0.8"},
		{"0000000010.1.1.1", "10.1.1.1"},
		{"fd00::1", "fd00::1"},
		{"FD00:0:0::0001", "fd00::1"},
		{"::", "::"},
		{"::ffff:10.1.2.3", "10.1.2.3"},
		{"::ffff:0a01:0203", "10.1.2.3"},
		{"::ffff:010.001.2.3", "10.1.2.3"},
		{"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
		{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"", NULL},
		{"foo.example", NULL},
		{"10.96.0", NULL},
		{"10.96.0.1.2", NULL},
		{"10.96.0.256", NULL},
		{"10.96..1", NULL},
		{"10.96.0.1 ", NULL},
		{" 10.96.0.1", NULL},
		{"+1.2.3.4", NULL},
		{"0x10.1.1.1", NULL},
		{"4294967297.1.1.1", NULL},
		{"10.96.0.1/32", NULL},
		{"fe80::1%eth0", NULL},
		{"1:2:3:4:5:6:7", NULL},
		{"1:2:3:4:5:6:7:8:9", NULL},
		{"::1::", NULL},
		{":", NULL},
		{"::ffff:10.1.2", NULL},
		{"::10.1.2.3:1", NULL},
		{"[::1]", NULL},
		{"1111111111111111111111111111111111111111111111:1.1.1.1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr = {.family = 9};
		char buf[ADDR_STRLEN];
		int err = addr_parse(rows[i].text, &addr);

		if (rows[i].written) {
			assert_int_equal(err, 0);
			assert_string_equal(addr_format(&addr, buf), rows[i].written);
		} else {
			if (err != -EINVAL)
				print_error("%s was taken\n", rows[i].text);
			assert_int_equal(err, -EINVAL);
			assert_int_equal(addr.family, 9);
		}
	}
}

static void equal_addresses_are_equal_bytes(void **state)
{
	struct addr a, b;

	(void)state;
	memset(&a, 0xaa, sizeof(a));
	memset(&b, 0x55, sizeof(b));
	assert_int_equal(addr_parse("10.0.0.1", &a), 0);
	assert_int_equal(addr_parse("::ffff:10.0.0.1", &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(addr_compare(&a, &b), 0);
}

static void ipv4_comes_before_ipv6(void **state)
{
	static const char *const order[] = {"9.0.0.1", "10.0.0.1", "10.0.0.2", "::1", "fd00::1"};
	struct addr a, b;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(order) / sizeof(order[0]); i++) {
		assert_int_equal(addr_parse(order[i], &a), 0);
		assert_int_equal(addr_parse(order[i + 1], &b), 0);
		assert_true(addr_compare(&a, &b) < 0);
		assert_true(addr_compare(&b, &a) > 0);
	}
}

static void words_hold_the_address_in_network_order(void **state)
{
	uint32_t words[4] = {};
	struct addr addr, back;

	(void)state;
	assert_int_equal(addr_parse("10.1.2.3", &addr), 0);
	addr_to_words(&addr, words);
	assert_memory_equal(words, "\x0a\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	addr_from_words(4, words, &back);
	assert_int_equal(addr_compare(&addr, &back), 0);
	assert_int_equal(addr_parse("fd00::1:2", &addr), 0);
	addr_to_words(&addr, words);
	addr_from_words(6, words, &back);
	assert_int_equal(addr_compare(&addr, &back), 0);
}

static void a_port_follows_brackets_in_ipv6_only(void **state)
{
	char buf[ADDR_PORT_STRLEN];
	struct addr addr;

	(void)state;
	assert_int_equal(addr_parse("10.1.2.3", &addr), 0);
	assert_string_equal(addr_port_format(&addr, 65535, buf), "10.1.2.3:65535");
	assert_int_equal(addr_parse("1111:1111:1111:1111:1111:1111:1111:1111", &addr), 0);
	assert_string_equal(addr_port_format(&addr, 80, buf),
			    "[1111:1111:1111:1111:1111:1111:1111:1111]:80");
}

static void special_addresses_are_named(void **state)
{
	static const struct row rows[] = {
		{"0.0.0.0", "unspecified"},
		{"127.8.0.1", "loopback"},
		{"169.254.1.1", "link-local"},
		{"224.0.0.1", "multicast"},
		{"239.1.1.1", "multicast"},
		{"::", "unspecified"},
		{"::1", "loopback"},
		{"fe80::1", "link-local"},
		{"febf::1", "link-local"},
		{"ff02::1", "multicast"},
		{"10.0.0.0", NULL},
		{"fec0::1", NULL},
		{"fd00::1", NULL},
		{"223.255.255.255", NULL},
	};
	struct addr addr;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(addr_parse(rows[i].text, &addr), 0);
		if (rows[i].written)
			assert_string_equal(addr_special(&addr), rows[i].written);
		else
			assert_null(addr_special(&addr));
	}
}

static void a_prefix_loses_blanks_and_host_bits(void **state)
{
	static const struct row rows[] = {
		{" 10.1.2.3/8 ", "10.0.0.0/8"},
		{"\t010.001.002.003/024\n", "10.1.2.0/24"},
		{"10.1.2.3", "10.1.2.3/32"},
		{"10.1.2.3/0", "0.0.0.0/0"},
		{"10.1.2.255/31", "10.1.2.254/31"},
		{"fd00:1:2::3/33", "fd00:1::/33"},
		{"fd00:1:8000::3/33", "fd00:1:8000::/33"},
		{"fd00::1", "fd00::1/128"},
		{"::ffff:10.1.2.3/104", "10.0.0.0/8"},
		{"::ffff:10.1.2.3/64", NULL},
		{"10.1.2.3/33", NULL},
		{"fd00::/129", NULL},
		{"10.1.2.3/", NULL},
		{"10.1.2.3/8/8", NULL},
		{"10.1.2.3/-1", NULL},
		{"10.1.2.3/8x", NULL},
		{"10.1 .2.3/8", NULL},
		{"/8", NULL},
		{"", NULL},
		{"1111111111111111111111111111111111111111111111111111111111111111111111111111111"
		 "1111111111111111111111111111111111111111111111",
		 NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prefix prefix;
		char buf[PREFIX_STRLEN];
		int err = prefix_parse(rows[i].text, &prefix);

		assert_int_equal(err, rows[i].written ? 0 : -EINVAL);
		if (!err)
			assert_string_equal(prefix_format(&prefix, buf), rows[i].written);
	}
}

static void a_prefix_contains_its_family_only(void **state)
{
	struct prefix prefix;
	struct addr addr;

	(void)state;
	assert_int_equal(prefix_parse("10.1.0.0/15", &prefix), 0);
	assert_int_equal(addr_parse("10.1.255.255", &addr), 0);
	assert_true(prefix_contains(&prefix, &addr));
	assert_int_equal(addr_parse("10.2.0.0", &addr), 0);
	assert_false(prefix_contains(&prefix, &addr));
	assert_int_equal(prefix_parse("0.0.0.0/0", &prefix), 0);
	assert_true(prefix_contains(&prefix, &addr));
	assert_int_equal(addr_parse("fd00::1", &addr), 0);
	assert_false(prefix_contains(&prefix, &addr));
	assert_int_equal(prefix_parse("fd00::/127", &prefix), 0);
	assert_true(prefix_contains(&prefix, &addr));
	assert_int_equal(addr_parse("fd00::2", &addr), 0);
	assert_false(prefix_contains(&prefix, &addr));
}

static void an_error_is_one_line_and_keeps_its_place(void **state)
{
	char quoted[ERROR_QUOTE_LEN], text[600];
	struct error error;

	(void)state;
	assert_int_equal(error_set(&error, -EINVAL, "a\nb\033[31m"), -EINVAL);
	assert_string_equal(error.text, "a?b?[31m");
	assert_int_equal(error_prefix(&error, -ENOENT, "f.yaml:%d", 7), -ENOENT);
	assert_string_equal(error.text, "f.yaml:7: a?b?[31m");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&error, 0, "%s", text);
	error_prefix(&error, 0, "here");
	assert_memory_equal(error.text, "here: xxx", 9);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	assert_string_equal(error_quote("a\"\n\\", quoted), "\"a\\\"\\x0a\\\\\"");
	memset(text, '\n', sizeof(text) - 1);
	error_quote(text, quoted);
	assert_true(strlen(quoted) < sizeof(quoted));
	assert_string_equal(quoted + strlen(quoted) - 4, "...\"");
}

static void address_and_port_are_read_apart(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "10.0.0.1:",
					  "10.0.0.1:0",
					  "10.0.0.1:65536",
					  "10.0.0.1:+1",
					  "10.0.0.1:1x",
					  "[fd00::1]",
					  "[fd00::1]5",
					  "[fd00::1]:",
					  "[10.0.0.1]:5",
					  "[fd00::1:5",
					  "web:80",
					  ":80",
					  "10.0.0.1:000001"};
	struct addr addr, wanted;
	uint16_t port;

	(void)state;
	assert_int_equal(addr_parse("10.0.0.1", &wanted), 0);
	assert_int_equal(addr_port_parse("10.0.0.1", &addr, &port), 0);
	assert_int_equal(addr_compare(&addr, &wanted), 0);
	assert_int_equal(port, 0);
	assert_int_equal(addr_port_parse("10.0.0.1:65535", &addr, &port), 0);
	assert_int_equal(addr_compare(&addr, &wanted), 0);
	assert_int_equal(port, 65535);
	assert_int_equal(addr_parse("fd00::1", &wanted), 0);
	assert_int_equal(addr_port_parse("fd00::1", &addr, &port), 0);
	assert_int_equal(addr_compare(&addr, &wanted), 0);
	assert_int_equal(port, 0);
	assert_int_equal(addr_port_parse("[fd00::1]:80", &addr, &port), 0);
	assert_int_equal(addr_compare(&addr, &wanted), 0);
	assert_int_equal(port, 80);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_not_equal(addr_port_parse(bad[i], &addr, &port), 0);
	assert_int_equal(port, 80); /* untouched */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_and_port_are_read_apart),
		cmocka_unit_test(an_address_is_read_and_written_as_rfc_5952_has_it),
		cmocka_unit_test(equal_addresses_are_equal_bytes),
		cmocka_unit_test(ipv4_comes_before_ipv6),
		cmocka_unit_test(words_hold_the_address_in_network_order),
		cmocka_unit_test(a_port_follows_brackets_in_ipv6_only),
		cmocka_unit_test(special_addresses_are_named),
		cmocka_unit_test(a_prefix_loses_blanks_and_host_bits),
		cmocka_unit_test(a_prefix_contains_its_family_only),
		cmocka_unit_test(an_error_is_one_line_and_keeps_its_place),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
