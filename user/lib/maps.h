/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The pinned maps as typed arrays: what lbd writes and lbctl reads.
 *
 * ARRAY maps are mapped into memory, so reading them costs no system call and
 * a restart that finds nothing to change writes nothing.  They are mapped
 * read-only until maps_make_writable().  HASH maps, tries and per-CPU counters go
 * through bpf(2).  One thread.  maps.c opens them, maps_entries.c has frontends and sources,
 * maps_flows.c what the datapath remembers, maps_counters.c the counters, maps_look.c
 * what the arrays say.
 */
#ifndef GW_MAPS_H
#define GW_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "lb.h"
#include "plan.h"

/* The last switch of a ring: when (0 = not by this process), and how many of its
 * slots have another backend than before. */
struct maps_ring_change {
	uint64_t ticks;
	uint32_t moved;
};

struct maps {
	uint32_t max_services, max_backends, max_frontends, arena_lines;
	uint32_t max_flows, max_udp_flows, max_new_flows;

	/* Mapped; const until maps_make_writable(), then written with
	 * __atomic stores by apply.c alone. */
	struct lb_service *services;
	struct lb_service_name *service_names;
	__u64 *rings;
	struct lb_arena_line *arena;
	struct lb_backend *backends;
	struct lb_device *devices; /* LB_MAX_DEVICES */
	struct lb_traffic *service_counters;
	__u8 *frontend_filter; /* LB_FILTER_BYTES */
	struct lb_settings *settings;
	bool writable;

	int addresses_fd[2];
	int frontends_fd[2], flows_fd[2], udp_flows_fd[2], new_flows_fd[2]; /* [0] IPv4, [1] IPv6 */
	int sources_fd[2], affinity_fd[2];
	int sockets_fd, udp_sockets_fd;
	/* By LB_RING_INDEX(), kept by this process as it writes them. */
	struct maps_ring_change *ring_changes; /* NULL = nobody writes */
	int reason_counters_fd, backend_counters_fd, table_counters_fd;
	int mapped_fd[9]; /* of the arrays above, in their order */
	int ncpus;
};

/* Open the maps pinned in a bpffs directory (DIR/v<LB_ABI>).  Returns 0,
 * -ENOENT (nothing is pinned there) or another -errno. */
int maps_open(const char *bpffs_dir, struct maps **ret, struct error *error);
void maps_close(struct maps *maps);

/* Map the arrays writable; a no-op the second time. */
int maps_make_writable(struct maps *maps, struct error *error);

/* What the maps hold, for plan_make().  The lists in it are freed by the caller with
 * maps_applied_free(). */
int maps_applied(const struct maps *maps, struct applied *ret, struct error *error);
void maps_applied_free(struct applied *applied);

/* Frontends: insert (fails with -EEXIST; its bit in the filter is set first, and its
 * address is there), delete (-ENOENT). */
int maps_frontend_insert(struct maps *maps, const struct plan_frontend *frontend);
int maps_frontend_delete(struct maps *maps, const struct plan_frontend *frontend);

/* Source ranges: insert (one that is there is left), delete (-ENOENT). */
int maps_source_insert(struct maps *maps, const struct plan_source *source);
int maps_source_delete(struct maps *maps, const struct plan_source *source);

/* Addresses become those that frontends have.  Set the filter's bits that are
 * missing and, where many more are set than
 * frontends and flows need, clear the others.  Nothing is written where
 * nothing has to be.  For whoever adopts maps, and after deletes, with a
 * quiesce in between.  0 or -errno. */
int maps_filter_tidy(struct maps *maps);

/* Counters, summed over the CPUs.  What is sent on is counted by backend alone:
 * the reasons "forwarded" and "replied" are made up of that here. */
int maps_reason_counters(const struct maps *maps, struct lb_reason_counter ret[LB_REASON_MAX]);
/* ids 0..max-1 at once: ret has max_services or max_backends elements.  A
 * service's counters are its backends', those that are gone included. */
int maps_service_counters(const struct maps *maps, struct lb_traffic *ret);
int maps_backend_counters(const struct maps *maps, struct lb_traffic *ret);

/* By LB_FLOW_TABLE_INDEX(). */
int maps_table_counters(const struct maps *maps,
			struct lb_table_counter ret[LB_FLOW_TABLE_MAX * 2]);

/* Before an id is used anew, and when it was freed: what a backend has counted
 * goes to its service, what a service has to service 0, so that nothing is
 * lost.  No program may count for the id any more.  0 or -errno. */
int maps_backend_counters_fold(struct maps *maps, uint32_t id, uint32_t service);
void maps_service_counters_fold(struct maps *maps, uint32_t id);

/* A flow as its forward entry has it; ports in host order. */
struct maps_flow {
	struct addr client, frontend;
	uint16_t client_port, frontend_port;
	uint16_t snat_port; /* the backend sees this node's address and this port; 0 = it
			     * doesn't */
	uint8_t protocol;
	uint8_t state; /* enum lb_flow_state */
	bool stack;    /* LB_FLOW_F_STACK */
	uint32_t backend;
	uint32_t age_ticks; /* since its last packet */
};

/* Call each() for every flow that isn't over.  0 or -errno. */
int maps_flows_each(const struct maps *maps, void (*each)(void *arg, const struct maps_flow *flow),
		    void *arg);

/* Forget a flow: its next packet begins it anew.  0, -ENOENT or -errno. */
int maps_flow_delete(const struct maps *maps, const struct maps_flow *flow);

/* Live flows per backend id, new ones included, those that close aside: ret has
 * max_backends elements. */
int maps_flow_counts(const struct maps *maps, uint32_t *ret);

/* One of the tables that flows are in. */
struct maps_flow_table {
	uint64_t live;	  /* flows, those that close aside */
	uint64_t evicted; /* entries that were pushed out since the maps were made; about */
};
/* By LB_FLOW_TABLE_INDEX().  Looks at every entry.  0 or -errno. */
int maps_flow_tables(const struct maps *maps, struct maps_flow_table ret[LB_FLOW_TABLE_MAX * 2]);

/* Where a client's flows to a service go. */
struct maps_affinity {
	struct addr client;
	uint32_t service, backend;
	uint32_t age_ticks, left_ticks; /* since it was used, until it ends */
};
int maps_affinity_each(const struct maps *maps,
		       void (*each)(void *arg, const struct maps_affinity *affinity), void *arg);

/* Call each() for every connected UDP socket of this node's processes.  0 or -errno. */
int maps_udp_sockets_each(const struct maps *maps,
			  void (*each)(void *arg, uint64_t cookie, const struct lb_socket *socket),
			  void *arg);

/* Add a ring's slots to slots[], by backend id; false: a ring that maps can't hold. */
bool maps_ring_count(const struct maps *maps, uint64_t ring, uint32_t *slots);

/* The backend that a flow, a client's affinity or a socket names; NULL = it was freed. */
const struct lb_backend *maps_flow_backend(const struct maps *maps, uint64_t word);

/* Is a backend's address this one, and its port (host order; 0 = any)? */
bool maps_backend_is_at(const struct lb_backend *backend, const struct addr *addr, uint16_t port);

/* Wait until every BPF program that runs now has ended (RCU grace period), so
 * that what no map names any more can be used again. */
void maps_quiesce(void);

/* The clock of lb.h: ticks since boot. */
uint64_t maps_now_ticks(void);

/* The kernel's clock of ticks that the programs read, which follows
 * CLOCK_MONOTONIC: the length of a tick in ns, and the count it began with. */
void maps_jiffies(uint32_t *ret_jiffy_ns, uint64_t *ret_start);

/* The kernel's number of the network namespace that we are in, by which the programs
 * tell our sockets from pods'.  Returns 0 or -errno (-ENOPROTOOPT before 5.14). */
int maps_netns_cookie(uint64_t *ret);

#endif
