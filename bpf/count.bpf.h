/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters.  Each packet is counted once: what is sent on by its backend, all
 * else by its reason, on its way out of a mouth.  And flows that come and go.
 */
#ifndef COUNT_BPF_H
#define COUNT_BPF_H

static __always_inline void count_reason(__u32 reason, __u32 bytes)
{
	struct lb_reason_counter *counter = bpf_map_lookup_elem(&reason_counters, &reason);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

static __always_inline void count_connection(__u32 backend)
{
	struct lb_traffic *traffic = bpf_map_lookup_elem(&backend_counters, &backend);

	if (traffic)
		traffic->connections++;
}

/* LB_REASON_FORWARDED. */
static __always_inline void count_in(__u32 backend, __u32 bytes)
{
	struct lb_traffic *traffic = bpf_map_lookup_elem(&backend_counters, &backend);

	if (traffic) {
		traffic->packets_in++;
		traffic->bytes_in += bytes;
	}
}

/* LB_REASON_REPLIED.  backend 0: of one whose id is free. */
static __always_inline void count_out(__u32 backend, __u32 bytes)
{
	struct lb_traffic *traffic = bpf_map_lookup_elem(&backend_counters, &backend);

	if (traffic) {
		traffic->packets_out++;
		traffic->bytes_out += bytes;
	}
}

/* The same, of a backend that an old flow names. */
static __always_inline void count_reply(__u32 id, __u32 bytes)
{
	struct lb_backend *backend = bpf_map_lookup_elem(&backends, &id);

	count_out(backend && backend->state != LB_BACKEND_FREE ? id : 0, bytes);
}

/* A flow's entry came into a table, or left it. */
static __always_inline void count_stored(__u32 table, bool v6)
{
	__u32 index = LB_FLOW_TABLE_INDEX(table, v6);
	struct lb_table_counter *counter = bpf_map_lookup_elem(&table_counters, &index);

	if (counter)
		counter->stored++;
}

static __always_inline void count_deleted(__u32 table, bool v6)
{
	__u32 index = LB_FLOW_TABLE_INDEX(table, v6);
	struct lb_table_counter *counter = bpf_map_lookup_elem(&table_counters, &index);

	if (counter)
		counter->deleted++;
}

/* Has the backend's counter said so already? */
static __always_inline bool count_is_done(__u32 reason)
{
	return reason == LB_REASON_FORWARDED || reason == LB_REASON_REPLIED;
}

/* enum lb_verdict of each reason. */
static const __u8 count_verdicts[LB_REASON_MAX] = {
#define COUNT_VERDICT(name, text, verdict, meaning) [LB_REASON_##name] = LB_VERDICT_##verdict,
	LB_REASONS(COUNT_VERDICT)
#undef COUNT_VERDICT
};

static __always_inline __u8 count_verdict(__u32 reason)
{
	return reason < LB_REASON_MAX ? count_verdicts[reason] : LB_VERDICT_PASS;
}

#endif
