/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "document_yaml.h"

#define TAG(name) ("tag:yaml.org,2002:" name)
#define NUMBER_LENGTH 64 /* longer ones are text */

static bool word_in(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(text, *words))
			return true;
	return false;
}

/* Go's strconv.ParseInt with base 0: 0x, 0o, 0b, and a leading zero is octal. */
static bool integer_parse(const char *text, json_int_t *ret)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	bool negative = *text == '-';
	unsigned long long value;
	size_t ndigits = 10;
	int base = 10;

	if (*text == '-' || *text == '+')
		text++;
	if (text[0] == '0' && text[1]) {
		int letter = text[1] | 0x20;

		base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
		text += letter == 'x' || letter == 'b' || letter == 'o' ? 2 : 1;
		ndigits = base == 16 ? strlen(digits) : (size_t)base;
	}
	/* strtoull() takes blanks and signs that don't belong here. */
	if (!*text || text[strspn(text, digits)] || !memchr(digits, *text, ndigits))
		return false;
	for (const char *p = text; *p; p++)
		if (!memchr(digits, *p, ndigits))
			return false;
	errno = 0;
	value = strtoull(text, NULL, base);
	if (errno || value > (unsigned long long)INT64_MAX)
		return false;
	*ret = negative ? -(json_int_t)value : (json_int_t)value;
	return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool real_parse(const char *text, double *ret)
{
	static const char digits[] = "0123456789";
	const char *p = text + (*text == '-' || *text == '+');
	size_t whole = strspn(p, digits), fraction = 0;

	p += whole;
	if (*p == '.') {
		fraction = strspn(p + 1, digits);
		p += 1 + fraction;
	}
	if (!whole && !fraction)
		return false;
	if (*p == 'e' || *p == 'E') {
		p += p[1] == '-' || p[1] == '+' ? 2 : 1;
		if (!strspn(p, digits))
			return false;
		p += strspn(p, digits);
	}
	if (*p)
		return false;
	*ret = strtod(text, NULL);
	return isfinite(*ret);
}

static json_t *plain_value(const char *text, size_t length)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
					    "True", "TRUE", "on",  "On",  "ON",	 NULL};
	static const char *const falses[] = {"n",     "N",     "no",  "No",  "NO",  "false",
					     "False", "FALSE", "off", "Off", "OFF", NULL};
	static const double exact = 9007199254740992.0; /* 2^53 */
	char number[NUMBER_LENGTH];
	json_int_t integer;
	size_t n = 0;
	double real;

	if (length >= NUMBER_LENGTH)
		return json_stringn_nocheck(text, length);
	if (word_in(text, nulls))
		return json_null();
	if (word_in(text, trues))
		return json_true();
	if (word_in(text, falses))
		return json_false();
	if (!strchr("+-.0123456789", text[0]))
		return json_stringn_nocheck(text, length);

	for (size_t i = 0; i < length; i++)
		if (text[i] != '_')
			number[n++] = text[i];
	number[n] = '\0';
	if (integer_parse(number, &integer))
		return json_integer(integer);
	if (!real_parse(number, &real))
		return json_stringn_nocheck(text, length);
	/* On its way to JSON, as Kubernetes sends it, 80.0 becomes 80. */
	if (real > -exact && real < exact && (double)(json_int_t)real == real)
		return json_integer((json_int_t)real);
	return json_real(real);
}

json_t *yaml_scalar_value(const char *text, size_t length, const char *tag, const char **ret_misfit)
{
	json_t *value;
	bool fits;

	if (!tag ||
	    (strcmp(tag, YAML_SCALAR_PLAIN) && strcmp(tag, TAG("int")) &&
	     strcmp(tag, TAG("float")) && strcmp(tag, TAG("bool")) && strcmp(tag, TAG("null"))))
		return json_stringn_nocheck(text, length);

	value = plain_value(text, length);
	if (!strcmp(tag, TAG("int")))
		fits = json_is_integer(value);
	else if (!strcmp(tag, TAG("float")))
		fits = json_is_number(value);
	else if (!strcmp(tag, TAG("bool")))
		fits = json_is_boolean(value);
	else
		fits = !strcmp(tag, YAML_SCALAR_PLAIN) || json_is_null(value);
	if (value && !fits)
		*ret_misfit = tag + strlen(TAG(""));
	return value;
}
