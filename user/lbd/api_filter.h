/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The arguments of a request's URL that say which rows are meant.
 */
#ifndef GW_API_FILTER_H
#define GW_API_FILTER_H

#include <microhttpd.h>

#include "error.h"
#include "show.h"

/* service=NS/NAME alone; *ret is NULL where it isn't given. */
int api_filter_service(struct MHD_Connection *connection, const char **ret, struct error *error);

/* service=NS/NAME[:PORT], backend=ADDR[:PORT], client=ADDR[:PORT], limit=N.  Texts
 * belong to the connection.  Returns 0, or -EINVAL and which one is wrong. */
int api_filter_read(struct MHD_Connection *connection, struct show_filter *ret,
		    struct error *error);

#endif
