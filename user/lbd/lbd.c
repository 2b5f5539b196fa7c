/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * lbd: keeps the maps of the datapath equal to what the source says (sync.h).
 * Here it starts, waits for events, and ends; this file knows all the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "api.h"
#include "check.h"
#include "drain.h"
#include "host.h"
#include "log.h"
#include "monitor.h"
#include "notify.h"
#include "report.h"
#include "sync.h"

#define EXIT_INPUT 2 /* options, the source, or the rights and places they need */

/* Changes come in crowds: a pod is a device, an address, routes, a neighbour. */
#define DEBOUNCE_MS 20
#define RETRY_MS 1000
#define ALIVE_MS 5000
#define CONFIRM_MS 5000
#define CHECK_PATIENCE_MS 10000 /* for --check with an API server */

struct lbd {
	struct options options;
	struct sync sync;
	struct report report;
	struct api *api;
	struct monitor *monitor; /* NULL: nobody listens */
	uv_loop_t loop;
	uv_poll_t netlink_poll;
	uv_timer_t soon, linger, alive, confirm;
	uv_signal_t signals[3];
};

/* ---- syncs ----------------------------------------------------------------- */

static void lbd_sync_event(struct lbd *lbd);

static void soon_due(uv_timer_t *timer)
{
	lbd_sync_event(timer->data);
}

/* Sync after a while, if it isn't done earlier anyhow. */
static void lbd_soon(struct lbd *lbd, uint64_t delay_ms)
{
	if (!uv_is_active((uv_handle_t *)&lbd->soon) || uv_timer_get_due_in(&lbd->soon) > delay_ms)
		uv_timer_start(&lbd->soon, soon_due, delay_ms, 0);
}

static void linger_ended(uv_timer_t *timer)
{
	lbd_sync_event(timer->data);
}

/* Sync again when the plan says so: a gone backend's linger ends; or what another lbd left. */
static void lbd_await_linger(struct lbd *lbd)
{
	uint64_t now = maps_now_ticks(), due = sync_due_ticks(&lbd->sync);
	uint64_t left_ns = due > now ? (due - now) << LB_TICK_SHIFT : 0;

	if (due)
		uv_timer_start(&lbd->linger, linger_ended, left_ns / 1000000 + DEBOUNCE_MS, 0);
	else
		uv_timer_stop(&lbd->linger);
}

static int lbd_sync(struct lbd *lbd, struct error *error)
{
	int err = sync_run(&lbd->sync, error);

	report_sync(&lbd->report, &lbd->sync, err, error);
	lbd_await_linger(lbd);
	if (err)
		lbd_soon(lbd, RETRY_MS);
	return err;
}

/* For those who don't wait for the result. */
static void lbd_sync_event(struct lbd *lbd)
{
	struct error error;

	lbd_sync(lbd, &error);
}

/* A sync's clock runs from the first event that asks for it. */
static void lbd_saw_event(struct lbd *lbd)
{
	if (!lbd->sync.event_ns)
		lbd->sync.event_ns = uv_hrtime();
}

/* The socket's time says until when there was a daemon: one that is killed leaves it. */
static void show_life(uv_timer_t *timer)
{
	const struct lbd *lbd = timer->data;

	utimensat(AT_FDCWD, lbd->options.control_path, NULL, 0);
}

static void confirm_neighbours(uv_timer_t *timer)
{
	const struct lbd *lbd = timer->data;

	devices_confirm_neighbours(lbd->sync.devices);
}

/* ---- events ----------------------------------------------------------------- */

static void netlink_readable(uv_poll_t *poll, int status, int events)
{
	struct lbd *lbd = poll->data;
	/* However often routes change, syncs take a tenth of a CPU at most. */
	uint64_t rest_ms = lbd->sync.took_ms * 10;
	int changed;

	lbd_saw_event(lbd);
	changed = netlink_process(lbd->sync.netlink);

	(void)status;
	(void)events;
	if (changed > 0)
		lbd_soon(lbd, rest_ms > DEBOUNCE_MS ? rest_ms : DEBOUNCE_MS);
	else if (changed < 0)
		lbd_soon(lbd, RETRY_MS); /* which tells, if it fails again */
}

static void source_changed(void *arg)
{
	struct lbd *lbd = arg;

	lbd_saw_event(lbd);
	lbd->sync.reload = true;
	lbd_sync_event(lbd);
}

static void health_changed(void *arg)
{
	struct lbd *lbd = arg;

	lbd_saw_event(lbd);
	lbd_soon(lbd, DEBOUNCE_MS);
}

static void signal_came(uv_signal_t *handle, int number)
{
	struct lbd *lbd = handle->data;

	if (number == SIGHUP) {
		log_info("reloading");
		source_changed(lbd);
		return;
	}
	log_info("stopping, traffic goes on signal=%d", number);
	notify("STOPPING=1");
	uv_stop(&lbd->loop);
}

/* POST /v1/sync. */
static int sync_requested(void *arg, uint64_t *ret_revision, struct error *error)
{
	struct lbd *lbd = arg;
	int err;

	lbd->sync.reload = true;
	err = lbd_sync(lbd, error);
	if (!err)
		err = sync_check_complete(&lbd->sync, error);
	if (!err)
		*ret_revision = lbd->sync.view.synced_revision;
	return err;
}

/* POST /v1/backends/drain and undrain. */
static int drain_requested(void *arg, const struct addr *addr, uint16_t port, bool drain,
			   size_t *ret_n, struct error *error)
{
	struct lbd *lbd = arg;
	char text[ADDR_PORT_STRLEN];
	int err = drain_set(lbd->sync.maps, addr, port, drain, ret_n, error);

	if (err)
		return err;
	addr_place_format(addr, port, text);
	log_info("%s backend=%s backends=%zu", drain ? "draining" : "undrained", text, *ret_n);
	return lbd_sync(lbd, error);
}

/* GET /v1/diff. */
static int diff_requested(void *arg, struct plan **ret, struct error *error)
{
	struct lbd *lbd = arg;

	if (!lbd->sync.snapshot->revision)
		return error_set(error, -EAGAIN, "the source has no snapshot yet");
	return sync_diff(&lbd->sync, ret, error);
}

/* ---- start and end ------------------------------------------------------------ */

static int complain(int status, const struct error *error)
{
	log_last_words("lbd", error->text);
	return status;
}

/* The status of a start that failed: another lbd's presence, or a failure of
 * the machine, can pass without a change of the input. */
static int start_status(int err)
{
	switch (err) {
	case -EPERM:   /* no root */
	case -ENOTSUP: /* no bpffs */
	case -EEXIST:  /* other sizes than the pinned maps', no socket */
	case -ENOENT:
	case -ENOTDIR:
	case -EROFS:
		return EXIT_INPUT;
	default:
		return EXIT_FAILURE;
	}
}

static int detach(const struct options *options)
{
	struct error error;
	int err = host_check_privileges(&error);

	if (!err)
		err = datapath_detach(options->bpffs_dir, &error);
	return err ? complain(start_status(err), &error) : EXIT_SUCCESS;
}

/* What needs no rights and changes nothing; errors are the user's input. */
static int lbd_read(struct lbd *lbd, struct error *error)
{
	struct sync *sync = &lbd->sync;
	int err;

	err = netlink_open(&sync->netlink, error);
	if (err)
		return err;
	err = uplinks_find(&lbd->options, sync->netlink, &sync->uplinks, error);
	if (err)
		return err;
	err = socket_lb_find(lbd->options.socket_lb, &sync->socket_lb, error);
	if (err)
		return err;
	err = source_open(&lbd->options, &sync->source, error);
	if (err)
		return err;
	err = sync_load(sync, error);
	/* Nothing comes before the loop runs. */
	return err == -EAGAIN && sync->snapshot ? 0 : err;
}

static int lbd_watch(struct lbd *lbd, struct error *error)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	int err = 0;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3 && !err; i++)
		err = uv_signal_start(&lbd->signals[i], signal_came, numbers[i]);
	if (!err)
		err = uv_poll_start(&lbd->netlink_poll, UV_READABLE, netlink_readable);
	if (err)
		return error_set(error, err, "can't await events: %s", uv_strerror(err));
	return source_watch(lbd->sync.source, &lbd->loop, source_changed, lbd, error);
}

/* What the source has said so far is checked from now on. */
static int lbd_check_health(struct lbd *lbd, struct error *error)
{
	const struct options *options = &lbd->options;
	const struct health_options health = {
		.check = options->health,
		.interval_ms = options->health_interval_ms,
		.rise = options->health_rise,
		.fall = options->health_fall,
	};
	struct sync *sync = &lbd->sync;
	int err = health_open(&lbd->loop, &health, health_changed, lbd, &sync->health, error);

	if (err)
		return err;
	sync->view.health = sync->health;
	return health_follow(sync->health, sync->snapshot)
		       ? error_set(error, -ENOMEM, "no memory for health checks")
		       : 0;
}

/* Load balancers' questions are answered from now on. */
static int lbd_answer_health(struct lbd *lbd, struct error *error)
{
	struct sync *sync = &lbd->sync;
	int err = health_ports_open(&lbd->loop, &sync->view, &sync->ports, error);

	if (err)
		return err;
	sync->view.ports = sync->ports;
	return health_ports_follow(sync->ports)
		       ? error_set(error, -ENOMEM, "no memory for healthCheckNodePorts")
		       : 0;
}

/* The default address may be another program's: that is no reason not to serve. */
static int lbd_listen(struct lbd *lbd, struct error *error)
{
	const struct options *options = &lbd->options;
	int err;

	if (options->listen_off)
		return 0;
	err = monitor_open(&options->listen.addr, options->listen.port, &lbd->loop, &lbd->sync.view,
			   &lbd->monitor, error);
	if (!err || options->listen_given)
		return err;
	log_warn("%s; nobody can read the metrics", error->text);
	return 0;
}

/* Everything else, up to the first sync. */
static int lbd_start(struct lbd *lbd, struct error *error)
{
	const struct options *options = &lbd->options;
	const struct api_calls calls = {.sync = sync_requested,
					.diff = diff_requested,
					.drain = drain_requested,
					.arg = lbd};
	const struct datapath_config config = {
		.bpffs_dir = options->bpffs_dir,
		.max_services = options->max_services,
		.max_backends = options->max_backends,
		.max_frontends = options->max_frontends,
		.max_flows = options->max_flows,
		.max_udp_flows = options->max_udp_flows,
		.max_new_flows = options->max_new_flows,
		.max_affinity = options->max_affinity,
		.max_slots = options->max_slots,
		.hash_seed = options->hash_seed,
		.tc = options->tc,
		.attach = options->attach,
		.snat_port_first = options->snat_ports.first,
		.snat_port_last = options->snat_ports.last,
		.sockets = lbd->sync.socket_lb.fd >= 0,
	};
	struct sync *sync = &lbd->sync;
	int err;

	err = host_check_privileges(error);
	if (!err)
		err = host_check_snat_ports(options->snat_ports.first, options->snat_ports.last,
					    error);
	/* The socket first: where another lbd has it, nothing is changed. */
	if (!err)
		err = api_open(options->control_path, &lbd->loop, &sync->view, &calls, &lbd->api,
			       error);
	if (!err)
		err = datapath_open(&config, &sync->datapath, error);
	if (!err)
		err = socket_lb_attach(&sync->socket_lb, sync->datapath, error);
	if (err)
		return err;
	sync->view.maps = sync->maps = datapath_maps(sync->datapath);
	err = devices_open(options, sync->netlink, &sync->uplinks, sync->maps, &sync->devices,
			   error);
	if (!err)
		err = lbd_check_health(lbd, error);
	if (!err)
		err = lbd_answer_health(lbd, error);
	if (!err)
		err = lbd_watch(lbd, error);
	if (!err)
		err = lbd_listen(lbd, error);
	if (err)
		return err;
	maps_quiesce(); /* apply.h: the lbd before may have died half-way */
	err = maps_filter_tidy(sync->maps);
	if (err)
		return error_set(error, err, "can't read the maps: %s", strerror(-err));
	return sync_run(sync, error);
}

static void lbd_init(struct lbd *lbd)
{
	struct sync *sync = &lbd->sync;

	sync->options = sync->view.options = &lbd->options;
	sync->view.attachments = &sync->attached;
	sync->view.socket_lb = &sync->socket_lb;
	sync->socket_lb.fd = -1;
	sync->view.syncs = &sync->syncs;
	sync->view.started_ms = uv_hrtime() / 1000000;
}

/* Handles of the loop; the netlink socket is there. */
static int lbd_init_loop(struct lbd *lbd, struct error *error)
{
	int err = uv_loop_init(&lbd->loop);

	for (int i = 0; i < 3 && !err; i++) {
		err = uv_signal_init(&lbd->loop, &lbd->signals[i]);
		lbd->signals[i].data = lbd;
	}
	if (!err)
		err = uv_poll_init(&lbd->loop, &lbd->netlink_poll, netlink_fd(lbd->sync.netlink));
	if (err)
		return error_set(error, err, "can't make the event loop: %s", uv_strerror(err));
	uv_timer_init(&lbd->loop, &lbd->soon);
	uv_timer_init(&lbd->loop, &lbd->linger);
	uv_timer_init(&lbd->loop, &lbd->alive);
	uv_timer_init(&lbd->loop, &lbd->confirm);
	lbd->soon.data = lbd->linger.data = lbd->alive.data = lbd->netlink_poll.data = lbd;
	lbd->confirm.data = lbd;
	uv_timer_start(&lbd->alive, show_life, ALIVE_MS, ALIVE_MS);
	uv_timer_start(&lbd->confirm, confirm_neighbours, CONFIRM_MS, CONFIRM_MS);
	return 0;
}

/* Pins and traffic stay. */
static void lbd_end(struct lbd *lbd)
{
	uv_handle_t *handles[] = {
		(uv_handle_t *)&lbd->soon,	   (uv_handle_t *)&lbd->linger,
		(uv_handle_t *)&lbd->netlink_poll, (uv_handle_t *)&lbd->signals[0],
		(uv_handle_t *)&lbd->signals[1],   (uv_handle_t *)&lbd->signals[2],
		(uv_handle_t *)&lbd->alive,	   (uv_handle_t *)&lbd->confirm,
	};

	api_close(lbd->api);
	monitor_close(lbd->monitor);
	health_close(lbd->sync.health);
	lbd->sync.health = NULL;
	health_ports_close(lbd->sync.ports);
	lbd->sync.view.ports = lbd->sync.ports = NULL;
	source_close(lbd->sync.source);
	lbd->sync.source = NULL;
	for (size_t i = 0; i < sizeof(handles) / sizeof(*handles); i++)
		uv_close(handles[i], NULL);
	uv_run(&lbd->loop, UV_RUN_DEFAULT); /* the closing callbacks */
	uv_loop_close(&lbd->loop);
}

static void stop_waiting(void *arg)
{
	uv_stop(arg);
}

static void waited_enough(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* A snapshot that has to be fetched first. */
static int lbd_fetch(struct lbd *lbd, struct error *error)
{
	int err;

	if (lbd->sync.snapshot->revision)
		return 0;
	uv_loop_init(&lbd->loop);
	uv_timer_init(&lbd->loop, &lbd->soon);
	uv_timer_start(&lbd->soon, waited_enough, CHECK_PATIENCE_MS, 0);
	err = source_watch(lbd->sync.source, &lbd->loop, stop_waiting, &lbd->loop, error);
	if (!err) {
		uv_run(&lbd->loop, UV_RUN_DEFAULT);
		err = sync_load(&lbd->sync, error);
	}
	source_close(lbd->sync.source);
	lbd->sync.source = NULL;
	uv_close((uv_handle_t *)&lbd->soon, NULL);
	uv_run(&lbd->loop, UV_RUN_DEFAULT); /* the closing callbacks */
	uv_loop_close(&lbd->loop);
	return err;
}

static int check(struct lbd *lbd)
{
	struct error error;
	int refused = lbd_fetch(lbd, &error);

	if (!refused)
		refused = check_report(&lbd->options, lbd->sync.snapshot, stdout, stderr, &error);
	if (refused < 0)
		return complain(EXIT_FAILURE, &error);
	return refused ? EXIT_INPUT : EXIT_SUCCESS;
}

static int run(struct lbd *lbd)
{
	struct error error;
	int err, status = EXIT_SUCCESS;

	if (lbd_init_loop(lbd, &error))
		return complain(EXIT_FAILURE, &error);
	err = lbd_start(lbd, &error);
	if (err && err != -EAGAIN) {
		status = complain(start_status(err), &error);
	} else if (err) {
		log_info("%s", error.text);
		notify("READY=1"); /* to follow the source */
		uv_run(&lbd->loop, UV_RUN_DEFAULT);
	} else {
		report_sync(&lbd->report, &lbd->sync, 0, &error);
		log_info("ready revision=%llu services=%zu devices=%zu control=%s took_ms=%llu",
			 (unsigned long long)lbd->sync.snapshot->revision,
			 lbd->sync.snapshot->nservices, lbd->sync.attached.n,
			 lbd->options.control_path, (unsigned long long)lbd->sync.took_ms);
		notify("READY=1");
		lbd_await_linger(lbd);
		uv_run(&lbd->loop, UV_RUN_DEFAULT);
	}
	lbd_end(lbd);
	return status;
}

int main(int argc, char *argv[])
{
	static struct lbd lbd;
	struct error error;
	bool undo;
	int status;

	if (options_parse(argc, argv, &lbd.options, &error))
		return complain(EXIT_INPUT, &error);
	if (lbd.options.help) {
		options_print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (lbd.options.version) {
		printf("lbd %s\n", LB_VERSION);
		return EXIT_SUCCESS;
	}
	log_set_level(lbd.options.log_level);
	log_set_format(lbd.options.log_format);
	if (lbd.options.detach)
		return detach(&lbd.options);
	lbd_init(&lbd);
	if (lbd_read(&lbd, &error))
		status = complain(EXIT_INPUT, &error);
	else
		status = lbd.options.check ? check(&lbd) : run(&lbd);
	/* A first start that failed leaves nothing; what was adopted stays. */
	undo = status != EXIT_SUCCESS && lbd.sync.datapath && datapath_is_fresh(lbd.sync.datapath);
	report_clear(&lbd.report);
	sync_close(&lbd.sync);
	if (undo && datapath_detach(lbd.options.bpffs_dir, &error))
		complain(EXIT_FAILURE, &error);
	return status;
}
