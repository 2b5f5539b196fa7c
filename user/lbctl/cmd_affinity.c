/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "list.h"
#include "resource.h"

static void cell_backend(const struct value *row, FILE *out)
{
	list_place(row, "backend", "backend_port", out);
}

static void cell_age(const struct value *row, FILE *out)
{
	list_age(value_get_number(row, "age_s"), out);
}

static void cell_expires(const struct value *row, FILE *out)
{
	list_age(value_get_number(row, "expires_s"), out);
}

static const struct table_column columns[] = {
	{.header = "SERVICE", .cell = list_cell_service}, {.header = "CLIENT", .key = "client"},
	{.header = "BACKEND", .cell = cell_backend},	  {.header = "AGE", .cell = cell_age},
	{.header = "EXPIRES", .cell = cell_expires},
};

static const struct list affinity = {
	.resource = RESOURCE_AFFINITY,
	.key = "affinity",
	.columns = columns,
	.ncolumns = sizeof(columns) / sizeof(*columns),
};

static int affinity_list(struct invocation *invocation, FILE *out, struct error *error)
{
	return list_show(&affinity, invocation, out, error);
}

const struct command cmd_affinity_list = {
	.words = "affinity list",
	.summary = "clients that have a backend of their own",
	.flags = COMMAND_F_WATCH | COMMAND_F_SERVICE | COMMAND_F_LIMIT,
	.run = affinity_list,
};
