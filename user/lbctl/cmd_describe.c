/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Everything about one Service, for people. */
#include <errno.h>
#include <string.h>

#include "list.h"
#include "resource.h"

static void frontends_print(const struct value *service, FILE *out)
{
	const char *label = "Addresses:";

	value_foreach(value_get(service, "frontends"), frontend)
	{
		fprintf(out, "%-15s%s ", label, value_get_text(frontend, "kind"));
		list_cell_address(frontend, out);
		fputc('\n', out);
		label = "";
	}
}

static void sources_print(const struct value *service, FILE *out)
{
	const char *before = "Sources:       ";

	value_foreach(value_get(service, "sources"), source)
	{
		fputs(before, out);
		table_safe(source->text, out);
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', out);
}

static void field_print(const struct value *service, const char *label, const char *key, FILE *out)
{
	const char *text = value_get_text(service, key);

	if (!*text)
		return;
	fprintf(out, "%-15s", label);
	table_safe(text, out);
	fputc('\n', out);
}

static void policy_print(const struct value *service, const char *label, const char *key,
			 const char *no_local, FILE *out)
{
	const char *policy = value_get_text(service, key);

	if (*policy)
		fprintf(out, "%-15s%s%s\n", label, policy,
			value_get(service, no_local)->type == VALUE_TRUE
				? ", and no endpoint is on this node: new flows are dropped"
				: "");
}

static void service_print(const struct value *service, FILE *out)
{
	fprintf(out, "%-15s", "Name:");
	list_cell_service(service, out);
	fputc('\n', out);
	if (!*value_get_text(service, "protocol")) { /* refused as a whole */
		field_print(service, "State:", "state", out);
		field_print(service, "Reason:", "reason", out);
		return;
	}
	fprintf(out, "%-15s%s/%s, %s\n", "Port:", value_get_text(service, "port"),
		value_get_text(service, "protocol"), value_get_text(service, "family"));
	frontends_print(service, out);
	field_print(service, "State:", "state", out);
	field_print(service, "Reason:", "reason", out);
	policy_print(service, "Internal:", "internal_policy", "no_local_internal", out);
	policy_print(service, "External:", "external_policy", "no_local_external", out);
	sources_print(service, out);
	if (value_get_number(service, "affinity_s"))
		fprintf(out, "%-15sClientIP, %llds\n",
			"Affinity:", value_get_number(service, "affinity_s"));
	field_print(service, "Scheduler:", "scheduler", out);
	field_print(service, "Health port:", "health_check_port", out);
	field_print(service, "  but:", "health_check_port_trouble", out);
	field_print(service, "Health check:", "health_check", out);
	fprintf(out, "%-15s%lld of %lld usable\n", "Backends:", value_get_number(service, "usable"),
		value_get_number(service, "endpoints"));
}

/* The backends of this port and family alone. */
static bool is_of(const struct value *backend, const struct value *service)
{
	bool v6 = strchr(value_get_text(backend, "address"), ':');

	return !strcmp(value_get_text(backend, "port_name"),
		       value_get_text(service, "port_name")) &&
	       !strcmp(value_get_text(backend, "protocol"), value_get_text(service, "protocol")) &&
	       v6 == !strcmp(value_get_text(service, "family"), "IPv6");
}

static int backends_print(const struct value *backends, const struct value *service, FILE *out)
{
	static const char *const headers[] = {"  ADDRESS", "POD",   "NODE",
					      "STATUS",	   "SLOTS", "FLOWS"};
	struct table table;

	if (table_begin(&table, 6))
		return -ENOMEM;
	table.judged = 1U << 3; /* STATUS */
	for (size_t i = 0; i < 6; i++) {
		fputs(headers[i], table.cells);
		table_next(&table);
	}
	value_foreach(backends, backend)
	{
		if (!is_of(backend, service))
			continue;
		fputs("  ", table.cells);
		list_cell_address(backend, table.cells);
		fprintf(table.cells, "%c%s%c%s%c", 0, value_get_text(backend, "pod"), 0,
			value_get_text(backend, "node"), 0);
		list_cell_status(backend, table.cells);
		fprintf(table.cells, "%c%s%c%s%c", 0, value_get_text(backend, "slots"), 0,
			value_get_text(backend, "flows"), 0);
	}
	return table_end(&table, out);
}

static int describe_print(const struct value *root, const struct invocation *invocation, FILE *out)
{
	const char *gap = "";
	int err = 0;

	(void)invocation;
	value_foreach(value_get(root, "services"), service)
	{
		fputs(gap, out);
		gap = "\n";
		service_print(service, out);
		if (!*value_get_text(service, "protocol"))
			continue;
		err = err ?: backends_print(value_get(root, "backends"), service, out);
	}
	return err;
}

static int services_describe(struct invocation *invocation, FILE *out, struct error *error)
{
	char url[RESOURCE_URL_SIZE];
	struct answer *answer;
	int err;

	invocation->service = invocation->operand;
	err = client_get(invocation->client, resource_url(invocation, "/v1/services/describe", url),
			 &answer, error);
	if (err)
		return err;
	if (value_count(value_get(answer_root(answer), "services")))
		return resource_show(answer, invocation, describe_print, out, error);
	answer_free(answer);
	return error_set(error, -ENOENT, "%s: no such service", invocation->operand);
}

const struct command cmd_services_describe = {
	.words = "services describe",
	.operand = "NS/NAME",
	.operand_is_service = true,
	.summary = "one Service and its backends",
	.flags = COMMAND_F_WATCH,
	.run = services_describe,
};
