/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Time for commands that wait: CLOCK_MONOTONIC in milliseconds.
 */
#ifndef LBCTL_DEADLINE_H
#define LBCTL_DEADLINE_H

#include <time.h>

static inline long long deadline_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline long long deadline_after(unsigned int timeout_s)
{
	return deadline_now_ms() + timeout_s * 1000LL;
}

static inline void deadline_sleep(unsigned int ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&pause, NULL);
}

#endif
