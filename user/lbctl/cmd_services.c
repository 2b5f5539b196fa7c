/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <string.h>

#include "list.h"

static bool is_node_port(const struct value *frontend)
{
	return !strcmp(value_get_text(frontend, "kind"), "NodePort");
}

/* Every address clients use, node ports aside: those are in the port. */
static void cell_address(const struct value *row, FILE *out)
{
	const char *comma = "";

	value_foreach(value_get(row, "frontends"), frontend)
	{
		if (is_node_port(frontend))
			continue;
		fprintf(out, "%s%s", comma, value_get_text(frontend, "address"));
		comma = ",";
	}
}

/* As kubectl: PORT[:NODEPORT]/PROTOCOL. */
static void cell_port(const struct value *row, FILE *out)
{
	long long node_port = 0;

	if (!*value_get_text(row, "protocol"))
		return; /* a refused Service: nobody knows */
	value_foreach(value_get(row, "frontends"), frontend) if (is_node_port(frontend)) node_port =
		value_get_number(frontend, "port");
	fputs(value_get_text(row, "port"), out);
	if (node_port)
		fprintf(out, ":%lld", node_port);
	fprintf(out, "/%s", value_get_text(row, "protocol"));
}

static void cell_backends(const struct value *row, FILE *out)
{
	fprintf(out, "%lld/%lld", value_get_number(row, "usable"),
		value_get_number(row, "endpoints"));
}

static void cell_frontends(const struct value *row, FILE *out)
{
	const char *comma = "";

	value_foreach(value_get(row, "frontends"), frontend)
	{
		fprintf(out, "%s%s=", comma, value_get_text(frontend, "kind"));
		list_cell_address(frontend, out);
		comma = ",";
	}
}

static void cell_name(const struct value *row, FILE *out)
{
	fputs(value_get_text(row, "service"), out);
}

static const struct table_column columns[] = {
	{.header = "SERVICE", .cell = list_cell_service},
	{.header = "ADDRESS", .cell = cell_address},
	{.header = "PORT", .cell = cell_port},
	{.header = "BACKENDS", .cell = cell_backends},
	{.header = "STATE", .judged = true, .key = "state"},
	{.header = "FAMILY", .wide = true, .key = "family"},
	{.header = "FRONTENDS", .wide = true, .cell = cell_frontends},
	{.header = "REASON", .wide = true, .key = "reason"},
};

static const struct list services = {
	.resource = RESOURCE_SERVICES,
	.key = "services",
	.columns = columns,
	.ncolumns = sizeof(columns) / sizeof(*columns),
	.name = cell_name,
};

static int services_list(struct invocation *invocation, FILE *out, struct error *error)
{
	return list_show(&services, invocation, out, error);
}

const struct command cmd_services_list = {
	.words = "services list",
	.summary = "services and how many backends they use",
	.flags = COMMAND_F_WATCH | COMMAND_F_SERVICE | COMMAND_F_NAME,
	.run = services_list,
};
