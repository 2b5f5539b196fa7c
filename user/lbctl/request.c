/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "request.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "addr.h"

#define DEFAULT_CONTROL "/run/guideway/lbd.sock"
#define DEFAULT_BPFFS "/sys/fs/bpf/guideway"
#define DEFAULT_TIMEOUT_S 30
#define DEFAULT_LIMIT 1000
#define NUMBER_MAX 1000000
#define USAGE_COLUMN 37 /* where the usage explains */

static const struct command *const commands[] = {
	&cmd_services_list,    &cmd_services_describe,
	&cmd_backends_list,    &cmd_backends_drain,
	&cmd_backends_undrain, &cmd_flows_list,
	&cmd_flows_delete,     &cmd_affinity_list,
	&cmd_ring_show,	       &cmd_stats,
	&cmd_status,	       &cmd_diff,
	&cmd_export,	       &cmd_wait,
};
#define NCOMMANDS (sizeof(commands) / sizeof(*commands))

/* The option that stands for a command flag; 0 = every command takes it. */
static const struct option_row {
	struct option option;
	const char *argument, *help;
	unsigned int flag;
} option_rows[] = {
	{{"control", 1, NULL, 'c'}, "PATH", "its socket (" DEFAULT_CONTROL ")", 0},
	{{"bpffs", 1, NULL, 'b'}, "DIR", "its maps (" DEFAULT_BPFFS ")", 0},
	{{"output", 1, NULL, 'o'}, "FORMAT", "table (default), wide, json, yaml or name", 0},
	{{"watch", 0, NULL, 'w'}, NULL, "repeat, print it again when it changed", COMMAND_F_WATCH},
	{{"service", 1, NULL, 's'}, "NS/NAME", "of this service alone", COMMAND_F_SERVICE},
	{{"backend", 1, NULL, 'B'}, "ADDR[:PORT]", "of this backend alone", COMMAND_F_PLACES},
	{{"client", 1, NULL, 'C'}, "ADDR[:PORT]", "of this client alone", COMMAND_F_PLACES},
	{{"limit", 1, NULL, 'L'}, "N", "at most N rows (1000), 0: all", COMMAND_F_LIMIT},
	{{"wait", 0, NULL, 'W'}, NULL, "until no flow is left there", COMMAND_F_WAIT},
	{{"timeout", 1, NULL, 't'}, "S", "wait at most S seconds (30)", COMMAND_F_TIMEOUT},
	{{"version", 0, NULL, 'V'}, NULL, "print the version", 0},
	{{"help", 0, NULL, 'h'}, NULL, "print this", 0},
};
#define NOPTIONS (sizeof(option_rows) / sizeof(*option_rows))
/* Of these the letter is an option, too. */
#define OPTION_LETTERS ":o:wh"

static void commands_print(FILE *out)
{
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *command = commands[i];
		bool many = command->flags & (COMMAND_F_PLACES | COMMAND_F_LIMIT);
		int width = fprintf(out, "  %s%s%s", command->words, command->operand ? " " : "",
				    command->operand ? command->operand : "");

		for (size_t o = 0; o < NOPTIONS && !many && !command->operand; o++)
			if (option_rows[o].flag & command->flags && option_rows[o].argument)
				width += fprintf(out, " [--%s %s]", option_rows[o].option.name,
						 option_rows[o].argument);
		if (many)
			width += fprintf(out, " [OPTION ...]");
		fprintf(out, "%*s%s\n", width < USAGE_COLUMN ? USAGE_COLUMN - width : 1, "",
			command->summary);
	}
}

static void option_print(const struct option_row *row, FILE *out)
{
	bool letter = strchr(OPTION_LETTERS, row->option.val);
	int width = fprintf(out, "  %c%c%s--%s%s%s", letter ? '-' : ' ',
			    letter ? row->option.val : ' ', letter ? ", " : "  ", row->option.name,
			    row->argument ? " " : "", row->argument ? row->argument : "");

	fprintf(out, "%*s%s\n", USAGE_COLUMN - width, "", row->help);
}

void request_usage(const struct command *command, FILE *out)
{
	if (command) {
		fprintf(out, "usage: lbctl %s%s%s [OPTION ...]\n\n%s\n\noptions:\n", command->words,
			command->operand ? " " : "", command->operand ? command->operand : "",
			command->summary);
	} else {
		fputs("usage: lbctl [OPTION ...] [COMMAND]      without a command: status\n"
		      "\ncommands:\n",
		      out);
		commands_print(out);
		fputs("\noptions, before or after the command:\n", out);
	}
	for (size_t o = 0; o < NOPTIONS; o++)
		if (!command || !option_rows[o].flag || option_rows[o].flag & command->flags)
			option_print(&option_rows[o], out);
}

/* "NS/NAME" of DNS labels, so that it can stand in a URL as it is. */
static bool service_is_valid(const char *text)
{
	const char *slash = strchr(text, '/');
	size_t length = strlen(text);

	return slash && slash > text && slash[1] && length <= 127 &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-./") == length &&
	       !strchr(slash + 1, '/');
}

/* The same, perhaps with ":PORT", a name or a number. */
static bool service_port_is_valid(const char *text)
{
	const char *colon = strchr(text, ':');
	char service[128];

	if (!colon)
		return service_is_valid(text);
	if ((size_t)(colon - text) >= sizeof(service))
		return false;
	snprintf(service, sizeof(service), "%.*s", (int)(colon - text), text);
	return service_is_valid(service) && colon[1] &&
	       strspn(colon + 1, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(colon + 1);
}

static int control_check(const char *name, const char *path, struct error *error)
{
	const struct sockaddr_un address;

	if (!*path)
		return error_set(error, -EINVAL, "%s: the path is empty", name);
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, -EINVAL, "%s: the path is longer than %zu bytes", name,
				 sizeof(address.sun_path) - 1);
	return 0;
}

static int number_parse(const char *option, const char *what, const char *text, unsigned int *ret,
			struct error *error)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || number > NUMBER_MAX)
		return error_set(error, -EINVAL, "%s: '%s' is no number of %s (0-%d)", option, text,
				 what, NUMBER_MAX);
	*ret = number;
	return 0;
}

static int place_parse(const char *option, const char *text, const char **ret, struct error *error)
{
	struct addr addr;
	uint16_t port;

	if (addr_port_parse(text, &addr, &port))
		return error_set(error, -EINVAL, "%s: '%s' is not ADDR or ADDR:PORT", option, text);
	*ret = text;
	return 0;
}

static int option_take(struct request *request, int letter, const char *value, struct error *error)
{
	struct invocation *invocation = &request->invocation;

	switch (letter) {
	case 'c':
		invocation->control = value;
		return control_check("--control", value, error);
	case 'o':
		if (output_format_parse(value, &invocation->output))
			return error_set(error, -EINVAL,
					 "-o: '%s' is not table, wide, json, yaml or name", value);
		return 0;
	case 'w':
		invocation->watch = true;
		return 0;
	case 'W':
		invocation->wait = true;
		return 0;
	case 's':
		if (!service_is_valid(value))
			return error_set(error, -EINVAL, "--service: '%s' is not NS/NAME", value);
		invocation->service = value;
		return 0;
	case 't':
		return number_parse("--timeout", "seconds", value, &invocation->timeout_s, error);
	case 'L':
		return number_parse("--limit", "rows", value, &invocation->limit, error);
	case 'B':
		return place_parse("--backend", value, &invocation->backend, error);
	case 'C':
		return place_parse("--client", value, &invocation->client_place, error);
	case 'b':
		invocation->bpffs = value;
		return 0;
	case 'V':
		request->version = true;
		return 0;
	default:
		request->help = true;
		return 0;
	}
}

/* getopt's complaint in our words; optopt is 0 for an unknown long option. */
static int option_refuse(int complaint, const char *text, struct error *error)
{
	if (complaint == ':')
		return error_set(error, -EINVAL, "option '%s' needs a value", text);
	if (optopt && !strncmp(text, "--", 2))
		return error_set(error, -EINVAL, "option '%s': no value is wanted", text);
	if (optopt)
		return error_set(error, -EINVAL, "unknown option '-%c' (see lbctl --help)", optopt);
	return error_set(error, -EINVAL, "unknown option '%s' (see lbctl --help)", text);
}

/* All options are read even after a bad one: a later -o json has a say in how
 * the error is shown. */
static int options_read(struct request *request, int argc, char **argv, struct error *error)
{
	struct option options[NOPTIONS + 1] = {0};
	struct error ignored;
	int err = 0, letter;

	for (size_t o = 0; o < NOPTIONS; o++)
		options[o] = option_rows[o].option;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, OPTION_LETTERS, options, NULL)) != -1) {
		struct error *first = err ? &ignored : error;
		int bad;

		for (size_t o = 0; o < NOPTIONS; o++)
			if (option_rows[o].option.val == letter)
				request->flags |= option_rows[o].flag;
		if (letter == '?' || letter == ':')
			bad = option_refuse(letter, argv[optind - 1], first);
		else
			bad = option_take(request, letter, optarg, first);
		if (!err)
			err = bad;
	}
	return err;
}

/* How many of the arguments are the command's words; 0 = it's another one. */
static size_t command_match(const struct command *command, char **words, size_t n)
{
	const char *word = command->words;
	size_t matched = 0;

	while (*word) {
		size_t length = strcspn(word, " ");

		if (matched == n || strlen(words[matched]) != length ||
		    strncmp(words[matched], word, length))
			return 0;
		matched++;
		word += length + strspn(word + length, " ");
	}
	return matched;
}

/* Names the words that may follow the first one, if it begins a command. */
static int command_refuse(char **words, size_t n, struct error *error)
{
	size_t length = strlen(words[0]), used = 0;
	char known[256] = "";

	for (size_t i = 0; i < NCOMMANDS && used < sizeof(known); i++)
		if (!strncmp(commands[i]->words, words[0], length) &&
		    commands[i]->words[length] == ' ')
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
						 used ? ", " : "", commands[i]->words + length + 1);
	if (!used)
		return error_set(error, -EINVAL, "unknown command '%s' (see lbctl --help)",
				 words[0]);
	if (n == 1)
		return error_set(error, -EINVAL, "'%s' needs a word more: %s", words[0], known);
	return error_set(error, -EINVAL, "unknown command '%s %s', known is: %s", words[0],
			 words[1], known);
}

static bool operand_is_valid(const struct request *request)
{
	const char *operand = request->invocation.operand;
	struct addr addr;
	uint16_t port;

	return request->command->operand_is_service ? service_port_is_valid(operand)
						    : !addr_port_parse(operand, &addr, &port);
}

static int command_find(struct request *request, char **words, size_t n, struct error *error)
{
	size_t matched = 0;

	request->command = n ? NULL : &cmd_status;
	for (size_t i = 0; n && i < NCOMMANDS && !matched; i++) {
		matched = command_match(commands[i], words, n);
		if (matched)
			request->command = commands[i];
	}
	if (!request->command)
		return command_refuse(words, n, error);
	if (request->command->operand && matched == n)
		return error_set(error, -EINVAL, "'%s' needs %s", request->command->words,
				 request->command->operand);
	if (request->command->operand)
		request->invocation.operand = words[matched++];
	if (request->command->operand && !operand_is_valid(request))
		return error_set(error, -EINVAL, "'%s' is not %s", request->invocation.operand,
				 request->command->operand);
	if (matched < n)
		return error_set(error, -EINVAL, "'%s' takes no argument '%s'",
				 request->command->words, words[matched]);
	return 0;
}

/* Does the command take every option that was given? */
static int command_check(const struct request *request, struct error *error)
{
	unsigned int extra = request->flags & ~request->command->flags;

	for (size_t o = 0; o < NOPTIONS; o++)
		if (extra & option_rows[o].flag)
			return error_set(error, -EINVAL, "'%s' takes no option --%s",
					 request->command->words, option_rows[o].option.name);
	if (request->command->flags & COMMAND_F_SELECTS &&
	    !(request->flags & (COMMAND_F_SERVICE | COMMAND_F_PLACES)))
		return error_set(error, -EINVAL, "'%s' needs --service, --backend or --client",
				 request->command->words);
	if (request->command->flags & COMMAND_F_WAIT && request->flags & COMMAND_F_TIMEOUT &&
	    !request->invocation.wait)
		return error_set(error, -EINVAL, "'%s' takes --timeout with --wait alone",
				 request->command->words);
	if (request->invocation.output == OUTPUT_NAME &&
	    !(request->command->flags & COMMAND_F_NAME))
		return error_set(error, -EINVAL, "-o name: '%s' shows nothing with a name",
				 request->command->words);
	return 0;
}

int request_read(struct request *request, int argc, char **argv, struct error *error)
{
	const char *control = getenv("GUIDEWAY_CONTROL"), *bpffs = getenv("GUIDEWAY_BPFFS");
	struct error ignored;
	int err;

	*request = (struct request){
		.invocation = {.control = DEFAULT_CONTROL,
			       .bpffs = bpffs && *bpffs ? bpffs : DEFAULT_BPFFS,
			       .timeout_s = DEFAULT_TIMEOUT_S},
	};
	if (control && *control)
		request->invocation.control = control;
	err = options_read(request, argc, argv, error);
	/* Of the command, if there is one: it may lack what it needs. */
	if (!err && request->help && optind < argc)
		command_find(request, argv + optind, argc - optind, &ignored);
	if (err || request->help || request->version)
		return err;
	err = command_find(request, argv + optind, argc - optind, error);
	if (!err)
		err = command_check(request, error);
	if (!err && request->command->flags & COMMAND_F_LIMIT &&
	    !(request->flags & COMMAND_F_LIMIT))
		request->invocation.limit = DEFAULT_LIMIT;
	if (!err && request->invocation.control == control)
		err = control_check("GUIDEWAY_CONTROL", control, error);
	return err;
}
