/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * replica: the web server behind the demo's Service.  One process, one thread:
 * it waits for requests and signals at one place.
 *
 * SIGTERM ends it as Kubernetes wants it: /health says 503, requests are still
 * served, and once none has been under way for QUIET_MS, or after --grace, it
 * exits 0.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app.h"
#include "clients.h"
#include "http.h"
#include "redis.h"

#define QUIET_MS 200

struct options {
	const struct app *app;
	uint16_t port;
	int grace_ms;
};

static const char usage[] =
	"usage: replica [--app NAME] [--port N] [--grace MS]\n"
	"  --app NAME   which application to be (info): %s\n"
	"  --port N     TCP port, on every address (5000)\n"
	"  --grace MS   after SIGTERM: how long requests are served at most (5000)\n"
	"  --version    print the version, then exit\n"
	"  --help       print this, then exit\n";

static int bad_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int bad_usage(const char *format, ...)
{
	va_list args;

	fputs("replica: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -EINVAL;
}

static int number_parse(const char *text, long min, long max, long *ret)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* Returns 0, 1 where there is nothing more to do, or -EINVAL (told). */
static int options_parse(int argc, char **argv, struct options *ret)
{
	static const struct option options[] = {
		{"app", required_argument, NULL, 'a'},	 {"port", required_argument, NULL, 'p'},
		{"grace", required_argument, NULL, 'g'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},	 {0},
	};
	char names[128];
	long number;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'a':
			ret->app = http_app(optarg);
			if (!ret->app)
				return bad_usage("--app %s: no such application, known: %s", optarg,
						 http_app_names(names, sizeof(names)));
			break;
		case 'p':
			if (number_parse(optarg, 1, 65535, &number))
				return bad_usage("--port %s: not a port", optarg);
			ret->port = number;
			break;
		case 'g':
			if (number_parse(optarg, 0, 3600 * 1000, &number))
				return bad_usage("--grace %s: not a time in milliseconds", optarg);
			ret->grace_ms = number;
			break;
		case 'h':
			printf(usage, http_app_names(names, sizeof(names)));
			return 1;
		case 'V':
			puts("replica " LB_VERSION);
			return 1;
		default:
			return bad_usage("%s: unknown option, or its value is missing",
					 argv[optind - 1]);
		}
	}
	if (optind < argc)
		return bad_usage("%s: unexpected argument", argv[optind]);
	return 0;
}

/* A descriptor that is readable when SIGTERM or SIGINT has come. */
static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Whoever reads our log may go away; requests are served all the same. */
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* How long a drain that began at start_ms still has to wait; 0 = it is over. */
static int drain_left_ms(const struct http *http, int64_t start_ms, int grace_ms)
{
	int64_t now_ms = clock_ms();
	int64_t end_ms = start_ms + grace_ms;
	int64_t idle_ms = http_idle_since_ms(http);

	if (idle_ms >= 0) {
		int64_t quiet_ms = (idle_ms > start_ms ? idle_ms : start_ms) + QUIET_MS;

		if (quiet_ms < end_ms)
			end_ms = quiet_ms;
	}
	return end_ms > now_ms ? (int)(end_ms - now_ms) : 0;
}

static int shorter_timeout(int a_ms, int b_ms)
{
	if (a_ms < 0 || b_ms < 0)
		return a_ms < 0 ? b_ms : a_ms;
	return b_ms < a_ms ? b_ms : a_ms;
}

static void serve(struct http *http, struct replica *replica, int signals, int grace_ms)
{
	struct pollfd fds[] = {{.fd = http_fd(http), .events = POLLIN},
			       {.fd = signals, .events = POLLIN},
			       {.fd = -1}};
	struct signalfd_siginfo signal;
	int64_t drain_start_ms = 0;
	int timeout_ms, left_ms;

	for (;;) {
		timeout_ms = http_timeout_ms(http);
		if (replica->draining) {
			left_ms = drain_left_ms(http, drain_start_ms, grace_ms);
			if (!left_ms)
				return;
			timeout_ms = shorter_timeout(timeout_ms, left_ms);
		}
		if (replica->redis) {
			fds[2].fd = redis_fd(replica->redis);
			fds[2].events = redis_events(replica->redis);
			timeout_ms = shorter_timeout(redis_timeout_ms(replica->redis), timeout_ms);
		}
		if (poll(fds, 3, timeout_ms) < 0 && errno != EINTR)
			return;
		if (replica->redis)
			redis_run(replica->redis, fds[2].revents);
		while (read(signals, &signal, sizeof(signal)) == sizeof(signal)) {
			if (replica->draining)
				return;
			replica->draining = true;
			drain_start_ms = clock_ms();
		}
		http_run(http);
	}
}

int main(int argc, char **argv)
{
	struct options options = {.app = &app_info, .port = 5000, .grace_ms = 5000};
	struct replica replica = {0};
	struct http *http = NULL;
	int signals, err;

	err = options_parse(argc, argv, &options);
	if (err)
		return err < 0 ? 2 : 0;
	identity_read(&replica.identity);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signals = signals_open();
	if (signals < 0) {
		fprintf(stderr, "replica: signals: %s\n", strerror(errno));
		return 1;
	}
	if (options.app->needs_redis) {
		const char *host = getenv("REDIS_HOST");

		err = redis_open(host && *host ? host : "redis-master", &replica.redis);
	}
	if (!err)
		err = http_open(options.port, options.app, &replica, &http);
	if (err) {
		fprintf(stderr, "replica: port %u: %s\n", options.port, strerror(-err));
		close(signals);
		return 1;
	}
	serve(http, &replica, signals, options.grace_ms);
	redis_close(replica.redis);
	http_close(http);
	close(signals);
	return 0;
}
