/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <string.h>

#include "hash.h"
#include "model.h"

int model_service_compare(const struct model_service *a, const struct model_service *b)
{
	int order = strcmp(a->namespace, b->namespace);

	if (!order)
		order = strcmp(a->name, b->name);
	if (!order)
		order = strcmp(a->port_name, b->port_name);
	if (!order)
		order = a->protocol - b->protocol;
	return order ? order : a->family - b->family;
}

struct model_choice model_choose(const struct model_service *service, bool local)
{
	bool all_nodes = true, all_zones = true, node_here = false, zone_here = false;
	struct model_choice choice = {.topology = TOPOLOGY_ALL};

	for (size_t i = 0; i < service->nendpoints; i++) {
		const struct model_endpoint *e = &service->endpoints[i];

		if (!e->ready || (local && !e->local))
			continue; /* rule 44: who isn't ready has no say */
		choice.any_ready = true;
		all_nodes &= e->nodes.says != HINT_NONE;
		all_zones &= e->zones.says != HINT_NONE;
		node_here |= e->nodes.says == HINT_HERE;
		zone_here |= e->zones.says == HINT_HERE;
	}
	/* Rules 41, 42 and 43, in this order. */
	if (!local && all_nodes && node_here)
		choice.topology = TOPOLOGY_NODE;
	else if (!local && all_zones && zone_here)
		choice.topology = TOPOLOGY_ZONE;
	return choice;
}

bool model_any_usable(const struct model_service *service, bool local)
{
	struct model_choice choice = model_choose(service, local);

	choice.topology = TOPOLOGY_ALL;
	for (size_t i = 0; i < service->nendpoints; i++) {
		const struct model_endpoint *e = &service->endpoints[i];

		if (e->weight && (!local || e->local) && model_endpoint_usable(e, &choice))
			return true;
	}
	return false;
}

bool model_no_local(const struct model_service *service, bool internal)
{
	bool any = false;

	if (internal ? !service->internal_local : !service->external_local)
		return false;
	for (size_t i = 0; i < service->nfrontends; i++)
		any |= internal == (service->frontends[i].kind == FRONTEND_CLUSTER_IP);
	return any && !model_any_usable(service, true) && model_any_usable(service, false);
}

static uint64_t digest_bytes(uint64_t h, const void *bytes, size_t n)
{
	const char *p = bytes;
	uint64_t word;

	h = hash_mix(h, n);
	for (; n; p += sizeof(word)) {
		size_t part = n < sizeof(word) ? n : sizeof(word);

		word = 0;
		memcpy(&word, p, part);
		h = hash_mix(h, word);
		n -= part;
	}
	return h;
}

static uint64_t digest_text(uint64_t h, const char *text)
{
	return digest_bytes(h, text, strlen(text));
}

static uint64_t digest_place(uint64_t h, const struct addr *addr, uint16_t port)
{
	h = hash_mix(h, (uint64_t)addr->family << 32 | port);
	return digest_bytes(h, addr->bytes, sizeof(addr->bytes));
}

static uint64_t digest_hints(uint64_t h, const struct model_hints *hints)
{
	h = hash_mix(h, (uint64_t)hints->n << 2 | hints->says);
	for (size_t i = 0; i < hints->n; i++)
		h = digest_text(h, hints->names[i]);
	return h;
}

static uint64_t digest_node(uint64_t h, const struct model_node *node)
{
	h = hash_mix(h, (uint64_t)node->naddresses << 2 | node->known << 1 | node->deleting);
	h = digest_text(h, node->zone);
	for (size_t i = 0; i < node->naddresses; i++)
		h = digest_place(h, &node->addresses[i], 0);
	h = hash_mix(h, node->npod_cidrs);
	for (size_t i = 0; i < node->npod_cidrs; i++)
		h = digest_place(h, &node->pod_cidrs[i].addr, node->pod_cidrs[i].length);
	return h;
}

static uint64_t digest_service(uint64_t h, const struct model_service *service)
{
	h = digest_text(h, service->namespace);
	h = digest_text(h, service->name);
	h = digest_text(h, service->port_name);
	h = digest_text(h, service->created);
	h = hash_mix(h, (uint64_t)service->family << 32 | service->protocol << 16 | service->port);
	h = hash_mix(h, (uint64_t)service->affinity_s << 4 | service->policed << 3 |
				service->round_robin << 2 | service->internal_local << 1 |
				service->external_local);
	h = digest_text(hash_mix(h, (uint64_t)service->health_port << 8 | service->check.kind),
			service->check.path);
	h = hash_mix(h, service->nfrontends);
	for (size_t i = 0; i < service->nfrontends; i++) {
		h = hash_mix(h, service->frontends[i].kind);
		h = digest_place(h, &service->frontends[i].addr, service->frontends[i].port);
	}
	h = hash_mix(h, (uint64_t)service->nsources << 1 | service->sources_have_node);
	for (size_t i = 0; i < service->nsources; i++)
		h = digest_place(h, &service->sources[i].addr, service->sources[i].length);
	h = hash_mix(h, service->nendpoints);
	for (size_t i = 0; i < service->nendpoints; i++) {
		const struct model_endpoint *e = &service->endpoints[i];

		h = digest_place(h, &e->addr, e->port);
		h = hash_mix(h, (uint64_t)e->weight << 4 | e->local << 3 | e->ready << 2 |
					e->serving << 1 | e->terminating);
		h = digest_text(h, e->node);
		h = digest_text(h, e->pod);
		h = digest_text(h, e->uid);
		h = digest_hints(digest_hints(h, &e->zones), &e->nodes);
	}
	return h;
}

uint64_t snapshot_digest(const struct snapshot *snapshot)
{
	uint64_t h = hash_mix(snapshot->nservices, snapshot->nrefusals);

	h = hash_mix(h, snapshot->policed_clients);
	h = digest_node(h, &snapshot->node);
	for (size_t i = 0; i < snapshot->nservices; i++)
		h = digest_service(h, &snapshot->services[i]);
	for (size_t i = 0; i < snapshot->nrefusals; i++) {
		const struct model_refusal *refusal = &snapshot->refusals[i];

		h = digest_text(h, refusal->where);
		h = digest_text(h, refusal->kind);
		h = digest_text(h, refusal->namespace);
		h = digest_text(h, refusal->name);
		h = digest_text(h, refusal->object);
		h = digest_text(h, refusal->reason);
		h = hash_mix(h, refusal->keep);
	}
	return h;
}
