/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#include "http_headers.h"

struct headers {
	int hosts, lengths, codings;
	const char *length, *coding;
};

static enum MHD_Result header_note(void *arg, enum MHD_ValueKind kind, const char *key,
				   const char *value)
{
	struct headers *headers = arg;

	(void)kind;
	if (!strcasecmp(key, MHD_HTTP_HEADER_HOST)) {
		headers->hosts++;
	} else if (!strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
		headers->lengths++;
		headers->length = value;
	} else if (!strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		headers->codings++;
		headers->coding = value;
	}
	return MHD_YES;
}

/* A body's end must not be a matter of opinion (RFC 9112, 6.3). */
static const char *body_refusal(const struct headers *headers, unsigned int *ret_status)
{
	unsigned long long length;

	*ret_status = MHD_HTTP_BAD_REQUEST;
	if (headers->codings && headers->lengths)
		return "Content-Length and Transfer-Encoding exclude each other";
	if (headers->codings > 1 || (headers->coding && strcasecmp(headers->coding, "chunked")))
		return "Transfer-Encoding: chunked is known, and no other";
	if (!headers->lengths)
		return NULL;
	if (headers->lengths > 1 || !headers->length || !*headers->length ||
	    headers->length[strspn(headers->length, "0123456789")])
		return "Content-Length: one number is needed";
	errno = 0;
	length = strtoull(headers->length, NULL, 10);
	if (errno || length > MAX_BODY_BYTES) {
		*ret_status = MHD_HTTP_CONTENT_TOO_LARGE;
		return "the body is too long";
	}
	return NULL;
}

const char *headers_refusal(struct MHD_Connection *connection, const char *version,
			    unsigned int *ret_status)
{
	struct headers headers = {0};

	MHD_get_connection_values(connection, MHD_HEADER_KIND, header_note, &headers);
	/* RFC 9112, 3.2: one Host, from HTTP/1.1 on. */
	if (headers.hosts > 1 || (!headers.hosts && !strcmp(version, MHD_HTTP_VERSION_1_1))) {
		*ret_status = MHD_HTTP_BAD_REQUEST;
		return "one Host header is needed";
	}
	return body_refusal(&headers, ret_status);
}
