/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lbd's options: one table drives the command line, the environment
 * (GUIDEWAY_<OPTION>, which the command line overrules) and --help.
 *
 * All values are checked when they are read, as far as the text alone tells;
 * strings point into argv or the environment, lists are copies.
 */
#ifndef GW_OPTIONS_H
#define GW_OPTIONS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "addr.h"
#include "datapath.h"
#include "error.h"
#include "health_check.h"
#include "log.h"
#include "plan.h"

#define OPTIONS_LIST_MAX 32 /* values of an option that can be repeated */
#define OPTIONS_GLOB_SIZE 64

/* What kube-apiserver gives out unless it is told otherwise. */
#define OPTIONS_NODEPORT_FIRST 30000
#define OPTIONS_NODEPORT_LAST 32767

struct option_ports {
	uint16_t first, last; /* host order */
};

enum options_services {
	OPTIONS_SERVICES_ALL,	   /* but those that another proxy's name is on */
	OPTIONS_SERVICES_LABELLED, /* those that ours is on */
};

struct options {
	const char *source_path;	   /* of "file:PATH" */
	bool source_kubernetes;		   /* instead of it */
	const char *kubeconfig, *kube_api; /* NULL = in a pod, found by itself */
	enum options_services services;
	char devices[OPTIONS_LIST_MAX][IFNAMSIZ];
	size_t ndevices; /* 0 = those with a default route */
	char pod_devices[OPTIONS_LIST_MAX][OPTIONS_GLOB_SIZE];
	size_t npod_devices; /* 0 = any */
	char node[256];
	struct addr node_addresses[OPTIONS_LIST_MAX];
	size_t nnode_addresses; /* 0 = the uplinks' */
	/* Of the node's addresses those in here serve node ports; one of family 0:
	 * the primary ones, and so where there is none. */
	struct prefix nodeport_addresses[OPTIONS_LIST_MAX];
	size_t nnodeport_addresses;
	struct prefix pod_cidrs[OPTIONS_LIST_MAX];
	size_t npod_cidrs;
	enum hook hook;
	enum datapath_attach attach;
	enum datapath_tc tc;
	enum plan_bypass bypass;
	const char *socket_lb; /* a cgroup's path, "auto" or "off" */
	struct option_ports snat_ports;
	uint32_t linger_s;
	struct health_check health;
	uint32_t health_interval_ms, health_rise, health_fall;
	uint64_t hash_seed;
	/* 0 = as the pinned maps have it, else datapath.h's default */
	uint32_t max_services, max_backends, max_frontends, max_slots;
	uint32_t max_flows, max_udp_flows, max_new_flows, max_affinity;
	const char *bpffs_dir;
	const char *control_path;
	struct {
		struct addr addr;
		uint16_t port; /* host order */
	} listen;
	bool listen_off, listen_given;
	enum log_level log_level;
	enum log_format log_format;
	bool check, detach;
	bool version, help; /* print and exit 0; nothing else is looked at */
};

/* Returns 0, or -EINVAL with one line that names the option and its value. */
int options_parse(int argc, char *const argv[], struct options *ret, struct error *error);

void options_print_help(FILE *to);

/* Does a device's name match --pod-device? */
bool options_pod_device(const struct options *options, const char *name);

#endif
