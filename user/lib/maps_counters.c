/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counters: per CPU as the datapath has them, summed up for people. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "maps.h"

/* Elements read by one bpf(2) call. */
#define COUNTERS_BATCH 1024

/* Read entries 0..n-1 of a per-CPU array of __u64 fields and sum them up. */
static int counters_sum(int fd, int ncpus, uint32_t n, size_t value_bytes, __u64 *ret)
{
	size_t fields = value_bytes / sizeof(__u64);
	__u32 position = 0, done = 0, count;
	__u32 keys[COUNTERS_BATCH];
	__u64 *values;
	int err = 0;

	values = calloc(COUNTERS_BATCH, value_bytes * ncpus);
	if (!values)
		return -ENOMEM;
	memset(ret, 0, n * value_bytes);
	while (done < n && !err) {
		count = n - done < COUNTERS_BATCH ? n - done : COUNTERS_BATCH;
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

static void traffic_add(struct lb_traffic *sum, const struct lb_traffic *part)
{
	sum->connections += part->connections;
	sum->packets_in += part->packets_in;
	sum->bytes_in += part->bytes_in;
	sum->packets_out += part->packets_out;
	sum->bytes_out += part->bytes_out;
}

/* Of all backends, by id; *ret is malloc'ed. */
static int backend_counters(const struct maps *maps, struct lb_traffic **ret)
{
	int err;

	*ret = calloc(maps->max_backends, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	err = counters_sum(maps->backend_counters_fd, maps->ncpus, maps->max_backends,
			   sizeof(**ret), (__u64 *)*ret);
	if (!err)
		return 0;
	free(*ret);
	*ret = NULL;
	return err;
}

int maps_reason_counters(const struct maps *maps, struct lb_reason_counter ret[LB_REASON_MAX])
{
	struct lb_traffic *backends, sum = {0};
	int err = counters_sum(maps->reason_counters_fd, maps->ncpus, LB_REASON_MAX, sizeof(*ret),
			       (__u64 *)ret);

	err = err ?: backend_counters(maps, &backends);
	if (err)
		return err;
	for (uint32_t id = 0; id < maps->max_backends; id++)
		traffic_add(&sum, &backends[id]);
	for (uint32_t id = 0; id < maps->max_services; id++)
		traffic_add(&sum, &maps->service_counters[id]);
	ret[LB_REASON_FORWARDED] = (struct lb_reason_counter){sum.packets_in, sum.bytes_in};
	ret[LB_REASON_REPLIED] = (struct lb_reason_counter){sum.packets_out, sum.bytes_out};
	free(backends);
	return 0;
}

int maps_service_counters(const struct maps *maps, struct lb_traffic *ret)
{
	struct lb_traffic *backends;
	int err = backend_counters(maps, &backends);

	if (err)
		return err;
	memcpy(ret, maps->service_counters, maps->max_services * sizeof(*ret));
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		const struct lb_backend *backend = &maps->backends[id];

		if (backend->state != LB_BACKEND_FREE && backend->service < maps->max_services)
			traffic_add(&ret[backend->service], &backends[id]);
	}
	free(backends);
	return 0;
}

int maps_table_counters(const struct maps *maps, struct lb_table_counter ret[LB_FLOW_TABLE_MAX * 2])
{
	return counters_sum(maps->table_counters_fd, maps->ncpus, LB_FLOW_TABLE_MAX * 2,
			    sizeof(*ret), (__u64 *)ret);
}

int maps_backend_counters(const struct maps *maps, struct lb_traffic *ret)
{
	int err = counters_sum(maps->backend_counters_fd, maps->ncpus, maps->max_backends,
			       sizeof(*ret), (__u64 *)ret);

	if (!err) /* of nobody that could be shown */
		memset(ret, 0, sizeof(*ret));
	return err;
}

int maps_backend_counters_fold(struct maps *maps, uint32_t id, uint32_t service)
{
	struct lb_traffic *values = calloc(maps->ncpus, sizeof(*values));
	struct lb_traffic sum = {0};
	int err = 0;

	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(maps->backend_counters_fd, &id, values))
		err = -errno;
	for (int cpu = 0; cpu < maps->ncpus; cpu++)
		traffic_add(&sum, &values[cpu]);
	if (!err && memcmp(&sum, &(struct lb_traffic){0}, sizeof(sum))) {
		memset(values, 0, maps->ncpus * sizeof(*values));
		if (bpf_map_update_elem(maps->backend_counters_fd, &id, values, BPF_EXIST))
			err = -errno;
		else
			traffic_add(
				&maps->service_counters[service < maps->max_services ? service : 0],
				&sum);
	}
	free(values);
	return err;
}

void maps_service_counters_fold(struct maps *maps, uint32_t id)
{
	struct lb_traffic *left = &maps->service_counters[id];

	if (!memcmp(left, &(struct lb_traffic){0}, sizeof(*left)))
		return;
	traffic_add(&maps->service_counters[0], left);
	memset(left, 0, sizeof(*left));
}
