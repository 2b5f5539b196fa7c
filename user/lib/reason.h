/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lb.h's list of reasons, for those who show it.
 */
#ifndef GW_REASON_H
#define GW_REASON_H

#include "lb.h"

struct reason {
	const char *text; /* as users see it: "no_endpoint" */
	enum lb_verdict verdict;
	const char *verdict_text; /* "REJECT" */
	const char *meaning;
};

const struct reason *reason_get(enum lb_reason reason);
/* NULL = there is none of this text. */
const struct reason *reason_find(const char *text);

#endif
