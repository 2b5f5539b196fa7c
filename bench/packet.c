/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The cost table: nanoseconds per packet, by mouth, family, protocol and kind,
 * each beside `bare` of the same mouth (packet.bpf.c), which is measured in the
 * same round; `bare again` shows the noise.  Medians over the rounds, each of
 * which is the fastest of some parts.
 *
 * The time of making the packet anew (`reset`) is in all figures alike and is
 * taken off; it is a row of its own.
 *
 * Linked with the datapath that counts (lookups.bpf.c) it prints the look-ups
 * per packet instead: in hash maps, in arrays, and updates and deletes.
 *
 *   packet [ROW]	ROW: only rows with this in their name, and reset and bare
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

#define ROUNDS 3
#define REPEAT 400000
#define PARTS 10 /* the fastest counts: others share the machine */

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
	UNDO,
	HAIRPIN,
	ICMP,
	FRAGMENT_FIRST,
	FRAGMENT_LATER,
};

/* flows: how many there are; 0 = one. */
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
	{"refused, silent", WORLD_TC_UPLINK, DATAPATH, REFUSED, 1 << 10},
	{"icmp error", WORLD_TC_UPLINK, DATAPATH, ICMP, 0},
	{"first fragment", WORLD_TC_UPLINK, DATAPATH, FRAGMENT_FIRST, 0},
	{"later fragment", WORLD_TC_UPLINK, DATAPATH, FRAGMENT_LATER, 0},
	{"undo, 1 Ki flows", WORLD_TC_POD, DATAPATH, UNDO, 1 << 10},
	{"undo, 64 Ki flows", WORLD_TC_POD, DATAPATH, UNDO, 1 << 16},
	{"undo, 1 Mi flows", WORLD_TC_POD, DATAPATH, UNDO, 1 << 20},
	{"hairpin", WORLD_TC_POD, DATAPATH, HAIRPIN, 0},
	{"not ours", WORLD_TC_POD, DATAPATH, NOT_OURS, 1 << 10},
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
	/* An answer is another packet: not to be made anew in place. */
	world_reject_rate = row->kind == REFUSED ? 0 : 1000;
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
		[HIT] = LB_REASON_FORWARDED,
		[NEW] = LB_REASON_FORWARDED,
		[NOT_OURS] = LB_REASON_NOT_SERVICE,
		[REFUSED] = LB_REASON_REJECT_SILENT,
		[UNDO] = LB_REASON_REPLIED,
		[HAIRPIN] = LB_REASON_FORWARDED,
		[ICMP] = LB_REASON_ICMP_TRANSLATED,
		[FRAGMENT_FIRST] = LB_REASON_FORWARDED,
		[FRAGMENT_LATER] = LB_REASON_FORWARDED,
	};

	/* Some hundred packets of a NEW run have a checksum that XDP leaves to
	 * TC. */
	return world_count(world, reasons[kind]) >= REPEAT / 100 * 99;
}

/* The counts of lookups.bpf.c; false where that isn't what runs. */
static bool lookups_read(struct world *world, uint64_t ret[3])
{
	struct bpf_map *map = bpf_object__find_map_by_name(world->skel->obj, ".data.lookups");
	uint32_t zero = 0;

	return map && !bpf_map_lookup_elem(bpf_map__fd(map), &zero, ret);
}

static struct frame_spec spec_of(const struct row *row, bool v6, uint8_t protocol)
{
	struct frame_spec spec = {
		.src = v6 ? "fd00::9" : "10.0.0.9",
		.dst = v6 ? "fd96::1" : "10.96.0.1",
		.sport = 1024,
		.dport = row->kind == NOT_OURS ? 81 : 80,
		.protocol = protocol,
		.tcp_flags = row->kind == NEW ? TCP_SYN : TCP_ACK,
	};

	if (row->kind == UNDO) {
		spec.src = v6 ? "fd01::2" : "10.1.0.2";
		spec.dst = v6 ? "fd00::a40:0" : "10.64.0.0";
		spec.sport = 5000;
		spec.dport = 1024;
	} else if (row->kind == HAIRPIN) {
		spec.src = v6 ? "fd01::2" : "10.1.0.2";
	}
	return spec;
}

/* One flow, from its SYN to where it is established. */
static void connect_one(struct world *world, enum world_program mouth,
			const struct frame_spec *spec)
{
	struct frame_spec syn = *spec;
	struct frame frame, seen, answer;
	bool v6;

	syn.tcp_flags = TCP_SYN;
	frame_build(&frame, &syn);
	v6 = frame_is_ipv6(&frame);
	world_run(world, mouth, &frame, &seen);
	/* The answer is the packet that the backend has seen, turned round. */
	frame_build(&answer, &(struct frame_spec){.src = v6 ? "fd01::2" : "10.1.0.2",
						  .dst = spec->src,
						  .sport = 5000,
						  .dport = ntohs(*frame_sport(&seen)),
						  .protocol = spec->protocol,
						  .tcp_flags = TCP_SYN | TCP_ACK});
	memcpy(answer.bytes + FRAME_ETH + (v6 ? 24 : 16), seen.bytes + FRAME_ETH + (v6 ? 8 : 12),
	       v6 ? 16 : 4);
	frame_finish(&answer);
	world_run(world, WORLD_TC_POD, &answer, &answer);
	frame_build(&frame, spec);
	*(uint32_t *)(frame.bytes + frame_l4(&frame) + 8) = htonl(1); /* TCP: its ACK */
	if (spec->protocol == IPPROTO_TCP)
		frame_finish(&frame);
	else
		frame_build(&frame, spec);
	world_run(world, mouth, &frame, &seen);
}

/* The row's packet; brings about what it needs in the maps. */
static void packet_make(struct world *world, const struct row *row, bool v6, uint8_t protocol,
			struct frame *ret)
{
	struct frame_spec spec = spec_of(row, v6, protocol);
	struct frame whole, first;

	frame_build(ret, &spec);
	spec.payload_bytes = PACKET_HEADER_BYTES - ret->length;
	frame_build(ret, &spec);
	if (row->kind == HAIRPIN)
		connect_one(world, row->mouth, &spec);
	if (row->kind == ICMP) {
		connect_one(world, row->mouth, &spec);
		frame_build(&whole, &(struct frame_spec){.src = spec.dst,
							 .dst = spec.src,
							 .sport = spec.dport,
							 .dport = spec.sport,
							 .protocol = protocol,
							 .payload_bytes = 200});
		frame_icmp_error(ret, v6 ? "fd00::fe" : "10.0.0.254", spec.src, v6 ? 1 : 3,
				 v6 ? 4 : 3, 0, 64, &whole, 100);
		memcpy(ret->bytes + FRAME_ETH + (v6 ? 24 : 16),
		       whole.bytes + FRAME_ETH + (v6 ? 8 : 12), v6 ? 16 : 4);
		frame_icmp_error(ret, v6 ? "fd00::fe" : "10.0.0.254", spec.dst, v6 ? 1 : 3,
				 v6 ? 4 : 3, 0, 64, &whole, 100);
	}
	if (row->kind == FRAGMENT_FIRST || row->kind == FRAGMENT_LATER) {
		spec.payload_bytes = 400;
		connect_one(world, row->mouth, &spec);
		frame_build(&whole, &spec);
		frame_cut(&whole, 0, 200, true, 77, &first);
		world_run(world, row->mouth, &first, ret);
		frame_cut(&whole, row->kind == FRAGMENT_LATER ? 200 : 0, 200,
			  row->kind == FRAGMENT_FIRST, 77, ret);
	}
}

static double run(const struct row *row, bool v6, uint8_t protocol, double ret_lookups[3])
{
	struct packet_template template = {
		.v6 = v6, .flows = row->flows, .replies = row->kind == UNDO};
	bool xdp = row->mouth == WORLD_XDP;
	uint64_t before[3], after[3];
	struct __sk_buff skb = {0};
	struct frame frame;
	struct bench bench;
	uint32_t zero = 0;
	uint32_t fastest = UINT32_MAX;
	int program, fd;

	bench_open(&bench, row, v6, protocol);
	packet_make(bench.world, row, v6, protocol, &frame);
	memcpy(template.bytes, frame.bytes, PACKET_HEADER_BYTES);
	template.length = frame.length;
	bpf_map_update_elem(bpf_map__fd(bench.skel->maps.templates), &zero, &template, 0);
	program = program_of(&bench, row);
	if (program >= 0 && bpf_map_update_elem(bpf_map__fd(xdp ? bench.skel->maps.under_test_xdp
								: bench.skel->maps.under_test_tc),
						&zero, &program, 0))
		die("tail call");
	fd = bpf_program__fd(xdp ? bench.skel->progs.reset_xdp : bench.skel->progs.reset_tc);

	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.bytes, .data_size_in = frame.length);
	if (!xdp) {
		skb.ifindex = row->mouth == WORLD_TC_POD ? bench.world->pods : bench.world->up;
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	/* Once over all flows that there are: none was just made then. */
	opts.repeat = row->kind == HIT || row->kind == UNDO ? row->flows : 1;
	if (bpf_prog_test_run_opts(fd, &opts))
		die("test run");
	lookups_read(bench.world, before);
	opts.repeat = REPEAT / PARTS;
	for (int part = 0; part < PARTS; part++) {
		opts.data_size_out = opts.ctx_size_out = 0; /* the last run has set them */
		if (bpf_prog_test_run_opts(fd, &opts))
			die("test run");
		if (opts.duration < fastest)
			fastest = opts.duration;
	}
	if (lookups_read(bench.world, after))
		for (int i = 0; i < 3; i++)
			ret_lookups[i] = (double)(after[i] - before[i]) / REPEAT;
	/* A run that did something else than its row says measures nothing. */
	if (row->program == DATAPATH && !did_its_work(bench.world, row->kind)) {
		fprintf(stderr, "%s: the packets ended otherwise\n", row->what);
		exit(1);
	}
	bench_close(&bench);
	return fastest;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool row_is_asked(const struct row *row, const char *name)
{
	return row->program != DATAPATH || !name || strstr(row->what, name);
}

static const char *const mouths[] = {
	[WORLD_XDP] = "xdp",
	[WORLD_TC_UPLINK] = "tc uplink",
	[WORLD_TC_POD] = "tc pod",
};

static void print_lookups(bool v6, uint8_t protocol, const char *name)
{
	for (size_t i = 0; i < ROWS; i++) {
		double lookups[3] = {0};

		if (rows[i].program != DATAPATH || !row_is_asked(&rows[i], name))
			continue;
		run(&rows[i], v6, protocol, lookups);
		printf("  %-10s %-18s %6.2f hash %6.2f array %6.2f update, delete\n",
		       mouths[rows[i].mouth], rows[i].what, lookups[0], lookups[1], lookups[2]);
	}
}

static void print_times(bool v6, uint8_t protocol, const char *name)
{
	static double ns[ROWS][ROUNDS];
	double reset[WORLD_TC_POD + 1] = {0}, bare[WORLD_TC_POD + 1] = {0}, unused[3];

	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ROWS; i++)
			if (row_is_asked(&rows[i], name))
				ns[i][round] = run(&rows[i], v6, protocol, unused);
	for (size_t i = 0; i < ROWS; i++) {
		enum world_program mouth = rows[i].mouth, as = mouth;
		double median;

		if (!row_is_asked(&rows[i], name))
			continue;
		if (mouth == WORLD_TC_POD)
			as = WORLD_TC_UPLINK; /* bare is the same there */
		qsort(ns[i], ROUNDS, sizeof(ns[i][0]), compare);
		median = ns[i][ROUNDS / 2];
		if (rows[i].program == RESET) {
			reset[as] = median;
			printf("  %-10s %-18s %6.0f ns\n", mouths[mouth], rows[i].what, median);
			continue;
		}
		if (rows[i].program == BARE)
			bare[as] = median - reset[as];
		printf("  %-10s %-18s %6.0f ns  %5.2f x bare\n", mouths[mouth], rows[i].what,
		       median - reset[as], (median - reset[as]) / bare[as]);
	}
}

static void print_size(const char *name, const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	if (!bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length))
		printf("  %-14s %6u BPF instructions, %6u bytes of machine code\n", name,
		       info.xlated_prog_len / 8, info.jited_prog_len);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	struct world *world = world_open();
	uint64_t unused[3];
	bool counts = lookups_read(world, unused);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!counts) {
		printf("Programs, functions of all ways included\n");
		print_size("lb_xdp", world->skel->progs.lb_xdp);
		print_size("lb_tc_uplink", world->skel->progs.lb_tc_uplink);
		print_size("lb_tc_pod", world->skel->progs.lb_tc_pod);
	}
	world_close(world);
	for (int family = 0; family < 2; family++) {
		for (int udp = 0; udp < 2; udp++) {
			uint8_t protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;

			printf("%s over IPv%d%s\n", udp ? "UDP" : "TCP", family ? 6 : 4,
			       counts ? ", look-ups per packet" : "");
			if (counts)
				print_lookups(family, protocol, name);
			else
				print_times(family, protocol, name);
		}
	}
	return 0;
}
