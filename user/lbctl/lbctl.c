/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* lbctl shows and steers lbd.  This file runs the command that was asked for
 * and prints its result or its error. */
#include <errno.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "request.h"
#include "table.h"

#define WATCH_INTERVAL_S 2
#define OUTPUT_BUFFER (64 << 10)

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/* An error is one line on stderr, or the document that was asked for. */
static void error_show(const struct error *error, enum output_format format)
{
	if (output_is_document(format) && !output_error(error->text, format, stdout))
		return;
	fputs("lbctl: ", stderr);
	table_safe(error->text, stderr);
	fputc('\n', stderr);
}

/* Run the command with its result in memory, malloc'ed. */
static int command_run(struct request *request, char **ret, struct error *error)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int err;

	if (!out)
		return error_set(error, -ENOMEM, "out of memory");
	err = request->command->run(&request->invocation, out, error);
	if (fclose(out) && !err)
		err = error_set(error, -ENOMEM, "out of memory");
	if (err)
		free(text);
	else
		*ret = text;
	return err;
}

/* Print the result whenever it differs from the one before.  The first request
 * has to succeed; later a daemon may go and come back. */
static int command_watch(struct request *request, struct error *error)
{
	enum output_format format = request->invocation.output;
	const char *separator = format == OUTPUT_YAML ? "---\n" : "\n";
	char *shown = NULL, *text = NULL;
	struct error told = {""};
	int err;

	for (;;) {
		err = command_run(request, &text, error);
		if (err && !shown)
			return err;
		if (err && strcmp(error->text, told.text)) {
			if (output_is_document(format))
				fputs(separator, stdout);
			error_show(error, format);
			told = *error;
		} else if (!err && (*told.text || !shown || strcmp(text, shown))) {
			if (shown)
				fputs(separator, stdout);
			fputs(text, stdout);
			*told.text = '\0';
		}
		if (!err) {
			free(shown);
			shown = text;
		}
		if (fflush(stdout))
			break;
		sleep(WATCH_INTERVAL_S);
	}
	free(shown);
	return 0; /* main() tells what is wrong with stdout */
}

/* Said once, and not where a program reads. */
static void pins_note(const struct invocation *invocation)
{
	if (invocation->from_pins && !output_is_document(invocation->output))
		fprintf(stderr, "lbctl: no daemon answers on %s: this is what the maps hold\n",
			invocation->control);
}

static int request_run(struct request *request, struct error *error)
{
	struct invocation *invocation = &request->invocation;
	int err;

	if (request->help) {
		request_usage(request->command, stdout);
		return 0;
	}
	if (request->version) {
		puts("lbctl " LB_VERSION);
		return 0;
	}
	err = client_open(invocation->control, &invocation->client, error);
	if (err)
		return err;
	err = invocation->watch ? command_watch(request, error)
				: request->command->run(invocation, stdout, error);
	pins_note(invocation);
	client_close(invocation->client);
	return err;
}

/* https://no-color.org */
static bool terminal_has_colours(void)
{
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && terminal && strcmp(terminal, "dumb");
}

int main(int argc, char **argv)
{
	struct request request;
	struct error error;
	int status = EXIT_SUCCESS;

	if (!isatty(STDOUT_FILENO)) /* a table of 10,000 rows in tens of writes, not hundreds */
		setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER);
	__fsetlocking(stdout, FSETLOCKING_BYCALLER); /* there is one thread */
	table_set_colours(terminal_has_colours());
	if (request_read(&request, argc, argv, &error))
		status = EXIT_USAGE;
	else if (request_run(&request, &error))
		status = EXIT_FAILED;
	if (status)
		error_show(&error, request.invocation.output);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "lbctl: standard output: %s\n", strerror(errno));
		status = EXIT_FAILED;
	}
	return status;
}
