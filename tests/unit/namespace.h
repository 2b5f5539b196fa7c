/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A network namespace of the test's own, and `ip` commands in it.
 */
#ifndef TEST_NAMESPACE_H
#define TEST_NAMESPACE_H

/* Move this process into a new network namespace, where the kernel makes no
 * link-local addresses of its own: they come late, with routes.  Returns 0 or
 * -1. */
int namespace_enter(void);

/* Run an `ip` command that has to work; else the test fails. */
void ip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ifindex of a device that has to be there. */
int index_of(const char *device);

#endif
