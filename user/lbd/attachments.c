/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "attachments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room was made before. */
static void attachment_add(struct attachments *to, int ifindex, const char name[IFNAMSIZ], int role,
			   enum hook hook, bool may_fall_back, const char *reason)
{
	struct attachment *attachment = &to->list[to->n++];

	memset(attachment, 0, sizeof(*attachment));
	memcpy(attachment->name, name, IFNAMSIZ);
	attachment->device.ifindex = ifindex;
	attachment->device.role = role;
	attachment->device.hook = attachment->device.used = hook;
	attachment->device.attach = "";
	attachment->device.may_fall_back = may_fall_back;
	attachment->reason = reason;
}

static void attachment_copy(struct attachments *to, const struct attachment *from)
{
	to->list[to->n++] = *from;
}

static int attachments_alloc(size_t room, struct attachments *ret)
{
	*ret = (struct attachments){.list = calloc(room + 1, sizeof(*ret->list))};
	return ret->list ? 0 : -ENOMEM;
}

int attachments_collect(const struct uplinks *uplinks, const struct devices *devices,
			const struct netlink *netlink, struct attachments *ret)
{
	int pods[LB_MAX_DEVICES];
	size_t npods = devices_pods(devices, pods, LB_MAX_DEVICES);

	if (attachments_alloc(npods + uplinks->n, ret))
		return -ENOMEM;
	for (size_t i = 0; i < npods; i++) {
		const struct netlink_link *link = netlink_link_by_index(netlink, pods[i]);

		attachment_add(ret, link->ifindex, link->name, DEVICE_POD, HOOK_TC, false, "");
	}
	for (size_t i = 0; i < uplinks->n; i++) {
		const struct uplink *uplink = &uplinks->list[i];

		attachment_add(ret, uplink->ifindex, uplink->name, DEVICE_UPLINK, uplink->hook,
			       uplink->may_fall_back, uplink->reason);
	}
	return 0;
}

static const struct attachment *attachments_find(const struct attachments *in, int ifindex)
{
	for (size_t i = 0; i < in->n; i++)
		if (in->list[i].device.ifindex == ifindex)
			return &in->list[i];
	return NULL;
}

int attachments_join(const struct attachments *a, const struct attachments *b,
		     struct attachments *ret)
{
	if (attachments_alloc(a->n + b->n, ret))
		return -ENOMEM;
	for (size_t i = 0; i < b->n; i++)
		attachment_copy(ret, &b->list[i]);
	for (size_t i = 0; i < a->n; i++)
		if (!attachments_find(b, a->list[i].device.ifindex))
			attachment_copy(ret, &a->list[i]);
	return 0;
}

bool attachments_contain(const struct attachments *a, const struct attachments *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct datapath_device *wanted = &b->list[i].device;
		const struct attachment *found = attachments_find(a, wanted->ifindex);

		if (!found || found->device.role != wanted->role ||
		    found->device.hook != wanted->hook || strcmp(found->name, b->list[i].name))
			return false;
	}
	return true;
}

bool attachments_equal(const struct attachments *a, const struct attachments *b)
{
	return a->n == b->n && attachments_contain(a, b);
}

int attachments_attach(struct attachments *attachments, struct datapath *datapath,
		       struct error *error)
{
	struct datapath_device *devices = calloc(attachments->n + 1, sizeof(*devices));
	int err;

	if (!devices)
		return error_set(error, -ENOMEM, "no memory");
	for (size_t i = 0; i < attachments->n; i++) {
		devices[i] = attachments->list[i].device;
		devices[i].name = attachments->list[i].name;
	}
	err = datapath_attach(datapath, devices, attachments->n, error);
	for (size_t i = 0; i < attachments->n; i++)
		attachments->list[i].device = devices[i];
	free(devices);
	return err;
}

void attachments_clear(struct attachments *attachments)
{
	free(attachments->list);
	*attachments = (struct attachments){0};
}
