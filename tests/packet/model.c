/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <assert.h>
#include <stddef.h>

#include "model.h"

/* A clock that goes on while we think. */
#define SLACK_TICKS 3

#define UNANSWERED_TICKS 6 /* then a SYN sent again gets another backend: 0.8 s */
#define REST_TICKS 8	   /* of the port of a flow that was closed: 1.1 s */

uint32_t model_flow_index(bool udp, uint32_t client, uint32_t frontend)
{
	return (udp * MODEL_CLIENTS + client) * MODEL_FRONTENDS + frontend;
}

uint32_t model_flow_client(uint32_t flow)
{
	return flow / MODEL_FRONTENDS % MODEL_CLIENTS;
}

uint32_t model_flow_frontend(uint32_t flow)
{
	return flow % MODEL_FRONTENDS;
}

static bool flow_is_udp(uint32_t flow)
{
	return flow >= MODEL_CLIENTS * MODEL_FRONTENDS;
}

static bool is_syn(const struct model_packet *p)
{
	return p->syn && !p->ack;
}

/* May a packet begin a flow without harm to a connection? */
static bool may_begin(const struct model_packet *p)
{
	return p->udp || is_syn(p);
}

static uint64_t timeout_ticks(bool udp, enum lb_flow_state state)
{
	static const uint64_t seconds[2][3] = {{60, 6 * 3600, 60}, {30, 120, 30}};

	return LB_TICKS(seconds[udp][state]);
}

/* 1: more than `ticks` ago, 0: not so, -1: too near to say. */
static int is_older(const struct model *model, uint64_t seen, uint64_t ticks)
{
	uint64_t age = model->now - seen;

	if (age + SLACK_TICKS >= ticks && age <= ticks + SLACK_TICKS)
		return -1;
	return age > ticks;
}

static enum lb_flow_state next_state(const struct model_packet *p, enum lb_flow_state state)
{
	if (p->fin || p->rst)
		return LB_FLOW_CLOSING;
	/* The RST was forged. */
	if (state == LB_FLOW_CLOSING && p->data)
		return LB_FLOW_ESTABLISHED;
	return state == LB_FLOW_NEW && !is_syn(p) ? LB_FLOW_ESTABLISHED : state;
}

/* ---- the way back ----------------------------------------------------------- */

static struct model_reply *reply_find(const struct model *model, bool udp, uint32_t backend,
				      uint32_t client, uint16_t snat_port)
{
	for (uint32_t i = 0; i < model->nreplies; i++) {
		const struct model_reply *reply = &model->replies[i];

		if (reply->known && reply->udp == udp && reply->backend == backend &&
		    reply->snat_port == snat_port && (snat_port || reply->client == client))
			return (struct model_reply *)reply;
	}
	return NULL;
}

struct model_reply *model_reply_of(const struct model *model, uint32_t flow)
{
	const struct model_flow *f = &model->flows[flow];
	struct model_reply *reply;

	if (!f->known)
		return NULL;
	reply = reply_find(model, flow_is_udp(flow), f->backend, model_flow_client(flow),
			   f->snat_port);
	return reply && reply->flow == flow ? reply : NULL;
}

/* Does another flow live behind the way back that this one would have? */
static int is_taken(const struct model *model, uint32_t flow, const struct model_packet *p,
		    uint32_t backend, uint16_t snat_port)
{
	const struct model_reply *reply =
		reply_find(model, p->udp, backend, model_flow_client(flow), snat_port);
	const struct model_flow *f;
	uint64_t timeout;
	int older, forward = 1;

	if (!reply || reply->flow == flow)
		return 0;
	if (reply->unsure)
		return -1;
	f = &model->flows[reply->flow];
	timeout = timeout_ticks(p->udp, reply->state);
	if (is_syn(p) && reply->state == LB_FLOW_CLOSING)
		timeout = REST_TICKS;
	older = is_older(model, reply->seen, timeout);
	if (f->known && f->backend == backend)
		forward = is_older(model, f->seen, timeout);
	if (!older || !forward)
		return 1;
	return older < 0 || forward < 0 ? -1 : 0;
}

int model_needs_port(const struct model *model, uint32_t flow, const struct model_packet *p,
		     uint32_t backend)
{
	return is_taken(model, flow, p, backend, 0);
}

bool model_port_is_free(const struct model *model, uint32_t flow, const struct model_packet *p,
			uint32_t backend, uint16_t port)
{
	return is_taken(model, flow, p, backend, port) != 1;
}

static void reply_put(struct model *model, uint32_t flow, uint32_t backend, uint16_t snat_port)
{
	uint32_t client = model_flow_client(flow);
	struct model_reply *reply =
		reply_find(model, flow_is_udp(flow), backend, client, snat_port);

	if (!reply) {
		assert(model->nreplies < MODEL_REPLIES);
		reply = &model->replies[model->nreplies++];
	}
	*reply = (struct model_reply){.known = true,
				      .udp = flow_is_udp(flow),
				      .backend = backend,
				      .client = client,
				      .snat_port = snat_port,
				      .flow = flow,
				      .state = LB_FLOW_NEW,
				      .seen = model->now};
}

/* ---- there --------------------------------------------------------------------- */

static const struct model_verdict unsure = {MODEL_UNSURE, LB_REASON_NONE};
static const struct model_verdict keeps = {MODEL_KEEPS, LB_REASON_FORWARDED};

static struct model_verdict ends(enum lb_reason reason)
{
	return (struct model_verdict){MODEL_ENDS, reason};
}

static struct model_verdict begins(const struct model *model, uint32_t flow)
{
	if (!model->frontends[model_flow_frontend(flow)])
		return ends(LB_REASON_NOT_SERVICE);
	for (uint32_t i = 0; i < MODEL_BACKENDS; i++)
		if (model->backends[i].in_ring)
			return (struct model_verdict){MODEL_BEGINS, LB_REASON_FORWARDED};
	return ends(LB_REASON_NO_ENDPOINT);
}

/* No packet for too long, in neither direction? */
static int is_expired(const struct model *model, uint32_t flow, const struct model_packet *p)
{
	const struct model_flow *f = &model->flows[flow];
	const struct model_reply *reply = model_reply_of(model, flow);
	uint64_t timeout = timeout_ticks(p->udp, f->state);
	int forward = is_older(model, f->seen, timeout), back = 1;

	if (reply)
		back = reply->unsure ? -1 : is_older(model, reply->seen, timeout);
	if (forward == 0 || back == 0)
		return 0;
	return forward < 0 || back < 0 ? -1 : 1;
}

struct model_verdict model_request(const struct model *model, uint32_t flow,
				   const struct model_packet *p)
{
	const struct model_flow *f = &model->flows[flow];
	const struct model_backend *backend = &model->backends[f->backend];
	const struct model_reply *reply = model_reply_of(model, flow);
	bool lone = f->state == LB_FLOW_NEW; /* the client has sent one packet, or its SYN */
	int old;

	if (!f->known)
		return begins(model, flow);
	old = is_expired(model, flow, p);
	if (old < 0 || (reply && reply->unsure && is_syn(p)))
		return unsure;
	if (old)
		return begins(model, flow);
	if (may_begin(p) && !model->frontends[model_flow_frontend(flow)]) {
		/* Nothing begins, what is there goes on. */
		if (is_syn(p))
			return ends(LB_REASON_NOT_SERVICE);
	} else if (may_begin(p)) {
		if (backend->gone || (backend->down && (p->udp || lone)))
			return begins(model, flow);
		if (is_syn(p) &&
		    (f->state == LB_FLOW_CLOSING || (reply && reply->state == LB_FLOW_CLOSING)))
			return begins(model, flow);
	}
	if (backend->freed || backend->generation != f->generation)
		return may_begin(p) ? begins(model, flow) : ends(LB_REASON_BACKEND_GONE);
	if (is_syn(p) && lone && (!reply || reply->state == LB_FLOW_NEW)) {
		old = is_older(model, f->seen, UNANSWERED_TICKS);
		if (old)
			return old < 0 ? unsure : begins(model, flow);
	}
	return keeps;
}

void model_requested(struct model *model, uint32_t flow, const struct model_packet *p,
		     enum model_end end, uint32_t backend, uint16_t snat_port)
{
	struct model_flow *f = &model->flows[flow];
	struct model_reply *reply;

	if (end == MODEL_BEGINS) {
		*f = (struct model_flow){.known = true,
					 .backend = backend,
					 .generation = model->backends[backend].generation,
					 .snat_port = snat_port,
					 .state = LB_FLOW_NEW,
					 .seen = model->now};
		/* Mid-flow: the connection was begun elsewhere. */
		if (!p->udp && !is_syn(p))
			f->state = next_state(p, LB_FLOW_ESTABLISHED);
		reply_put(model, flow, backend, snat_port);
		return;
	}
	reply = model_reply_of(model, flow);
	if (f->state != LB_FLOW_NEW || !is_syn(p))
		f->seen = model->now;
	/* Of UDP an answer alone says that there is somebody. */
	if (!p->udp || (reply && reply->state != LB_FLOW_NEW))
		f->state = next_state(p, f->state);
	/* Lost, and the flow's next packets put it back sooner or later. */
	if (!reply && !reply_find(model, p->udp, backend, model_flow_client(flow), snat_port)) {
		reply_put(model, flow, backend, snat_port);
		model_reply_of(model, flow)->unsure = true;
	}
}

/* ---- and back ---------------------------------------------------------------- */

struct model_verdict model_answer(struct model *model, uint32_t backend, uint32_t client,
				  uint16_t snat_port, const struct model_packet *p,
				  uint32_t *ret_flow)
{
	struct model_reply *reply = reply_find(model, p->udp, backend, client, snat_port);
	const struct model_flow *f;
	uint64_t timeout;
	int old, forward = 1;

	if (!reply)
		return ends(LB_REASON_NOT_SERVICE);
	if (reply->unsure)
		return unsure;
	f = &model->flows[reply->flow];
	/* Quiet for too long: the backend, and the client as well? */
	timeout = timeout_ticks(p->udp, reply->state);
	old = is_older(model, reply->seen, timeout);
	if (f->known && f->backend == backend)
		forward = is_older(model, f->seen, timeout);
	if (old && forward)
		return old < 0 || forward < 0 ? unsure : ends(LB_REASON_NOT_SERVICE);
	/* It answers a SYN that went by, or the client came to the pod directly. */
	if (p->syn && p->ack &&
	    !(f->known && f->backend == backend && f->state != LB_FLOW_CLOSING)) {
		reply->known = false;
		return ends(LB_REASON_NOT_SERVICE);
	}
	reply->state = next_state(p, reply->state);
	reply->seen = model->now;
	*ret_flow = reply->flow;
	return (struct model_verdict){MODEL_KEEPS, LB_REASON_REPLIED};
}
