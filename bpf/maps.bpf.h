/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps; lb.h has what keys and values mean.  max_entries given here are
 * placeholders: lbd sets all of them from its options before loading.
 */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

/* What people reach -> which service. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_frontend4_key);
	__type(value, struct lb_frontend);
} frontends4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_frontend6_key);
	__type(value, struct lb_frontend);
} frontends6 SEC(".maps");

/* Service id and a client's address -> it may reach the service's load-balancer
 * addresses, where they have LB_FRONTEND_F_SOURCES. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LB_MAX_SOURCES);
	__type(key, struct lb_source4_key);
	__type(value, struct lb_source);
} sources4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LB_MAX_SOURCES);
	__type(key, struct lb_source6_key);
	__type(value, struct lb_source);
} sources6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_address4_key);
	__type(value, __u32);
} addresses4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_address6_key);
	__type(value, __u32);
} addresses6 SEC(".maps");

/* A map of its own, pinned like the others; a section of data because its
 * bytes are read without a call then. */
volatile __u8 frontend_filter[LB_FILTER_BYTES] SEC(".data.frontend_filter");

volatile struct lb_settings settings SEC(".data.settings");

/* Service id -> how flows begin, and its name for people. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_service_name);
} service_names SEC(".maps");

/* Service id -> flows begun, of those that take backends in turn. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cursors SEC(".maps");

/* A client of a service with affinity -> its backend. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_affinity4_key);
	__type(value, struct lb_affinity);
} affinity4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_affinity6_key);
	__type(value, struct lb_affinity);
} affinity6 SEC(".maps");

/* LB_RING_INDEX(service, scope) -> where its ring is in the arena. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} rings SEC(".maps");

/* Slots of all rings, a line at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_arena_line);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_DEVICES);
	__type(key, __u32);
	__type(value, struct lb_device);
} devices SEC(".maps");

/* Client's 5-tuple -> backend: established flows of TCP, of UDP, and new ones. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_flow);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple6);
	__type(value, struct lb_flow);
} flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_flow);
} udp_flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple6);
	__type(value, struct lb_flow);
} udp_flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_flow);
} new_flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple6);
	__type(value, struct lb_flow);
} new_flows6 SEC(".maps");

/* Backend's 5-tuple -> frontend that the client knows; likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_reply);
} replies4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple6);
	__type(value, struct lb_reply);
} replies6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_reply);
} udp_replies4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple6);
	__type(value, struct lb_reply);
} udp_replies6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple4);
	__type(value, struct lb_reply);
} new_replies4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct lb_tuple6);
	__type(value, struct lb_reply);
} new_replies6 SEC(".maps");

/* What a socket of this node is connected to; and to whom one sends that isn't. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct lb_socket);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LB_MAX_UDP_SOCKETS);
	__type(key, __u64);
	__type(value, struct lb_socket);
} udp_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LB_MAX_SOCKET_FLOWS);
	__type(key, struct lb_socket_flow_key);
	__type(value, struct lb_socket_flow);
} socket_flows SEC(".maps");

/* Datagrams whose first fragment went by. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LB_MAX_FRAGMENTS);
	__type(key, struct lb_fragment_key);
	__type(value, struct lb_fragment);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_tokens);
} reject_tokens SEC(".maps");

/* By enum lb_reason, by service id (lbd's), by backend id. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_REASON_MAX);
	__type(key, __u32);
	__type(value, struct lb_reason_counter);
} reason_counters SEC(".maps");

/* By LB_FLOW_TABLE_INDEX(). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_FLOW_TABLE_MAX * 2);
	__type(key, __u32);
	__type(value, struct lb_table_counter);
} table_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} service_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} backend_counters SEC(".maps");

#endif
