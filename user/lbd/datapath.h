/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The BPF programs: loaded, attached, pinned.  The only user of libbpf's
 * loader; maps.h has the maps' contents.
 *
 * Everything is pinned below DIR/v<LB_ABI>: maps/ and links/.  Opening a
 * directory that another lbd left adopts its maps, so no flow is lost, and
 * datapath_attach() replaces the programs behind its links in place.
 */
#ifndef GW_DATAPATH_H
#define GW_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "maps.h"

enum hook {
	HOOK_AUTO,
	HOOK_XDP,	  /* native */
	HOOK_XDP_GENERIC, /* in the kernel's receive path, plus TC behind it */
	HOOK_TC,
};
const char *hook_name(enum hook hook);

/* How TC programs are attached. */
enum datapath_tc {
	DATAPATH_TC_AUTO, /* tcx where the kernel has it (6.6) */
	DATAPATH_TC_TCX,
	DATAPATH_TC_CLSACT,
};

/* How an uplink's XDP program is attached. */
enum datapath_attach {
	DATAPATH_ATTACH_LINK,	    /* alone on its device */
	DATAPATH_ATTACH_DISPATCHER, /* beside others', in libxdp's dispatcher */
};

/* Sizes are entries; 0 = as the pinned maps have it, else the default. */
struct datapath_config {
	const char *bpffs_dir;
	uint32_t max_services, max_backends, max_frontends, max_slots;
	uint32_t max_flows, max_udp_flows, max_new_flows, max_affinity;
	uint64_t hash_seed;
	enum datapath_tc tc;
	enum datapath_attach attach;
	uint16_t snat_port_first, snat_port_last; /* of those, host order */
	bool sockets;				  /* load what datapath_attach_sockets() attaches */
};

/* What is to be attached: one device in one role. */
struct datapath_device {
	int ifindex;
	const char *name;
	enum {
		DEVICE_UPLINK,
		DEVICE_POD
	} role;
	enum hook hook;	    /* uplinks: never HOOK_AUTO; pods have TC alone */
	bool may_fall_back; /* to xdp-generic, then tc, where the device refuses */
	/* Set by datapath_attach(): the hook in use, how its program is attached (static
	 * text), and why it isn't the wanted one ("" = it is). */
	enum hook used;
	const char *attach;
	char refusal[160];
};

/* Defaults of the sizes. */
#define DATAPATH_MAX_SERVICES 4096
#define DATAPATH_MAX_BACKENDS 16384
#define DATAPATH_MAX_FRONTENDS 8192 /* per address family */
#define DATAPATH_MAX_SLOTS (8U << 20)

struct datapath;

/* Load the programs over new or adopted maps and hold DIR's lock.  Errors:
 * -EBUSY another lbd holds it; -ENOTSUP not a bpf file system, or the kernel has no
 * such way to attach; -EPERM; -EEXIST
 * the pinned maps have other sizes than the configuration asks for. */
int datapath_open(const struct datapath_config *config, struct datapath **ret, struct error *error);
struct maps *datapath_maps(struct datapath *datapath);

/* Were the maps made by this process, not adopted? */
bool datapath_is_fresh(const struct datapath *datapath);

/* Attach to exactly these devices: new ones get links, known ones the new
 * programs, all others lose theirs.  A device that fails is named in error and
 * the others are done all the same; then the first -errno is returned. */
int datapath_attach(struct datapath *datapath, struct datapath_device *devices, size_t n,
		    struct error *error);

/*
 * Attach to a cgroup: its processes that are in our network namespace become clients of
 * services.  All hooks or none.  To be called before datapath_attach(), which takes
 * the links of a lbd before away where it wasn't.
 */
int datapath_attach_sockets(struct datapath *datapath, const char *cgroup, int cgroup_fd,
			    struct error *error);

/*
 * Take over from a lbd with another layout of the maps, which has served until now.  Once all
 * is attached its programs are detached where clients' packets come in, on uplinks: what
 * they knew begins anew with ours.  Those on pods' devices still undo the answers that are
 * under way; they and the maps go with datapath_forget_others().  Both return how many links
 * there were, or -errno.  A device has one XDP program: after the first, datapath_attach().
 */
int datapath_take_over(struct datapath *datapath, const int *uplinks, size_t n,
		       struct error *error);
int datapath_forget_others(struct datapath *datapath, struct error *error);

/* Close what this process holds; pins and traffic stay. */
void datapath_close(struct datapath *datapath);

/* Remove links, maps and pins of DIR, of whatever layout.  Returns 0 also where nothing was. */
int datapath_detach(const char *bpffs_dir, struct error *error);

#endif
