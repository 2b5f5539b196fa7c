/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Tell a service manager how far lbd is, by the protocol of sd_notify(3): a datagram to
 * the socket that NOTIFY_SOCKET names.  Without that variable nothing is told.
 */
#ifndef GW_NOTIFY_H
#define GW_NOTIFY_H

/* "READY=1", "STOPPING=1".  Nobody's failure: who doesn't listen misses it. */
void notify(const char *state);

#endif
