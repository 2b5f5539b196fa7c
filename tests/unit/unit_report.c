/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "check.h"
#include "report.h"

static struct report report;
static struct sync sync_state;
static struct snapshot snapshot;
static struct plan plan;
static struct lb_device table[LB_MAX_DEVICES];
static struct maps maps = {.devices = table};
static struct options options;
static const struct error nothing;

/* Lines on stderr, one message each. */
static int lines_fd, saved_stderr;

static int setup(void **state)
{
	struct error error;
	int fds[2];

	(void)state;
	snapshot = (struct snapshot){.revision = 4};
	plan = (struct plan){0};
	options = (struct options){.hash_seed = 1};
	sync_state = (struct sync){.snapshot = &snapshot, .plan = &plan, .maps = &maps};
	sync_state.view = (struct view){.snapshot = &snapshot, .plan = &plan};
	/* Whether the machine that tests forwards packets is not the question. */
	report = (struct report){.warned_forwarding = {true, true}};
	if (devices_open(&options, NULL, &sync_state.uplinks, &maps, &sync_state.devices, &error) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds))
		return -1;
	lines_fd = fds[0];
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(lines_fd);
	devices_close(sync_state.devices);
	report_clear(&report);
	return 0;
}

static const char *line(void)
{
	static char text[4096];
	ssize_t n = recv(lines_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void result(int err, const char *text)
{
	struct error error;

	error_set(&error, err, "%s", text);
	report_sync(&report, &sync_state, err, &error);
}

static void failure_is_told_when_it_begins_changes_and_ends(void **state)
{
	(void)state;
	result(-EIO, "one");
	assert_string_equal(line(), "error one\n");
	result(-EIO, "one");
	assert_string_equal(line(), "");
	result(-EIO, "two");
	assert_string_equal(line(), "error two\n");
	result(0, "");
	assert_string_equal(line(), "info recovered from two\n");
	result(0, "");
	assert_string_equal(line(), "");
}

static void refusal_is_told_when_it_appears(void **state)
{
	struct model_refusal refusals[2] = {{.where = "a:1",
					     .kind = "Service",
					     .namespace = "x",
					     .name = "s",
					     .object = "s",
					     .reason = "bad"},
					    {.where = "b:1",
					     .kind = "",
					     .namespace = "",
					     .name = "",
					     .object = "",
					     .reason = "broken"}};

	(void)state;
	snapshot.refusals = refusals;
	snapshot.nrefusals = 1;
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "warn refused object=x/s kind=Service at=a:1 reason=\"bad\"\n");
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "");
	snapshot.nrefusals = 2;
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "warn refused at=b:1 reason=\"broken\"\n");
	assert_string_equal(line(), "");
	refusals[0].reason = "worse";
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(),
			    "warn refused object=x/s kind=Service at=a:1 reason=\"worse\"\n");
	snapshot.nrefusals = 0;
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "info nothing is refused any more\n");
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "");
}

static void many_refusals_are_cut(void **state)
{
	static struct model_refusal refusals[300];
	static char reasons[300][16];
	int lines = 0;
	const char *text;

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(reasons[i], sizeof(reasons[i]), "number %d", i);
		refusals[i] = (struct model_refusal){.where = "a",
						     .kind = "",
						     .namespace = "",
						     .name = "",
						     .object = "",
						     .reason = reasons[i]};
	}
	snapshot.refusals = refusals;
	snapshot.nrefusals = 300;
	report_sync(&report, &sync_state, 0, &nothing);
	while (*(text = line()) && strcmp(text, "warn refused more=200\n"))
		lines++;
	assert_int_equal(lines, 100);
	assert_string_equal(text, "warn refused more=200\n");
}

static void change_is_one_line_and_a_next_hop_none(void **state)
{
	struct plan_backend backends[2] = {{.id = 1, .fresh = true}, {.id = 2}};

	(void)state;
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "");
	plan.backends = backends;
	plan.nbackends = 2;
	sync_state.took_ms = 5;
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "info synced revision=4 services=0 frontends=0 backends_new=1 "
				    "backends_changed=1 rings_changed=0 devices=0 took_ms=5\n");
	backends[0].fresh = false;
	report_sync(&report, &sync_state, 0, &nothing);
	assert_string_equal(line(), "");
}

/* ---- --check ------------------------------------------------------------------ */

static void check_finds_two_services_with_one_address(void **state)
{
	struct model_frontend frontend = {.kind = FRONTEND_CLUSTER_IP, .port = 80};
	struct model_service services[2] = {{.namespace = "default",
					     .name = "a",
					     .port_name = "http",
					     .created = "",
					     .family = 4,
					     .protocol = IPPROTO_TCP,
					     .port = 80,
					     .frontends = &frontend,
					     .nfrontends = 1}};
	char *out_text = NULL, *refused_text = NULL;
	size_t out_length, refused_length;
	FILE *out = open_memstream(&out_text, &out_length);
	FILE *refused = open_memstream(&refused_text, &refused_length);
	struct error error;

	(void)state;
	addr_parse("10.96.0.1", &frontend.addr);
	services[1] = services[0];
	services[1].name = "b";
	snapshot.services = services;
	snapshot.nservices = 2;
	assert_int_equal(check_report(&options, &snapshot, out, refused, &error), 1);
	fclose(out);
	fclose(refused);
	assert_string_equal(out_text, "service default/a:http TCP IPv4 10.96.0.1:80 endpoints=0\n"
				      "service default/b:http TCP IPv4 10.96.0.1:80 endpoints=0\n"
				      "2 services, 1 refused\n");
	assert_memory_equal(refused_text, "lbd: Service default/b: ", 24);
	assert_int_equal(strchr(refused_text, '\n') - refused_text, refused_length - 1);
	free(out_text);
	free(refused_text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(failure_is_told_when_it_begins_changes_and_ends),
		TEST(refusal_is_told_when_it_appears),
		TEST(many_refusals_are_cut),
		TEST(change_is_one_line_and_a_next_hop_none),
		TEST(check_finds_two_services_with_one_address),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
