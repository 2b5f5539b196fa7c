/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "manifest.h"
#include "texts.h"

void guarded_make(struct guarded *guarded, const char *text, size_t n)
{
	size_t page = sysconf(_SC_PAGESIZE), used = (n + page - 1) / page * page;

	guarded->map_size = used + page;
	guarded->map = mmap(NULL, guarded->map_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(guarded->map, MAP_FAILED);
	assert_int_equal(mprotect(guarded->map + used, page, PROT_NONE), 0);
	guarded->text = guarded->map + used - n;
	memcpy(guarded->text, text, n);
}

void guarded_free(struct guarded *guarded)
{
	munmap(guarded->map, guarded->map_size);
}

char *fixture_read(const char *name, size_t *ret_size)
{
	char self[4096], path[8192], *text;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	FILE *file;

	/* This is TREE/BUILD/tests/unit_NOUN. */
	assert_true(n > 0);
	self[n] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(self, '/') = '\0';
	snprintf(path, sizeof(path), "%s/tests/fixtures/%s", self, name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s can't be read", path);
	text = calloc(1, 1 << 20);
	*ret_size = fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	return text;
}

void objects_list(struct objects *objects, const char *name, const char *text)
{
	struct manifest *manifest;
	struct error error;

	if (manifest_read(name, text, strlen(text), &manifest, &error))
		fail_msg("%s", error.text);
	objects_begin(objects, OBJECT_NONE);
	for (size_t i = 0; i < manifest->nobjects; i++)
		assert_int_equal(objects_put(objects, manifest->objects[i]), 0);
	objects_end(objects, OBJECT_NONE);
	manifest_free(manifest);
}

struct snapshot *snapshot_of_objects(const struct objects *objects)
{
	static const char *const addresses[] = {"10.200.0.1", "10.200.0.2", "fd00:200::1"};
	struct source_node node = {.name = "here", .naddresses = 3, .nnodeports = 3};
	struct snapshot *snapshot;
	struct addr addr[3];

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(addr_parse(addresses[i], &addr[i]), 0);
	node.addresses = node.nodeports = addr;
	assert_int_equal(snapshot_build(objects, &node, 1, &snapshot), 0);
	return snapshot;
}

struct snapshot *snapshot_of(const char *text)
{
	struct snapshot *snapshot;
	struct objects *objects;

	assert_int_equal(objects_create(&objects), 0);
	objects_list(objects, "test.yaml", text);
	snapshot = snapshot_of_objects(objects);
	objects_free(objects); /* a snapshot holds what it needs */
	return snapshot;
}

static void service_print(FILE *file, const struct model_service *service)
{
	char buf[ADDR_PORT_STRLEN];

	fprintf(file, "%s/%s:%s/%s/%u", service->namespace, service->name, service->port_name,
		service->protocol == IPPROTO_TCP ? "TCP" : "UDP", service->family);
	for (size_t i = 0; i < service->nfrontends; i++) {
		const struct model_frontend *f = &service->frontends[i];

		fprintf(file, "%c%c%s", i ? ',' : ' ', "CNEL"[f->kind],
			addr_port_format(&f->addr, f->port, buf));
	}
	fprintf(file, " ->");
	for (size_t i = 0; i < service->nendpoints; i++) {
		const struct model_endpoint *e = &service->endpoints[i];

		fprintf(file, "%c%s", i ? ',' : ' ', addr_port_format(&e->addr, e->port, buf));
		if (e->weight != 100)
			fprintf(file, "*%u", e->weight);
		fprintf(file, "%s%s%s%s", e->ready ? "" : "!", !e->ready && e->serving ? "s" : "",
			e->terminating ? "t" : "", e->local ? "@" : "");
	}
}

char *service_text(const struct model_service *service)
{
	size_t size;
	char *text;
	FILE *file = open_memstream(&text, &size);

	service_print(file, service);
	fclose(file);
	return text;
}

char *snapshot_text(const struct snapshot *snapshot)
{
	size_t size;
	char *text;
	FILE *file = open_memstream(&text, &size);

	for (size_t i = 0; i < snapshot->nservices; i++) {
		service_print(file, &snapshot->services[i]);
		fputc('\n', file);
	}
	fclose(file);
	return text;
}
