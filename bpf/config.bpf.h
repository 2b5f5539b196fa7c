/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lbd sets before it loads the programs (skel->rodata).  The verifier
 * sees constants and drops the code that they switch off.
 */
#ifndef CONFIG_BPF_H
#define CONFIG_BPF_H

/* The same on every node, so that rings and picks agree. */
const volatile __u64 config_hash_seed = 0;

/* How long a flow without packets is remembered, in ticks, by enum
 * lb_flow_state. */
const volatile __u32 config_tcp_timeout_ticks[3] = {56, 20117, 56};
const volatile __u32 config_udp_timeout_ticks[3] = {28, 112, 28};

#endif
