/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "options.h"

#define ARGS_MAX 80

static struct options options;
static struct error error;

static int parse(const char *const *args)
{
	char *argv[ARGS_MAX] = {"lbd"};
	int argc = 1;

	while (args[argc - 1]) {
		assert_true(argc < ARGS_MAX - 1);
		argv[argc] = (char *)args[argc - 1];
		argc++;
	}
	memset(&options, 0xee, sizeof(options));
	strcpy(error.text, "untouched");
	return options_parse(argc, argv, &options, &error);
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define ASSERT_PARSED(...) assert_int_equal(PARSE("--source=file:/m", __VA_ARGS__), 0)

/* The whole line that the user sees after "lbd: ". */
#define ASSERT_REFUSED(text_, ...) \
	do { \
		assert_int_not_equal(PARSE("--source=file:/m", __VA_ARGS__), 0); \
		assert_string_equal(error.text, text_); \
	} while (0)

static int clear_environment(void **state)
{
	(void)state;
	clearenv();
	return 0;
}

/* ---- good values ----------------------------------------------------------- */

static void defaults_are_as_documented(void **state)
{
	char host[256] = "";

	(void)state;
	gethostname(host, sizeof(host) - 1);
	assert_int_equal(PARSE("--source", "file:/etc/manifests"), 0);
	assert_string_equal(options.source_path, "/etc/manifests");
	assert_string_equal(options.node, host);
	assert_int_equal(options.ndevices, 0);
	assert_int_equal(options.npod_devices, 0);
	assert_int_equal(options.nnode_addresses, 0);
	assert_int_equal(options.npod_cidrs, 0);
	assert_int_equal(options.hook, HOOK_AUTO);
	assert_int_equal(options.linger_s, 30);
	assert_int_equal(options.health.kind, HEALTH_NONE);
	assert_int_equal(options.health_interval_ms, 2000);
	assert_int_equal(options.health_rise, 2);
	assert_int_equal(options.health_fall, 3);
	assert_int_equal(options.hash_seed, 0);
	assert_int_equal(options.max_services, 0);
	assert_int_equal(options.max_backends, 0);
	assert_int_equal(options.max_frontends, 0);
	assert_int_equal(options.max_flows, 0);
	assert_int_equal(options.max_udp_flows, 0);
	assert_int_equal(options.max_new_flows, 0);
	assert_int_equal(options.max_slots, 0);
	assert_string_equal(options.bpffs_dir, "/sys/fs/bpf/guideway");
	assert_string_equal(options.control_path, "/run/guideway/lbd.sock");
	assert_int_equal(options.log_level, LOG_LEVEL_INFO);
	assert_false(options.check || options.detach || options.version || options.help);
}

static void every_option_is_read(void **state)
{
	char text[PREFIX_STRLEN];

	(void)state;
	assert_int_equal(PARSE("--source=file:m.yaml", "--device", "eth0", "--device=eth1",
			       "--pod-device", "veth*", "--pod-device", "cali*", "--node",
			       "worker1", "--node-address", "10.200.0.1", "--node-address",
			       "fd00::1", "--pod-cidr", "10.244.1.0/24", "--hook", "tc", "--linger",
			       "5", "--hash-seed", "0xfeedbeef00112233", "--max-services", "100",
			       "--max-backends", "200", "--max-frontends", "300", "--max-flows",
			       "4000", "--max-udp-flows", "3000", "--max-new-flows", "5000",
			       "--max-slots", "100000", "--bpffs", "/b", "--control", "/c",
			       "--log-level", "debug", "--check"),
			 0);
	assert_string_equal(options.source_path, "m.yaml");
	assert_int_equal(options.ndevices, 2);
	assert_string_equal(options.devices[0], "eth0");
	assert_string_equal(options.devices[1], "eth1");
	assert_int_equal(options.npod_devices, 2);
	assert_string_equal(options.pod_devices[1], "cali*");
	assert_string_equal(options.node, "worker1");
	assert_int_equal(options.nnode_addresses, 2);
	assert_string_equal(addr_format(&options.node_addresses[1], text), "fd00::1");
	assert_int_equal(options.npod_cidrs, 1);
	assert_string_equal(prefix_format(&options.pod_cidrs[0], text), "10.244.1.0/24");
	assert_int_equal(options.hook, HOOK_TC);
	assert_int_equal(options.linger_s, 5);
	assert_int_equal(options.hash_seed, 0xfeedbeef00112233);
	assert_int_equal(options.max_services, 100);
	assert_int_equal(options.max_backends, 200);
	assert_int_equal(options.max_frontends, 300);
	assert_int_equal(options.max_flows, 4000);
	assert_int_equal(options.max_udp_flows, 3000);
	assert_int_equal(options.max_new_flows, 5000);
	assert_int_equal(options.max_slots, 100000);
	assert_string_equal(options.bpffs_dir, "/b");
	assert_string_equal(options.control_path, "/c");
	assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
	assert_true(options.check);
}

static void limits_of_numbers_are_good_values(void **state)
{
	(void)state;
	ASSERT_PARSED("--bypass", "off");
	assert_int_equal(options.bypass, PLAN_BYPASS_OFF);
	ASSERT_PARSED("--services", "labelled");
	assert_int_equal(options.services, OPTIONS_SERVICES_LABELLED);
	ASSERT_PARSED("--socket-lb", "/sys/fs/cgroup");
	assert_string_equal(options.socket_lb, "/sys/fs/cgroup");
	ASSERT_PARSED("--bypass", "on");
	assert_string_equal(options.socket_lb, "auto");
	assert_int_equal(options.attach, DATAPATH_ATTACH_LINK);
	ASSERT_PARSED("--attach", "dispatcher");
	assert_int_equal(options.attach, DATAPATH_ATTACH_DISPATCHER);
	ASSERT_PARSED("--tc", "clsact");
	assert_int_equal(options.tc, DATAPATH_TC_CLSACT);
	ASSERT_PARSED("--snat-ports", "2000-2063");
	assert_int_equal(options.snat_ports.first, 2000);
	assert_int_equal(options.snat_ports.last, 2063);
	ASSERT_PARSED("--linger", "0");
	assert_int_equal(options.linger_s, 0);
	ASSERT_PARSED("--linger", "86400");
	ASSERT_PARSED("--hash-seed", "18446744073709551615");
	assert_true(options.hash_seed == UINT64_MAX);
	ASSERT_PARSED("--linger", "08"); /* decimal, not broken octal */
	assert_int_equal(options.linger_s, 8);
}

static void last_of_a_repeated_option_wins(void **state)
{
	(void)state;
	ASSERT_PARSED("--linger", "5", "--linger", "6");
	assert_int_equal(options.linger_s, 6);
}

static void detach_needs_no_source(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--detach"), 0);
	assert_true(options.detach);
}

static void help_and_version_need_nothing_else(void **state)
{
	(void)state;
	setenv("GUIDEWAY_LINGER", "x", 1);
	assert_int_equal(PARSE("--help"), 0);
	assert_true(options.help);
	assert_int_equal(PARSE("-h"), 0);
	assert_true(options.help);
	assert_int_equal(PARSE("--version"), 0);
	assert_true(options.version);
}

/* ---- the environment -------------------------------------------------------- */

static void environment_sets_what_the_command_line_does_not(void **state)
{
	(void)state;
	setenv("GUIDEWAY_SOURCE", "file:/env", 1);
	setenv("GUIDEWAY_MAX_SERVICES", "77", 1);
	setenv("GUIDEWAY_LINGER", "7", 1);
	setenv("GUIDEWAY_CHECK", "true", 1);
	setenv("GUIDEWAY_ATTACH", "dispatcher", 1);
	assert_int_equal(PARSE("--linger", "9"), 0);
	assert_int_equal(options.attach, DATAPATH_ATTACH_DISPATCHER);
	assert_string_equal(options.source_path, "/env");
	assert_int_equal(options.max_services, 77);
	assert_int_equal(options.linger_s, 9);
	assert_true(options.check);
	setenv("GUIDEWAY_CHECK", "0", 1);
	assert_int_equal(PARSE("--linger", "9"), 0);
	assert_false(options.check);
}

static void lists_of_the_environment_are_split(void **state)
{
	(void)state;
	setenv("GUIDEWAY_DEVICE", "eth0, eth1,eth2\teth3 ", 1);
	setenv("GUIDEWAY_POD_CIDR", "10.1.0.0/16,fd00::/64", 1);
	ASSERT_PARSED("--linger", "1");
	assert_int_equal(options.ndevices, 4);
	assert_string_equal(options.devices[1], "eth1");
	assert_string_equal(options.devices[3], "eth3");
	assert_int_equal(options.npod_cidrs, 2);
	/* A list of the command line takes its place as a whole. */
	ASSERT_PARSED("--device", "lan0");
	assert_int_equal(options.ndevices, 1);
	assert_string_equal(options.devices[0], "lan0");
}

static void downward_api_names_stand_in(void **state)
{
	char text[ADDR_STRLEN];

	(void)state;
	setenv("NODE_NAME", "worker7", 1);
	setenv("POD_IP", "10.200.0.7", 1);
	ASSERT_PARSED("--linger", "1");
	assert_string_equal(options.node, "worker7");
	assert_int_equal(options.nnode_addresses, 1);
	assert_string_equal(addr_format(&options.node_addresses[0], text), "10.200.0.7");
	setenv("GUIDEWAY_NODE", "other", 1);
	ASSERT_PARSED("--linger", "1");
	assert_string_equal(options.node, "other");
	ASSERT_PARSED("--node", "third");
	assert_string_equal(options.node, "third");
}

static void empty_variable_is_unset(void **state)
{
	(void)state;
	setenv("GUIDEWAY_LINGER", "", 1);
	setenv("GUIDEWAY_NODE", "", 1);
	setenv("NODE_NAME", "worker7", 1);
	ASSERT_PARSED("--hook", "auto");
	assert_int_equal(options.linger_s, 30);
	assert_string_equal(options.node, "worker7");
}

static void bad_variable_is_named(void **state)
{
	(void)state;
	setenv("GUIDEWAY_MAX_FLOWS", "many", 1);
	ASSERT_REFUSED("GUIDEWAY_MAX_FLOWS: \"many\" is not a number of flows (1024-134217728)",
		       "--check");
	clearenv();
	setenv("GUIDEWAY_DETACH", "maybe", 1);
	ASSERT_REFUSED("GUIDEWAY_DETACH: \"maybe\" is neither true nor false", "--check");
	clearenv();
	setenv("POD_IP", "me", 1);
	ASSERT_REFUSED("POD_IP: \"me\" is not an IP address", "--check");
	clearenv();
	setenv("GUIDEWAY_NODE_ADDRESS", "10.0.0.1,10.0.0.300", 1);
	ASSERT_REFUSED("GUIDEWAY_NODE_ADDRESS: \"10.0.0.300\" is not an IP address", "--check");
}

static void variables_of_help_and_version_are_not_ours(void **state)
{
	(void)state;
	setenv("GUIDEWAY_VERSION", "0.1", 1); /* an image's own, say */
	ASSERT_PARSED("--check");
	assert_false(options.version);
}

/* ---- bad input: one line each ----------------------------------------------- */

static void bad_values_are_named(void **state)
{
	static const struct {
		const char *option, *value, *text;
	} rows[] = {
		{"--source", "/m", "--source: \"/m\" is neither file:PATH nor kubernetes"},
		{"--source", "file:", "--source: \"file:\" is neither file:PATH nor kubernetes"},
		{"--source", "", "--source: \"\" is neither file:PATH nor kubernetes"},
		{"--device", "", "--device: \"\" is not a device's name (1-15 characters)"},
		{"--device", "a-name-far-too-long",
		 "--device: \"a-name-far-too-long\" is not a device's name (1-15 characters)"},
		{"--device", "eth0 eth1",
		 "--device: \"eth0 eth1\" is not a device's name (1-15 characters)"},
		{"--device", "../x", "--device: \"../x\" is not a device's name (1-15 characters)"},
		{"--pod-device", "",
		 "--pod-device: \"\" is not a pattern of device names (1-63 characters)"},
		{"--node", "", "--node: \"\" is not a node's name (1-255 characters)"},
		{"--node-address", "node1", "--node-address: \"node1\" is not an IP address"},
		{"--nodeport-addresses", "all",
		 "--nodeport-addresses: \"all\" is not primary or ADDRESS/LENGTH"},
		{"--node-address", "10.0.0.1/24",
		 "--node-address: \"10.0.0.1/24\" is not an IP address"},
		{"--node-address", "0.0.0.0",
		 "--node-address: \"0.0.0.0\" is not a node's address: it is unspecified"},
		{"--node-address", "ff02::1",
		 "--node-address: \"ff02::1\" is not a node's address: it is multicast"},
		{"--pod-cidr", "10.1.0.0/33", "--pod-cidr: \"10.1.0.0/33\" is not ADDRESS/LENGTH"},
		{"--pod-cidr", "pods", "--pod-cidr: \"pods\" is not ADDRESS/LENGTH"},
		{"--hook", "native", "--hook: \"native\" is not a hook (auto|xdp|xdp-generic|tc)"},
		{"--listen", "9095", "--listen: \"9095\" is neither ADDR:PORT nor off"},
		{"--listen", "::1:9095", "--listen: \"::1:9095\" is neither ADDR:PORT nor off"},
		{"--listen", "127.0.0.1:", "--listen: \"127.0.0.1:\" is neither ADDR:PORT nor off"},
		{"--listen", "127.0.0.1:70000",
		 "--listen: \"127.0.0.1:70000\" is neither ADDR:PORT nor off"},
		{"--bypass", "yes", "--bypass: \"yes\" is not a rule (auto|on|off)"},
		{"--services", "none",
		 "--services: \"none\" is not a choice of Services (all|labelled)"},
		{"--socket-lb", "", "--socket-lb: is empty: CGROUP|auto|off expected"},
		{"--attach", "xdp", "--attach: \"xdp\" is not a way to attach (link|dispatcher)"},
		{"--tc", "tcp", "--tc: \"tcp\" is not a way to attach (auto|tcx|clsact)"},
		{"--snat-ports", "10000",
		 "--snat-ports: \"10000\" is not a range of 64 ports or more (FROM-TO)"},
		{"--snat-ports", "10000-10062",
		 "--snat-ports: \"10000-10062\" is not a range of 64 ports or more (FROM-TO)"},
		{"--snat-ports", "0-5000",
		 "--snat-ports: \"0-5000\" is not a range of 64 ports or more (FROM-TO)"},
		{"--snat-ports", "60000-65536",
		 "--snat-ports: \"60000-65536\" is not a range of 64 ports or more (FROM-TO)"},
		{"--snat-ports", "20000-30000",
		 "--snat-ports: \"20000-30000\" overlaps the node ports, 30000-32767"},
		{"--health", "ping", "--health: \"ping\" is not a check (none|tcp|http:PATH)"},
		{"--health", "http:healthz",
		 "--health: \"http:healthz\" is not a check (none|tcp|http:PATH)"},
		{"--health-interval", "99",
		 "--health-interval: \"99\" is not a number of milliseconds (100-3600000)"},
		{"--health-rise", "0", "--health-rise: \"0\" is not a number of checks (1-100)"},
		{"--health-fall", "101",
		 "--health-fall: \"101\" is not a number of checks (1-100)"},
		{"--linger", "x", "--linger: \"x\" is not a number of seconds (0-86400)"},
		{"--linger", "", "--linger: \"\" is not a number of seconds (0-86400)"},
		{"--linger", "-1", "--linger: \"-1\" is not a number of seconds (0-86400)"},
		{"--linger", "+1", "--linger: \"+1\" is not a number of seconds (0-86400)"},
		{"--linger", " 1", "--linger: \" 1\" is not a number of seconds (0-86400)"},
		{"--linger", "30s", "--linger: \"30s\" is not a number of seconds (0-86400)"},
		{"--linger", "86401", "--linger: \"86401\" is not a number of seconds (0-86400)"},
		{"--linger", "99999999999999999999",
		 "--linger: \"99999999999999999999\" is not a number of seconds (0-86400)"},
		{"--linger", "0x", "--linger: \"0x\" is not a number of seconds (0-86400)"},
		{"--hash-seed", "-1",
		 "--hash-seed: \"-1\" is not a number (0-18446744073709551615)"},
		{"--hash-seed", "18446744073709551616",
		 "--hash-seed: \"18446744073709551616\" is not a number (0-18446744073709551615)"},
		{"--hash-seed", "beef",
		 "--hash-seed: \"beef\" is not a number (0-18446744073709551615)"},
		{"--max-services", "15",
		 "--max-services: \"15\" is not a number of services (16-1048576)"},
		{"--max-backends", "1",
		 "--max-backends: \"1\" is not a number of backends (16-4194304)"},
		{"--max-frontends", "0",
		 "--max-frontends: \"0\" is not a number of frontends (16-4194304)"},
		{"--max-flows", "1023",
		 "--max-flows: \"1023\" is not a number of flows (1024-134217728)"},
		{"--max-new-flows", "-5",
		 "--max-new-flows: \"-5\" is not a number of flows (1024-134217728)"},
		{"--max-slots", "65535",
		 "--max-slots: \"65535\" is not a number of slots (65536-268435456)"},
		{"--bpffs", "", "--bpffs: is empty: DIR expected"},
		{"--control", "", "--control: is empty: PATH expected"},
		{"--log-level", "loud",
		 "--log-level: \"loud\" is not a log level (error|warn|info|debug)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		ASSERT_REFUSED(rows[i].text, rows[i].option, rows[i].value);
}

static void unknown_option_suggests_the_nearest(void **state)
{
	(void)state;
	ASSERT_REFUSED("--devcie: unknown option, --device?", "--devcie", "eth0");
	ASSERT_REFUSED("--max-flow5: unknown option, --max-flows?", "--max-flow5=9");
	ASSERT_REFUSED("--frobnicate: unknown option, see --help", "--frobnicate");
	ASSERT_REFUSED("-x: unknown option, see --help", "-x");
	ASSERT_REFUSED("-device: unknown option, see --help", "-device", "eth0");
}

static void missing_value_stray_value_and_operand_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED("--linger: S is missing", "--linger");
	ASSERT_REFUSED("--check=1: --check takes no value", "--check=1");
	ASSERT_REFUSED("--max: fits several options, see --help", "--max", "5");
	ASSERT_REFUSED("\"start\": no operand expected, see --help", "start");
	ASSERT_REFUSED("\"x\": no operand expected, see --help", "--check", "--", "x");
	ASSERT_REFUSED("--check: excludes --detach", "--check", "--detach");
	ASSERT_REFUSED("--nodeport-addresses: primary stands alone", "--nodeport-addresses",
		       "primary", "--nodeport-addresses", "10.0.0.0/8");
	ASSERT_REFUSED("--nodeport-addresses: primary stands alone", "--nodeport-addresses",
		       "10.0.0.0/8", "--nodeport-addresses", "primary");
	assert_int_not_equal(PARSE("--check"), 0);
	assert_string_equal(error.text, "--source: is missing: file:PATH or kubernetes expected");
	assert_int_not_equal(PARSE(), 0);
}

static void too_long_a_list_is_refused(void **state)
{
	const char *args[2 * OPTIONS_LIST_MAX + 4] = {"--source=file:/m"};

	(void)state;
	for (int i = 0; i <= OPTIONS_LIST_MAX; i++) {
		args[1 + 2 * i] = "--device";
		args[2 + 2 * i] = "eth0";
	}
	assert_int_not_equal(parse(args), 0);
	assert_string_equal(error.text, "--device: more than 32 values");
}

static void too_long_a_socket_path_is_refused(void **state)
{
	char path[200] = "/";

	(void)state;
	memset(path + 1, 'a', 106);
	ASSERT_PARSED("--control", path); /* 107 bytes: all that sun_path has */
	path[107] = 'a';
	assert_int_not_equal(PARSE("--source=file:/m", "--control", path), 0);
	assert_non_null(strstr(error.text, "--control: "));
	assert_non_null(strstr(error.text, "longer"));
}

static void refused_options_leave_the_result_alone(void **state)
{
	(void)state;
	assert_int_not_equal(PARSE("--linger", "x"), 0);
	assert_int_equal(options.linger_s, 0xeeeeeeee);
}

/* ---- the rest ---------------------------------------------------------------- */

static void help_has_every_option_on_a_line_of_at_most_100_columns(void **state)
{
	char *text = NULL, *line, *rest;
	size_t length, options_seen = 0;
	FILE *to = open_memstream(&text, &length);

	(void)state;
	options_print_help(to);
	fclose(to);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		assert_true(strlen(line) <= 100);
		options_seen += strncmp(line, "  --", 4) == 0;
	}
	assert_int_equal(options_seen, 39);
	free(text);
}

static void pod_device_patterns_restrict(void **state)
{
	(void)state;
	ASSERT_PARSED("--check");
	assert_true(options_pod_device(&options, "anything"));
	ASSERT_PARSED("--pod-device", "veth*", "--pod-device", "cali?");
	assert_true(options_pod_device(&options, "veth1234"));
	assert_true(options_pod_device(&options, "calix"));
	assert_false(options_pod_device(&options, "cali"));
	assert_false(options_pod_device(&options, "eth0"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, clear_environment)
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_as_documented),
		TEST(every_option_is_read),
		TEST(limits_of_numbers_are_good_values),
		TEST(last_of_a_repeated_option_wins),
		TEST(detach_needs_no_source),
		TEST(help_and_version_need_nothing_else),
		TEST(environment_sets_what_the_command_line_does_not),
		TEST(lists_of_the_environment_are_split),
		TEST(downward_api_names_stand_in),
		TEST(empty_variable_is_unset),
		TEST(bad_variable_is_named),
		TEST(variables_of_help_and_version_are_not_ours),
		TEST(bad_values_are_named),
		TEST(unknown_option_suggests_the_nearest),
		TEST(missing_value_stray_value_and_operand_are_refused),
		TEST(too_long_a_list_is_refused),
		TEST(too_long_a_socket_path_is_refused),
		TEST(refused_options_leave_the_result_alone),
		TEST(help_has_every_option_on_a_line_of_at_most_100_columns),
		TEST(pod_device_patterns_restrict),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
