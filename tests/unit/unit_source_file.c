/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "source_file.h"
#include "source_scan.h"
#include "texts.h"

#define SERVICE(name, ip, port) \
	"---\n{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: {clusterIP: " ip \
	", ports: [{port: " port "}]}}\n"
#define A80 "default/a:/TCP/4 C10.96.0.1:80 ->\n"
#define A81 "default/a:/TCP/4 C10.96.0.1:81 ->\n"
#define B80 "default/b:/TCP/4 C10.96.0.2:80 ->\n"

/* A directory of its own for each test, which is the working directory. */
struct world {
	char directory[64];
	struct source_file *source;
	struct error error;
	size_t nbroken;
	uint64_t revision; /* of the last load */
	struct addr address;
};

static int world_begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	strcpy(world->directory, "/tmp/guideway-unit-XXXXXX");
	if (!mkdtemp(world->directory) || chdir(world->directory))
		return -1;
	addr_parse("10.200.0.1", &world->address);
	*state = world;
	return 0;
}

static int world_end(void **state)
{
	struct world *world = *state;
	char command[128];

	source_file_close(world->source);
	snprintf(command, sizeof(command), "rm -rf %s", world->directory);
	free(world);
	return chdir("/") || system(command);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void source_begin(struct world *world, const char *path)
{
	if (source_file_open(path, &world->source, &world->error))
		fail_msg("%s", world->error.text);
}

static int load(struct world *world, struct snapshot **ret)
{
	const struct source_node node = {
		.name = "here",
		.nodeports = &world->address,
		.nnodeports = 1,
	};

	world->error.text[0] = '\0';
	return source_file_load(world->source, &node, ret, &world->nbroken, &world->error);
}

/* Load, and compare the services and how many files are broken. */
static void check_load(struct world *world, const char *services, size_t nbroken)
{
	struct snapshot *snapshot;
	char *text;

	if (load(world, &snapshot))
		fail_msg("%s", world->error.text);
	text = snapshot_text(snapshot);
	assert_string_equal(text, services);
	assert_int_equal(world->nbroken, nbroken);
	world->revision = snapshot->revision;
	free(text);
	snapshot_free(snapshot);
}

/* Is there exactly one refusal, and is it this? */
static void check_refusal(struct world *world, const char *where, const char *reason)
{
	struct snapshot *snapshot;

	assert_int_equal(load(world, &snapshot), 0);
	assert_int_equal(snapshot->nrefusals, 1);
	assert_string_equal(snapshot->refusals[0].where, where);
	assert_string_equal(snapshot->refusals[0].reason, reason);
	snapshot_free(snapshot);
}

static void check_load_fails(struct world *world, int err, const char *reason)
{
	struct snapshot *snapshot;

	assert_int_equal(load(world, &snapshot), err);
	assert_string_equal(world->error.text, reason);
}

/* ---- reading ---- */

static void a_directory_gives_the_manifests_in_it(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	write_file("b.yml", SERVICE("b", "10.96.0.2", "80"));
	write_file("c.json", "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": "
			     "{\"name\": \"c\"}, \"spec\": {\"clusterIP\": \"10.96.0.3\", "
			     "\"ports\": [{\"port\": 80, \"nodePort\": 30080}]}}");
	write_file("empty.yaml", "");
	write_file(".hidden.yaml", SERVICE("x1", "10.96.0.9", "80"));
	write_file("notes.txt", "{");
	write_file("a.yaml~", "{");
	write_file("yaml", "{");
	assert_int_equal(mkdir("more.yaml", 0700), 0);
	write_file("more.yaml/x.yaml", SERVICE("x2", "10.96.0.9", "80"));
	assert_int_equal(symlink("nowhere", "dangling.yaml"), 0);
	write_file("elsewhere", SERVICE("d", "10.96.0.4", "80"));
	assert_int_equal(symlink("elsewhere", "link.yaml"), 0);

	source_begin(world, world->directory);
	check_load(world,
		   A80 B80 "default/c:/TCP/4 C10.96.0.3:80,N10.200.0.1:30080 ->\n"
			   "default/d:/TCP/4 C10.96.0.4:80 ->\n",
		   0);
	assert_int_equal(world->revision, 1);
}

static void yaml_and_json_of_one_content_give_one_snapshot(void **state)
{
	struct world *world = *state;
	static const char *const names[] = {"web.yaml", "web.json"};
	char *texts[2];

	for (size_t i = 0; i < 2; i++) {
		struct snapshot *snapshot;
		size_t size;
		char *text = fixture_read(names[i], &size);

		write_file(names[i], text);
		free(text);
		source_begin(world, names[i]);
		assert_int_equal(load(world, &snapshot), 0);
		texts[i] = snapshot_text(snapshot);
		assert_int_equal(snapshot->nrefusals, 0);
		snapshot_free(snapshot);
		source_file_close(world->source);
		world->source = NULL;
	}
	assert_string_equal(texts[0],
			    "shop/web:dns/UDP/4 C10.96.0.10:53 -> "
			    "10.244.1.2:5353*50@,10.244.2.2:5353*200!st\n"
			    "shop/web:dns/UDP/6 C[fd00:96::10]:53 ->\n"
			    "shop/web:http/TCP/4 C10.96.0.10:80,N10.200.0.1:30080 -> "
			    "10.244.1.2:8080*50@,10.244.2.2:8080*200!st\n"
			    "shop/web:http/TCP/6 C[fd00:96::10]:80 -> [fd00:244:1::2]:8080@\n");
	assert_string_equal(texts[0], texts[1]);
	free(texts[0]);
	free(texts[1]);
}

static void a_path_that_cannot_be_read_is_named(void **state)
{
	struct world *world = *state;

	assert_int_equal(source_file_open("nowhere", &world->source, &world->error), -ENOENT);
	assert_string_equal(world->error.text, "nowhere: No such file or directory");
	assert_int_equal(source_file_open("/dev/null", &world->source, &world->error), -EINVAL);
	assert_string_equal(world->error.text, "/dev/null: neither a file nor a directory");
	assert_null(world->source);
}

static void a_file_broken_at_first_fails_the_load(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	write_file("b.yaml", "a: 1\nb: [1\n");
	source_begin(world, ".");
	check_load_fails(
		world, -EINVAL,
		"./b.yaml:3: did not find expected ',' or ']' while parsing a flow sequence");
	check_load_fails(
		world, -EINVAL,
		"./b.yaml:3: did not find expected ',' or ']' while parsing a flow sequence");
	write_file("b.yaml", "{}{");
	check_load_fails(world, -EINVAL, "./b.yaml:1: did not find expected <document start>");
	write_file("b.yaml", SERVICE("b", "10.96.0.2", "80"));
	check_load(world, A80 B80, 0);
	assert_int_equal(world->revision, 1);
}

static void a_file_broken_later_keeps_its_objects(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	write_file("b.yaml", SERVICE("b", "10.96.0.2", "80"));
	source_begin(world, ".");
	check_load(world, A80 B80, 0);
	write_file("a.yaml", SERVICE("a", "10.96.0.1", "81"));
	write_file("b.yaml", "b: \xff");
	check_load(world, A81 B80, 1);
	assert_string_equal(world->error.text, "./b.yaml:1: invalid leading UTF-8 octet");
	check_refusal(world, "./b.yaml:1", "invalid leading UTF-8 octet");
	check_load(world, A81 B80, 1);
	write_file("b.yaml", "");
	check_load(world, A81, 0);
	assert_string_equal(world->error.text, "");
}

static void a_bad_object_keeps_its_last_good_state(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80") SERVICE("b", "10.96.0.2", "79"));
	source_begin(world, ".");
	check_load(world, A80 "default/b:/TCP/4 C10.96.0.2:79 ->\n", 0);
	write_file("a.yaml", SERVICE("a", "10.96.0.1", "70000") SERVICE("b", "10.96.0.2", "80"));
	check_load(world, A80 B80, 0);
	check_refusal(world, "./a.yaml:2", "spec.ports[0].port: 70000 is not a port");
}

static void a_vanished_file_takes_its_objects_along(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	write_file("b.yaml", SERVICE("b", "10.96.0.2", "80"));
	source_begin(world, ".");
	check_load(world, A80 B80, 0);
	assert_int_equal(unlink("a.yaml"), 0);
	check_load(world, B80, 0);
	assert_int_equal(rename("b.yaml", "b.txt"), 0);
	check_load(world, "", 0);
	assert_int_equal(world->revision, 3);
}

static void the_revision_is_raised_by_content_alone(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, ".");
	check_load(world, A80, 0);
	check_load(world, A80, 0);
	assert_int_equal(utimensat(AT_FDCWD, "a.yaml", NULL, 0), 0);
	check_load(world, A80, 0);
	write_file("a.yaml", "# a comment\n" SERVICE("a", "10.96.0.1", "80"));
	check_load(world, A80, 0);
	write_file("b.yaml", "# nothing\n");
	check_load(world, A80, 0);
	assert_int_equal(rename("a.yaml", "c.yaml"), 0);
	check_load(world, A80, 0);
	assert_int_equal(world->revision, 1);
	write_file("c.yaml", SERVICE("a", "10.96.0.1", "81"));
	check_load(world, A81, 0);
	assert_int_equal(world->revision, 2);
	write_file("c.yaml", SERVICE("a", "10.96.0.1", "80"));
	check_load(world, A80, 0);
	assert_int_equal(world->revision, 3);
}

static void the_nodes_addresses_are_part_of_the_content(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80, nodePort: 30080"));
	source_begin(world, ".");
	check_load(world, "default/a:/TCP/4 C10.96.0.1:80,N10.200.0.1:30080 ->\n", 0);
	addr_parse("10.200.0.2", &world->address);
	check_load(world, "default/a:/TCP/4 C10.96.0.1:80,N10.200.0.2:30080 ->\n", 0);
	assert_int_equal(world->revision, 2);
}

static void a_change_that_leaves_the_stamp_alone_is_seen_while_it_is_fresh(void **state)
{
	struct world *world = *state;
	char *map, *port;
	int fd;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	fd = open("a.yaml", O_RDWR);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_ptr_not_equal(map, MAP_FAILED);
	port = strstr(map, "80");
	port[1] = '0';
	source_begin(world, ".");
	check_load(world, A80, 0);
	/* The page is dirty already, so the file gets no new time. */
	port[1] = '1';
	check_load(world, A81, 0);
	munmap(map, 4096);
}

static void one_object_in_two_files_is_refused_in_the_second(void **state)
{
	struct world *world = *state;

	write_file("1.yaml", SERVICE("a", "10.96.0.1", "80"));
	write_file("2.yaml", SERVICE("a", "10.96.0.1", "81") SERVICE("b", "10.96.0.2", "80"));
	source_begin(world, ".");
	check_load(world, A80 B80, 0);
	check_refusal(world, "./2.yaml:2", "the same object is at ./1.yaml:2");
	assert_int_equal(unlink("1.yaml"), 0);
	check_load(world, A81 B80, 0);
}

static void what_is_no_file_is_told_and_does_not_block(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, ".");
	check_load(world, A80, 0);
	assert_int_equal(mkfifo("b.yaml", 0600), 0);
	check_load(world, A80, 1);
	assert_string_equal(world->error.text, "./b.yaml: not a regular file");
	check_refusal(world, "./b.yaml", "not a regular file");
}

static void a_file_can_be_too_big(void **state)
{
	struct world *world = *state;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, "a.yaml");
	check_load(world, A80, 0);
	assert_int_equal(truncate("a.yaml", SOURCE_MAX_FILE_BYTES + 1), 0);
	check_load(world, A80, 1);
	assert_string_equal(world->error.text, "a.yaml: more than 16777216 bytes");
}

static void a_single_file_that_is_gone_fails_the_load(void **state)
{
	struct world *world = *state;

	write_file("a.txt", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, "a.txt");
	check_load(world, A80, 0);
	assert_int_equal(unlink("a.txt"), 0);
	check_load_fails(world, -ENOENT, "a.txt: No such file or directory");
	write_file("new", SERVICE("a", "10.96.0.1", "81"));
	assert_int_equal(rename("new", "a.txt"), 0);
	check_load(world, A81, 0);
	assert_int_equal(world->revision, 2);
}

static void a_directory_that_is_gone_fails_the_load(void **state)
{
	struct world *world = *state;

	assert_int_equal(mkdir("d", 0700), 0);
	write_file("d/a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, "d");
	check_load(world, A80, 0);
	assert_int_equal(rename("d", "e"), 0);
	check_load_fails(world, -ENOENT, "d: No such file or directory");
	assert_int_equal(rename("e", "d"), 0);
	check_load(world, A80, 0);
	assert_int_equal(world->revision, 1);
}

/* ---- watching ---- */

struct watched {
	uv_loop_t loop;
	uv_timer_t timer;
	int nchanged;
};

static void on_changed(void *arg)
{
	((struct watched *)arg)->nchanged++;
}

static void on_timer(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* Run the loop for a while; returns how often a change was told. */
static int run_ms(struct watched *watched, uint64_t ms)
{
	int before = watched->nchanged;

	uv_update_time(&watched->loop);
	uv_timer_start(&watched->timer, on_timer, ms, 0);
	uv_run(&watched->loop, UV_RUN_DEFAULT);
	return watched->nchanged - before;
}

/* Run the loop until a change is told, for 3 seconds at most. */
static bool run_until_changed(struct watched *watched)
{
	for (int i = 0; i < 60; i++)
		if (run_ms(watched, 50))
			return true;
	return false;
}

static void watch_begin(struct world *world, struct watched *watched)
{
	memset(watched, 0, sizeof(*watched));
	assert_int_equal(uv_loop_init(&watched->loop), 0);
	uv_timer_init(&watched->loop, &watched->timer);
	if (source_file_watch(world->source, &watched->loop, on_changed, watched, &world->error))
		fail_msg("%s", world->error.text);
	run_ms(watched, 200); /* one for the time before */
	assert_int_equal(watched->nchanged, 1);
}

static void watch_end(struct world *world, struct watched *watched)
{
	source_file_close(world->source);
	world->source = NULL;
	uv_close((uv_handle_t *)&watched->timer, NULL);
	uv_run(&watched->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&watched->loop), 0);
}

static void a_burst_of_writes_is_told_once(void **state)
{
	struct world *world = *state;
	struct watched watched;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, ".");
	check_load(world, A80, 0);
	watch_begin(world, &watched);
	for (int i = 0; i < 20; i++)
		write_file("a.yaml", SERVICE("a", "10.96.0.1", "81"));
	write_file("b.yaml", SERVICE("b", "10.96.0.2", "80"));
	assert_int_equal(run_ms(&watched, 300), 1);
	check_load(world, A81 B80, 0);
	assert_int_equal(unlink("b.yaml"), 0);
	assert_int_equal(run_ms(&watched, 300), 1);
	check_load(world, A81, 0);
	watch_end(world, &watched);
}

static void a_directory_that_is_never_quiet_is_told_all_the_same(void **state)
{
	struct world *world = *state;
	struct watched watched;
	int told = 0;

	source_begin(world, ".");
	watch_begin(world, &watched);
	for (int i = 0; i < 50; i++) {
		write_file("a.yaml", SERVICE("a", "10.96.0.1", "81"));
		told += run_ms(&watched, 20);
	}
	assert_in_range(told, 1, 10);
	watch_end(world, &watched);
}

static void other_names_are_not_told(void **state)
{
	struct world *world = *state;
	struct watched watched;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, ".");
	watch_begin(world, &watched);
	write_file("a.yaml.swp", "x");
	write_file(".a.yaml", "x");
	write_file("notes.txt", "x");
	assert_int_equal(run_ms(&watched, 300), 0);
	watch_end(world, &watched);
}

static void a_single_file_renamed_over_is_told(void **state)
{
	struct world *world = *state;
	struct watched watched;

	write_file("a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, "a.yaml");
	check_load(world, A80, 0);
	watch_begin(world, &watched);
	write_file("b.yaml", "x");
	assert_int_equal(run_ms(&watched, 300), 0);
	for (int i = 0; i < 2; i++) { /* the second time by another inode */
		write_file("new",
			   i ? SERVICE("a", "10.96.0.1", "80") : SERVICE("a", "10.96.0.1", "81"));
		assert_int_equal(rename("new", "a.yaml"), 0);
		assert_int_equal(run_ms(&watched, 300), 1);
		check_load(world, i ? A80 : A81, 0);
	}
	watch_end(world, &watched);
}

/* As the kubelet does it: name -> ..data/name, ..data -> ..VERSION. */
static void config_map_put(const char *version, const char *text)
{
	assert_int_equal(mkdir(version, 0700), 0);
	assert_int_equal(chdir(version), 0);
	write_file("a.yaml", text);
	assert_int_equal(chdir(".."), 0);
	assert_int_equal(symlink(version, "..data_tmp"), 0);
	assert_int_equal(rename("..data_tmp", "..data"), 0);
}

static void a_mounted_config_map_is_followed(void **state)
{
	struct world *world = *state;
	struct watched watched;

	for (int single = 0; single < 2; single++) {
		config_map_put(single ? "..3" : "..1", SERVICE("a", "10.96.0.1", "80"));
		if (!single)
			assert_int_equal(symlink("..data/a.yaml", "a.yaml"), 0);
		source_begin(world, single ? "a.yaml" : ".");
		check_load(world, A80, 0);
		watch_begin(world, &watched);
		config_map_put(single ? "..4" : "..2", SERVICE("a", "10.96.0.1", "81"));
		/* Sooner than a look at the links would tell. */
		assert_in_range(run_ms(&watched, 300), 1, 2);
		check_load(world, A81, 0);
		watch_end(world, &watched);
	}
}

static void a_links_target_is_looked_at(void **state)
{
	struct world *world = *state;
	struct watched watched;

	assert_int_equal(mkdir("d", 0700), 0);
	write_file("target", SERVICE("a", "10.96.0.1", "80"));
	assert_int_equal(symlink("../target", "d/a.yaml"), 0);
	source_begin(world, "d");
	check_load(world, A80, 0);
	watch_begin(world, &watched);
	write_file("target", SERVICE("a", "10.96.0.1", "81"));
	assert_true(run_until_changed(&watched));
	check_load(world, A81, 0);
	assert_int_equal(run_ms(&watched, 1300), 0);
	watch_end(world, &watched);
}

static void a_replaced_directory_is_watched_again(void **state)
{
	struct world *world = *state;
	struct watched watched;

	assert_int_equal(mkdir("d", 0700), 0);
	write_file("d/a.yaml", SERVICE("a", "10.96.0.1", "80"));
	source_begin(world, "d");
	check_load(world, A80, 0);
	watch_begin(world, &watched);

	assert_int_equal(rename("d", "old"), 0);
	assert_true(run_until_changed(&watched));
	check_load_fails(world, -ENOENT, "d: No such file or directory");
	assert_int_equal(mkdir("d", 0700), 0);
	write_file("d/a.yaml", SERVICE("a", "10.96.0.1", "81"));
	assert_true(run_until_changed(&watched));
	check_load(world, A81, 0);
	run_ms(&watched, 200);
	write_file("d/a.yaml", SERVICE("a", "10.96.0.1", "80"));
	assert_int_equal(run_ms(&watched, 300), 1);
	check_load(world, A80, 0);

	/* In one go, so that it's never missing. */
	assert_int_equal(mkdir("next", 0700), 0);
	write_file("next/a.yaml", SERVICE("a", "10.96.0.1", "81"));
	assert_int_equal(renameat2(AT_FDCWD, "next", AT_FDCWD, "d", RENAME_EXCHANGE), 0);
	assert_true(run_until_changed(&watched));
	check_load(world, A81, 0);
	run_ms(&watched, 200);
	write_file("d/a.yaml", SERVICE("a", "10.96.0.1", "80"));
	assert_int_equal(run_ms(&watched, 300), 1);
	watch_end(world, &watched);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_directory_gives_the_manifests_in_it),
		TEST(yaml_and_json_of_one_content_give_one_snapshot),
		TEST(a_path_that_cannot_be_read_is_named),
		TEST(a_file_broken_at_first_fails_the_load),
		TEST(a_file_broken_later_keeps_its_objects),
		TEST(a_bad_object_keeps_its_last_good_state),
		TEST(a_vanished_file_takes_its_objects_along),
		TEST(the_revision_is_raised_by_content_alone),
		TEST(the_nodes_addresses_are_part_of_the_content),
		TEST(a_change_that_leaves_the_stamp_alone_is_seen_while_it_is_fresh),
		TEST(one_object_in_two_files_is_refused_in_the_second),
		TEST(what_is_no_file_is_told_and_does_not_block),
		TEST(a_file_can_be_too_big),
		TEST(a_single_file_that_is_gone_fails_the_load),
		TEST(a_directory_that_is_gone_fails_the_load),
		TEST(a_burst_of_writes_is_told_once),
		TEST(a_directory_that_is_never_quiet_is_told_all_the_same),
		TEST(other_names_are_not_told),
		TEST(a_single_file_renamed_over_is_told),
		TEST(a_mounted_config_map_is_followed),
		TEST(a_links_target_is_looked_at),
		TEST(a_replaced_directory_is_watched_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
