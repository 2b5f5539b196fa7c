/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/membarrier.h>

#include "maps.h"

/* Entries read by one bpf(2) call. */
#define MAPS_BATCH 1024

/* The mapped arrays, in the order of maps.mapped_fd. */
static const struct {
	const char *name;
	size_t value_bytes;
	size_t pointer_offset; /* of the array in struct maps */
} arrays[] = {
	{"services", sizeof(struct lb_service), offsetof(struct maps, services)},
	{"service_names", sizeof(struct lb_service_name), offsetof(struct maps, service_names)},
	{"rings", sizeof(__u64), offsetof(struct maps, rings)},
	{"arena", sizeof(struct lb_arena_line), offsetof(struct maps, arena)},
	{"backends", sizeof(struct lb_backend), offsetof(struct maps, backends)},
	{"devices", sizeof(struct lb_device), offsetof(struct maps, devices)},
};
#define ARRAYS (sizeof(arrays) / sizeof(arrays[0]))
_Static_assert(ARRAYS == sizeof(((struct maps *)0)->mapped_fd) / sizeof(int), "one fd an array");

static void **array_pointer(struct maps *maps, size_t i)
{
	return (void **)((char *)maps + arrays[i].pointer_offset);
}

static int map_info(int fd, struct bpf_map_info *ret)
{
	__u32 length = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	return bpf_obj_get_info_by_fd(fd, ret, &length) ? -errno : 0;
}

/* The kernel rounds a mapped array's length up to whole pages. */
static size_t array_bytes(size_t value_bytes, uint32_t entries)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (value_bytes * entries + page - 1) / page * page;
}

static int map_get(const char *dir, const char *name, struct bpf_map_info *ret_info,
		   struct error *error)
{
	char path[512];
	int fd, err;

	snprintf(path, sizeof(path), "%s/v%d/maps/%s", dir, LB_ABI, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	err = map_info(fd, ret_info);
	if (err) {
		close(fd);
		return error_set(error, err, "%s: %s", path, strerror(-err));
	}
	return fd;
}

static int array_open(struct maps *maps, size_t i, const char *dir, uint32_t *ret_entries,
		      struct error *error)
{
	struct bpf_map_info info;
	void *memory;
	int fd = map_get(dir, arrays[i].name, &info, error);

	if (fd < 0)
		return fd;
	maps->mapped_fd[i] = fd;
	if (info.value_size != arrays[i].value_bytes)
		return error_set(error, -EINVAL, "%s: map %s has values of %u bytes, not %zu", dir,
				 arrays[i].name, info.value_size, arrays[i].value_bytes);
	memory = mmap(NULL, array_bytes(arrays[i].value_bytes, info.max_entries), PROT_READ,
		      MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return error_set(error, -errno, "%s: can't map %s: %s", dir, arrays[i].name,
				 strerror(errno));
	*array_pointer(maps, i) = memory;
	*ret_entries = info.max_entries;
	return 0;
}

static int hash_open(const char *dir, const char *name, int *ret_fd, uint32_t *ret_entries,
		     struct error *error)
{
	struct bpf_map_info info;
	int fd = map_get(dir, name, &info, error);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	if (ret_entries)
		*ret_entries = info.max_entries;
	return 0;
}

int maps_open(const char *bpffs_dir, struct maps **ret, struct error *error)
{
	uint32_t entries[ARRAYS];
	struct maps *maps = calloc(1, sizeof(*maps));
	int err = 0;

	if (!maps)
		return error_set(error, -ENOMEM, "out of memory");
	memset(maps->mapped_fd, -1, sizeof(maps->mapped_fd));
	memset(maps->frontends_fd, -1, sizeof(maps->frontends_fd));
	memset(maps->flows_fd, -1, sizeof(maps->flows_fd));
	memset(maps->new_flows_fd, -1, sizeof(maps->new_flows_fd));
	maps->reason_counters_fd = maps->service_counters_fd = maps->backend_counters_fd = -1;
	maps->ncpus = libbpf_num_possible_cpus();

	for (size_t i = 0; i < ARRAYS && !err; i++)
		err = array_open(maps, i, bpffs_dir, &entries[i], error);
	err = err
		      ?: hash_open(bpffs_dir, "frontends4", &maps->frontends_fd[0],
				   &maps->max_frontends, error);
	err = err ?: hash_open(bpffs_dir, "frontends6", &maps->frontends_fd[1], NULL, error);
	err = err ?: hash_open(bpffs_dir, "flows4", &maps->flows_fd[0], &maps->max_flows, error);
	err = err ?: hash_open(bpffs_dir, "flows6", &maps->flows_fd[1], NULL, error);
	err = err
		      ?: hash_open(bpffs_dir, "new_flows4", &maps->new_flows_fd[0],
				   &maps->max_new_flows, error);
	err = err ?: hash_open(bpffs_dir, "new_flows6", &maps->new_flows_fd[1], NULL, error);
	err = err
		      ?: hash_open(bpffs_dir, "reason_counters", &maps->reason_counters_fd, NULL,
				   error);
	err = err
		      ?: hash_open(bpffs_dir, "service_counters", &maps->service_counters_fd, NULL,
				   error);
	err = err
		      ?: hash_open(bpffs_dir, "backend_counters", &maps->backend_counters_fd, NULL,
				   error);
	if (err) {
		maps_close(maps);
		return err;
	}
	maps->max_services = entries[0];
	maps->arena_lines = entries[3];
	maps->max_backends = entries[4];
	*ret = maps;
	return 0;
}

static void fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

void maps_close(struct maps *maps)
{
	struct bpf_map_info info;

	if (!maps)
		return;
	for (size_t i = 0; i < ARRAYS; i++) {
		void *memory = *array_pointer(maps, i);

		if (memory && !map_info(maps->mapped_fd[i], &info))
			munmap(memory, array_bytes(arrays[i].value_bytes, info.max_entries));
		fd_close(maps->mapped_fd[i]);
	}
	for (int family = 0; family < 2; family++) {
		fd_close(maps->frontends_fd[family]);
		fd_close(maps->flows_fd[family]);
		fd_close(maps->new_flows_fd[family]);
	}
	fd_close(maps->reason_counters_fd);
	fd_close(maps->service_counters_fd);
	fd_close(maps->backend_counters_fd);
	free(maps);
}

int maps_make_writable(struct maps *maps, struct error *error)
{
	struct bpf_map_info info;

	if (maps->writable)
		return 0;
	for (size_t i = 0; i < ARRAYS; i++) {
		void *memory = *array_pointer(maps, i);
		int err = map_info(maps->mapped_fd[i], &info);

		/* A map that is mapped read-only can't be mprotect()ed to
		 * writable: map it anew over the same addresses. */
		if (!err && mmap(memory, array_bytes(arrays[i].value_bytes, info.max_entries),
				 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, maps->mapped_fd[i],
				 0) == MAP_FAILED)
			err = -errno;
		if (err)
			return error_set(error, err, "can't map %s to write: %s", arrays[i].name,
					 strerror(-err));
	}
	maps->writable = true;
	return 0;
}

/* Call each(arg, key, value) for a HASH map's entries.  Entries that come and
 * go meanwhile may be seen or not. */
static int hash_each(int fd, void (*each)(void *arg, const void *key, const void *value), void *arg)
{
	struct bpf_map_info info;
	__u32 position = 0, count;
	char *keys, *values;
	bool first = true;
	int err = map_info(fd, &info);

	if (err)
		return err;
	keys = malloc((size_t)MAPS_BATCH * info.key_size);
	values = malloc((size_t)MAPS_BATCH * info.value_size);
	if (!keys || !values)
		err = -ENOMEM;
	while (!err) {
		count = MAPS_BATCH;
		if (bpf_map_lookup_batch(fd, first ? NULL : &position, &position, keys, values,
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
	return err == -ENOENT ? 0 : err;
}

struct frontend_list {
	struct plan_frontend *items;
	size_t n, size;
};

static struct plan_frontend *frontend_list_add(struct frontend_list *list)
{
	/* Entries beyond the map's size can't exist. */
	return list->n < list->size ? &list->items[list->n++] : NULL;
}

static void frontend_add4(void *arg, const void *key, const void *value)
{
	const struct lb_frontend4_key *k = key;
	struct plan_frontend *frontend = frontend_list_add(arg);
	const uint32_t words[4] = {k->addr};

	if (!frontend)
		return;
	addr_from_words(4, words, &frontend->addr);
	frontend->port = k->port;
	frontend->protocol = k->protocol;
	memcpy(&frontend->value, value, sizeof(frontend->value));
}

static void frontend_add6(void *arg, const void *key, const void *value)
{
	const struct lb_frontend6_key *k = key;
	struct plan_frontend *frontend = frontend_list_add(arg);

	if (!frontend)
		return;
	addr_from_words(6, k->addr, &frontend->addr);
	frontend->port = k->port;
	frontend->protocol = k->protocol;
	memcpy(&frontend->value, value, sizeof(frontend->value));
}

int maps_applied(const struct maps *maps, struct applied *ret, struct plan_frontend **ret_frontends,
		 struct error *error)
{
	struct frontend_list list = {.size = 2 * (size_t)maps->max_frontends};
	int err;

	list.items = calloc(list.size, sizeof(*list.items));
	if (!list.items)
		return error_set(error, -ENOMEM, "out of memory");
	err = hash_each(maps->frontends_fd[0], frontend_add4, &list);
	err = err ?: hash_each(maps->frontends_fd[1], frontend_add6, &list);
	if (err) {
		free(list.items);
		return error_set(error, err, "can't read the frontends: %s", strerror(-err));
	}
	*ret = (struct applied){
		.max_services = maps->max_services,
		.max_backends = maps->max_backends,
		.max_frontends = maps->max_frontends,
		.arena_lines = maps->arena_lines,
		.services = maps->services,
		.service_names = maps->service_names,
		.rings = maps->rings,
		.arena = maps->arena,
		.backends = maps->backends,
		.frontends = list.items,
		.nfrontends = list.n,
	};
	*ret_frontends = list.items;
	return 0;
}

/* Key of frontends4 or frontends6; returns the map's fd. */
static int frontend_key(const struct maps *maps, const struct plan_frontend *frontend,
			struct lb_frontend6_key *ret)
{
	uint32_t words[4];

	addr_to_words(&frontend->addr, words);
	memset(ret, 0, sizeof(*ret));
	if (frontend->addr.family == 6) {
		memcpy(ret->addr, words, sizeof(ret->addr));
		ret->port = frontend->port;
		ret->protocol = frontend->protocol;
		return maps->frontends_fd[1];
	}
	*(struct lb_frontend4_key *)ret = (struct lb_frontend4_key){
		.addr = words[0],
		.port = frontend->port,
		.protocol = frontend->protocol,
	};
	return maps->frontends_fd[0];
}

int maps_frontend_insert(struct maps *maps, const struct plan_frontend *frontend)
{
	struct lb_frontend6_key key;
	int fd = frontend_key(maps, frontend, &key);

	return bpf_map_update_elem(fd, &key, &frontend->value, BPF_NOEXIST) ? -errno : 0;
}

int maps_frontend_delete(struct maps *maps, const struct plan_frontend *frontend)
{
	struct lb_frontend6_key key;
	int fd = frontend_key(maps, frontend, &key);

	return bpf_map_delete_elem(fd, &key) ? -errno : 0;
}

/* Read entries 0..n-1 of a per-CPU array of __u64 fields and sum them up. */
static int counters_sum(int fd, int ncpus, uint32_t n, size_t value_bytes, __u64 *ret)
{
	size_t fields = value_bytes / sizeof(__u64);
	__u32 position = 0, done = 0, count;
	__u32 keys[MAPS_BATCH];
	__u64 *values;
	int err = 0;

	values = calloc(MAPS_BATCH, value_bytes * ncpus);
	if (!values)
		return -ENOMEM;
	memset(ret, 0, n * value_bytes);
	while (done < n && !err) {
		count = n - done < MAPS_BATCH ? n - done : MAPS_BATCH;
		if (bpf_map_lookup_batch(fd, done ? &position : NULL, &position, keys, values,
					 &count, NULL))
			err = -errno;
		if (err && err != -ENOENT)
			break;
		for (__u32 i = 0; i < count; i++)
			for (size_t f = 0; f < fields * ncpus; f++)
				ret[(size_t)(done + i) * fields + f % fields] +=
					values[i * fields * ncpus + f];
		done += count;
	}
	free(values);
	return err == -ENOENT ? 0 : err;
}

int maps_reason_counters(const struct maps *maps, struct lb_reason_counter ret[LB_REASON_MAX])
{
	return counters_sum(maps->reason_counters_fd, maps->ncpus, LB_REASON_MAX, sizeof(*ret),
			    (__u64 *)ret);
}

int maps_service_counters(const struct maps *maps, struct lb_traffic *ret)
{
	return counters_sum(maps->service_counters_fd, maps->ncpus, maps->max_services,
			    sizeof(*ret), (__u64 *)ret);
}

int maps_backend_counters(const struct maps *maps, struct lb_traffic *ret)
{
	return counters_sum(maps->backend_counters_fd, maps->ncpus, maps->max_backends,
			    sizeof(*ret), (__u64 *)ret);
}

static int counters_clear(int fd, int ncpus, uint32_t id)
{
	struct lb_traffic *zero = calloc(ncpus, sizeof(*zero));
	int err;

	if (!zero)
		return -ENOMEM;
	err = bpf_map_update_elem(fd, &id, zero, BPF_EXIST) ? -errno : 0;
	free(zero);
	return err;
}

int maps_backend_counters_clear(struct maps *maps, uint32_t id)
{
	return counters_clear(maps->backend_counters_fd, maps->ncpus, id);
}

int maps_service_counters_clear(struct maps *maps, uint32_t id)
{
	return counters_clear(maps->service_counters_fd, maps->ncpus, id);
}

struct flow_count {
	const struct maps *maps;
	uint32_t *counts;
};

static void flow_count_add(void *arg, const void *key, const void *value)
{
	const struct flow_count *count = arg;
	const struct lb_flow *flow = value;
	uint32_t id = LB_FLOW_BACKEND_ID(flow->backend);

	(void)key;
	if (id < count->maps->max_backends && flow->state != LB_FLOW_CLOSING &&
	    count->maps->backends[id].generation == LB_FLOW_GENERATION(flow->backend))
		count->counts[id]++;
}

int maps_flow_counts(const struct maps *maps, uint32_t *ret)
{
	struct flow_count count = {maps, ret};
	int err;

	memset(ret, 0, maps->max_backends * sizeof(*ret));
	err = hash_each(maps->flows_fd[0], flow_count_add, &count);
	err = err ?: hash_each(maps->flows_fd[1], flow_count_add, &count);
	err = err ?: hash_each(maps->new_flows_fd[0], flow_count_add, &count);
	return err ?: hash_each(maps->new_flows_fd[1], flow_count_add, &count);
}

void maps_quiesce(void)
{
	/* MEMBARRIER_CMD_GLOBAL is a synchronize_rcu().  Where a seccomp
	 * filter refuses it, a second is far longer than any program runs. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		sleep(1);
}

uint64_t maps_now_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return ((uint64_t)now.tv_sec * 1000000000 + now.tv_nsec) >> LB_TICK_SHIFT;
}
