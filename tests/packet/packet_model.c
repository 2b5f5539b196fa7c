/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Random sequences of packets, of what lbd does to the maps, and of time that goes by,
 * against the reference model (model.h): whatever comes after whatever, each packet
 * must end as the model says, byte for byte.
 *
 * The seed is printed; GUIDEWAY_SEED=N runs that one alone, and tells each step;
 * GUIDEWAY_SEEDS=N runs so many.  The clock is advanced by
 * making all entries older.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "expect.h"
#include "model.h"
#include "world.h"

#define SEEDS 12
#define STEPS 400
#define SEED_S 20 /* on a busy machine: then the rest of its steps is left out */

#define FIRST_BYTES 80 /* of a datagram in two fragments */

static struct side {
	const char *client, *frontend, *backend, *node, *router; /* the first two: printf */
	uint32_t service, first_id;
	struct model model;
} sides[2] = {
	{"10.0.0.%u", "10.96.0.1", "10.1.0.%u", "10.0.0.1", "10.0.0.254", 1, 1, {}},
	{"fd00::%x", "fd96::1", "fd01::%x", "fd00::1", "fd00::fe", 2, 101, {}},
};

static struct world *world;
static uint64_t seed, random_state, skipped_ticks;
static uint32_t step;
static bool told;

static uint32_t chance(uint32_t n) /* 0 .. n - 1; splitmix64 */
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

#define fail_step(format, ...) \
	fail_msg("seed %llu, step %u: " format, (unsigned long long)seed, step, __VA_ARGS__)

#define tell(format, ...) \
	do { \
		if (told) \
			print_message("# %u: " format "\n", step, __VA_ARGS__); \
	} while (0)

static uint64_t now_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return ((uint64_t)now.tv_sec * 1000000000 + now.tv_nsec) >> LB_TICK_SHIFT;
}

/* ---- time ------------------------------------------------------------------- */

static void table_each(struct bpf_map *map, void (*each)(int fd, const void *key, void *arg),
		       void *arg)
{
	char keys[256][64]; /* first all keys: what is written moves */
	int fd = bpf_map__fd(map), n = 0;

	while (n < 256 && !bpf_map_get_next_key(fd, n ? keys[n - 1] : NULL, keys[n]))
		n++;
	assert_true(n < 256);
	for (int i = 0; i < n; i++)
		each(fd, keys[i], arg);
}

static void entry_delete(int fd, const void *key, void *arg)
{
	(void)arg;
	bpf_map_delete_elem(fd, key);
}

struct aging {
	uint32_t ticks;
	size_t seen_at, routed_at; /* 0 = it has none */
};

static void entry_age(int fd, const void *key, void *arg)
{
	const struct aging *aging = arg;
	char value[128];
	uint32_t *seen = (uint32_t *)(void *)(value + aging->seen_at);
	uint32_t *routed = (uint32_t *)(void *)(value + aging->routed_at);

	if (bpf_map_lookup_elem(fd, key, value))
		return;
	*seen -= aging->ticks;
	if (aging->routed_at)
		*routed -= aging->ticks;
	assert_int_equal(bpf_map_update_elem(fd, key, value, BPF_EXIST), 0);
}

/* No copy of a flow is true any more. */
static void copies_end(void)
{
	for (size_t i = 0; i < sizeof(world->skel->bss->flow_epochs) / sizeof(__u16); i++)
		world->skel->bss->flow_epochs[i]++;
}

static void each_table(void (*each)(int fd, const void *key, void *arg), uint32_t ticks)
{
	struct aging flows = {ticks, offsetof(struct lb_flow, seen_ticks), 0};
	struct aging replies = {ticks, offsetof(struct lb_reply, seen_ticks),
				offsetof(struct lb_reply, routed_ticks)};
	struct aging fragments = {ticks, offsetof(struct lb_fragment, seen_ticks), 0};
	struct bpf_map *map;

	bpf_object__for_each_map(map, world->skel->obj)
	{
		const char *name = bpf_map__name(map);

		if (bpf_map__type(map) != BPF_MAP_TYPE_LRU_HASH)
			continue;
		if (strstr(name, "flows"))
			table_each(map, each, &flows);
		else if (strstr(name, "replies"))
			table_each(map, each, &replies);
		else if (strstr(name, "fragments"))
			table_each(map, each, &fragments);
	}
	copies_end();
}

static void time_goes_by(uint32_t ticks)
{
	tell("%u ticks", ticks);
	each_table(entry_age, ticks);
	skipped_ticks += ticks;
}

/* ---- packets ------------------------------------------------------------------ */

struct text {
	char text[64];
};

static struct text client_of(const struct side *side, uint32_t client)
{
	struct text text;

	snprintf(text.text, sizeof(text.text), side->client, 16 + client / 2);
	return text;
}

static struct text backend_of(const struct side *side, uint32_t backend)
{
	struct text text;

	snprintf(text.text, sizeof(text.text), side->backend, 2 + backend);
	return text;
}

static uint16_t client_port(uint32_t client)
{
	return 4000 + client % 2;
}

static struct model_packet packet_random(bool udp, bool answer)
{
	struct model_packet p = {.udp = udp, .data = chance(2)};

	if (udp)
		return p;
	p.ack = true;
	switch (chance(10)) {
	case 0:
	case 1:
	case 2:
		p.syn = true;
		p.ack = answer;
		p.data = false;
		break;
	case 3:
		p.fin = true;
		break;
	case 4:
		p.rst = true;
		p.ack = p.data = false;
		break;
	}
	return p;
}

static void packet_tell(const struct side *side, const char *what, uint32_t number,
			const struct model_packet *p)
{
	tell("IPv%d %s %u: %s%s%s%s%s%s", side == sides ? 4 : 6, what, number, p->udp ? "UDP" : "",
	     p->syn ? "SYN " : "", p->ack ? "ACK " : "", p->fin ? "FIN " : "", p->rst ? "RST " : "",
	     p->data ? "data" : "");
}

static struct frame_spec spec_of(const struct model_packet *p, uint32_t flow)
{
	return (struct frame_spec){
		.protocol = p->udp ? IPPROTO_UDP : IPPROTO_TCP,
		.tcp_flags = (p->syn ? TCP_SYN : 0) | (p->ack ? TCP_ACK : 0) |
			     (p->fin ? TCP_FIN : 0) | (p->rst ? TCP_RST : 0),
		.tcp_seq = 1000 * flow,
		.tcp_ack = chance(2) ? 1000 * flow + 1 : 77777777, /* of the SYN-ACK, or not */
		.payload_bytes = p->data ? 1 + chance(1000) : 0,
	};
}

/* As it comes in: from a mouth to the next where XDP passes it.  Returns TC's
 * action, or TC's for what XDP's means. */
static int run_uplink(const struct frame *in, struct frame *out, bool *ret_xdp, bool tc_alone)
{
	uint32_t mouth = tc_alone ? 2 : chance(3);
	int action;

	*ret_xdp = false;
	if (mouth < 2) {
		action = world_run(world, mouth ? WORLD_XDP_NATIVE : WORLD_XDP, in, out);
		*ret_xdp = action != WORLD_XDP_PASS;
		if (action == WORLD_XDP_REDIRECT)
			return WORLD_TC_REDIRECT;
		if (action == WORLD_XDP_DROP)
			return WORLD_TC_SHOT;
		expect_same(out, in, "what XDP passes");
	}
	return world_run(world, WORLD_TC_UPLINK, in, out);
}

static uint64_t count_of(const struct side *side, enum lb_reason reason, uint32_t backend)
{
	struct lb_traffic traffic;

	if (reason != LB_REASON_FORWARDED && reason != LB_REASON_REPLIED)
		return world_count(world, reason);
	traffic = world_backend_count(
		world, side->model.backends[backend].freed ? 0 : side->first_id + backend);
	return reason == LB_REASON_REPLIED ? traffic.packets_out : traffic.packets_in;
}

/* A checksum that is 0xffff says the same as 0 (RFC 1624): the kernel's helpers write
 * either. */
static void zeros_are_one(const struct frame *out, struct frame *expected, uint32_t part)
{
	bool v6 = frame_is_ipv6(out), tcp = out->bytes[FRAME_ETH + (v6 ? 6 : 9)] == IPPROTO_TCP;
	size_t at = FRAME_ETH + (!v6 ? 20 : part ? 48 : 40) + (tcp ? 16 : 6);
	static const uint8_t zeros[2][2] = {{0, 0}, {0xff, 0xff}};

	for (int i = 0; i < 2; i++)
		if (!memcmp(expected->bytes + at, zeros[i], 2) &&
		    !memcmp(out->bytes + at, zeros[!i], 2) && tcp)
			memcpy(expected->bytes + at, zeros[!i], 2);
}

/* What leaves must be the packet with other ends and one hop less; partly: of this
 * part of a datagram (0: it is whole). */
static void expect_sent(const struct frame *out, struct frame_spec spec, bool xdp, uint32_t part,
			const char *what)
{
	static const uint8_t pod_mac[6] = {0x02, 0, 0, 0, 0, 0xaa};
	struct frame whole, expected;

	spec.ttl = 63;
	frame_build(&whole, &spec);
	expected = whole;
	if (part)
		frame_cut(&whole, part == 1 ? 0 : FIRST_BYTES, part == 1 ? FIRST_BYTES : 40,
			  part == 1, step, &expected);
	if (xdp) {
		memcpy(expected.bytes, pod_mac, 6);
		memcpy(expected.bytes + 6, world_device_mac, 6);
	}
	if (part < 2)
		zeros_are_one(out, &expected, part);
	expect_same(out, &expected, what);
}

/* A refusal: from whom the client called, and to it. */
static void expect_refusal(const struct side *side, const struct frame *out,
			   const struct frame_spec *spec)
{
	bool v6 = side != sides;
	uint8_t from[16], to[16];
	size_t bytes = v6 ? 16 : 4, at = FRAME_ETH + (v6 ? 8 : 12);

	inet_pton(v6 ? AF_INET6 : AF_INET, spec->dst, from);
	inet_pton(v6 ? AF_INET6 : AF_INET, spec->src, to);
	if (memcmp(out->bytes + at, from, bytes) || memcmp(out->bytes + at + bytes, to, bytes) ||
	    !frame_ip_verifies(out) || (spec->protocol == IPPROTO_TCP && !frame_l4_verifies(out)))
		fail_step("%s", "not the refusal that it should be");
}

/* Which backend got it, and from which of this node's ports (0: from the client)? */
static uint32_t backend_seen(const struct side *side, const struct frame *out, uint16_t *ret_port)
{
	bool v6 = side != sides;
	size_t bytes = v6 ? 16 : 4, at = FRAME_ETH + (v6 ? 8 : 12);
	uint8_t node[16];
	size_t ports;

	inet_pton(v6 ? AF_INET6 : AF_INET, side->node, node);
	ports = FRAME_ETH + (!v6 ? 20 : out->bytes[FRAME_ETH + 6] == IPPROTO_FRAGMENT ? 48 : 40);
	*ret_port = memcmp(out->bytes + at, node, bytes)
			    ? 0
			    : out->bytes[ports] << 8 | out->bytes[ports + 1];
	return out->bytes[at + 2 * bytes - 1] - 2U;
}

/* ---- steps -------------------------------------------------------------------- */

/* A client's packet, or a part of one (1: first, 2: later fragment).  true: it went
 * to a backend. */
static bool request(struct side *side, uint32_t flow, const struct model_packet *p, uint32_t part)
{
	struct model *model = &side->model;
	struct text client = client_of(side, model_flow_client(flow)), backend;
	struct model_verdict verdict = model_request(model, flow, p);
	struct frame_spec spec = spec_of(p, flow), sent;
	uint32_t id = model->flows[flow].backend;
	uint16_t port = model->flows[flow].snat_port;
	struct frame whole, in, out;
	uint64_t before;
	int action, needs;
	bool xdp;

	spec.src = client.text;
	spec.dst = side->frontend;
	spec.sport = client_port(model_flow_client(flow));
	spec.dport = 80 + model_flow_frontend(flow);
	if (verdict.end == MODEL_UNSURE)
		return false;
	packet_tell(side, part ? "fragment of flow" : "flow", flow, p);
	if (part)
		spec.payload_bytes = FIRST_BYTES + 40 - 8;
	if (!part && !chance(30)) {
		spec.ttl = 1;
		verdict = (struct model_verdict){MODEL_ENDS,
						 model->frontends[model_flow_frontend(flow)]
							 ? LB_REASON_TTL_EXPIRED
							 : LB_REASON_NOT_SERVICE};
	}
	if (verdict.reason == LB_REASON_NO_ENDPOINT || verdict.reason == LB_REASON_BACKEND_GONE)
		if (p->rst || part == 2)
			verdict.reason = LB_REASON_REJECT_SILENT;
	frame_build(&whole, &spec);
	in = whole;
	if (part)
		frame_cut(&whole, part == 1 ? 0 : FIRST_BYTES, part == 1 ? FIRST_BYTES : 40,
			  part == 1, step, &in);
	before = verdict.end == MODEL_BEGINS ? 0 : count_of(side, verdict.reason, id);
	action = run_uplink(&in, &out, &xdp, part);
	if (verdict.end == MODEL_ENDS) {
		bool sent_back = verdict.reason == LB_REASON_NO_ENDPOINT ||
				 verdict.reason == LB_REASON_BACKEND_GONE;
		bool dropped = verdict.reason == LB_REASON_REJECT_SILENT;

		if (action != (sent_back ? WORLD_TC_REDIRECT
			       : dropped ? WORLD_TC_SHOT
					 : WORLD_TC_NEXT) ||
		    count_of(side, verdict.reason, 0) <= before)
			fail_step("flow %u should end for reason %d, the action is %d", flow,
				  verdict.reason, action);
		if (sent_back)
			expect_refusal(side, &out, &spec);
		else if (!dropped)
			expect_same(&out, &in, "what passes");
		return false;
	}
	if (action != WORLD_TC_REDIRECT)
		fail_step("flow %u should be sent on, the action is %d", flow, action);
	if (verdict.end == MODEL_BEGINS) {
		id = backend_seen(side, &out, &port);
		if (id >= MODEL_BACKENDS || !model->backends[id].in_ring)
			fail_step("flow %u begins at backend %u, which isn't in the ring", flow,
				  id);
		needs = model_needs_port(model, flow, p, id);
		if (needs >= 0 && needs != !!port)
			fail_step("flow %u begins with port %u", flow, port);
		if (port && (port < 10000 || port >= 30000 ||
			     !model_port_is_free(model, flow, p, id, port)))
			fail_step("flow %u has port %u, which isn't free", flow, port);
	} else if (count_of(side, verdict.reason, id) != before + 1) {
		fail_step("flow %u isn't counted at its backend %u", flow, id);
	}
	tell("%s backend %u, port %u", verdict.end == MODEL_BEGINS ? "begins at" : "keeps", id,
	     port);
	backend = backend_of(side, id);
	sent = spec;
	sent.dst = backend.text;
	sent.dport = 5000;
	if (port) {
		sent.src = side->node;
		sent.sport = port;
	}
	expect_sent(&out, sent, xdp, part, "what goes to the backend");
	model_requested(model, flow, p, verdict.end, id, port);
	return true;
}

static uint32_t flow_random(bool udp)
{
	return model_flow_index(udp, chance(MODEL_CLIENTS), chance(MODEL_FRONTENDS));
}

static void step_request(struct side *side)
{
	struct model_packet p = packet_random(chance(3) == 0, false);

	request(side, flow_random(p.udp), &p, 0);
}

static void step_fragments(struct side *side)
{
	struct model_packet p = {.udp = true, .data = true};
	uint32_t flow = flow_random(true);
	struct text client = client_of(side, model_flow_client(flow));
	struct frame_spec spec = spec_of(&p, flow);
	struct frame whole, in, out;
	uint64_t before = world_count(world, LB_REASON_STRAY_FRAGMENT);

	if (chance(3) && request(side, flow, &p, 1)) {
		request(side, flow, &p, 2);
		return;
	}
	/* The later one's first is unknown, or wasn't sent on. */
	spec.src = client.text;
	spec.dst = side->frontend;
	spec.payload_bytes = FIRST_BYTES + 40 - 8;
	frame_build(&whole, &spec);
	frame_cut(&whole, FIRST_BYTES, 40, false, step, &in);
	if (world_run(world, WORLD_TC_UPLINK, &in, &out) != WORLD_TC_SHOT ||
	    world_count(world, LB_REASON_STRAY_FRAGMENT) != before + 1)
		fail_step("%s", "a fragment without its first isn't dropped");
}

static void step_answer(struct side *side)
{
	struct model *model = &side->model;
	uint32_t client = chance(MODEL_CLIENTS), backend = chance(MODEL_BACKENDS), flow;
	struct model_packet p = packet_random(chance(3) == 0, true);
	uint16_t port = 0;
	struct frame_spec spec = spec_of(&p, 0);
	struct model_verdict verdict;
	struct text pod, peer;
	struct frame in, out;
	uint64_t before;
	int action;

	if (model->nreplies && chance(8)) {
		const struct model_reply *reply = &model->replies[chance(model->nreplies)];

		p = packet_random(reply->udp, true);
		spec = spec_of(&p, reply->flow);
		client = reply->client;
		backend = reply->backend;
		port = reply->snat_port;
	}
	verdict = model_answer(model, backend, client, port, &p, &flow);
	if (verdict.end == MODEL_UNSURE)
		return;
	packet_tell(side, "answer of backend", backend, &p);
	tell("to client %u, port %u", client, port);
	pod = backend_of(side, backend);
	peer = client_of(side, client);
	spec.src = pod.text;
	spec.sport = 5000;
	spec.dst = port ? side->node : peer.text;
	spec.dport = port ?: client_port(client);
	frame_build(&in, &spec);
	before = count_of(side, verdict.reason, backend);
	action = world_run(world, WORLD_TC_POD, &in, &out);
	if (action != (verdict.end == MODEL_KEEPS ? WORLD_TC_REDIRECT : WORLD_TC_NEXT) ||
	    count_of(side, verdict.reason, backend) != before + 1)
		fail_step("an answer of backend %u to client %u should end for reason %d, the "
			  "action is %d",
			  backend, client, verdict.reason, action);
	if (verdict.end != MODEL_KEEPS) {
		expect_same(&out, &in, "what a pod sends to others");
		return;
	}
	peer = client_of(side, model_flow_client(flow));
	spec.src = side->frontend;
	spec.sport = 80 + model_flow_frontend(flow);
	spec.dst = peer.text;
	spec.dport = client_port(model_flow_client(flow));
	expect_sent(&out, spec, false, 0, "what goes to the client");
}

/* A router's error about an answer reaches the backend, a pod's about a packet the
 * client, quoting what each has sent. */
static void step_error(struct side *side)
{
	bool v6 = side != sides, to_backend = chance(2);
	uint32_t flow = flow_random(chance(2));
	const struct model_flow *f = &side->model.flows[flow];
	const struct model_reply *reply = model_reply_of(&side->model, flow);
	struct text client = client_of(side, model_flow_client(flow)),
		    pod = backend_of(side, f->backend);
	struct model_packet p = {.udp = flow >= MODEL_FLOWS / 2, .ack = true, .data = true};
	struct frame_spec far = spec_of(&p, flow), near = far; /* the client's side, the pod's */
	enum lb_reason reason = LB_REASON_ICMP_TRANSLATED;
	struct frame seen, sent, in, out, expected;
	uint16_t port;
	uint64_t before;
	int action;

	if (!f->known || (!to_backend && (!reply || reply->unsure || reply->flow != flow)))
		return;
	port = f->snat_port;
	if (to_backend && side->model.backends[f->backend].generation != f->generation)
		reason = LB_REASON_NOT_TCP_UDP;
	far.src = to_backend ? side->frontend : client.text;
	far.dst = to_backend ? client.text : side->frontend;
	far.sport =
		to_backend ? 80 + model_flow_frontend(flow) : client_port(model_flow_client(flow));
	far.dport =
		to_backend ? client_port(model_flow_client(flow)) : 80 + model_flow_frontend(flow);
	near.src = to_backend ? pod.text : port ? side->node : client.text;
	near.dst = !to_backend ? pod.text : port ? side->node : client.text;
	near.sport = to_backend ? 5000 : port ?: client_port(model_flow_client(flow));
	near.dport = !to_backend ? 5000 : port ?: client_port(model_flow_client(flow));
	frame_build(&seen, to_backend ? &far : &near);
	frame_build(&sent, to_backend ? &near : &far);
	frame_icmp_error(&in, to_backend ? side->router : pod.text,
			 to_backend ? side->frontend : near.src, v6 ? 1 : 3, v6 ? 4 : 3, 0, 64,
			 &seen, 100);
	frame_icmp_error(&expected, to_backend ? side->router : side->frontend,
			 to_backend ? pod.text : client.text, v6 ? 1 : 3, v6 ? 4 : 3, 0, 63, &sent,
			 100);
	before = world_count(world, reason);
	action = world_run(world, to_backend ? WORLD_TC_UPLINK : WORLD_TC_POD, &in, &out);
	if (world_count(world, reason) != before + 1)
		fail_step("an error about flow %u isn't counted as %d, the action is %d", flow,
			  reason, action);
	expect_same(&out, reason == LB_REASON_NOT_TCP_UDP ? &in : &expected, "an error");
}

/* ---- what lbd does -------------------------------------------------------------- */

static void ring_write(struct side *side)
{
	uint32_t slots[61], members[MODEL_BACKENDS], n = 0;

	for (uint32_t i = 0; i < MODEL_BACKENDS; i++)
		if (side->model.backends[i].in_ring)
			members[n++] = side->first_id + i;
	for (uint32_t i = 0; i < 61 && n; i++)
		slots[i] = members[chance(n)];
	if (n)
		world_ring_slots(world, side->service, slots, 61);
	else
		world_ring_clear(world, side->service);
}

static void backend_write(struct side *side, uint32_t i)
{
	const struct model_backend *wanted = &side->model.backends[i];
	struct text address = backend_of(side, i);
	struct lb_backend backend;

	world_backend(world, side->first_id + i, side->service, address.text, 5000);
	backend = world_backend_get(world, side->first_id + i);
	backend.generation = 1 + wanted->generation;
	backend.state = wanted->freed  ? LB_BACKEND_FREE
			: wanted->gone ? LB_BACKEND_GONE
				       : LB_BACKEND_ACTIVE;
	if (wanted->down)
		backend.flags |= LB_BACKEND_F_DOWN;
	world_backend_set(world, side->first_id + i, &backend);
}

static void frontend_write(struct side *side, uint32_t i, bool there)
{
	for (int udp = 0; udp < 2; udp++) {
		uint8_t protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;

		if (there)
			world_frontend(world, side->frontend, 80 + i, protocol, side->service);
		else
			world_frontend_delete(world, side->frontend, 80 + i, protocol);
	}
	side->model.frontends[i] = there;
}

static void step_change(struct side *side)
{
	uint32_t i = chance(MODEL_BACKENDS), f = chance(MODEL_FRONTENDS);
	struct model_backend *backend = &side->model.backends[i];

	switch (chance(6)) {
	case 0: /* a frontend goes, and comes back */
		frontend_write(side, f, !side->model.frontends[f]);
		break;
	case 1: /* in no slice any more; then its id is free; then another's */
		if (backend->freed) {
			backend->freed = backend->gone = backend->down = false;
			backend->in_ring = true;
		} else if (backend->gone) {
			backend->freed = true;
			backend->generation++;
		} else {
			backend->gone = true;
			backend->in_ring = false;
		}
		break;
	case 2: /* fails its check, and recovers */
		if (backend->gone)
			break;
		backend->down = !backend->down;
		backend->in_ring = !backend->down;
		break;
	case 3: /* all at once */
		for (uint32_t b = 0; b < MODEL_BACKENDS; b++)
			side->model.backends[b].in_ring = !side->model.backends[b].gone &&
							  !side->model.backends[b].down &&
							  chance(8);
		break;
	default: /* not ready, and ready again */
		if (!backend->gone && !backend->down)
			backend->in_ring = !backend->in_ring;
		break;
	}
	for (uint32_t b = 0; b < MODEL_BACKENDS; b++) {
		const struct model_backend *now = &side->model.backends[b];

		backend_write(side, b);
		tell("IPv%d backend %u: %s%s%s%s, generation %u", side == sides ? 4 : 6, b,
		     now->in_ring ? "in the ring " : "", now->down ? "down " : "",
		     now->gone ? "gone " : "", now->freed ? "freed" : "", now->generation);
	}
	ring_write(side);
	/* What a CPU has seen in this tick holds until it ends. */
	time_goes_by(1 + chance(2));
}

static void side_reset(struct side *side)
{
	side->model = (struct model){.nreplies = 0};
	for (uint32_t i = 0; i < MODEL_BACKENDS; i++) {
		side->model.backends[i].in_ring = true;
		backend_write(side, i);
	}
	for (uint32_t i = 0; i < MODEL_FRONTENDS; i++)
		frontend_write(side, i, true);
	ring_write(side);
}

static void sequence_run(void)
{
	static const uint32_t pauses[] = {1, 3, 12, 250, 460, 1000, 200000};
	time_t end = time(NULL) + SEED_S;

	print_message("# seed %llu\n", (unsigned long long)seed);
	random_state = seed;
	each_table(entry_delete, 0);
	for (int v6 = 0; v6 < 2; v6++) {
		side_reset(&sides[v6]);
	}
	world_device_native(world, chance(2));
	for (step = 0; step < STEPS && time(NULL) < end; step++) {
		struct side *side = &sides[chance(2)];
		uint32_t what = chance(100);

		side->model.now = now_ticks() + skipped_ticks;
		if (what < 50)
			step_request(side);
		else if (what < 78)
			step_answer(side);
		else if (what < 84)
			step_error(side);
		else if (what < 88)
			step_fragments(side);
		else if (what < 94)
			step_change(side);
		else
			time_goes_by(pauses[chance(sizeof(pauses) / sizeof(pauses[0]))]);
	}
	for (int v6 = 0; v6 < 2; v6++)
		for (uint32_t i = 0; i < MODEL_FRONTENDS; i++)
			if (sides[v6].model.frontends[i])
				frontend_write(&sides[v6], i, false);
}

static void whatever_comes_ends_as_the_model_says(void **state)
{
	const char *given = getenv("GUIDEWAY_SEED"), *many = getenv("GUIDEWAY_SEEDS");
	uint64_t n = given ? 1 : many ? strtoull(many, NULL, 10) : SEEDS;

	uint64_t first = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * SEEDS;

	(void)state;
	told = given;
	world_flows = 4096;
	world_reject_rate = 1000000;
	world = world_open();
	for (seed = first; seed < first + n; seed++)
		sequence_run();
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_comes_ends_as_the_model_says),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet_model", tests, NULL, NULL);
}
