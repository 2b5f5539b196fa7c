/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads v1 Services; "rule N" is service-semantics. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "object_read.h"

#define LABEL_PROXY_NAME "service.kubernetes.io/service-proxy-name"
#define LABEL_HEADLESS "service.kubernetes.io/headless"
#define PROXY_NAME "guideway"
#define ANNOTATION_WEIGHTS "guideway.io/weights"
#define ANNOTATION_SCHEDULER "guideway.io/scheduler"
#define ANNOTATION_HEALTH "guideway.io/health-check"

/* Rules 1-3: is the Service for this proxy at all? */
static int handled_read(struct reading *reading, const struct field *metadata,
			const struct field *spec, struct object_service *service)
{
	struct field labels = field_get(metadata, "labels");
	struct field proxy = field_get(&labels, LABEL_PROXY_NAME);
	struct field headless = field_get(&labels, LABEL_HEADLESS);
	struct field type = field_get(spec, "type");
	struct field ip = field_get(spec, "clusterIP");
	struct field ips = field_get(spec, "clusterIPs");
	struct field first = field_item(&ips, 0);
	const char *proxy_name, *type_name, *text, *first_text = "";
	size_t n;
	int err;

	err = field_object(reading, &labels);
	if (!err)
		err = field_string(reading, &proxy, &proxy_name);
	if (!err)
		err = field_string(reading, &type, &type_name);
	if (!err)
		err = field_string(reading, &ip, &text);
	if (!err)
		err = field_list(reading, &ips, 2, &n);
	if (!err)
		err = field_string(reading, &first, &first_text);
	if (err)
		return err;
	service->labelled = field_present(&proxy) && !strcmp(proxy_name, PROXY_NAME);
	service->handled = (service->labelled || !field_present(&proxy)) &&
			   !field_present(&headless) && strcmp(type_name, "ExternalName") &&
			   strcmp(text, "None") && strcmp(first_text, "None");
	return 0;
}

/* A ClusterIP; absent and "" are none, of family 0. */
static int cluster_ip_read(struct reading *reading, const struct field *field, struct addr *ret)
{
	const char *text;
	int err;

	err = field_string(reading, field, &text);
	return err || !*text ? err : field_addr(reading, field, ret);
}

static int family_check(struct reading *reading, const struct field *field, uint8_t family,
			uint8_t *ret)
{
	char quoted[ERROR_QUOTE_LEN];
	const char *text;
	int err;

	err = field_string(reading, field, &text);
	if (err)
		return err;
	if (strcmp(text, "IPv4") && strcmp(text, "IPv6"))
		return field_refuse(reading, field, "%s is not IPv4 or IPv6",
				    error_quote(text, quoted));
	*ret = text[3] - '0';
	if (family && family != *ret)
		return field_refuse(reading, field, "%s, but the ClusterIP is IPv%u", text, family);
	return 0;
}

/* Rule 91: clusterIPs (or clusterIP alone) in the order of ipFamilies; where
 * that is set, no other family counts. */
static int cluster_ips_read(struct reading *reading, const struct field *spec,
			    struct object_service *service)
{
	struct field ip = field_get(spec, "clusterIP");
	struct field ips = field_get(spec, "clusterIPs");
	struct field families = field_get(spec, "ipFamilies");
	struct addr only = {}, addr[2] = {};
	size_t nips, nfamilies;
	int err;

	err = cluster_ip_read(reading, &ip, &only);
	if (!err)
		err = field_list(reading, &ips, 2, &nips);
	if (!err)
		err = field_list(reading, &families, 2, &nfamilies);
	if (err)
		return err;

	for (size_t i = 0; i < nips; i++) {
		struct field item = field_item(&ips, i);

		err = cluster_ip_read(reading, &item, &addr[i]);
		if (err)
			return err;
	}
	if (!nips)
		addr[0] = only;
	if (only.family && addr_compare(&only, &addr[0]))
		return field_refuse(reading, &ip, "is not the first of spec.clusterIPs");
	if (addr[0].family && addr[0].family == addr[1].family)
		return field_refuse(reading, &ips, "two addresses of one family");

	for (size_t i = 0; i < 2; i++) {
		struct field item = field_item(&families, i);
		uint8_t family = addr[i].family;

		if (i < nfamilies)
			err = family_check(reading, &item, addr[i].family, &family);
		else if (nfamilies)
			continue;
		if (err)
			return err;
		if (addr[i].family)
			service->cluster[family == 6] = addr[i];
	}
	return 0;
}

static int port_read(struct reading *reading, const struct field *item, struct object_port *ret)
{
	struct field name = field_get(item, "name"), protocol = field_get(item, "protocol");
	struct field number = field_get(item, "port"), node_number = field_get(item, "nodePort");
	unsigned int port, node_port;
	int err;

	err = field_need(reading, item);
	if (!err)
		err = field_object(reading, item);
	if (!err && field_present(&name))
		err = field_string(reading, &name, &ret->name);
	if (!err && *ret->name)
		err = field_dns_label(reading, &name, &ret->name);
	if (!err)
		err = field_protocol(reading, &protocol, &ret->protocol);
	if (!err)
		err = field_need(reading, &number);
	if (!err)
		err = field_number(reading, &number, UINT16_MAX, "port", &port);
	if (!err && !port)
		err = field_refuse(reading, &number, "0 is not a port");
	if (!err)
		err = field_number(reading, &node_number, UINT16_MAX, "port", &node_port);
	if (err)
		return err;
	ret->port = port;
	ret->node_port = node_port;
	return 0;
}

/* Rule 4: name and protocol are a port's identity, and no two can have the
 * same number and protocol. */
static int port_check_unique(struct reading *reading, const struct field *item,
			     const struct object_service *service, const struct object_port *port)
{
	struct field name = field_get(item, "name"), number = field_get(item, "port");
	struct field node_number = field_get(item, "nodePort");

	for (size_t i = 0; i < service->nports; i++) {
		const struct object_port *other = &service->ports[i];

		if (other->protocol != port->protocol)
			continue;
		if (!strcmp(other->name, port->name))
			return field_refuse(reading, field_present(&name) ? &name : item,
					    "a second port has the name \"%s\"", port->name);
		if (other->port == port->port)
			return field_refuse(reading, &number, "%u is there twice", port->port);
		if (port->node_port && other->node_port == port->node_port)
			return field_refuse(reading, &node_number, "%u is there twice",
					    port->node_port);
	}
	return 0;
}

static int ports_read(struct reading *reading, const struct field *spec, struct object *object)
{
	struct object_service *service = &object->as_service;
	struct field ports = field_get(spec, "ports");
	size_t n;
	int err;

	err = field_list(reading, &ports, OBJECT_MAX_PORTS, &n);
	if (err)
		return err;
	if (!n)
		return field_refuse(reading, &ports, "a Service needs at least one port");
	service->ports = pool_array(&object->pool, n, sizeof(*service->ports));
	if (!service->ports)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&ports, i);
		struct object_port port = {.name = ""};

		err = port_read(reading, &item, &port);
		if (!err)
			err = port_check_unique(reading, &item, service, &port);
		if (!err && port.protocol == IPPROTO_SCTP) {
			struct field protocol = field_get(&item, "protocol");

			err = object_note(reading, &protocol, object, "SCTP is not supported");
		} else if (!err) {
			service->ports[service->nports++] = port;
		}
		if (err)
			return err;
	}
	return 0;
}

static int external_ips_read(struct reading *reading, const struct field *spec,
			     struct object_service *service)
{
	struct field ips = field_get(spec, "externalIPs");
	size_t n;
	int err;

	err = field_list(reading, &ips, OBJECT_MAX_ADDRESSES, &n);
	if (err)
		return err;
	service->external = pool_array(reading->pool, n, sizeof(*service->external));
	if (!service->external)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&ips, i);

		err = field_addr(reading, &item, &service->external[i]);
		if (err)
			return err;
	}
	service->nexternal = n;
	return 0;
}

static int ranges_read(struct reading *reading, const struct field *spec,
		       struct object_service *service)
{
	struct field ranges = field_get(spec, "loadBalancerSourceRanges");
	size_t n;
	int err;

	err = field_list(reading, &ranges, OBJECT_MAX_RANGES, &n);
	if (err)
		return err;
	service->ranges = pool_array(reading->pool, n, sizeof(*service->ranges));
	if (!service->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&ranges, i);

		err = field_prefix(reading, &item, &service->ranges[i]);
		if (err)
			return err;
	}
	service->nranges = n;
	return 0;
}

/* Rules 6 and 7: addresses, not host names; those that are no proxy's. */
static int balancer_ips_read(struct reading *reading, const struct field *root,
			     struct object_service *service)
{
	struct field status = field_get(root, "status");
	struct field balancer = field_get(&status, "loadBalancer");
	struct field ingress = field_get(&balancer, "ingress");
	size_t n;
	int err;

	err = field_object(reading, &status);
	if (!err)
		err = field_object(reading, &balancer);
	if (!err)
		err = field_list(reading, &ingress, OBJECT_MAX_ADDRESSES, &n);
	if (err)
		return err;
	service->balancer = pool_array(reading->pool, n, sizeof(*service->balancer));
	if (!service->balancer)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&ingress, i), ip = field_get(&item, "ip");
		struct field mode = field_get(&item, "ipMode");
		char quoted[ERROR_QUOTE_LEN];
		const char *text, *mode_text;
		struct addr addr;

		err = field_object(reading, &item);
		if (!err)
			err = field_string(reading, &ip, &text);
		if (!err)
			err = field_string(reading, &mode, &mode_text);
		if (!err && *text)
			err = field_addr(reading, &ip, &addr);
		if (err)
			return err;
		if (*mode_text && strcmp(mode_text, "VIP") && strcmp(mode_text, "Proxy"))
			return field_refuse(reading, &mode, "%s is not VIP or Proxy",
					    error_quote(mode_text, quoted));
		if (*text && strcmp(mode_text, "Proxy"))
			service->balancer[service->nbalancer++] = addr;
	}
	return 0;
}

/* One of two names; absent or "" is the first.  *ret: it is the second. */
static int choice_read(struct reading *reading, const struct field *field, const char *first,
		       const char *second, bool *ret)
{
	char quoted[ERROR_QUOTE_LEN];
	const char *text;
	int err;

	err = field_string(reading, field, &text);
	if (err)
		return err;
	*ret = !strcmp(text, second);
	if (*text && !*ret && strcmp(text, first))
		return field_refuse(reading, field, "%s is not %s or %s", error_quote(text, quoted),
				    first, second);
	return 0;
}

static int check_read(struct reading *reading, const struct field *annotation,
		      struct object_service *service)
{
	char quoted[ERROR_QUOTE_LEN];
	const char *text;
	int err;

	err = field_string(reading, annotation, &text);
	if (!err && field_present(annotation) && health_check_parse(text, &service->check))
		err = field_refuse(reading, annotation, "%s is not " HEALTH_CHECK_FORMS,
				   error_quote(text, quoted));
	return err;
}

static int affinity_read(struct reading *reading, const struct field *spec,
			 struct object_service *service)
{
	struct field affinity = field_get(spec, "sessionAffinity");
	struct field config = field_get(spec, "sessionAffinityConfig");
	struct field client_ip = field_get(&config, "clientIP");
	struct field timeout = field_get(&client_ip, "timeoutSeconds");
	unsigned int seconds;
	bool wanted;
	int err;

	err = choice_read(reading, &affinity, "None", "ClientIP", &wanted);
	if (!err)
		err = field_object(reading, &config);
	if (!err)
		err = field_object(reading, &client_ip);
	if (!err)
		err = field_number(reading, &timeout, OBJECT_MAX_AFFINITY_S, "time-out", &seconds);
	if (!err && field_present(&timeout) && !seconds)
		err = field_refuse(reading, &timeout, "0 is not a time-out");
	if (!err && wanted)
		service->affinity_s = seconds ? seconds : OBJECT_DEFAULT_AFFINITY_S;
	return err;
}

static int policies_read(struct reading *reading, const struct field *spec,
			 struct object_service *service)
{
	struct field internal = field_get(spec, "internalTrafficPolicy");
	struct field external = field_get(spec, "externalTrafficPolicy");
	int err;

	err = choice_read(reading, &internal, "Cluster", "Local", &service->internal_local);
	if (!err)
		err = choice_read(reading, &external, "Cluster", "Local", &service->external_local);
	return err;
}

/* Rule 75: of other types and policies it means nothing. */
static int health_port_read(struct reading *reading, const struct field *spec,
			    struct object_service *service)
{
	struct field type = field_get(spec, "type"), port = field_get(spec, "healthCheckNodePort");
	const char *type_name;
	unsigned int number;
	int err;

	err = field_string(reading, &type, &type_name);
	if (!err)
		err = field_number(reading, &port, UINT16_MAX, "port", &number);
	if (err || strcmp(type_name, "LoadBalancer") || !service->external_local)
		return err;
	for (size_t i = 0; i < service->nports && number; i++)
		if (service->ports[i].node_port == number &&
		    service->ports[i].protocol == IPPROTO_TCP)
			return field_refuse(reading, &port, "%u is the nodePort of a port, too",
					    number);
	service->health_port = number;
	return 0;
}

int object_read_service(struct reading *reading, const struct field *root, struct object *object)
{
	struct object_service *service = &object->as_service;
	struct field metadata = field_get(root, "metadata"), spec = field_get(root, "spec");
	struct field created = field_get(&metadata, "creationTimestamp");
	struct field annotations = field_get(&metadata, "annotations");
	struct field weights = field_get(&annotations, ANNOTATION_WEIGHTS);
	struct field scheduler = field_get(&annotations, ANNOTATION_SCHEDULER);
	struct field check = field_get(&annotations, ANNOTATION_HEALTH);
	int err;

	err = field_need(reading, &spec);
	if (!err)
		err = field_object(reading, &spec);
	if (!err)
		err = handled_read(reading, &metadata, &spec, service);
	if (err || !service->handled)
		return err;

	err = field_string(reading, &created, &service->created);
	if (!err)
		err = cluster_ips_read(reading, &spec, service);
	if (!err)
		err = ports_read(reading, &spec, object);
	if (!err)
		err = external_ips_read(reading, &spec, service);
	if (!err)
		err = balancer_ips_read(reading, root, service);
	if (!err)
		err = ranges_read(reading, &spec, service);
	if (!err)
		err = field_object(reading, &annotations);
	if (!err)
		err = object_read_weights(reading, &weights, service);
	if (!err)
		err = choice_read(reading, &scheduler, "maglev", "round-robin",
				  &service->round_robin);
	if (!err)
		err = check_read(reading, &check, service);
	if (!err)
		err = affinity_read(reading, &spec, service);
	if (!err)
		err = policies_read(reading, &spec, service);
	if (!err)
		err = health_port_read(reading, &spec, service);
	return err;
}
