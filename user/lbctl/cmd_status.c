/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command.h"
#include "list.h"
#include "reason.h"

static const struct table_column attachment_columns[] = {
	{.header = "DEVICE", .key = "device"}, {.header = "ROLE", .key = "role"},
	{.header = "HOOK", .key = "hook"},     {.header = "ATTACH", .key = "attach"},
	{.header = "REASON", .key = "reason"},
};

static const struct table_column refused_columns[] = {
	{.header = "REFUSED", .key = "where"},
	{.header = "KIND", .key = "kind"},
	{.header = "OBJECT", .key = "object"},
	{.header = "REASON", .key = "reason"},
};

static void summary_print(const struct value *status, FILE *out)
{
	long long revision = value_get_number(status, "revision");
	long long synced = value_get_number(status, "synced_revision");

	fputs("Node:        ", out);
	table_safe(value_get_text(status, "node"), out);
	fputs("\nDaemon:      lbd ", out);
	table_safe(value_get_text(status, "version"), out);
	fprintf(out, ", pid %lld, up ", value_get_number(status, "pid"));
	list_age(value_get_number(status, "uptime_s"), out);
	fputs("\nSource:      ", out);
	table_safe(value_get_text(status, "source"), out);
	fputs(" (", out);
	table_safe(value_get_text(status, "source_state"), out);
	fprintf(out, ")\nRevision:    %lld, ", revision);
	if (revision == synced)
		fputs("in the maps\n", out);
	else
		fprintf(out, "the maps hold %lld\n", synced);
}

static void counts_print(const struct value *status, FILE *out)
{
	fprintf(out, "Services:    %lld\nFrontends:   %lld\nBackends:    %lld\n",
		value_get_number(status, "services"), value_get_number(status, "frontends"),
		value_get_number(status, "backends"));
}

/* Packets and bytes by reason: all of them and what they mean with -o wide,
 * else those that were counted. */
static int packets_print(const struct value *status, bool wide, FILE *out)
{
	static const char *const headers[] = {"REASON", "PACKETS", "BYTES", "VERDICT", "MEANING"};
	const struct value *bytes = value_get(status, "bytes");
	size_t ncolumns = wide ? 5 : 3;
	struct table table;

	if (table_begin(&table, ncolumns))
		return -ENOMEM;
	for (size_t c = 0; c < ncolumns; c++) {
		fputs(headers[c], table.cells);
		table_next(&table);
	}
	value_foreach(value_get(status, "packets"), packets)
	{
		/* NULL where a newer daemon knows a reason that this lbctl doesn't. */
		const struct reason *reason = reason_find(packets->key);

		if (!wide && !strcmp(packets->text, "0"))
			continue;
		fprintf(table.cells, "%s%c%s%c%s%c", packets->key, 0, packets->text, 0,
			value_get_text(bytes, packets->key), 0);
		if (wide)
			fprintf(table.cells, "%s%c%s%c", reason ? reason->verdict_text : "", 0,
				reason ? reason->meaning : "", 0);
	}
	return table_end(&table, out);
}

#define TABLE(columns) columns, sizeof(columns) / sizeof(*(columns))

/* A daemon that was killed leaves its socket, whose time it renewed while it lived. */
static void absence_print(const struct invocation *invocation, FILE *out)
{
	struct stat socket;
	char text[32];

	if (stat(invocation->control, &socket)) {
		fputs("Daemon:      not running, ended in order\n", out);
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime(&socket.st_mtime));
	fprintf(out, "Daemon:      not running, stale since %s\n", text);
}

static void socket_lb_print(const struct value *socket_lb, FILE *out)
{
	const char *cgroup = value_get_text(socket_lb, "cgroup");

	fputs("Processes:   ", out);
	if (*cgroup) {
		fputs("served, cgroup ", out);
		table_safe(cgroup, out);
	} else {
		fputs("not served: ", out);
		table_safe(value_get_text(socket_lb, "reason"), out);
	}
	fputc('\n', out);
}

static int status_print(const struct value *status, const struct invocation *invocation, FILE *out)
{
	const struct value *refused = value_get(status, "refused");
	bool wide = invocation->output == OUTPUT_WIDE;
	int err = 0;

	if (invocation->from_pins)
		absence_print(invocation, out);
	else
		summary_print(status, out);
	counts_print(status, out);
	if (!invocation->from_pins) {
		socket_lb_print(value_get(status, "socket_lb"), out);
		fputc('\n', out);
		err = table_print(TABLE(attachment_columns), value_get(status, "attachments"), wide,
				  out);
	}
	if (!err && refused->span > 1) {
		fputc('\n', out);
		err = table_print(TABLE(refused_columns), refused, wide, out);
	}
	if (!err) {
		fputc('\n', out);
		err = packets_print(status, wide, out);
	}
	return err;
}

static int status_show(struct invocation *invocation, FILE *out, struct error *error)
{
	struct answer *answer;
	int err = resource_get(invocation, RESOURCE_STATUS, &answer, error);

	if (err)
		return err;
	if (value_get(answer_root(answer), "attachments")->type == VALUE_ARRAY)
		return resource_show(answer, invocation, status_print, out, error);
	answer_free(answer);
	return error_set(error, -EPROTO, "the daemon's answer has no list \"attachments\"");
}

const struct command cmd_status = {
	.words = "status",
	.summary = "the daemon, what it attached, packets",
	.flags = COMMAND_F_WATCH,
	.run = status_show,
};
