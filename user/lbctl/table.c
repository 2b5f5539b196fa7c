/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "table.h"

#include <errno.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_GAP 3 /* blanks */

static bool colours;

void table_set_colours(bool on)
{
	colours = on;
}

#define COLOUR_NONE "\033[0m"
#define COLOUR_HEADER "\033[1m"
#define COLOUR_GOOD "\033[32m"
#define COLOUR_DOUBTFUL "\033[33m"
#define COLOUR_BAD "\033[31m"

/* What the words of judged columns mean; others have no colour. */
static const char *word_colour(const char *word)
{
	static const struct {
		const char *word, *colour;
	} words[] = {
		{"active", COLOUR_GOOD},
		{"ok", COLOUR_GOOD},
		{"up", COLOUR_GOOD},
		{"draining", COLOUR_DOUBTFUL},
		{"terminating", COLOUR_DOUBTFUL},
		{"not_ready", COLOUR_DOUBTFUL},
		{"unused", COLOUR_DOUBTFUL},
		{"unknown", COLOUR_DOUBTFUL},
		{"down", COLOUR_BAD},
		{"no_endpoint", COLOUR_BAD},
		{"refused", COLOUR_BAD},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(word, words[i].word))
			return words[i].colour;
	return NULL;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void table_safe(const char *text, FILE *out)
{
	for (;;) {
		size_t safe = 0;

		while (!is_control(text[safe]))
			safe++;
		fwrite(text, 1, safe, out);
		if (!text[safe])
			break;
		fputc('?', out);
		text += safe + 1;
	}
}

/* Columns a terminal needs for the text: UTF-8 characters. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

int table_begin(struct table *table, size_t ncolumns)
{
	*table = (struct table){.ncolumns = ncolumns};
	table->cells = open_memstream(&table->text, &table->size);
	if (!table->cells)
		return -ENOMEM;
	__fsetlocking(table->cells, FSETLOCKING_BYCALLER); /* there is one thread */
	return 0;
}

void table_next(struct table *table)
{
	fputc('\0', table->cells);
}

static const char *cell_shown(const char *cell)
{
	return *cell ? cell : "<none>";
}

static void blanks_print(size_t n, FILE *out)
{
	static const char blanks[32] = "                               ";
	size_t part;

	for (; n; n -= part) {
		part = n < sizeof(blanks) - 1 ? n : sizeof(blanks) - 1;
		fwrite(blanks, 1, part, out);
	}
}

static void cell_print(const char *text, const char *colour, FILE *out)
{
	if (colours && colour)
		fputs(colour, out);
	table_safe(text, out);
	if (colours && colour)
		fputs(COLOUR_NONE, out);
}

static void cells_print(const struct table *table, const size_t *widths, FILE *out)
{
	const char *end = table->text + table->size, *colour;
	size_t n = table->ncolumns, c = 0, row = 0;

	for (const char *cell = table->text; cell < end; cell += strlen(cell) + 1) {
		if (row)
			colour = table->judged >> c & 1 ? word_colour(cell) : NULL;
		else
			colour = COLOUR_HEADER;
		cell_print(cell_shown(cell), colour, out);
		if (c + 1 < n)
			blanks_print(widths[c] - text_width(cell_shown(cell)) + COLUMN_GAP, out);
		else
			fputc('\n', out);
		c = (c + 1) % n;
		row += !c;
	}
}

int table_end(struct table *table, FILE *out)
{
	size_t *widths = calloc(table->ncolumns, sizeof(*widths));
	size_t c = 0;
	int err = -ENOMEM;

	if (fclose(table->cells) || !widths)
		goto out;
	for (char *cell = table->text; cell < table->text + table->size; cell += strlen(cell) + 1) {
		size_t width = text_width(cell_shown(cell));

		if (width > widths[c])
			widths[c] = width;
		c = (c + 1) % table->ncolumns;
	}
	cells_print(table, widths, out);
	err = 0;
out:
	free(table->text);
	free(widths);
	return err;
}

static void field_print(const struct value *field, FILE *out)
{
	if (field->type == VALUE_TRUE || field->type == VALUE_FALSE)
		fputs(field->type == VALUE_TRUE ? "true" : "false", out);
	else
		fputs(field->text, out);
}

int table_print(const struct table_column *columns, size_t n, const struct value *rows, bool wide,
		FILE *out)
{
	struct table table;
	size_t shown = 0, column = 0;

	for (size_t c = 0; c < n; c++)
		shown += wide || !columns[c].wide;
	if (table_begin(&table, shown))
		return -ENOMEM;
	for (size_t c = 0; c < n; c++) {
		if (columns[c].wide && !wide)
			continue;
		table.judged |= (uint64_t)columns[c].judged << column++;
		fputs(columns[c].header, table.cells);
		table_next(&table);
	}
	value_foreach(rows, row)
	{
		for (size_t c = 0; c < n; c++) {
			if (columns[c].wide && !wide)
				continue;
			if (columns[c].cell)
				columns[c].cell(row, table.cells);
			else
				field_print(value_get(row, columns[c].key), table.cells);
			table_next(&table);
		}
	}
	return table_end(&table, out);
}
