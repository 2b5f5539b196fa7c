/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "reason.h"

#include <stddef.h>
#include <string.h>

static const struct reason reasons[LB_REASON_MAX] = {
#define REASON_ROW(name, text, verdict, meaning) {text, LB_VERDICT_##verdict, #verdict, meaning},
	LB_REASONS(REASON_ROW)
#undef REASON_ROW
};

const struct reason *reason_get(enum lb_reason reason)
{
	return &reasons[reason];
}

const struct reason *reason_find(const char *text)
{
	for (int i = 0; i < LB_REASON_MAX; i++)
		if (!strcmp(reasons[i].text, text))
			return &reasons[i];
	return NULL;
}
