/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Any bytes as lbd's command line: arguments end at NUL bytes. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define ARGUMENTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *argv[ARGUMENTS_MAX + 1] = {"lbd"};
	struct options options;
	struct error error = {""};
	int argc = 1, err;

	memcpy(text, data, size);
	text[size] = '\0';
	for (char *argument = text; argument < text + size && argc < ARGUMENTS_MAX;
	     argument += strlen(argument) + 1)
		argv[argc++] = argument;
	err = options_parse(argc, argv, &options, &error);
	if (err && (err != -EINVAL || !*error.text || strchr(error.text, '\n')))
		abort();
	free(text);
	return 0;
}
