/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object_read.h"

#define NODE_PREFIX "node:"
#define WILDCARDS "*?["
#define PATTERN_MAX 253 /* a pod's name can't be longer */

/* Address before pod before node; of the pod patterns, those without wildcards
 * and then the longer ones first.  Keys are unique, so the order is total. */
static int weight_compare(const void *left, const void *right)
{
	const struct object_weight *a = left, *b = right;
	bool wild_a = strpbrk(a->key, WILDCARDS), wild_b = strpbrk(b->key, WILDCARDS);
	size_t length_a = strlen(a->key), length_b = strlen(b->key);

	if (a->by != b->by)
		return a->by < b->by ? -1 : 1;
	if (a->by == WEIGHT_POD && wild_a != wild_b)
		return wild_a ? 1 : -1;
	if (a->by == WEIGHT_POD && length_a != length_b)
		return length_a > length_b ? -1 : 1;
	return strcmp(a->key, b->key);
}

static int weight_read(struct reading *reading, const struct field *annotation, const char *key,
		       const json_t *value, struct object_weight *ret)
{
	char quoted[ERROR_QUOTE_LEN];

	error_quote(key, quoted);
	if (!json_is_integer(value))
		return field_refuse(reading, annotation, "%s: not an integer", quoted);
	if (json_integer_value(value) < 0 || json_integer_value(value) > OBJECT_MAX_WEIGHT)
		return field_refuse(reading, annotation,
				    "%s: %" JSON_INTEGER_FORMAT " is not a weight (0-%d)", quoted,
				    json_integer_value(value), OBJECT_MAX_WEIGHT);
	if (!*key || strlen(key) > PATTERN_MAX)
		return field_refuse(reading, annotation, "%s: not an address, node or pod", quoted);
	ret->weight = json_integer_value(value);
	ret->by = WEIGHT_POD;
	if (!addr_parse(key, &ret->addr)) {
		ret->by = WEIGHT_ADDR;
	} else if (!strncmp(key, NODE_PREFIX, strlen(NODE_PREFIX))) {
		ret->by = WEIGHT_NODE;
		key += strlen(NODE_PREFIX);
	}
	ret->key = pool_strdup(reading->pool, key);
	return ret->key ? 0 : -ENOMEM;
}

int object_read_weights(struct reading *reading, const struct field *annotation,
			struct object_service *service)
{
	json_error_t json_error;
	json_t *root = NULL, *value;
	const char *text, *key;
	int err;

	err = field_string(reading, annotation, &text);
	if (err || !field_present(annotation))
		return err;
	root = json_loads(text, JSON_REJECT_DUPLICATES, &json_error);
	if (!root)
		return field_refuse(reading, annotation, "not JSON: %s", json_error.text);
	if (!json_is_object(root)) {
		err = field_refuse(reading, annotation, "not a JSON object");
		goto out;
	}
	if (json_object_size(root) > OBJECT_MAX_WEIGHTS) {
		err = field_refuse(reading, annotation, "%zu keys, the limit is %d",
				   json_object_size(root), OBJECT_MAX_WEIGHTS);
		goto out;
	}
	service->weights =
		pool_array(reading->pool, json_object_size(root), sizeof(*service->weights));
	if (!service->weights) {
		err = -ENOMEM;
		goto out;
	}
	json_object_foreach(root, key, value) {
		err = weight_read(reading, annotation, key, value,
				  &service->weights[service->nweights]);
		if (err)
			goto out;
		service->nweights++;
	}
	qsort(service->weights, service->nweights, sizeof(*service->weights), weight_compare);
out:
	json_decref(root);
	return err;
}
