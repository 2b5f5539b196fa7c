/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "request.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_CONTROL "/run/guideway/lbd.sock"
#define DEFAULT_TIMEOUT_S 30
#define TIMEOUT_MAX_S 1000000
#define USAGE_COLUMN 37 /* where the usage explains */

static const struct command *const commands[] = {
	&cmd_services_list,    &cmd_backends_list, &cmd_backends_drain,
	&cmd_backends_undrain, &cmd_status,	   &cmd_wait,
};
#define NCOMMANDS (sizeof(commands) / sizeof(*commands))

/* The option that stands for a command flag; 0 = every command takes it. */
static const struct option_row {
	struct option option;
	const char *argument, *help;
	unsigned int flag;
} option_rows[] = {
	{{"control", 1, NULL, 'c'}, "PATH", "its socket (" DEFAULT_CONTROL ")", 0},
	{{"output", 1, NULL, 'o'}, "FORMAT", "table (default), wide, json, yaml or name", 0},
	{{"watch", 0, NULL, 'w'}, NULL, "repeat, print it again when it changed", COMMAND_F_WATCH},
	{{"service", 1, NULL, 's'}, "NS/NAME", "of this service alone", COMMAND_F_SERVICE},
	{{"wait", 0, NULL, 'W'}, NULL, "until no flow is left there", COMMAND_F_WAIT},
	{{"timeout", 1, NULL, 't'}, "S", "wait at most S seconds (30)", COMMAND_F_TIMEOUT},
	{{"version", 0, NULL, 'V'}, NULL, "print the version", 0},
	{{"help", 0, NULL, 'h'}, NULL, "print this", 0},
};
#define NOPTIONS (sizeof(option_rows) / sizeof(*option_rows))
/* Of these the letter is an option, too. */
#define OPTION_LETTERS ":o:wh"

void request_usage(FILE *out)
{
	fputs("usage: lbctl [OPTION ...] [COMMAND]      without a command: status\n\ncommands:\n",
	      out);
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *command = commands[i];
		int width = fprintf(out, "  %s%s%s", command->words, command->operand ? " " : "",
				    command->operand ? command->operand : "");

		for (size_t o = 0; o < NOPTIONS; o++)
			if (option_rows[o].flag & command->flags && option_rows[o].argument &&
			    !command->operand)
				width += fprintf(out, " [--%s %s]", option_rows[o].option.name,
						 option_rows[o].argument);
		fprintf(out, "%*s%s\n", width < USAGE_COLUMN ? USAGE_COLUMN - width : 1, "",
			command->summary);
	}
	fputs("\noptions, before or after the command:\n", out);
	for (size_t o = 0; o < NOPTIONS; o++) {
		const struct option_row *row = &option_rows[o];
		bool letter = strchr(OPTION_LETTERS, row->option.val);
		int width = fprintf(out, "  %c%c%s--%s%s%s", letter ? '-' : ' ',
				    letter ? row->option.val : ' ', letter ? ", " : "  ",
				    row->option.name, row->argument ? " " : "",
				    row->argument ? row->argument : "");

		fprintf(out, "%*s%s\n", USAGE_COLUMN - width, "", row->help);
	}
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

static int timeout_parse(const char *text, unsigned int *ret, struct error *error)
{
	unsigned long timeout_s;
	char *end;

	errno = 0;
	timeout_s = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || timeout_s > TIMEOUT_MAX_S)
		return error_set(error, -EINVAL, "--timeout: '%s' is no number of seconds (0-%d)",
				 text, TIMEOUT_MAX_S);
	*ret = timeout_s;
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
		return timeout_parse(value, &invocation->timeout_s, error);
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
	if (request->invocation.output == OUTPUT_NAME &&
	    !(request->command->flags & COMMAND_F_NAME))
		return error_set(error, -EINVAL, "-o name: '%s' shows nothing with a name",
				 request->command->words);
	return 0;
}

int request_read(struct request *request, int argc, char **argv, struct error *error)
{
	const char *control = getenv("GUIDEWAY_CONTROL");
	int err;

	*request = (struct request){
		.invocation = {.control = DEFAULT_CONTROL, .timeout_s = DEFAULT_TIMEOUT_S},
	};
	if (control && *control)
		request->invocation.control = control;
	err = options_read(request, argc, argv, error);
	if (err || request->help || request->version)
		return err;
	err = command_find(request, argv + optind, argc - optind, error);
	if (!err)
		err = command_check(request, error);
	if (!err && request->invocation.control == control)
		err = control_check("GUIDEWAY_CONTROL", control, error);
	return err;
}
