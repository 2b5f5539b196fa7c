/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frontend, flow and pick for the sockets of this node's own processes: the same
 * steps as for packets, but before there is one.
 *
 * The node is its own client, with its first address, and counts as inside: an external
 * address means all backends to it, whatever the policy (service-semantics 35,
 * 36).  Loopback stands for that address where a node port is asked for (68).
 *
 * A connected socket has its backend for good.  A UDP socket that isn't keeps it for each
 * frontend as long as the datapath keeps a UDP flow.
 */
#ifndef SOCKET_FLOW_BPF_H
#define SOCKET_FLOW_BPF_H

static __always_inline bool socket_same_place(const struct lb_place *a, const struct lb_place *b)
{
	return a->port == b->port && a->family == b->family && a->addr[0] == b->addr[0] &&
	       a->addr[1] == b->addr[1] && a->addr[2] == b->addr[2] && a->addr[3] == b->addr[3];
}

/* 127.0.0.0/8 and ::1; and 0.0.0.0 and ::, which mean the same to connect(2). */
static __always_inline bool socket_is_loopback(const struct lb_place *to, const bool v6)
{
	__u8 first = bpf_ntohl(to->addr[0]) >> 24;

	if (!v6)
		return first == 127 || !to->addr[0];
	return !(to->addr[0] | to->addr[1] | to->addr[2]) && bpf_ntohl(to->addr[3]) <= 1;
}

/* What a packet there would be, as far as it is known: no source port yet. */
static __always_inline void socket_packet(const struct lb_place *to, struct packet *p,
					  const bool v6)
{
	if (v6) {
		flow_node_address6(p->tuple.v6.src);
		if (socket_is_loopback(to, v6))
			flow_node_address6(p->tuple.v6.dst);
		else
			__builtin_memcpy(p->tuple.v6.dst, to->addr, sizeof(p->tuple.v6.dst));
		p->tuple.v6.dport = to->port;
	} else {
		p->tuple.v4.src = settings.node_address4;
		p->tuple.v4.dst = socket_is_loopback(to, v6) ? p->tuple.v4.src : to->addr[0];
		p->tuple.v4.dport = to->port;
	}
	p->from_pod = 1;
}

/* Step 2. */
static __always_inline enum lb_reason socket_frontend(const struct lb_place *to, struct packet *p,
						      struct lb_frontend *ret, const bool v6)
{
	enum lb_reason reason;

	socket_packet(to, p, v6);
	if (!frontend_is_possible(p, v6))
		return LB_REASON_NOT_SERVICE;
	reason = frontend_find(p, ret, v6);
	if (!reason && socket_is_loopback(to, v6) && !(ret->flags & LB_FRONTEND_F_NODEPORT))
		return LB_REASON_NOT_SERVICE;
	return reason;
}

/* Step 4, for a connection or the first datagram to a frontend. */
static __always_inline enum lb_reason
socket_begin(struct packet *p, const struct lb_frontend *frontend, __u32 *ret_id, const bool v6)
{
	enum lb_reason reason;
	__u64 hash;

	/* No source port, and so no tuple to hash: any slot. */
	hash = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
	reason = source_check(p, frontend, v6) ?: flow_pick(p, frontend, hash, 0, ret_id, v6);
	if (!reason)
		count_connection(*ret_id);
	return reason;
}

/* The backend's place and word. */
static __always_inline enum lb_reason socket_backend(__u32 id, __u16 tag, __u64 *ret_word,
						     struct lb_place *ret)
{
	struct lb_backend *backend = backend_find(id);

	if (!backend || backend->state == LB_BACKEND_FREE)
		return LB_REASON_SLOT_INVALID;
	*ret_word = LB_FLOW_BACKEND(id, backend->generation, tag);
	__builtin_memcpy(ret->addr, backend->addr, sizeof(ret->addr));
	ret->port = backend->port;
	ret->family = backend->family;
	return 0;
}

static __always_inline enum lb_reason socket_choose_in(const struct lb_place *to, __u8 protocol,
						       __u32 *ret_id, const bool v6)
{
	struct packet p = {.protocol = protocol};
	struct lb_frontend frontend;

	return socket_frontend(to, &p, &frontend, v6) ?: socket_begin(&p, &frontend, ret_id, v6);
}

/* Whom is a socket to be connected to that asks for this place? */
__noinline int socket_choose(const struct lb_place *to, struct lb_socket *ret, __u8 protocol)
{
	enum lb_reason reason;
	__u32 id = 0;

	if (!to || !ret)
		return LB_REASON_NOT_SERVICE; /* for the verifier: never */
	reason = to->family == 6 ? socket_choose_in(to, protocol, &id, true)
				 : socket_choose_in(to, protocol, &id, false);
	if (reason)
		return reason;
	ret->frontend = *to;
	return socket_backend(id, 0, &ret->backend, &ret->peer);
}

/* ---- UDP without connect ------------------------------------------------- */

static __always_inline void socket_flow_key(__u64 cookie, const struct lb_place *place, __u32 side,
					    struct lb_socket_flow_key *ret)
{
	ret->cookie = cookie;
	ret->place = *place;
	ret->side = side;
}

static __always_inline __u16 socket_flow_tag(const struct lb_socket_flow_key *key)
{
	__u64 h = hash_mix(key->cookie, (__u64)key->place.addr[0] << 32 | key->place.addr[1]);

	h = hash_mix(h, (__u64)key->place.addr[2] << 32 | key->place.addr[3]);
	return hash_tag(hash_mix(h, (__u64)key->place.port << 32 | key->side));
}

/* Step 3: the backend that the socket's datagrams to this frontend have had, 0 =
 * none, or none that is still good. */
static __always_inline __u32 socket_flow_backend(const struct lb_socket_flow_key *key,
						 __u32 service)
{
	struct lb_socket_flow *flow = bpf_map_lookup_elem(&socket_flows, key);
	__u32 now = flow_now_ticks();
	struct lb_backend *backend;
	__u64 word;

	if (!flow ||
	    flow_age_ticks(now, flow->seen_ticks) > config_udp_timeout_ticks[LB_FLOW_ESTABLISHED])
		return 0;
	word = *(volatile __u64 *)&flow->backend;
	backend = backend_find(LB_FLOW_BACKEND_ID(word));
	if (!backend || LB_FLOW_TAG(word) != socket_flow_tag(key) ||
	    !flow_backend_lives(backend, word) || backend->state != LB_BACKEND_ACTIVE ||
	    backend->service != service ||
	    backend->flags & (LB_BACKEND_F_DOWN | LB_BACKEND_F_NOT_SERVING))
		return 0;
	if (flow->seen_ticks != now)
		flow->seen_ticks = now;
	return LB_FLOW_BACKEND_ID(word);
}

static __always_inline enum lb_reason socket_flow_in(const struct lb_place *to,
						     const struct lb_socket_flow_key *key,
						     __u32 *ret_id, bool *ret_new, const bool v6)
{
	struct packet p = {.protocol = IPPROTO_UDP};
	struct lb_frontend frontend;
	enum lb_reason reason = socket_frontend(to, &p, &frontend, v6);

	if (reason)
		return reason;
	*ret_id = socket_flow_backend(key, frontend.service);
	if (*ret_id)
		return 0;
	*ret_new = true;
	return socket_begin(&p, &frontend, ret_id, v6);
}

/* What comes from the backend is from this frontend.  A socket that sends to two
 * frontends of one backend hears from the one it has sent to last. */
static __always_inline long socket_flow_store_back(__u64 cookie, const struct lb_place *frontend,
						   const struct lb_place *backend)
{
	struct lb_socket_flow_key key = {};
	struct lb_socket_flow *old, flow = {};

	socket_flow_key(cookie, backend, LB_SOCKET_FROM, &key);
	old = bpf_map_lookup_elem(&socket_flows, &key);
	if (old && socket_same_place(&old->frontend, frontend))
		return 0;
	flow.frontend = *frontend;
	flow.backend = LB_FLOW_BACKEND(0, 0, socket_flow_tag(&key));
	return bpf_map_update_elem(&socket_flows, &key, &flow, BPF_ANY);
}

/* Where does a socket's datagram go that is for this place?  The way back is stored
 * first, and looked for each time: it may be pushed out of the table alone. */
__noinline int socket_flow_send(const struct lb_place *to, struct lb_place *ret, __u64 cookie)
{
	struct lb_socket_flow_key key = {};
	struct lb_socket_flow flow = {.seen_ticks = flow_now_ticks()};
	enum lb_reason reason;
	bool is_new = false;
	__u32 id = 0;

	if (!to || !ret)
		return LB_REASON_NOT_SERVICE; /* for the verifier: never */
	socket_flow_key(cookie, to, LB_SOCKET_TO, &key);
	reason = to->family == 6 ? socket_flow_in(to, &key, &id, &is_new, true)
				 : socket_flow_in(to, &key, &id, &is_new, false);
	reason = reason ?: socket_backend(id, socket_flow_tag(&key), &flow.backend, ret);
	if (reason)
		return reason;
	if (socket_flow_store_back(cookie, to, ret) ||
	    (is_new && bpf_map_update_elem(&socket_flows, &key, &flow, BPF_ANY)))
		return LB_REASON_FLOW_NOT_STORED;
	return 0;
}

/* Whom did the process send to that is answered from this place?  1 = it is in
 * ret. */
__noinline int socket_flow_heard(const struct lb_place *from, struct lb_place *ret, __u64 cookie)
{
	struct lb_socket_flow_key key = {};
	struct lb_socket_flow *flow;

	if (!from || !ret)
		return 0; /* for the verifier: never */
	socket_flow_key(cookie, from, LB_SOCKET_FROM, &key);
	flow = bpf_map_lookup_elem(&socket_flows, &key);
	if (!flow)
		return 0;
	*ret = flow->frontend;
	/* After the copy: the element may have become another key's. */
	return LB_FLOW_TAG(*(volatile __u64 *)&flow->backend) == socket_flow_tag(&key);
}

#endif
