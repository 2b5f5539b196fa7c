/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Commands of the kind "X list": one GET, whose answer is an object with one
 * array of objects, shown in any format.
 */
#ifndef LBCTL_LIST_H
#define LBCTL_LIST_H

#include "command.h"
#include "table.h"

struct list {
	const char *key; /* of the array in the answer */
	const struct table_column *columns;
	size_t ncolumns;
	void (*name)(const struct value *row, FILE *out); /* for -o name */
};

int list_show(const struct list *list, const char *path, const struct invocation *invocation,
	      FILE *out, struct error *error);

/* Cells of more than one list: "NS/NAME:port-name", "ADDRESS:PORT". */
void list_cell_service(const struct value *row, FILE *out);
void list_cell_address(const struct value *row, FILE *out);

#endif
