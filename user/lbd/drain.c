/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "drain.h"

#include <errno.h>

static bool backend_is_meant(const struct lb_backend *backend, const struct addr *addr,
			     uint16_t port)
{
	return backend->state == LB_BACKEND_ACTIVE && maps_backend_is_at(backend, addr, port);
}

static __u8 flags_after(__u8 flags, uint16_t port, bool drain)
{
	if (!drain)
		return flags & ~LB_BACKEND_DRAINS;
	return flags | (port ? LB_BACKEND_F_DRAIN : LB_BACKEND_F_DRAIN_ADDR);
}

int drain_set(struct maps *maps, const struct addr *addr, uint16_t port, bool drain, size_t *ret_n,
	      struct error *error)
{
	char text[ADDR_PORT_STRLEN];
	size_t n = 0;
	int err;

	addr_place_format(addr, port, text);
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		const struct lb_backend *backend = &maps->backends[id];

		if (!backend_is_meant(backend, addr, port))
			continue;
		if (!drain && port && backend->flags & LB_BACKEND_F_DRAIN_ADDR)
			return error_set(error, -EEXIST,
					 "%s is drained with all of its address: undrain that",
					 text);
		n++;
	}
	if (!n)
		return error_set(error, -ENOENT, "%s: no backend has this address", text);
	err = maps_make_writable(maps, error);
	if (err)
		return err;
	for (uint32_t id = 1; id < maps->max_backends; id++) {
		struct lb_backend *backend = &maps->backends[id];

		if (backend_is_meant(backend, addr, port))
			__atomic_store_n(&backend->flags, flags_after(backend->flags, port, drain),
					 __ATOMIC_RELEASE);
	}
	*ret_n = n;
	return 0;
}
