/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The Kubernetes source against a server that misbehaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_api.h"
#include "log.h"
#include "model.h"
#include "source_kube.h"
#include "texts.h"

#define PATIENCE_MS 20000

struct world {
	struct fake_api *api;
	struct source_kube *source;
	uv_loop_t loop;
	unsigned int changes;
	char *text; /* of the last snapshot */
	uint64_t revision;
};

static const struct source_node here = {.name = "here"};

static void on_change(void *arg)
{
	struct world *world = arg;

	world->changes++;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	log_set_level(LOG_LEVEL_ERROR);
	world->api = fake_api_start();
	assert_int_equal(uv_loop_init(&world->loop), 0);
	*state = world;
	return 0;
}

static void open_with(struct world *world, struct kube_config *config)
{
	struct error error;

	assert_int_equal(source_kube_open(config, here.name, &world->source, &error), 0);
	assert_int_equal(source_kube_watch(world->source, &world->loop, on_change, world, &error),
			 0);
}

static void start(struct world *world)
{
	struct kube_config config = {.server = strdup(fake_api_url(world->api)), .origin = "test"};

	open_with(world, &config);
}

static int teardown(void **state)
{
	struct world *world = *state;

	source_kube_close(world->source);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	fake_api_stop(world->api);
	free(world->text);
	free(world);
	return 0;
}

/* ---- words ----------------------------------------------------------------------- */

static void turn(struct world *world)
{
	uv_run(&world->loop, UV_RUN_NOWAIT);
	usleep(1000);
}

static int load(struct world *world, struct error *error)
{
	struct snapshot *snapshot;
	int err = source_kube_load(world->source, &here, &snapshot, error);

	if (err)
		return err;
	free(world->text);
	world->text = snapshot_text(snapshot);
	world->revision = snapshot->revision;
	snapshot_free(snapshot);
	return 0;
}

/* Until the snapshot reads so. */
static void expect(struct world *world, const char *text)
{
	struct error error = {""};

	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		turn(world);
		if (!load(world, &error) && !strcmp(world->text, text))
			return;
	}
	assert_string_equal(world->text ?: error.text, text);
}

static void expect_trouble(struct world *world, const char *text)
{
	const char *trouble = NULL;

	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		turn(world);
		trouble = source_kube_trouble(world->source);
		if (trouble && strstr(trouble, text))
			return;
	}
	assert_string_equal(trouble ?: "no trouble", text);
}

static void pass(struct world *world, int ms)
{
	while (ms--)
		turn(world);
}

static void put_service(struct world *world, const char *name, int port)
{
	char json[512];

	snprintf(json, sizeof(json),
		 "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},"
		 "\"spec\":{\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"port\":%d}]}}",
		 name, port);
	fake_api_put(world->api, "services", name, json);
}

static void put_slice(struct world *world, const char *name, const char *service, const char *addr)
{
	char json[512];

	snprintf(
		json, sizeof(json),
		"{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"labels\":"
		"{\"kubernetes.io/service-name\":\"%s\"}},\"addressType\":\"IPv4\","
		"\"ports\":[{\"name\":\"\",\"port\":8080}],\"endpoints\":[{\"addresses\":[\"%s\"]}]}",
		name, service, addr);
	fake_api_put(world->api, "endpointslices", name, json);
}

#define WEB "default/web:/TCP/4 C10.96.0.1:80 -> 10.1.0.1:8080\n"

static void serve_web(struct world *world)
{
	put_service(world, "web", 80);
	put_slice(world, "web-1", "web", "10.1.0.1");
}

/* ---- tests ------------------------------------------------------------------------- */

static void what_the_server_has_becomes_a_snapshot_and_follows_it(void **state)
{
	struct world *world = *state;

	serve_web(world);
	start(world);
	expect(world, WEB);
	put_service(world, "other", 81);
	expect(world, "default/other:/TCP/4 C10.96.0.1:81 ->\n" WEB);
	put_slice(world, "web-1", "web", "10.1.0.2");
	expect(world, "default/other:/TCP/4 C10.96.0.1:81 ->\n"
		      "default/web:/TCP/4 C10.96.0.1:80 -> 10.1.0.2:8080\n");
	fake_api_delete(world->api, "services", "web");
	expect(world, "default/other:/TCP/4 C10.96.0.1:81 ->\n");
	assert_int_equal(fake_api_requests(world->api, "limit="), 4);
	for (int ms = 0; ms < PATIENCE_MS && world->changes < 2; ms++)
		turn(world);
	assert_true(world->changes >= 2);
}

/* Of a thousand nodes' heartbeats only this one's are of concern. */
static void this_node_alone_is_asked_for_and_waited_for(void **state)
{
	struct world *world = *state;
	struct snapshot *snapshot;
	struct error error;

	serve_web(world);
	fake_api_put(world->api, "nodes", "here",
		     "{\"metadata\":{\"name\":\"here\",\"labels\":"
		     "{\"topology.kubernetes.io/zone\":\"a\"}},"
		     "\"spec\":{\"podCIDRs\":[\"10.244.1.0/24\"]}}");
	fake_api_misbehave(world->api, FAULT_403, "/nodes?limit", 1);
	start(world);
	expect_trouble(world, "no permission to list nodes (403)");
	assert_int_equal(load(world, &error), -EAGAIN);
	expect(world, WEB);
	assert_int_equal(source_kube_load(world->source, &here, &snapshot, &error), 0);
	assert_string_equal(snapshot->node.zone, "a");
	assert_int_equal(snapshot->node.npod_cidrs, 1);
	snapshot_free(snapshot);
	assert_true(fake_api_requests(world->api, "fieldSelector=metadata.name%3Dhere") >= 2);
	/* The zone changes: so does the snapshot, though no text of it. */
	fake_api_put(world->api, "nodes", "here", "{\"metadata\":{\"name\":\"here\"}}");
	for (int ms = 0; ms < PATIENCE_MS && world->revision < 2; ms++) {
		turn(world);
		load(world, &error);
	}
	assert_int_equal(world->revision, 2);
}

static bool node_is_known(struct world *world)
{
	struct snapshot *snapshot;
	struct error error;
	bool known;

	turn(world);
	if (source_kube_load(world->source, &here, &snapshot, &error))
		return false;
	known = snapshot->node.known;
	snapshot_free(snapshot);
	return known;
}

/* It has no namespace, so it isn't to be looked for in "default". */
static void a_node_that_is_deleted_is_gone(void **state)
{
	struct world *world = *state;
	bool known = false;

	fake_api_put(world->api, "nodes", "here", "{\"metadata\":{\"name\":\"here\"}}");
	start(world);
	for (int ms = 0; ms < PATIENCE_MS && !known; ms++)
		known = node_is_known(world);
	assert_true(known);
	fake_api_delete(world->api, "nodes", "here");
	for (int ms = 0; ms < PATIENCE_MS && known; ms++)
		known = node_is_known(world);
	assert_false(known);
}

static void no_snapshot_before_every_kind_has_been_listed(void **state)
{
	struct world *world = *state;
	struct error error;

	serve_web(world);
	fake_api_misbehave(world->api, FAULT_403, "/endpointslices?limit", -1);
	start(world);
	expect_trouble(world, "no permission to list endpointslices (403)");
	pass(world, 100);
	assert_int_equal(load(world, &error), -EAGAIN);
	assert_non_null(strstr(error.text, "no permission to list endpointslices"));
	assert_int_equal(world->changes, 0);
	fake_api_misbehave(world->api, FAULT_NONE, "", 0);
	expect(world, WEB);
	assert_null(source_kube_trouble(world->source));
}

static void long_lists_come_in_pages(void **state)
{
	struct world *world = *state;
	char name[32], *expected = strdup("");

	for (int i = 0; i < 25; i++) {
		char *longer;

		snprintf(name, sizeof(name), "s%02d", i);
		put_service(world, name, 80 + i);
		assert_true(asprintf(&longer, "%sdefault/%s:/TCP/4 C10.96.0.1:%d ->\n", expected,
				     name, 80 + i) > 0);
		free(expected);
		expected = longer;
	}
	fake_api_page(world->api, 10);
	/* The second page fails once: nothing of the first is lost. */
	fake_api_misbehave(world->api, FAULT_500, "continue=10", 1);
	start(world);
	expect(world, expected);
	assert_int_equal(fake_api_requests(world->api, "services?limit=500&continue=20"), 1);
	free(expected);
}

static void a_list_that_breaks_off_removes_nothing(void **state)
{
	struct world *world = *state;

	serve_web(world);
	start(world);
	expect(world, WEB);
	/* The history is gone, so it has to list anew, and can't. */
	fake_api_misbehave(world->api, FAULT_CUT, "limit=", -1);
	fake_api_forget(world->api);
	fake_api_cut(world->api);
	expect_trouble(world, "can't list");
	pass(world, 300);
	expect(world, WEB);
	/* What was deleted meanwhile is found by comparison. */
	fake_api_delete(world->api, "services", "web");
	put_service(world, "new", 90);
	pass(world, 200);
	expect(world, WEB);
	fake_api_misbehave(world->api, FAULT_NONE, "", 0);
	expect(world, "default/new:/TCP/4 C10.96.0.1:90 ->\n");
}

/* Each fault in a watch, and changes while it lasts: all are found. */
static void watches_recover_from(struct world *world, enum fake_api_fault fault)
{
	serve_web(world);
	start(world);
	expect(world, WEB);
	fake_api_misbehave(world->api, fault, "watch=1", 3);
	fake_api_cut(world->api);
	put_service(world, "more", 81);
	fake_api_delete(world->api, "endpointslices", "web-1");
	put_slice(world, "web-2", "web", "10.1.0.9");
	expect(world, "default/more:/TCP/4 C10.96.0.1:81 ->\n"
		      "default/web:/TCP/4 C10.96.0.1:80 -> 10.1.0.9:8080\n");
	for (int ms = 0; ms < PATIENCE_MS && source_kube_trouble(world->source); ms++)
		turn(world);
	assert_null(source_kube_trouble(world->source));
}

#define WATCH_TEST(name, fault) \
	static void name(void **state) \
	{ \
		watches_recover_from(*state, fault); \
	}
WATCH_TEST(watches_recover_from_a_cut_in_a_line, FAULT_CUT)
WATCH_TEST(watches_recover_from_an_error_of_the_server, FAULT_500)
WATCH_TEST(watches_recover_from_too_many_requests, FAULT_429)
WATCH_TEST(watches_recover_from_a_version_that_is_gone, FAULT_GONE)
WATCH_TEST(watches_recover_from_a_version_that_goes, FAULT_GONE_EVENT)
WATCH_TEST(watches_recover_from_a_line_that_is_no_json, FAULT_GARBAGE)
WATCH_TEST(watches_recover_from_a_line_that_is_too_long, FAULT_HUGE)
WATCH_TEST(watches_recover_from_refused_credentials, FAULT_401)

static void a_server_that_is_away_loses_nothing_and_is_not_pestered(void **state)
{
	struct world *world = *state;
	unsigned int before;

	serve_web(world);
	start(world);
	expect(world, WEB);
	fake_api_down(world->api);
	expect_trouble(world, "can't watch");
	pass(world, 3000);
	expect(world, WEB);
	put_service(world, "more", 81);
	fake_api_delete(world->api, "services", "web");
	fake_api_up(world->api);
	expect(world, "default/more:/TCP/4 C10.96.0.1:81 ->\n");
	/* Cut again and again: a request a second and kind at most, in the mean. */
	before = fake_api_requests(world->api, "");
	for (int i = 0; i < 20; i++) {
		fake_api_cut(world->api);
		pass(world, 100);
	}
	assert_in_range(fake_api_requests(world->api, "") - before, 1, 21);
}

static void a_bad_object_keeps_its_last_state_and_costs_no_other(void **state)
{
	struct world *world = *state;

	serve_web(world);
	start(world);
	expect(world, WEB);
	put_service(world, "web", 0);
	put_service(world, "more", 81);
	expect(world, "default/more:/TCP/4 C10.96.0.1:81 ->\n" WEB);
	put_service(world, "web", 82);
	expect(world, "default/more:/TCP/4 C10.96.0.1:81 ->\n"
		      "default/web:/TCP/4 C10.96.0.1:82 -> 10.1.0.1:8080\n");
}

static void nothing_new_is_no_new_revision(void **state)
{
	struct world *world = *state;
	uint64_t revision;

	serve_web(world);
	start(world);
	expect(world, WEB);
	revision = world->revision;
	fake_api_forget(world->api);
	fake_api_cut(world->api);
	for (int ms = 0; ms < PATIENCE_MS && fake_api_requests(world->api, "limit=") < 6; ms++)
		turn(world);
	pass(world, 50);
	expect(world, WEB);
	assert_int_equal(world->revision, revision);
}

static void a_token_that_rotates_is_read_again(void **state)
{
	struct world *world = *state;
	char path[] = "/tmp/token-XXXXXX";
	int fd = mkstemp(path);
	struct kube_config config = {.server = strdup(fake_api_url(world->api)),
				     .token.path = strdup(path)};

	assert_int_equal(write(fd, "old\n", 4), 4);
	serve_web(world);
	fake_api_need_token(world->api, "old");
	open_with(world, &config);
	expect(world, WEB);
	fake_api_need_token(world->api, "new");
	fake_api_cut(world->api);
	expect_trouble(world, "the server doesn't accept the credentials (401)");
	assert_int_equal(pwrite(fd, "new\n", 4, 0), 4);
	put_service(world, "more", 81);
	expect(world, "default/more:/TCP/4 C10.96.0.1:81 ->\n" WEB);
	/* And one that can't be read is told by name. */
	unlink(path);
	fake_api_cut(world->api);
	expect_trouble(world, path);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(what_the_server_has_becomes_a_snapshot_and_follows_it),
		TEST(no_snapshot_before_every_kind_has_been_listed),
		TEST(this_node_alone_is_asked_for_and_waited_for),
		TEST(a_node_that_is_deleted_is_gone),
		TEST(long_lists_come_in_pages),
		TEST(a_list_that_breaks_off_removes_nothing),
		TEST(watches_recover_from_a_cut_in_a_line),
		TEST(watches_recover_from_an_error_of_the_server),
		TEST(watches_recover_from_too_many_requests),
		TEST(watches_recover_from_a_version_that_is_gone),
		TEST(watches_recover_from_a_version_that_goes),
		TEST(watches_recover_from_a_line_that_is_no_json),
		TEST(watches_recover_from_a_line_that_is_too_long),
		TEST(watches_recover_from_refused_credentials),
		TEST(a_server_that_is_away_loses_nothing_and_is_not_pestered),
		TEST(a_bad_object_keeps_its_last_state_and_costs_no_other),
		TEST(nothing_new_is_no_new_revision),
		TEST(a_token_that_rotates_is_read_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
