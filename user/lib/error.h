/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * An error as a person reads it: one line that names the option, file, line or
 * object at fault.  Functions that can fail for a reason worth telling take a
 * struct error * (never NULL) and return -errno as well; whoever is at the
 * edge (main, an event callback, the API) shows the text.
 */
#ifndef GW_ERROR_H
#define GW_ERROR_H

struct error {
	char text[512];
};

/* Set the text and return err (a negative errno), so that a caller can write
 * `return error_set(error, -EINVAL, "...")`. */
int error_set(struct error *error, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "PREFIX: " before the text that is there and return err. */
int error_prefix(struct error *error, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A text from outside as a part of an error: in quotes, cut where it's long,
 * all but printable ASCII escaped, so that it can't forge a line.  Returns buf. */
#define ERROR_QUOTE_LEN 80
const char *error_quote(const char *text, char buf[ERROR_QUOTE_LEN]);

#endif
