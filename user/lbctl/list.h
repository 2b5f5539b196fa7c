/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Commands of the kind "X list": one GET, whose answer is an object with one
 * array of objects, shown in any format.
 */
#ifndef LBCTL_LIST_H
#define LBCTL_LIST_H

#include "command.h"
#include "resource.h"
#include "table.h"

struct list {
	enum resource resource;
	const char *key;   /* of the array in the answer */
	const char *total; /* of a number: how many rows there are without the limit; NULL = none */
	const struct table_column *columns;
	size_t ncolumns;
	void (*name)(const struct value *row, FILE *out); /* for -o name */
};

int list_show(const struct list *list, struct invocation *invocation, FILE *out,
	      struct error *error);

/* Cells of more than one list: "NS/NAME:port-name", "ADDRESS:PORT". */
void list_cell_service(const struct value *row, FILE *out);
void list_cell_address(const struct value *row, FILE *out);
/* Why a backend gets no new flows, or "active": ready, state and health in a word. */
void list_cell_status(const struct value *row, FILE *out);

/* "ADDRESS:PORT" of two fields, IPv6 in brackets. */
void list_place(const struct value *row, const char *address_key, const char *port_key, FILE *out);
/* As kubectl shows ages: the two largest units. */
void list_age(long long s, FILE *out);

#endif
