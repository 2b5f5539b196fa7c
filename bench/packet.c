/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The cost table: nanoseconds per packet, by mouth, family, protocol and kind,
 * each beside `bare` of the same mouth (packet.bpf.c), which is measured in the
 * same round; `bare` twice shows the noise.  Medians over the rounds.
 *
 * The time of making the packet anew (`reset`) is in all figures alike and is
 * taken off; it is a row of its own.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../tests/packet/world.h"
#include "hash.h"
#include "packet.h"
#include "packet.skel.h"

#define ROUNDS 5
#define REPEAT 400000

enum program {
	RESET,
	BARE,
	BARE_AGAIN,
	DATAPATH
};
enum kind {
	HIT,
	NEW,
	NOT_OURS,
	REFUSED,
	UNDO
};

static const struct row {
	const char *what;
	enum world_program mouth;
	enum program program;
	enum kind kind;
	uint32_t flows;
} rows[] = {
	{"reset", WORLD_XDP, RESET, HIT, 1 << 10},
	{"bare", WORLD_XDP, BARE, HIT, 1 << 10},
	{"bare again", WORLD_XDP, BARE_AGAIN, HIT, 1 << 10},
	{"not ours", WORLD_XDP, DATAPATH, NOT_OURS, 1 << 10},
	{"hit, 1 Ki flows", WORLD_XDP, DATAPATH, HIT, 1 << 10},
	{"hit, 64 Ki flows", WORLD_XDP, DATAPATH, HIT, 1 << 16},
	{"hit, 1 Mi flows", WORLD_XDP, DATAPATH, HIT, 1 << 20},
	{"new flow", WORLD_XDP, DATAPATH, NEW, 1 << 20},
	{"reset", WORLD_TC_UPLINK, RESET, HIT, 1 << 10},
	{"bare", WORLD_TC_UPLINK, BARE, HIT, 1 << 10},
	{"bare again", WORLD_TC_UPLINK, BARE_AGAIN, HIT, 1 << 10},
	{"not ours", WORLD_TC_UPLINK, DATAPATH, NOT_OURS, 1 << 10},
	{"hit, 1 Ki flows", WORLD_TC_UPLINK, DATAPATH, HIT, 1 << 10},
	{"hit, 64 Ki flows", WORLD_TC_UPLINK, DATAPATH, HIT, 1 << 16},
	{"hit, 1 Mi flows", WORLD_TC_UPLINK, DATAPATH, HIT, 1 << 20},
	{"new flow", WORLD_TC_UPLINK, DATAPATH, NEW, 1 << 20},
	{"refused", WORLD_TC_UPLINK, DATAPATH, REFUSED, 1 << 10},
	{"undo, 1 Ki flows", WORLD_TC_POD, DATAPATH, UNDO, 1 << 10},
	{"undo, 64 Ki flows", WORLD_TC_POD, DATAPATH, UNDO, 1 << 16},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct bench {
	struct world *world;
	struct packet_bpf *skel;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint32_t now_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return ((uint64_t)now.tv_sec * 1000000000 + now.tv_nsec) >> LB_TICK_SHIFT;
}

/* The client of flow n, as number() of packet.bpf.c writes it. */
static void flow_client(uint32_t n, __be32 *addr, __be16 *port)
{
	*addr = htonl(0x0a400000 + (n >> 12));
	*port = htons(1024 + (n & 4095));
}

/* Established flows to backend 1 (IPv4) or 101 (IPv6), as packets would have
 * made them. */
static void flows_insert4(struct world *world, uint32_t n, uint8_t protocol, uint32_t now)
{
	for (uint32_t i = 0; i < n; i++) {
		struct lb_tuple4 key = {.dport = htons(80), .protocol = protocol};
		struct lb_tuple4 back = {.sport = htons(5000), .protocol = protocol};
		struct lb_flow flow = {.state = LB_FLOW_ESTABLISHED, .seen_ticks = now};
		struct lb_reply reply = {.state = LB_FLOW_ESTABLISHED,
					 .backend = 1,
					 .port = htons(80),
					 .seen_ticks = now};

		flow_client(i, &key.src, &key.sport);
		inet_pton(AF_INET, "10.96.0.1", &key.dst);
		back.dst = key.src;
		back.dport = key.sport;
		inet_pton(AF_INET, "10.1.0.2", &back.src);
		flow.backend = LB_FLOW_BACKEND(1, 1, hash_tag(hash_key4(&key)));
		reply.frontend[0] = key.dst;
		reply.client[0] = key.src;
		reply.client_port = key.sport;
		reply.tag = hash_tag(hash_key4(&back));
		if (bpf_map_update_elem(bpf_map__fd(protocol == IPPROTO_UDP
							    ? world->skel->maps.udp_flows4
							    : world->skel->maps.flows4),
					&key, &flow, 0) ||
		    bpf_map_update_elem(bpf_map__fd(protocol == IPPROTO_UDP
							    ? world->skel->maps.udp_replies4
							    : world->skel->maps.replies4),
					&back, &reply, 0))
			die("flows4");
	}
}

static void flows_insert6(struct world *world, uint32_t n, uint8_t protocol, uint32_t now)
{
	for (uint32_t i = 0; i < n; i++) {
		struct lb_tuple6 key = {.dport = htons(80), .protocol = protocol};
		struct lb_tuple6 back = {.sport = htons(5000), .protocol = protocol};
		struct lb_flow flow = {.state = LB_FLOW_ESTABLISHED, .seen_ticks = now};
		struct lb_reply reply = {.state = LB_FLOW_ESTABLISHED,
					 .backend = 101,
					 .port = htons(80),
					 .seen_ticks = now};

		inet_pton(AF_INET6, "fd00::9", key.src);
		flow_client(i, &key.src[3], &key.sport);
		inet_pton(AF_INET6, "fd96::1", key.dst);
		memcpy(back.dst, key.src, 16);
		back.dport = key.sport;
		inet_pton(AF_INET6, "fd01::2", back.src);
		flow.backend = LB_FLOW_BACKEND(101, 1, hash_tag(hash_key6(&key)));
		memcpy(reply.frontend, key.dst, 16);
		memcpy(reply.client, key.src, 16);
		reply.client_port = key.sport;
		reply.tag = hash_tag(hash_key6(&back));
		if (bpf_map_update_elem(bpf_map__fd(protocol == IPPROTO_UDP
							    ? world->skel->maps.udp_flows6
							    : world->skel->maps.flows6),
					&key, &flow, 0) ||
		    bpf_map_update_elem(bpf_map__fd(protocol == IPPROTO_UDP
							    ? world->skel->maps.udp_replies6
							    : world->skel->maps.replies6),
					&back, &reply, 0))
			die("flows6");
	}
}

static void bench_open(struct bench *bench, const struct row *row, bool v6, uint8_t protocol)
{
	uint32_t now = now_ticks();

	world_flows = row->kind == NEW ? 65536 : row->flows * 2 < 65536 ? 65536 : row->flows * 2;
	bench->world = world_open();
	world_web(bench->world, 1);
	if (row->kind == REFUSED)
		world_ring_clear(bench->world, v6 ? 2 : 1);
	if (row->program == DATAPATH && (row->kind == HIT || row->kind == UNDO)) {
		if (v6)
			flows_insert6(bench->world, row->flows, protocol, now);
		else
			flows_insert4(bench->world, row->flows, protocol, now);
	}
	bench->skel = packet_bpf__open_and_load();
	if (!bench->skel)
		die("packet.bpf.c");
}

static void bench_close(struct bench *bench)
{
	packet_bpf__destroy(bench->skel);
	world_close(bench->world);
}

/* The program that a row measures, behind the tail call. */
static int program_of(const struct bench *bench, const struct row *row)
{
	bool xdp = row->mouth == WORLD_XDP;
	struct bpf_program *datapath = xdp ? bench->world->skel->progs.lb_xdp
				       : row->mouth == WORLD_TC_POD
					       ? bench->world->skel->progs.lb_tc_pod
					       : bench->world->skel->progs.lb_tc_uplink;

	if (row->program == RESET)
		return -1;
	if (row->program == DATAPATH)
		return bpf_program__fd(datapath);
	return bpf_program__fd(xdp ? bench->skel->progs.bare_xdp : bench->skel->progs.bare_tc);
}

static bool did_its_work(struct world *world, enum kind kind)
{
	static const enum lb_reason reasons[] = {
		[HIT] = LB_REASON_FORWARDED,	    [NEW] = LB_REASON_FORWARDED,
		[NOT_OURS] = LB_REASON_NOT_SERVICE, [REFUSED] = LB_REASON_REJECT_SILENT,
		[UNDO] = LB_REASON_REPLIED,
	};

	/* Some refusals are answered, and some hundred packets of a NEW run
	 * have a checksum that XDP leaves to TC. */
	return world_count(world, reasons[kind]) >= REPEAT / 100 * 99;
}

static double run(const struct row *row, bool v6, uint8_t protocol)
{
	bool xdp = row->mouth == WORLD_XDP, undo = row->kind == UNDO;
	struct frame_spec spec = {
		.src = v6 ? "fd00::9" : "10.0.0.9",
		.dst = v6 ? "fd96::1" : "10.96.0.1",
		.sport = 1024,
		.dport = row->kind == NOT_OURS ? 81 : 80,
		.protocol = protocol,
		.tcp_flags = row->kind == NEW ? TCP_SYN : TCP_ACK,
	};
	struct packet_template template = {.v6 = v6, .flows = undo ? 0 : row->flows};
	struct __sk_buff skb = {0};
	struct frame frame;
	struct bench bench;
	uint32_t zero = 0;
	int program;

	bench_open(&bench, row, v6, protocol);
	if (undo) {
		/* One flow after another is the client's to vary: here the
		 * destination is, so a fixed one stands for all. */
		spec = (struct frame_spec){.src = v6 ? "fd01::2" : "10.1.0.2",
					   .dst = v6 ? "fd00::a40:0" : "10.64.0.0",
					   .sport = 5000,
					   .dport = 1024,
					   .protocol = protocol,
					   .tcp_flags = TCP_ACK};
	}
	frame_build(&frame, &spec);
	spec.payload_bytes = PACKET_HEADER_BYTES - frame.length;
	frame_build(&frame, &spec);
	memcpy(template.bytes, frame.bytes, PACKET_HEADER_BYTES);
	template.length = frame.length;
	bpf_map_update_elem(bpf_map__fd(bench.skel->maps.templates), &zero, &template, 0);
	program = program_of(&bench, row);
	if (program >= 0 && bpf_map_update_elem(bpf_map__fd(xdp ? bench.skel->maps.under_test_xdp
								: bench.skel->maps.under_test_tc),
						&zero, &program, 0))
		die("tail call");

	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.bytes, .data_size_in = frame.length,
		    .repeat = REPEAT);
	if (!xdp) {
		skb.ifindex = row->mouth == WORLD_TC_POD ? bench.world->pods : bench.world->up;
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	if (bpf_prog_test_run_opts(
		    bpf_program__fd(xdp ? bench.skel->progs.reset_xdp : bench.skel->progs.reset_tc),
		    &opts))
		die("test run");
	/* A run that did something else than its row says measures nothing. */
	if (row->program == DATAPATH && !did_its_work(bench.world, row->kind)) {
		fprintf(stderr, "%s: the packets ended otherwise\n", row->what);
		exit(1);
	}
	bench_close(&bench);
	return opts.duration;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static double ns[ROWS][ROUNDS];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int family = 0; family < 2; family++) {
		for (int udp = 0; udp < 2; udp++) {
			double reset = 0, bare = 0;

			for (int round = 0; round < ROUNDS; round++)
				for (size_t i = 0; i < ROWS; i++)
					/* (A refused datagram grows, and can't be made
					 * anew in place.) */
					if (rows[i].kind != REFUSED || !udp)
						ns[i][round] = run(&rows[i], family,
								   udp ? IPPROTO_UDP : IPPROTO_TCP);
			printf("%s over IPv%d\n", udp ? "UDP" : "TCP", family ? 6 : 4);
			for (size_t i = 0; i < ROWS; i++) {
				static const char *const mouths[] = {"xdp", "tc uplink", "tc pod"};
				double median;

				if (rows[i].kind == REFUSED && udp)
					continue;
				qsort(ns[i], ROUNDS, sizeof(ns[i][0]), compare);
				median = ns[i][ROUNDS / 2];
				if (rows[i].program == RESET) {
					reset = median;
					printf("  %-10s %-18s %6.0f ns\n", mouths[rows[i].mouth],
					       rows[i].what, reset);
					continue;
				}
				if (rows[i].program == BARE)
					bare = median - reset;
				printf("  %-10s %-18s %6.0f ns  %5.2f x bare\n",
				       mouths[rows[i].mouth], rows[i].what, median - reset,
				       (median - reset) / bare);
			}
		}
	}
	return 0;
}
