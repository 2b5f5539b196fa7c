/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads discovery.k8s.io/v1 EndpointSlices; "rule N" is service-semantics. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "object_read.h"

static int address_type_read(struct reading *reading, const struct field *root,
			     struct object_slice *slice)
{
	struct field type = field_get(root, "addressType");
	char quoted[ERROR_QUOTE_LEN];
	const char *text;
	int err;

	err = field_need(reading, &type);
	if (!err)
		err = field_string(reading, &type, &text);
	if (err)
		return err;
	if (!strcmp(text, "FQDN"))
		return field_refuse(reading, &type, "FQDN: host names are not supported");
	if (strcmp(text, "IPv4") && strcmp(text, "IPv6"))
		return field_refuse(reading, &type, "%s is not IPv4 or IPv6",
				    error_quote(text, quoted));
	slice->family = text[3] - '0';
	return 0;
}

/* Rule 14: without a name or a number a port is nobody's. */
static int port_read(struct reading *reading, const struct field *item, struct object *object)
{
	struct object_slice *slice = &object->as_slice;
	struct field name = field_get(item, "name"), protocol = field_get(item, "protocol");
	struct field number = field_get(item, "port");
	struct object_port port = {};
	unsigned int port_host;
	int err;

	err = field_need(reading, item);
	if (!err)
		err = field_object(reading, item);
	if (!err)
		err = field_string(reading, &name, &port.name);
	if (!err && *port.name)
		err = field_dns_label(reading, &name, &port.name);
	if (!err)
		err = field_protocol(reading, &protocol, &port.protocol);
	if (!err)
		err = field_number(reading, &number, UINT16_MAX, "port", &port_host);
	if (err)
		return err;
	if (!field_present(&name))
		return object_note(
			reading, &name, object,
			"unset, so the port is ignored; \"\" is that of an unnamed port");
	port.port = port_host;
	if (port.port && port.protocol != IPPROTO_SCTP)
		slice->ports[slice->nports++] = port;
	return 0;
}

static int ports_read(struct reading *reading, const struct field *root, struct object *object)
{
	struct object_slice *slice = &object->as_slice;
	struct field ports = field_get(root, "ports");
	size_t n;
	int err;

	err = field_list(reading, &ports, OBJECT_MAX_PORTS, &n);
	if (err)
		return err;
	slice->ports = pool_array(reading->pool, n, sizeof(*slice->ports));
	if (!slice->ports)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&ports, i);

		err = port_read(reading, &item, object);
		if (err)
			return err;
	}
	return 0;
}

/* Rule 21: what unset conditions mean. */
static int conditions_read(struct reading *reading, const struct field *item,
			   struct object_endpoint *ret)
{
	struct field conditions = field_get(item, "conditions");
	struct field ready = field_get(&conditions, "ready");
	struct field serving = field_get(&conditions, "serving");
	struct field terminating = field_get(&conditions, "terminating");
	int err;

	err = field_object(reading, &conditions);
	if (!err)
		err = field_bool(reading, &ready, true, &ret->ready);
	if (!err)
		err = field_bool(reading, &serving, true, &ret->serving);
	if (!err)
		err = field_bool(reading, &terminating, false, &ret->terminating);
	return err;
}

/* The names in a list of {name: NAME}. */
static int hints_read(struct reading *reading, const struct field *list, const char ***ret,
		      size_t *ret_n)
{
	size_t n;
	int err = field_list(reading, list, OBJECT_MAX_HINTS, &n);

	if (err || !n)
		return err;
	*ret = pool_array(reading->pool, n, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++) {
		struct field item = field_item(list, i), name = field_get(&item, "name");

		err = field_object(reading, &item);
		if (!err)
			err = field_need(reading, &name);
		if (!err)
			err = field_string(reading, &name, &(*ret)[i]);
	}
	*ret_n = n;
	return err;
}

/* Rule 48: hints are all that counts of topology. */
static int endpoint_hints_read(struct reading *reading, const struct field *item,
			       struct object_endpoint *ret)
{
	struct field hints = field_get(item, "hints");
	struct field zones = field_get(&hints, "forZones"), nodes = field_get(&hints, "forNodes");
	int err;

	err = field_object(reading, &hints);
	if (!err)
		err = hints_read(reading, &zones, &ret->zone_hints, &ret->nzone_hints);
	if (!err)
		err = hints_read(reading, &nodes, &ret->node_hints, &ret->nnode_hints);
	return err;
}

/* Rule 16: only the first address counts, and an endpoint may have none. */
static int endpoint_read(struct reading *reading, const struct field *item,
			 struct object_slice *slice)
{
	struct field addresses = field_get(item, "addresses"), first = field_item(&addresses, 0);
	struct field node = field_get(item, "nodeName"), target = field_get(item, "targetRef");
	struct field pod = field_get(&target, "name"), uid = field_get(&target, "uid");
	struct object_endpoint endpoint = {};
	size_t naddresses;
	int err;

	err = field_need(reading, item);
	if (!err)
		err = field_object(reading, item);
	if (!err)
		err = field_list(reading, &addresses, OBJECT_MAX_ADDRESSES, &naddresses);
	if (!err && naddresses)
		err = field_addr(reading, &first, &endpoint.addr);
	if (!err && naddresses && endpoint.addr.family != slice->family)
		err = field_refuse(reading, &first, "not an IPv%u address", slice->family);
	if (!err)
		err = conditions_read(reading, item, &endpoint);
	if (!err)
		err = endpoint_hints_read(reading, item, &endpoint);
	if (!err)
		err = field_string(reading, &node, &endpoint.node);
	if (!err)
		err = field_object(reading, &target);
	if (!err)
		err = field_string(reading, &pod, &endpoint.pod);
	if (!err)
		err = field_string(reading, &uid, &endpoint.uid);
	if (!err && naddresses)
		slice->endpoints[slice->nendpoints++] = endpoint;
	return err;
}

int object_read_slice(struct reading *reading, const struct field *root, struct object *object)
{
	struct object_slice *slice = &object->as_slice;
	struct field endpoints = field_get(root, "endpoints");
	size_t n;
	int err;

	err = address_type_read(reading, root, slice);
	if (!err)
		err = ports_read(reading, root, object);
	if (!err)
		err = field_list(reading, &endpoints, OBJECT_MAX_ENDPOINTS, &n);
	if (err)
		return err;
	slice->endpoints = pool_array(reading->pool, n, sizeof(*slice->endpoints));
	if (!slice->endpoints)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&endpoints, i);

		err = endpoint_read(reading, &item, slice);
		if (err)
			return err;
	}
	return 0;
}
