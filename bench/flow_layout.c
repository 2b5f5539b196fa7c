/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Runs the two flow layouts of flow_layout.bpf.c side by side, interleaved, and
 * prints the median of nanoseconds per operation.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "flow_layout.skel.h"
#include "lb.h"

#define ROUNDS 9
#define OPERATIONS (1 << 20)

static struct flow_layout_bpf *open_skel(uint32_t flows)
{
	struct flow_layout_bpf *skel = flow_layout_bpf__open();

	if (!skel)
		exit(1);
	bpf_map__set_max_entries(skel->maps.forward, flows * 2);
	bpf_map__set_max_entries(skel->maps.reverse, flows * 2);
	if (flow_layout_bpf__load(skel))
		exit(1);
	skel->bss->flows_mask = flows - 1;
	for (uint32_t id = 1; id <= 5; id++) {
		struct lb_backend backend = {
			.addr = {htonl(0x0af40100 + id)}, .port = htons(5000), .generation = 1};

		bpf_map_update_elem(bpf_map__fd(skel->maps.reals), &id, &backend, 0);
	}
	for (uint32_t line = 0; line < 64; line++) {
		struct lb_arena_line slots;

		for (uint32_t i = 0; i < LB_ARENA_LINE_SLOTS; i++)
			slots.slots[i] = 1 + (line * LB_ARENA_LINE_SLOTS + i) % 5;
		bpf_map_update_elem(bpf_map__fd(skel->maps.slots), &line, &slots, 0);
	}
	return skel;
}

/* Nanoseconds per operation. */
static double run(struct flow_layout_bpf *skel, struct bpf_program *program, uint32_t operations)
{
	char frame[64] = {[12] = 0x08, [14] = 0x45};

	skel->bss->elapsed_ns = 0;
	skel->bss->misses = skel->bss->failures = 0;
	for (uint32_t done = 0; done < operations;) {
		uint32_t n = operations - done < 65536 ? operations - done : 65536;
		struct __sk_buff skb = {.mark = n};
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = sizeof(frame), .ctx_in = &skb,
			    .ctx_size_in = sizeof(skb), .repeat = 1);

		skel->bss->first = done;
		if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts)) {
			perror("test run");
			exit(1);
		}
		done += n;
	}
	if (skel->bss->failures)
		fprintf(stderr, "%u inserts failed\n", skel->bss->failures);
	return (double)skel->bss->elapsed_ns / operations;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

int main(void)
{
	static const uint32_t sizes[] = {1 << 10, 1 << 16, 1 << 20};

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%-9s %12s %12s %12s %12s %12s %12s\n", "flows", "pair ins", "single ins",
	       "pair hit", "single hit", "1 older pick", "3 older");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double ns[6][ROUNDS];

		for (int round = 0; round < ROUNDS; round++) {
			struct flow_layout_bpf *pair = open_skel(sizes[i]);
			struct flow_layout_bpf *single = open_skel(sizes[i]);

			ns[0][round] = run(pair, pair->progs.run_pair_insert, sizes[i]);
			ns[1][round] = run(single, single->progs.run_single_insert, sizes[i]);
			ns[2][round] = run(pair, pair->progs.run_pair_hit, OPERATIONS);
			if (pair->bss->misses)
				fprintf(stderr, "pair: %u misses\n", pair->bss->misses);
			for (int older = 0; older < 4; older++) {
				if (older == 2)
					continue;
				single->bss->older_picks = older;
				ns[older == 3 ? 5 : 3 + older][round] =
					run(single, single->progs.run_single_hit, OPERATIONS);
				if (single->bss->misses)
					fprintf(stderr, "single: %u misses\n", single->bss->misses);
			}
			flow_layout_bpf__destroy(pair);
			flow_layout_bpf__destroy(single);
		}
		printf("%-9u", sizes[i]);
		for (int column = 0; column < 6; column++)
			printf(" %9.1f ns", median(ns[column]));
		printf("\n");
	}
	return 0;
}
