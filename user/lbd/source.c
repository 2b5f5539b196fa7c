/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "source.h"

#include <errno.h>
#include <stdlib.h>

#include "source_file.h"
#include "source_kube.h"

struct source {
	struct source_file *file; /* one of the two */
	struct source_kube *kube;
};

static int kube_open(const struct options *options, struct source_kube **ret, struct error *error)
{
	struct kube_config config;
	int err = kube_config_read(options->kubeconfig, options->kube_api, &kube_config_pod,
				   &config, error);

	if (err)
		return err;
	err = source_kube_open(&config, options->node, ret, error);
	if (err)
		kube_config_clear(&config);
	return err;
}

int source_open(const struct options *options, struct source **ret, struct error *error)
{
	struct source *source = calloc(1, sizeof(*source));
	int err;

	if (!source)
		return error_set(error, -ENOMEM, "no memory");
	if (options->source_path) {
		err = source_file_open(options->source_path, &source->file, error);
		if (err)
			error_prefix(error, err, "--source");
	} else {
		err = kube_open(options, &source->kube, error);
	}
	if (err) {
		free(source);
		return err;
	}
	*ret = source;
	return 0;
}

void source_close(struct source *source)
{
	if (!source)
		return;
	source_file_close(source->file);
	source_kube_close(source->kube);
	free(source);
}

int source_load(struct source *source, const struct source_node *node, struct snapshot **ret,
		bool *ret_stale, struct error *error)
{
	size_t nbroken = 0;
	int err;

	if (source->kube) {
		err = source_kube_load(source->kube, node, ret, error);
		*ret_stale = source_kube_trouble(source->kube) != NULL;
	} else {
		err = source_file_load(source->file, node, ret, &nbroken, error);
		*ret_stale = nbroken > 0;
	}
	return err;
}

int source_watch(struct source *source, uv_loop_t *loop, void (*changed)(void *arg), void *arg,
		 struct error *error)
{
	return source->kube ? source_kube_watch(source->kube, loop, changed, arg, error)
			    : source_file_watch(source->file, loop, changed, arg, error);
}
