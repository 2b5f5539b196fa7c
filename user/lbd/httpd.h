/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * An HTTP server (libmicrohttpd) on lbd's loop and thread, over a socket that
 * listens: the control API's and the metrics' one.
 */
#ifndef GW_HTTPD_H
#define GW_HTTPD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <uv.h>

#include "error.h"

struct httpd;

struct httpd_calls {
	MHD_AccessHandlerCallback handle;
	MHD_RequestCompletedCallback completed; /* NULL = nobody cares */
	void (*closed)(void *arg);		/* after httpd_close(), in the loop's next turn */
	void *arg;				/* of all of them */
};

/* Takes the socket over, which is non-blocking.  Where it fails the caller keeps
 * it. */
int httpd_open(int listen_fd, uv_loop_t *loop, const struct httpd_calls *calls, struct httpd **ret,
	       struct error *error);
void httpd_close(struct httpd *httpd);

/* For a handler to which a body means nothing: it is called with the headers, and with
 * each part of a body, which is dropped, before it is called to answer (true). */
bool httpd_is_complete(size_t *data_bytes, void **request);

#endif
