/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A reference model of the datapath's flows: what docs/DESIGN.md says of a packet,
 * in as few words as possible and without the datapath's code.  It knows no hash, no
 * tables' sizes and no caches: where the ring decides, it takes any backend of the
 * ring, and learns from the packet which one it was.
 *
 * A call tells what must become of a packet, then the model is told what did.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lb.h"

#define MODEL_CLIENTS 6	  /* address and port */
#define MODEL_FRONTENDS 2 /* of one service: two ports */
#define MODEL_BACKENDS 4
#define MODEL_FLOWS (2 * MODEL_CLIENTS * MODEL_FRONTENDS) /* TCP and UDP */
#define MODEL_REPLIES 512

/* What a packet is, as far as flows are concerned. */
struct model_packet {
	bool udp, syn, ack, fin, rst, data;
};

struct model_backend {
	bool in_ring, down, gone, freed;
	uint32_t generation;
};

struct model_flow {
	bool known;
	uint32_t backend, generation; /* index from 0 */
	uint16_t snat_port;	      /* 0: the client's own address and port */
	enum lb_flow_state state;
	uint64_t seen; /* ticks; of a lone SYN, when it was first sent there */
};

/* Whose packets are answers: those of a backend to a client's address and port, or to
 * the node's. */
struct model_reply {
	bool known;
	bool unsure; /* the flow may have put it back, or not yet */
	bool udp;
	uint32_t backend, client; /* client: unless snat_port */
	uint16_t snat_port;
	uint32_t flow; /* that it belongs to */
	enum lb_flow_state state;
	uint64_t seen;
};

struct model {
	struct model_backend backends[MODEL_BACKENDS];
	bool frontends[MODEL_FRONTENDS];
	struct model_flow flows[MODEL_FLOWS];
	struct model_reply replies[MODEL_REPLIES];
	uint32_t nreplies;
	uint64_t now; /* ticks */
};

enum model_end {
	MODEL_UNSURE, /* too near to a time-out to say: don't send it */
	MODEL_KEEPS,  /* it goes to the flow's backend */
	MODEL_BEGINS, /* to any backend of the ring: a new flow */
	MODEL_ENDS,   /* it goes no further, for `reason` */
};

struct model_verdict {
	enum model_end end;
	enum lb_reason reason;
};

uint32_t model_flow_index(bool udp, uint32_t client, uint32_t frontend);
uint32_t model_flow_client(uint32_t flow);
uint32_t model_flow_frontend(uint32_t flow);

/* A client's packet of a flow. */
struct model_verdict model_request(const struct model *model, uint32_t flow,
				   const struct model_packet *p);
/* Must a flow that begins at a backend come from the node's address?  1, 0, or -1:
 * too near to a time-out. */
int model_needs_port(const struct model *model, uint32_t flow, const struct model_packet *p,
		     uint32_t backend);
/* May it have this port?  Not so if another flow of that backend has it. */
bool model_port_is_free(const struct model *model, uint32_t flow, const struct model_packet *p,
			uint32_t backend, uint16_t port);
/* The packet went to a backend, as the verdict allows. */
void model_requested(struct model *model, uint32_t flow, const struct model_packet *p,
		     enum model_end end, uint32_t backend, uint16_t snat_port);

/* A backend's packet to a client, or to a port of the node.  Where it is an answer,
 * *ret_flow is the flow and the end is MODEL_KEEPS. */
struct model_verdict model_answer(struct model *model, uint32_t backend, uint32_t client,
				  uint16_t snat_port, const struct model_packet *p,
				  uint32_t *ret_flow);

/* The reply entry of a flow; NULL = none, or another flow has got it. */
struct model_reply *model_reply_of(const struct model *model, uint32_t flow);

#endif
