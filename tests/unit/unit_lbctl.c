/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lbctl as people run it, against a daemon that gives the answers a test
 * wants: what a person or a script sees, byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "fake_lbd.h"
#include "lb.h"
#include "program.h"

/* ---- answers ------------------------------------------------------------- */

static const char services_body[] =
	"{\"services\":["
	"{\"service\":\"default/info\",\"port_name\":\"http\",\"protocol\":\"TCP\","
	"\"family\":\"IPv4\",\"port\":80,\"frontends\":["
	"{\"kind\":\"ClusterIP\",\"address\":\"10.96.0.10\",\"port\":80},"
	"{\"kind\":\"NodePort\",\"address\":\"10.200.0.2\",\"port\":30080}],"
	"\"endpoints\":5,\"usable\":4,\"state\":\"ok\",\"reason\":\"\"},"
	"{\"service\":\"default/info\",\"port_name\":\"http\",\"protocol\":\"TCP\","
	"\"family\":\"IPv6\",\"port\":80,\"frontends\":["
	"{\"kind\":\"ClusterIP\",\"address\":\"fd00:10:96::10\",\"port\":80},"
	"{\"kind\":\"ExternalIP\",\"address\":\"2001:db8::7\",\"port\":80}],"
	"\"endpoints\":0,\"usable\":0,\"state\":\"no_endpoint\",\"reason\":\"no slice\"},"
	"{\"service\":\"kube-system/dns\",\"port_name\":\"\",\"protocol\":\"UDP\","
	"\"family\":\"IPv4\",\"port\":53,\"frontends\":[],"
	"\"endpoints\":0,\"usable\":0,\"state\":\"refused\",\"reason\":\"claimed by a/b\"}]}";

struct backend {
	const char *address;
	bool ready, terminating;
	const char *state, *health;
	int slots;
};

static const struct backend backends[] = {
	{"10.244.1.2", true, false, "active", "off", 204},
	{"10.244.1.3", true, false, "draining", "up", 204},
	{"10.244.1.4", false, true, "active", "up", 204},
	{"10.244.1.5", false, false, "active", "unknown", 204},
	{"fd00::6", true, false, "active", "down", 204},
	{"10.244.2.2", true, false, "active", "off", 0},
};

static void backend_print(const struct backend *b, FILE *out)
{
	fprintf(out,
		"{\"service\":\"default/info\",\"port_name\":\"http\",\"protocol\":\"TCP\","
		"\"address\":\"%s\",\"port\":5000,\"node\":\"node1\",\"ready\":%s,"
		"\"serving\":true,\"terminating\":%s,\"state\":\"%s\",\"health\":\"%s\","
		"\"weight\":100,\"slots\":%d,\"flows\":12,\"connections_total\":1000,"
		"\"packets_total\":9007199254740993,\"bytes_total\":5,\"pod\":\"info-1\"}",
		b->address, b->ready ? "true" : "false", b->terminating ? "true" : "false",
		b->state, b->health, b->slots);
}

/* An answer to GET /v1/backends, malloc'ed. */
static char *backends_make(size_t n)
{
	char *body = NULL;
	size_t size;
	FILE *out = open_memstream(&body, &size);

	fputs("{\"backends\":[", out);
	for (size_t i = 0; i < n; i++) {
		struct backend backend = backends[i % (sizeof(backends) / sizeof(*backends))];
		char address[48];

		if (i >= sizeof(backends) / sizeof(*backends)) {
			snprintf(address, sizeof(address), "10.245.%zu.%zu", i / 256, i % 256);
			backend.address = address;
		}
		if (i)
			fputc(',', out);
		backend_print(&backend, out);
	}
	fputs("]}", out);
	fclose(out);
	return body;
}

static const char status_body[] =
	"{\"version\":\"0.1.0\",\"pid\":42,\"uptime_s\":3725,\"node\":\"node1\","
	"\"source\":\"file:/etc/guideway\",\"source_state\":\"stale\",\"revision\":7,"
	"\"synced_revision\":6,\"hash_seed\":1,\"services\":3,\"backends\":15,\"frontends\":4,"
	"\"attachments\":["
	"{\"device\":\"eth0\",\"role\":\"uplink\",\"hook\":\"xdp-generic\",\"attach\":\"dispatcher\",\"reason\":\"a veth\"},"
	"{\"device\":\"veth1\",\"role\":\"pod\",\"hook\":\"tc\",\"attach\":\"tcx\",\"reason\":\"\"}],"
	"\"socket_lb\":{\"cgroup\":\"/sys/fs/cgroup\",\"reason\":\"\"},"
	"\"refused\":[{\"where\":\"web.yaml:3\",\"kind\":\"Service\",\"object\":\"default/web\","
	"\"reason\":\"spec.ports[0].port: 70000 is not a port\"}],"
	"\"packets\":{\"none\":0,\"forwarded\":10,\"from_the_future\":1},"
	"\"bytes\":{\"none\":0,\"forwarded\":600,\"from_the_future\":60}}";

/* ---- tables -------------------------------------------------------------- */

static void services_list_is_a_table(void **state)
{
	GIVE(*state, {200, services_body});
	run_expect(
		ARGS("services", "list"), 0,
		"SERVICE             ADDRESS                      PORT           BACKENDS   STATE\n"
		"default/info:http   10.96.0.10                   80:30080/TCP   4/5        ok\n"
		"default/info:http   fd00:10:96::10,2001:db8::7   80/TCP         0/0        "
		"no_endpoint\n"
		"kube-system/dns     <none>                       53/UDP         0/0        "
		"refused\n",
		"");
}

static void services_list_wide_adds_frontends_and_reasons(void **state)
{
	struct run run;

	GIVE(*state, {200, services_body});
	run_begin(&run, ARGS("services", "list", "-o", "wide"));
	run_end(&run);
	assert_non_null(strstr(run.out, "FRONTENDS"));
	assert_non_null(strstr(run.out, "   ClusterIP=10.96.0.10:80,NodePort=10.200.0.2:30080 "));
	assert_non_null(strstr(run.out, "ClusterIP=[fd00:10:96::10]:80"));
	assert_non_null(strstr(run.out, "   claimed by a/b\n"));
	run_free(&run);
}

static void backends_list_tells_in_a_word_who_gets_new_flows(void **state)
{
	char *body = backends_make(6);

	GIVE(*state, {200, body});
	run_expect(
		ARGS("backends", "list"), 0,
		"SERVICE             ADDRESS           STATUS        SLOTS   FLOWS   CONNECTIONS\n"
		"default/info:http   10.244.1.2:5000   active        204     12      1000\n"
		"default/info:http   10.244.1.3:5000   draining      204     12      1000\n"
		"default/info:http   10.244.1.4:5000   terminating   204     12      1000\n"
		"default/info:http   10.244.1.5:5000   not_ready     204     12      1000\n"
		"default/info:http   [fd00::6]:5000    down          204     12      1000\n"
		"default/info:http   10.244.2.2:5000   unused        0       12      1000\n",
		"");
	free(body);
}

static void backends_list_wide_shows_every_field(void **state)
{
	char *body = backends_make(1);
	struct run run;

	GIVE(*state, {200, body});
	run_begin(&run, ARGS("backends", "list", "-o", "wide"));
	run_end(&run);
	assert_non_null(strstr(run.out, "\ndefault/info:http   TCP        10.244.1.2:5000   "
					"info-1   node1   active   true    true      false         "
					"active   off      100      204     12      1000          "
					"9007199254740993   5\n"));
	run_free(&run);
	free(body);
}

static void an_empty_list_is_its_headers(void **state)
{
	GIVE(*state, {200, "{\"services\":[]}"});
	run_expect(ARGS("services", "list"), 0, "SERVICE   ADDRESS   PORT   BACKENDS   STATE\n",
		   "");
}

static void lbctl_alone_is_status(void **state)
{
	static const char *const none[] = {NULL};
	static const char expected[] =
		"Node:        node1\n"
		"Daemon:      lbd 0.1.0, pid 42, up 1h2m\n"
		"Source:      file:/etc/guideway (stale)\n"
		"Revision:    7, the maps hold 6\n"
		"Services:    3\n"
		"Frontends:   4\n"
		"Backends:    15\n"
		"Processes:   served, cgroup /sys/fs/cgroup\n"
		"\n"
		"DEVICE   ROLE     HOOK          ATTACH       REASON\n"
		"eth0     uplink   xdp-generic   dispatcher   a veth\n"
		"veth1    pod      tc            tcx          <none>\n"
		"\n"
		"REFUSED      KIND      OBJECT        REASON\n"
		"web.yaml:3   Service   default/web   spec.ports[0].port: 70000 is not a port\n"
		"\n"
		"REASON            PACKETS   BYTES\n"
		"forwarded         10        600\n"
		"from_the_future   1         60\n";

	GIVE(*state, {200, status_body});
	run_expect(none, 0, expected, "");
	run_expect(ARGS("status"), 0, expected, "");
}

static void status_wide_says_what_reasons_mean(void **state)
{
	struct run run;

	GIVE(*state, {200, status_body});
	run_begin(&run, ARGS("status", "-o", "wide"));
	run_end(&run);
	assert_non_null(strstr(run.out, "\nnone              0         0       PASS "));
	assert_non_null(strstr(run.out, "   SENT      client to backend, sent on\n"));
	assert_non_null(strstr(run.out, "\nfrom_the_future   1         60      <none>"));
	run_free(&run);
}

static void control_characters_never_reach_the_terminal(void **state)
{
	GIVE(*state,
	     {200, "{\"services\":[{\"service\":\"a/\\u001b[31mb\\n\",\"port_name\":\"\xc3\xa9\","
		   "\"port\":1,\"protocol\":\"TCP\",\"state\":\"ok\"}]}"},
	     {500, "{\"error\":\"two\\nlines\"}"});
	run_expect(ARGS("services", "list"), 0,
		   "SERVICE       ADDRESS   PORT    BACKENDS   STATE\n"
		   "a/?[31mb?:\xc3\xa9   <none>    1/TCP   0/0        ok\n",
		   "");
	run_expect(ARGS("services", "list"), 1, "", "lbctl: two?lines\n");
}

/* ---- documents and names ------------------------------------------------- */

static void json_is_the_daemons_answer(void **state)
{
	char *backends_body = backends_make(6);
	const struct {
		const char *const *args;
		const char *body;
	} cases[] = {
		{ARGS("-o", "json", "services", "list"), services_body},
		{ARGS("backends", "list", "-ojson"), backends_body},
		{ARGS("status", "--output=json"), status_body},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *shown, *given;
		struct run run;

		GIVE(*state, {200, cases[i].body});
		run_begin(&run, cases[i].args);
		run_end(&run);
		shown = json_loads(run.out, 0, NULL);
		given = json_loads(cases[i].body, 0, NULL);
		assert_non_null(given);
		assert_true(json_equal(shown, given));
		json_decref(shown);
		json_decref(given);
		run_free(&run);
	}
	free(backends_body);
}

static void yaml_quotes_what_is_no_plain_word(void **state)
{
	GIVE(*state, {200, "{\"services\":[{\"word\":\"ok\",\"empty\":\"\",\"no\":\"no\","
			   "\"ip\":\"10.96.0.10\",\"port\":80,\"big\":9007199254740993,\"v\":true,"
			   "\"nothing\":null,\"half\":0.5,\"colon\":\"a: b\",\"hash\":\"a #b\","
			   "\"lines\":\"a\\nb\",\"list\":[],\"object\":{}}]}"});
	run_expect(ARGS("services", "list", "-o", "yaml"), 0,
		   "services:\n"
		   "- word: ok\n"
		   "  empty: ''\n"
		   "  'no': 'no'\n"
		   "  ip: '10.96.0.10'\n"
		   "  port: 80\n"
		   "  big: 9007199254740993\n"
		   "  v: true\n"
		   "  nothing: null\n"
		   "  half: 0.5\n"
		   "  colon: 'a: b'\n"
		   "  hash: 'a #b'\n"
		   "  lines: \"a\\nb\"\n"
		   "  list: []\n"
		   "  object: {}\n",
		   "");
}

static void names_come_once(void **state)
{
	char *body = backends_make(6);

	GIVE(*state, {200, services_body}, {200, body});
	run_expect(ARGS("services", "list", "-o", "name"), 0, "default/info\nkube-system/dns\n",
		   "");
	run_expect(ARGS("backends", "list", "-o", "name"), 0,
		   "10.244.1.2:5000\n10.244.1.3:5000\n10.244.1.4:5000\n10.244.1.5:5000\n"
		   "[fd00::6]:5000\n10.244.2.2:5000\n",
		   "");
	free(body);
}

/* ---- requests ------------------------------------------------------------ */

static void requests_are_those_of_the_api(void **state)
{
	struct fake_lbd *fake = *state;

	GIVE(fake, {200, "{\"backends\":[]}"});
	run_expect(ARGS("backends", "list"), 0, NULL, "");
	assert_string_equal(fake->method, "GET");
	assert_string_equal(fake->url, "/v1/backends");
	assert_string_equal(fake->service, "");
	run_expect(ARGS("--service", "kube-system/dns.x-1", "backends", "list"), 0, NULL, "");
	assert_string_equal(fake->url, "/v1/backends");
	assert_string_equal(fake->service, "kube-system/dns.x-1");
	GIVE(fake, {200, "{\"revision\":3}"});
	run_expect(ARGS("wait"), 0, "revision 3 is in the maps\n", "");
	assert_string_equal(fake->method, "POST");
	assert_string_equal(fake->url, "/v1/sync");
}

static void control_option_beats_the_environment(void **state)
{
	struct fake_lbd *fake = *state;

	GIVE(fake, {200, "{\"services\":[]}"});
	setenv("GUIDEWAY_CONTROL", "/nonexistent", 1);
	run_expect(ARGS("services", "list", "--control", fake->path), 0, NULL, "");
	run_expect(ARGS("services", "list"), 1, "",
		   "lbctl: no daemon answers on /nonexistent (is lbd running?)\n");
}

static void a_proxy_of_the_environment_is_not_asked(void **state)
{
	GIVE(*state, {200, "{\"services\":[]}"});
	setenv("http_proxy", "http://127.0.0.1:9", 1);
	setenv("all_proxy", "http://127.0.0.1:9", 1);
	run_expect(ARGS("services", "list"), 0, NULL, "");
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

/* ---- size ---------------------------------------------------------------- */

/* The time is told, not judged: machines are busy. */
static void ten_thousand_backends_are_listed_whole(void **state)
{
	static const char *const formats[] = {"table", "json"};
	char *body = backends_make(10000);

	GIVE(*state, {200, body});
	for (int i = 0; i < 2; i++) {
		size_t lines = 0;
		struct run run;

		run_begin(&run, ARGS("backends", "list", "-o", formats[i]));
		run_end(&run);
		assert_int_equal(WEXITSTATUS(run.status), 0);
		for (const char *line = run.out; (line = strchr(line, '\n')); line++)
			lines++;
		assert_in_range(lines, 10001, 1000000);
		print_message("# 10000 backends as %s: %.1f ms\n", formats[i], run.took_ms);
		run_free(&run);
	}
	free(body);
}

/* ---- words --------------------------------------------------------------- */

static void help_and_version_need_no_daemon(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, ARGS("--help", "whatever"));
	run_end(&run);
	assert_int_equal(WEXITSTATUS(run.status), 0);
	assert_non_null(strstr(run.out, "\n  backends list [--service NS/NAME]"));
	assert_non_null(strstr(run.out, "\n  wait [--timeout S]"));
	assert_non_null(strstr(run.out, "\n  -o, --output FORMAT"));
	assert_non_null(strstr(run.out, "\n      --control PATH"));
	for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 80);
	run_free(&run);
	run_expect(ARGS("--version"), 0, "lbctl " LB_VERSION "\n", "");
}

/* Run from the top of the tree, as make does. */
static void the_manual_tells_every_reason_as_lb_h_does(void **state)
{
	static const struct {
		const char *text, *row;
	} reasons[] = {
#define REASON_ROW(name, text, verdict, meaning) \
	{text, "\n" text "\tT{\n" #verdict ": " meaning "\nT}\tT{\n"},
		LB_REASONS(REASON_ROW)
#undef REASON_ROW
	};
	int fd = open("docs/man/lbctl.8", O_RDONLY | O_CLOEXEC);
	char *manual;

	(void)state;
	assert_true(fd >= 0);
	manual = fd_text(fd);
	close(fd);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (!strstr(manual, reasons[i].row))
			fail_msg("docs/man/lbctl.8 tells '%s' otherwise", reasons[i].text);
	free(manual);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(services_list_is_a_table),
		WITH_DAEMON(services_list_wide_adds_frontends_and_reasons),
		WITH_DAEMON(backends_list_tells_in_a_word_who_gets_new_flows),
		WITH_DAEMON(backends_list_wide_shows_every_field),
		WITH_DAEMON(an_empty_list_is_its_headers),
		WITH_DAEMON(lbctl_alone_is_status),
		WITH_DAEMON(status_wide_says_what_reasons_mean),
		WITH_DAEMON(control_characters_never_reach_the_terminal),
		WITH_DAEMON(json_is_the_daemons_answer),
		WITH_DAEMON(yaml_quotes_what_is_no_plain_word),
		WITH_DAEMON(names_come_once),
		WITH_DAEMON(requests_are_those_of_the_api),
		WITH_DAEMON(control_option_beats_the_environment),
		WITH_DAEMON(a_proxy_of_the_environment_is_not_asked),
		WITH_DAEMON(ten_thousand_backends_are_listed_whole),
		WITHOUT_DAEMON(help_and_version_need_no_daemon),
		WITHOUT_DAEMON(the_manual_tells_every_reason_as_lb_h_does),
	};

	(void)argc;
	if (program_find(argv[0], "lbctl"))
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
