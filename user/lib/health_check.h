/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * How backends are checked: what --health and the annotation
 * guideway.io/health-check say.
 */
#ifndef GW_HEALTH_CHECK_H
#define GW_HEALTH_CHECK_H

#define HEALTH_PATH_SIZE 256

enum health_kind {
	HEALTH_UNSET, /* the annotation is absent: as --health says */
	HEALTH_NONE,
	HEALTH_TCP,  /* a connection is accepted */
	HEALTH_HTTP, /* GET path is answered with 200-399, as a kubelet's probe has it */
};

struct health_check {
	enum health_kind kind;
	char path[HEALTH_PATH_SIZE]; /* of HEALTH_HTTP: from its first slash on */
};

#define HEALTH_CHECK_FORMS "none|tcp|http:PATH"

/* Read one of these forms; returns 0 or -EINVAL. */
int health_check_parse(const char *text, struct health_check *ret);

#endif
