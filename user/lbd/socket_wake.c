/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "socket_wake.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "netlink_sockets.h"

struct cookies {
	const struct maps *maps;
	uint64_t *list;
	size_t n, room;
	int err;
};

/* Would a client that sends UDP again get another one? */
static bool backend_is_bad(const struct lb_backend *backend)
{
	return backend->state != LB_BACKEND_ACTIVE ||
	       backend->flags & (LB_BACKEND_F_DOWN | LB_BACKEND_F_NOT_SERVING);
}

static void udp_look(void *arg, uint64_t cookie, const struct lb_socket *socket)
{
	struct cookies *stuck = arg;
	const struct lb_backend *backend = maps_flow_backend(stuck->maps, socket->backend);

	if (backend && !backend_is_bad(backend))
		return;
	if (stuck->n == stuck->room) {
		size_t room = stuck->room ? 2 * stuck->room : 64;
		void *more = reallocarray(stuck->list, room, sizeof(*stuck->list));

		if (!more) {
			stuck->err = -ENOMEM;
			return;
		}
		stuck->list = more;
		stuck->room = room;
	}
	stuck->list[stuck->n++] = cookie;
}

static int cookie_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool udp_dies(void *arg, uint64_t cookie, const void *value)
{
	const struct cookies *stuck = arg;

	(void)value;
	return bsearch(&cookie, stuck->list, stuck->n, sizeof(cookie), cookie_compare);
}

static int udp_wake(const struct maps *maps)
{
	struct cookies stuck = {.maps = maps};
	int n = maps_udp_sockets_each(maps, udp_look, &stuck);

	if (!n)
		n = stuck.err;
	if (!n && stuck.n) {
		qsort(stuck.list, stuck.n, sizeof(*stuck.list), cookie_compare);
		n = netlink_sockets_end(IPPROTO_UDP, -1, 0, udp_dies, &stuck);
	}
	free(stuck.list);
	return n;
}

/* A backend that is gone keeps its TCP until its linger is over. */
static bool tcp_dies(void *arg, uint64_t cookie, const void *value)
{
	struct lb_socket socket;

	(void)cookie;
	if (!value)
		return false;
	memcpy(&socket, value, sizeof(socket)); /* netlink aligns it to 4 */
	return socket.backend && !maps_flow_backend(arg, socket.backend);
}

int socket_wake(const struct maps *maps, const struct plan *plan)
{
	bool bad = !plan, freed = !plan;
	int udp = 0, tcp = 0;

	for (size_t i = 0; plan && i < plan->nbackends; i++) {
		bad = bad || backend_is_bad(&plan->backends[i].value);
		freed = freed || plan->backends[i].value.state == LB_BACKEND_FREE;
	}
	if (bad)
		udp = udp_wake(maps);
	if (freed)
		tcp = netlink_sockets_end(IPPROTO_TCP, maps->sockets_fd, sizeof(struct lb_socket),
					  tcp_dies, (void *)maps);
	if (udp < 0 || tcp < 0)
		return udp < 0 ? udp : tcp;
	return udp + tcp;
}
