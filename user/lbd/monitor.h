/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What others watch lbd by, over HTTP on TCP: /metrics, /livez (the loop runs),
 * /healthz (likewise, and the node isn't about to be deleted) and /readyz (all that
 * the source held at first is in the maps).
 */
#ifndef GW_MONITOR_H
#define GW_MONITOR_H

#include <uv.h>

#include "addr.h"
#include "error.h"
#include "view.h"

struct monitor;

/* port: host order.  Errors name --listen. */
int monitor_open(const struct addr *addr, uint16_t port, uv_loop_t *loop, const struct view *view,
		 struct monitor **ret, struct error *error);
void monitor_close(struct monitor *monitor); /* freed in the loop's next turn */

#endif
