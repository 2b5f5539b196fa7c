/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lbd sets before it loads the programs (skel->rodata).  The verifier
 * sees constants and drops the code that they switch off.
 */
#ifndef CONFIG_BPF_H
#define CONFIG_BPF_H

/* The same on every node, so that rings and picks agree. */
const volatile __u64 config_hash_seed = 0;

/* The kernel's clock of ticks, which a program reads without a call: its start,
 * and the length of one (1/HZ). */
const volatile __u64 config_jiffies_start = 0;
const volatile __u32 config_jiffy_ns = 0;

const volatile __u32 config_tcp_timeout_ticks[3] = LB_TCP_TIMEOUTS;
const volatile __u32 config_udp_timeout_ticks[3] = LB_UDP_TIMEOUTS;

/* A SYN sent again after so long without an answer gets another backend.
 * Clients wait a second (RFC 6298); less would take a slow backend for a dead
 * one. */
#define FLOW_UNANSWERED_TICKS 6 /* 0.8 s */

/* The ports of this node's address that flows get, in host order. */
const volatile __u16 config_snat_port_first = 10000;
const volatile __u16 config_snat_ports = 20000; /* how many */

/* The network namespace whose processes are this node's; those of others are pods'.
 * 0 = nobody's. */
const volatile __u64 config_netns_cookie = 0;

/* Refusals (RST, port unreachable) that each CPU answers in a second; what is
 * over that is dropped in silence. */
const volatile __u32 config_reject_rate = 1000;

#endif
