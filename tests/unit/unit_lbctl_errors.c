/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lbctl where things go wrong or take their time: bad usage, no daemon, bad
 * answers, wait and --watch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_lbd.h"
#include "program.h"

/* ---- wait and --watch ---------------------------------------------------- */

static void wait_asks_again_until_all_is_in_the_maps(void **state)
{
	struct fake_lbd *fake = *state;

	GIVE(fake, {503, "{\"error\":\"web.yaml:3: broken\"}"},
	     {503, "{\"error\":\"web.yaml:3: broken\"}"}, {200, "{\"revision\":9}"});
	run_expect(ARGS("wait", "-o", "json"), 0, "{\n    \"revision\": 9\n}\n", "");
	assert_int_equal(fake->nrequests, 3);
}

static void wait_tells_the_last_reason_when_time_is_over(void **state)
{
	struct fake_lbd *fake = *state;

	GIVE(fake, {503, "{\"error\":\"first\"}"}, {503, "{\"error\":\"web.yaml:3: broken\"}"});
	run_expect(ARGS("wait", "--timeout", "1"), 1, "",
		   "lbctl: not in the maps after 1 s: web.yaml:3: broken\n");
	assert_in_range(fake->nrequests, 2, 5);
	GIVE(fake, {503, "{\"error\":\"busy\"}"});
	run_expect(ARGS("wait", "--timeout", "0"), 1, "",
		   "lbctl: not in the maps after 0 s: busy\n");
	assert_int_equal(fake->nrequests, 1);
}

static void wait_ends_at_once_where_waiting_does_not_help(void **state)
{
	struct fake_lbd *fake = *state;

	GIVE(fake, {404, "{\"error\":\"no such thing\"}"});
	run_expect(ARGS("wait"), 1, "", "lbctl: no such thing\n");
	GIVE(fake, {200, "{}"});
	run_expect(ARGS("wait"), 1, "", "lbctl: the daemon's answer has no number \"revision\"\n");
	assert_int_equal(fake->nrequests, 1);
}

static void wait_waits_for_a_daemon_that_starts(void **state)
{
	const struct timespec pause = {.tv_nsec = 400000000};
	struct fake_lbd *fake = *state;
	struct run run;

	GIVE(fake, {200, "{\"revision\":1}"});
	run_begin(&run, ARGS("wait"));
	nanosleep(&pause, NULL);
	fake_lbd_listen(fake);
	fake_lbd_run(fake);
	run_end(&run);
	assert_string_equal(run.err, "");
	assert_string_equal(run.out, "revision 1 is in the maps\n");
	run_free(&run);
}

static void watch_prints_again_what_changed(void **state)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	struct fake_lbd *fake = *state;
	struct run run;
	char *seen = NULL;

	GIVE(fake, {200, "{\"services\":[]}"}, {200, "{\"services\":[]}"},
	     {500, "{\"error\":\"for a moment\"}"}, {200, "{\"services\":[],\"x\":1}"});
	run_begin(&run, ARGS("services", "list", "--watch", "-o", "yaml"));
	for (int tries = 0; tries < 1000 && !(seen && strstr(seen, "x: 1")); tries++) {
		nanosleep(&pause, NULL);
		free(seen);
		seen = fd_text(run.out_fd);
	}
	kill(run.pid, SIGINT);
	run_end(&run);
	assert_string_equal(seen,
			    "services: []\n---\nerror: for a moment\n---\nservices: []\nx: 1\n");
	assert_string_equal(run.err, "");
	assert_true(WIFSIGNALED(run.status) && WTERMSIG(run.status) == SIGINT);
	free(seen);
	run_free(&run);
}

/* ---- errors -------------------------------------------------------------- */

static void bad_usage_is_one_line_and_exit_2(void **state)
{
	static const char too_long[] =
		"/1234567890123456789012345678901234567890123456789/123456789012345678901234567890"
		"123456789/1234567890123456789";
	const struct {
		const char *const *args;
		const char *err;
	} cases[] = {
		{ARGS("frobnicate"), "unknown command 'frobnicate' (see lbctl --help)"},
		{ARGS("services"), "'services' needs a word more: list, describe"},
		{ARGS("services", "lost"),
		 "unknown command 'services lost', known is: list, describe"},
		{ARGS("service", "list"), "unknown command 'service' (see lbctl --help)"},
		{ARGS(""), "unknown command '' (see lbctl --help)"},
		{ARGS("status", "now"), "'status' takes no argument 'now'"},
		{ARGS("services", "list", "a"), "'services list' takes no argument 'a'"},
		{ARGS("--frob", "status"), "unknown option '--frob' (see lbctl --help)"},
		{ARGS("status", "-x"), "unknown option '-x' (see lbctl --help)"},
		{ARGS("status", "--watch=1"), "option '--watch=1': no value is wanted"},
		{ARGS("status", "--control"), "option '--control' needs a value"},
		{ARGS("status", "-o"), "option '-o' needs a value"},
		{ARGS("status", "-o", "xml"), "-o: 'xml' is not table, wide, json, yaml or name"},
		{ARGS("status", "-o", "name"), "-o name: 'status' shows nothing with a name"},
		{ARGS("wait", "--watch"), "'wait' takes no option --watch"},
		{ARGS("status", "--service", "a/b"), "'status' takes no option --service"},
		{ARGS("--timeout", "1"), "'status' takes no option --timeout"},
		{ARGS("wait", "--timeout", "1s"),
		 "--timeout: '1s' is no number of seconds (0-1000000)"},
		{ARGS("wait", "--timeout", "-1"),
		 "--timeout: '-1' is no number of seconds (0-1000000)"},
		{ARGS("wait", "--timeout", "99999999999999999999"),
		 "--timeout: '99999999999999999999' is no number of seconds (0-1000000)"},
		{ARGS("backends", "list", "--service", "info"), "--service: 'info' is not NS/NAME"},
		{ARGS("backends", "list", "--service", "a/b/c"),
		 "--service: 'a/b/c' is not NS/NAME"},
		{ARGS("backends", "list", "--service", "a/"), "--service: 'a/' is not NS/NAME"},
		{ARGS("backends", "list", "--service", "a/b&x=1"),
		 "--service: 'a/b&x=1' is not NS/NAME"},
		{ARGS("backends", "drain"), "'backends drain' needs ADDR[:PORT]"},
		{ARGS("backends", "drain", "web"), "'web' is not ADDR[:PORT]"},
		{ARGS("backends", "undrain", "10.1.1.1:0"), "'10.1.1.1:0' is not ADDR[:PORT]"},
		{ARGS("backends", "drain", "10.1.1.1", "--timeout", "3"),
		 "'backends drain' takes --timeout with --wait alone"},
		{ARGS("backends", "undrain", "10.1.1.1", "--wait"),
		 "'backends undrain' takes no option --wait"},
		{ARGS("services", "describe"), "'services describe' needs NS/NAME"},
		{ARGS("services", "describe", "a"), "'a' is not NS/NAME"},
		{ARGS("ring", "show", "a/b:"), "'a/b:' is not NS/NAME[:PORT]"},
		{ARGS("flows", "list", "--client", "[::1"),
		 "--client: '[::1' is not ADDR or ADDR:PORT"},
		{ARGS("flows", "list", "--backend", "10.1.1.1:99999"),
		 "--backend: '10.1.1.1:99999' is not ADDR or ADDR:PORT"},
		{ARGS("flows", "list", "--limit", "x"),
		 "--limit: 'x' is no number of rows (0-1000000)"},
		{ARGS("flows", "delete"), "'flows delete' needs --service, --backend or --client"},
		{ARGS("flows", "delete", "--limit", "3", "--client", "10.1.1.1"),
		 "'flows delete' takes no option --limit"},
		{ARGS("--control", ""), "--control: the path is empty"},
		{ARGS("--control", too_long), "--control: the path is longer than 107 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char expected[256];

		snprintf(expected, sizeof(expected), "lbctl: %s\n", cases[i].err);
		run_expect(cases[i].args, 2, "", expected);
	}
	setenv("GUIDEWAY_CONTROL", too_long, 1);
	run_expect(ARGS("status"), 2, "",
		   "lbctl: GUIDEWAY_CONTROL: the path is longer than 107 bytes\n");
}

static void errors_are_documents_where_documents_were_asked_for(void **state)
{
	struct fake_lbd *fake = *state;
	char expected[256];

	run_expect(ARGS("--frob", "-o", "json"), 2,
		   "{\"error\":\"unknown option '--frob' (see lbctl --help)\"}\n", "");
	run_expect(ARGS("frob", "-o", "yaml"), 2,
		   "error: unknown command 'frob' (see lbctl --help)\n", "");
	snprintf(expected, sizeof(expected),
		 "{\"error\":\"no daemon answers on %s (is lbd running?)\"}\n", fake->path);
	run_expect(ARGS("-o", "json"), 1, expected, "");
	/* what can't be a document is said as it is */
	run_expect(ARGS("\xff", "-o", "json"), 2, "",
		   "lbctl: unknown command '\xff' (see lbctl --help)\n");
}

static void no_daemon_is_said_with_the_path(void **state)
{
	struct fake_lbd *fake = *state;
	char expected[256];

	snprintf(expected, sizeof(expected), "lbctl: no daemon answers on %s (is lbd running?)\n",
		 fake->path);
	run_expect(ARGS("status"), 1, "", expected);
	/* a socket that a killed daemon left */
	fake_lbd_listen(fake);
	close(fake->fd);
	fake->fd = -1;
	run_expect(ARGS("status"), 1, "", expected);
	snprintf(expected, sizeof(expected),
		 "lbctl: not in the maps after 0 s: no daemon answers "
		 "on %s (is lbd running?)\n",
		 fake->path);
	run_expect(ARGS("wait", "--timeout", "0"), 1, "", expected);
}

static void bad_answers_are_one_line(void **state)
{
	struct fake_lbd *fake = *state;
	char expected[256];

	GIVE(fake, {200, "{\"services\":[{\"service\":"});
	run_expect(ARGS("services", "list"), 1, "",
		   "lbctl: the daemon's answer is no JSON (parse error: premature EOF)\n");
	GIVE(fake, {200, "[]"});
	run_expect(ARGS("services", "list"), 1, "",
		   "lbctl: the daemon's answer is no JSON object\n");
	GIVE(fake, {200, "{\"services\":{}}"});
	run_expect(ARGS("services", "list"), 1, "",
		   "lbctl: the daemon's answer has no list \"services\"\n");
	GIVE(fake, {200, "{}"});
	run_expect(ARGS("status"), 1, "",
		   "lbctl: the daemon's answer has no list \"attachments\"\n");
	GIVE(fake, {500, "{\"error\":\"out of luck\"}"});
	run_expect(ARGS("status"), 1, "", "lbctl: out of luck\n");
	GIVE(fake, {500, "<html>"});
	run_expect(ARGS("status"), 1, "", "lbctl: the daemon answers HTTP 500\n");
	GIVE(fake, {404, ""});
	run_expect(ARGS("status"), 1, "", "lbctl: the daemon answers HTTP 404\n");
	GIVE(fake, {0, "{\"services\":[]}"});
	snprintf(expected, sizeof(expected),
		 "lbctl: the daemon on %s broke off its answer (Transferred a partial file)\n",
		 fake->path);
	run_expect(ARGS("services", "list"), 1, "", expected);
}

static void rows_of_another_shape_are_shown_as_far_as_they_go(void **state)
{
	GIVE(*state, {200, "{\"backends\":[1,null,[],{\"service\":7,\"address\":{},\"slots\":\"x\","
			   "\"flows\":[]}]}"});
	run_expect(ARGS("backends", "list"), 0,
		   "SERVICE   ADDRESS   STATUS   SLOTS    FLOWS    CONNECTIONS\n"
		   "<none>    :0        <none>   <none>   <none>   <none>\n"
		   "<none>    :0        <none>   <none>   <none>   <none>\n"
		   "<none>    :0        <none>   <none>   <none>   <none>\n"
		   "7         :0        <none>   x        <none>   <none>\n",
		   "");
}

static void a_daemon_that_hangs_costs_five_seconds(void **state)
{
	struct fake_lbd *fake = *state;
	char expected[256];
	struct run run;

	fake_lbd_listen(fake); /* nobody accepts */
	run_begin(&run, ARGS("status"));
	run_end(&run);
	snprintf(expected, sizeof(expected), "lbctl: the daemon on %s did not answer within 5 s\n",
		 fake->path);
	assert_string_equal(run.err, expected);
	assert_int_equal(WEXITSTATUS(run.status), 1);
	assert_in_range(run.took_ms, 4900, 7000);
	run_free(&run);
}

static void a_full_disk_is_not_success(void **state)
{
	struct run run;

	GIVE(*state, {200, "{\"services\":[]}"});
	run_begin_to(&run, ARGS("services", "list"), open("/dev/full", O_RDWR | O_CLOEXEC));
	run_end(&run);
	assert_string_equal(run.err, "lbctl: standard output: No space left on device\n");
	assert_int_equal(WEXITSTATUS(run.status), 1);
	run_free(&run);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(wait_asks_again_until_all_is_in_the_maps),
		WITH_DAEMON(wait_tells_the_last_reason_when_time_is_over),
		WITH_DAEMON(wait_ends_at_once_where_waiting_does_not_help),
		WITHOUT_DAEMON(wait_waits_for_a_daemon_that_starts),
		WITH_DAEMON(watch_prints_again_what_changed),
		WITHOUT_DAEMON(bad_usage_is_one_line_and_exit_2),
		WITHOUT_DAEMON(errors_are_documents_where_documents_were_asked_for),
		WITHOUT_DAEMON(no_daemon_is_said_with_the_path),
		WITH_DAEMON(bad_answers_are_one_line),
		WITH_DAEMON(rows_of_another_shape_are_shown_as_far_as_they_go),
		WITHOUT_DAEMON(a_daemon_that_hangs_costs_five_seconds),
		WITH_DAEMON(a_full_disk_is_not_success),
	};

	(void)argc;
	if (program_find(argv[0], "lbctl"))
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
