/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Frontends, their addresses, their filter, and source ranges. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "hash.h"
#include "maps.h"
#include "maps_hash.h"

/* Bits of the filter that may be set for nobody before they are cleared: each
 * costs a packet that hits it three look-ups in vain. */
#define FILTER_STALE_MAX (1U << (LB_FILTER_BITS_LOG2 - 6))

struct frontend_list {
	struct plan_frontend *items;
	size_t n, size;
};

static struct plan_frontend *frontend_list_add(struct frontend_list *list)
{
	/* Entries beyond the map's size can't exist. */
	return list->n < list->size ? &list->items[list->n++] : NULL;
}

static void frontend_add4(void *arg, const void *key, const void *value)
{
	const struct lb_frontend4_key *k = key;
	struct plan_frontend *frontend = frontend_list_add(arg);
	const uint32_t words[4] = {k->addr};

	if (!frontend)
		return;
	addr_from_words(4, words, &frontend->addr);
	frontend->port = k->port;
	frontend->protocol = k->protocol;
	memcpy(&frontend->value, value, sizeof(frontend->value));
}

static void frontend_add6(void *arg, const void *key, const void *value)
{
	const struct lb_frontend6_key *k = key;
	struct plan_frontend *frontend = frontend_list_add(arg);

	if (!frontend)
		return;
	addr_from_words(6, k->addr, &frontend->addr);
	frontend->port = k->port;
	frontend->protocol = k->protocol;
	memcpy(&frontend->value, value, sizeof(frontend->value));
}

struct source_list {
	struct plan_source *items;
	size_t n;
};

static void source_add(struct source_list *list, uint8_t family, uint32_t bits, uint32_t service,
		       const uint32_t words[4])
{
	struct plan_source *source = &list->items[list->n];

	if (list->n == 2 * (size_t)LB_MAX_SOURCES)
		return;
	list->n++;
	source->service = service;
	source->prefix.length = bits - LB_SOURCE_SERVICE_BITS;
	addr_from_words(family, words, &source->prefix.addr);
}

static void source_add4(void *arg, const void *key, const void *value)
{
	const struct lb_source4_key *k = key;
	const uint32_t words[4] = {k->addr};

	(void)value;
	source_add(arg, 4, k->prefix_bits, k->service, words);
}

static void source_add6(void *arg, const void *key, const void *value)
{
	const struct lb_source6_key *k = key;

	(void)value;
	source_add(arg, 6, k->prefix_bits, k->service, k->addr);
}

int maps_applied(const struct maps *maps, struct applied *ret, struct error *error)
{
	struct frontend_list list = {.size = 2 * (size_t)maps->max_frontends};
	struct source_list sources = {};
	int err;

	/* Memory that nothing is written to costs nothing. */
	list.items = calloc(list.size, sizeof(*list.items));
	sources.items = calloc(2 * (size_t)LB_MAX_SOURCES, sizeof(*sources.items));
	if (!list.items || !sources.items) {
		err = error_set(error, -ENOMEM, "out of memory");
		goto out;
	}
	err = maps_hash_each(maps->frontends_fd[0], frontend_add4, &list);
	err = err ?: maps_hash_each(maps->frontends_fd[1], frontend_add6, &list);
	if (err) {
		error_set(error, err, "can't read the frontends: %s", strerror(-err));
		goto out;
	}
	err = maps_hash_each(maps->sources_fd[0], source_add4, &sources);
	err = err ?: maps_hash_each(maps->sources_fd[1], source_add6, &sources);
	if (err) {
		error_set(error, err, "can't read the source ranges: %s", strerror(-err));
		goto out;
	}
	*ret = (struct applied){
		.max_services = maps->max_services,
		.max_backends = maps->max_backends,
		.max_frontends = maps->max_frontends,
		.max_sources = LB_MAX_SOURCES,
		.arena_lines = maps->arena_lines,
		.services = maps->services,
		.service_names = maps->service_names,
		.rings = maps->rings,
		.arena = maps->arena,
		.backends = maps->backends,
		.frontends = list.items,
		.nfrontends = list.n,
		.sources = sources.items,
		.nsources = sources.n,
	};
	return 0;
out:
	free(list.items);
	free(sources.items);
	return err;
}

void maps_applied_free(struct applied *applied)
{
	free((void *)applied->frontends);
	free((void *)applied->sources);
}

/* Key of frontends4 or frontends6; returns the map's fd. */
static int frontend_key(const struct maps *maps, const struct plan_frontend *frontend,
			struct lb_frontend6_key *ret)
{
	uint32_t words[4];

	addr_to_words(&frontend->addr, words);
	memset(ret, 0, sizeof(*ret));
	if (frontend->addr.family == 6) {
		memcpy(ret->addr, words, sizeof(ret->addr));
		ret->port = frontend->port;
		ret->protocol = frontend->protocol;
		return maps->frontends_fd[1];
	}
	*(struct lb_frontend4_key *)ret = (struct lb_frontend4_key){
		.addr = words[0],
		.port = frontend->port,
		.protocol = frontend->protocol,
	};
	return maps->frontends_fd[0];
}

static uint32_t filter_bit(const struct plan_frontend *frontend)
{
	uint32_t words[4];

	addr_to_words(&frontend->addr, words);
	return frontend->addr.family == 6
		       ? hash_frontend6(words, frontend->port, frontend->protocol)
		       : hash_frontend4(words[0], frontend->port, frontend->protocol);
}

/* Before whatever follows is seen. */
static void filter_set(__u8 *filter, uint32_t bit)
{
	__u8 byte = __atomic_load_n(&filter[bit / 8], __ATOMIC_RELAXED) | 1U << bit % 8;

	if (byte != filter[bit / 8])
		__atomic_store_n(&filter[bit / 8], byte, __ATOMIC_SEQ_CST);
}

/* ---- addresses ----------------------------------------------------------- */

/* One that is there is left. */
static int address_insert(const struct maps *maps, const struct addr *addr)
{
	uint32_t words[4], one = 1;

	addr_to_words(addr, words);
	return bpf_map_update_elem(maps->addresses_fd[addr->family == 6], words, &one,
				   BPF_NOEXIST) &&
			       errno != EEXIST
		       ? -errno
		       : 0;
}

/* A node port's is the node's. */
static bool frontend_has_address(const struct plan_frontend *frontend)
{
	return !(frontend->value.flags & LB_FRONTEND_F_NODEPORT);
}

/* Those that frontends have, and those that none has. */
struct address_tidy {
	struct address_wanted {
		struct addr addr; /* first: address_compare() */
		bool found;
	} * wanted; /* sorted, each once */
	size_t nwanted;
	struct addr *stale;
	size_t nstale, room;
};

static int address_compare(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static void addresses_want(struct address_tidy *tidy, const struct applied *applied)
{
	size_t n = 0;

	for (size_t i = 0; i < applied->nfrontends; i++)
		if (frontend_has_address(&applied->frontends[i]))
			tidy->wanted[n++].addr = applied->frontends[i].addr;
	qsort(tidy->wanted, n, sizeof(*tidy->wanted), address_compare);
	for (size_t i = 0; i < n; i++)
		if (!i || addr_compare(&tidy->wanted[i].addr, &tidy->wanted[i - 1].addr))
			tidy->wanted[tidy->nwanted++] = tidy->wanted[i];
}

static void address_judge(struct address_tidy *tidy, uint8_t family, const uint32_t words[4])
{
	struct address_wanted *wanted;
	struct addr addr;

	addr_from_words(family, words, &addr);
	wanted = bsearch(&addr, tidy->wanted, tidy->nwanted, sizeof(*wanted), address_compare);
	if (wanted)
		wanted->found = true;
	else if (tidy->nstale < tidy->room)
		tidy->stale[tidy->nstale++] = addr;
}

static void address_judge4(void *arg, const void *key, const void *value)
{
	const uint32_t words[4] = {((const struct lb_address4_key *)key)->addr};

	(void)value;
	address_judge(arg, 4, words);
}

static void address_judge6(void *arg, const void *key, const void *value)
{
	(void)value;
	address_judge(arg, 6, ((const struct lb_address6_key *)key)->addr);
}

/* Make the addresses those of the frontends. */
static int addresses_tidy(const struct maps *maps, const struct applied *applied)
{
	struct address_tidy tidy = {.room = 2 * (size_t)maps->max_frontends};
	uint32_t words[4];
	int err;

	tidy.wanted = calloc(applied->nfrontends + 1, sizeof(*tidy.wanted));
	tidy.stale = calloc(tidy.room, sizeof(*tidy.stale));
	if (!tidy.wanted || !tidy.stale) {
		err = -ENOMEM;
		goto out;
	}
	addresses_want(&tidy, applied);
	err = maps_hash_each(maps->addresses_fd[0], address_judge4, &tidy);
	err = err ?: maps_hash_each(maps->addresses_fd[1], address_judge6, &tidy);
	for (size_t i = 0; i < tidy.nwanted && !err; i++)
		if (!tidy.wanted[i].found)
			err = address_insert(maps, &tidy.wanted[i].addr);
	for (size_t i = 0; i < tidy.nstale && !err; i++) {
		addr_to_words(&tidy.stale[i], words);
		if (bpf_map_delete_elem(maps->addresses_fd[tidy.stale[i].family == 6], words))
			err = -errno;
	}
out:
	free(tidy.wanted);
	free(tidy.stale);
	return err;
}

/* ------------------------------------------------------------------------- */

int maps_frontend_insert(struct maps *maps, const struct plan_frontend *frontend)
{
	struct lb_frontend6_key key;
	int fd = frontend_key(maps, frontend, &key);
	int err = frontend_has_address(frontend) ? address_insert(maps, &frontend->addr) : 0;

	if (err)
		return err;
	filter_set(maps->frontend_filter, filter_bit(frontend));
	return bpf_map_update_elem(fd, &key, &frontend->value, BPF_NOEXIST) ? -errno : 0;
}

int maps_frontend_delete(struct maps *maps, const struct plan_frontend *frontend)
{
	struct lb_frontend6_key key;
	int fd = frontend_key(maps, frontend, &key);

	return bpf_map_delete_elem(fd, &key) ? -errno : 0;
}

/* Key of sources4 or sources6; returns the map's fd. */
static int source_key(const struct maps *maps, const struct plan_source *source,
		      struct lb_source6_key *ret)
{
	uint32_t words[4];

	addr_to_words(&source->prefix.addr, words);
	memset(ret, 0, sizeof(*ret));
	ret->prefix_bits = LB_SOURCE_SERVICE_BITS + source->prefix.length;
	ret->service = source->service;
	if (source->prefix.addr.family == 6) {
		memcpy(ret->addr, words, sizeof(ret->addr));
		return maps->sources_fd[1];
	}
	/* The same layout, but for the length. */
	ret->addr[0] = words[0];
	return maps->sources_fd[0];
}

int maps_source_insert(struct maps *maps, const struct plan_source *source)
{
	const struct lb_source value = {0};
	struct lb_source6_key key;
	int fd = source_key(maps, source, &key);

	return bpf_map_update_elem(fd, &key, &value, BPF_ANY) ? -errno : 0;
}

int maps_source_delete(struct maps *maps, const struct plan_source *source)
{
	struct lb_source6_key key;
	int fd = source_key(maps, source, &key);

	return bpf_map_delete_elem(fd, &key) ? -errno : 0;
}

static uint32_t filter_count(const __u8 *filter)
{
	uint32_t n = 0;

	for (size_t i = 0; i < LB_FILTER_BYTES; i++)
		n += __builtin_popcount(filter[i]);
	return n;
}

static void filter_add_flow4(void *filter, const void *key, const void *value)
{
	const struct lb_tuple4 *k = key;

	(void)value;
	filter_set(filter, hash_frontend4(k->dst, k->dport, k->protocol));
}

static void filter_add_flow6(void *filter, const void *key, const void *value)
{
	const struct lb_tuple6 *k = key;

	(void)value;
	filter_set(filter, hash_frontend6(k->dst, k->dport, k->protocol));
}

/* Adds the bits of all flows.  A flow is in two tables while it moves from one
 * to another: so the new ones are read before and after the others. */
static int filter_add_flows(const struct maps *maps, __u8 *filter)
{
	const int *const tables[] = {maps->new_flows_fd, maps->flows_fd, maps->udp_flows_fd,
				     maps->new_flows_fd};
	int err = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && !err; i++) {
		err = maps_hash_each(tables[i][0], filter_add_flow4, filter);
		err = err ?: maps_hash_each(tables[i][1], filter_add_flow6, filter);
	}
	return err;
}

int maps_filter_tidy(struct maps *maps)
{
	__u8 *filter = maps->frontend_filter, *wanted = calloc(1, LB_FILTER_BYTES);
	struct applied applied = {};
	struct error error;
	int err = wanted ? maps_applied(maps, &applied, &error) : -ENOMEM;

	err = err ?: addresses_tidy(maps, &applied);
	if (err)
		goto out;
	for (size_t i = 0; i < applied.nfrontends; i++)
		filter_set(wanted, filter_bit(&applied.frontends[i]));
	for (size_t i = 0; i < LB_FILTER_BYTES && !err; i++) {
		if (!(wanted[i] & ~filter[i]))
			continue;
		err = maps_make_writable(maps, &error);
		if (!err)
			__atomic_store_n(&filter[i], filter[i] | wanted[i], __ATOMIC_SEQ_CST);
	}
	if (err || filter_count(filter) <= filter_count(wanted) + FILTER_STALE_MAX)
		goto out;
	err = filter_add_flows(maps, wanted);
	err = err ?: maps_make_writable(maps, &error);
	for (size_t i = 0; i < LB_FILTER_BYTES && !err; i++)
		if (filter[i] != wanted[i])
			__atomic_store_n(&filter[i], wanted[i], __ATOMIC_RELAXED);
out:
	maps_applied_free(&applied);
	free(wanted);
	return err;
}
