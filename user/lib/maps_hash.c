/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "maps_hash.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <bpf/bpf.h>

/* Entries read by one bpf(2) call. */
#define MAPS_BATCH 1024

int maps_hash_each(int fd, void (*each)(void *arg, const void *key, const void *value), void *arg)
{
	struct bpf_map_info info = {0};
	__u32 count, length = sizeof(info);
	char *keys, *values, *position;
	bool first = true;
	int err = 0;

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	keys = malloc((size_t)MAPS_BATCH * info.key_size);
	values = malloc((size_t)MAPS_BATCH * info.value_size);
	/* A hash map's is a number, a trie's is a key. */
	position = calloc(1, info.key_size + sizeof(__u32));
	if (!keys || !values || !position)
		err = -ENOMEM;
	while (!err) {
		count = MAPS_BATCH;
		if (bpf_map_lookup_batch(fd, first ? NULL : position, position, keys, values,
					 &count, NULL))
			err = -errno; /* -ENOENT: the end, with count entries */
		if (err && err != -ENOENT)
			break;
		for (__u32 i = 0; i < count; i++)
			each(arg, keys + (size_t)i * info.key_size,
			     values + (size_t)i * info.value_size);
		first = false;
	}
	free(keys);
	free(values);
	free(position);
	return err == -ENOENT ? 0 : err;
}
