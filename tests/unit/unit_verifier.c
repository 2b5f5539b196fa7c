/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What older kernels' verifiers would refuse that this one's takes. */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb.h"
#include "lb.skel.h"

#define LOG_BYTES (1 << 20)
#define LOG_STATS 4 /* the kernel's BPF_LOG_STATS */
#define STACK_BYTES 512
#define STACK_STEP 32 /* check_max_stack_depth(), before 6.8 */
#define SUBPROGS_MAX 256

struct subprog {
	size_t first; /* instruction */
	unsigned int bytes;
};

struct program {
	const struct bpf_insn *insns;
	size_t n_insns;
	struct subprog subprogs[SUBPROGS_MAX];
	size_t n;
};

static int subprog_compare(const void *a, const void *b)
{
	const struct subprog *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static struct subprog *subprog_at(struct program *p, size_t first)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->subprogs[i].first == first)
			return &p->subprogs[i];
	return NULL;
}

/* The stack of the i-th of n functions, which the verifier tells in their order:
 * "stack depth 96+32+0", from 7.x on a line for each, "subprog 1 (name) ... stack 32". */
static unsigned int stack_told(const char *log, size_t i, size_t n)
{
	const char *depths = strstr(log, "stack depth ");
	char *end, line[32];
	unsigned int bytes;

	assert_non_null(depths);
	depths += strlen("stack depth ");
	if (!strncmp(depths, "max ", 4)) {
		snprintf(line, sizeof(line), "\nsubprog %zu ", i);
		depths = strstr(depths, line);
		assert_non_null(depths);
		depths = strstr(depths, " stack ");
		assert_non_null(depths);
		return strtoul(depths + strlen(" stack "), NULL, 10);
	}
	for (size_t k = 0; k < i; k++) {
		depths = strchr(depths, '+');
		assert_non_null(depths);
		depths++;
	}
	bytes = strtoul(depths, &end, 10);
	assert_int_equal(*end, i + 1 < n ? '+' : '\n');
	return bytes;
}

/* Where functions begin, and the stack of each. */
static void subprogs_find(struct program *p, const char *log)
{
	p->n = 1;
	for (size_t i = 0; i < p->n_insns; i++) {
		if (!is_call(&p->insns[i]) || subprog_at(p, i + 1 + p->insns[i].imm))
			continue;
		assert_true(p->n < SUBPROGS_MAX);
		p->subprogs[p->n++].first = i + 1 + p->insns[i].imm;
	}
	qsort(p->subprogs, p->n, sizeof(p->subprogs[0]), subprog_compare);
	for (size_t i = 0; i < p->n; i++)
		p->subprogs[i].bytes = stack_told(log, i, p->n);
}

/* Of the deepest way down from a function; `way` gets the bytes of its calls. */
static unsigned int stack_of(struct program *p, const struct subprog *subprog, char *way,
			     size_t way_bytes)
{
	size_t end = subprog == &p->subprogs[p->n - 1] ? p->n_insns : subprog[1].first;
	unsigned int own = subprog->bytes ? subprog->bytes : 1, deepest = 0;
	char below[512], deepest_below[512] = "";

	own = (own + STACK_STEP - 1) / STACK_STEP * STACK_STEP;
	for (size_t i = subprog->first; i < end; i++) {
		unsigned int bytes;

		if (!is_call(&p->insns[i]))
			continue;
		bytes = stack_of(p, subprog_at(p, i + 1 + p->insns[i].imm), below, sizeof(below));
		if (bytes <= deepest)
			continue;
		deepest = bytes;
		memcpy(deepest_below, below, sizeof(below));
	}
	snprintf(way, way_bytes, " %u%.480s", own, deepest_below);
	return own + deepest;
}

static void programs_fit_the_stack_of_older_kernels(void **state)
{
	struct lb_bpf *skel = lb_bpf__open();
	struct bpf_program *program;
	bool fits = true;

	(void)state;
	assert_non_null(skel);
	bpf_object__for_each_program(program, skel->obj)
	{
		char *log = calloc(1, LOG_BYTES);

		assert_non_null(log);
		bpf_program__set_log_level(program, LOG_STATS);
		bpf_program__set_log_buf(program, log, LOG_BYTES);
	}
	assert_int_equal(lb_bpf__load(skel), 0);
	bpf_object__for_each_program(program, skel->obj)
	{
		struct program p = {.insns = bpf_program__insns(program),
				    .n_insns = bpf_program__insn_cnt(program)};
		char *log = (char *)bpf_program__log_buf(program, &(size_t){0});
		unsigned int bytes;
		char way[512];

		subprogs_find(&p, log);
		bytes = stack_of(&p, &p.subprogs[0], way, sizeof(way));
		printf("# %-20s %3u bytes of stack:%s\n", bpf_program__name(program), bytes, way);
		fits &= bytes <= STACK_BYTES;
		free(log);
	}
	assert_true(fits);
	lb_bpf__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_fit_the_stack_of_older_kernels),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
