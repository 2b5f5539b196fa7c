/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "objects.h"

struct slot {
	struct objects_entry entry;
	unsigned int listing; /* the last one it was put in */
	LIST_ENTRY(slot) link;
};

struct objects {
	void *tree; /* of slots, by identity */
	LIST_HEAD(, slot) slots;
	struct {
		unsigned int number; /* of the present or last one */
		bool open;
	} listings[OBJECT_KINDS];

	/* Refused in this listing, with no identity of their own. */
	struct object **strays;
	size_t nstrays, max_strays;
};

/* What a slot is about: its good and its refused object have one identity. */
static const struct object *slot_object(const struct slot *slot)
{
	return slot->entry.refused ? slot->entry.refused : slot->entry.good;
}

static int slot_compare(const void *left, const void *right)
{
	const struct object *a = slot_object(left), *b = slot_object(right);
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	order = strcmp(a->namespace, b->namespace);
	return order ? order : strcmp(a->name, b->name);
}

static void slot_free(void *slot)
{
	struct objects_entry *entry = &((struct slot *)slot)->entry;

	object_unref(entry->good);
	object_unref(entry->refused);
	free(slot);
}

int objects_create(struct objects **ret)
{
	struct objects *objects = calloc(1, sizeof(*objects));

	if (!objects)
		return -ENOMEM;
	LIST_INIT(&objects->slots);
	*ret = objects;
	return 0;
}

static void strays_clear(struct objects *objects)
{
	for (size_t i = 0; i < objects->nstrays; i++)
		object_unref(objects->strays[i]);
	objects->nstrays = 0;
}

void objects_free(struct objects *objects)
{
	if (!objects)
		return;
	tdestroy(objects->tree, slot_free);
	strays_clear(objects);
	free(objects->strays);
	free(objects);
}

/* Takes over the reference. */
static int stray_add(struct objects *objects, struct object *object)
{
	if (objects->nstrays == objects->max_strays) {
		size_t max = objects->max_strays ? 2 * objects->max_strays : 16;
		struct object **strays = reallocarray(objects->strays, max, sizeof(*strays));

		if (!strays) {
			object_unref(object);
			return -ENOMEM;
		}
		objects->strays = strays;
		objects->max_strays = max;
	}
	objects->strays[objects->nstrays++] = object;
	return 0;
}

/* The slot of an object's identity, made where there's none. */
static struct slot *slot_get(struct objects *objects, struct object *object)
{
	struct slot probe = {.entry.good = object}, **found, *slot;

	found = tsearch(&probe, &objects->tree, slot_compare);
	if (!found || *found != &probe)
		return found ? *found : NULL;
	slot = calloc(1, sizeof(*slot));
	if (!slot) {
		tdelete(&probe, &objects->tree, slot_compare);
		return NULL;
	}
	*found = slot;
	LIST_INSERT_HEAD(&objects->slots, slot, link);
	return slot;
}

int objects_put(struct objects *objects, struct object *object)
{
	struct object *second;
	struct slot *slot;
	int err;

	if (!*object->name)
		return stray_add(objects, object_ref(object));
	slot = slot_get(objects, object);
	if (!slot)
		return -ENOMEM;
	if (objects->listings[object->kind].open &&
	    slot->listing == objects->listings[object->kind].number) {
		err = object_refuse(object, object->where, &second, "the same object is at %s",
				    slot_object(slot)->where);
		return err ? err : stray_add(objects, second);
	}
	slot->listing = objects->listings[object->kind].number;
	object_ref(object);
	object_unref(slot->entry.refused);
	slot->entry.refused = object->reason ? object : NULL;
	if (!object->reason) {
		object_unref(slot->entry.good);
		slot->entry.good = object;
	}
	return 0;
}

static void slot_delete(struct objects *objects, struct slot *slot)
{
	tdelete(slot, &objects->tree, slot_compare);
	LIST_REMOVE(slot, link);
	slot_free(slot);
}

void objects_delete(struct objects *objects, enum object_kind kind, const char *namespace,
		    const char *name)
{
	struct object identity = {.kind = kind, .namespace = namespace, .name = name};
	struct slot probe = {.entry.good = &identity}, **found;

	found = tfind(&probe, &objects->tree, slot_compare);
	if (found)
		slot_delete(objects, *found);
}

static bool listing_has(enum object_kind listing, enum object_kind kind)
{
	return listing == OBJECT_NONE || listing == kind;
}

void objects_begin(struct objects *objects, enum object_kind kind)
{
	if (kind == OBJECT_NONE)
		strays_clear(objects);
	for (int k = 0; k < OBJECT_KINDS; k++) {
		if (!listing_has(kind, k))
			continue;
		objects->listings[k].number++;
		objects->listings[k].open = true;
	}
}

void objects_abort(struct objects *objects, enum object_kind kind)
{
	for (int k = 0; k < OBJECT_KINDS; k++)
		if (listing_has(kind, k))
			objects->listings[k].open = false;
}

void objects_end(struct objects *objects, enum object_kind kind)
{
	struct slot *slot, *next;

	for (slot = LIST_FIRST(&objects->slots); slot; slot = next) {
		enum object_kind of = slot_object(slot)->kind;

		next = LIST_NEXT(slot, link);
		if (listing_has(kind, of) && slot->listing != objects->listings[of].number)
			slot_delete(objects, slot);
	}
	objects_abort(objects, kind);
}

struct visit {
	int (*visit)(void *arg, const struct objects_entry *entry);
	void *arg;
	int err;
};

static void visit_node(const void *node, VISIT which, void *arg)
{
	const struct slot *slot = *(struct slot *const *)node;
	struct visit *visit = arg;

	if ((which == postorder || which == leaf) && !visit->err)
		visit->err = visit->visit(visit->arg, &slot->entry);
}

int objects_visit(const struct objects *objects,
		  int (*visit)(void *arg, const struct objects_entry *entry), void *arg)
{
	struct visit walk = {.visit = visit, .arg = arg};

	twalk_r(objects->tree, visit_node, &walk);
	for (size_t i = 0; !walk.err && i < objects->nstrays; i++) {
		const struct objects_entry stray = {.refused = objects->strays[i], .stray = true};

		walk.err = visit(arg, &stray);
	}
	return walk.err;
}
