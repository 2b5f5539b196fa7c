/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lab-objects FILE: the documents of a manifest as JSON, one a line, for the
 * lab's jq.  The reader is lbd's, so that both take the same files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"

/* The whole of a file; malloc'ed.  0 or -errno. */
static int file_read(const char *name, char **ret_text, size_t *ret_size)
{
	FILE *file = fopen(name, "re"), *text;
	char buf[65536];
	size_t n;
	int err = 0;

	if (!file)
		return -errno;
	text = open_memstream(ret_text, ret_size);
	if (!text) {
		fclose(file);
		return -ENOMEM;
	}
	while ((n = fread(buf, 1, sizeof(buf), file)))
		fwrite(buf, 1, n, text);
	if (ferror(file))
		err = -errno;
	fclose(file);
	if (fclose(text) && !err)
		err = -ENOMEM;
	if (err)
		free(*ret_text);
	return err;
}

static int documents_print(struct documents *documents, struct error *error)
{
	const struct document *document;
	int err;

	while ((err = documents_next(documents, &document, error)) == 1) {
		if (document->nproblems)
			return error_set(error, -EINVAL, "%s:%u: %s", document->name,
					 document->problems[0].line, document->problems[0].text);
		if (json_is_null(document->root))
			continue;
		json_dumpf(document->root, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
		putchar('\n');
	}
	return err;
}

int main(int argc, char **argv)
{
	const char *suffix = argc == 2 ? strrchr(argv[1], '.') : NULL;
	struct documents *documents = NULL;
	struct error error = {0};
	char *text = NULL;
	size_t size;
	int err;

	if (argc != 2) {
		fputs("usage: lab-objects FILE\n", stderr);
		return 2;
	}
	err = file_read(argv[1], &text, &size);
	if (!err)
		err = documents_open(argv[1], text, size,
				     suffix && !strcmp(suffix, ".json") ? DOCUMENT_JSON
									: DOCUMENT_YAML,
				     &documents);
	if (!err)
		err = documents_print(documents, &error);
	if (err && *error.text)
		fprintf(stderr, "lab: %s\n", error.text);
	else if (err)
		fprintf(stderr, "lab: %s: %s\n", argv[1], strerror(-err));
	documents_close(documents);
	free(text);
	return err ? 1 : 0;
}
