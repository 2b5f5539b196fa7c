/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reason.h"
#include "socket_lb.h"
#include "view.h"

static json_t *attachments_json(const struct attachments *attachments)
{
	json_t *array = json_array();

	for (size_t i = 0; i < attachments->n; i++) {
		const struct attachment *a = &attachments->list[i];
		json_t *row = json_object();

		view_set_text(row, "device", a->name);
		view_set_text(row, "role", a->device.role == DEVICE_UPLINK ? "uplink" : "pod");
		view_set_text(row, "hook", hook_name(a->device.used));
		view_set_text(row, "attach", a->device.attach);
		view_set_text(row, "reason", *a->device.refusal ? a->device.refusal : a->reason);
		json_array_append_new(array, row);
	}
	return array;
}

/* Who of this node's processes is served. */
static json_t *socket_lb_json(const struct socket_lb *socket_lb)
{
	json_t *object = json_object();

	view_set_text(object, "cgroup", socket_lb->attached ? socket_lb->path : "");
	view_set_text(object, "reason", socket_lb->attached ? "" : socket_lb->reason);
	return object;
}

static json_t *refusals_json(const struct view *view)
{
	json_t *array = json_array();

	for (size_t i = 0; i < view_refusals(view); i++) {
		struct view_refusal refusal;
		json_t *row = json_object();
		char name[VIEW_NAME_SIZE];

		view_refusal(view, i, &refusal);
		view_set_text(row, "where", refusal.where);
		view_set_text(row, "kind", refusal.kind);
		view_set_text(row, "object", view_name(refusal.namespace, refusal.object, name));
		view_set_text(row, "reason", refusal.reason);
		json_array_append_new(array, row);
	}
	return array;
}

/* Every reason, so that a reader sees a 0 where nothing was counted; the first
 * stands for "none". */
static json_t *reasons_json(const struct lb_reason_counter *reasons, bool bytes)
{
	json_t *object = json_object();

	for (int i = 1; i < LB_REASON_MAX; i++)
		json_object_set_new(
			object, reason_get(i)->text,
			json_integer((json_int_t)(bytes ? reasons[i].bytes : reasons[i].packets)));
	return object;
}

static size_t count_services(const struct maps *maps)
{
	size_t n = 0;

	for (uint32_t id = 1; id < maps->max_services; id++)
		n += (maps->services[id].flags & LB_SERVICE_F_USED) != 0;
	return n;
}

static size_t count_backends(const struct maps *maps)
{
	size_t n = 0;

	for (uint32_t id = 1; id < maps->max_backends; id++)
		n += maps->backends[id].state == LB_BACKEND_ACTIVE;
	return n;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

char *view_status(const struct view *view, const struct lb_reason_counter reasons[LB_REASON_MAX],
		  size_t *ret_length)
{
	json_t *status = json_object();
	char source[PATH_MAX + 8], *text;

	view_set_text(status, "version", LB_VERSION);
	json_object_set_new(status, "pid", json_integer(getpid()));
	json_object_set_new(status, "uptime_s",
			    json_integer((json_int_t)(now_ms() - view->started_ms) / 1000));
	view_set_text(status, "node", view->options->node);
	if (view->options->source_kubernetes)
		snprintf(source, sizeof(source), "kubernetes");
	else
		snprintf(source, sizeof(source), "file:%s", view->options->source_path);
	view_set_text(status, "source", source);
	view_set_text(status, "source_state",
		      view->snapshot->unknown ? "waiting"
		      : view->stale	      ? "stale"
					      : "ok");
	json_object_set_new(status, "revision", json_integer((json_int_t)view->snapshot->revision));
	json_object_set_new(status, "synced_revision",
			    json_integer((json_int_t)view->synced_revision));
	/* As text: a JSON number keeps 53 bits in many readers. */
	json_object_set_new(status, "hash_seed",
			    json_sprintf("0x%llx", (unsigned long long)view->options->hash_seed));
	json_object_set_new(status, "services",
			    json_integer((json_int_t)count_services(view->maps)));
	json_object_set_new(status, "backends",
			    json_integer((json_int_t)count_backends(view->maps)));
	json_object_set_new(status, "frontends", json_integer((json_int_t)view->nfrontends));
	json_object_set_new(status, "attachments", attachments_json(view->attachments));
	json_object_set_new(status, "socket_lb", socket_lb_json(view->socket_lb));
	json_object_set_new(status, "refused", refusals_json(view));
	json_object_set_new(status, "packets", reasons_json(reasons, false));
	json_object_set_new(status, "bytes", reasons_json(reasons, true));
	text = json_dumps(status, JSON_COMPACT);
	json_decref(status);
	if (text)
		*ret_length = strlen(text);
	return text;
}
