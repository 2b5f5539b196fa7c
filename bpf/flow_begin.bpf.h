/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow's first packets: a backend is picked, both entries are stored in the
 * small tables, and moved to the big ones once both ends have spoken.
 *
 * Off the path that an established flow's packets take, so functions of their
 * own, shared by both families.
 */
#ifndef FLOW_BEGIN_BPF_H
#define FLOW_BEGIN_BPF_H

/* Ports tried for a flow whose source must be the node's address. */
#define FLOW_SNAT_ATTEMPTS 16

/* What a client's first ACK may cover beyond the SYN-ACK: data that came with it
 * (RFC 7413).  Who guesses is right once in 65,536 times. */
#define FLOW_ACK_MAX 0xffff

/* How long the port of a flow that was closed rests: 1.1 s. */
#define FLOW_REST_TICKS 8

/* How often a flow looks for its reverse entry: a power of two, 4.3 s. */
#define FLOW_HEAL_TICKS 32

static __always_inline bool flow_same_address(const __be32 a[4], const __be32 b[4])
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/* Does another flow live behind this reverse entry?  One of TCP that its backend has
 * ended, and that has been quiet since, leaves its port to the next connection: the
 * backend takes a SYN in TIME-WAIT (RFC 6191). */
static __always_inline bool flow_collides(const struct packet *p, const struct lb_reply *old,
					  bool v6)
{
	__u32 timeout = flow_timeout_ticks(p->protocol, old->state);

	if (flow_is_syn(p) && old->state == LB_FLOW_CLOSING)
		timeout = FLOW_REST_TICKS;
	if (flow_owns(p, old, v6))
		return false;
	return flow_age_ticks(flow_now_ticks(), old->seen_ticks) <= timeout ||
	       flow_of_reply_lives(p, old, timeout, v6);
}

/* A reverse entry in the making: the stack has no room for it.  Programs of one
 * CPU don't interrupt each other here: all of them run in softirq context. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_reply);
} reply_scratch SEC(".maps");

/* The forward entry of a flow that goes to other tables: likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_flow);
} flow_scratch SEC(".maps");

/* Not one of lb_flow's: the inside entry of a stack flow that has a port, see
 * LB_REPLY_F_STACK. */
#define FLOW_INSIDE (1U << 8)

static __always_inline bool flow_has_inside(__u8 flags, __be16 snat_port)
{
	return flags & LB_FLOW_F_STACK && snat_port;
}

/* The reverse entry of p's flow to a backend, and its key.  flags: as in lb_flow, and
 * FLOW_INSIDE. */
static __always_inline void flow_make_reply(const struct packet *p,
					    const struct lb_backend *backend, __u32 backend_id,
					    __be16 snat_port, __u32 flags, union tuple *ret_key,
					    struct lb_reply *ret, bool v6)
{
	/* What came as arguments first: the fewer wait on the stack. */
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->backend = backend_id;
	ret->flags = flags & LB_FLOW_F_STACK ? LB_REPLY_F_STACK : 0;
	ret->snat_port = flags & FLOW_INSIDE ? snat_port : 0;
	flow_reply_key(p, backend, flags & FLOW_INSIDE ? 0 : snat_port, ret_key, v6);
	ret->seen_ticks = flow_now_ticks();
	if (v6) {
		__builtin_memcpy(ret->frontend, p->tuple.v6.dst, sizeof(ret->frontend));
		__builtin_memcpy(ret->client, p->tuple.v6.src, sizeof(ret->client));
		ret->port = p->tuple.v6.dport;
		ret->client_port = p->tuple.v6.sport;
	} else {
		ret->frontend[0] = p->tuple.v4.dst;
		ret->client[0] = p->tuple.v4.src;
		ret->port = p->tuple.v4.dport;
		ret->client_port = p->tuple.v4.sport;
	}
	ret->tag = flow_tag(ret_key, v6);
}

/* Write the reverse entry of a new flow, if no other flow has its key.  Returns
 * 0, LB_REASON_NO_SNAT_PORT (the key is taken) or LB_REASON_FLOW_NOT_STORED. */
__noinline int flow_store_reply(const struct packet *p, __u32 backend_id, __u16 snat_port,
				__u32 flags, bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_reply *reply, *old;
	union tuple key;
	__u32 zero = 0;

	reply = bpf_map_lookup_elem(&reply_scratch, &zero);
	if (!p || !backend || !reply)
		return LB_REASON_FLOW_NOT_STORED; /* for the verifier: never */
	flow_make_reply(p, backend, backend_id, snat_port, flags, &key, reply, v6);
	old = reply_find(&key, v6) ?: reply_find_new(&key, v6);
	if (old) {
		if (flow_collides(p, old, v6))
			return LB_REASON_NO_SNAT_PORT;
		/* Of an ended flow: in the big table it would hide the new entry. */
		reply_delete(&key, v6);
	}
	return reply_store_new(&key, reply, v6) ? LB_REASON_FLOW_NOT_STORED : 0;
}

/*
 * The reverse entries are a table of their own, and may be pushed out of it
 * alone: then the flow's next packet puts its entry back.  Asked for every few
 * seconds, which also tells the table that the entry is in use.
 */
__noinline int flow_heal(const struct packet *p, __u32 backend_id, __u16 snat_port, __u32 flags,
			 bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_reply *reply;
	union tuple key;
	__u32 zero = 0;

	reply = bpf_map_lookup_elem(&reply_scratch, &zero);
	if (!p || !backend || !reply)
		return 0; /* for the verifier: never */
	flow_make_reply(p, backend, backend_id, snat_port, flags, &key, reply, v6);
	if (reply_find(&key, v6) || reply_find_new(&key, v6))
		return 0;
	reply->state = LB_FLOW_ESTABLISHED;
	return reply_store(&key, reply, v6);
}

/* The inside entry goes where the flow's others have gone: to the small tables, or to
 * the big ones. */
__noinline int flow_move_inside(const struct packet *p, __u32 backend_id, bool small, bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_reply *reply, *old;
	union tuple key;
	__u32 zero = 0;

	reply = bpf_map_lookup_elem(&reply_scratch, &zero);
	if (!p || !backend || !reply)
		return 0; /* for the verifier: never */
	flow_reply_key(p, backend, 0, &key, v6);
	old = small ? reply_find(&key, v6) : reply_find_new(&key, v6);
	if (!old)
		return 0;
	*reply = *old;
	if (reply->tag != flow_tag(&key, v6))
		return 0;
	if (small && !reply_store_new(&key, reply, v6))
		reply_delete(&key, v6);
	else if (!small && !reply_store(&key, reply, v6))
		reply_delete_new(&key, v6);
	return 0;
}

/*
 * A connection that both ends have closed goes back to the small tables: dead
 * flows push out each other there, and not those that live.
 */
__noinline int flow_demote(const struct packet *p, const struct lb_flow *flow, __u32 backend_id,
			   bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_flow closed;
	struct lb_reply *reply, *old;
	union tuple key, tuple; /* p's: see flow_tables.bpf.h */
	__u32 zero = 0;

	reply = bpf_map_lookup_elem(&reply_scratch, &zero);
	if (!p || !flow || !backend || !reply)
		return 0; /* for the verifier: never */
	flow_reply_key(p, backend, flow->snat_port, &key, v6);
	old = reply_find(&key, v6);
	if (!old || (old->state != LB_FLOW_CLOSING && !(p->tcp_flags & TCP_FLAG_RST)))
		return 0;
	*reply = *old;
	/* By a RST alone: if it was forged, the client's next data brings the flow back,
	 * however far the handshake's numbers are behind. */
	if (reply->state != LB_FLOW_CLOSING)
		reply->flags &= ~LB_REPLY_F_SYN_ACK;
	closed = *flow;
	tuple = p->tuple;
	if (reply->tag != flow_tag(&key, v6))
		return 0;
	if (reply_store_new(&key, reply, v6) ||
	    flow_store_new(&tuple, &closed, flow_find_new(&tuple, v6), v6))
		return 0;
	flow_delete(&tuple, v6);
	reply_delete(&key, v6);
	return 1;
}

/* Would the backend answer past us?  It would if it saw its own address as the
 * client's (a pod that reaches itself through a service). */
static __always_inline bool flow_is_hairpin(const struct packet *p,
					    const struct lb_backend *backend, bool v6)
{
	return v6 ? flow_same_address(p->tuple.v6.src, backend->addr)
		  : p->tuple.v4.src == backend->addr[0];
}

static __always_inline bool flow_node_address_known(bool v6)
{
	return v6 ? settings.node_address6[0] | settings.node_address6[1] |
			       settings.node_address6[2] | settings.node_address6[3]
		  : settings.node_address4;
}

/* The port of the node's address that a flow tries at an attempt from 1 up.  Hashed
 * anew for each: side by side, ports that are taken would grow into long rows. */
static __always_inline __be16 flow_snat_candidate(__u64 hash, __u32 attempt)
{
	return bpf_htons(config_snat_port_first +
			 hash_slot(hash_mix(hash, attempt), config_snat_ports));
}

static __always_inline bool flow_is_from_node(const struct packet *p, bool v6)
{
	__be32 node[4];

	if (!flow_node_address_known(v6))
		return false;
	if (!v6)
		return p->tuple.v4.src == settings.node_address4;
	flow_node_address6(node);
	return flow_same_address(p->tuple.v6.src, node);
}

/* Loopback, multicast, broadcast, unspecified, link-local of IPv6: the stack would not
 * route it.  Nor what says that this node has sent it: its answers would take the place
 * of those that pods give to the node itself. */
static __always_inline bool flow_is_martian(const struct packet *p, bool v6)
{
	const __be32 *src = p->tuple.v6.src;
	__u8 first;

	if (flow_is_from_node(p, v6))
		return true;
	if (!v6) {
		first = bpf_ntohl(p->tuple.v4.src) >> 24;
		return first == 0 || first == 127 || first >= 224;
	}
	return (bpf_ntohl(src[0]) >> 24) == 0xff || (bpf_ntohl(src[0]) >> 22) == 0x3fa ||
	       (!(src[0] | src[1] | src[2]) && bpf_ntohl(src[3]) <= 1);
}

/* Which way does a new flow take, for good?  LB_FLOW_F_STACK or 0. */
static __always_inline __u8 flow_choose_path(const struct packet *p,
					     const struct lb_backend *backend, bool hairpin)
{
	/* A source of ours that comes in from outside would be a martian. */
	if (hairpin)
		return 0;
	if (backend->flags & LB_BACKEND_F_STACK || (p->from_pod && settings.stack_clients))
		return LB_FLOW_F_STACK;
	/* It answers to the pod's own address: only the stack looks there. */
	if (p->from_pod && backend->flags & LB_BACKEND_F_REMOTE)
		return LB_FLOW_F_STACK;
	return 0;
}

/* The backend of a flow in the small tables. */
struct flow_found {
	__u32 id;
	__be16 snat_port; /* as in lb_flow */
	__u8 flags;	  /* likewise; the attempt is the pick's */
	__u8 known;	  /* they hold the key, be it without a say */
};

/* Step 4: where the client's flows go, or what the ring says. */
static __always_inline enum lb_reason flow_pick(struct packet *p,
						const struct lb_frontend *frontend, __u64 hash,
						__u32 attempt, __u32 *ret_id, bool v6)
{
	__u32 id = frontend->service;
	struct lb_service *service = bpf_map_lookup_elem(&services, &id);
	enum lb_scope scope = pick_scope(p, frontend);
	enum lb_reason reason;

	if (!service)
		return LB_REASON_NO_ENDPOINT;
	if (service->affinity_ticks) {
		/* Unanswered: another one this time. */
		*ret_id = attempt ? 0 : affinity_backend(p, id, service->affinity_ticks, scope, v6);
		if (*ret_id)
			return 0;
		hash = affinity_hash(p, service->identity, v6);
	}
	reason = pick_backend(service, frontend, scope, hash, attempt, ret_id);
	if (!reason && service->affinity_ticks)
		affinity_store(p, id, *ret_id, v6);
	return reason;
}

/*
 * Store the reverse entry of a new flow, and find the port that goes with it.
 *
 * The backend sees the client's own address, unless it couldn't answer through us
 * then, or not tell this flow from another: one client port may talk to two
 * frontends of one backend.  needs_port: it is sure from the first.
 */
static __always_inline enum lb_reason flow_store_way_back(const struct packet *p, __u64 hash,
							  struct flow_target *target,
							  bool needs_port, bool v6)
{
	/* A stack flow to a backend of this node has no port, and isn't begun by
	 * bypass either: that would be a way around policies. */
	bool may_have_port =
		flow_node_address_known(v6) && (needs_port || !(target->flags & LB_FLOW_F_STACK));
	enum lb_reason reason = LB_REASON_NO_SNAT_PORT;
	__u32 i;

#pragma clang loop unroll(disable)
	for (i = needs_port; i <= FLOW_SNAT_ATTEMPTS; i++) {
		if (i && !may_have_port)
			break;
		/* clang 19 would keep a part of the mix, too, from one round to the next. */
		asm volatile("" : "+r"(hash));
		target->snat_port = i ? flow_snat_candidate(hash, i) : 0;
		reason = flow_store_reply(p, target->id, target->snat_port, target->flags, v6);
		if (reason != LB_REASON_NO_SNAT_PORT)
			break;
	}
	if (reason || !flow_has_inside(target->flags, target->snat_port))
		return reason;
	if (!settings.stack_snat_used)
		settings.stack_snat_used = 1;
	return flow_store_reply(p, target->id, target->snat_port, target->flags | FLOW_INSIDE, v6);
}

/* A new flow: pick a backend of the frontend's service and store its entries. */
__noinline int flow_begin(struct packet *p, struct flow_found *found, bool v6)
{
	struct lb_flow flow = {.seen_ticks = flow_now_ticks()};
	struct flow_target target = {};
	struct lb_frontend frontend;
	enum lb_reason reason;
	union tuple tuple;
	bool hairpin, remote;
	__u64 hash;

	if (!p || !found)
		return LB_REASON_FLOW_NOT_STORED; /* for the verifier: never */
	reason = frontend_find(p, &frontend, v6);
	if (reason)
		return reason;
	if (flow_is_martian(p, v6))
		return LB_REASON_MARTIAN;
	reason = source_check(p, &frontend, v6);
	if (reason)
		return reason;
	/* Mid-flow TCP without an entry: we are told late. */
	if (p->protocol == IPPROTO_TCP && !flow_is_syn(p))
		flow.state = flow_next_state(p, LB_FLOW_ESTABLISHED);
	hash = flow_hash(p, v6);
	reason = flow_pick(p, &frontend, hash, LB_FLOW_ATTEMPT(found->flags), &target.id, v6);
	if (reason)
		return reason;
	target.backend = backend_find(target.id);
	if (!target.backend || target.backend->state == LB_BACKEND_FREE)
		return LB_REASON_SLOT_INVALID;
	hairpin = flow_is_hairpin(p, target.backend, v6);
	remote = target.backend->flags & LB_BACKEND_F_REMOTE;
	target.flags = flow_choose_path(p, target.backend, hairpin);
	/* A pod's own address leads back here, a client's from outside doesn't. */
	reason = flow_store_way_back(p, hash, &target, hairpin || (remote && !p->from_pod), v6);
	if (reason)
		return reason;

	flow.backend =
		LB_FLOW_BACKEND(target.id, target.backend->generation, flow_tag(&p->tuple, v6));
	flow.snat_port = target.snat_port;
	flow.flags = LB_FLOW_ATTEMPT(found->flags) | target.flags;
	if (target.flags & LB_FLOW_F_STACK && !settings.stack_used)
		settings.stack_used = 1;
	tuple = p->tuple;
	if (flow_store_new(&tuple, &flow, found->known, v6))
		return LB_REASON_FLOW_NOT_STORED;
	count_connection(target.id);
	found->id = target.id;
	found->snat_port = target.snat_port;
	found->flags = flow.flags;
	return 0;
}

/*
 * A packet of a flow in the small tables: move it to the big ones if both ends
 * have shown that they are there.  TCP: the client's ACK covers the SYN-ACK,
 * whose sequence number only its receiver knows.  Seen midway, or UDP: the
 * backend has answered with anything but RST, and the client goes on.
 */
__noinline int flow_promote(const struct packet *p, const struct lb_flow *flow, __u32 backend_id,
			    bool v6)
{
	struct lb_backend *backend = backend_find(backend_id);
	struct lb_reply *reply, *old;
	struct lb_flow *established;
	union tuple key, tuple;
	__u32 zero = 0;

	reply = bpf_map_lookup_elem(&reply_scratch, &zero);
	established = bpf_map_lookup_elem(&flow_scratch, &zero);
	if (!p || !flow || !backend || !reply || !established)
		return 0; /* for the verifier: never */
	if (flow_is_syn(p) || flow_next_state(p, flow->state) == LB_FLOW_CLOSING)
		return 0;
	flow_reply_key(p, backend, flow->snat_port, &key, v6);
	old = reply_find_new(&key, v6);
	if (!old || old->state == LB_FLOW_NEW || !flow_owns(p, old, v6))
		return 0;
	if (old->flags & LB_REPLY_F_SYN_ACK ? !(p->tcp_flags & TCP_FLAG_ACK) ||
						      p->tcp_ack - old->syn_ack_next > FLOW_ACK_MAX
					    : old->state == LB_FLOW_CLOSING)
		return 0;

	*established = *flow;
	tuple = p->tuple;
	established->state = flow_next_state(p, LB_FLOW_ESTABLISHED);
	established->seen_ticks = flow_now_ticks();
	*reply = *old;
	if (reply->tag != flow_tag(&key, v6))
		return 0; /* the entry became another key's under our eyes */
	/* In the order that a reader needs: the way back first, and both new
	 * entries before the old ones go. */
	if (reply_store(&key, reply, v6) || flow_store(&tuple, established, v6))
		return 0;
	flow_delete_new(&tuple, v6);
	reply_delete_new(&key, v6);
	return 1;
}

/* A SYN sent again, unanswered for long enough: its backend may be dead before
 * anyone has noticed. */
static __always_inline bool flow_is_unanswered(const struct packet *p, const struct lb_flow *flow,
					       __u32 now, const bool v6)
{
	return flow_is_syn(p) && flow->state == LB_FLOW_NEW &&
	       flow_age_ticks(now, flow->seen_ticks) >= FLOW_UNANSWERED_TICKS &&
	       flow_reply_state(p, LB_FLOW_BACKEND_ID(flow->backend), flow->snat_port, v6) ==
		       LB_FLOW_NEW;
}

/*
 * Is it in the small tables?  Returns FLOW_NONE where a flow has to begin,
 * which is the attempt of found->flags.  hidden: the big tables have an entry without a
 * say, which would hide the one found here.
 */
__noinline int flow_find_young(const struct packet *p, struct flow_found *found, bool hidden,
			       bool v6)
{
	__u32 now = flow_now_ticks();
	struct flow_target target;
	enum lb_reason reason;
	struct lb_flow *flow;
	union tuple tuple;

	if (!p || !found)
		return LB_REASON_FLOW_NOT_STORED; /* for the verifier: never */
	tuple = p->tuple;
	flow = flow_find_new(&tuple, v6);
	if (!flow)
		return FLOW_NONE;
	found->known = 1;
	reason = flow_hit(p, flow, now, &target, v6);
	if (reason)
		return reason;
	if (flow_is_unanswered(p, flow, now, v6)) {
		found->flags = LB_FLOW_ATTEMPT(flow->flags + 1);
		return FLOW_NONE;
	}
	found->id = target.id;
	found->snat_port = target.snat_port;
	found->flags = target.flags;
	if (hidden)
		flow_delete(&tuple, v6);
	/* The entry isn't ours any more once it has moved.  A SYN's own clock
	 * runs from the first one sent to this backend.  Of UDP an answer alone says
	 * that a flow is more than new: what XDP leaves to TC comes by twice. */
	if (flow_promote(p, flow, target.id, v6)) {
		if (flow_has_inside(target.flags, target.snat_port))
			flow_move_inside(p, target.id, false, v6);
	} else if (p->protocol == IPPROTO_UDP) {
		flow->seen_ticks = now;
	} else if (flow->state != LB_FLOW_NEW || !flow_is_syn(p)) {
		flow_touch(p, flow, now);
	}
	return 0;
}

/* flow_resolve() by the tables.  epoch: of the flow's set in the cache. */
static __always_inline enum lb_reason flow_resolve_by_tables(struct packet *p, __u16 epoch,
							     __u32 now, struct flow_target *ret,
							     const bool v6)
{
	struct flow_found found = {};
	enum lb_reason reason;
	struct lb_flow *flow;

	flow = flow_find(&p->tuple, v6);
	if (flow) {
		reason = flow_hit(p, flow, now, ret, v6);
		if (!reason) {
			if ((flow->seen_ticks ^ now) & -FLOW_HEAL_TICKS) {
				flow_heal(p, ret->id, ret->snat_port, ret->flags, v6);
				if (flow_has_inside(ret->flags, ret->snat_port))
					flow_heal(p, ret->id, ret->snat_port,
						  ret->flags | FLOW_INSIDE, v6);
			}
			flow_touch(p, flow, now);
			if (flow->state == LB_FLOW_CLOSING) {
				if (flow_demote(p, flow, ret->id, v6) &&
				    flow_has_inside(ret->flags, ret->snat_port))
					flow_move_inside(p, ret->id, true, v6);
			} else if (flow_cache_may_hold(p) && !(ret->flags & LB_FLOW_F_STACK)) {
				flow_cache_store(
					p, LB_FLOW_BACKEND(ret->id, ret->backend->generation, 0),
					ret->snat_port, epoch, v6);
			}
		}
		if (reason != FLOW_NONE)
			return reason;
	}
	reason = flow_find_young(p, &found, flow != NULL, v6);
	if (reason == FLOW_NONE) {
		reason = flow_begin(p, &found, v6);
		/* The other entry would hide this one. */
		if (!reason && flow)
			flow_delete(&p->tuple, v6);
	}
	if (reason)
		return reason;
	*ret = (struct flow_target){backend_find(found.id), found.id, found.snat_port, found.flags};
	return ret->backend ? 0 : LB_REASON_FLOW_NOT_STORED;
}

/* Steps 3 and 4 for a packet of a client. */
static __always_inline enum lb_reason flow_resolve(struct packet *p, struct flow_target *ret,
						   const bool v6)
{
	__u64 key_hash = flow_key_hash(&p->tuple, v6);
	__u32 set = flow_cache_set(key_hash), now = flow_now_ticks();
	bool may_change = !flow_cache_may_hold(p);
	__u16 epoch = flow_epochs[set];
	enum lb_reason reason;

	/* clang 14 spills it on ways out where it isn't set. */
	*ret = (struct flow_target){};
	if (!may_change && flow_cache_find(p, key_hash, epoch, now, ret, v6))
		return 0;
	reason = flow_resolve_by_tables(p, epoch, now, ret, v6);
	if (may_change)
		flow_epochs[set]++;
	return reason;
}

#endif
