/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "curl_loop.h"

#include <errno.h>
#include <stdlib.h>

struct curl_loop {
	CURLM *multi;
	uv_loop_t *loop;
	uv_timer_t timer;
	curl_loop_done *done;
};

/* A socket of curl's that the loop watches. */
struct watched {
	struct curl_loop *curl_loop;
	uv_poll_t poll;
	curl_socket_t fd;
};

static void collect(struct curl_loop *curl_loop)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(curl_loop->multi, &left))) {
		CURLcode code = message->data.result;
		char *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		curl_loop->done(private, code);
	}
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
	struct watched *watched = poll->data;
	struct curl_loop *curl_loop = watched->curl_loop;
	int flags = 0, running;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(curl_loop->multi, watched->fd, flags, &running);
	collect(curl_loop);
}

static void timer_due(uv_timer_t *timer)
{
	struct curl_loop *curl_loop = timer->data;
	int running;

	curl_multi_socket_action(curl_loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(curl_loop);
}

static void watched_free(uv_handle_t *handle)
{
	free(handle->data);
}

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *known)
{
	struct curl_loop *curl_loop = arg;
	struct watched *watched = known;
	int events = 0;

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		if (watched) {
			uv_poll_stop(&watched->poll);
			uv_close((uv_handle_t *)&watched->poll, watched_free);
			curl_multi_assign(curl_loop->multi, fd, NULL);
		}
		return 0;
	}
	if (!watched) {
		watched = calloc(1, sizeof(*watched));
		if (!watched)
			return -1;
		watched->curl_loop = curl_loop;
		watched->fd = fd;
		if (uv_poll_init_socket(curl_loop->loop, &watched->poll, fd)) {
			free(watched);
			return -1;
		}
		watched->poll.data = watched;
		curl_multi_assign(curl_loop->multi, fd, watched);
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&watched->poll, events, socket_ready) ? -1 : 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_loop *curl_loop = arg;

	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&curl_loop->timer);
	else /* never within this call */
		uv_timer_start(&curl_loop->timer, timer_due, timeout_ms, 0);
	return 0;
}

int curl_loop_add(struct curl_loop *curl_loop, CURL *transfer)
{
	return curl_multi_add_handle(curl_loop->multi, transfer) ? -ENOMEM : 0;
}

void curl_loop_remove(struct curl_loop *curl_loop, CURL *transfer)
{
	curl_multi_remove_handle(curl_loop->multi, transfer);
}

static void curl_loop_free(uv_handle_t *timer)
{
	free(timer->data);
}

int curl_loop_open(uv_loop_t *loop, curl_loop_done *done, struct curl_loop **ret,
		   struct error *error)
{
	struct curl_loop *curl_loop = calloc(1, sizeof(*curl_loop));

	if (!curl_loop || curl_global_init(CURL_GLOBAL_DEFAULT) ||
	    !(curl_loop->multi = curl_multi_init())) {
		free(curl_loop);
		return error_set(error, -ENOMEM, "libcurl doesn't start");
	}
	curl_loop->loop = loop;
	curl_loop->done = done;
	uv_timer_init(loop, &curl_loop->timer);
	curl_loop->timer.data = curl_loop;
	curl_multi_setopt(curl_loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(curl_loop->multi, CURLMOPT_SOCKETDATA, curl_loop);
	curl_multi_setopt(curl_loop->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(curl_loop->multi, CURLMOPT_TIMERDATA, curl_loop);
	*ret = curl_loop;
	return 0;
}

void curl_loop_close(struct curl_loop *curl_loop)
{
	if (!curl_loop)
		return;
	curl_multi_cleanup(curl_loop->multi);
	uv_close((uv_handle_t *)&curl_loop->timer, curl_loop_free);
}
