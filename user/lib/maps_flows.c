/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Flows, and clients' affinity: what the datapath remembers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "maps.h"
#include "maps_hash.h"

static const uint32_t tcp_timeouts[] = LB_TCP_TIMEOUTS, udp_timeouts[] = LB_UDP_TIMEOUTS;

struct walk {
	const struct maps *maps;
	uint32_t now;
	void (*flow)(void *arg, const struct maps_flow *flow);
	void (*affinity)(void *arg, const struct maps_affinity *affinity);
	void *arg;
	uint64_t entries; /* seen, of flows that are over too */
};

/* The datapath's clock may be a tick ahead. */
static uint32_t age_of(const struct walk *walk, uint32_t ticks)
{
	return (int32_t)(walk->now - ticks) > 0 ? walk->now - ticks : 0;
}

/* A flow that is over is remembered until its place is needed: it isn't shown. */
static void flow_seen(struct walk *walk, const struct lb_flow *value, struct maps_flow *flow)
{
	const uint32_t *timeouts = flow->protocol == IPPROTO_TCP ? tcp_timeouts : udp_timeouts;

	walk->entries++;
	if (value->state > LB_FLOW_CLOSING || !maps_flow_backend(walk->maps, value->backend))
		return;
	flow->age_ticks = age_of(walk, value->seen_ticks);
	if (flow->age_ticks > timeouts[value->state])
		return;
	flow->backend = LB_FLOW_BACKEND_ID(value->backend);
	flow->state = value->state;
	flow->stack = value->flags & LB_FLOW_F_STACK;
	flow->snat_port = ntohs(value->snat_port);
	walk->flow(walk->arg, flow);
}

static void flow_seen4(void *arg, const void *key, const void *value)
{
	const struct lb_tuple4 *k = key;
	const uint32_t client[4] = {k->src}, frontend[4] = {k->dst};
	struct maps_flow flow = {.protocol = k->protocol,
				 .client_port = ntohs(k->sport),
				 .frontend_port = ntohs(k->dport)};

	addr_from_words(4, client, &flow.client);
	addr_from_words(4, frontend, &flow.frontend);
	flow_seen(arg, value, &flow);
}

static void flow_seen6(void *arg, const void *key, const void *value)
{
	const struct lb_tuple6 *k = key;
	struct maps_flow flow = {.protocol = k->protocol,
				 .client_port = ntohs(k->sport),
				 .frontend_port = ntohs(k->dport)};

	addr_from_words(6, k->src, &flow.client);
	addr_from_words(6, k->dst, &flow.frontend);
	flow_seen(arg, value, &flow);
}

static int table_fd(const struct maps *maps, enum lb_flow_table table, bool v6)
{
	const int *const tables[] = {
		[LB_FLOW_TABLE_TCP] = maps->flows_fd,
		[LB_FLOW_TABLE_UDP] = maps->udp_flows_fd,
		[LB_FLOW_TABLE_NEW] = maps->new_flows_fd,
	};

	return tables[table][v6];
}

static int table_walk(struct walk *walk, enum lb_flow_table table, bool v6)
{
	return maps_hash_each(table_fd(walk->maps, table, v6), v6 ? flow_seen6 : flow_seen4, walk);
}

int maps_flows_each(const struct maps *maps, void (*each)(void *arg, const struct maps_flow *flow),
		    void *arg)
{
	struct walk walk = {
		.maps = maps, .now = (uint32_t)maps_now_ticks(), .flow = each, .arg = arg};
	int err = 0;

	for (int table = 0; table < LB_FLOW_TABLE_MAX && !err; table++) {
		err = table_walk(&walk, table, false);
		err = err ?: table_walk(&walk, table, true);
	}
	return err;
}

static void flow_count(void *arg, const struct maps_flow *flow)
{
	uint32_t *counts = arg;

	if (flow->state != LB_FLOW_CLOSING)
		counts[flow->backend]++;
}

int maps_flow_counts(const struct maps *maps, uint32_t *ret)
{
	memset(ret, 0, maps->max_backends * sizeof(*ret));
	return maps_flows_each(maps, flow_count, ret);
}

static void live_count(void *arg, const struct maps_flow *flow)
{
	uint64_t *live = arg;

	*live += flow->state != LB_FLOW_CLOSING;
}

int maps_flow_tables(const struct maps *maps, struct maps_flow_table ret[LB_FLOW_TABLE_MAX * 2])
{
	struct lb_table_counter counters[LB_FLOW_TABLE_MAX * 2];
	/* First: what comes in later makes less of the evictions, not more. */
	int err = maps_table_counters(maps, counters);

	for (int i = 0; i < LB_FLOW_TABLE_MAX * 2 && !err; i++) {
		struct walk walk = {.maps = maps,
				    .now = (uint32_t)maps_now_ticks(),
				    .flow = live_count,
				    .arg = &ret[i].live};
		uint64_t known;

		ret[i].live = 0;
		err = table_walk(&walk, i / 2, i % 2);
		known = counters[i].deleted + maps->settings->flows_deleted[i] + walk.entries;
		ret[i].evicted = counters[i].stored > known ? counters[i].stored - known : 0;
	}
	return err;
}

/* Of one of several tables it is in: 1, 0 or -errno. */
static int entry_delete(const struct maps *maps, enum lb_flow_table table, bool v6, const void *key)
{
	if (bpf_map_delete_elem(table_fd(maps, table, v6), key))
		return errno == ENOENT ? 0 : -errno;
	if (maps->writable)
		maps->settings->flows_deleted[LB_FLOW_TABLE_INDEX(table, v6)]++;
	return 1;
}

int maps_flow_delete(const struct maps *maps, const struct maps_flow *flow)
{
	bool v6 = flow->client.family == 6;
	const enum lb_flow_table big =
		flow->protocol == IPPROTO_TCP ? LB_FLOW_TABLE_TCP : LB_FLOW_TABLE_UDP;
	struct lb_tuple6 key6 = {.sport = htons(flow->client_port),
				 .dport = htons(flow->frontend_port),
				 .protocol = flow->protocol};
	struct lb_tuple4 key4 = {
		.sport = key6.sport, .dport = key6.dport, .protocol = flow->protocol};
	const void *key = v6 ? (const void *)&key6 : &key4;
	uint32_t words[4];
	int old, new;

	addr_to_words(&flow->client, words);
	memcpy(key6.src, words, sizeof(key6.src));
	key4.src = words[0];
	addr_to_words(&flow->frontend, words);
	memcpy(key6.dst, words, sizeof(key6.dst));
	key4.dst = words[0];
	old = entry_delete(maps, big, v6, key);
	new = entry_delete(maps, LB_FLOW_TABLE_NEW, v6, key);
	if (old < 0 || new < 0)
		return old < 0 ? old : new;
	return old || new ? 0 : -ENOENT;
}

/* ---- affinity ---------------------------------------------------------------------- */

static void affinity_seen(const struct walk *walk, const struct lb_affinity *value,
			  struct maps_affinity *affinity)
{
	const struct lb_backend *backend = maps_flow_backend(walk->maps, value->backend);
	uint32_t timeout;

	if (!backend || affinity->service >= walk->maps->max_services ||
	    backend->service != affinity->service)
		return;
	timeout = walk->maps->services[affinity->service].affinity_ticks;
	affinity->age_ticks = age_of(walk, value->used_ticks);
	if (affinity->age_ticks > timeout)
		return;
	affinity->left_ticks = timeout - affinity->age_ticks;
	affinity->backend = LB_FLOW_BACKEND_ID(value->backend);
	walk->affinity(walk->arg, affinity);
}

static void affinity_seen4(void *arg, const void *key, const void *value)
{
	const struct lb_affinity4_key *k = key;
	const uint32_t client[4] = {k->client};
	struct maps_affinity affinity = {.service = k->service};

	addr_from_words(4, client, &affinity.client);
	affinity_seen(arg, value, &affinity);
}

static void affinity_seen6(void *arg, const void *key, const void *value)
{
	const struct lb_affinity6_key *k = key;
	struct maps_affinity affinity = {.service = k->service};

	addr_from_words(6, k->client, &affinity.client);
	affinity_seen(arg, value, &affinity);
}

int maps_affinity_each(const struct maps *maps,
		       void (*each)(void *arg, const struct maps_affinity *affinity), void *arg)
{
	struct walk walk = {
		.maps = maps, .now = (uint32_t)maps_now_ticks(), .affinity = each, .arg = arg};
	int err = maps_hash_each(maps->affinity_fd[0], affinity_seen4, &walk);

	return err ?: maps_hash_each(maps->affinity_fd[1], affinity_seen6, &walk);
}

/* ---- sockets ----------------------------------------------------------------------- */

struct socket_walk {
	void (*each)(void *arg, uint64_t cookie, const struct lb_socket *socket);
	void *arg;
};

static void socket_seen(void *arg, const void *key, const void *value)
{
	const struct socket_walk *walk = arg;

	walk->each(walk->arg, *(const uint64_t *)key, value);
}

int maps_udp_sockets_each(const struct maps *maps,
			  void (*each)(void *arg, uint64_t cookie, const struct lb_socket *socket),
			  void *arg)
{
	struct socket_walk walk = {each, arg};

	return maps_hash_each(maps->udp_sockets_fd, socket_seen, &walk);
}
