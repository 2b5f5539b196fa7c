/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Frontends: who may have which address and port, and what differs in the maps. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "planner.h"

/* A frontend that a service asks for. */
struct claim {
	struct plan_frontend frontend;
	const struct model_service *service;
	enum {
		CLAIM_NEW,   /* the maps don't hold its key */
		CLAIM_MOVED, /* they do, with another value */
		CLAIM_DONE,  /* they hold just this, or the service asks for it twice */
		CLAIM_LOST,  /* another service has the key */
	} state;
	uint32_t lost_to; /* id of the frozen service whose key it is, 0 = none */
};

struct claims {
	struct claim *claims; /* by service */
	size_t n, nlost;
	struct plan_index index; /* who has a key, of those who ask */
};

static uint64_t key_hash(const struct plan_frontend *frontend)
{
	uint64_t words[2], h;

	memcpy(words, frontend->addr.bytes, sizeof(words));
	h = hash_mix(frontend->protocol << 16 | frontend->port, words[0]);
	return hash_mix(h, words[1]);
}

int plan_frontend_compare(const struct plan_frontend *a, const struct plan_frontend *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	if (!order)
		order = ntohs(a->port) - ntohs(b->port);
	if (!order)
		order = a->protocol - b->protocol;
	return order;
}

static int frontend_qsort_compare(const void *a, const void *b)
{
	return plan_frontend_compare(a, b);
}

/* Who comes first gets a disputed key: the older Service, then NS/NAME; the
 * same on every node, whoever came first there. */
static bool claim_precedes(const struct claim *a, const struct claim *b)
{
	const struct model_service *x = a->service, *y = b->service;
	int order;

	if (!*x->created != !*y->created)
		return *x->created;
	order = strcmp(x->created, y->created);
	if (!order)
		order = strcmp(x->namespace, y->namespace);
	if (!order)
		order = strcmp(x->name, y->name);
	return order ? order < 0 : x < y;
}

/* Where in the index the claim of a key is, or has to go: true = it is there. */
static bool claims_find(const struct claims *claims, const struct plan_frontend *key, size_t *ret,
			uint32_t *ret_number)
{
	*ret = plan_index_first(&claims->index, key_hash(key));
	for (; plan_index_get(&claims->index, *ret, ret_number);
	     *ret = plan_index_next(&claims->index, *ret))
		if (!plan_frontend_compare(&claims->claims[*ret_number].frontend, key))
			return true;
	return false;
}

static void claims_add(struct claims *claims, uint32_t id, const struct model_service *service,
		       const struct model_frontend *wanted)
{
	struct claim *claim = &claims->claims[claims->n], *other;
	uint32_t number;
	size_t at;

	*claim = (struct claim){
		.frontend.addr = wanted->addr,
		.frontend.port = htons(wanted->port),
		.frontend.protocol = service->protocol,
		.frontend.value.service = id,
		.service = service,
	};
	if (wanted->kind != FRONTEND_CLUSTER_IP)
		claim->frontend.value.flags |= LB_FRONTEND_F_EXTERNAL;
	if (wanted->kind == FRONTEND_CLUSTER_IP ? service->internal_local : service->external_local)
		claim->frontend.value.flags |= LB_FRONTEND_F_LOCAL;
	if (wanted->kind == FRONTEND_LOAD_BALANCER && planner_has_sources(service))
		claim->frontend.value.flags |= LB_FRONTEND_F_SOURCES;
	if (wanted->kind == FRONTEND_NODE_PORT)
		claim->frontend.value.flags |= LB_FRONTEND_F_NODEPORT;
	if (!claims_find(claims, &claim->frontend, &at, &number)) {
		plan_index_set(&claims->index, at, claims->n++);
		return;
	}
	other = &claims->claims[number];
	if (other->service == service) {
		claim->state = CLAIM_DONE;
	} else if (claim_precedes(claim, other)) {
		plan_index_set(&claims->index, at, claims->n);
		other->state = CLAIM_LOST;
		claims->nlost++;
	} else {
		claim->state = CLAIM_LOST;
		claims->nlost++;
	}
	claims->n++;
}

static int claims_collect(const struct planner *p, struct claims *claims)
{
	size_t n = 0;

	for (size_t i = 0; i < p->wanted->nservices; i++)
		n += p->wanted->services[i].nfrontends;
	claims->claims = reallocarray(NULL, n + 1, sizeof(*claims->claims));
	if (!claims->claims || !plan_index_init(&claims->index, n))
		return -ENOMEM;
	for (uint32_t id = 1; id < p->applied->max_services; id++) {
		const struct planned_service *service = &p->services[id];

		if (!service->model)
			continue;
		for (size_t i = 0; i < service->model->nfrontends; i++)
			claims_add(claims, id, service->model, &service->model->frontends[i]);
	}
	return 0;
}

static int frontend_push(struct plan_frontend **frontends, size_t *n,
			 const struct plan_frontend *frontend)
{
	if (!planner_grow(frontends, *n, sizeof(**frontends)))
		return -ENOMEM;
	(*frontends)[(*n)++] = *frontend;
	return 0;
}

/* What the maps hold against what is asked for; deletes what nobody asks for
 * in this form.  ret_left: room for more, IPv4 and IPv6. */
static int claims_compare(struct planner *p, struct claims *claims, uint32_t ret_left[2])
{
	const struct applied *applied = p->applied;
	struct plan *plan = p->plan;

	ret_left[0] = ret_left[1] = applied->max_frontends;
	for (size_t i = 0; i < applied->nfrontends; i++) {
		const struct plan_frontend *frontend = &applied->frontends[i];
		uint32_t owner = frontend->value.service, number;
		struct claim *claim = NULL;
		bool stays = owner < applied->max_services && p->services[owner].frozen;
		size_t at;

		if (claims_find(claims, frontend, &at, &number))
			claim = &claims->claims[number];
		if (claim && stays) {
			claim->state = CLAIM_LOST;
			claim->lost_to = owner;
			claims->nlost++;
		} else if (claim && !memcmp(&claim->frontend.value, &frontend->value,
					    sizeof(frontend->value))) {
			claim->state = CLAIM_DONE;
			stays = true;
		} else if (claim) {
			claim->state = CLAIM_MOVED;
		}
		/* A moved one needs as much room as it leaves. */
		if (stays || claim)
			ret_left[frontend->addr.family == 6]--;
		if (!stays &&
		    frontend_push(&plan->frontends_deleted, &plan->nfrontends_deleted, frontend))
			return -ENOMEM;
	}
	return 0;
}

/* The new ones and the moved ones; those that don't fit are told. */
static int claims_insert(struct planner *p, const struct claims *claims, uint32_t left[2])
{
	struct plan *plan = p->plan;
	size_t nleft_out = 0;

	for (size_t i = 0; i < claims->n; i++) {
		const struct claim *claim = &claims->claims[i];
		uint32_t *room = &left[claim->frontend.addr.family == 6];
		bool last = i + 1 == claims->n || claims->claims[i + 1].service != claim->service;
		bool fits = claim->state == CLAIM_MOVED;

		if (claim->state == CLAIM_NEW && *room) {
			fits = true;
			--*room;
		} else if (claim->state == CLAIM_NEW) {
			nleft_out++;
		}
		if (fits && frontend_push(&plan->frontends, &plan->nfrontends, &claim->frontend))
			return -ENOMEM;
		if (!last || !nleft_out)
			continue;
		if (planner_leave_out(p, claim->service,
				      "%zu of %zu addresses left out: all %u frontends are taken",
				      nleft_out, claim->service->nfrontends,
				      p->applied->max_frontends))
			return -ENOMEM;
		nleft_out = 0;
	}
	return 0;
}

static int claim_refuse(struct planner *p, const struct claims *claims, const struct claim *claim)
{
	const struct claim *winner;
	const char *namespace, *name, *port_name;
	char text[ADDR_PORT_STRLEN];
	uint32_t number;
	size_t at;

	claims_find(claims, &claim->frontend, &at, &number);
	winner = &claims->claims[number];
	if (winner->lost_to) {
		const struct lb_service_name *frozen = &p->applied->service_names[winner->lost_to];

		namespace = frozen->namespace;
		name = frozen->name;
		port_name = frozen->port_name;
	} else {
		namespace = winner->service->namespace;
		name = winner->service->name;
		port_name = winner->service->port_name;
	}
	return planner_leave_out(
		p, claim->service, "%s/%s belongs to %s/%s%s%s, %s",
		addr_port_format(&claim->frontend.addr, ntohs(claim->frontend.port), text),
		claim->frontend.protocol == IPPROTO_TCP ? "TCP" : "UDP", namespace, name,
		*port_name ? ":" : "", port_name,
		winner->lost_to ? "which stays as it is while its object is refused"
				: "which comes first");
}

int planner_plan_frontends(struct planner *p)
{
	struct plan *plan = p->plan;
	struct claims claims = {};
	uint32_t left[2];
	int err;

	err = claims_collect(p, &claims);
	if (!err)
		err = claims_compare(p, &claims, left);
	if (!err)
		err = claims_insert(p, &claims, left);
	for (size_t i = 0; i < claims.n && claims.nlost && !err; i++)
		if (claims.claims[i].state == CLAIM_LOST)
			err = claim_refuse(p, &claims, &claims.claims[i]);
	if (plan->nfrontends)
		qsort(plan->frontends, plan->nfrontends, sizeof(*plan->frontends),
		      frontend_qsort_compare);
	if (plan->nfrontends_deleted)
		qsort(plan->frontends_deleted, plan->nfrontends_deleted,
		      sizeof(*plan->frontends_deleted), frontend_qsort_compare);
	plan_index_free(&claims.index);
	free(claims.claims);
	return err;
}
