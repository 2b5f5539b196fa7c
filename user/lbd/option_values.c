/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "option_values.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* ---- kinds of values ------------------------------------------------------ */

int option_set_switch(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	static const char *const yes[] = {"1", "true", "yes", "on"};
	static const char *const no[] = {"0", "false", "no", "off"};
	bool *to = option_field(options, spec->offset);

	if (!value) { /* on the command line */
		*to = true;
		return 0;
	}
	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
			*to = strcasecmp(value, yes[i]) == 0;
			return 0;
		}
	}
	return error_set(error, -EINVAL, "\"%s\" is neither true nor false", value);
}

/* Digits alone: no sign, no blanks, and no octal. */
static int number_parse(const char *text, uint64_t max, uint64_t *ret)
{
	int base = strncmp(text, "0x", 2) == 0 ? 16 : 10;
	unsigned long long number;
	char *end;

	if (!isxdigit((unsigned char)text[base == 16 ? 2 : 0]))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, base);
	if (errno || *end || number > max)
		return -EINVAL;
	*ret = number;
	return 0;
}

int option_set_number32(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error)
{
	uint32_t *to = option_field(options, spec->offset);
	uint64_t number;

	if (number_parse(value, spec->max, &number) || number < spec->min)
		return error_set(error, -EINVAL, "\"%s\" is not a number of %s (%u-%u)", value,
				 spec->unit, spec->min, spec->max);
	*to = (uint32_t)number;
	return 0;
}

int option_set_number64(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error)
{
	if (number_parse(value, UINT64_MAX, option_field(options, spec->offset)))
		return error_set(error, -EINVAL, "\"%s\" is not a number (0-%llu)", value,
				 (unsigned long long)UINT64_MAX);
	return 0;
}

int option_set_text(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error)
{
	if (!*value)
		return error_set(error, -EINVAL, "is empty: %s expected", spec->metavar);
	*(const char **)option_field(options, spec->offset) = value;
	return 0;
}

/* ---- single options -------------------------------------------------------- */

int option_set_source(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	options->source_kubernetes = !strcmp(value, "kubernetes");
	options->source_path = NULL;
	if (options->source_kubernetes)
		return 0;
	if (strncmp(value, "file:", 5) || !value[5])
		return error_set(error, -EINVAL, "\"%s\" is neither file:PATH nor kubernetes",
				 value);
	return option_set_text(spec, options, value + 5, error);
}

int option_set_control(const struct option_spec *spec, struct options *options, const char *value,
		       struct error *error)
{
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (strlen(value) > max)
		return error_set(error, -EINVAL,
				 "\"%s\" is longer than a socket's path can be (%zu bytes)", value,
				 max);
	return option_set_text(spec, options, value, error);
}

int option_set_node(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error)
{
	size_t length = strlen(value);

	if (length == 0 || length >= sizeof(options->node))
		return error_set(error, -EINVAL, "\"%s\" is not a node's name (1-%zu characters)",
				 value, sizeof(options->node) - 1);
	memcpy(option_field(options, spec->offset), value, length + 1);
	return 0;
}

/* One of n names: its index.  what: "is not WHAT". */
static int name_set(const struct option_spec *spec, const char *const names[], size_t n,
		    const char *what, unsigned int *ret, const char *value, struct error *error)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(value, names[i])) {
			*ret = i;
			return 0;
		}
	}
	return error_set(error, -EINVAL, "\"%s\" is not %s (%s)", value, what, spec->metavar);
}

int option_set_hook(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error)
{
	const char *const names[] = {
		[HOOK_AUTO] = hook_name(HOOK_AUTO),
		[HOOK_XDP] = hook_name(HOOK_XDP),
		[HOOK_XDP_GENERIC] = hook_name(HOOK_XDP_GENERIC),
		[HOOK_TC] = hook_name(HOOK_TC),
	};

	return name_set(spec, names, 4, "a hook", option_field(options, spec->offset), value,
			error);
}

int option_set_services(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error)
{
	static const char *const names[] = {
		[OPTIONS_SERVICES_ALL] = "all",
		[OPTIONS_SERVICES_LABELLED] = "labelled",
	};

	return name_set(spec, names, 2, "a choice of Services", option_field(options, spec->offset),
			value, error);
}

int option_set_tc(const struct option_spec *spec, struct options *options, const char *value,
		  struct error *error)
{
	static const char *const names[] = {
		[DATAPATH_TC_AUTO] = "auto",
		[DATAPATH_TC_TCX] = "tcx",
		[DATAPATH_TC_CLSACT] = "clsact",
	};

	return name_set(spec, names, 3, "a way to attach", option_field(options, spec->offset),
			value, error);
}

int option_set_attach(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	static const char *const names[] = {
		[DATAPATH_ATTACH_LINK] = "link",
		[DATAPATH_ATTACH_DISPATCHER] = "dispatcher",
	};

	return name_set(spec, names, 2, "a way to attach", option_field(options, spec->offset),
			value, error);
}

/* ADDR:PORT, an IPv6 address in brackets. */
int option_set_listen(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	struct addr addr;
	uint16_t port;

	(void)spec;
	options->listen_off = !strcmp(value, "off");
	options->listen_given = true;
	if (options->listen_off)
		return 0;
	if (addr_port_parse(value, &addr, &port) || !port)
		return error_set(error, -EINVAL, "\"%s\" is neither ADDR:PORT nor off", value);
	options->listen.addr = addr;
	options->listen.port = port;
	return 0;
}

int option_set_bypass(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	static const char *const names[] = {
		[PLAN_BYPASS_AUTO] = "auto",
		[PLAN_BYPASS_ON] = "on",
		[PLAN_BYPASS_OFF] = "off",
	};

	return name_set(spec, names, 3, "a rule", option_field(options, spec->offset), value,
			error);
}

/* FROM-TO, ports in host order, at least as many as a flow tries. */
int option_set_ports(const struct option_spec *spec, struct options *options, const char *value,
		     struct error *error)
{
	struct option_ports *to = option_field(options, spec->offset);
	unsigned int from, until;
	int end = 0;

	if (!isdigit((unsigned char)*value) ||
	    sscanf(value, "%5u-%5u%n", &from, &until, &end) != 2 || value[end] || from < 1 ||
	    until > 65535 || until < from + 63)
		return error_set(error, -EINVAL, "\"%s\" is not a range of 64 ports or more (%s)",
				 value, spec->metavar);
	if (from <= OPTIONS_NODEPORT_LAST && until >= OPTIONS_NODEPORT_FIRST)
		return error_set(error, -EINVAL, "\"%s\" overlaps the node ports, %d-%d", value,
				 OPTIONS_NODEPORT_FIRST, OPTIONS_NODEPORT_LAST);
	*to = (struct option_ports){from, until};
	return 0;
}

int option_set_health(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	if (health_check_parse(value, option_field(options, spec->offset)))
		return error_set(error, -EINVAL, "\"%s\" is not a check (%s)", value,
				 spec->metavar);
	return 0;
}

int option_set_log_level(const struct option_spec *spec, struct options *options, const char *value,
			 struct error *error)
{
	if (log_level_parse(value, option_field(options, spec->offset)))
		return error_set(error, -EINVAL, "\"%s\" is not a log level (%s)", value,
				 spec->metavar);
	return 0;
}

int option_set_log_format(const struct option_spec *spec, struct options *options,
			  const char *value, struct error *error)
{
	if (log_format_parse(value, option_field(options, spec->offset)))
		return error_set(error, -EINVAL, "\"%s\" is not a log format (%s)", value,
				 spec->metavar);
	return 0;
}

/* ---- elements of lists ------------------------------------------------------ */

static void *list_end(const struct option_spec *spec, struct options *options)
{
	size_t count = *(size_t *)option_field(options, spec->count_offset);

	return option_field(options, spec->offset + count * spec->element_bytes);
}

int option_add_device(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	size_t length = strlen(value);

	if (length == 0 || length >= IFNAMSIZ || strpbrk(value, "/ \t\n"))
		return error_set(error, -EINVAL, "\"%s\" is not a device's name (1-%d characters)",
				 value, IFNAMSIZ - 1);
	memcpy(list_end(spec, options), value, length + 1);
	return 0;
}

int option_add_glob(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error)
{
	size_t length = strlen(value);

	if (length == 0 || length >= OPTIONS_GLOB_SIZE)
		return error_set(error, -EINVAL,
				 "\"%s\" is not a pattern of device names (1-%d characters)", value,
				 OPTIONS_GLOB_SIZE - 1);
	memcpy(list_end(spec, options), value, length + 1);
	return 0;
}

int option_add_address(const struct option_spec *spec, struct options *options, const char *value,
		       struct error *error)
{
	const char *special;
	struct addr addr;

	if (addr_parse(value, &addr))
		return error_set(error, -EINVAL, "\"%s\" is not an IP address", value);
	special = addr_special(&addr);
	if (special)
		return error_set(error, -EINVAL, "\"%s\" is not a node's address: it is %s", value,
				 special);
	memcpy(list_end(spec, options), &addr, sizeof(addr));
	return 0;
}

int option_add_nodeport(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error)
{
	struct prefix prefix = {};

	if (strcmp(value, "primary") && prefix_parse(value, &prefix))
		return error_set(error, -EINVAL, "\"%s\" is not primary or ADDRESS/LENGTH", value);
	if (options->nnodeport_addresses &&
	    (!prefix.addr.family || !options->nodeport_addresses[0].addr.family))
		return error_set(error, -EINVAL, "primary stands alone");
	memcpy(list_end(spec, options), &prefix, sizeof(prefix));
	return 0;
}

int option_add_prefix(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error)
{
	struct prefix prefix;

	if (prefix_parse(value, &prefix))
		return error_set(error, -EINVAL, "\"%s\" is not ADDRESS/LENGTH", value);
	memcpy(list_end(spec, options), &prefix, sizeof(prefix));
	return 0;
}
