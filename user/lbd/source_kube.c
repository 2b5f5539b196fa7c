/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "source_kube.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_watch.h"
#include "log.h"
#include "model.h"

/* A rollout's events come in crowds. */
#define DEBOUNCE_MS 5

static const struct kube_watch_spec kinds[] = {
	{OBJECT_SERVICE, "v1", "Service", "services", "/api/v1/services", NULL},
	{OBJECT_ENDPOINT_SLICE, "discovery.k8s.io/v1", "EndpointSlice", "endpointslices",
	 "/apis/discovery.k8s.io/v1/endpointslices", NULL},
	{OBJECT_NETWORK_POLICY, "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies",
	 "/apis/networking.k8s.io/v1/networkpolicies", NULL},
	/* This one alone: see source_kube_open(). */
	{OBJECT_NODE, "v1", "Node", "nodes", "/api/v1/nodes", NULL},
};
#define FIELD_SELECTOR_SIZE 320 /* "metadata.name=", and a name of 253 characters */
#define KINDS (sizeof(kinds) / sizeof(*kinds))

struct source_kube {
	struct kube_config config;
	struct kube_client *client;
	struct kube_watch_spec specs[KINDS];
	struct kube_watch *watches[KINDS];
	char own_node[FIELD_SELECTOR_SIZE];
	struct objects *objects;
	bool node_missed; /* and it was said */
	uv_timer_t debounce;
	bool watching;
	void (*changed)(void *arg);
	void *changed_arg;
	uint64_t revision, digest;
};

int source_kube_open(struct kube_config *config, const char *node, struct source_kube **ret,
		     struct error *error)
{
	struct source_kube *source = calloc(1, sizeof(*source));

	if (!source || objects_create(&source->objects)) {
		free(source);
		return error_set(error, -ENOMEM, "no memory");
	}
	/* All nodes' heartbeats would be a burden, to us and to the server. */
	memcpy(source->specs, kinds, sizeof(kinds));
	snprintf(source->own_node, sizeof(source->own_node), "metadata.name=%s", node);
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].kind == OBJECT_NODE)
			source->specs[i].field_selector = source->own_node;
	source->config = *config;
	memset(config, 0, sizeof(*config));
	*ret = source;
	return 0;
}

static bool all_synced(const struct source_kube *source)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!source->watches[i] || !kube_watch_synced(source->watches[i]))
			return false;
	return true;
}

const char *source_kube_trouble(const struct source_kube *source)
{
	const char *trouble = NULL;

	for (size_t i = 0; i < KINDS && !trouble; i++)
		if (source->watches[i])
			trouble = kube_watch_trouble(source->watches[i]);
	return trouble;
}

/* Without its Node nothing is known of pods that are in no slice: worth a line, each
 * time it vanishes. */
static void node_look(struct source_kube *source, const char *name, bool known)
{
	if (!known && !source->node_missed)
		log_warn("the API server knows no such Node: its zone and pod CIDRs are unknown, "
			 "see --node node=%s server=%s",
			 name, source->config.server);
	source->node_missed = !known;
}

int source_kube_load(struct source_kube *source, const struct source_node *node,
		     struct snapshot **ret, struct error *error)
{
	const char *trouble = source_kube_trouble(source);
	struct snapshot *snapshot;
	uint64_t digest;
	int err;

	if (!all_synced(source))
		return error_set(error, -EAGAIN, "%s: %s", source->config.server,
				 trouble ?: "not everything has been listed yet");
	err = snapshot_build(source->objects, node, source->revision, &snapshot);
	if (err)
		return error_set(error, err, "%s", strerror(-err));
	node_look(source, node->name, snapshot->node.known);
	digest = snapshot_digest(snapshot);
	if (!source->revision || digest != source->digest)
		snapshot->revision = ++source->revision;
	source->digest = digest;
	*ret = snapshot;
	return 0;
}

/* ---- watching -------------------------------------------------------------------- */

static void debounce_due(uv_timer_t *timer)
{
	struct source_kube *source = timer->data;

	if (all_synced(source))
		source->changed(source->changed_arg);
}

static void on_changed(void *arg)
{
	struct source_kube *source = arg;

	if (!uv_is_active((uv_handle_t *)&source->debounce))
		uv_timer_start(&source->debounce, debounce_due, DEBOUNCE_MS, 0);
}

static void on_trouble(void *arg, const struct kube_watch_spec *spec)
{
	struct source_kube *source = arg;
	const char *trouble = kube_watch_trouble(source->watches[spec - source->specs]);

	if (trouble)
		log_warn("the API server can't be followed server=%s error=\"%s\"",
			 source->config.server, trouble);
	else
		log_info("the API server is followed again server=%s resource=%s",
			 source->config.server, spec->resource);
}

int source_kube_watch(struct source_kube *source, uv_loop_t *loop, void (*changed)(void *arg),
		      void *arg, struct error *error)
{
	const struct kube_watch_events events = {
		.changed = on_changed, .trouble = on_trouble, .arg = source};
	int err;

	err = kube_client_open(loop, &source->config, &source->client, error);
	if (err)
		return err;
	source->changed = changed;
	source->changed_arg = arg;
	uv_timer_init(loop, &source->debounce);
	source->debounce.data = source;
	source->watching = true;
	for (size_t i = 0; i < KINDS && !err; i++)
		err = kube_watch_open(loop, source->client, source->objects, &source->specs[i],
				      &events, &source->watches[i]);
	return err ? error_set(error, err, "%s", strerror(-err)) : 0;
}

static void source_free(struct source_kube *source)
{
	objects_free(source->objects);
	kube_config_clear(&source->config);
	free(source);
}

static void debounce_closed(uv_handle_t *timer)
{
	source_free(timer->data);
}

void source_kube_close(struct source_kube *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < KINDS; i++)
		kube_watch_close(source->watches[i]);
	kube_client_close(source->client);
	if (source->watching)
		uv_close((uv_handle_t *)&source->debounce, debounce_closed);
	else
		source_free(source);
}
