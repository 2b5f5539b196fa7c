/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * meaning: prints what the maps and links pinned by lbd mean, without the ids,
 * lines and indexes that happen to carry it: two lbds that want the same have
 * the same meaning, whatever each has been through.
 *
 *   meaning DIR          DIR is lbd's --bpffs; devices are this namespace's
 *
 * The output, to be sorted before it is compared:
 *   service NAME PROTO/FAMILY port P slots N content HASH
 *   share NAME ADDR:PORT slots N
 *   backend NAME ADDR:PORT state S weight W via DEVICE MAC
 *   frontend ADDR:PORT/PROTO flags F service NAME
 *   source NAME RANGE
 *   device NAME mtu M mac MAC
 *   link KIND DEVICE program NAME
 *   programs NAME N      how many different ones of a name the links have
 *   wrong WHAT           what must never be
 * It exits 1 where anything is wrong.  A lingering backend (state 2) isn't
 * wrong.  It has system calls of its own, so that lbd's reading isn't what
 * judges lbd's writing.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lb.h"

#define PATH_BYTES 512
#define TEXT_BYTES 320
#define PROGRAMS_MAX 32

struct array {
	const char *name;
	size_t value_bytes;
	const void *values;
	uint32_t entries;
};

static const char *dir;
static bool any_wrong;

static struct array services = {"services", sizeof(struct lb_service), NULL, 0};
static struct array names = {"service_names", sizeof(struct lb_service_name), NULL, 0};
static struct array rings = {"rings", sizeof(uint64_t), NULL, 0};
static struct array arena = {"arena", sizeof(struct lb_arena_line), NULL, 0};
static struct array backends = {"backends", sizeof(struct lb_backend), NULL, 0};
static struct array devices = {"devices", sizeof(struct lb_device), NULL, 0};

static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void wrong(const char *format, ...)
{
	va_list args;

	fputs("wrong ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	any_wrong = true;
}

static void die(const char *what)
{
	fprintf(stderr, "meaning: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- bpf(2) -------------------------------------------------------------- */

static long bpf_call(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int pin_open(const char *kind, const char *name)
{
	char path[PATH_BYTES];
	union bpf_attr attr;
	int fd;

	snprintf(path, sizeof(path), "%s/v%d/%s/%s", dir, LB_ABI, kind, name);
	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uintptr_t)path;
	fd = bpf_call(BPF_OBJ_GET, &attr);
	if (fd < 0)
		die(path);
	return fd;
}

static void object_info(int fd, void *ret, uint32_t bytes)
{
	union bpf_attr attr;

	memset(ret, 0, bytes);
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = fd;
	attr.info.info_len = bytes;
	attr.info.info = (uintptr_t)ret;
	if (bpf_call(BPF_OBJ_GET_INFO_BY_FD, &attr))
		die("BPF_OBJ_GET_INFO_BY_FD");
}

static void array_open(struct array *array)
{
	int fd = pin_open("maps", array->name);
	struct bpf_map_info info;

	object_info(fd, &info, sizeof(info));
	if (info.value_size != array->value_bytes) {
		errno = EINVAL;
		die(array->name);
	}
	array->entries = info.max_entries;
	array->values =
		mmap(NULL, array->value_bytes * info.max_entries, PROT_READ, MAP_SHARED, fd, 0);
	if (array->values == MAP_FAILED)
		die(array->name);
	close(fd);
}

/* ---- names --------------------------------------------------------------- */

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "TCP" : protocol == IPPROTO_UDP ? "UDP" : "?";
}

static const char *endpoint_name(bool v6, const void *addr, __be16 port, char ret[TEXT_BYTES])
{
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(v6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	snprintf(ret, TEXT_BYTES, v6 ? "[%s]:%u" : "%s:%u", text, ntohs(port));
	return ret;
}

static const struct lb_backend *backend_at(uint32_t id)
{
	return id && id < backends.entries ? (const struct lb_backend *)backends.values + id : NULL;
}

static const char *backend_name(const struct lb_backend *backend, char ret[TEXT_BYTES])
{
	return endpoint_name(backend->family == 6, backend->addr, backend->port, ret);
}

static bool service_is_used(uint32_t id)
{
	const struct lb_service *service = services.values;

	return id && id < services.entries && service[id].flags & LB_SERVICE_F_USED;
}

static const char *service_name(uint32_t id, char ret[TEXT_BYTES])
{
	const struct lb_service *service = (const struct lb_service *)services.values + id;
	const struct lb_service_name *name = (const struct lb_service_name *)names.values + id;

	if (service_is_used(id))
		snprintf(ret, TEXT_BYTES, "%.64s/%.64s:%.64s/%s%u", name->namespace, name->name,
			 name->port_name, protocol_name(service->protocol), service->family);
	else
		snprintf(ret, TEXT_BYTES, "service-%u", id);
	return ret;
}

static const char *device_name(uint32_t ifindex, char ret[IF_NAMESIZE])
{
	if (!ifindex || !if_indextoname(ifindex, ret))
		strcpy(ret, "none");
	return ret;
}

/* ---- rings --------------------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3; /* FNV-1a */
	while (*text++);
	return hash;
}

/* What each backend has of a ring of a used service.  Returns a hash of the
 * backends' names in the order of slots. */
static uint64_t ring_print_shares(uint32_t id, uint64_t ring, const char *service)
{
	const uint32_t *slots =
		((const struct lb_arena_line *)arena.values)[LB_RING_LINE(ring)].slots;
	uint32_t *shares = calloc(backends.entries, sizeof(*shares));
	uint64_t content = 0xcbf29ce484222325;
	uint32_t nwrong = 0, first = 0;
	char text[TEXT_BYTES];

	if (!shares)
		die("shares");
	for (uint32_t slot = 0; slot < LB_RING_SLOTS(ring); slot++) {
		const struct lb_backend *backend = backend_at(slots[slot]);

		if (!backend || backend->state != LB_BACKEND_ACTIVE || backend->service != id) {
			first = nwrong++ ? first : slots[slot];
			continue;
		}
		shares[slots[slot]]++;
		content = hash_text(content, backend_name(backend, text));
	}
	if (nwrong)
		wrong("%s: %u slots name backends that aren't its own or not active, as %u",
		      service, nwrong, first);
	for (uint32_t i = 1; i < backends.entries; i++)
		if (shares[i])
			printf("share %s %s slots %u\n", service, backend_name(backend_at(i), text),
			       shares[i]);
	free(shares);
	return content;
}

static bool ring_fits(uint64_t ring)
{
	uint64_t lines = (LB_RING_SLOTS(ring) + LB_ARENA_LINE_SLOTS - 1) / LB_ARENA_LINE_SLOTS;

	return LB_RING_LINE(ring) + lines <= arena.entries;
}

static bool rings_overlap(uint64_t a, uint64_t b)
{
	uint64_t end_a = LB_RING_LINE(a) + (LB_RING_SLOTS(a) - 1) / LB_ARENA_LINE_SLOTS;
	uint64_t end_b = LB_RING_LINE(b) + (LB_RING_SLOTS(b) - 1) / LB_ARENA_LINE_SLOTS;

	return LB_RING_LINE(a) <= end_b && LB_RING_LINE(b) <= end_a;
}

static void rings_check(void)
{
	const uint64_t *ring = rings.values;

	for (uint32_t i = 0; i < rings.entries; i++) {
		if (!ring[i])
			continue;
		if (!service_is_used(i / LB_SCOPE_MAX))
			wrong("ring of no service at %u", i);
		if (!ring_fits(ring[i]))
			wrong("ring %u: line %u, %u slots: outside of the arena", i,
			      LB_RING_LINE(ring[i]), LB_RING_SLOTS(ring[i]));
		for (uint32_t j = 0; j < i; j++)
			if (ring[j] && rings_overlap(ring[i], ring[j]))
				wrong("rings %u and %u share lines of the arena", j, i);
	}
}

static void services_print(void)
{
	const struct lb_service *service = services.values;
	const uint64_t *ring = rings.values;
	char text[TEXT_BYTES];

	for (uint32_t id = 0; id < services.entries; id++) {
		uint64_t cluster = ring[LB_RING_INDEX(id, LB_SCOPE_CLUSTER)], content = 0;

		if (!service_is_used(id))
			continue;
		service_name(id, text);
		if (cluster && ring_fits(cluster))
			content = ring_print_shares(id, cluster, text);
		if (!cluster != !service[id].ring_digest[LB_SCOPE_CLUSTER])
			wrong("%s: its digest isn't of its ring", text);
		printf("service %s port %u slots %u content %016llx\n", text,
		       ntohs(service[id].port), LB_RING_SLOTS(cluster),
		       (unsigned long long)content);
	}
}

/* ---- backends, devices, frontends ----------------------------------------- */

static void mac_print(uint64_t mac48)
{
	for (int shift = 40; shift >= 0; shift -= 8)
		printf("%c%02x", shift == 40 ? ' ' : ':', (unsigned int)(mac48 >> shift & 0xff));
}

static void backends_print(void)
{
	char service[TEXT_BYTES], text[TEXT_BYTES], device[IF_NAMESIZE];

	for (uint32_t id = 1; id < backends.entries; id++) {
		const struct lb_backend *backend = backend_at(id);
		uint32_t index = LB_NEXT_HOP_DEVICE(backend->next_hop);
		const struct lb_device *entry = (const struct lb_device *)devices.values + index;

		if (backend->state == LB_BACKEND_FREE)
			continue;
		service_name(backend->service, service);
		if (!service_is_used(backend->service))
			wrong("backend %s of no service", backend_name(backend, text));
		if (index >= devices.entries || (index && !entry->ifindex))
			wrong("backend %s via device %u, which isn't one",
			      backend_name(backend, text), index);
		printf("backend %s %s state %u weight %u via %s", service,
		       backend_name(backend, text), backend->state, backend->weight,
		       device_name(index && index < devices.entries ? entry->ifindex : 0, device));
		mac_print(LB_NEXT_HOP_MAC(backend->next_hop));
		putchar('\n');
	}
}

static void devices_print(void)
{
	const struct lb_device *device = devices.values;
	char name[IF_NAMESIZE];
	uint64_t mac48;

	for (uint32_t i = 0; i < devices.entries; i++) {
		if (!device[i].ifindex)
			continue;
		mac48 = 0;
		for (int b = 0; b < 6; b++)
			mac48 = mac48 << 8 | device[i].mac[b];
		printf("device %s mtu %u mac", device_name(device[i].ifindex, name), device[i].mtu);
		mac_print(mac48);
		putchar('\n');
	}
}

static void frontend_print(bool v6, const void *frontend_key, const void *frontend)
{
	const struct lb_frontend6_key *key = frontend_key;
	const struct lb_frontend4_key *key4 = frontend_key;
	const struct lb_frontend *value = frontend;
	char service[TEXT_BYTES], text[TEXT_BYTES];

	endpoint_name(v6, key->addr, v6 ? key->port : key4->port, text);
	if (!service_is_used(value->service))
		wrong("frontend %s leads to no service", text);
	printf("frontend %s/%s flags %u service %s\n", text,
	       protocol_name(v6 ? key->protocol : key4->protocol), value->flags,
	       service_name(value->service, service));
}

static void source_print(bool v6, const void *source_key, const void *value)
{
	const struct lb_source6_key *key = source_key; /* the other begins alike */
	char service[TEXT_BYTES], text[INET6_ADDRSTRLEN];

	(void)value;
	inet_ntop(v6 ? AF_INET6 : AF_INET, key->addr, text, sizeof(text));
	if (!service_is_used(key->service))
		wrong("source range %s is no service's", text);
	printf("source %s %s/%u\n", service_name(key->service, service), text,
	       key->prefix_bits - LB_SOURCE_SERVICE_BITS);
}

/* Call print() for each entry; keys of 24 bytes at most, values of 8. */
static void map_print(const char *map, bool v6,
		      void (*print)(bool v6, const void *key, const void *value))
{
	uint32_t key[6] = {0}, next[6] = {0}, value[2];
	int fd = pin_open("maps", map);
	union bpf_attr attr;
	bool first = true;

	for (;;) {
		memset(&attr, 0, sizeof(attr));
		attr.map_fd = fd;
		attr.key = first ? 0 : (uintptr_t)key;
		attr.next_key = (uintptr_t)next;
		if (bpf_call(BPF_MAP_GET_NEXT_KEY, &attr))
			break;
		memcpy(key, next, sizeof(key));
		first = false;
		memset(&attr, 0, sizeof(attr));
		attr.map_fd = fd;
		attr.key = (uintptr_t)key;
		attr.value = (uintptr_t)value;
		if (!bpf_call(BPF_MAP_LOOKUP_ELEM, &attr))
			print(v6, key, value);
	}
	close(fd);
}

/* ---- links ---------------------------------------------------------------- */

struct program {
	uint32_t id;
	char name[BPF_OBJ_NAME_LEN];
};

static struct program program_find(uint32_t id)
{
	struct program ret = {.id = id, .name = "none"};
	struct bpf_prog_info info;
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	fd = bpf_call(BPF_PROG_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return ret;
	object_info(fd, &info, sizeof(info));
	memcpy(ret.name, info.name, sizeof(ret.name));
	close(fd);
	return ret;
}

/* A pin is a link to a device, HOOK-IFINDEX, or to a cgroup, or a program where a
 * filter is no link (clsact-IFINDEX). */
static struct program link_print(const char *pin)
{
	struct program program;
	struct bpf_link_info info;
	char name[IF_NAMESIZE];
	const char *dash = strrchr(pin, '-');
	uint32_t ifindex = dash ? strtoul(dash + 1, NULL, 10) : 0;
	int fd = pin_open("links", pin);

	if (!strncmp(pin, "clsact", 6)) {
		struct bpf_prog_info prog_info;

		object_info(fd, &prog_info, sizeof(prog_info));
		program.id = prog_info.id;
		memcpy(program.name, prog_info.name, sizeof(program.name));
	} else {
		object_info(fd, &info, sizeof(info));
		program = program_find(info.prog_id);
		if (info.type == BPF_LINK_TYPE_CGROUP) {
			close(fd);
			printf("link %s program %s\n", pin, program.name);
			return program;
		}
		if (info.xdp.ifindex != ifindex) /* tcx has it at the same place */
			wrong("link %s is on device %u", pin, info.xdp.ifindex);
	}
	close(fd);
	printf("link %.*s %s program %s\n", dash ? (int)(dash - pin) : 0, pin,
	       device_name(ifindex, name), program.name);
	return program;
}

static void links_print(void)
{
	struct program found[PROGRAMS_MAX];
	char path[PATH_BYTES];
	struct dirent *entry;
	size_t n = 0, i;
	DIR *links;

	snprintf(path, sizeof(path), "%s/v%d/links", dir, LB_ABI);
	links = opendir(path);
	if (!links)
		die(path);
	while ((entry = readdir(links))) {
		struct program program;

		if (entry->d_name[0] == '.')
			continue;
		program = link_print(entry->d_name);
		for (i = 0; i < n && found[i].id != program.id; i++)
			;
		if (i == n && n < PROGRAMS_MAX)
			found[n++] = program;
	}
	closedir(links);
	for (i = 0; i < n; i++) {
		size_t same = 0;

		for (size_t j = 0; j < n; j++)
			same += !strcmp(found[i].name, found[j].name);
		printf("programs %s %zu\n", found[i].name, same);
	}
}

int main(int argc, char **argv)
{
	struct array *arrays[] = {&services, &names, &rings, &arena, &backends, &devices};

	if (argc != 2) {
		fputs("usage: meaning DIR\n", stderr);
		return 2;
	}
	dir = argv[1];
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		array_open(arrays[i]);
	rings_check();
	services_print();
	backends_print();
	devices_print();
	map_print("frontends4", false, frontend_print);
	map_print("frontends6", true, frontend_print);
	map_print("sources4", false, source_print);
	map_print("sources6", true, source_print);
	links_print();
	return any_wrong;
}
