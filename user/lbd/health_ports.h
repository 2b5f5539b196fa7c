/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * healthCheckNodePort: what spreads clients over the nodes asks here whether a
 * load-balancer Service has backends on this one (service-semantics 75-77).
 *
 * One HTTP server for each such port, on lbd's loop, opened and closed as snapshots
 * come and go.  The answer is the snapshot's of now.  A port that can't be had is told
 * once and tried again every few seconds.
 */
#ifndef GW_HEALTH_PORTS_H
#define GW_HEALTH_PORTS_H

#include <uv.h>

#include "error.h"
#include "view.h"

struct health_ports;

/* The view has to outlive it. */
int health_ports_open(uv_loop_t *loop, const struct view *view, struct health_ports **ret,
		      struct error *error);
/* After one turn of the loop it's gone. */
void health_ports_close(struct health_ports *ports);

/* Listen for what the view's snapshot asks for, and for nothing else.  0 or -ENOMEM. */
int health_ports_follow(struct health_ports *ports);

/* Why nobody listens there on behalf of a Service; NULL = somebody does. */
const char *health_ports_trouble(const struct health_ports *ports,
				 const struct model_service *service);

#endif
