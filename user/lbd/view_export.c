/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The snapshot as manifests: one v1 List of Services, EndpointSlices and this node's Node, which
 * `--source file:` reads back to an equal snapshot.  What isn't Guideway's business
 * is left out; node ports are the Service's, not this node's addresses.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view.h"

static bool same_service(const struct model_service *a, const struct model_service *b)
{
	return !strcmp(a->namespace, b->namespace) && !strcmp(a->name, b->name);
}

static json_t *text(const char *value)
{
	json_t *string = json_string(value);

	return string ? string : json_string("?");
}

static void address_append(json_t *to, const struct addr *addr)
{
	char buf[ADDR_STRLEN];

	json_array_append_new(to, text(addr_format(addr, buf)));
}

/* Each address once, though every port has it. */
static json_t *addresses_of(const struct model_service *group, size_t n, enum frontend_kind kind)
{
	json_t *found = json_array();

	for (size_t s = 0; s < n; s++) {
		for (size_t f = 0; f < group[s].nfrontends; f++) {
			const struct model_frontend *frontend = &group[s].frontends[f];
			char buf[ADDR_STRLEN];
			json_t *known;
			bool seen = false;
			size_t i;

			if (frontend->kind != kind)
				continue;
			addr_format(&frontend->addr, buf);
			json_array_foreach(found, i, known) {
				seen |= !strcmp(json_string_value(known), buf);
			}
			if (!seen)
				address_append(found, &frontend->addr);
		}
	}
	return found;
}

/* Of both families; every port has them. */
static json_t *ranges_of(const struct model_service *group, size_t n)
{
	json_t *ranges = json_array();
	uint8_t family = 0;

	for (size_t s = 0; s < n && family != 6; s++) {
		if (group[s].family == family)
			continue;
		family = group[s].family;
		view_add_prefixes(ranges, group[s].sources, group[s].nsources);
	}
	return ranges;
}

static json_t *ports_of(const struct model_service *group, size_t n)
{
	json_t *ports = json_array();

	for (size_t s = 0; s < n; s++) {
		const struct model_service *service = &group[s];
		json_t *port;
		size_t i;
		bool seen = false;

		json_array_foreach(ports, i, port) {
			const char *name = json_string_value(json_object_get(port, "name"));

			seen |= !strcmp(name ? name : "", service->port_name) &&
				!strcmp(json_string_value(json_object_get(port, "protocol")),
					view_protocol(service->protocol));
		}
		if (seen) /* of the other family */
			continue;
		port = json_pack("{s:o, s:s, s:i}", "name", text(service->port_name), "protocol",
				 view_protocol(service->protocol), "port", service->port);
		for (size_t f = 0; f < service->nfrontends; f++)
			if (service->frontends[f].kind == FRONTEND_NODE_PORT)
				json_object_set_new(port, "nodePort",
						    json_integer(service->frontends[f].port));
		json_array_append_new(ports, port);
	}
	return ports;
}

static void annotation_weights(const struct model_service *group, size_t n, json_t *annotations)
{
	json_t *weights = json_object();

	for (size_t s = 0; s < n; s++) {
		for (size_t e = 0; e < group[s].nendpoints; e++) {
			const struct model_endpoint *endpoint = &group[s].endpoints[e];
			char buf[ADDR_STRLEN];

			if (endpoint->weight != 100)
				json_object_set_new(weights, addr_format(&endpoint->addr, buf),
						    json_integer(endpoint->weight));
		}
	}
	if (json_object_size(weights)) {
		char *dump = json_dumps(weights, JSON_COMPACT);

		json_object_set_new(annotations, "guideway.io/weights", text(dump ? dump : "{}"));
		free(dump);
	}
	json_decref(weights);
}

static json_t *annotations_of(const struct model_service *group, size_t n)
{
	json_t *annotations = json_object();
	char check[HEALTH_PATH_SIZE + 8];

	annotation_weights(group, n, annotations);
	if (group->round_robin)
		json_object_set_new(annotations, "guideway.io/scheduler",
				    json_string("round-robin"));
	switch (group->check.kind) {
	case HEALTH_NONE:
		json_object_set_new(annotations, "guideway.io/health-check", json_string("none"));
		break;
	case HEALTH_TCP:
		json_object_set_new(annotations, "guideway.io/health-check", json_string("tcp"));
		break;
	case HEALTH_HTTP:
		snprintf(check, sizeof(check), "http:%s", group->check.path);
		json_object_set_new(annotations, "guideway.io/health-check", text(check));
		break;
	case HEALTH_UNSET:
		break;
	}
	return annotations;
}

static json_t *metadata_of(const char *name, const char *namespace)
{
	json_t *metadata = json_pack("{s:o}", "name", text(name));

	if (*namespace)
		json_object_set_new(metadata, "namespace", text(namespace));
	return metadata;
}

static json_t *ingress_of(const struct model_service *group, size_t n)
{
	json_t *addresses = addresses_of(group, n, FRONTEND_LOAD_BALANCER), *ingress = json_array();
	json_t *address;
	size_t i;

	json_array_foreach(addresses, i, address)
		json_array_append_new(ingress, json_pack("{s:O}", "ip", address));
	json_decref(addresses);
	return ingress;
}

static void set_unless_empty(json_t *object, const char *key, json_t *value)
{
	if (json_is_array(value) ? json_array_size(value) : json_object_size(value))
		json_object_set_new(object, key, value);
	else
		json_decref(value);
}

/* Of both families; group: all ports of one Service. */
static json_t *service_json(const struct model_service *group, size_t n)
{
	json_t *metadata = metadata_of(group->name, group->namespace), *spec = json_object();
	json_t *ips = addresses_of(group, n, FRONTEND_CLUSTER_IP), *service;

	if (*group->created)
		json_object_set_new(metadata, "creationTimestamp", text(group->created));
	set_unless_empty(metadata, "annotations", annotations_of(group, n));
	if (json_array_size(ips))
		json_object_set(spec, "clusterIP", json_array_get(ips, 0));
	set_unless_empty(spec, "clusterIPs", ips);
	json_object_set_new(spec, "ports", ports_of(group, n));
	set_unless_empty(spec, "externalIPs", addresses_of(group, n, FRONTEND_EXTERNAL_IP));
	if (group->health_port) {
		json_object_set_new(spec, "type", json_string("LoadBalancer"));
		json_object_set_new(spec, "healthCheckNodePort", json_integer(group->health_port));
	}
	set_unless_empty(spec, "loadBalancerSourceRanges", ranges_of(group, n));
	if (group->internal_local)
		json_object_set_new(spec, "internalTrafficPolicy", json_string("Local"));
	if (group->external_local)
		json_object_set_new(spec, "externalTrafficPolicy", json_string("Local"));
	if (group->affinity_s) {
		json_object_set_new(spec, "sessionAffinity", json_string("ClientIP"));
		json_object_set_new(spec, "sessionAffinityConfig",
				    json_pack("{s:{s:i}}", "clientIP", "timeoutSeconds",
					      (int)group->affinity_s));
	}
	service = json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "Service",
			    "metadata", metadata, "spec", spec);
	ips = ingress_of(group, n);
	if (json_array_size(ips))
		json_object_set_new(service, "status",
				    json_pack("{s:{s:O}}", "loadBalancer", "ingress", ips));
	json_decref(ips);
	return service;
}

static json_t *hints_json(const struct model_hints *hints)
{
	json_t *list = json_array();

	for (size_t i = 0; i < hints->n; i++)
		json_array_append_new(list, json_pack("{s:o}", "name", text(hints->names[i])));
	return list;
}

static json_t *endpoint_json(const struct model_endpoint *endpoint)
{
	json_t *addresses = json_array(), *object;

	address_append(addresses, &endpoint->addr);
	object = json_pack("{s:o, s:{s:b, s:b, s:b}}", "addresses", addresses, "conditions",
			   "ready", endpoint->ready, "serving", endpoint->serving, "terminating",
			   endpoint->terminating);
	if (endpoint->zones.n || endpoint->nodes.n) {
		json_t *hints = json_object();

		set_unless_empty(hints, "forZones", hints_json(&endpoint->zones));
		set_unless_empty(hints, "forNodes", hints_json(&endpoint->nodes));
		json_object_set_new(object, "hints", hints);
	}
	if (*endpoint->node)
		json_object_set_new(object, "nodeName", text(endpoint->node));
	if (*endpoint->pod || *endpoint->uid) {
		json_t *target =
			json_pack("{s:s, s:o}", "kind", "Pod", "name", text(endpoint->pod));

		if (*endpoint->uid)
			json_object_set_new(target, "uid", text(endpoint->uid));
		json_object_set_new(object, "targetRef", target);
	}
	return object;
}

/* The endpoints of one port that have the number `port` from index i on: a slice. */
static json_t *slice_json(const struct model_service *service, size_t i, size_t *number)
{
	uint16_t port = service->endpoints[i].port;
	json_t *endpoints = json_array(), *metadata;
	char name[VIEW_NAME_SIZE];

	for (; i < service->nendpoints; i++)
		if (service->endpoints[i].port == port)
			json_array_append_new(endpoints, endpoint_json(&service->endpoints[i]));
	snprintf(name, sizeof(name), "%s-%zu", service->name, ++*number);
	metadata = metadata_of(name, service->namespace);
	json_object_set_new(metadata, "labels",
			    json_pack("{s:o}", "kubernetes.io/service-name", text(service->name)));
	return json_pack("{s:s, s:s, s:o, s:s, s:[{s:o, s:s, s:i}], s:o}", "apiVersion",
			 "discovery.k8s.io/v1", "kind", "EndpointSlice", "metadata", metadata,
			 "addressType", view_family(service->family), "ports", "name",
			 text(service->port_name), "protocol", view_protocol(service->protocol),
			 "port", port, "endpoints", endpoints);
}

static bool port_seen(const struct model_service *service, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (service->endpoints[before].port == service->endpoints[i].port)
			return true;
	return false;
}

/* This node's own. */
static json_t *node_json(const struct model_node *node, const char *name)
{
	json_t *metadata = metadata_of(name, ""), *spec = json_object(), *cidrs = json_array();
	json_t *addresses = json_array();

	if (*node->zone)
		json_object_set_new(
			metadata, "labels",
			json_pack("{s:o}", "topology.kubernetes.io/zone", text(node->zone)));
	view_add_prefixes(cidrs, node->pod_cidrs, node->npod_cidrs);
	set_unless_empty(spec, "podCIDRs", cidrs);
	if (node->deleting)
		json_object_set_new(spec, "taints",
				    json_pack("[{s:s, s:s}]", "key",
					      "ToBeDeletedByClusterAutoscaler", "effect",
					      "NoSchedule"));
	for (size_t i = 0; i < node->naddresses; i++) {
		char buf[ADDR_STRLEN];

		json_array_append_new(addresses,
				      json_pack("{s:s, s:s}", "type", "InternalIP", "address",
						addr_format(&node->addresses[i], buf)));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:{s:o}}", "apiVersion", "v1", "kind", "Node",
			 "metadata", metadata, "spec", spec, "status", "addresses", addresses);
}

char *view_export(const struct view *view, const char *service, size_t *ret_length)
{
	const struct snapshot *snapshot = view->snapshot;
	struct rows rows;
	size_t n;

	view_list_begin(&rows);
	if (snapshot->node.known && !service) {
		json_t *object = node_json(&snapshot->node, view->options->node);

		view_rows_add(&rows, object);
		json_decref(object);
	}
	for (size_t first = 0; first < snapshot->nservices; first += n) {
		const struct model_service *group = &snapshot->services[first];
		char name[VIEW_NAME_SIZE];
		size_t number = 0;
		json_t *object;

		for (n = 1; first + n < snapshot->nservices && same_service(group, &group[n]); n++)
			;
		if (service && strcmp(service, view_name(group->namespace, group->name, name)))
			continue;
		object = service_json(group, n);
		view_rows_add(&rows, object);
		json_decref(object);
		for (size_t s = 0; s < n; s++) {
			for (size_t e = 0; e < group[s].nendpoints; e++) {
				if (port_seen(&group[s], e))
					continue;
				object = slice_json(&group[s], e, &number);
				view_rows_add(&rows, object);
				json_decref(object);
			}
		}
	}
	return view_rows_end(&rows, ret_length);
}
