/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The BPF programs in a world of their own: a network namespace, freshly
 * loaded maps, and packets through BPF_PROG_TEST_RUN.
 *
 * Devices of the namespace: "uplink" towards clients (10.0.0.1/24, fd00::1/64; a
 * default route by 10.0.0.254 and fd00::fe), "pods" towards backends
 * (10.1.0.1/16, fd01::1/64), neighbours of which are set by hand.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/bpf.h>

#include "frame.h"
#include "lb.h"
#include "lb.skel.h"

#define WORLD_SEED 42
#define WORLD_POD_MTU 1500
#define WORLD_POD_MAC 0x0200000000aaULL	   /* next hop of every backend, but */
#define WORLD_ROUTER_MAC 0x0200000000bbULL /* of those on other nodes */

extern const uint8_t world_device_mac[6]; /* of device 1, "pods" */
extern const uint8_t world_uplink_mac[6]; /* of device 2, "uplink" */

struct world {
	struct lb_bpf *skel;
	int up, pods; /* ifindex */
};

/* Entries of the maps: of flow tables, for world_open() to come, and of others. */
extern uint32_t world_flows;
/* Refusals answered in a second, for world_open() to come. */
extern uint32_t world_reject_rate;
/* Ports that flows may get, for world_open() to come. */
extern uint16_t world_snat_ports;
/* Load the programs on sockets alone, for world_open() to come: those for packets take
 * the verifier a hundred times as long. */
extern bool world_sockets_only;
#define WORLD_ENTRIES 4096

/* Fresh maps each time; the namespace is made once per process. */
struct world *world_open(void);
void world_close(struct world *world);

/* Put things into the maps by hand; addresses in text, ports in host order. */
void world_frontend(struct world *world, const char *addr, uint16_t port, uint8_t protocol,
		    uint32_t service);
/* How flows to a service begin: LB_SERVICE_F_*; without this, by Maglev. */
void world_service(struct world *world, uint32_t id, uint32_t flags, uint32_t affinity_ticks);
/* LB_FRONTEND_F_* of frontends to come. */
extern uint32_t world_frontend_flags;
/* Its bit stays in the filter, as lbd leaves it. */
void world_frontend_delete(struct world *world, const char *addr, uint16_t port, uint8_t protocol);
void world_backend(struct world *world, uint32_t id, uint32_t service, const char *addr,
		   uint16_t port);
struct lb_backend world_backend_get(struct world *world, uint32_t id);
void world_backend_set(struct world *world, uint32_t id, const struct lb_backend *backend);

/* A ring over backends first..first+n-1 for a service, Maglev, at arena line
 * 64 x service. */
void world_ring(struct world *world, uint32_t service, uint32_t first, uint32_t n);
/* Its Local ring, Maglev over the same. */
void world_ring_local(struct world *world, uint32_t service, uint32_t first, uint32_t n);
/* The same with slots as they are given. */
void world_ring_slots(struct world *world, uint32_t service, const uint32_t *slots, uint32_t n);
void world_ring_clear(struct world *world, uint32_t service);

/* Service 1 with n backends from id 1 up for each of IPv4 and IPv6 (service 2,
 * ids 101 up), TCP and UDP frontends on 10.96.0.1:80 and fd96::1:80, backends
 * 10.1.0.2.. and fd01::2.., all on port 5000. */
void world_web(struct world *world, uint32_t n);

/* All backends of world_web(n) are on another node, by the uplink.  flags: more
 * LB_BACKEND_F_*. */
void world_web_remote(struct world *world, uint32_t n, uint8_t flags);

enum world_program {
	WORLD_XDP,
	WORLD_XDP_NATIVE,
	WORLD_TC_UPLINK,
	WORLD_TC_POD,
	WORLD_TC_EGRESS, /* of the uplink */
};

/* Run a frame through a program; out may be the same as in.  Returns the
 * program's return value. */
int world_run(struct world *world, enum world_program program, const struct frame *in,
	      struct frame *out);

/* Let the programs forget the flows they have seen in this tick. */
void world_cache_clear(struct world *world);

/* An uplink as lbd tells the programs; "uplink" is the first, with its own MAC. */
void world_uplink(struct world *world, uint32_t i, int ifindex, const uint8_t mac[6]);

/* This node's addresses from now on. */
void world_node_addresses(struct world *world, const char *addr4, const char *addr6);

/* Devices take what a native XDP program sends (LB_DEVICE_F_NATIVE), or not:
 * the latter at first. */
void world_device_native(struct world *world, bool native);

/* What is sent on is counted by its backend alone: the sum over all. */
uint64_t world_count(struct world *world, enum lb_reason reason);
struct lb_traffic world_backend_count(struct world *world, uint32_t id);

#define WORLD_XDP_DROP 1
#define WORLD_XDP_PASS 2
#define WORLD_XDP_REDIRECT 4
#define WORLD_TC_NEXT (-1)
#define WORLD_TC_SHOT 2
#define WORLD_TC_REDIRECT 7

#endif
