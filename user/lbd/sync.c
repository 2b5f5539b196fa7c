/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "apply.h"
#include "log.h"
#include "socket_wake.h"

/* How long answers are under way that another layout's programs have to undo. */
#define FORGET_TICKS LB_TICKS(5)

/* Something to show until there is a snapshot. */
static void sync_wait(struct sync *sync, const struct source_node *node)
{
	struct objects *objects;

	if (objects_create(&objects))
		return;
	if (!snapshot_build(objects, node, 0, &sync->snapshot)) {
		sync->snapshot->unknown = true;
		sync->view.snapshot = sync->snapshot;
	}
	objects_free(objects);
}

int sync_load(struct sync *sync, struct error *error)
{
	const struct source_node node = {
		.name = sync->options->node,
		.addresses = sync->uplinks.addresses,
		.naddresses = sync->uplinks.naddresses,
		.nodeports = sync->uplinks.nodeports,
		.nnodeports = sync->uplinks.nnodeports,
		.labelled_only = sync->options->services == OPTIONS_SERVICES_LABELLED,
	};
	struct snapshot *snapshot;
	bool stale;
	int err;

	sync->view.stale = true;
	err = source_load(sync->source, &node, &snapshot, &stale, error);
	if (err == -EAGAIN && !sync->snapshot)
		sync_wait(sync, &node);
	if (err)
		return err;
	plan_free(sync->plan);
	sync->view.plan = sync->plan = NULL;
	snapshot_free(sync->snapshot);
	sync->view.snapshot = sync->snapshot = snapshot;
	sync->view.stale = stale;
	sync->reload = false;
	if (sync->health && health_follow(sync->health, snapshot))
		return error_set(error, -ENOMEM, "no memory for health checks");
	if (sync->ports && health_ports_follow(sync->ports))
		return error_set(error, -ENOMEM, "no memory for healthCheckNodePorts");
	return 0;
}

/* Take in what netlink has to tell, and look for the uplinks again. */
static int sync_follow(struct sync *sync, struct error *error)
{
	struct uplinks before = sync->uplinks;
	int err = netlink_process(sync->netlink);

	if (err < 0)
		return error_set(error, err, "rtnetlink: %s", strerror(-err));
	if (netlink_routes_revision(sync->netlink) == sync->routes_revision)
		return 0;
	err = uplinks_update(sync->options, sync->netlink, &sync->uplinks, error);
	if (err)
		return err;
	sync->routes_revision = netlink_routes_revision(sync->netlink);
	if (!uplinks_addresses_equal(&before, &sync->uplinks))
		sync->reload = true; /* node ports are served there */
	return 0;
}

/* ret_nfrontends: those that the maps hold. */
static int sync_plan_make(struct sync *sync, struct plan **ret, size_t *ret_nfrontends,
			  struct error *error)
{
	const struct plan_options options = {
		.now_ticks = maps_now_ticks(),
		.linger_ticks = (sync->options->linger_s * 1000000000ULL >> LB_TICK_SHIFT) + 1,
		.hash_seed = sync->options->hash_seed,
		.next_hop = devices_next_hop,
		.arg = sync->devices,
		.bypass = sync->options->bypass,
		.health = health_for_plan,
		.health_arg = sync->health,
	};
	struct applied applied;
	int err;

	devices_follow_node(sync->devices, &sync->snapshot->node);
	err = devices_begin(sync->devices, error);
	if (!err)
		err = maps_applied(sync->maps, &applied, error);
	if (err)
		return err;
	err = plan_make(sync->snapshot, &applied, &options, ret);
	if (err)
		error_set(error, err, "can't plan: %s", strerror(-err));
	*ret_nfrontends = applied.nfrontends;
	maps_applied_free(&applied);
	return err;
}

static int sync_plan(struct sync *sync, struct error *error)
{
	size_t nfrontends;
	struct plan *plan;
	int err = sync_plan_make(sync, &plan, &nfrontends, error);

	if (err)
		return err;
	plan_free(sync->plan);
	sync->view.plan = sync->plan = plan;
	sync->view.nfrontends = nfrontends;
	return 0;
}

int sync_diff(struct sync *sync, struct plan **ret, struct error *error)
{
	size_t nfrontends;

	return sync_plan_make(sync, ret, &nfrontends, error);
}

/* Attach to exactly this set, which is lbd's then. */
static int sync_attach(struct sync *sync, struct attachments *set, struct error *error)
{
	int err;

	if (!sync->attach_failed && sync->links_gone == netlink_links_gone(sync->netlink) &&
	    attachments_equal(&sync->attached, set)) {
		attachments_clear(set);
		return 0;
	}
	attachments_clear(&sync->attached);
	sync->attached = *set;
	*set = (struct attachments){0};
	sync->links_gone = netlink_links_gone(sync->netlink);
	err = attachments_attach(&sync->attached, sync->datapath, error);
	sync->attach_failed = err != 0;
	/* The device has gone since; netlink is about to tell. */
	return err == -ENODEV ? 0 : err;
}

/* Give all devices their programs that any state of this sync needs: those of
 * before and those of the plan. */
static int sync_attach_early(struct sync *sync, struct error *error)
{
	struct attachments wanted = {0}, joined = {0};
	int err;

	if (attachments_collect(&sync->uplinks, sync->devices, sync->netlink, &wanted) ||
	    attachments_join(&sync->attached, &wanted, &joined))
		err = error_set(error, -ENOMEM, "no memory");
	else
		err = sync_attach(sync, &joined, error);
	attachments_clear(&wanted);
	attachments_clear(&joined);
	return err;
}

static int sync_attach_exactly(struct sync *sync, struct error *error)
{
	struct attachments wanted = {0};
	int err;

	if (attachments_collect(&sync->uplinks, sync->devices, sync->netlink, &wanted))
		return error_set(error, -ENOMEM, "no memory");
	err = sync_attach(sync, &wanted, error);
	attachments_clear(&wanted);
	return err;
}

/* Whose namespace a pod that is a client has isn't known of all of them: where
 * any policy rules whom pods reach, all are looked after. */
static int sync_store_settings(struct sync *sync, struct error *error)
{
	enum plan_bypass bypass = sync->options->bypass;
	__u32 stack_clients = bypass == PLAN_BYPASS_OFF ||
			      (bypass == PLAN_BYPASS_AUTO && sync->snapshot->policed_clients);
	int err;

	if (sync->maps->settings->stack_clients == stack_clients)
		return 0;
	err = maps_make_writable(sync->maps, error);
	if (!err)
		__atomic_store_n(&sync->maps->settings->stack_clients, stack_clients,
				 __ATOMIC_RELEASE);
	return err;
}

/*
 * Carry the plan out.  On a first start the maps are filled before anything is
 * attached; later a new pod's device has its program before a ring names the
 * pod, else its first replies would leave as they are.  A device that can't be
 * attached to is no reason to keep the others waiting.
 */
static int sync_apply(struct sync *sync, struct error *error)
{
	bool first = !sync->attached.n && !sync->view.nfrontends;
	struct error attach_error;
	int err, attach_err = 0;

	err = devices_store(sync->devices, error);
	if (err)
		return err;
	if (!first)
		attach_err = sync_attach_early(sync, &attach_error);
	err = sync_store_settings(sync, error);
	if (!err)
		err = apply_plan(sync->maps, sync->plan, error);
	if (err)
		return err;
	sync->view.nfrontends += sync->plan->nfrontends - sync->plan->nfrontends_deleted;
	err = devices_release(sync->devices, error);
	if (err)
		return err;
	attach_err = sync_attach_exactly(sync, &attach_error) ?: attach_err;
	if (attach_err)
		*error = attach_error;
	return attach_err;
}

/* Without a snapshot yet: what the lbd before this one left is kept going, as its
 * pods' devices and neighbours change.  What is attached stays as it is. */
static int sync_hold(struct sync *sync, const struct error *why, struct error *error)
{
	int err = sync_plan(sync, error);

	if (!err)
		err = devices_store(sync->devices, error);
	if (!err)
		err = apply_plan(sync->maps, sync->plan, error);
	if (!err)
		err = devices_release(sync->devices, error);
	return err ?: error_set(error, -EAGAIN, "waiting for %s", why->text);
}

/* Sockets that are connected to what is gone. */
static void sync_wake_sockets(struct sync *sync)
{
	int n;

	if (!sync->socket_lb.attached)
		return;
	/* A lbd before may not have come so far. */
	n = socket_wake(sync->maps, sync->sockets_woken ? sync->plan : NULL);
	sync->sockets_woken = true;
	if (n > 0)
		log_info("ended sockets of this node whose backend is gone sockets=%d", n);
	else if (n < 0)
		log_warn("sockets of this node whose backend is gone can't be ended: %s",
			 strerror(-n));
}

/* What a lbd with another layout of the maps left has served until now, ever more wrongly.
 * Where it had a device's XDP, ours comes then; TC does without. */
static int sync_take_over(struct sync *sync, struct error *error)
{
	int uplinks[OPTIONS_LIST_MAX], links;

	for (size_t i = 0; i < sync->uplinks.n; i++)
		uplinks[i] = sync->uplinks.list[i].ifindex;
	links = datapath_take_over(sync->datapath, uplinks, sync->uplinks.n, error);
	if (links < 0)
		return links;
	sync->took_over = true;
	sync->forget_ticks = maps_now_ticks() + FORGET_TICKS;
	if (!links)
		return 0;
	log_warn("took over from a lbd with another layout of the maps: connections that it knew "
		 "are picked anew");
	sync->attach_failed = true;
	return sync_attach_exactly(sync, error);
}

static void sync_outlive_others(struct sync *sync)
{
	struct error error;
	int err = 0;

	if (!sync->took_over) {
		err = sync_take_over(sync, &error);
	} else if (sync->forget_ticks && maps_now_ticks() >= sync->forget_ticks) {
		err = datapath_forget_others(sync->datapath, &error);
		sync->forget_ticks = err < 0 ? maps_now_ticks() + FORGET_TICKS : 0;
	}
	if (err < 0)
		log_warn("%s", error.text);
}

uint64_t sync_due_ticks(const struct sync *sync)
{
	uint64_t due = sync->plan ? sync->plan->due_ticks : 0;

	if (!due || (sync->forget_ticks && sync->forget_ticks < due))
		return sync->forget_ticks;
	return due;
}

int sync_run(struct sync *sync, struct error *error)
{
	uint64_t start_ns = uv_hrtime();
	struct error load_error;
	int err, load_err = 0;

	err = sync_follow(sync, error);
	if (!err && (sync->reload || !sync->snapshot->revision))
		load_err = sync_load(sync, &load_error);
	if (!err && !sync->snapshot->revision)
		return sync_hold(sync, &load_error, error);
	if (!err)
		err = sync_plan(sync, error);
	if (!err)
		err = sync_apply(sync, error);
	if (!err) {
		sync->view.synced_revision = sync->snapshot->revision;
		sync_outlive_others(sync);
		sync_wake_sockets(sync);
	}
	sync->took_ms = (uv_hrtime() - start_ns) / 1000000;
	if (!err && !plan_is_empty(sync->plan))
		metrics_sync_add(&sync->syncs, (uv_hrtime() - (sync->event_ns ?: start_ns)) / 1000);
	sync->event_ns = 0;
	if (!err && load_err) {
		err = load_err;
		*error = load_error;
	}
	return err;
}

int sync_check_complete(const struct sync *sync, struct error *error)
{
	size_t n = view_refusals(&sync->view);

	if (!n)
		return 0;
	view_refusal_line(&sync->view, 0, error);
	return n == 1 ? -EBADMSG : error_prefix(error, -EBADMSG, "%zu refused, the first", n);
}

void sync_close(struct sync *sync)
{
	attachments_clear(&sync->attached);
	devices_close(sync->devices);
	socket_lb_close(&sync->socket_lb);
	datapath_close(sync->datapath);
	plan_free(sync->plan);
	snapshot_free(sync->snapshot);
	source_close(sync->source);
	netlink_close(sync->netlink);
}
