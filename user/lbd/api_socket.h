/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The control API's listening UNIX socket: mode 0660, in a directory that is
 * made if need be.
 */
#ifndef GW_API_SOCKET_H
#define GW_API_SOCKET_H

#include "error.h"

/* Returns a non-blocking fd that listens; -EADDRINUSE where another daemon
 * answers there, -EEXIST where something else than a socket is there, or
 * another -errno.  A socket that a dead daemon left is replaced. */
int api_socket_open(const char *path, struct error *error);

#endif
