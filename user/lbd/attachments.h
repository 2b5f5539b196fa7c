/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Which programs are to be on which devices: a set of (device, role, hook),
 * made out of the uplinks and the pod devices.  Pods' devices come first, so
 * that replies are undone before a client's packet is let in.
 */
#ifndef GW_ATTACHMENTS_H
#define GW_ATTACHMENTS_H

#include "datapath.h"
#include "devices.h"
#include "uplinks.h"

struct attachment {
	struct datapath_device device; /* its name is the one below */
	char name[IFNAMSIZ];
	const char *reason; /* why the hook is wanted, "" for pods */
};

struct attachments {
	struct attachment *list;
	size_t n;
};

/* Returns 0 or -ENOMEM.  A zeroed set is empty. */
int attachments_collect(const struct uplinks *uplinks, const struct devices *devices,
			const struct netlink *netlink, struct attachments *ret);

/* Both sets' attachments; where a device is in both, b's. */
int attachments_join(const struct attachments *a, const struct attachments *b,
		     struct attachments *ret);

bool attachments_equal(const struct attachments *a, const struct attachments *b);
/* Are all of b's in a? */
bool attachments_contain(const struct attachments *a, const struct attachments *b);

/* Sets what is in use, too. */
int attachments_attach(struct attachments *attachments, struct datapath *datapath,
		       struct error *error);

/* Frees what it holds; the set is empty then. */
void attachments_clear(struct attachments *attachments);

#endif
