/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which pods are drained.  The maps are where that is kept. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "planner.h"

struct drain {
	struct addr addr;
	uint16_t port; /* host order; 0 = all of the address */
	uint32_t uid;  /* another pod at the address isn't meant */
};

static int drain_compare(const void *a, const void *b)
{
	const struct drain *x = a, *y = b;
	int order = addr_compare(&x->addr, &y->addr);

	if (!order)
		order = x->port - y->port;
	return order ? order : (x->uid > y->uid) - (x->uid < y->uid);
}

uint32_t plan_uid(const char *uid)
{
	uint32_t hash = *uid ? (uint32_t)planner_hash_text(0, uid, strlen(uid)) : 0;

	return *uid && !hash ? 1 : hash;
}

static int drain_add(struct planner *p, const struct lb_backend *backend, uint16_t port)
{
	struct drain *drain;

	if (!planner_grow(&p->drains, p->ndrains, sizeof(*p->drains)))
		return -ENOMEM;
	drain = &p->drains[p->ndrains++];
	*drain = (struct drain){.port = port, .uid = backend->uid};
	addr_from_words(backend->family, backend->addr, &drain->addr);
	return 0;
}

int planner_find_drains(struct planner *p)
{
	int err = 0;

	for (uint32_t id = 1; id < p->applied->max_backends && !err; id++) {
		const struct lb_backend *backend = &p->applied->backends[id];

		if (backend->state != LB_BACKEND_ACTIVE)
			continue;
		if (backend->flags & LB_BACKEND_F_DRAIN)
			err = drain_add(p, backend, ntohs(backend->port));
		if (!err && backend->flags & LB_BACKEND_F_DRAIN_ADDR)
			err = drain_add(p, backend, 0);
	}
	if (p->ndrains)
		qsort(p->drains, p->ndrains, sizeof(*p->drains), drain_compare);
	return err;
}

uint8_t planner_drained(const struct planner *p, const struct model_endpoint *endpoint)
{
	struct drain key = {.addr = endpoint->addr, .port = endpoint->port};
	uint8_t flags = 0;

	if (!p->ndrains)
		return 0;
	key.uid = plan_uid(endpoint->uid);
	if (bsearch(&key, p->drains, p->ndrains, sizeof(*p->drains), drain_compare))
		flags |= LB_BACKEND_F_DRAIN;
	key.port = 0;
	if (bsearch(&key, p->drains, p->ndrains, sizeof(*p->drains), drain_compare))
		flags |= LB_BACKEND_F_DRAIN_ADDR;
	return flags;
}
