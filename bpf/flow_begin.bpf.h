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

/* Slots tried for a new flow whose reply tuple another frontend's flow has. */
#define FLOW_PICK_ATTEMPTS 4

static __always_inline bool flow_same_address(const __be32 a[4], const __be32 b[4])
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/* Does another frontend's flow live behind this reverse entry? */
static __always_inline bool flow_collides(const struct lb_reply *old, const struct lb_reply *reply,
					  __u8 protocol, __u32 now)
{
	return (old->port != reply->port || !flow_same_address(old->frontend, reply->frontend)) &&
	       now - old->seen_ticks <= flow_timeout_ticks(protocol, old->state);
}

/*
 * Write the reverse entry of a new flow.  LB_REASON_REPLY_COLLISION where the
 * same client port talks to the same backend through another frontend: the
 * backend couldn't tell the two apart, and neither could we.
 */
static __always_inline enum lb_reason flow_store_reply(const struct packet *p, __u32 backend_id,
						       const struct lb_backend *backend, __u32 now,
						       bool v6)
{
	struct lb_reply reply = {.backend = backend_id, .seen_ticks = now}, *old;
	union tuple key;

	flow_reply_key(p, backend, &key, v6);
	if (v6) {
		__builtin_memcpy(reply.frontend, p->tuple.v6.dst, sizeof(reply.frontend));
		reply.port = p->tuple.v6.dport;
	} else {
		reply.frontend[0] = p->tuple.v4.dst;
		reply.port = p->tuple.v4.dport;
	}
	reply.tag = flow_tag(&key, v6);

	old = reply_find(&key, v6);
	if (old) {
		if (flow_collides(old, &reply, p->protocol, now))
			return LB_REASON_REPLY_COLLISION;
		/* Of an ended flow: it would hide the new entry. */
		reply_delete(&key, v6);
	}
	old = reply_find_new(&key, v6);
	if (old && flow_collides(old, &reply, p->protocol, now))
		return LB_REASON_REPLY_COLLISION;
	return reply_store_new(&key, &reply, v6) ? LB_REASON_FLOW_NOT_STORED : 0;
}

/*
 * A new flow: pick a backend whose replies can be told from other flows', and
 * store both entries.  first_attempt is the pick's to begin with.
 */
__noinline int flow_begin(const struct packet *p, __u32 service, __u32 first_attempt, bool v6,
			  __u32 *ret_id)
{
	__u32 now = flow_now_ticks(), id = 0, attempt;
	struct lb_flow flow = {.seen_ticks = now, .attempt = first_attempt};
	enum lb_reason reason = LB_REASON_NONE;
	struct lb_backend *backend = NULL;

	if (!p || !ret_id)
		return LB_REASON_FLOW_NOT_STORED; /* for the verifier: never */
	/* Mid-flow TCP without an entry: we are told late. */
	if (p->protocol == IPPROTO_TCP && !flow_is_syn(p))
		flow.state = LB_FLOW_ESTABLISHED;
#pragma clang loop unroll(disable)
	for (attempt = 0; attempt < FLOW_PICK_ATTEMPTS; attempt++) {
		reason = pick_backend(service, p->hash, first_attempt + attempt, &id);
		if (reason)
			return reason;
		backend = backend_find(id);
		if (!backend || backend->state == LB_BACKEND_FREE)
			return LB_REASON_SLOT_INVALID;
		reason = flow_store_reply(p, id, backend, now, v6);
		if (reason != LB_REASON_REPLY_COLLISION)
			break;
	}
	if (reason)
		return reason;

	flow.backend = LB_FLOW_BACKEND(id, backend->generation, hash_tag(p->hash));
	if (flow_store_new(&p->tuple, &flow, BPF_ANY, v6))
		return LB_REASON_FLOW_NOT_STORED;
	*ret_id = id;
	count_connection(service, id);
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
	struct lb_flow established;
	struct lb_reply reply, *old;
	union tuple key;

	if (!p || !flow || !backend)
		return 0; /* for the verifier: never */
	if (flow_is_syn(p) || flow->state == LB_FLOW_CLOSING)
		return 0;
	flow_reply_key(p, backend, &key, v6);
	old = reply_find_new(&key, v6);
	if (!old || old->state == LB_FLOW_NEW)
		return 0;
	if (old->syn_ack
		    ? !(p->tcp_flags & TCP_FLAG_ACK) || (__s32)(p->tcp_ack - old->syn_ack_next) < 0
		    : old->state == LB_FLOW_CLOSING)
		return 0;

	established = *flow;
	established.state = LB_FLOW_ESTABLISHED;
	reply = *old;
	if (reply.tag != flow_tag(&key, v6))
		return 0; /* the entry became another key's under our eyes */
	/* In the order that a reader needs: the way back first, and both new
	 * entries before the old ones go. */
	if (reply_store(&key, &reply, v6) || flow_store(&p->tuple, &established, v6))
		return 0;
	flow_delete_new(&p->tuple, v6);
	reply_delete_new(&key, v6);
	return 1;
}

/* A SYN sent again, unanswered for long enough: its backend may be dead before
 * anyone has noticed. */
static __always_inline bool flow_is_unanswered(const struct packet *p, const struct lb_flow *flow,
					       const struct lb_backend *backend, __u32 now,
					       const bool v6)
{
	struct lb_reply *reply;
	union tuple key;

	if (!flow_is_syn(p) || flow->state != LB_FLOW_NEW ||
	    now - flow->seen_ticks < FLOW_UNANSWERED_TICKS)
		return false;
	flow_reply_key(p, backend, &key, v6);
	reply = reply_find_new(&key, v6);
	return !reply || reply->state == LB_FLOW_NEW;
}

/* Steps 3 and 4 for a packet of a client. */
static __always_inline enum lb_reason flow_resolve(struct packet *p, __u32 service, __u32 *ret_id,
						   struct lb_backend **ret_backend, const bool v6)
{
	enum lb_reason reason = LB_REASON_NO_FLOW;
	__u32 now = flow_now_ticks(), attempt = 0;
	struct lb_flow *flow;

	flow_hash(p, v6);
	flow = flow_find(&p->tuple, v6);
	if (flow) {
		reason = flow_hit(p, flow, service, now, ret_id, ret_backend, v6);
		if (!reason)
			flow_touch(p, flow, now);
		if (reason != LB_REASON_NO_FLOW)
			return reason;
		flow_delete(&p->tuple, v6); /* it would hide the new one */
	}

	flow = flow_find_new(&p->tuple, v6);
	if (flow) {
		reason = flow_hit(p, flow, service, now, ret_id, ret_backend, v6);
		if (!reason && flow_is_unanswered(p, flow, *ret_backend, now, v6)) {
			reason = LB_REASON_NO_FLOW;
			attempt = flow->attempt + 1;
		} else if (!reason) {
			flow_promote(p, flow, *ret_id, v6);
			/* A SYN's own clock runs from the first one sent to
			 * this backend. */
			if (flow->state != LB_FLOW_NEW || !flow_is_syn(p))
				flow_touch(p, flow, now);
		}
		if (reason != LB_REASON_NO_FLOW)
			return reason;
	}

	reason = flow_begin(p, service, attempt, v6, ret_id);
	if (reason)
		return reason;
	*ret_backend = backend_find(*ret_id);
	return *ret_backend ? 0 : LB_REASON_SLOT_INVALID;
}

#endif
