/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads v1 Nodes, as far as services depend on them: where the node is, what is its
 * own, whether it is to go. */
#include <errno.h>
#include <string.h>

#include "object_read.h"

#define LABEL_ZONE "topology.kubernetes.io/zone"
#define TAINT_GOING "ToBeDeletedByClusterAutoscaler"
#define NODE_MAX_CIDRS 64
#define NODE_MAX_TAINTS 256

/* podCIDRs, or podCIDR alone. */
static int pod_cidrs_read(struct reading *reading, const struct field *spec,
			  struct object_node *node)
{
	struct field cidrs = field_get(spec, "podCIDRs"), only = field_get(spec, "podCIDR");
	const char *text;
	size_t n;
	int err;

	err = field_list(reading, &cidrs, NODE_MAX_CIDRS, &n);
	if (!err)
		err = field_string(reading, &only, &text);
	if (err)
		return err;
	node->pod_cidrs = pool_array(reading->pool, n + 1, sizeof(*node->pod_cidrs));
	if (!node->pod_cidrs)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++) {
		struct field item = field_item(&cidrs, i);

		err = field_prefix(reading, &item, &node->pod_cidrs[i]);
	}
	if (!n && *text && !err) {
		err = field_prefix(reading, &only, &node->pod_cidrs[0]);
		n = 1;
	}
	node->npod_cidrs = n;
	return err;
}

/* Rule 78, the second half: the autoscaler says so before it deletes the Node. */
static int taints_read(struct reading *reading, const struct field *spec, struct object_node *node)
{
	struct field taints = field_get(spec, "taints");
	size_t n;
	int err;

	err = field_list(reading, &taints, NODE_MAX_TAINTS, &n);
	for (size_t i = 0; i < n && !err; i++) {
		struct field item = field_item(&taints, i), key = field_get(&item, "key");
		const char *text;

		err = field_object(reading, &item);
		if (!err)
			err = field_string(reading, &key, &text);
		if (!err)
			node->deleting |= !strcmp(text, TAINT_GOING);
	}
	return err;
}

/* Host names aside. */
static int addresses_read(struct reading *reading, const struct field *root,
			  struct object_node *node)
{
	struct field status = field_get(root, "status");
	struct field addresses = field_get(&status, "addresses");
	size_t n;
	int err;

	err = field_object(reading, &status);
	if (!err)
		err = field_list(reading, &addresses, OBJECT_MAX_ADDRESSES, &n);
	if (err)
		return err;
	node->addresses = pool_array(reading->pool, n, sizeof(*node->addresses));
	if (!node->addresses)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++) {
		struct field item = field_item(&addresses, i), type = field_get(&item, "type");
		struct field address = field_get(&item, "address");
		const char *text;

		err = field_object(reading, &item);
		if (!err)
			err = field_string(reading, &type, &text);
		if (!err && (!strcmp(text, "InternalIP") || !strcmp(text, "ExternalIP")))
			err = field_addr(reading, &address, &node->addresses[node->naddresses++]);
	}
	return err;
}

int object_read_node(struct reading *reading, const struct field *root, struct object *object)
{
	struct object_node *node = &object->as_node;
	struct field metadata = field_get(root, "metadata"), spec = field_get(root, "spec");
	struct field labels = field_get(&metadata, "labels");
	struct field zone = field_get(&labels, LABEL_ZONE);
	struct field deleted = field_get(&metadata, "deletionTimestamp");
	int err;

	node->deleting = field_present(&deleted);
	err = field_object(reading, &labels);
	if (!err)
		err = field_string(reading, &zone, &node->zone);
	if (!err)
		err = field_object(reading, &spec);
	if (!err)
		err = pod_cidrs_read(reading, &spec, node);
	if (!err)
		err = taints_read(reading, &spec, node);
	if (!err)
		err = addresses_read(reading, root, node);
	return err;
}
