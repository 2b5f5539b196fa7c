/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/membarrier.h>

#include "maps.h"

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
	{"service_counters", sizeof(struct lb_traffic), offsetof(struct maps, service_counters)},
	{"frontend_filter", LB_FILTER_BYTES, offsetof(struct maps, frontend_filter)},
	{"settings", sizeof(struct lb_settings), offsetof(struct maps, settings)},
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
	memset(maps->sources_fd, -1, sizeof(maps->sources_fd));
	memset(maps->addresses_fd, -1, sizeof(maps->addresses_fd));
	memset(maps->flows_fd, -1, sizeof(maps->flows_fd));
	memset(maps->new_flows_fd, -1, sizeof(maps->new_flows_fd));
	memset(maps->udp_flows_fd, -1, sizeof(maps->udp_flows_fd));
	memset(maps->affinity_fd, -1, sizeof(maps->affinity_fd));
	maps->sockets_fd = maps->udp_sockets_fd = -1;
	maps->reason_counters_fd = maps->backend_counters_fd = maps->table_counters_fd = -1;
	maps->ncpus = libbpf_num_possible_cpus();

	for (size_t i = 0; i < ARRAYS && !err; i++)
		err = array_open(maps, i, bpffs_dir, &entries[i], error);
	err = err
		      ?: hash_open(bpffs_dir, "frontends4", &maps->frontends_fd[0],
				   &maps->max_frontends, error);
	err = err ?: hash_open(bpffs_dir, "frontends6", &maps->frontends_fd[1], NULL, error);
	err = err ?: hash_open(bpffs_dir, "sources4", &maps->sources_fd[0], NULL, error);
	err = err ?: hash_open(bpffs_dir, "sources6", &maps->sources_fd[1], NULL, error);
	err = err ?: hash_open(bpffs_dir, "addresses4", &maps->addresses_fd[0], NULL, error);
	err = err ?: hash_open(bpffs_dir, "addresses6", &maps->addresses_fd[1], NULL, error);
	err = err ?: hash_open(bpffs_dir, "flows4", &maps->flows_fd[0], &maps->max_flows, error);
	err = err ?: hash_open(bpffs_dir, "flows6", &maps->flows_fd[1], NULL, error);
	err = err
		      ?: hash_open(bpffs_dir, "udp_flows4", &maps->udp_flows_fd[0],
				   &maps->max_udp_flows, error);
	err = err ?: hash_open(bpffs_dir, "udp_flows6", &maps->udp_flows_fd[1], NULL, error);
	err = err
		      ?: hash_open(bpffs_dir, "new_flows4", &maps->new_flows_fd[0],
				   &maps->max_new_flows, error);
	err = err ?: hash_open(bpffs_dir, "new_flows6", &maps->new_flows_fd[1], NULL, error);
	err = err ?: hash_open(bpffs_dir, "affinity4", &maps->affinity_fd[0], NULL, error);
	err = err ?: hash_open(bpffs_dir, "affinity6", &maps->affinity_fd[1], NULL, error);
	err = err ?: hash_open(bpffs_dir, "sockets", &maps->sockets_fd, NULL, error);
	err = err ?: hash_open(bpffs_dir, "udp_sockets", &maps->udp_sockets_fd, NULL, error);
	err = err
		      ?: hash_open(bpffs_dir, "reason_counters", &maps->reason_counters_fd, NULL,
				   error);
	err = err
		      ?: hash_open(bpffs_dir, "backend_counters", &maps->backend_counters_fd, NULL,
				   error);
	err = err ?: hash_open(bpffs_dir, "table_counters", &maps->table_counters_fd, NULL, error);
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
		fd_close(maps->sources_fd[family]);
		fd_close(maps->addresses_fd[family]);
		fd_close(maps->flows_fd[family]);
		fd_close(maps->udp_flows_fd[family]);
		fd_close(maps->new_flows_fd[family]);
		fd_close(maps->affinity_fd[family]);
	}
	fd_close(maps->sockets_fd);
	fd_close(maps->udp_sockets_fd);
	fd_close(maps->reason_counters_fd);
	fd_close(maps->backend_counters_fd);
	fd_close(maps->table_counters_fd);
	free(maps->ring_changes);
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
	maps->ring_changes =
		calloc((size_t)maps->max_services * LB_SCOPE_MAX, sizeof(*maps->ring_changes));
	if (!maps->ring_changes)
		return error_set(error, -ENOMEM, "out of memory");
	maps->writable = true;
	return 0;
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

void maps_jiffies(uint32_t *ret_jiffy_ns, uint64_t *ret_start)
{
	struct timespec tick = {0};

	/* The coarse clock's resolution is just that. */
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	*ret_jiffy_ns = tick.tv_nsec ? tick.tv_nsec : 4000000;
	/* It begins five minutes before it wraps at 32 bits (linux/jiffies.h). */
	*ret_start = (uint32_t) - (300 * (1000000000 / *ret_jiffy_ns));
}

int maps_netns_cookie(uint64_t *ret)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	socklen_t length = sizeof(*ret);

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &length))
		err = -errno;
	close(fd);
	return err;
}
