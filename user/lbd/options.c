/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "option_values.h"

/* ---- the table ------------------------------------------------------------ */

#define FIELD(member) .offset = offsetof(struct options, member)
#define LIST(member) \
	FIELD(member), .count_offset = offsetof(struct options, n##member), \
		       .element_bytes = sizeof(((struct options *)0)->member[0])
#define NUMBER(member, min_, max_, unit_) \
	.set = option_set_number32, FIELD(member), .min = (min_), .max = (max_), .unit = (unit_)
#define SWITCH(member) .set = option_set_switch, FIELD(member)

static const struct option_spec specs[] = {
	{"source", "file:PATH|kubernetes", "manifests, a file or a directory; or the API server",
	 option_set_source, FIELD(source_path)},
	{"kubeconfig", "FILE", "how to reach the API server (default: as a pod does)",
	 option_set_text, FIELD(kubeconfig)},
	{"kube-api", "URL", "the API server's address (default: as the kubelet has it)",
	 option_set_text, FIELD(kube_api)},
	{"services", "all|labelled", "labelled: those labelled service-proxy-name=guideway (all)",
	 option_set_services, FIELD(services)},
	{"device", "DEV", "an uplink; may be repeated (default: devices with a default route)",
	 option_add_device, LIST(devices)},
	{"pod-device", "GLOB", "only such devices lead to pods; may be repeated (default: any)",
	 option_add_glob, LIST(pod_devices)},
	{"node", "NAME", "this node's name (default: the host's)", option_set_node, FIELD(node),
	 .fallback = "NODE_NAME"},
	{"node-address", "IP", "the node's own; may be repeated (default: the uplinks' first)",
	 option_add_address, LIST(node_addresses), .fallback = "POD_IP"},
	{"nodeport-addresses", "primary|CIDR",
	 "serve node ports; may be repeated (default: primary)", option_add_nodeport,
	 LIST(nodeport_addresses)},
	{"pod-cidr", "CIDR", "devices that lead into it lead to pods; may be repeated",
	 option_add_prefix, LIST(pod_cidrs)},
	{"hook", "auto|xdp|xdp-generic|tc", "where uplinks get their programs (default: auto)",
	 option_set_hook, FIELD(hook)},
	{"attach", "link|dispatcher", "dispatcher: share an uplink's XDP by libxdp (default: link)",
	 option_set_attach, FIELD(attach)},
	{"tc", "auto|tcx|clsact", "how TC programs are attached (default: tcx where it is)",
	 option_set_tc, FIELD(tc)},
	{"bypass", "auto|on|off", "which flows skip the stack; auto: those no NetworkPolicy rules",
	 option_set_bypass, FIELD(bypass)},
	{"socket-lb", "CGROUP|auto|off", "whose processes are clients (default: all of this node)",
	 option_set_text, FIELD(socket_lb)},
	{"snat-ports", "FROM-TO", "of the node's address, for flows that need it (10000-29999)",
	 option_set_ports, FIELD(snat_ports)},
	{"linger", "S", "a removed backend keeps its TCP flows so long (default: 30)",
	 NUMBER(linger_s, 0, 86400, "seconds")},
	{"health", HEALTH_CHECK_FORMS, "how backends are checked (default: none)",
	 option_set_health, FIELD(health)},
	{"health-interval", "MS", "between two checks of a backend (default: 2000)",
	 NUMBER(health_interval_ms, 100, 3600000, "milliseconds")},
	{"health-rise", "N", "good checks in a row until it is up (default: 2)",
	 NUMBER(health_rise, 1, 100, "checks")},
	{"health-fall", "N", "bad checks in a row until it is down (default: 3)",
	 NUMBER(health_fall, 1, 100, "checks")},
	{"hash-seed", "N", "the same on all nodes that share flows (default: 0)",
	 option_set_number64, FIELD(hash_seed)},
	{"max-services", "N", "service ports in one family (default: 4096)",
	 NUMBER(max_services, 16, 1 << 20, "services")},
	{"max-backends", "N", "(default: 16384)", NUMBER(max_backends, 16, 1 << 22, "backends")},
	{"max-frontends", "N", "of each family (default: 8192)",
	 NUMBER(max_frontends, 16, 1 << 22, "frontends")},
	{"max-flows", "N", "TCP's, of each family (default: from the memory's size)",
	 NUMBER(max_flows, 1024, 1 << 27, "flows")},
	{"max-udp-flows", "N", "UDP's, of each family (default: a quarter)",
	 NUMBER(max_udp_flows, 1024, 1 << 27, "flows")},
	{"max-new-flows", "N", "those that no reply has confirmed yet (default: a quarter)",
	 NUMBER(max_new_flows, 1024, 1 << 27, "flows")},
	{"max-affinity", "N", "clients of services with affinity, of each family (65536)",
	 NUMBER(max_affinity, 1024, 1 << 27, "clients")},
	{"max-slots", "N", "of all rings together (default: 8388608)",
	 NUMBER(max_slots, 1 << 16, 1 << 28, "slots")},
	{"bpffs", "DIR", "where maps and programs are pinned (default: /sys/fs/bpf/guideway)",
	 option_set_text, FIELD(bpffs_dir)},
	{"control", "PATH", "the API's socket (default: /run/guideway/lbd.sock)",
	 option_set_control, FIELD(control_path)},
	{"listen", "ADDR:PORT|off", "metrics and health over HTTP (default: 127.0.0.1:9095)",
	 option_set_listen, .offset = 0},
	{"log-level", "error|warn|info|debug", "(default: info)", option_set_log_level,
	 FIELD(log_level)},
	{"log-format", "text|json", "(default: text)", option_set_log_format, FIELD(log_format)},
	{"check", NULL, "check the options and the source, change nothing", SWITCH(check)},
	{"detach", NULL, "remove programs, maps and pins, then exit", SWITCH(detach)},
	{"version", NULL, "print the version, then exit", SWITCH(version), .no_environment = true},
	{"help", NULL, "print this, then exit", SWITCH(help), .no_environment = true},
};
#define NSPECS (sizeof(specs) / sizeof(*specs))

/* Set one value; `from` is what the user wrote it under. */
static int option_set(const struct option_spec *spec, struct options *options, const char *from,
		      const char *value, struct error *error)
{
	size_t *count = spec->count_offset ? option_field(options, spec->count_offset) : NULL;
	int err;

	if (count && *count == OPTIONS_LIST_MAX)
		err = error_set(error, -EINVAL, "more than %d values", OPTIONS_LIST_MAX);
	else
		err = spec->set(spec, options, value, error);
	if (err)
		return error_prefix(error, err, "%s", from);
	if (count)
		(*count)++;
	return 0;
}

/* ---- the environment ------------------------------------------------------ */

static void environment_name(const char *option, char *to, size_t room)
{
	size_t n = (size_t)snprintf(to, room, "GUIDEWAY_%s", option);

	for (size_t i = 0; i < n; i++)
		to[i] = to[i] == '-' ? '_' : (char)toupper((unsigned char)to[i]);
}

static int environment_list(const struct option_spec *spec, struct options *options,
			    const char *from, const char *values, struct error *error)
{
	static const char separators[] = ", \t\n";
	char value[256];
	size_t length;
	int err;

	for (; *(values += strspn(values, separators)); values += length) {
		length = strcspn(values, separators);
		snprintf(value, sizeof(value), "%.*s", (int)length, values);
		err = option_set(spec, options, from, value, error);
		if (err)
			return err;
	}
	return 0;
}

static int environment_read(const struct option_spec *spec, struct options *options,
			    struct error *error)
{
	char name[64];
	const char *from = name, *value;

	if (spec->no_environment)
		return 0;
	environment_name(spec->name, name, sizeof(name));
	value = getenv(name);
	if ((!value || !*value) && spec->fallback) {
		from = spec->fallback;
		value = getenv(from);
	}
	/* Set to nothing is what a manifest's empty field gives. */
	if (!value || !*value)
		return 0;
	if (spec->count_offset)
		return environment_list(spec, options, from, value, error);
	return option_set(spec, options, from, value, error);
}

/* ---- the command line ----------------------------------------------------- */

/* Levenshtein distance; names are short. */
static size_t distance(const char *a, const char *b, size_t b_length)
{
	size_t row[64], corner, above;

	if (b_length >= 64)
		return b_length;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t best = corner + (a[i - 1] != b[j - 1]);

			above = row[j];
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			corner = above;
			row[j] = best;
		}
	}
	return row[b_length];
}

static int unknown_option(const char *arg, struct error *error)
{
	size_t length = strcspn(arg, "="), dashes = strspn(arg, "-");
	const char *nearest = NULL;
	size_t best = 3;

	for (size_t i = 0; i < NSPECS && dashes == 2; i++) {
		size_t d = distance(specs[i].name, arg + dashes, length - dashes);

		if (d < best) {
			best = d;
			nearest = specs[i].name;
		}
	}
	if (nearest)
		return error_set(error, -EINVAL, "%.*s: unknown option, --%s?", (int)length, arg,
				 nearest);
	return error_set(error, -EINVAL, "%.*s: unknown option, see --help", (int)length, arg);
}

static int ambiguous_option(const char *arg)
{
	size_t length = strcspn(arg, "=");
	int matches = 0;

	for (size_t i = 0; i < NSPECS && length > 2 && strncmp(arg, "--", 2) == 0; i++)
		matches += strncmp(specs[i].name, arg + 2, length - 2) == 0;
	return matches > 1;
}

/* getopt_long() returned '?' or ':' for arg. */
static int refused_option(int code, const char *arg, struct error *error)
{
	const struct option_spec *spec = optopt >= 256 ? &specs[optopt - 256] : NULL;

	if (code == ':' && spec)
		return error_set(error, -EINVAL, "--%s: %s is missing", spec->name, spec->metavar);
	if (spec)
		return error_set(error, -EINVAL, "%s: --%s takes no value", arg, spec->name);
	if (ambiguous_option(arg))
		return error_set(error, -EINVAL, "%s: fits several options, see --help", arg);
	return unknown_option(arg, error);
}

static int command_line_read(int argc, char *const argv[], struct options *options,
			     bool given[NSPECS], struct error *error)
{
	struct option longs[NSPECS + 1] = {0};
	int code, err;

	for (size_t i = 0; i < NSPECS; i++)
		longs[i] = (struct option){
			.name = specs[i].name,
			.has_arg = specs[i].metavar ? required_argument : no_argument,
			.val = 256 + (int)i,
		};
	opterr = 0;
	optind = 0; /* start anew, also in a test */
	for (;;) {
		const char *arg = argv[optind ? optind : 1];
		const struct option_spec *spec;
		char from[32];

		code = getopt_long(argc, argv, "+:h", longs, NULL);
		if (code == -1)
			break;
		if (code == 'h') {
			options->help = true;
			continue;
		}
		if (code < 256)
			return refused_option(code, arg, error);
		spec = &specs[code - 256];
		given[code - 256] = true;
		snprintf(from, sizeof(from), "--%s", spec->name);
		err = option_set(spec, options, from, optarg, error);
		if (err)
			return err;
	}
	if (optind < argc)
		return error_set(error, -EINVAL, "\"%s\": no operand expected, see --help",
				 argv[optind]);
	return 0;
}

/* ------------------------------------------------------------------------- */

static void options_default(struct options *options)
{
	*options = (struct options){
		.hook = HOOK_AUTO,
		.socket_lb = "auto",
		.snat_ports = {10000, 29999},
		.linger_s = 30,
		.health = {.kind = HEALTH_NONE},
		.health_interval_ms = 2000,
		.health_rise = 2,
		.health_fall = 3,
		.bpffs_dir = "/sys/fs/bpf/guideway",
		.control_path = "/run/guideway/lbd.sock",
		.listen = {{.family = 4, .bytes = {127, 0, 0, 1}}, 9095},
		.log_level = LOG_LEVEL_INFO,
	};
	gethostname(options->node, sizeof(options->node) - 1);
}

int options_parse(int argc, char *const argv[], struct options *ret, struct error *error)
{
	bool given[NSPECS] = {false};
	struct options options;
	int err;

	options_default(&options);
	err = command_line_read(argc, argv, &options, given, error);
	if (err)
		return err;
	if (options.help || options.version)
		goto done;
	for (size_t i = 0; i < NSPECS; i++) {
		err = given[i] ? 0 : environment_read(&specs[i], &options, error);
		if (err)
			return err;
	}
	if (options.check && options.detach)
		return error_set(error, -EINVAL, "--check: excludes --detach");
	if (!options.source_path && !options.source_kubernetes && !options.detach)
		return error_set(error, -EINVAL,
				 "--source: is missing: file:PATH or kubernetes expected");
done:
	*ret = options;
	return 0;
}

void options_print_help(FILE *to)
{
	fprintf(to, "usage: lbd --source file:PATH|kubernetes [OPTION]...\n"
		    "Keeps the maps of Guideway's load balancer as the source says.\n\n");
	for (size_t i = 0; i < NSPECS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", specs[i].name, specs[i].metavar ? " " : "",
			 specs[i].metavar ? specs[i].metavar : "");
		fprintf(to, "  %-30s %s\n", left, specs[i].help);
	}
	fprintf(to,
		"\nEach but --version and --help is also read from the environment: --max-flows\n"
		"from GUIDEWAY_MAX_FLOWS; values of lists are separated by commas or blanks.\n"
		"NODE_NAME and POD_IP stand in for --node and --node-address.\n");
}

bool options_pod_device(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->npod_devices; i++)
		if (fnmatch(options->pod_devices[i], name, 0) == 0)
			return true;
	return options->npod_devices == 0;
}
