/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object_read.h"

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"
#define DISCOVERY_GROUP "discovery.k8s.io/"

const char *object_kind_name(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_SERVICE:
		return "Service";
	case OBJECT_ENDPOINT_SLICE:
		return "EndpointSlice";
	case OBJECT_NETWORK_POLICY:
		return "NetworkPolicy";
	case OBJECT_NODE:
		return "Node";
	default:
		return "";
	}
}

const char *object_default_namespace(enum object_kind kind)
{
	return kind == OBJECT_NODE ? "" : "default";
}

static struct object *object_create(void)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->namespace = object->name = object->service = object->where = "";
	object->refs = 1;
	return object;
}

struct object *object_ref(struct object *object)
{
	object->refs++;
	return object;
}

void object_unref(struct object *object)
{
	if (!object || --object->refs)
		return;
	pool_free(&object->pool);
	free(object);
}

int object_refuse(const struct object *of, const char *where, struct object **ret,
		  const char *format, ...)
{
	struct object *object = object_create();
	va_list args;

	if (!object)
		return -ENOMEM;
	if (of) {
		object->kind = of->kind;
		object->namespace = pool_strdup(&object->pool, of->namespace);
		object->name = pool_strdup(&object->pool, of->name);
		object->service = pool_strdup(&object->pool, of->service);
	}
	object->where = pool_strdup(&object->pool, where);
	va_start(args, format);
	object->reason = pool_vprintf(&object->pool, format, args);
	va_end(args);
	if (!object->namespace || !object->name || !object->service || !object->where ||
	    !object->reason) {
		object_unref(object);
		return -ENOMEM;
	}
	*ret = object;
	return 0;
}

int object_note(struct reading *reading, const struct field *field, struct object *object,
		const char *format, ...)
{
	struct object_note *note = pool_alloc(&object->pool, sizeof(*note)), **last;
	char text[256];
	va_list args;

	if (!note)
		return -ENOMEM;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note->where = field_where(reading, field);
	note->reason = field_describe(reading, field, "%s", text);
	if (!note->where || !note->reason)
		return -ENOMEM;
	for (last = &object->notes; *last; last = &(*last)->next)
		;
	*last = note;
	return 0;
}

/*
 * The kind, by apiVersion and kind.  -ENOENT: a kind of no concern, or none
 * that could be made out in a document with a problem of its own.
 */
static int kind_read(struct reading *reading, const struct field *root, struct object *object)
{
	struct field version_field = field_get(root, "apiVersion");
	struct field kind_field = field_get(root, "kind");
	const char *version, *kind;
	bool service, slice, policy, node;
	int err;

	err = field_need(reading, &kind_field);
	if (!err)
		err = field_string(reading, &kind_field, &kind);
	if (err)
		return err;
	service = !strcmp(kind, "Service");
	slice = !strcmp(kind, "EndpointSlice");
	policy = !strcmp(kind, "NetworkPolicy");
	node = !strcmp(kind, "Node");
	if (!service && !slice && !policy && !node)
		return -ENOENT;

	err = field_need(reading, &version_field);
	if (!err)
		err = field_string(reading, &version_field, &version);
	if (err)
		return err;
	if (service) /* there are other groups' Services, such as Knative's */
		object->kind = !strcmp(version, "v1") ? OBJECT_SERVICE : OBJECT_NONE;
	else if (node)
		object->kind = !strcmp(version, "v1") ? OBJECT_NODE : OBJECT_NONE;
	else if (policy) /* Calico's, for one, is another kind */
		object->kind = !strcmp(version, "networking.k8s.io/v1") ? OBJECT_NETWORK_POLICY
									: OBJECT_NONE;
	else if (!strcmp(version, DISCOVERY_GROUP "v1"))
		object->kind = OBJECT_ENDPOINT_SLICE;
	else if (!strncmp(version, DISCOVERY_GROUP, strlen(DISCOVERY_GROUP)))
		return field_refuse(reading, &version_field,
				    "only " DISCOVERY_GROUP "v1 is supported");
	return object->kind ? 0 : -ENOENT;
}

/* Name and namespace; they are set only where both are good. */
static int identity_read(struct reading *reading, const struct field *root, struct object *object)
{
	struct field metadata = field_get(root, "metadata");
	struct field name_field = field_get(&metadata, "name");
	struct field space_field = field_get(&metadata, "namespace");
	const char *name, *space = object_default_namespace(object->kind);
	int err;

	err = field_object(reading, &metadata);
	if (!err)
		err = field_need(reading, &name_field);
	if (!err && object->kind == OBJECT_SERVICE)
		err = field_dns_label(reading, &name_field, &name);
	else if (!err)
		err = field_dns_subdomain(reading, &name_field, &name);
	if (!err && *space && field_present(&space_field))
		err = field_dns_label(reading, &space_field, &space);
	if (err)
		return err;
	object->namespace = space;
	object->name = name;
	return 0;
}

/* Rule 11: a slice belongs to a Service by its label.  Policies and nodes to none. */
static int service_name_read(struct reading *reading, const struct field *root,
			     struct object *object)
{
	struct field metadata = field_get(root, "metadata");
	struct field labels = field_get(&metadata, "labels");
	struct field label = field_get(&labels, SERVICE_NAME_LABEL);
	int err;

	if (object->kind == OBJECT_SERVICE) {
		object->service = object->name;
		return 0;
	}
	if (object->kind == OBJECT_NETWORK_POLICY || object->kind == OBJECT_NODE)
		return 0;
	err = field_object(reading, &labels);
	if (!err && !field_present(&label))
		err = field_refuse(reading, &labels, "no " SERVICE_NAME_LABEL);
	if (!err)
		err = field_dns_label(reading, &label, &object->service);
	return err;
}

static int content_read(struct reading *reading, const struct field *root, struct object *object)
{
	if (object->kind == OBJECT_SERVICE)
		return object_read_service(reading, root, object);
	if (object->kind == OBJECT_NETWORK_POLICY)
		return object_read_policy(reading, root, object);
	if (object->kind == OBJECT_NODE)
		return object_read_node(reading, root, object);
	return object_read_slice(reading, root, object);
}

/* A problem of the text explains whatever else is wrong with the object. */
static int problem_refuse(struct reading *reading, const struct document_problem *problem)
{
	const struct document at = {.name = reading->document->name, .line = problem->line};
	struct reading there = {.document = &at, .pool = reading->pool};
	int err;

	err = field_refuse(&there, &(struct field){}, "%s", problem->text);
	reading->where = there.where;
	reading->reason = there.reason;
	return err;
}

int object_read(const struct document *document, const json_t *value, struct object **ret)
{
	const struct document_problem *problem = document_problem(document, value);
	struct object *object = object_create();
	struct reading reading = {.document = document};
	struct field root = {.value = value};
	int err;

	if (!object)
		return -ENOMEM;
	reading.pool = &object->pool;
	object->where = field_where(&reading, &root);
	err = object->where ? field_object(&reading, &root) : -ENOMEM;
	if (!err)
		err = kind_read(&reading, &root, object);
	if (!err)
		err = identity_read(&reading, &root, object);
	if (!err)
		err = service_name_read(&reading, &root, object);
	if (problem && (!err || err == -EINVAL))
		err = problem_refuse(&reading, problem);
	else if (!err)
		err = content_read(&reading, &root, object);
	if (err == -EINVAL) {
		object->where = reading.where;
		object->reason = reading.reason;
		err = 0;
	}
	if (err) {
		object_unref(object);
		return err;
	}
	*ret = object;
	return 0;
}
