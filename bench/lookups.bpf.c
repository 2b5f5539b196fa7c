// SPDX-License-Identifier: GPL-2.0-only
/*
 * The datapath itself, with each look-up, update and delete of a map counted by
 * the map's type.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* [0] look-ups in hash maps, [1] in arrays, [2] updates and deletes. */
__u64 lookups[3] SEC(".data.lookups");

static void *(*const lookups_find)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const lookups_update)(void *map, const void *key, const void *value,
				    __u64 flags) = (void *)BPF_FUNC_map_update_elem;
static long (*const lookups_delete)(void *map, const void *key) = (void *)BPF_FUNC_map_delete_elem;

#define LOOKUPS_TYPE(map) (sizeof(*(map)->type) / sizeof(int))
#define LOOKUPS_IS_ARRAY(map) \
	(LOOKUPS_TYPE(map) == BPF_MAP_TYPE_ARRAY || LOOKUPS_TYPE(map) == BPF_MAP_TYPE_PERCPU_ARRAY)

#define bpf_map_lookup_elem(map, key) \
	(__sync_fetch_and_add(&lookups[LOOKUPS_IS_ARRAY(map)], 1), lookups_find((map), (key)))
#define bpf_map_update_elem(map, key, value, flags) \
	(__sync_fetch_and_add(&lookups[2], 1), lookups_update((map), (key), (value), (flags)))
#define bpf_map_delete_elem(map, key) \
	(__sync_fetch_and_add(&lookups[2], 1), lookups_delete((map), (key)))

#include "lb.bpf.c"
