/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "kube_watch.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_PAGE 500
#define LIST_MAX_BYTES (256U << 20) /* a page */
#define EVENT_MAX_BYTES (32U << 20) /* a line of a watch: objects are 1.5 MB at most in etcd */
#define LIST_SILENCE_S 30
/* Servers send a bookmark a minute; one that sends none is asked again. */
#define WATCH_SILENCE_S 90
#define WATCH_TIMEOUT_S 300 /* and up to as much again, so that not all end at once */
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 2000
#define STATUS_GONE 410

enum phase {
	PHASE_LIST,
	PHASE_WATCH
};

struct kube_watch {
	struct kube_client *client;
	struct objects *objects;
	const struct kube_watch_spec *spec;
	struct kube_watch_events events;
	uv_timer_t retry;
	struct kube_request *request;

	enum phase phase;
	bool listing; /* between objects_begin() and its end */
	bool synced, gone, changed, failing;
	char *page;    /* the continue token of the next page, NULL = first */
	char *version; /* resourceVersion to watch from */

	/* A page, or a line that isn't complete. */
	char *buffer;
	size_t length, room;
	bool too_long;

	unsigned int retry_ms;
	uint64_t begun_ms; /* of the request that runs */
	char trouble[400];
};

static void watch_begin(struct kube_watch *watch);

/* ---- trouble -------------------------------------------------------------------- */

static void trouble_set(struct kube_watch *watch, const char *text)
{
	if (watch->failing && !strcmp(watch->trouble, text))
		return;
	snprintf(watch->trouble, sizeof(watch->trouble), "%s", text);
	watch->failing = true;
	watch->events.trouble(watch->events.arg, watch->spec);
}

static void trouble_clear(struct kube_watch *watch)
{
	watch->retry_ms = 0;
	if (!watch->failing)
		return;
	watch->failing = false;
	watch->events.trouble(watch->events.arg, watch->spec);
}

static void retry_due(uv_timer_t *timer)
{
	watch_begin(timer->data);
}

/* The next attempt: later each time up to a limit, and not at the same time as
 * all others. */
static void retry_later(struct kube_watch *watch, unsigned int at_least_s)
{
	uint64_t wait_ms;

	watch->retry_ms = watch->retry_ms ? watch->retry_ms * 2 : RETRY_MIN_MS;
	if (watch->retry_ms > RETRY_MAX_MS)
		watch->retry_ms = RETRY_MAX_MS;
	wait_ms = watch->retry_ms / 2 + (unsigned int)rand() % (watch->retry_ms / 2 + 1);
	if (wait_ms < at_least_s * 1000ULL)
		wait_ms = at_least_s * 1000ULL;
	uv_timer_start(&watch->retry, retry_due, wait_ms, 0);
}

/* ---- bytes ---------------------------------------------------------------------- */

static int buffer_append(struct kube_watch *watch, const char *bytes, size_t size, size_t most)
{
	if (size > most - watch->length) {
		watch->too_long = true;
		return -EFBIG;
	}
	if (watch->length + size > watch->room) {
		size_t room = (watch->length + size) * 2;
		char *grown = realloc(watch->buffer, room);

		if (!grown)
			return -ENOMEM;
		watch->buffer = grown;
		watch->room = room;
	}
	memcpy(watch->buffer + watch->length, bytes, size);
	watch->length += size;
	return 0;
}

static void buffer_clear(struct kube_watch *watch)
{
	/* Seldom needed again at the size of a page. */
	free(watch->buffer);
	watch->buffer = NULL;
	watch->length = watch->room = 0;
	watch->too_long = false;
}

/* JSON, and where a text in it isn't UTF-8 the same with the bytes at fault
 * replaced: one object's bad annotation mustn't cost all others. */
static json_t *json_read(char *text, size_t length)
{
	json_error_t error;
	json_t *json = json_loadb(text, length, JSON_ALLOW_NUL, &error);

	if (json || json_error_code(&error) != json_error_invalid_utf8)
		return json;
	for (size_t i = 0; i < length; i++)
		if (text[i] & 0x80)
			text[i] = '?';
	return json_loadb(text, length, JSON_ALLOW_NUL, &error);
}

static const char *json_text(const json_t *object, const char *outer, const char *key)
{
	return json_string_value(json_object_get(json_object_get(object, outer), key));
}

static int text_replace(char **text, const char *by)
{
	char *copy = by ? strdup(by) : NULL;

	if (by && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* ---- objects ---------------------------------------------------------------------- */

/* A server's object to the store.  Items of a list lack what they are. */
static int object_put(struct kube_watch *watch, json_t *value)
{
	const struct document document = {.name = "the API server"};
	struct object *object;
	int err;

	if (json_is_object(value) && !json_object_get(value, "kind")) {
		json_object_set_new(value, "kind", json_string(watch->spec->kind_name));
		json_object_set_new(value, "apiVersion", json_string(watch->spec->api_version));
	}
	err = object_read(&document, value, &object);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (object->kind == watch->spec->kind)
		err = objects_put(watch->objects, object);
	object_unref(object);
	watch->changed = true;
	return err;
}

static void object_delete(struct kube_watch *watch, const json_t *value)
{
	const char *space = object_default_namespace(watch->spec->kind);
	const char *own = json_text(value, "metadata", "namespace");
	const char *name = json_text(value, "metadata", "name");

	if (!name)
		return;
	objects_delete(watch->objects, watch->spec->kind, *space && own ? own : space, name);
	watch->changed = true;
}

/* ---- lists ------------------------------------------------------------------------ */

static void list_abort(struct kube_watch *watch)
{
	if (watch->listing)
		objects_abort(watch->objects, watch->spec->kind);
	watch->listing = false;
	text_replace(&watch->page, NULL);
}

/* A page that came whole.  0 = go on; -EPROTO: no list. */
static int list_take(struct kube_watch *watch)
{
	json_t *list = json_read(watch->buffer, watch->length), *items, *item;
	const char *next, *version;
	size_t i;
	int err = 0;

	items = json_object_get(list, "items");
	version = json_text(list, "metadata", "resourceVersion");
	next = json_text(list, "metadata", "continue");
	if ((items && !json_is_array(items) && !json_is_null(items)) || !version) {
		json_decref(list);
		return -EPROTO;
	}
	if (!watch->listing)
		objects_begin(watch->objects, watch->spec->kind);
	watch->listing = true;
	json_array_foreach(items, i, item) {
		err = object_put(watch, item);
		if (err)
			break;
	}
	if (!err)
		err = text_replace(&watch->version, version);
	if (!err)
		err = text_replace(&watch->page, next && *next ? next : NULL);
	json_decref(list);
	if (err || watch->page)
		return err;
	objects_end(watch->objects, watch->spec->kind);
	watch->listing = false;
	watch->synced = watch->changed = true;
	watch->phase = PHASE_WATCH;
	return 0;
}

/* ---- events of a watch --------------------------------------------------------------- */

/* One line.  Other than 0 ends the watch. */
static int event_take(struct kube_watch *watch, char *line, size_t length)
{
	json_t *event = json_read(line, length);
	const char *type = json_string_value(json_object_get(event, "type"));
	json_t *value = json_object_get(event, "object");
	const char *version = json_text(value, "metadata", "resourceVersion");
	int err = 0;

	if (!type || !json_is_object(value)) {
		json_decref(event);
		watch->gone = true; /* what it said can only be found by a list */
		return -EPROTO;
	}
	if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED")) {
		err = object_put(watch, value);
	} else if (!strcmp(type, "DELETED")) {
		object_delete(watch, value);
	} else if (!strcmp(type, "ERROR")) {
		watch->gone = json_integer_value(json_object_get(value, "code")) == STATUS_GONE;
		err = -EPROTO;
	}
	if (!err && version)
		err = text_replace(&watch->version, version);
	json_decref(event);
	return err;
}

/* All complete lines of what came; what is left begins the next. */
static int watch_data(struct kube_watch *watch, const char *bytes, size_t size)
{
	const char *end;
	int err = 0;

	while (!err && (end = memchr(bytes, '\n', size))) {
		size_t part = end - bytes;

		err = buffer_append(watch, bytes, part, EVENT_MAX_BYTES);
		if (!err && watch->length)
			err = event_take(watch, watch->buffer, watch->length);
		watch->length = 0;
		bytes += part + 1;
		size -= part + 1;
	}
	if (!err)
		err = buffer_append(watch, bytes, size, EVENT_MAX_BYTES);
	if (watch->too_long)
		watch->gone = true;
	if (watch->changed) {
		watch->changed = false;
		watch->events.changed(watch->events.arg);
	}
	return err;
}

/* ---- requests ------------------------------------------------------------------------ */

static void on_began(void *arg)
{
	struct kube_watch *watch = arg;

	/* A list has to come whole first. */
	if (watch->phase == PHASE_WATCH)
		trouble_clear(watch);
}

static int on_data(void *arg, const char *bytes, size_t size)
{
	struct kube_watch *watch = arg;

	if (watch->phase == PHASE_WATCH)
		return watch_data(watch, bytes, size);
	return buffer_append(watch, bytes, size, LIST_MAX_BYTES);
}

/* One line about an answer that isn't a 200, or about none. */
static void failure_describe(const struct kube_watch *watch, const struct kube_result *result,
			     char *text, size_t size)
{
	const char *verb = watch->phase == PHASE_LIST ? "list" : "watch";
	const char *resource = watch->spec->resource;

	switch (result->status) {
	case 0:
		snprintf(text, size, "can't %s %s: %s", verb, resource, result->failure);
		break;
	case 200:
		snprintf(text, size, "can't %s %s: %s", verb, resource,
			 watch->too_long    ? "the answer is too long"
			 : *result->failure ? result->failure
					    : "the answer isn't a list");
		break;
	case 401:
		snprintf(text, size, "can't %s %s: the server doesn't accept the credentials (401)",
			 verb, resource);
		break;
	case 403:
		snprintf(text, size, "no permission to %s %s (403)", verb, resource);
		break;
	case 404:
		snprintf(text, size, "can't %s %s: the server doesn't have %s (404)", verb,
			 resource, watch->spec->api_version);
		break;
	default:
		snprintf(text, size, "can't %s %s: HTTP status %ld", verb, resource,
			 result->status);
	}
}

static void request_failed(struct kube_watch *watch, const struct kube_result *result)
{
	char text[sizeof(watch->trouble)];

	failure_describe(watch, result, text, sizeof(text));
	trouble_set(watch, text);
	retry_later(watch, result->retry_after_s);
}

static void list_done(struct kube_watch *watch, const struct kube_result *result)
{
	int err = -EPROTO;

	if (result->status == STATUS_GONE) {
		/* The pages' version is forgotten: begin again. */
		list_abort(watch);
		retry_later(watch, 0);
		return;
	}
	if (result->status == 200 && result->complete)
		err = list_take(watch);
	if (err) {
		list_abort(watch);
		request_failed(watch, result);
	} else {
		trouble_clear(watch);
		watch_begin(watch);
	}
	buffer_clear(watch);
	if (watch->changed && !watch->listing) {
		watch->changed = false;
		watch->events.changed(watch->events.arg);
	}
}

static void watch_done(struct kube_watch *watch, const struct kube_result *result)
{
	watch->length = 0; /* half a line is nothing */
	if (watch->gone || result->status == STATUS_GONE) {
		watch->phase = PHASE_LIST;
		retry_later(watch, result->retry_after_s);
	} else if (result->status == 200) {
		/* The server's time-out, a cut: no trouble, unless it can't be
		 * had again.  Not more often than once in a while all the same. */
		watch->retry_ms = RETRY_MAX_MS / 2;
		if (uv_now(watch->retry.loop) - watch->begun_ms > RETRY_MAX_MS)
			watch->retry_ms = 0;
		retry_later(watch, result->retry_after_s);
	} else {
		request_failed(watch, result);
	}
	watch->gone = false;
	buffer_clear(watch);
}

static void on_done(void *arg, const struct kube_result *result)
{
	struct kube_watch *watch = arg;

	watch->request = NULL;
	if (watch->phase == PHASE_LIST)
		list_done(watch, result);
	else
		watch_done(watch, result);
}

/* "?limit=500&continue=...": tokens and versions are opaque, so escaped. */
static char *query_make(const struct kube_watch *watch)
{
	char *escaped = NULL, *selector = NULL, *path = NULL;
	int length;

	if (watch->spec->field_selector &&
	    !(selector = kube_client_escape(watch->spec->field_selector)))
		return NULL;
	if (watch->phase == PHASE_LIST) {
		escaped = kube_client_escape(watch->page ?: "");
		length = !escaped ? -1
				  : asprintf(&path, "%s?limit=%d%s%s%s%s", watch->spec->path,
					     LIST_PAGE, selector ? "&fieldSelector=" : "",
					     selector ?: "", *escaped ? "&continue=" : "", escaped);
	} else {
		escaped = kube_client_escape(watch->version);
		length = !escaped ? -1
				  : asprintf(&path,
					     "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d"
					     "&resourceVersion=%s%s%s",
					     watch->spec->path,
					     WATCH_TIMEOUT_S + rand() % WATCH_TIMEOUT_S, escaped,
					     selector ? "&fieldSelector=" : "", selector ?: "");
	}
	free(escaped);
	free(selector);
	return length < 0 ? NULL : path;
}

static void watch_begin(struct kube_watch *watch)
{
	const struct kube_request_events events = {
		.began = on_began, .data = on_data, .done = on_done, .arg = watch};
	char *path = query_make(watch);
	struct error error = {"no memory"};
	int err = -ENOMEM;

	watch->begun_ms = uv_now(watch->retry.loop);
	if (path)
		err = kube_client_get(watch->client, path,
				      watch->phase == PHASE_LIST ? LIST_SILENCE_S : WATCH_SILENCE_S,
				      &events, &watch->request, &error);
	free(path);
	if (!err)
		return;
	if (watch->phase == PHASE_LIST)
		list_abort(watch);
	trouble_set(watch, error.text);
	retry_later(watch, 0);
}

/* ---- life ----------------------------------------------------------------------------- */

int kube_watch_open(uv_loop_t *loop, struct kube_client *client, struct objects *objects,
		    const struct kube_watch_spec *spec, const struct kube_watch_events *events,
		    struct kube_watch **ret)
{
	struct kube_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return -ENOMEM;
	watch->client = client;
	watch->objects = objects;
	watch->spec = spec;
	watch->events = *events;
	uv_timer_init(loop, &watch->retry);
	watch->retry.data = watch;
	uv_timer_start(&watch->retry, retry_due, 0, 0);
	*ret = watch;
	return 0;
}

static void watch_free(uv_handle_t *timer)
{
	struct kube_watch *watch = timer->data;

	buffer_clear(watch);
	free(watch->page);
	free(watch->version);
	free(watch);
}

void kube_watch_close(struct kube_watch *watch)
{
	if (!watch)
		return;
	kube_request_cancel(watch->request);
	watch->request = NULL;
	uv_close((uv_handle_t *)&watch->retry, watch_free);
}

bool kube_watch_synced(const struct kube_watch *watch)
{
	return watch->synced;
}

const char *kube_watch_trouble(const struct kube_watch *watch)
{
	return watch->failing ? watch->trouble : NULL;
}
