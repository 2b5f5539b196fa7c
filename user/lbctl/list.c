/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "list.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

void list_cell_service(const struct value *row, FILE *out)
{
	const char *port_name = value_get_text(row, "port_name");

	fputs(value_get_text(row, "service"), out);
	if (*port_name) {
		fputc(':', out);
		fputs(port_name, out);
	}
}

void list_place(const struct value *row, const char *address_key, const char *port_key, FILE *out)
{
	const char *address = value_get_text(row, address_key);
	const char *port = value_get_text(row, port_key);
	bool v6 = strchr(address, ':');

	fputs(v6 ? "[" : "", out);
	fputs(address, out);
	fputs(v6 ? "]:" : ":", out);
	fputs(*port ? port : "0", out);
}

void list_cell_address(const struct value *row, FILE *out)
{
	list_place(row, "address", "port", out);
}

void list_age(long long s, FILE *out)
{
	if (s >= 86400)
		fprintf(out, "%lldd%lldh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		fprintf(out, "%lldh%lldm", s / 3600, s / 60 % 60);
	else if (s >= 60)
		fprintf(out, "%lldm%llds", s / 60, s % 60);
	else
		fprintf(out, "%llds", s);
}

void list_cell_status(const struct value *row, FILE *out)
{
	if (!strcmp(value_get_text(row, "health"), "down"))
		fputs("down", out);
	else if (!strcmp(value_get_text(row, "state"), "draining"))
		fputs("draining", out);
	else if (value_get(row, "terminating")->type == VALUE_TRUE)
		fputs("terminating", out);
	else if (value_get(row, "ready")->type == VALUE_FALSE)
		fputs("not_ready", out);
	else if (!strcmp(value_get_text(row, "slots"), "0"))
		fputs("unused", out);
	else
		fputs(value_get_text(row, "state"), out);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keep(void *name)
{
	(void)name; /* the names belong to the text that they are in */
}

/* Each name once, in the order they come: a backend of two services is two
 * rows, but one thing to drain. */
static int names_print(const struct list *list, const struct value *rows, FILE *out)
{
	char *names = NULL;
	void *seen = NULL;
	size_t size;
	FILE *memory = open_memstream(&names, &size);
	int err = -ENOMEM;

	if (!memory)
		return -ENOMEM;
	value_foreach(rows, row)
	{
		list->name(row, memory);
		fputc('\0', memory);
	}
	if (fclose(memory))
		goto out;
	for (char *name = names; name < names + size; name += strlen(name) + 1) {
		char **found = tsearch(name, &seen, compare);

		if (!found)
			goto out;
		if (*found == name) {
			table_safe(name, out);
			fputc('\n', out);
		}
	}
	err = 0;
out:
	tdestroy(seen, keep);
	free(names);
	return err;
}

/* What the limit has cut. */
static void rest_print(const struct value *root, const struct list *list, const struct value *rows,
		       FILE *out)
{
	long long total = value_get_number(root, list->total), n = (long long)value_count(rows);

	if (total > n)
		fprintf(out, "... and %lld more (--limit)\n", total - n);
}

int list_show(const struct list *list, struct invocation *invocation, FILE *out,
	      struct error *error)
{
	const struct value *rows;
	struct answer *answer;
	int err;

	err = resource_get(invocation, list->resource, &answer, error);
	if (err)
		return err;
	rows = value_get(answer_root(answer), list->key);
	if (rows->type != VALUE_ARRAY)
		err = error_set(error, -EPROTO, "the daemon's answer has no list \"%s\"",
				list->key);
	else if (output_is_document(invocation->output))
		err = output_document(answer, invocation->output, out, error);
	else if (invocation->output == OUTPUT_NAME)
		err = names_print(list, rows, out);
	else
		err = table_print(list->columns, list->ncolumns, rows,
				  invocation->output == OUTPUT_WIDE, out);
	if (!err && !output_is_document(invocation->output) && list->total)
		rest_print(answer_root(answer), list, rows, out);
	if (err == -ENOMEM)
		error_set(error, err, "out of memory");
	answer_free(answer);
	return err;
}
