/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "health_check.h"

#include <errno.h>
#include <string.h>

#define HTTP_PREFIX "http:"

/* What can stand in a request line as it is (RFC 3986: the rest is escaped). */
static int path_is_good(const char *path)
{
	if (*path != '/' || strlen(path) >= HEALTH_PATH_SIZE)
		return 0;
	for (; *path; path++)
		if (*path <= ' ' || *path >= 0x7f || *path == '#')
			return 0;
	return 1;
}

int health_check_parse(const char *text, struct health_check *ret)
{
	const char *path = text + strlen(HTTP_PREFIX);
	struct health_check check = {.kind = HEALTH_UNSET};

	if (!strcmp(text, "none")) {
		check.kind = HEALTH_NONE;
	} else if (!strcmp(text, "tcp")) {
		check.kind = HEALTH_TCP;
	} else if (!strncmp(text, HTTP_PREFIX, strlen(HTTP_PREFIX)) && path_is_good(path)) {
		check.kind = HEALTH_HTTP;
		strcpy(check.path, path);
	} else {
		return -EINVAL;
	}
	*ret = check;
	return 0;
}
