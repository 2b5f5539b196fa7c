/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which packets are for a service: the filter, and frontends that move or go
 * while flows of theirs live.  Each in both families and both mouths. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "hash.h"
#include "world.h"

#define NONE 0

/* One of the four ways that a client's packet may take. */
static const struct way {
	bool v6;
	enum world_program mouth;
} ways[] = {
	{false, WORLD_XDP},
	{false, WORLD_TC_UPLINK},
	{true, WORLD_XDP},
	{true, WORLD_TC_UPLINK},
};
#define EACH_WAY(way) (const struct way *way = ways; way < ways + 4; way++)

static const char *vip(const struct way *way)
{
	return way->v6 ? "fd96::1" : "10.96.0.1";
}

static void packet_to(const struct way *way, const char *dst, uint16_t dport, uint8_t protocol,
		      uint16_t sport, uint8_t flags, struct frame *ret)
{
	frame_build(ret, &(struct frame_spec){.src = way->v6 ? "fd00::9" : "10.0.0.9",
					      .dst = dst,
					      .sport = sport,
					      .dport = dport,
					      .protocol = protocol,
					      .tcp_flags = flags,
					      .tcp_ack = 100});
}

/* The id of the backend that a packet to the service goes to, NONE = it isn't
 * sent on. */
static uint32_t send_by(struct world *world, const struct way *way, uint8_t protocol,
			uint16_t sport, uint8_t flags)
{
	struct frame in, out;
	int sent = way->mouth == WORLD_XDP ? WORLD_XDP_REDIRECT : WORLD_TC_REDIRECT;

	packet_to(way, vip(way), 80, protocol, sport, flags, &in);
	if (world_run(world, way->mouth, &in, &out) != sent)
		return NONE;
	return out.bytes[FRAME_ETH + (way->v6 ? 39 : 19)] - 1 + (way->v6 ? 100 : 0);
}

static void assert_passes(struct world *world, const struct way *way, const struct frame *in)
{
	uint64_t before = world_count(world, LB_REASON_NOT_SERVICE);
	struct frame out;

	assert_int_equal(world_run(world, way->mouth, in, &out),
			 way->mouth == WORLD_XDP ? WORLD_XDP_PASS : WORLD_TC_NEXT);
	assert_int_equal(out.length, in->length);
	assert_memory_equal(out.bytes, in->bytes, in->length);
	assert_int_equal(world_count(world, LB_REASON_NOT_SERVICE), before + 1);
}

static void answer_from(struct world *world, const struct way *way, uint32_t backend,
			uint8_t protocol, uint16_t sport, uint8_t flags)
{
	char src[32];
	struct frame in, out;

	snprintf(src, sizeof(src), way->v6 ? "fd01::%x" : "10.1.0.%u",
		 backend - (way->v6 ? 100 : 0) + 1);
	frame_build(&in, &(struct frame_spec){.src = src,
					      .dst = way->v6 ? "fd00::9" : "10.0.0.9",
					      .sport = 5000,
					      .dport = sport,
					      .protocol = protocol,
					      .tcp_flags = flags,
					      .tcp_seq = 99});
	assert_int_equal(world_run(world, WORLD_TC_POD, &in, &out), WORLD_TC_REDIRECT);
}

/* An established flow; returns its backend. */
static uint32_t establish(struct world *world, const struct way *way, uint8_t protocol,
			  uint16_t sport)
{
	uint32_t backend = send_by(world, way, protocol, sport, TCP_SYN);

	answer_from(world, way, backend, protocol, sport, TCP_SYN | TCP_ACK);
	assert_int_equal(send_by(world, way, protocol, sport, TCP_ACK), backend);
	return backend;
}

union key {
	struct lb_tuple4 v4;
	struct lb_tuple6 v6;
};

/* The table of an established flow, and its key there. */
static int flow_table(struct world *world, const struct way *way, bool udp, uint16_t sport,
		      union key *ret)
{
	struct bpf_map *map;
	union key key = {0};

	if (way->v6) {
		key.v6.sport = htons(sport);
		key.v6.dport = htons(80);
		key.v6.protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
		inet_pton(AF_INET6, "fd00::9", key.v6.src);
		inet_pton(AF_INET6, vip(way), key.v6.dst);
		map = udp ? world->skel->maps.udp_flows6 : world->skel->maps.flows6;
	} else {
		key.v4.sport = htons(sport);
		key.v4.dport = htons(80);
		key.v4.protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
		inet_pton(AF_INET, "10.0.0.9", &key.v4.src);
		inet_pton(AF_INET, vip(way), &key.v4.dst);
		map = udp ? world->skel->maps.udp_flows4 : world->skel->maps.flows4;
	}
	*ret = key;
	return bpf_map__fd(map);
}

/* Let the flow's last packet be a tick ago. */
static void flow_age(struct world *world, const struct way *way, bool udp, uint16_t sport)
{
	struct lb_flow flow;
	union key key;
	int fd = flow_table(world, way, udp, sport, &key);

	assert_int_equal(bpf_map_lookup_elem(fd, &key, &flow), 0);
	flow.seen_ticks--;
	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_EXIST), 0);
	world_cache_clear(world);
}

static void backend_state(struct world *world, uint32_t id, uint32_t state, uint16_t generation)
{
	struct lb_backend backend = world_backend_get(world, id);

	backend.state = state;
	backend.generation = generation;
	world_backend_set(world, id, &backend);
}

/* ---- the filter ------------------------------------------------------------ */

static void an_empty_filter_passes_everything(void **state)
{
	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world = world_open();
			struct frame in;

			world_web(world, 1);
			memset((void *)world->skel->data_frontend_filter->frontend_filter, 0,
			       LB_FILTER_BYTES);
			packet_to(way, vip(way), 80, IPPROTO_TCP, 4000, TCP_SYN, &in);
			assert_passes(world, way, &in);
			world_close(world);
		}
}

/* Others that have the bit of a frontend. */
static void a_bit_that_others_share_is_no_frontend(void **state)
{
	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world = world_open();
			uint32_t words[4], bit, found = 0;
			struct frame in;

			world_web(world, 1);
			inet_pton(way->v6 ? AF_INET6 : AF_INET, vip(way), words);
			bit = way->v6 ? hash_frontend6(words, htons(80), IPPROTO_TCP)
				      : hash_frontend4(words[0], htons(80), IPPROTO_TCP);
			for (uint32_t i = 0; i < 200 * 65536 && found < 3; i++) {
				uint16_t port = 1 + i % 65535;
				char text[INET6_ADDRSTRLEN];

				words[way->v6 ? 3 : 0] =
					htonl((way->v6 ? 0 : 0x0a600000) + 2 + i / 65535);
				if ((way->v6 ? hash_frontend6(words, htons(port), IPPROTO_TCP)
					     : hash_frontend4(words[0], htons(port),
							      IPPROTO_TCP)) != bit)
					continue;
				found++;
				inet_ntop(way->v6 ? AF_INET6 : AF_INET, words, text, sizeof(text));
				packet_to(way, text, port, IPPROTO_TCP, 4000, TCP_SYN, &in);
				assert_passes(world, way, &in);
				packet_to(way, text, port, IPPROTO_TCP, 4000, TCP_ACK, &in);
				assert_passes(world, way, &in);
				/* And with a frontend of its own it is served. */
				world_frontend(world, text, port, IPPROTO_TCP, way->v6 ? 2 : 1);
				assert_int_equal(world_run(world, way->mouth, &in, &in),
						 way->mouth == WORLD_XDP ? WORLD_XDP_REDIRECT
									 : WORLD_TC_REDIRECT);
			}
			assert_int_equal(found, 3);
			world_close(world);
		}
}

/* Address, port and protocol each have a say. */
static void the_filter_tells_frontends_apart(void **state)
{
	uint32_t a[4] = {1, 2, 3, 4}, n4 = 0, n6 = 0;

	(void)state;
	for (uint32_t port = 0; port < 65536; port++) {
		n4 += hash_frontend4(htonl(0x0a600001), port, IPPROTO_TCP) ==
		      hash_frontend4(htonl(0x0a600001), port, IPPROTO_UDP);
		n6 += hash_frontend6(a, port, IPPROTO_TCP) == hash_frontend6(a, port, IPPROTO_UDP);
	}
	assert_in_range(n4 + n6, 0, 16);
	for (int word = 0; word < 4; word++) {
		static uint8_t seen[1 << LB_FILTER_BITS_LOG2];
		uint32_t distinct = 0;

		memset(seen, 0, sizeof(seen));
		for (uint32_t i = 0; i < 4096; i++) {
			uint32_t b[4] = {0xfd, 0, 0, 0};

			b[word] ^= htonl(i);
			distinct += !seen[hash_frontend6(b, htons(80), IPPROTO_TCP)]++;
		}
		assert_in_range(distinct, 4000, 4096);
	}
}

/* ---- a Service is deleted --------------------------------------------------- */

static void flows_of_a_deleted_service_go_on_until_its_backends_are_freed(void **state)
{
	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world = world_open();
			uint32_t tcp, udp, young;
			struct frame in, out;

			world_web(world, 4);
			tcp = establish(world, way, IPPROTO_TCP, 4000);
			udp = establish(world, way, IPPROTO_UDP, 4000);
			young = send_by(world, way, IPPROTO_TCP, 4001, TCP_SYN);
			/* As apply.c does: frontends, ring, then backends. */
			world_frontend_delete(world, vip(way), 80, IPPROTO_TCP);
			world_frontend_delete(world, vip(way), 80, IPPROTO_UDP);
			world_ring_clear(world, way->v6 ? 2 : 1);
			for (uint32_t id = way->v6 ? 101 : 1; id <= (way->v6 ? 104 : 4); id++)
				backend_state(world, id, LB_BACKEND_GONE, 1);

			for (int tick = 0; tick < 2; tick++) {
				assert_int_equal(send_by(world, way, IPPROTO_TCP, 4000, TCP_ACK),
						 tcp);
				assert_int_equal(send_by(world, way, IPPROTO_UDP, 4000, 0), udp);
				flow_age(world, way, false, 4000);
				flow_age(world, way, true, 4000);
			}
			answer_from(world, way, tcp, IPPROTO_TCP, 4000, TCP_ACK);
			assert_int_equal(send_by(world, way, IPPROTO_TCP, 4001, TCP_ACK), young);
			/* Nothing begins: neither anew nor on a known port. */
			packet_to(way, vip(way), 80, IPPROTO_TCP, 4002, TCP_SYN, &in);
			assert_passes(world, way, &in);
			packet_to(way, vip(way), 80, IPPROTO_TCP, 4000, TCP_SYN, &in);
			assert_passes(world, way, &in);
			packet_to(way, vip(way), 80, IPPROTO_UDP, 4002, 0, &in);
			assert_passes(world, way, &in);
			assert_int_equal(send_by(world, way, IPPROTO_TCP, 4000, TCP_ACK), tcp);

			/* Linger is over. */
			for (uint32_t id = way->v6 ? 101 : 1; id <= (way->v6 ? 104 : 4); id++)
				backend_state(world, id, LB_BACKEND_FREE, 2);
			packet_to(way, vip(way), 80, IPPROTO_TCP, 4000, TCP_ACK, &in);
			if (way->mouth == WORLD_XDP) {
				assert_int_equal(world_run(world, WORLD_XDP, &in, &out),
						 WORLD_XDP_PASS);
				assert_memory_equal(out.bytes, in.bytes, in.length);
			}
			assert_int_equal(world_run(world, WORLD_TC_UPLINK, &in, &out),
					 WORLD_TC_REDIRECT);
			assert_int_equal(world_count(world, LB_REASON_BACKEND_GONE), 1);
			assert_true(out.bytes[FRAME_ETH + (way->v6 ? 40 : 20) + 13] & TCP_RST);
			packet_to(way, vip(way), 80, IPPROTO_UDP, 4000, 0, &in);
			assert_passes(world, way, &in);
			world_close(world);
		}
}

/* The Service is there again, as another: known UDP goes to it, TCP stays. */
static void a_frontend_that_moves_takes_along_what_may_begin_anew(void **state)
{
	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world = world_open();
			uint32_t old = way->v6 ? 101 : 1, other = way->v6 ? 103 : 3;

			world_web(world, 1);
			world_backend(world, other, 7, way->v6 ? "fd01::4" : "10.1.0.4", 5000);
			world_ring(world, 7, other, 1);
			assert_int_equal(establish(world, way, IPPROTO_TCP, 4000), old);
			assert_int_equal(establish(world, way, IPPROTO_UDP, 4000), old);
			for (int udp = 0; udp < 2; udp++) {
				uint8_t protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;

				world_frontend_delete(world, vip(way), 80, protocol);
				world_frontend(world, vip(way), 80, protocol, 7);
				/* The closer look is due once a tick. */
				flow_age(world, way, udp, 4000);
			}
			assert_int_equal(send_by(world, way, IPPROTO_TCP, 4000, TCP_ACK), old);
			assert_int_equal(send_by(world, way, IPPROTO_UDP, 4000, 0), other);
			assert_int_equal(send_by(world, way, IPPROTO_TCP, 4000, TCP_SYN), other);
			assert_int_equal(send_by(world, way, IPPROTO_TCP, 4001, TCP_SYN), other);
			world_close(world);
		}
}

/* ---- the cache -------------------------------------------------------------- */

/* A flow is in the cache, and its entry in the tables is gone: does its next
 * packet still go to `old`?  It does if no tick begins in between. */
static bool is_cached(struct world *world, const struct way *way, uint16_t sport, uint32_t old)
{
	union key key;
	int fd = flow_table(world, way, false, sport, &key);

	bpf_map_delete_elem(fd, &key);
	/* A RST has moved it. */
	bpf_map_delete_elem(
		bpf_map__fd(way->v6 ? world->skel->maps.new_flows6 : world->skel->maps.new_flows4),
		&key);
	return send_by(world, way, IPPROTO_TCP, sport, TCP_ACK) == old;
}

static void all_slots(struct world *world, const struct way *way, uint32_t backend)
{
	uint32_t slots[1021];

	for (int i = 0; i < 1021; i++)
		slots[i] = backend;
	world_ring_slots(world, way->v6 ? 2 : 1, slots, 1021);
}

static void a_cached_flow_is_one_of_this_tick_without_an_end(void **state)
{
	static const uint8_t ends[] = {TCP_RST, TCP_FIN | TCP_ACK, TCP_SYN};

	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world = world_open();
			uint32_t old = way->v6 ? 101 : 1, ncached = 0;
			struct lb_backend backend;
			uint16_t sport = 4000;

			world_web(world, 2);
			for (int round = 0; round < 10; round++) {
				for (size_t what = 0; what < 6; what++, sport++) {
					all_slots(world, way, old);
					assert_int_equal(establish(world, way, IPPROTO_TCP, sport),
							 old);
					assert_int_equal(
						send_by(world, way, IPPROTO_TCP, sport, TCP_ACK),
						old);
					all_slots(world, way, old + 1);
					if (what < 3) {
						send_by(world, way, IPPROTO_TCP, sport, ends[what]);
						assert_false(is_cached(world, way, sport, old));
					} else if (what == 3) {
						world_cache_clear(world);
						assert_false(is_cached(world, way, sport, old));
					} else if (what == 4) {
						backend = world_backend_get(world, old);
						backend.generation ^= 8;
						world_backend_set(world, old, &backend);
						assert_false(is_cached(world, way, sport, old));
						backend.generation ^= 8;
						world_backend_set(world, old, &backend);
					} else {
						ncached += is_cached(world, way, sport, old);
					}
				}
			}
			assert_in_range(ncached, 1, 10);
			world_close(world);
		}
}

static uint32_t cache_set(struct world *world, const struct way *way, uint16_t sport)
{
	uint64_t hash;
	union key key;

	flow_table(world, way, false, sport, &key);
	hash = way->v6 ? hash_key6(&key.v6) : hash_key4(&key.v4);
	return (hash >> 32) % bpf_map__max_entries(way->v6 ? world->skel->maps.flow_cache6
							   : world->skel->maps.flow_cache4);
}

static void two_flows_of_a_set_are_cached_side_by_side(void **state)
{
	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world = world_open();
			uint32_t old = way->v6 ? 101 : 1, nboth = 0;
			uint16_t sport = 4000, twin = 4001;

			world_web(world, 2);
			while (cache_set(world, way, twin) != cache_set(world, way, sport))
				assert_int_not_equal(++twin, 0);
			/* No tick begins in between in one of these rounds. */
			for (int round = 0; round < 10; round++) {
				bool first;

				all_slots(world, way, old);
				assert_int_equal(establish(world, way, IPPROTO_TCP, sport), old);
				assert_int_equal(establish(world, way, IPPROTO_TCP, twin), old);
				all_slots(world, way, old + 1);
				send_by(world, way, IPPROTO_TCP, sport, TCP_ACK);
				send_by(world, way, IPPROTO_TCP, twin, TCP_ACK);
				first = is_cached(world, way, sport, old);
				nboth += is_cached(world, way, twin, old) && first;
			}
			assert_in_range(nboth, 1, 10);
			world_close(world);
		}
}

/* What reaches its last hop is the kernel's, ours or not. */
static void the_last_hop_is_told_apart(void **state)
{
	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world = world_open();
			struct frame in, out;

			world_web(world, 1);
			frame_build(&in,
				    &(struct frame_spec){.src = way->v6 ? "fd00::9" : "10.0.0.9",
							 .dst = vip(way),
							 .sport = 4000,
							 .dport = 80,
							 .ttl = 1});
			assert_int_equal(world_run(world, way->mouth, &in, &out),
					 way->mouth == WORLD_XDP ? WORLD_XDP_PASS : WORLD_TC_NEXT);
			assert_int_equal(world_count(world, LB_REASON_TTL_EXPIRED), 1);
			world_frontend_delete(world, vip(way), 80, IPPROTO_TCP);
			assert_passes(world, way, &in);
			world_close(world);
		}
}

/* ---- tables of their own ---------------------------------------------------- */

/* A server that answers everybody, and sources that each send twice. */
static void no_udp_pushes_out_a_tcp_connection(void **state)
{
	(void)state;
	for
		EACH_WAY(way)
		{
			struct world *world;
			struct frame in, out, answer;
			uint32_t lost = 0, unlike = 0;

			if (way->mouth == WORLD_XDP)
				continue; /* the tables are the same */
			world = world_open();
			world_web(world, 1);
			for (uint16_t sport = 4000; sport < 4200; sport++)
				establish(world, way, IPPROTO_TCP, sport);
			packet_to(way, vip(way), 80, IPPROTO_UDP, 53, 0, &in);
			frame_build(&answer,
				    &(struct frame_spec){.src = way->v6 ? "fd01::2" : "10.1.0.2",
							 .dst = way->v6 ? "fd00::9" : "10.0.0.9",
							 .sport = 5000,
							 .dport = 53,
							 .protocol = IPPROTO_UDP});
			for (uint32_t source = 0; source < 20000; source++) {
				uint32_t addr = htonl(0x0b000000 + source);

				/* The low word of the address. */
				memcpy(in.bytes + FRAME_ETH + (way->v6 ? 20 : 12), &addr, 4);
				memcpy(answer.bytes + FRAME_ETH + (way->v6 ? 36 : 16), &addr, 4);
				unlike += world_run(world, WORLD_TC_UPLINK, &in, &out) !=
					  WORLD_TC_REDIRECT;
				unlike += world_run(world, WORLD_TC_POD, &answer, &out) !=
					  WORLD_TC_REDIRECT;
				unlike += world_run(world, WORLD_TC_UPLINK, &in, &out) !=
					  WORLD_TC_REDIRECT;
			}
			assert_int_equal(unlike, 0);
			/* A lost one would go where the ring points now: nowhere. */
			world_ring_clear(world, way->v6 ? 2 : 1);
			for (uint16_t sport = 4000; sport < 4200; sport++)
				lost += send_by(world, way, IPPROTO_TCP, sport, TCP_ACK) == NONE;
			assert_int_equal(lost, 0);
			world_close(world);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_filter_passes_everything),
		cmocka_unit_test(a_bit_that_others_share_is_no_frontend),
		cmocka_unit_test(the_filter_tells_frontends_apart),
		cmocka_unit_test(flows_of_a_deleted_service_go_on_until_its_backends_are_freed),
		cmocka_unit_test(a_frontend_that_moves_takes_along_what_may_begin_anew),
		cmocka_unit_test(a_cached_flow_is_one_of_this_tick_without_an_end),
		cmocka_unit_test(two_flows_of_a_set_are_cached_side_by_side),
		cmocka_unit_test(the_last_hop_is_told_apart),
		cmocka_unit_test(no_udp_pushes_out_a_tcp_connection),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_frontend", tests, NULL, NULL);
}
