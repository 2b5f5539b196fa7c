/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * flows: opens many flows with given source ports and tells which pods answer.
 *
 *   flows --tcp|--udp --from PORT --count N [--keep] [--interval MS]
 *         [--timeout MS] [--parallel N] ADDR PORT
 *
 * Flow i comes from source port PORT+i.  Over TCP it asks replica for
 * GET /info, over UDP it sends udp_echo a datagram.  Without --keep a flow ends
 * after its first answer, at most --parallel are open at a time, and the
 * report follows.  With --keep all stay open and ask again each --interval;
 * the line "ready" comes when each was answered once (or failed), the report
 * at SIGTERM, once the answers under way are in.
 *
 * Report, on stdout:
 *   pod NAME flows F requests R broken B closed C moved M
 *   total flows F requests R broken B closed C moved M failed X
 * A flow counts for the pod that answered first.  broken: reset or no answer
 * in time; closed: the server ended it in order between two requests; moved:
 * another pod answered later; failed: there was no first answer.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 1024
#define PODS_MAX 256
#define POD_STRLEN 128
#define TICK_MS 5
#define TOLD_MAX 10 /* failures told one by one */

enum flow_state {
	FLOW_UNBORN,
	FLOW_CONNECTING,
	FLOW_ASKING, /* a request is under way */
	FLOW_IDLE,   /* --keep: until the next request; else until the server closes */
	FLOW_ENDED,
};

struct flow {
	int fd;
	enum flow_state state;
	int pod;	   /* index into pods, -1 = none answered yet */
	int64_t due_ms;	   /* when the state is too old */
	uint32_t requests; /* answered */
	bool broken, closed, moved;
	bool last; /* the server ends the flow after this answer, as it said */
	size_t answer_len;
	char answer[ANSWER_MAX];
};

static struct {
	int protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	int from, count, parallel, interval_ms, timeout_ms;
	bool keep;
	struct sockaddr_storage peer;
	socklen_t peer_len;
} options = {.parallel = 256, .interval_ms = 100, .timeout_ms = 2000};

static struct flow *flows;
static char pods[PODS_MAX][POD_STRLEN];
static int npods, epoll_fd, nopen, told;
static volatile sig_atomic_t stopping;

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_signal(int signal)
{
	(void)signal;
	stopping = 1;
}

static int pod_index(const char *name, size_t len)
{
	if (len >= POD_STRLEN)
		len = POD_STRLEN - 1;
	for (int i = 0; i < npods; i++) {
		if (strlen(pods[i]) == len && !memcmp(pods[i], name, len))
			return i;
	}
	if (npods == PODS_MAX)
		return PODS_MAX - 1;
	memcpy(pods[npods], name, len);
	return npods++;
}

/* ---- one flow ---------------------------------------------------------- */

static void flow_end(struct flow *flow)
{
	close(flow->fd);
	flow->fd = -1;
	flow->state = FLOW_ENDED;
	nopen--;
}

static void flow_break(struct flow *flow, const char *why)
{
	if (told++ < TOLD_MAX)
		fprintf(stderr, "flows: source port %d, pod %s, after %u answers: %s\n",
			options.from + (int)(flow - flows), flow->pod < 0 ? "-" : pods[flow->pod],
			flow->requests, why);
	flow->broken = true;
	flow_end(flow);
}

static int flow_bind(int fd, int port)
{
	struct sockaddr_storage any = {.ss_family = options.peer.ss_family};
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (any.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&any)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&any)->sin_port = htons(port);
	return bind(fd, (struct sockaddr *)&any, options.peer_len);
}

static void flow_open(struct flow *flow)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	int type = options.protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;

	event.data.ptr = flow;
	flow->fd = socket(options.peer.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	flow->state = FLOW_CONNECTING;
	flow->due_ms = clock_ms() + options.timeout_ms;
	nopen++;
	if (flow->fd < 0 || flow_bind(flow->fd, options.from + (int)(flow - flows)) ||
	    (connect(flow->fd, (struct sockaddr *)&options.peer, options.peer_len) &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, flow->fd, &event))
		flow_break(flow, strerror(errno));
}

static void flow_ask(struct flow *flow)
{
	char text[128];
	int n;

	if (options.protocol == IPPROTO_TCP)
		n = snprintf(text, sizeof(text), "GET /info HTTP/1.1\r\nHost: flows\r\n%s\r\n",
			     options.keep ? "" : "Connection: close\r\n");
	else
		n = snprintf(text, sizeof(text), "%u", flow->requests);
	flow->answer_len = 0;
	flow->state = FLOW_ASKING;
	flow->due_ms = clock_ms() + options.timeout_ms;
	/* A request is far smaller than an empty send buffer: never partial. */
	if (send(flow->fd, text, n, MSG_NOSIGNAL) != n)
		flow_break(flow, strerror(errno));
}

/* Is the answer in flow->answer complete?  Gives the pod that it names. */
static bool answer_parse_http(struct flow *flow, const char **ret_pod, size_t *ret_len)
{
	static const char key[] = "\"pod_name\":\"";
	const char *body = strstr(flow->answer, "\r\n\r\n");
	const char *length = strcasestr(flow->answer, "\r\nContent-Length:");
	const char *pod;

	if (!body || !length || strlen(body + 4) < strtoul(length + 17, NULL, 10))
		return false;
	flow->last = strcasestr(flow->answer, "\r\nConnection: close");
	pod = strstr(body, key);
	*ret_pod = pod ? pod + sizeof(key) - 1 : "not-an-answer";
	*ret_len = strcspn(*ret_pod, "\"");
	return true;
}

static bool answer_parse_udp(struct flow *flow, const char **ret_pod, size_t *ret_len)
{
	const char *blank = strchr(flow->answer, ' ');

	/* The answer to an earlier, timed-out request is of no use. */
	if (!blank || strtoul(blank + 1, NULL, 10) != flow->requests) {
		flow->answer_len = 0;
		return false;
	}
	*ret_pod = flow->answer;
	*ret_len = blank - flow->answer;
	return true;
}

static void flow_answered(struct flow *flow)
{
	const char *name;
	size_t len;
	int pod;

	if (!(options.protocol == IPPROTO_TCP ? answer_parse_http(flow, &name, &len)
					      : answer_parse_udp(flow, &name, &len)))
		return;
	pod = pod_index(name, len);
	if (flow->pod < 0)
		flow->pod = pod;
	else if (flow->pod != pod)
		flow->moved = true;
	flow->requests++;
	flow->state = FLOW_IDLE;
	flow->due_ms = clock_ms() + (flow->last ? options.timeout_ms : options.interval_ms);
	if (!options.keep && options.protocol == IPPROTO_UDP)
		flow_end(flow);
}

/* The server ended the connection. */
static void flow_eof(struct flow *flow)
{
	if (flow->state != FLOW_IDLE) {
		flow_break(flow, "closed before the answer");
		return;
	}
	flow->closed = options.keep;
	flow_end(flow);
}

static void flow_read(struct flow *flow)
{
	ssize_t n;

	while (flow->state != FLOW_ENDED) {
		n = recv(flow->fd, flow->answer + flow->answer_len,
			 ANSWER_MAX - 1 - flow->answer_len, 0);
		if (n < 0) {
			if (errno != EAGAIN)
				flow_break(flow, strerror(errno));
			return;
		}
		if (!n) {
			flow_eof(flow);
			return;
		}
		flow->answer_len += n;
		flow->answer[flow->answer_len] = 0;
		if (flow->state == FLOW_ASKING)
			flow_answered(flow);
	}
}

static void flow_event(struct flow *flow, uint32_t events)
{
	if (flow->state == FLOW_CONNECTING && (events & EPOLLOUT) && !(events & EPOLLERR))
		flow_ask(flow);
	if (flow->state != FLOW_ENDED && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		flow_read(flow);
}

/* The state is too old. */
static void flow_due(struct flow *flow)
{
	if (flow->state != FLOW_IDLE)
		flow_break(flow, flow->state == FLOW_ASKING ? "no answer" : "no connection");
	else if (flow->last)
		flow_break(flow, "not closed, as was announced");
	else if (!stopping)
		flow_ask(flow);
}

/* ---- all flows --------------------------------------------------------- */

static bool flow_waits(const struct flow *flow)
{
	return flow->state == FLOW_CONNECTING || flow->state == FLOW_ASKING;
}

/* Open what may be opened, end or renew what is due.  *ret_waiting is how many
 * flows wait for an answer or were not born yet, *ret_unanswered how many of
 * them for their first. */
static void flows_tick(int *ret_waiting, int *ret_unanswered)
{
	int64_t now_ms = clock_ms();
	int waiting = 0, unanswered = 0;

	for (int i = 0; i < options.count; i++) {
		struct flow *flow = &flows[i];

		if (flow->state == FLOW_UNBORN) {
			if (!stopping && nopen < options.parallel)
				flow_open(flow);
			else if (stopping)
				flow->state = FLOW_ENDED;
		} else if (flow->state != FLOW_ENDED && flow->due_ms <= now_ms) {
			flow_due(flow);
		}
		if (flow->state == FLOW_UNBORN || flow_waits(flow)) {
			waiting++;
			unanswered += !flow->requests;
		}
	}
	*ret_waiting = waiting;
	*ret_unanswered = unanswered;
}

static void flows_run(void)
{
	struct epoll_event events[256];
	bool ready_told = false;
	int waiting, unanswered, n;

	for (;;) {
		flows_tick(&waiting, &unanswered);
		if (options.keep && !ready_told && !unanswered) {
			puts("ready");
			fflush(stdout);
			ready_told = true;
		}
		if (options.keep ? stopping && !waiting : !waiting && !nopen)
			return;
		n = epoll_wait(epoll_fd, events, 256, TICK_MS);
		for (int i = 0; i < n; i++)
			flow_event(events[i].data.ptr, events[i].events);
	}
}

struct sums {
	unsigned int flows, broken, closed, moved, failed;
	unsigned long requests;
};

static void sums_add(struct sums *sums, const struct flow *flow)
{
	sums->flows++;
	sums->requests += flow->requests;
	sums->broken += flow->broken && flow->pod >= 0;
	sums->failed += flow->pod < 0;
	sums->closed += flow->closed;
	sums->moved += flow->moved;
}

static void report(void)
{
	struct sums total = {0};

	for (int pod = 0; pod < npods; pod++) {
		struct sums sums = {0};

		for (int i = 0; i < options.count; i++) {
			if (flows[i].pod == pod)
				sums_add(&sums, &flows[i]);
		}
		printf("pod %s flows %u requests %lu broken %u closed %u moved %u\n", pods[pod],
		       sums.flows, sums.requests, sums.broken, sums.closed, sums.moved);
	}
	for (int i = 0; i < options.count; i++)
		sums_add(&total, &flows[i]);
	printf("total flows %u requests %lu broken %u closed %u moved %u failed %u\n", total.flows,
	       total.requests, total.broken, total.closed, total.moved, total.failed);
}

static int peer_parse(const char *addr, const char *port)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *info;

	if (getaddrinfo(addr, port, &hints, &info))
		return -EINVAL;
	memcpy(&options.peer, info->ai_addr, info->ai_addrlen);
	options.peer_len = info->ai_addrlen;
	freeaddrinfo(info);
	return 0;
}

static int options_parse(int argc, char **argv)
{
	static const struct option table[] = {
		{"tcp", no_argument, &options.protocol, IPPROTO_TCP},
		{"udp", no_argument, &options.protocol, IPPROTO_UDP},
		{"from", required_argument, NULL, 'f'},
		{"count", required_argument, NULL, 'c'},
		{"keep", no_argument, NULL, 'k'},
		{"interval", required_argument, NULL, 'i'},
		{"timeout", required_argument, NULL, 't'},
		{"parallel", required_argument, NULL, 'p'},
		{0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (opt) {
		case 0:
			break;
		case 'f':
			options.from = atoi(optarg);
			break;
		case 'c':
			options.count = atoi(optarg);
			break;
		case 'k':
			options.keep = true;
			break;
		case 'i':
			options.interval_ms = atoi(optarg);
			break;
		case 't':
			options.timeout_ms = atoi(optarg);
			break;
		case 'p':
			options.parallel = atoi(optarg);
			break;
		default:
			return -EINVAL;
		}
	}
	if (options.keep)
		options.parallel = options.count;
	if (!options.protocol || options.from < 1 || options.count < 1 ||
	    options.from + options.count > 65536 || optind + 2 != argc)
		return -EINVAL;
	return peer_parse(argv[optind], argv[optind + 1]);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct rlimit files;

	if (options_parse(argc, argv)) {
		fputs("usage: flows --tcp|--udp --from PORT --count N [--keep] [--interval MS] "
		      "[--timeout MS] [--parallel N] ADDR PORT\n",
		      stderr);
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	flows = calloc(options.count, sizeof(*flows));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!flows || epoll_fd < 0) {
		perror("flows");
		return 1;
	}
	for (int i = 0; i < options.count; i++) {
		flows[i].fd = -1;
		flows[i].pod = -1;
	}
	flows_run();
	report();
	return 0;
}
