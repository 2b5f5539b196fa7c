/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manifest.h"
#include "source_file.h"
#include "source_scan.h"
#include "source_watch.h"

/* A file as it was last read. */
struct file {
	char *path;
	struct source_stamp stamp;
	bool again;		   /* read it again even if the stamp is the same */
	struct manifest *manifest; /* its last good state; NULL = none */
	char *broken;		   /* why its present state is no manifest; NULL = it is */
};

struct source_file {
	char *path;
	bool is_directory;
	struct file *files; /* sorted by path */
	size_t nfiles;
	bool links;
	struct objects *objects;
	bool loaded; /* a load has succeeded */
	uint64_t revision, digest;
	struct source_watch *watch;
	void (*changed)(void *arg);
	void *changed_arg;
};

int source_file_open(const char *path, struct source_file **ret, struct error *error)
{
	struct source_file *source;
	struct stat st;

	if (stat(path, &st) || access(path, R_OK))
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(error, -EINVAL, "%s: neither a file nor a directory", path);
	source = calloc(1, sizeof(*source));
	if (!source)
		return error_set(error, -ENOMEM, "%s: out of memory", path);
	source->is_directory = S_ISDIR(st.st_mode);
	source->path = strdup(path);
	if (!source->path || objects_create(&source->objects)) {
		source_file_close(source);
		return error_set(error, -ENOMEM, "%s: out of memory", path);
	}
	*ret = source;
	return 0;
}

static void file_clear(struct file *file)
{
	free(file->path);
	free(file->broken);
	manifest_free(file->manifest);
	*file = (struct file){};
}

static void files_free(struct file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		file_clear(&files[i]);
	free(files);
}

void source_file_close(struct source_file *source)
{
	if (!source)
		return;
	source_watch_stop(source->watch);
	files_free(source->files, source->nfiles);
	objects_free(source->objects);
	free(source->path);
	free(source);
}

/* ---- reading ---- */

/* Take in the file's present state.  Returns -ENOMEM, or 0 also where it's no
 * manifest.  In a directory a file may be gone since the scan. */
static int file_read(struct file *file, bool may_be_gone)
{
	struct manifest *manifest = NULL;
	struct source_stamp stamp = {};
	struct error error;
	char *text = NULL;
	size_t size = 0;
	int err;

	file->again = true;
	err = source_scan_read(file->path, &text, &size, &stamp, &error);
	if (!err) {
		file->stamp = stamp;
		file->again = source_stamp_fresh(&stamp);
		err = manifest_read(file->path, text, size, &manifest, &error);
		free(text);
	}
	if (err == -ENOMEM)
		return err;
	free(file->broken);
	file->broken = NULL;
	if (err && !(err == -ENOENT && may_be_gone)) {
		file->broken = strdup(error.text);
		return file->broken ? 0 : -ENOMEM;
	}
	manifest_free(file->manifest);
	file->manifest = manifest;
	return 0;
}

static int path_scan(const struct source_file *source, struct source_scan *ret, struct error *error)
{
	if (source->is_directory)
		return source_scan_directory(source->path, ret, error);
	return source_scan_file(source->path, ret, error);
}

static bool file_changed(const struct file *file, const struct source_scan_file *now)
{
	return strcmp(file->path, now->path) || !source_stamp_equal(&file->stamp, &now->stamp);
}

/* Bring the list of files up to a scan, both of which are sorted.  What isn't
 * there any more takes its objects along. */
static int files_update(struct source_file *source, const struct source_scan *scan)
{
	struct file *files = calloc(scan->nfiles + 1, sizeof(*files));
	size_t old = 0;

	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < scan->nfiles; i++) {
		const char *path = scan->files[i].path;

		while (old < source->nfiles && strcmp(source->files[old].path, path) < 0)
			file_clear(&source->files[old++]);
		if (old < source->nfiles && !strcmp(source->files[old].path, path)) {
			files[i] = source->files[old];
			source->files[old++] = (struct file){};
			continue;
		}
		files[i].path = strdup(path);
		files[i].again = true;
		if (!files[i].path) {
			/* What was moved already is lost: read all again. */
			files_free(files, i);
			files_free(source->files, source->nfiles);
			source->files = NULL;
			source->nfiles = 0;
			return -ENOMEM;
		}
	}
	files_free(source->files, source->nfiles);
	source->files = files;
	source->nfiles = scan->nfiles;
	return 0;
}

static int files_read(struct source_file *source, struct error *error)
{
	struct source_scan scan;
	int err;

	err = path_scan(source, &scan, error);
	if (err)
		return err;
	err = files_update(source, &scan);
	for (size_t i = 0; !err && i < scan.nfiles; i++) {
		struct file *file = &source->files[i];

		if (!file->again && !file_changed(file, &scan.files[i]))
			continue;
		file->stamp = scan.files[i].stamp; /* of a file that can't be read, too */
		err = file_read(file, source->is_directory);
	}
	source->links = scan.links;
	source_scan_clear(&scan);
	return err ? error_set(error, err, "%s: %s", source->path, strerror(-err)) : 0;
}

/* ---- objects ---- */

/* "PATH:LINE: reason" or "PATH: reason" as a refusal. */
static int broken_put(struct source_file *source, const struct file *file)
{
	size_t length = strlen(file->path);
	const char *reason = NULL;
	struct object *object;
	char *where;
	int err;

	/* Of a very long path only a part may be there. */
	if (strlen(file->broken) > length)
		reason = strstr(file->broken + length, ": ");
	where = reason ? strndup(file->broken, reason - file->broken) : strdup(file->path);
	if (!where)
		return -ENOMEM;
	err = object_refuse(NULL, where, &object, "%s", reason ? reason + 2 : file->broken);
	free(where);
	if (err)
		return err;
	err = objects_put(source->objects, object);
	object_unref(object);
	return err;
}

static int objects_update(struct source_file *source)
{
	int err = 0;

	objects_begin(source->objects, OBJECT_NONE);
	for (size_t i = 0; i < source->nfiles; i++) {
		const struct file *file = &source->files[i];

		if (file->broken)
			err = broken_put(source, file);
		for (size_t j = 0; !err && file->manifest && j < file->manifest->nobjects; j++)
			err = objects_put(source->objects, file->manifest->objects[j]);
		if (err)
			return err;
	}
	objects_end(source->objects, OBJECT_NONE);
	return 0;
}

static size_t broken_count(const struct source_file *source, const char **ret_first)
{
	size_t n = 0;

	for (size_t i = 0; i < source->nfiles; i++)
		if (source->files[i].broken && !n++)
			*ret_first = source->files[i].broken;
	return n;
}

int source_file_load(struct source_file *source, const struct source_node *node,
		     struct snapshot **ret, size_t *ret_broken, struct error *error)
{
	const char *first = NULL;
	struct snapshot *snapshot;
	uint64_t digest;
	size_t nbroken;
	int err;

	err = files_read(source, error);
	if (err)
		return err;
	nbroken = broken_count(source, &first);
	if (nbroken)
		error_set(error, 0, "%s", first);
	if (nbroken && !source->loaded)
		return -EINVAL;

	err = objects_update(source);
	if (!err)
		err = snapshot_build(source->objects, node, source->revision, &snapshot);
	if (err)
		return error_set(error, err, "%s: %s", source->path, strerror(-err));
	digest = snapshot_digest(snapshot);
	if (!source->loaded || digest != source->digest)
		snapshot->revision = ++source->revision;
	source->digest = digest;
	source->loaded = true;
	*ret_broken = nbroken;
	*ret = snapshot;
	return 0;
}

/* ---- watching ---- */

static bool on_concerns(void *arg, const char *name)
{
	struct source_file *source = arg;
	const char *slash;

	/* A mounted ConfigMap changes by its link ..data. */
	if (!strncmp(name, "..", 2))
		return true;
	if (source->is_directory)
		return source_scan_wants(name);
	slash = strrchr(source->path, '/');
	return !strcmp(name, slash ? slash + 1 : source->path);
}

static bool on_stale(void *arg)
{
	struct source_file *source = arg;
	struct source_scan now;
	struct error error;
	bool stale;

	if (!source->links || path_scan(source, &now, &error))
		return false;
	stale = now.nfiles != source->nfiles;
	for (size_t i = 0; !stale && i < now.nfiles; i++)
		stale = file_changed(&source->files[i], &now.files[i]);
	source_scan_clear(&now);
	return stale;
}

static void on_changed(void *arg)
{
	struct source_file *source = arg;

	source->changed(source->changed_arg);
}

int source_file_watch(struct source_file *source, uv_loop_t *loop, void (*changed)(void *arg),
		      void *arg, struct error *error)
{
	const struct source_watch_events events = {
		.concerns = on_concerns,
		.stale = on_stale,
		.changed = on_changed,
		.arg = source,
	};
	char *copy = strdup(source->path);
	int err;

	if (!copy)
		return error_set(error, -ENOMEM, "%s: out of memory", source->path);
	source->changed = changed;
	source->changed_arg = arg;
	err = source_watch_start(loop, source->is_directory ? copy : dirname(copy), &events,
				 &source->watch, error);
	free(copy);
	return err;
}
