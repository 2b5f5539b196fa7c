/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "list.h"
#include "resource.h"

static void cell_client(const struct value *row, FILE *out)
{
	list_place(row, "client", "client_port", out);
}

static void cell_frontend(const struct value *row, FILE *out)
{
	list_place(row, "frontend", "frontend_port", out);
}

static void cell_backend(const struct value *row, FILE *out)
{
	list_place(row, "backend", "backend_port", out);
}

/* Whom the backend sees. */
static void cell_seen(const struct value *row, FILE *out)
{
	if (value_get_number(row, "snat_port"))
		fprintf(out, "node:%lld", value_get_number(row, "snat_port"));
	else
		cell_client(row, out);
}

static void cell_age(const struct value *row, FILE *out)
{
	list_age(value_get_number(row, "age_s"), out);
}

static const struct table_column columns[] = {
	{.header = "PROTO", .key = "protocol"},
	{.header = "CLIENT", .cell = cell_client},
	{.header = "FRONTEND", .cell = cell_frontend},
	{.header = "BACKEND", .cell = cell_backend},
	{.header = "SEEN AS", .wide = true, .cell = cell_seen},
	{.header = "STATE", .key = "state"},
	{.header = "AGE", .cell = cell_age},
	{.header = "PATH", .wide = true, .key = "path"},
	{.header = "SERVICE", .wide = true, .cell = list_cell_service},
};

static const struct list flows = {
	.resource = RESOURCE_FLOWS,
	.key = "flows",
	.total = "total",
	.columns = columns,
	.ncolumns = sizeof(columns) / sizeof(*columns),
};

static int flows_list(struct invocation *invocation, FILE *out, struct error *error)
{
	return list_show(&flows, invocation, out, error);
}

static int flows_delete(struct invocation *invocation, FILE *out, struct error *error)
{
	char url[RESOURCE_URL_SIZE];
	struct answer *answer;
	int err;

	err = client_post(invocation->client, resource_url(invocation, "/v1/flows/delete", url),
			  CLIENT_GET_TIMEOUT_MS, &answer, error);
	if (err)
		return err;
	if (output_is_document(invocation->output))
		err = output_document(answer, invocation->output, out, error);
	else
		fprintf(out, "%lld flows deleted\n",
			value_get_number(answer_root(answer), "deleted"));
	answer_free(answer);
	return err;
}

const struct command cmd_flows_list = {
	.words = "flows list",
	.summary = "flows: who talks to which backend",
	.flags = COMMAND_F_WATCH | COMMAND_F_SERVICE | COMMAND_F_PLACES | COMMAND_F_LIMIT,
	.run = flows_list,
};

const struct command cmd_flows_delete = {
	.words = "flows delete",
	.summary = "forget flows: their next packets begin anew",
	.flags = COMMAND_F_SERVICE | COMMAND_F_PLACES | COMMAND_F_SELECTS,
	.run = flows_delete,
};
