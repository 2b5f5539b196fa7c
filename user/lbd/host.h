/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What lbd needs of the machine and doesn't change itself: it says which
 * command does.
 */
#ifndef GW_HOST_H
#define GW_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* May this process load and attach programs?  Returns 0 or -EPERM. */
int host_check_privileges(struct error *error);

/* Does this network namespace forward packets of a family (4 or 6)?  Where it
 * doesn't, the kernel's look-ups refuse to route for others. */
bool host_forwards(uint8_t family);

/* The command that makes it so. */
const char *host_forwarding_command(uint8_t family);

/* Does the kernel give ports of first..last (host order) to its own sockets?
 * Returns 0 or -EINVAL. */
int host_check_snat_ports(uint16_t first, uint16_t last, struct error *error);

#endif
