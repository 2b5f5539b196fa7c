// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guideway's datapath: the table of contents, in the order packets take it.
 * It owns no logic.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "lb.h"
#include "hash.h"

#define NULL ((void *)0)
#define EINVAL 22
#define ECONNREFUSED 111
#define EHOSTUNREACH 113
#define TC_ACT_SHOT 2
#define TC_ACT_REDIRECT 7

#include "config.bpf.h"
#include "maps.bpf.h"
#include "count.bpf.h"

#include "parse.bpf.h"	  /* 1: bytes -> struct packet */
#include "frontend.bpf.h" /* 2: is it for a service? */
#include "source.bpf.h"	  /* 2: and from who may reach it? */
#include "pick.bpf.h"	  /* 4: a backend for a new flow */
#include "flow_tables.bpf.h"
#include "flow.bpf.h"	    /* 3: the backend of the flow */
#include "affinity.bpf.h"   /* 4: or the client's own */
#include "flow_cache.bpf.h" /* 3: or who had it a moment ago */
#include "flow_begin.bpf.h" /* 3: or a new flow's */
#include "checksum.bpf.h"
#include "rewrite.bpf.h"  /* 5: addresses, ports, TTL, checksums */
#include "forward.bpf.h"  /* 6: next hop */
#include "fragment.bpf.h" /* ports of what has none */
#include "reply.bpf.h"	  /* the way back */
#include "reject.bpf.h"	  /* or a refusal */
#include "icmp.bpf.h"	  /* errors about flows */

#include "xdp.bpf.h" /* mouth: uplink, XDP */
#include "tc.bpf.h"  /* mouths: uplink and pod, TC */

#include "socket_flow.bpf.h" /* 2 to 4 without a packet */
#include "socket.bpf.h"	     /* mouth: this node's processes */

char LICENSE[] SEC("license") = "GPL";
