/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * This process as a client of services: real sockets through the cgroup hooks.  Backends are
 * addresses of the namespace's loopback device.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "maps.h"
#include "socket_lb.h"
#include "socket_wake.h"
#include "world.h"

#define BACKENDS 3
#define PORT 5000 /* of the backends */
#define AFFINITY LB_TICKS(10800)

/* Each kind of socket and what it calls the frontends: IPv4, IPv6, IPv4 on IPv6. */
static const struct kind {
	int family;
	const char *web, *node, *loopback, *prefix;
	uint32_t service, first; /* backend */
	bool v6;		 /* the service is */
} kinds[] = {
	{AF_INET, "10.96.0.1", "10.0.0.1", "127.0.0.1", "10.1.0.", 1, 1, false},
	{AF_INET6, "fd96::1", "fd00::1", "::1", "fd01::", 2, 101, true},
	{AF_INET6, "::ffff:10.96.0.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:10.1.0.", 1,
	 1, false},
};
#define KINDS 3

/* ---- the group of this process, with the hooks --------------------------------- */

static char group[PATH_MAX], mount_point[PATH_MAX];
static int group_fd;

static void group_join(const char *dir)
{
	char path[PATH_MAX + 32];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%d", getpid());
	assert_int_equal(fclose(file), 0);
}

static int group_make(void **state)
{
	(void)state;
	if (socket_lb_find_mount("/proc/self/mountinfo", mount_point)) {
		/* Nobody has: for us alone. */
		strcpy(mount_point, "/mnt");
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("cgroup2", mount_point, "cgroup2", 0, NULL))
			return -1;
	}
	snprintf(group, sizeof(group), "%.4000s/guideway-packet-%d", mount_point, getpid());
	if (mkdir(group, 0755))
		return -1;
	group_fd = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return group_fd < 0 ? -1 : 0;
}

static int group_remove(void **state)
{
	(void)state;
	close(group_fd);
	group_join(mount_point);
	return rmdir(group);
}

/* ---- backends ------------------------------------------------------------------- */

struct server {
	int tcp, udp;
};
static struct server servers[2][BACKENDS]; /* by family */

static socklen_t address(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (void *)ret;
	struct sockaddr_in *four = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (strchr(text, ':')) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
		return sizeof(*six);
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(port);
	assert_int_equal(inet_pton(AF_INET, text, &four->sin_addr), 1);
	return sizeof(*four);
}

/* ADDRESS:PORT as inet_ntop() has it. */
static const char *text_of(const struct sockaddr_storage *address_)
{
	static char texts[4][INET6_ADDRSTRLEN + 8];
	static int turn;
	const struct sockaddr_in6 *six = (const void *)address_;
	const struct sockaddr_in *four = (const void *)address_;
	char ip[INET6_ADDRSTRLEN], *text = texts[turn++ % 4];
	bool v6 = address_->ss_family == AF_INET6;

	inet_ntop(address_->ss_family, v6 ? (void *)&six->sin6_addr : (void *)&four->sin_addr, ip,
		  sizeof(ip));
	sprintf(text, "%s:%d", ip, ntohs(v6 ? six->sin6_port : four->sin_port));
	return text;
}

static const char *place(const char *ip, int port)
{
	static char texts[2][INET6_ADDRSTRLEN + 8];
	static int turn;
	char *text = texts[turn++ % 2];

	sprintf(text, "%s:%d", ip, port);
	return text;
}

static int server_open(const char *ip, int type)
{
	struct sockaddr_storage at;
	socklen_t length = address(ip, PORT, &at);
	int fd = socket(at.ss_family, type | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (void *)&at, length), 0);
	assert_true(type == SOCK_DGRAM || !listen(fd, 256));
	return fd;
}

static void servers_open(void)
{
	char command[128], ip[64];

	for (int v6 = 0; v6 < 2; v6++)
		for (int i = 0; i < BACKENDS; i++) {
			snprintf(ip, sizeof(ip), v6 ? "fd01::%x" : "10.1.0.%d", i + 2);
			if (!servers[v6][i].tcp) {
				snprintf(command, sizeof(command), "ip addr add %s/%d dev lo%s", ip,
					 v6 ? 128 : 32, v6 ? " nodad" : "");
				assert_int_equal(system(command), 0);
				servers[v6][i].tcp = server_open(ip, SOCK_STREAM);
				servers[v6][i].udp = server_open(ip, SOCK_DGRAM);
			}
		}
}

/* Which backend has a new connection, from 0; -1 = none. */
static int accepted(bool v6)
{
	for (int i = 0; i < BACKENDS; i++) {
		int fd = accept(servers[v6][i].tcp, NULL, NULL);

		if (fd >= 0) {
			close(fd);
			return i;
		}
	}
	return -1;
}

/* Which backend has a datagram: it answers with its number. */
static int answered(bool v6)
{
	for (int i = 0; i < BACKENDS; i++) {
		struct sockaddr_storage from;
		socklen_t length = sizeof(from);
		char bytes[16];

		if (recvfrom(servers[v6][i].udp, bytes, sizeof(bytes), 0, (void *)&from, &length) <
		    0)
			continue;
		bytes[0] = (char)('0' + i);
		assert_int_equal(sendto(servers[v6][i].udp, bytes, 1, 0, (void *)&from, length), 1);
		return i;
	}
	return -1;
}

/* ---- a world with the hooks ------------------------------------------------------ */

static struct world *socket_world(void)
{
	struct world *world = world_open();
	struct lb_bpf *skel = world->skel;
	struct {
		struct bpf_program *program;
		struct bpf_link **link;
	} hooks[] = {
		{skel->progs.lb_connect4, &skel->links.lb_connect4},
		{skel->progs.lb_connect6, &skel->links.lb_connect6},
		{skel->progs.lb_sendmsg4, &skel->links.lb_sendmsg4},
		{skel->progs.lb_sendmsg6, &skel->links.lb_sendmsg6},
		{skel->progs.lb_recvmsg4, &skel->links.lb_recvmsg4},
		{skel->progs.lb_recvmsg6, &skel->links.lb_recvmsg6},
		{skel->progs.lb_getpeername4, &skel->links.lb_getpeername4},
		{skel->progs.lb_getpeername6, &skel->links.lb_getpeername6},
		{skel->progs.lb_sock_release, &skel->links.lb_sock_release},
	};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		*hooks[i].link = bpf_program__attach_cgroup(hooks[i].program, group_fd);
		assert_non_null(*hooks[i].link);
	}
	servers_open();
	world_web(world, BACKENDS);
	world_service(world, 1, LB_SERVICE_F_ENDPOINTS, 0);
	world_service(world, 2, LB_SERVICE_F_ENDPOINTS, 0);
	group_join(group);
	return world;
}

static void socket_world_close(struct world *world)
{
	struct bpf_link **links = (struct bpf_link **)&world->skel->links;

	group_join(mount_point);
	/* Else the last reference's end detaches them some time later. */
	for (size_t i = 0; i < sizeof(world->skel->links) / sizeof(*links); i++)
		if (links[i])
			assert_int_equal(bpf_link__detach(links[i]), 0);
	world_close(world);
	world_frontend_flags = 0;
}

/* A socket that is connected: its fd, or -errno. */
static int connected(const struct kind *kind, int type, const char *ip, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t length = address(ip, port, &to);
	int err, fd = socket(kind->family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (!connect(fd, (void *)&to, length))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static const char *peer_name(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	assert_int_equal(getpeername(fd, (void *)&peer, &length), 0);
	return text_of(&peer);
}

static int send_to(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t length = address(ip, port, &to);

	return sendto(fd, "?", 1, 0, (void *)&to, length) < 0 ? -errno : 0;
}

/* From whom the next datagram is. */
static const char *heard(int fd)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	char bytes[16];

	if (recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (void *)&from, &length) < 0)
		return strerror(errno);
	return text_of(&from);
}

/* Connect, say who got it, and hang up. */
static int connect_once(const struct kind *kind, const char *ip, uint16_t port)
{
	int fd = connected(kind, SOCK_STREAM, ip, port), got;

	if (fd < 0)
		return fd;
	got = accepted(kind->v6);
	close(fd);
	return got;
}

static void backend_change(struct world *world, uint32_t id, uint8_t flags, uint32_t state)
{
	struct lb_backend backend = world_backend_get(world, id);

	backend.flags = flags;
	backend.state = state;
	world_backend_set(world, id, &backend);
}

/* ---- TCP -------------------------------------------------------------------------- */

static void a_connection_goes_to_a_backend(void **state)
{
	struct world *world = socket_world();

	(void)state;
	for (int k = 0; k < KINDS; k++) {
		const struct kind *kind = &kinds[k];
		uint64_t before[BACKENDS], counts[BACKENDS] = {0};

		for (int i = 0; i < BACKENDS; i++)
			before[i] = world_backend_count(world, kind->first + i).connections;
		for (int i = 0; i < 60; i++) {
			int fd = connected(kind, SOCK_STREAM, kind->web, 80), backend;

			assert_true(fd >= 0);
			assert_string_equal(peer_name(fd), place(kind->web, 80));
			backend = accepted(kind->v6);
			assert_in_range(backend, 0, BACKENDS - 1);
			counts[backend]++;
			close(fd);
		}
		for (int i = 0; i < BACKENDS; i++) {
			/* Spread, and counted. */
			assert_in_range(counts[i], 5, 50);
			assert_int_equal(world_backend_count(world, kind->first + i).connections -
						 before[i],
					 counts[i]);
		}
	}
	socket_world_close(world);
}

static void who_isnt_asked_for_is_left_alone(void **state)
{
	struct world *world = socket_world();

	(void)state;
	for (int k = 0; k < KINDS; k++) {
		char ip[64];
		int fd;

		snprintf(ip, sizeof(ip), "%s2", kinds[k].prefix);
		fd = connected(&kinds[k], SOCK_STREAM, ip, PORT);
		assert_true(fd >= 0);
		assert_string_equal(peer_name(fd), place(ip, PORT));
		assert_int_equal(accepted(kinds[k].v6), 0);
		close(fd);
		/* A service's address, another port: the kernel's. */
		assert_true(connected(&kinds[k], SOCK_STREAM, ip, 81) == -ECONNREFUSED);
		assert_int_equal(world_count(world, LB_REASON_NO_ENDPOINT), 0);
	}
	socket_world_close(world);
}

static void turns_are_taken(void **state)
{
	struct world *world = socket_world();
	const uint32_t slots[] = {1, 2, 3};

	(void)state;
	world_service(world, 1, LB_SERVICE_F_ENDPOINTS | LB_SERVICE_F_ROUND_ROBIN, 0);
	world_ring_slots(world, 1, slots, 3);
	for (int i = 0; i < 9; i++)
		assert_int_equal(connect_once(&kinds[i % 2 ? 2 : 0], kinds[i % 2 ? 2 : 0].web, 80),
				 i % 3);
	socket_world_close(world);
}

static void another_namespace_is_left_alone(void **state)
{
	struct world *world = socket_world();
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other, fd, listener;
	struct sockaddr_storage at;
	socklen_t length;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up && ip addr add 10.96.0.1/32 dev lo"), 0);
	length = address("10.96.0.1", 80, &at);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (void *)&at, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	fd = connected(&kinds[0], SOCK_STREAM, "10.96.0.1", 80);
	assert_true(fd >= 0);
	other = accept(listener, NULL, NULL);
	assert_true(other >= 0);
	assert_int_equal(world_backend_count(world, 1).connections +
				 world_backend_count(world, 2).connections +
				 world_backend_count(world, 3).connections,
			 0);
	close(fd);
	close(other);
	close(listener);
	assert_int_equal(setns(ours, CLONE_NEWNET), 0);
	close(ours);
	socket_world_close(world);
}

/* ---- policies and refusals ----------------------------------------------------------- */

static void nobody_is_told_at_once(void **state)
{
	struct world *world = socket_world();
	uint64_t refused = 0;

	(void)state;
	world_ring_clear(world, 1);
	world_ring_clear(world, 2);
	for (int k = 0; k < KINDS; k++) {
		int fd = socket(kinds[k].family, SOCK_DGRAM, 0);

		assert_int_equal(connected(&kinds[k], SOCK_STREAM, kinds[k].web, 80),
				 -ECONNREFUSED);
		assert_int_equal(connected(&kinds[k], SOCK_DGRAM, kinds[k].web, 80), -ECONNREFUSED);
		assert_int_equal(send_to(fd, kinds[k].web, 80), -ECONNREFUSED);
		refused += 3;
		assert_int_equal(world_count(world, LB_REASON_NO_ENDPOINT), refused);
		close(fd);
	}
	world_service(world, 1, LB_SERVICE_F_ENDPOINTS | LB_SERVICE_F_UNHEALTHY, 0);
	assert_int_equal(connected(&kinds[0], SOCK_STREAM, kinds[0].web, 80), -ECONNREFUSED);
	assert_int_equal(world_count(world, LB_REASON_ALL_UNHEALTHY), 1);
	socket_world_close(world);
}

static void a_local_policy_without_a_local_one_is_unreachable(void **state)
{
	struct world *world = socket_world();

	(void)state;
	world_frontend_flags = LB_FRONTEND_F_LOCAL;
	world_frontend(world, "10.96.0.1", 80, IPPROTO_TCP, 1);
	world_frontend(world, "fd96::1", 80, IPPROTO_TCP, 2);
	for (int k = 0; k < KINDS; k++)
		assert_int_equal(connected(&kinds[k], SOCK_STREAM, kinds[k].web, 80),
				 -EHOSTUNREACH);
	assert_int_equal(world_count(world, LB_REASON_NO_LOCAL_INTERNAL), KINDS);
	/* With one it gets that one. */
	world_ring_local(world, 1, 2, 1);
	world_ring_local(world, 2, 102, 1);
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < 10; i++)
			assert_int_equal(connect_once(&kinds[k], kinds[k].web, 80), 1);
	socket_world_close(world);
}

static void source_ranges_are_asked_for_the_node(void **state)
{
	struct world *world = socket_world();
	struct lb_source4_key range = {.prefix_bits = LB_SOURCE_SERVICE_BITS + 24, .service = 1};
	uint8_t yes = 1;

	(void)state;
	world_frontend_flags = LB_FRONTEND_F_EXTERNAL | LB_FRONTEND_F_SOURCES;
	world_frontend(world, "10.96.0.1", 80, IPPROTO_TCP, 1);
	assert_int_equal(connected(&kinds[0], SOCK_STREAM, "10.96.0.1", 80), -EHOSTUNREACH);
	assert_int_equal(world_count(world, LB_REASON_SOURCE_REFUSED), 1);
	inet_pton(AF_INET, "10.0.0.0", &range.addr); /* the node is 10.0.0.1 */
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(world->skel->maps.sources4), &range, &yes, 0), 0);
	assert_in_range(connect_once(&kinds[0], "10.96.0.1", 80), 0, BACKENDS - 1);
	socket_world_close(world);
}

static void external_addresses_mean_all_to_the_node(void **state)
{
	struct world *world = socket_world();

	(void)state;
	world_frontend_flags = LB_FRONTEND_F_LOCAL | LB_FRONTEND_F_EXTERNAL;
	world_frontend(world, "10.96.0.1", 80, IPPROTO_TCP, 1);
	world_frontend(world, "fd96::1", 80, IPPROTO_TCP, 2);
	for (int k = 0; k < KINDS; k++)
		assert_in_range(connect_once(&kinds[k], kinds[k].web, 80), 0, BACKENDS - 1);
	socket_world_close(world);
}

static void node_ports_are_served_on_loopback(void **state)
{
	struct world *world = socket_world();

	(void)state;
	world_frontend_flags = LB_FRONTEND_F_EXTERNAL;
	world_frontend(world, "10.0.0.1", 31000, IPPROTO_TCP, 1);
	world_frontend(world, "fd00::1", 31000, IPPROTO_TCP, 2);
	world_frontend_flags |= LB_FRONTEND_F_NODEPORT;
	for (int protocol = 0; protocol < 2; protocol++) {
		world_frontend(world, "10.0.0.1", 30080, protocol ? IPPROTO_UDP : IPPROTO_TCP, 1);
		world_frontend(world, "fd00::1", 30080, protocol ? IPPROTO_UDP : IPPROTO_TCP, 2);
	}
	for (int k = 0; k < KINDS; k++) {
		const char *addresses[] = {kinds[k].node, kinds[k].loopback};

		for (int i = 0; i < 2; i++) {
			int fd = connected(&kinds[k], SOCK_STREAM, addresses[i], 30080);

			assert_true(fd >= 0);
			assert_string_equal(peer_name(fd), place(addresses[i], 30080));
			assert_in_range(accepted(kinds[k].v6), 0, BACKENDS - 1);
			close(fd);
			fd = socket(kinds[k].family, SOCK_DGRAM, 0);
			assert_int_equal(send_to(fd, addresses[i], 30080), 0);
			assert_in_range(answered(kinds[k].v6), 0, BACKENDS - 1);
			assert_string_equal(heard(fd), place(addresses[i], 30080));
			close(fd);
		}
		/* An external address that is the node's own is no node port. */
		assert_int_equal(connected(&kinds[k], SOCK_STREAM, kinds[k].loopback, 31000),
				 -ECONNREFUSED);
		assert_in_range(connect_once(&kinds[k], kinds[k].node, 31000), 0, BACKENDS - 1);
	}
	assert_in_range(connect_once(&kinds[0], "127.1.2.3", 30080), 0, BACKENDS - 1);
	socket_world_close(world);
}

/* ---- affinity -------------------------------------------------------------------------- */

static void the_node_is_one_client(void **state)
{
	struct world *world = socket_world();
	struct lb_affinity4_key key = {.service = 1};
	struct lb_affinity affinity;
	int first;

	(void)state;
	world_service(world, 1, LB_SERVICE_F_ENDPOINTS, AFFINITY);
	world_service(world, 2, LB_SERVICE_F_ENDPOINTS, AFFINITY);
	for (int k = 0; k < 2; k++) {
		int fd = socket(kinds[k].family, SOCK_DGRAM, 0);

		first = connect_once(&kinds[k], kinds[k].web, 80);
		assert_in_range(first, 0, BACKENDS - 1);
		for (int i = 0; i < 20; i++)
			assert_int_equal(connect_once(&kinds[k], kinds[k].web, 80), first);
		/* By UDP, too. */
		assert_int_equal(send_to(fd, kinds[k].web, 80), 0);
		assert_int_equal(answered(kinds[k].v6), first);
		close(fd);
	}
	/* And where packets come: the datapath's table has it by the node's address.  */
	inet_pton(AF_INET, "10.0.0.1", &key.client);
	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(world->skel->maps.affinity4), &key, &affinity), 0);
	first = (int)LB_FLOW_BACKEND_ID(affinity.backend) - 1;
	assert_int_equal(connect_once(&kinds[2], kinds[2].web, 80), first);
	/* What it says is followed. */
	affinity.backend = LB_FLOW_BACKEND(1 + (first + 1) % BACKENDS, 1, 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(world->skel->maps.affinity4), &key,
					     &affinity, BPF_EXIST),
			 0);
	assert_int_equal(connect_once(&kinds[0], kinds[0].web, 80), (first + 1) % BACKENDS);
	socket_world_close(world);
}

/* ---- UDP ------------------------------------------------------------------------------- */

static void connected_udp_hears_from_the_frontend(void **state)
{
	struct world *world = socket_world();

	(void)state;
	for (int k = 0; k < KINDS; k++) {
		int fd = connected(&kinds[k], SOCK_DGRAM, kinds[k].web, 80), backend;
		char ip[64];

		assert_true(fd >= 0);
		assert_string_equal(peer_name(fd), place(kinds[k].web, 80));
		for (int i = 0; i < 3; i++) {
			assert_int_equal(send(fd, "?", 1, 0), 1);
			backend = answered(kinds[k].v6);
			assert_in_range(backend, 0, BACKENDS - 1);
			assert_string_equal(heard(fd), place(kinds[k].web, 80));
		}
		/* Connected to that backend by its own name, it has that name. */
		snprintf(ip, sizeof(ip), "%s%d", kinds[k].prefix, backend + 2);
		{
			struct sockaddr_storage to;
			socklen_t length = address(ip, PORT, &to);

			assert_int_equal(connect(fd, (void *)&to, length), 0);
		}
		assert_string_equal(peer_name(fd), place(ip, PORT));
		close(fd);
	}
	socket_world_close(world);
}

static void a_closed_socket_leaves_nothing(void **state)
{
	struct world *world = socket_world();
	int table = bpf_map__fd(world->skel->maps.udp_sockets), fd;
	uint64_t cookie;

	(void)state;
	for (int k = 0; k < KINDS; k++) {
		fd = connected(&kinds[k], SOCK_DGRAM, kinds[k].web, 80);
		assert_true(fd >= 0);
		assert_int_equal(bpf_map_get_next_key(table, NULL, &cookie), 0);
		close(fd);
		assert_int_not_equal(bpf_map_get_next_key(table, NULL, &cookie), 0);
	}
	socket_world_close(world);
}

static void unconnected_udp_keeps_its_backend(void **state)
{
	struct world *world = socket_world();

	(void)state;
	for (int k = 0; k < KINDS; k++) {
		uint32_t seen = 0;
		uint64_t before = 0, after = 0;

		for (int i = 0; i < BACKENDS; i++)
			before += world_backend_count(world, kinds[k].first + i).connections;
		for (int n = 0; n < 30; n++) {
			int fd = socket(kinds[k].family, SOCK_DGRAM, 0), first = -1;

			for (int i = 0; i < 4; i++) {
				int backend;

				assert_int_equal(send_to(fd, kinds[k].web, 80), 0);
				backend = answered(kinds[k].v6);
				if (i == 0)
					first = backend;
				assert_in_range(backend, 0, BACKENDS - 1);
				assert_int_equal(backend, first);
				assert_string_equal(heard(fd), place(kinds[k].web, 80));
			}
			seen |= 1U << first;
			close(fd);
		}
		assert_int_equal(seen, (1U << BACKENDS) - 1);
		for (int i = 0; i < BACKENDS; i++)
			after += world_backend_count(world, kinds[k].first + i).connections;
		assert_int_equal(after - before, 30);
	}
	socket_world_close(world);
}

static void unconnected_udp_leaves_a_backend_that_is_no_good(void **state)
{
	static const struct {
		uint8_t flags;
		uint32_t state;
	} bad[] = {
		{LB_BACKEND_F_CLUSTER | LB_BACKEND_F_DOWN, LB_BACKEND_ACTIVE},
		{LB_BACKEND_F_CLUSTER | LB_BACKEND_F_NOT_SERVING, LB_BACKEND_ACTIVE},
		{0, LB_BACKEND_GONE},
		{0, LB_BACKEND_FREE},
	};

	(void)state;
	for (size_t b = 0; b < sizeof(bad) / sizeof(*bad); b++) {
		struct world *world = socket_world();

		for (int k = 0; k < KINDS; k++) {
			int fd = socket(kinds[k].family, SOCK_DGRAM, 0), first, second;
			uint32_t id, left[BACKENDS - 1], n = 0;

			assert_int_equal(send_to(fd, kinds[k].web, 80), 0);
			first = answered(kinds[k].v6);
			assert_string_equal(heard(fd), place(kinds[k].web, 80));
			id = kinds[k].first + first;
			for (uint32_t i = 0; i < BACKENDS; i++)
				if (kinds[k].first + i != id)
					left[n++] = kinds[k].first + i;
			world_ring_slots(world, kinds[k].service, left, n);
			/* A ring without it doesn't move the flow. */
			assert_int_equal(send_to(fd, kinds[k].web, 80), 0);
			/* The answer comes late: after another backend's. */
			backend_change(world, id, bad[b].flags, bad[b].state);
			assert_int_equal(send_to(fd, kinds[k].web, 80), 0);
			for (second = answered(kinds[k].v6); second == first;)
				second = answered(kinds[k].v6);
			assert_in_range(second, 0, BACKENDS - 1);
			assert_int_not_equal(answered(kinds[k].v6), second);
			assert_string_equal(heard(fd), place(kinds[k].web, 80));
			assert_string_equal(heard(fd), place(kinds[k].web, 80));
			assert_string_equal(heard(fd), strerror(EAGAIN));
			backend_change(world, id, LB_BACKEND_F_CLUSTER, LB_BACKEND_ACTIVE);
			world_ring(world, kinds[k].service, kinds[k].first, BACKENDS);
			close(fd);
		}
		socket_world_close(world);
	}
}

static void unconnected_udp_forgets(void **state)
{
	struct world *world = socket_world();
	int table = bpf_map__fd(world->skel->maps.socket_flows);
	struct lb_socket_flow_key key, *last = NULL;
	struct lb_socket_flow flow;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), first;
	const uint32_t other[] = {1, 2, 3};

	(void)state;
	assert_int_equal(send_to(fd, "10.96.0.1", 80), 0);
	first = answered(false);
	world_ring_slots(world, 1, &other[(first + 1) % BACKENDS], 1);
	for (int silent = 110; silent <= 121; silent += 11) {
		for (last = NULL; !bpf_map_get_next_key(table, last, &key); last = &key) {
			assert_int_equal(bpf_map_lookup_elem(table, &key, &flow), 0);
			if (key.side != LB_SOCKET_TO)
				continue;
			flow.seen_ticks = maps_now_ticks() - LB_TICKS(silent);
			assert_int_equal(bpf_map_update_elem(table, &key, &flow, BPF_EXIST), 0);
		}
		assert_int_equal(send_to(fd, "10.96.0.1", 80), 0);
		assert_int_equal(answered(false), silent < 120 ? first : (first + 1) % BACKENDS);
	}
	close(fd);
	socket_world_close(world);
}

static void a_lost_way_back_is_put_back(void **state)
{
	struct world *world = socket_world();
	int table = bpf_map__fd(world->skel->maps.socket_flows);
	struct lb_socket_flow_key key, back;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), found = 0;

	(void)state;
	assert_int_equal(send_to(fd, "10.96.0.1", 80), 0);
	assert_in_range(answered(false), 0, BACKENDS - 1);
	for (struct lb_socket_flow_key *last = NULL; !bpf_map_get_next_key(table, last, &key);
	     last = &key)
		if (key.side == LB_SOCKET_FROM) {
			back = key;
			found++;
		}
	assert_int_equal(found, 1);
	assert_int_equal(bpf_map_delete_elem(table, &back), 0);
	assert_string_not_equal(heard(fd), "10.96.0.1:80");
	assert_int_equal(send_to(fd, "10.96.0.1", 80), 0);
	assert_in_range(answered(false), 0, BACKENDS - 1);
	assert_string_equal(heard(fd), "10.96.0.1:80");
	close(fd);
	socket_world_close(world);
}

static void one_socket_may_talk_to_several(void **state)
{
	struct world *world = socket_world();
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	(void)state;
	for (int i = 0; i < 5; i++)
		for (int k = 1; k < KINDS; k++) {
			assert_int_equal(send_to(fd, kinds[k].web, 80), 0);
			assert_in_range(answered(kinds[k].v6), 0, BACKENDS - 1);
			assert_string_equal(heard(fd), place(kinds[k].web, 80));
		}
	close(fd);
	socket_world_close(world);
}

/* ---- sockets whose backend is gone ------------------------------------------------------ */

static int wake(struct world *world)
{
	struct maps maps = {.max_backends = WORLD_ENTRIES,
			    .sockets_fd = bpf_map__fd(world->skel->maps.sockets),
			    .udp_sockets_fd = bpf_map__fd(world->skel->maps.udp_sockets)};
	size_t bytes = WORLD_ENTRIES * sizeof(struct lb_backend);
	int n;

	maps.backends = mmap(NULL, bytes, PROT_READ, MAP_SHARED,
			     bpf_map__fd(world->skel->maps.backends), 0);
	assert_true(maps.backends != MAP_FAILED);
	n = socket_wake(&maps, NULL);
	munmap(maps.backends, bytes);
	return n;
}

static int error_of(int fd)
{
	socklen_t length = sizeof(int);
	int err = 0;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length), 0);
	return err;
}

static void a_connected_socket_is_woken(void **state)
{
	struct world *world = socket_world();

	(void)state;
	for (int k = 0; k < KINDS; k++) {
		int udp = connected(&kinds[k], SOCK_DGRAM, kinds[k].web, 80);
		int tcp = connected(&kinds[k], SOCK_STREAM, kinds[k].web, 80);
		char ip[64];
		int direct;
		struct pollfd readable = {.fd = udp, .events = POLLIN};

		assert_true(udp >= 0 && tcp >= 0);
		snprintf(ip, sizeof(ip), "%s2", kinds[k].prefix);
		direct = connected(&kinds[k], SOCK_DGRAM, ip, PORT);
		assert_int_equal(wake(world), 0);
		assert_int_equal(poll(&readable, 1, 0), 0);
		/* UDP goes at once, TCP once its backend is freed, others never. */
		for (uint32_t i = 0; i < BACKENDS; i++)
			backend_change(world, kinds[k].first + i, 0, LB_BACKEND_GONE);
		assert_int_equal(wake(world), 1);
		assert_int_equal(poll(&readable, 1, 0), 1);
		assert_int_equal(error_of(udp), ECONNABORTED);
		assert_int_equal(error_of(tcp), 0);
		for (uint32_t i = 0; i < BACKENDS; i++)
			backend_change(world, kinds[k].first + i, 0, LB_BACKEND_FREE);
		assert_int_equal(wake(world), 1);
		assert_int_equal(error_of(tcp), ECONNABORTED);
		assert_int_equal(send(direct, "?", 1, 0), 1);
		assert_int_equal(answered(kinds[k].v6), 0);
		assert_int_equal(accepted(kinds[k].v6) >= 0, 1);
		for (uint32_t i = 0; i < BACKENDS; i++)
			backend_change(world, kinds[k].first + i, LB_BACKEND_F_CLUSTER,
				       LB_BACKEND_ACTIVE);
		close(udp);
		close(tcp);
		close(direct);
	}
	socket_world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_goes_to_a_backend),
		cmocka_unit_test(who_isnt_asked_for_is_left_alone),
		cmocka_unit_test(turns_are_taken),
		cmocka_unit_test(another_namespace_is_left_alone),
		cmocka_unit_test(nobody_is_told_at_once),
		cmocka_unit_test(a_local_policy_without_a_local_one_is_unreachable),
		cmocka_unit_test(source_ranges_are_asked_for_the_node),
		cmocka_unit_test(external_addresses_mean_all_to_the_node),
		cmocka_unit_test(node_ports_are_served_on_loopback),
		cmocka_unit_test(the_node_is_one_client),
		cmocka_unit_test(connected_udp_hears_from_the_frontend),
		cmocka_unit_test(a_closed_socket_leaves_nothing),
		cmocka_unit_test(unconnected_udp_keeps_its_backend),
		cmocka_unit_test(unconnected_udp_leaves_a_backend_that_is_no_good),
		cmocka_unit_test(unconnected_udp_forgets),
		cmocka_unit_test(a_lost_way_back_is_put_back),
		cmocka_unit_test(one_socket_may_talk_to_several),
		cmocka_unit_test(a_connected_socket_is_woken),
	};

	world_sockets_only = true;
	world_flows = 1024; /* that nobody uses: their maps take time to make */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_make, group_remove);
}
