/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "field.h"

#define DNS_LABEL_MAX 63
#define DNS_SUBDOMAIN_MAX 253

struct field field_get(const struct field *object, const char *key)
{
	const json_t *value = json_object_get(object->value, key);

	return (struct field){
		.parent = object,
		.key = key,
		.value = json_is_null(value) ? NULL : value,
	};
}

struct field field_item(const struct field *list, size_t index)
{
	const json_t *value = json_array_get(list->value, index);

	return (struct field){
		.parent = list,
		.index = index,
		.value = json_is_null(value) ? NULL : value,
	};
}

/* Append the path; returns its length. */
static size_t path_write(const struct field *field, char *buf, size_t size)
{
	size_t n = 0;
	int added;

	if (!field->parent)
		return 0;
	n = path_write(field->parent, buf, size);
	if (field->key)
		added = snprintf(buf + n, size - n, "%s%s", n ? "." : "", field->key);
	else
		added = snprintf(buf + n, size - n, "[%zu]", field->index);
	n += added;
	return n < size ? n : size - 1;
}

char *field_where(const struct reading *reading, const struct field *field)
{
	const struct document *document = reading->document;
	unsigned int line = document_line(document, field->value);
	char text[512];

	while (!line && field->parent) {
		field = field->parent;
		line = document_line(document, field->value);
	}
	if (!line)
		line = document->line;
	snprintf(text, sizeof(text), line ? "%s:%u" : "%s", document->name, line);
	return pool_strdup(reading->pool, text);
}

static char *field_vdescribe(const struct reading *reading, const struct field *field,
			     const char *format, va_list args)
{
	char path[256] = "", text[512];
	struct error error;

	path_write(field, path, sizeof(path));
	vsnprintf(text, sizeof(text), format, args);
	error_set(&error, 0, "%s%s%s", path, path[0] ? ": " : "", text);
	return pool_strdup(reading->pool, error.text);
}

char *field_describe(const struct reading *reading, const struct field *field, const char *format,
		     ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = field_vdescribe(reading, field, format, args);
	va_end(args);
	return text;
}

int field_refuse(struct reading *reading, const struct field *field, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	reading->reason = field_vdescribe(reading, field, format, args);
	va_end(args);
	reading->where = field_where(reading, field);
	return reading->reason && reading->where ? -EINVAL : -ENOMEM;
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	default:
		return "null";
	}
}

static int type_refuse(struct reading *reading, const struct field *field, const char *wanted)
{
	char quoted[ERROR_QUOTE_LEN];

	if (json_is_string(field->value))
		return field_refuse(reading, field, "%s is a string, not %s",
				    error_quote(json_string_value(field->value), quoted), wanted);
	return field_refuse(reading, field, "%s, not %s", type_name(field->value), wanted);
}

int field_need(struct reading *reading, const struct field *field)
{
	return field->value ? 0 : field_refuse(reading, field, "missing");
}

int field_object(struct reading *reading, const struct field *field)
{
	if (field->value && !json_is_object(field->value))
		return type_refuse(reading, field, "an object");
	return 0;
}

int field_list(struct reading *reading, const struct field *field, size_t max, size_t *ret_n)
{
	size_t n = json_array_size(field->value);

	if (field->value && !json_is_array(field->value))
		return type_refuse(reading, field, "a list");
	if (n > max)
		return field_refuse(reading, field, "%zu items, the limit is %zu", n, max);
	*ret_n = n;
	return 0;
}

int field_string(struct reading *reading, const struct field *field, const char **ret)
{
	const char *text = "";

	if (field->value && !json_is_string(field->value))
		return type_refuse(reading, field, "a string");
	if (field->value) {
		text = json_string_value(field->value);
		if (strlen(text) != json_string_length(field->value))
			return field_refuse(reading, field, "a NUL in a string");
		text = *text ? pool_strdup(reading->pool, text) : "";
		if (!text)
			return -ENOMEM;
	}
	*ret = text;
	return 0;
}

int field_number(struct reading *reading, const struct field *field, unsigned int max,
		 const char *what, unsigned int *ret)
{
	json_int_t number = json_integer_value(field->value);

	if (json_is_real(field->value))
		return field_refuse(reading, field, "%g is not a %s", json_real_value(field->value),
				    what);
	if (field->value && !json_is_integer(field->value))
		return type_refuse(reading, field, "an integer");
	if (number < 0 || number > max)
		return field_refuse(reading, field, "%" JSON_INTEGER_FORMAT " is not a %s", number,
				    what);
	*ret = number;
	return 0;
}

int field_bool(struct reading *reading, const struct field *field, bool absent, bool *ret)
{
	if (field->value && !json_is_boolean(field->value))
		return type_refuse(reading, field, "a boolean");
	*ret = field->value ? json_is_true(field->value) : absent;
	return 0;
}

/* One or more labels of RFC 1123 with dots between them. */
static bool is_dns_name(const char *text, size_t max, bool dots)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	if (!*text || strlen(text) > max)
		return false;
	for (;;) {
		size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

		if (!n || !strchr(letters, text[0]) || !strchr(letters, text[n - 1]))
			return false;
		text += n;
		if (!*text)
			return true;
		if (!dots || *text++ != '.')
			return false;
	}
}

static int dns_name(struct reading *reading, const struct field *field, size_t max, bool dots,
		    const char *what, const char **ret)
{
	char quoted[ERROR_QUOTE_LEN];
	const char *text;
	int err;

	err = field_string(reading, field, &text);
	if (!err && !is_dns_name(text, max, dots))
		err = field_refuse(reading, field, "%s is not a %s (RFC 1123)",
				   error_quote(text, quoted), what);
	if (!err)
		*ret = text;
	return err;
}

int field_dns_label(struct reading *reading, const struct field *field, const char **ret)
{
	return dns_name(reading, field, DNS_LABEL_MAX, false, "DNS label", ret);
}

int field_dns_subdomain(struct reading *reading, const struct field *field, const char **ret)
{
	return dns_name(reading, field, DNS_SUBDOMAIN_MAX, true, "DNS name", ret);
}

int field_addr(struct reading *reading, const struct field *field, struct addr *ret)
{
	char quoted[ERROR_QUOTE_LEN];
	const char *text, *special;
	struct addr addr;
	int err;

	err = field_need(reading, field);
	if (!err)
		err = field_string(reading, field, &text);
	if (err)
		return err;
	if (addr_parse(text, &addr))
		return field_refuse(reading, field, "%s is not an IP address",
				    error_quote(text, quoted));
	special = addr_special(&addr);
	if (special)
		return field_refuse(reading, field, "%s is %s", text, special);
	*ret = addr;
	return 0;
}

int field_prefix(struct reading *reading, const struct field *field, struct prefix *ret)
{
	char quoted[ERROR_QUOTE_LEN];
	const char *text;
	int err;

	err = field_need(reading, field);
	if (!err)
		err = field_string(reading, field, &text);
	if (!err && prefix_parse(text, ret))
		err = field_refuse(reading, field, "%s is not an address range",
				   error_quote(text, quoted));
	return err;
}

int field_protocol(struct reading *reading, const struct field *field, uint8_t *ret)
{
	char quoted[ERROR_QUOTE_LEN];
	const char *text;
	int err;

	err = field_string(reading, field, &text);
	if (err)
		return err;
	if (!*text || !strcmp(text, "TCP"))
		*ret = IPPROTO_TCP;
	else if (!strcmp(text, "UDP"))
		*ret = IPPROTO_UDP;
	else if (!strcmp(text, "SCTP"))
		*ret = IPPROTO_SCTP;
	else
		return field_refuse(reading, field, "%s is not TCP, UDP or SCTP",
				    error_quote(text, quoted));
	return 0;
}
