/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Tables as kubectl has them: upper-case headers, columns padded with three
 * blanks, everything left-aligned, an empty cell is <none>.
 *
 * Texts come from the daemon and, in the end, from whoever writes manifests:
 * their control characters never reach the terminal.
 *
 * Cell by cell:
 *	err = table_begin(&table, n);
 *	fputs("a cell", table.cells); table_next(&table);      (headers first)
 *	err = table_end(&table, out);
 * or, for rows that are alike, as an array of columns: table_print().
 */
#ifndef LBCTL_TABLE_H
#define LBCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "answer.h"

struct table {
	FILE *cells; /* in memory */
	char *text;
	size_t size, ncolumns;
	uint64_t judged; /* by column: its words have colours */
};

/* Headers and words like "down" get colours: for a terminal that has them. */
void table_set_colours(bool on);

/* Returns 0 or -ENOMEM. */
int table_begin(struct table *table, size_t ncolumns);
void table_next(struct table *table);
/* Prints the table and frees what it took; returns 0 or -ENOMEM. */
int table_end(struct table *table, FILE *out);

struct table_column {
	const char *header;
	bool wide;   /* shown by -o wide alone */
	bool judged; /* good, doubtful or bad: green, yellow or red */
	/* A field of the row, printed as it is, or a function that writes the
	 * cell. */
	const char *key;
	void (*cell)(const struct value *row, FILE *out);
};

/* Print rows (an array of objects); returns 0 or -ENOMEM. */
int table_print(const struct table_column *columns, size_t n, const struct value *rows, bool wide,
		FILE *out);

/* Write text, control characters as '?'. */
void table_safe(const char *text, FILE *out);

#endif
