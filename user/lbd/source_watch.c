/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "source_watch.h"

#define QUIET_MS 50	 /* writers write in pieces */
#define IMPATIENT_MS 500 /* a directory that's never quiet */
#define LOOK_MS 1000

struct source_watch {
	struct source_watch_events events;
	char *directory;
	dev_t dev; /* of the directory that's watched */
	ino_t ino;
	bool armed;
	uint64_t first_ms; /* first event since changed() was called; 0 = none */
	uv_fs_event_t notify;
	uv_timer_t quiet, look;
	unsigned int nhandles; /* not closed yet */
};

static void on_quiet(uv_timer_t *timer)
{
	struct source_watch *watch = timer->data;

	watch->first_ms = 0;
	watch->events.changed(watch->events.arg);
}

static void event_note(struct source_watch *watch)
{
	uint64_t now_ms = uv_now(watch->quiet.loop);

	if (!watch->first_ms)
		watch->first_ms = now_ms;
	else if (now_ms - watch->first_ms >= IMPATIENT_MS)
		return; /* the timer runs, and isn't put off any more */
	uv_timer_start(&watch->quiet, on_quiet, QUIET_MS, 0);
}

static void on_event(uv_fs_event_t *notify, const char *name, int events, int status)
{
	struct source_watch *watch = notify->data;

	(void)events;
	if (status || !name || watch->events.concerns(watch->events.arg, name))
		event_note(watch);
}

/* Watch what has the directory's name now; a no-op where that's watched. */
static int arm(struct source_watch *watch)
{
	struct stat st;
	int err;

	if (stat(watch->directory, &st)) {
		watch->armed = false;
		return -errno;
	}
	if (watch->armed && st.st_dev == watch->dev && st.st_ino == watch->ino)
		return 0;
	uv_fs_event_stop(&watch->notify);
	err = uv_fs_event_start(&watch->notify, on_event, watch->directory, 0);
	watch->armed = !err;
	watch->dev = st.st_dev;
	watch->ino = st.st_ino;
	if (!err)
		event_note(watch);
	return err;
}

static void on_look(uv_timer_t *timer)
{
	struct source_watch *watch = timer->data;
	bool armed = watch->armed;

	/* Why it can't be watched, the source will say when it's read. */
	if (arm(watch) && armed)
		event_note(watch);
	if (watch->events.stale(watch->events.arg))
		event_note(watch);
}

int source_watch_start(uv_loop_t *loop, const char *directory,
		       const struct source_watch_events *events, struct source_watch **ret,
		       struct error *error)
{
	struct source_watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return error_set(error, -ENOMEM, "%s: out of memory", directory);
	watch->events = *events;
	watch->directory = strdup(directory);
	if (!watch->directory) {
		free(watch);
		return error_set(error, -ENOMEM, "%s: out of memory", directory);
	}
	uv_fs_event_init(loop, &watch->notify);
	uv_timer_init(loop, &watch->quiet);
	uv_timer_init(loop, &watch->look);
	watch->nhandles = 3;
	watch->notify.data = watch->quiet.data = watch->look.data = watch;

	err = arm(watch);
	if (err) {
		source_watch_stop(watch);
		return error_set(error, err, "%s: can't be watched: %s", directory, strerror(-err));
	}
	uv_timer_start(&watch->look, on_look, LOOK_MS, LOOK_MS);
	*ret = watch;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct source_watch *watch = handle->data;

	if (--watch->nhandles)
		return;
	free(watch->directory);
	free(watch);
}

void source_watch_stop(struct source_watch *watch)
{
	if (!watch)
		return;
	uv_close((uv_handle_t *)&watch->notify, on_closed);
	uv_close((uv_handle_t *)&watch->quiet, on_closed);
	uv_close((uv_handle_t *)&watch->look, on_closed);
}
