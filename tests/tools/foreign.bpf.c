// SPDX-License-Identifier: GPL-2.0-only
/* Somebody else's XDP program: counts packets and lets them pass. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} foreign_count SEC(".maps");

SEC("xdp")
int foreign(struct xdp_md *ctx __attribute__((unused)))
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&foreign_count, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
