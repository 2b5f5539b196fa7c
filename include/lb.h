/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The contract between the BPF programs and user space: every map's key and
 * value, every limit, every reason a packet can end with.  It is the only file
 * that both sides include besides hash.h, so there is no second copy to keep
 * in step.
 *
 * Rules.  Fixed-width types only.  Addresses and ports that come from a packet
 * are in network byte order and typed __be; all other numbers are in host
 * order.  Padding is a named field and always zero, since keys are hashed
 * byte by byte.  Id 0 means "none" everywhere, so zeroed memory is safe.
 * Any change of a layout below raises LB_ABI: maps are pinned in a directory
 * that carries it, so that foreign bytes are never read.
 */
#ifndef LB_H
#define LB_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define LB_ABI 8

/* The clock of flows and backends: a tick is 2^27 ns = 134 ms of
 * CLOCK_MONOTONIC. */
#define LB_TICK_SHIFT 27
#define LB_TICKS(seconds) ((__u64)(seconds)*1000000000 >> LB_TICK_SHIFT)

/* ---- frontends: the addresses clients use ------------------------------ */

enum lb_frontend_flag {
	/* NodePort, externalIP or load-balancer address: not the ClusterIP */
	LB_FRONTEND_F_EXTERNAL = 1U << 0,
	LB_FRONTEND_F_NODEPORT = 1U << 1,
	/* Its traffic policy is Local: only backends of this node. */
	LB_FRONTEND_F_LOCAL = 1U << 2,
	/* A load-balancer address that takes clients of its service's sources alone. */
	LB_FRONTEND_F_SOURCES = 1U << 3,
};

/* Key of frontends4. */
struct lb_frontend4_key {
	__be32 addr;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad;
};
_Static_assert(sizeof(struct lb_frontend4_key) == 8, "ABI");

/* Key of frontends6. */
struct lb_frontend6_key {
	__be32 addr[4];
	__be16 port;
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct lb_frontend6_key) == 20, "ABI");

/* Value of frontends4 and frontends6.  Written once: another service means
 * the entry is deleted and inserted again. */
struct lb_frontend {
	__u32 service; /* id, never 0 */
	__u32 flags;   /* LB_FRONTEND_F_* */
};
_Static_assert(sizeof(struct lb_frontend) == 8, "ABI");

/* Keys of sources4 and sources6: from where the load-balancer addresses of a service
 * may be reached (loadBalancerSourceRanges), found by the longest prefix. */
#define LB_SOURCE_SERVICE_BITS 32
struct lb_source4_key {
	__u32 prefix_bits; /* LB_SOURCE_SERVICE_BITS and the range's own */
	__u32 service;	   /* id */
	__be32 addr;
};
_Static_assert(sizeof(struct lb_source4_key) == 12, "ABI");

struct lb_source6_key {
	__u32 prefix_bits;
	__u32 service;
	__be32 addr[4];
};
_Static_assert(sizeof(struct lb_source6_key) == 24, "ABI");

/* Their value: that the key is there says all. */
struct lb_source {
	__u32 pad;
};
_Static_assert(sizeof(struct lb_source) == 4, "ABI");

#define LB_MAX_SOURCES 65536 /* of each family */

/* Keys of addresses4 and addresses6: what has frontends other than node ports.  Value:
 * 1. */
struct lb_address4_key {
	__be32 addr;
};
_Static_assert(sizeof(struct lb_address4_key) == 4, "ABI");

struct lb_address6_key {
	__be32 addr[4];
};
_Static_assert(sizeof(struct lb_address6_key) == 16, "ABI");

/*
 * The frontends' filter, one mapped value: a bit (hash.h: hash_frontend4 and 6)
 * for each frontend.  A clear bit says that no frontend and no flow of one that
 * was deleted has this address, port and protocol, so that a packet which isn't
 * ours costs no look-up.  A set bit says nothing: bits are shared, and lbd
 * clears them late.  Set before a frontend is inserted.
 */
#define LB_FILTER_BITS_LOG2 19
#define LB_FILTER_BYTES (1U << (LB_FILTER_BITS_LOG2 - 3))

/* ---- services ---------------------------------------------------------- */

enum lb_service_flag {
	LB_SERVICE_F_USED = 1U << 0,	    /* the id is taken */
	LB_SERVICE_F_ROUND_ROBIN = 1U << 1, /* slots of its rings in turn, by its cursor */
	LB_SERVICE_F_ENDPOINTS = 1U << 2,   /* some node has a usable endpoint */
	/* By scope, shifted: there are usable endpoints, but every one is down by
	 * its health check or drained. */
	LB_SERVICE_F_UNHEALTHY = 1U << 3,
	LB_SERVICE_F_UNHEALTHY_LOCAL = LB_SERVICE_F_UNHEALTHY << 1,
};

/* A service has one ring per scope. */
enum lb_scope {
	LB_SCOPE_CLUSTER = 0, /* every usable backend */
	LB_SCOPE_LOCAL = 1,   /* those on this node: the Local traffic policies */
	LB_SCOPE_MAX = 2,
};

/* Value of services, by id.  A service is NS/NAME:port-name + protocol in one
 * address family.  Written by lbd alone. */
struct lb_service {
	__u32 flags;   /* LB_SERVICE_F_* */
	__u8 family;   /* 4 or 6 */
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__be16 port;   /* the service port, for people */
	/* What each ring was built from (plan.c); 0 = no ring.  Lets a restart
	 * see that a ring is as wanted without building it. */
	__u64 ring_digest[LB_SCOPE_MAX];
	/* A client's flows go to one backend until none has begun for so long;
	 * 0 = no affinity. */
	__u32 affinity_ticks;
	/* Of namespace, name, port's name and protocol: the same on every node.
	 * With affinity a client's slot depends on it. */
	__u32 identity;
};
_Static_assert(sizeof(struct lb_service) == 32, "ABI");

/* Keys of affinity4 and affinity6. */
struct lb_affinity4_key {
	__u32 service; /* id */
	__be32 client;
};
_Static_assert(sizeof(struct lb_affinity4_key) == 8, "ABI");

struct lb_affinity6_key {
	__u32 service;
	__be32 client[4];
};
_Static_assert(sizeof(struct lb_affinity6_key) == 20, "ABI");

/* Their value: where the client's flows go.  The backend's word has no tag: it
 * counts only while that backend is the service's own and in the ring. */
struct lb_affinity {
	__u64 backend; /* LB_FLOW_BACKEND() */
	__u32 used_ticks;
	__u32 pad;
};
_Static_assert(sizeof(struct lb_affinity) == 16, "ABI");

/* Value of service_names, by service id; read by people and by lbd when it
 * adopts the maps, never by the datapath.  NUL-terminated (DNS labels are at
 * most 63 characters). */
struct lb_service_name {
	char namespace[64];
	char name[64];
	char port_name[64]; /* empty where the Service's only port has no name */
};
_Static_assert(sizeof(struct lb_service_name) == 192, "ABI");

/* ---- rings: Maglev lookup tables --------------------------------------- */

/*
 * Value of rings, at LB_RING_INDEX(service, scope): the low half is the
 * arena line where the ring starts, the high half its number of slots; 0 = no
 * ring, no usable backend.  Stored as one u64 with release order, so a reader
 * sees the old ring or the new one.
 */
#define LB_RING_INDEX(service, scope) ((service)*LB_SCOPE_MAX + (scope))
#define LB_RING(line, slots) ((__u64)(slots) << 32 | (__u32)(line))
#define LB_RING_LINE(ring) ((__u32)(ring))
#define LB_RING_SLOTS(ring) ((__u32)((ring) >> 32))

/* Value of arena: one line of slots; a slot holds a backend id.  A line has 16
 * of them because an ARRAY's values are rounded up to 8 bytes. */
#define LB_ARENA_LINE_SLOTS 16
struct lb_arena_line {
	__u32 slots[LB_ARENA_LINE_SLOTS];
};
_Static_assert(sizeof(struct lb_arena_line) == 64, "ABI");

#define LB_RING_MAX_SLOTS 655357 /* the largest size class, see maglev.c */

/* ---- backends ---------------------------------------------------------- */

enum lb_backend_state {
	LB_BACKEND_FREE = 0,
	/* In a slice: flows stay.  Whether it gets new ones is the ring's say. */
	LB_BACKEND_ACTIVE = 1,
	/* In no slice any more: mid-flow TCP goes on for --linger seconds, all
	 * else picks anew. */
	LB_BACKEND_GONE = 2,
};

/* Where packets to a backend leave this node: one u64, stored at once.
 * Device index in the top 16 bits (0 = no device leads there), below them the
 * MAC of the backend, or of the router to its node, first byte highest (0 = not
 * resolved). */
#define LB_NEXT_HOP(device, mac48) ((__u64)(device) << 48 | (mac48))
#define LB_NEXT_HOP_DEVICE(hop) ((__u32)((hop) >> 48))
#define LB_NEXT_HOP_MAC(hop) ((hop)&0xffffffffffffULL)
/* The address is this node's own: only the kernel's stack leads there. */
#define LB_NEXT_HOP_STACK LB_NEXT_HOP(0xffff, 0)

enum lb_backend_flag {
	/* New flows go through the kernel's stack (LB_FLOW_F_STACK). */
	LB_BACKEND_F_STACK = 1U << 0,
	/* It is in the service's ring of the scope: gets new flows. */
	LB_BACKEND_F_CLUSTER = 1U << 1,
	LB_BACKEND_F_LOCAL = 1U << 2,
	/* It is on another node: an uplink leads there.  It sees a client from
	 * outside as this node's address, or it would answer past us. */
	LB_BACKEND_F_REMOTE = 1U << 3,
	/* Its health check fails: no new flows; TCP flows stay, UDP flows and SYNs
	 * that nobody answered pick anew. */
	LB_BACKEND_F_DOWN = 1U << 4,
	/* An operator wants no new flows here: this port, or all of the address.
	 * Kept as long as the pod is in some slice. */
	LB_BACKEND_F_DRAIN = 1U << 5,
	LB_BACKEND_F_DRAIN_ADDR = 1U << 6,
	/* The API says so: the same as down. */
	LB_BACKEND_F_NOT_SERVING = 1U << 7,
};

/* An operator wants no new flows here. */
#define LB_BACKEND_DRAINS (LB_BACKEND_F_DRAIN | LB_BACKEND_F_DRAIN_ADDR)

/*
 * Value of backends, by id.  A backend is one address:port of one service.
 * Address, port, family and service are written once, before any ring or flow
 * names the id; another backend is another id or, after a rest, the same id
 * with the next generation.
 */
struct lb_backend {
	__be32 addr[4]; /* IPv4: addr[0], the rest 0 */
	__be16 port;
	__u8 family;	  /* 4 or 6 */
	__u8 flags;	  /* LB_BACKEND_F_*, stored at once */
	__u32 service;	  /* id of the service it belongs to */
	__u32 state;	  /* enum lb_backend_state, stored at once */
	__u16 generation; /* raised when the id is freed; flows remember it */
	__u16 weight;	  /* 0-1000, for people: the ring decides */
	__u64 next_hop;	  /* LB_NEXT_HOP() */
	__u64 gone_ticks; /* when state became GONE; 0 = it isn't */
	__u32 uid;	  /* of the pod, hashed; 0 = unknown */
	__u32 pad[3];	  /* to a cache line */
};
_Static_assert(sizeof(struct lb_backend) == 64, "ABI");

enum lb_device_flag {
	/* A native XDP program may redirect to it: into a veth whose other end
	 * doesn't poll, the packet would be lost without an error. */
	LB_DEVICE_F_NATIVE = 1U << 0,
};

/* Value of devices, by index (1 up): the devices that next hops name. */
struct lb_device {
	__u32 ifindex; /* 0 = free */
	__u32 mtu;     /* bytes, without the Ethernet header */
	__u8 mac[6];
	__u16 flags; /* LB_DEVICE_F_* */
};
_Static_assert(sizeof(struct lb_device) == 16, "ABI");

#define LB_MAX_DEVICES 4096

/* ---- flows ------------------------------------------------------------- */

/* Key of flows4, udp_flows4 and new_flows4 (a packet as the client sends it:
 * src = client, dst = the frontend) and of replies4, udp_replies4 and
 * new_replies4 (as the backend answers: src = backend, dst = client). */
struct lb_tuple4 {
	__be32 src;
	__be32 dst;
	__be16 sport;
	__be16 dport;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct lb_tuple4) == 16, "ABI");

struct lb_tuple6 {
	__be32 src[4];
	__be32 dst[4];
	__be16 sport;
	__be16 dport;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct lb_tuple6) == 40, "ABI");

/*
 * New flows live in tables of their own, new_flows and new_replies, until the
 * backend has answered and the client has shown that it got the answer: then
 * they move to flows and replies, or to udp_flows and udp_replies.  So a flood
 * of addresses that answer nothing can't push out an established flow, and one
 * of addresses that a server talks to over UDP no TCP connection.
 */
/* How long a flow without packets is remembered, in ticks, by enum
 * lb_flow_state: half-open 60 s, TCP 6 h, closing 60 s; UDP 30 s and 120 s. */
#define LB_TCP_TIMEOUTS \
	{ \
		LB_TICKS(60), LB_TICKS(6 * 3600), LB_TICKS(60) \
	}
#define LB_UDP_TIMEOUTS \
	{ \
		LB_TICKS(30), LB_TICKS(120), LB_TICKS(30) \
	}

enum lb_flow_state {
	LB_FLOW_NEW = 0,	 /* flows: the client sent; replies: no answer yet */
	LB_FLOW_ESTABLISHED = 1, /* flows: it sent again; replies: an answer was seen */
	LB_FLOW_CLOSING = 2,	 /* a FIN or RST went by, that way */
};

/*
 * Value of flows4 and flows6 (udp_, new_), written by whoever translates forward.
 * An LRU map may give an element to another key while a reader still holds it:
 * so the backend, its generation and a tag of the key share one u64, read at
 * once.
 */
struct lb_flow {
	__u64 backend;	  /* LB_FLOW_BACKEND() */
	__u32 seen_ticks; /* last packet; written when it changes */
	__u8 state;	  /* enum lb_flow_state */
	__u8 flags;	  /* LB_FLOW_F_*, LB_FLOW_ATTEMPT() */
	__be16 snat_port; /* the backend sees the node's address and this port; 0 = the
			   * client's own */
};
_Static_assert(sizeof(struct lb_flow) == 16, "ABI");

enum lb_flow_flag {
	/* The stack path: ingress translates and hands the packet to the kernel,
	 * which routes and filters it; the answer is translated back where it
	 * leaves the node.  Chosen by the flow's first packet, for good. */
	LB_FLOW_F_STACK = 1U << 7,
};
/* Of the pick: raised when a SYN stays unanswered. */
#define LB_FLOW_ATTEMPT(flags) ((flags)&0x7f)

#define LB_FLOW_BACKEND(id, generation, tag) \
	((__u64)(tag) << 48 | (__u64)(generation) << 32 | (__u32)(id))
#define LB_FLOW_BACKEND_ID(word) ((__u32)(word))
#define LB_FLOW_GENERATION(word) ((__u16)((word) >> 32))
#define LB_FLOW_TAG(word) ((__u16)((word) >> 48))

/* Value of replies4 and replies6 (udp_, new_): what the client believes it talks
 * to, and where its packets leave.  The frontend and the backend are written once per
 * flow, before the forward entry. */
struct lb_reply {
	__be32 frontend[4]; /* IPv4: frontend[0], the rest 0 */
	__be32 client[4];   /* the packet's destination once undone: differs from the */
	__be16 client_port; /* key's where the flow has an lb_flow.snat_port */
	__be16 port;	    /* the frontend's */
	__u16 tag;	    /* of the key, as in lb_flow */
	__u8 state;	    /* enum lb_flow_state, as the backend's packets tell */
	__u8 flags;	    /* LB_REPLY_F_* */
	__u32 syn_ack_next; /* sequence number that the client's ACK must reach */
	__u32 backend;	    /* id, for the counters */
	__u32 seen_ticks;
	/* The way to the client as the routing table last said; asked again
	 * after a tick.  ifindex 0 = not asked yet. */
	__u32 routed_ticks;
	__u32 ifindex;
	__u16 neighbour_family; /* AF_INET or AF_INET6: a gateway's may differ */
	__be16 snat_port;	/* of an inside entry, see LB_REPLY_F_STACK */
	__be32 neighbour[4];	/* the gateway, or the client on the link */
	__u64 next_hop;		/* the same as LB_NEXT_HOP(), where an uplink leads there and the
				 * neighbour is resolved, for XDP; else 0 */
};
_Static_assert(sizeof(struct lb_reply) == 88, "ABI");

enum lb_reply_flag {
	LB_REPLY_F_SYN_ACK = 1U << 0, /* it answered a SYN, syn_ack_next is set */
	/* As LB_FLOW_F_STACK.  Such a flow to a remote backend has two reverse
	 * entries: what comes back to this node's address becomes an answer to
	 * the client where it comes in; inside the node, client and backend talk
	 * to each other, and the entry of that tuple says what each is to see
	 * where packets leave: the frontend, and this node's address. */
	LB_REPLY_F_STACK = 1U << 1,
};

/* ---- sockets of this node's processes ----------------------------------- */

/* An address and a port. */
struct lb_place {
	__be32 addr[4]; /* IPv4: addr[0], the rest 0 */
	__be16 port;
	__u8 family; /* 4 or 6; ::ffff:a.b.c.d is 4 */
	__u8 pad;
};
_Static_assert(sizeof(struct lb_place) == 20, "ABI");

enum lb_socket_flag {
	/* It has sent to frontends without being connected: socket_flows says
	 * which. */
	LB_SOCKET_F_UNCONNECTED = 1U << 0,
};

/* Value of sockets, which the kernel keeps with a socket and frees with it: what
 * it was connected to.  And of udp_sockets, by cookie: connected UDP sockets alone,
 * since lbd can't ask the kernel for what it keeps with those. */
struct lb_socket {
	__u64 backend;		  /* LB_FLOW_BACKEND(), tag 0; 0 = to nothing of ours */
	struct lb_place frontend; /* as the process has it */
	struct lb_place peer;	  /* the backend */
	__u8 flags;		  /* LB_SOCKET_F_* */
	__u8 pad[7];
};
_Static_assert(sizeof(struct lb_socket) == 56, "ABI");

/* Key of socket_flows: a UDP socket that isn't connected, and a frontend that it
 * sends to, or a backend that it hears from. */
enum lb_socket_side {
	LB_SOCKET_TO = 1,
	LB_SOCKET_FROM = 2,
};

struct lb_socket_flow_key {
	__u64 cookie; /* the socket's */
	struct lb_place place;
	__u32 side; /* enum lb_socket_side */
};
_Static_assert(sizeof(struct lb_socket_flow_key) == 32, "ABI");

/* Its value.  An LRU map, so with the tag of its key, as in lb_flow. */
struct lb_socket_flow {
	__u64 backend;		  /* LB_FLOW_BACKEND() */
	struct lb_place frontend; /* LB_SOCKET_FROM: as the process has it */
	__u32 seen_ticks;	  /* LB_SOCKET_TO */
};
_Static_assert(sizeof(struct lb_socket_flow) == 32, "ABI");

#define LB_MAX_SOCKET_FLOWS 32768 /* entries */
#define LB_MAX_UDP_SOCKETS 16384

/* The tables that flows (the forward entries) are in. */
enum lb_flow_table {
	LB_FLOW_TABLE_TCP = 0, /* flows4 and flows6 */
	LB_FLOW_TABLE_UDP = 1,
	LB_FLOW_TABLE_NEW = 2,
	LB_FLOW_TABLE_MAX = 3,
};
#define LB_FLOW_TABLE_INDEX(table, v6) ((table)*2 + !!(v6))

/*
 * Value of table_counters (per CPU), by LB_FLOW_TABLE_INDEX().  An LRU table pushes
 * entries out without a word: those that were stored, were never deleted and aren't
 * there have been.  Two CPUs that store one key at once count twice.
 */
struct lb_table_counter {
	__u64 stored; /* a key that wasn't there */
	__u64 deleted;
};
_Static_assert(sizeof(struct lb_table_counter) == 16, "ABI");

/* Key of fragments: the datagram. */
struct lb_fragment_key {
	__be32 src[4]; /* IPv4: the first word */
	__be32 dst[4];
	__be32 id;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct lb_fragment_key) == 40, "ABI");

/* Value of fragments: what only the first one tells. */
struct lb_fragment {
	__be16 sport;
	__be16 dport;
	__u32 seen_ticks;
};
_Static_assert(sizeof(struct lb_fragment) == 8, "ABI");

/* A device's index in devices, found by ifindex, and its MAC: what is for another
 * one isn't for this node.  One that the kernel knows and lbd doesn't yet is TC's,
 * which asks the kernel. */
struct lb_uplink {
	__u32 ifindex; /* 0 = none */
	__u32 device;
	__u8 mac[6];
	__u16 pad;
};
_Static_assert(sizeof(struct lb_uplink) == 16, "ABI");

#define LB_MAX_UPLINKS 32

/* The one value of settings, mapped. */
struct lb_settings {
	/* 1: new flows of pods on this node go through the stack.  lbd's. */
	__u32 stack_clients;
	/* 1: there has been a stack flow.  The datapath's; until then the
	 * programs where packets leave do nothing. */
	__u32 stack_used;
	/* 1: one of them was to a remote backend.  The datapath's. */
	__u32 stack_snat_used;
	/* This node's address of each family, for flows whose source must be ours; all
	 * zero = none is known.  lbd's. */
	__be32 node_address4;
	__be32 node_address6[4];
	struct lb_uplink uplinks[LB_MAX_UPLINKS]; /* lbd's */
	/* Of each table: flows that were forgotten at an operator's wish.  lbd's. */
	__u64 flows_deleted[LB_FLOW_TABLE_MAX * 2];
};
_Static_assert(sizeof(struct lb_settings) == 592, "ABI");

#define LB_MAX_FRAGMENTS 16384 /* datagrams that are known at once */

/* ---- reasons and counters ---------------------------------------------- */

/*
 * Why a packet ended as it did: X(NAME, "text", verdict, "what it means").
 * One list for verdicts, counters and lbctl.  The text is what users see; the
 * verdict is an enum lb_verdict without its prefix.
 */
#define LB_REASONS(X) \
	/* normal */ \
	X(NONE, "none", PASS, "no program has seen a packet") \
	X(FORWARDED, "forwarded", SENT, "client to backend, sent on") \
	X(REPLIED, "replied", SENT, "backend to client, sent on") \
	X(ICMP_TRANSLATED, "icmp_translated", SENT, "an ICMP error about a flow, sent on") \
	X(NOT_IP, "not_ip", PASS, "neither IPv4 nor IPv6") \
	X(OTHER_MAC, "other_mac", PASS, "a frame for another MAC, or for many") \
	X(VLAN, "vlan", PASS, "a frame with a VLAN tag: the VLAN's device has it") \
	X(NOT_TCP_UDP, "not_tcp_udp", PASS, "IP, but neither TCP nor UDP") \
	X(NOT_SERVICE, "not_service", PASS, "no frontend has this address and port") \
	X(FRAGMENT, "fragment", PASS, "a fragment: XDP leaves it to TC, TC to the kernel") \
	X(TTL_EXPIRED, "ttl_expired", PASS, "TTL 1 or less: the kernel answers it") \
	X(MARTIAN, "martian", PASS, "a source that no client has: left to the kernel") \
	X(STACK, "stack", PASS, "an answer that is translated where it leaves the node") \
	X(LEFT_TO_TC, "left_to_tc", PASS, "what XDP can't do: TC does it next") \
	X(BAD_HEADER, "bad_header", PASS, "lengths that lie: left to the kernel") \
	/* refusals */ \
	X(NO_ENDPOINT, "no_endpoint", REJECT, "the service has no usable backend") \
	X(ALL_UNHEALTHY, "all_unhealthy", REJECT, \
	  "all backends are down by their health check or drained") \
	X(TOO_BIG, "too_big", REJECT, "longer than the next link takes: answered with its MTU") \
	X(BACKEND_GONE, "backend_gone", REJECT, "mid-flow TCP, and its backend is gone") \
	X(NO_LOCAL_INTERNAL, "no_local_internal", DROP, \
	  "internalTrafficPolicy Local, and none is here") \
	X(NO_LOCAL_EXTERNAL, "no_local_external", DROP, \
	  "externalTrafficPolicy Local, and none is here") \
	X(REJECT_SILENT, "reject_silent", DROP, "refused like these, but a RST, or over the rate") \
	X(SOURCE_REFUSED, "source_refused", DROP, "no loadBalancerSourceRanges have the client") \
	X(NO_SNAT_PORT, "no_snat_port", DROP, "no free port of the node's address was found") \
	X(STRAY_FRAGMENT, "stray_fragment", DROP, \
	  "a later fragment for a service: its first one is unknown") \
	X(NO_ROUTE, "no_route", DROP, "the kernel has no route for the packet") \
	/* must be 0 */ \
	X(FLOW_NOT_STORED, "flow_not_stored", DROP, "a flow table refused an entry") \
	X(SLOT_INVALID, "slot_invalid", DROP, "a ring names no backend") \
	X(REWRITE_FAILED, "rewrite_failed", DROP, "a helper refused to change the packet")

enum lb_verdict {
	LB_VERDICT_PASS,   /* to the next program and the kernel, untouched */
	LB_VERDICT_SENT,   /* rewritten and sent on */
	LB_VERDICT_DROP,   /* in silence */
	LB_VERDICT_REJECT, /* answered with RST or an ICMP error */
};

enum lb_reason {
#define LB_REASON_ENUM(name, text, verdict, meaning) LB_REASON_##name,
	LB_REASONS(LB_REASON_ENUM)
#undef LB_REASON_ENUM
	LB_REASON_MAX,
};

/* Value of reason_counters (per CPU), by enum lb_reason. */
struct lb_reason_counter {
	__u64 packets;
	__u64 bytes; /* from the IP header on, to the frame's end */
};
_Static_assert(sizeof(struct lb_reason_counter) == 16, "ABI");

/* Value of reject_tokens (per CPU), one entry: how many refusals may still be
 * answered. */
struct lb_tokens {
	__u64 refilled_ns; /* CLOCK_MONOTONIC */
	__u64 tokens;
};
_Static_assert(sizeof(struct lb_tokens) == 16, "ABI");

/*
 * Value of backend_counters (per CPU), by id, counted by the datapath; and of
 * service_counters (mapped), what a service's backends of before have left,
 * written by lbd when an id is freed.  A service's counters are the sum over
 * both, and service 0 keeps what services of before have left.
 *
 * Backend 0 counts replies of backends whose id is free.
 *
 * LB_REASON_FORWARDED and LB_REASON_REPLIED are counted nowhere else: their
 * packets and bytes are the sums over all backends and all of service_counters.
 *
 * Bytes count from the IP header on; a GSO packet counts as one.
 */
struct lb_traffic {
	__u64 connections; /* flows begun */
	__u64 packets_in;  /* client to backend */
	__u64 bytes_in;
	__u64 packets_out; /* backend to client */
	__u64 bytes_out;
};
_Static_assert(sizeof(struct lb_traffic) == 40, "ABI");

#endif
