/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What is wrong with a request's headers, beyond what libmicrohttpd refuses. */
#ifndef REPLICA_HTTP_HEADERS_H
#define REPLICA_HTTP_HEADERS_H

#define MAX_BODY_BYTES (64 * 1024) /* of a request; more is 413 */

struct MHD_Connection;

/* NULL = nothing; else a text and, in *ret_status, the answer's status. */
const char *headers_refusal(struct MHD_Connection *connection, const char *version,
			    unsigned int *ret_status);

#endif
