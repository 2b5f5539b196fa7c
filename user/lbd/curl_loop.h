/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * libcurl's multi interface on libuv: curl says which sockets and what time-out
 * it waits for, the loop tells when they are due.
 *
 * Transfers are easy handles that the caller makes, adds and frees; done() is
 * called once for each that ends, never within a call of the caller's.
 */
#ifndef GW_CURL_LOOP_H
#define GW_CURL_LOOP_H

#include <curl/curl.h>
#include <uv.h>

#include "error.h"

struct curl_loop;

/* done: the transfer is over; it has to be removed or freed there.  private: its
 * CURLOPT_PRIVATE. */
typedef void curl_loop_done(void *private, CURLcode code);

int curl_loop_open(uv_loop_t *loop, curl_loop_done *done, struct curl_loop **ret,
		   struct error *error);
/* All transfers have to be removed.  The loop has to run once more. */
void curl_loop_close(struct curl_loop *curl_loop);

/* Returns 0, or -ENOMEM. */
int curl_loop_add(struct curl_loop *curl_loop, CURL *transfer);
void curl_loop_remove(struct curl_loop *curl_loop, CURL *transfer);

#endif
