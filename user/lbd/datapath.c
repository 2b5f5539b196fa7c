/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "datapath.h"
#include "datapath_dispatcher.h"
#include "datapath_sockets.h"
#include "lb.skel.h"
#include "log.h"
#include "pins.h"

/* Of a flow with both entries; what the default size reckons with. */
#define DATAPATH_FLOW_BYTES 256
#define DATAPATH_MIN_FLOWS 65536

struct datapath {
	char *dir;
	int lock;
	struct lb_bpf *skel;
	struct maps *maps;
	bool tcx; /* else clsact */
	enum datapath_attach attach;
	struct datapath_dispatcher dispatcher; /* for DATAPATH_ATTACH_DISPATCHER */
	bool fresh;
	struct attach_point socket_points[DATAPATH_SOCKET_HOOKS];
	size_t nsocket_points; /* all or 0 */
};

const char *hook_name(enum hook hook)
{
	static const char *const names[] = {
		[HOOK_AUTO] = "auto",
		[HOOK_XDP] = "xdp",
		[HOOK_XDP_GENERIC] = "xdp-generic",
		[HOOK_TC] = "tc",
	};

	return names[hook];
}

/* libbpf's messages, one level down: what it calls a warning is part of an
 * error that is told in our words. */
static int datapath_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[16384]; /* the verifier's log comes in one piece */
	char *rest = text, *line;

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_debug("%s", line);
	return 0;
}

/* 0.25 % of the memory for flows of each family. */
static uint32_t default_flows(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	uint64_t flows = bytes / 400 / DATAPATH_FLOW_BYTES;

	if (flows < DATAPATH_MIN_FLOWS)
		return DATAPATH_MIN_FLOWS;
	return flows > 1U << 26 ? 1U << 26 : flows;
}

struct map_size {
	struct bpf_map *map;
	const char *option;  /* that sets it, NULL = fixed */
	uint32_t wanted;     /* entries, 0 = not asked for */
	uint32_t unset;	     /* entries where it isn't asked for */
	uint32_t per_option; /* the option's unit: it counts so many per entry */
};

/* A map that is a section of data has its name behind this; bpffs has no dots. */
#define MAP_SECTION ".data."

/* Belongs to the programs, not to what they keep. */
static bool map_is_private(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	return (bpf_map__is_internal(map) && strncmp(name, MAP_SECTION, strlen(MAP_SECTION))) ||
	       strstr(name, "_scratch") || strstr(name, "_cache");
}

static const char *map_pin_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	return strncmp(name, MAP_SECTION, strlen(MAP_SECTION)) ? name : name + strlen(MAP_SECTION);
}

/* Take a pinned map over, or set the size of the one that will be made. */
static int map_prepare(const char *dir, const struct map_size *size, struct error *error)
{
	const char *name = map_pin_name(size->map);
	struct bpf_map_info info = {0};
	__u32 length = sizeof(info);
	char path[PINS_PATH_MAX];
	int fd, err = 0;

	if (size->option)
		bpf_map__set_max_entries(size->map, size->wanted ?: size->unset);
	pins_path(path, dir, "maps", name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? 0
				       : error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		err = error_set(error, -errno, "%s: %s", path, strerror(errno));
	else if (info.key_size != bpf_map__key_size(size->map) ||
		 info.value_size != bpf_map__value_size(size->map))
		err = error_set(error, -EEXIST,
				"--bpffs %s: the pinned map %s has another layout; start anew with "
				"lbd --detach",
				dir, name);
	else if (size->wanted && info.max_entries != size->wanted)
		err = error_set(error, -EEXIST,
				"%s: the pinned map %s is made for %u; keep to that, or start "
				"anew with lbd --detach",
				size->option, name, info.max_entries * size->per_option);
	if (!err && bpf_map__reuse_fd(size->map, fd))
		err = error_set(error, -errno, "%s: can't adopt it: %s", path, strerror(errno));
	close(fd);
	return err;
}

static int maps_prepare(const struct datapath_config *config, struct lb_bpf *skel,
			struct error *error)
{
	uint32_t lines = (config->max_slots + LB_ARENA_LINE_SLOTS - 1) / LB_ARENA_LINE_SLOTS;
	uint32_t flows = default_flows();
	uint32_t new_flows = flows / 4 > DATAPATH_MIN_FLOWS ? flows / 4 : DATAPATH_MIN_FLOWS;
	uint32_t udp_flows = new_flows;
	struct map_size sizes[] = {
		{skel->maps.frontends4, "--max-frontends", config->max_frontends,
		 DATAPATH_MAX_FRONTENDS, 1},
		{skel->maps.frontends6, "--max-frontends", config->max_frontends,
		 DATAPATH_MAX_FRONTENDS, 1},
		{skel->maps.addresses4, "--max-frontends", config->max_frontends,
		 DATAPATH_MAX_FRONTENDS, 1},
		{skel->maps.addresses6, "--max-frontends", config->max_frontends,
		 DATAPATH_MAX_FRONTENDS, 1},
		{skel->maps.services, "--max-services", config->max_services, DATAPATH_MAX_SERVICES,
		 1},
		{skel->maps.service_names, "--max-services", config->max_services,
		 DATAPATH_MAX_SERVICES, 1},
		{skel->maps.service_counters, "--max-services", config->max_services,
		 DATAPATH_MAX_SERVICES, 1},
		{skel->maps.rings, "--max-services", config->max_services * LB_SCOPE_MAX,
		 DATAPATH_MAX_SERVICES * LB_SCOPE_MAX, 1},
		{skel->maps.arena, "--max-slots", lines, DATAPATH_MAX_SLOTS / LB_ARENA_LINE_SLOTS,
		 LB_ARENA_LINE_SLOTS},
		{skel->maps.backends, "--max-backends", config->max_backends, DATAPATH_MAX_BACKENDS,
		 1},
		{skel->maps.backend_counters, "--max-backends", config->max_backends,
		 DATAPATH_MAX_BACKENDS, 1},
		{skel->maps.flows4, "--max-flows", config->max_flows, flows, 1},
		{skel->maps.flows6, "--max-flows", config->max_flows, flows, 1},
		{skel->maps.replies4, "--max-flows", config->max_flows, flows, 1},
		{skel->maps.replies6, "--max-flows", config->max_flows, flows, 1},
		{skel->maps.udp_flows4, "--max-udp-flows", config->max_udp_flows, udp_flows, 1},
		{skel->maps.udp_flows6, "--max-udp-flows", config->max_udp_flows, udp_flows, 1},
		{skel->maps.udp_replies4, "--max-udp-flows", config->max_udp_flows, udp_flows, 1},
		{skel->maps.udp_replies6, "--max-udp-flows", config->max_udp_flows, udp_flows, 1},
		{skel->maps.new_flows4, "--max-new-flows", config->max_new_flows, new_flows, 1},
		{skel->maps.new_flows6, "--max-new-flows", config->max_new_flows, new_flows, 1},
		{skel->maps.new_replies4, "--max-new-flows", config->max_new_flows, new_flows, 1},
		{skel->maps.new_replies6, "--max-new-flows", config->max_new_flows, new_flows, 1},
		{skel->maps.affinity4, "--max-affinity", config->max_affinity, DATAPATH_MIN_FLOWS,
		 1},
		{skel->maps.affinity6, "--max-affinity", config->max_affinity, DATAPATH_MIN_FLOWS,
		 1},
		{skel->maps.cursors, "--max-services", config->max_services, DATAPATH_MAX_SERVICES,
		 1},
		{skel->maps.sources4, NULL, 0, 0, 1},
		{skel->maps.sources6, NULL, 0, 0, 1},
		{skel->maps.devices, NULL, 0, 0, 1},
		{skel->maps.reason_counters, NULL, 0, 0, 1},
		{skel->maps.table_counters, NULL, 0, 0, 1},
		{skel->maps.reject_tokens, NULL, 0, 0, 1},
		{skel->maps.fragments, NULL, 0, 0, 1},
		{skel->maps.sockets, NULL, 0, 0, 1},
		{skel->maps.socket_flows, NULL, 0, 0, 1},
		{skel->maps.udp_sockets, NULL, 0, 0, 1},
		{skel->maps.data_frontend_filter, NULL, 0, 0, 1},
		{skel->maps.data_settings, NULL, 0, 0, 1},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !err; i++)
		err = map_prepare(config->bpffs_dir, &sizes[i], error);
	return err;
}

/* Pin the maps that are new. */
static int maps_pin(const char *dir, struct lb_bpf *skel, struct error *error)
{
	char path[PINS_PATH_MAX];
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		if (map_is_private(map))
			continue;
		pins_path(path, dir, "maps", map_pin_name(map));
		if (access(path, F_OK) && bpf_obj_pin(bpf_map__fd(map), path))
			return error_set(error, -errno, "can't pin %s: %s", path, strerror(errno));
	}
	return 0;
}

static void set_clock(struct lb_bpf *skel)
{
	uint32_t jiffy_ns;
	uint64_t start;

	maps_jiffies(&jiffy_ns, &start);
	skel->rodata->config_jiffy_ns = jiffy_ns;
	skel->rodata->config_jiffies_start = start;
}

int datapath_open(const struct datapath_config *config, struct datapath **ret, struct error *error)
{
	struct datapath *datapath = calloc(1, sizeof(*datapath));
	char path[PINS_PATH_MAX];
	int err;

	if (!datapath)
		return error_set(error, -ENOMEM, "out of memory");
	libbpf_set_print(datapath_print);
	datapath->dir = strdup(config->bpffs_dir);
	datapath->attach = config->attach;
	datapath->lock = pins_create(config->bpffs_dir, error);
	if (datapath->lock < 0) {
		err = datapath->lock;
		goto out;
	}
	pins_path(path, config->bpffs_dir, "maps", "services");
	datapath->fresh = access(path, F_OK) != 0;
	datapath->skel = lb_bpf__open();
	if (!datapath->skel) {
		err = error_set(error, -errno, "can't open the BPF object: %s", strerror(errno));
		goto out;
	}
	datapath->skel->rodata->config_hash_seed = config->hash_seed;
	set_clock(datapath->skel);
	if (config->snat_port_first) {
		datapath->skel->rodata->config_snat_port_first = config->snat_port_first;
		datapath->skel->rodata->config_snat_ports =
			config->snat_port_last - config->snat_port_first + 1;
	}
	err = maps_prepare(config, datapath->skel, error);
	err = err ?: datapath_sockets_prepare(datapath->skel, config->sockets, error);
	if (err)
		goto out;
	err = lb_bpf__load(datapath->skel);
	if (err) {
		error_set(error, err, "can't load the BPF programs: %s%s", strerror(-err),
			  err == -EPERM ? " (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed)"
					: "; --log-level debug shows the kernel's words");
		goto out;
	}
	if (config->tc != DATAPATH_TC_CLSACT &&
	    attach_has_tcx(bpf_program__fd(datapath->skel->progs.lb_tc_pod)))
		datapath->tcx = true;
	else if (config->tc == DATAPATH_TC_TCX) {
		err = error_set(error, -ENOTSUP,
				"--tc tcx: the kernel has no tcx (it came with 6.6)");
		goto out;
	}
	if (config->attach == DATAPATH_ATTACH_DISPATCHER)
		err = datapath_dispatcher_open(datapath->skel, &datapath->dispatcher, error);
	err = err ?: maps_pin(config->bpffs_dir, datapath->skel, error);
	err = err ?: maps_open(config->bpffs_dir, &datapath->maps, error);
out:
	if (err) {
		struct error ignored;

		/* Nothing stays of a first start that failed. */
		if (datapath->fresh)
			pins_remove(config->bpffs_dir, &ignored);
		datapath_close(datapath);
		return err;
	}
	*ret = datapath;
	return 0;
}

bool datapath_is_fresh(const struct datapath *datapath)
{
	return datapath->fresh;
}

struct maps *datapath_maps(struct datapath *datapath)
{
	return datapath->maps;
}

static struct attach_point xdp_point(const struct datapath *datapath,
				     const struct datapath_device *device)
{
	const struct lb_bpf *skel = datapath->skel;
	bool native = device->used == HOOK_XDP;

	if (datapath->attach == DATAPATH_ATTACH_DISPATCHER)
		return (struct attach_point){
			.hook = native ? ATTACH_DISPATCHER_NATIVE : ATTACH_DISPATCHER_GENERIC,
			.ifindex = device->ifindex,
			.device = device->name,
			.extension = datapath->dispatcher.programs[native],
			.map_fd = bpf_map__fd(skel->maps.services),
		};
	return (struct attach_point){
		.hook = native ? ATTACH_XDP_NATIVE : ATTACH_XDP_GENERIC,
		.ifindex = device->ifindex,
		.device = device->name,
		.program_fd =
			bpf_program__fd(native ? skel->progs.lb_xdp_native : skel->progs.lb_xdp),
	};
}

/* The XDP program of an uplink, in the hook that is wanted or one it falls back
 * to; with HOOK_TC there is none. */
static int attach_xdp(struct datapath *datapath, struct datapath_device *device,
		      struct attach_point *points, size_t *npoints, struct error *error)
{
	static const char *const ways[] = {
		[DATAPATH_ATTACH_LINK] = "link",
		[DATAPATH_ATTACH_DISPATCHER] = "dispatcher",
	};
	int err = 0;

	device->refusal[0] = '\0';
	for (device->used = device->hook; device->used != HOOK_TC; device->used++) {
		struct attach_point point = xdp_point(datapath, device);

		err = attach_ensure(datapath->dir, &point, error);
		if (!err) {
			device->attach = ways[datapath->attach];
			points[(*npoints)++] = point;
			return 0;
		}
		snprintf(device->refusal, sizeof(device->refusal), "%.*s",
			 (int)sizeof(device->refusal) - 1, error->text);
		if (!device->may_fall_back)
			return err;
	}
	return 0;
}

int datapath_attach(struct datapath *datapath, struct datapath_device *devices, size_t n,
		    struct error *error)
{
	struct attach_point *points = calloc(3 * n + DATAPATH_SOCKET_HOOKS, sizeof(*points));
	int uplink_fd = bpf_program__fd(datapath->skel->progs.lb_tc_uplink);
	int pod_fd = bpf_program__fd(datapath->skel->progs.lb_tc_pod);
	int egress_fd = bpf_program__fd(datapath->skel->progs.lb_tc_egress);
	enum attach_hook in = datapath->tcx ? ATTACH_TCX_INGRESS : ATTACH_CLSACT_INGRESS;
	enum attach_hook out = datapath->tcx ? ATTACH_TCX_EGRESS : ATTACH_CLSACT_EGRESS;
	size_t npoints = 0;
	int err = 0;

	if (!points)
		return error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		struct datapath_device *device = &devices[i];
		bool uplink = device->role == DEVICE_UPLINK;
		/* The way back before the way in, and TC before XDP: it does
		 * alone what XDP does. */
		const struct attach_point tc[] = {
			{.hook = out,
			 .ifindex = device->ifindex,
			 .device = device->name,
			 .program_fd = egress_fd},
			{.hook = in,
			 .ifindex = device->ifindex,
			 .device = device->name,
			 .program_fd = uplink ? uplink_fd : pod_fd},
		};
		struct error one;
		int failed = 0;

		for (int t = 0; t < 2 && !failed; t++) {
			failed = attach_ensure(datapath->dir, &tc[t], &one);
			points[npoints++] = tc[t];
		}
		device->used = HOOK_TC;
		device->attach = datapath->tcx ? "tcx" : "clsact";
		if (uplink && !failed)
			failed = attach_xdp(datapath, device, points, &npoints, &one);
		if (failed && !err) {
			err = failed;
			*error = one;
		}
	}
	for (size_t i = 0; i < datapath->nsocket_points; i++)
		points[npoints++] = datapath->socket_points[i];
	if (attach_prune(datapath->dir, points, npoints) && !err)
		err = error_set(error, -EIO, "--bpffs %s: a link can't be removed", datapath->dir);
	free(points);
	return err;
}

int datapath_attach_sockets(struct datapath *datapath, const char *cgroup, int cgroup_fd,
			    struct error *error)
{
	int err = datapath_sockets_points(datapath->skel, cgroup, cgroup_fd,
					  datapath->socket_points, error);

	for (size_t i = 0; i < DATAPATH_SOCKET_HOOKS && !err; i++)
		err = attach_ensure(datapath->dir, &datapath->socket_points[i], error);
	datapath->nsocket_points = err ? 0 : DATAPATH_SOCKET_HOOKS;
	return err;
}

void datapath_close(struct datapath *datapath)
{
	if (!datapath)
		return;
	maps_close(datapath->maps);
	datapath_dispatcher_close(&datapath->dispatcher);
	lb_bpf__destroy(datapath->skel);
	if (datapath->lock >= 0)
		close(datapath->lock);
	free(datapath->dir);
	free(datapath);
}

static int remove_pin(void *arg, const char *path, const char *name)
{
	(void)arg;
	(void)name;
	return unlink(path) ? -errno : 0;
}

/* Links before maps: a program never runs on maps that are half gone. */
static int others_remove(const char *dir)
{
	int links = attach_prune_others(dir, NULL, 0);
	int err = links < 0 ? links : pins_each_other(dir, "maps", remove_pin, NULL);

	err = err ?: pins_remove_others(dir);
	return err ?: links;
}

static int others_complain(const struct datapath *datapath, int err, struct error *error)
{
	return error_set(error, err, "--bpffs %s: can't remove another layout's pins: %s",
			 datapath->dir, strerror(-err));
}

int datapath_take_over(struct datapath *datapath, const int *uplinks, size_t n, struct error *error)
{
	int links = attach_prune_others(datapath->dir, uplinks, n);

	return links < 0 ? others_complain(datapath, links, error) : links;
}

int datapath_forget_others(struct datapath *datapath, struct error *error)
{
	int links = others_remove(datapath->dir);

	return links < 0 ? others_complain(datapath, links, error) : links;
}

int datapath_detach(const char *bpffs_dir, struct error *error)
{
	int err, lock = pins_lock(bpffs_dir, error);

	if (lock == -ENOENT)
		return 0;
	if (lock < 0)
		return lock;
	err = attach_prune(bpffs_dir, NULL, 0);
	err = err ?: pins_each(bpffs_dir, "maps", remove_pin, NULL);
	if (!err) {
		int links = others_remove(bpffs_dir);

		err = links < 0 ? links : 0;
	}
	if (err)
		error_set(error, err, "--bpffs %s: can't remove the pins: %s", bpffs_dir,
			  strerror(-err));
	else
		err = pins_remove(bpffs_dir, error);
	close(lock);
	return err;
}
