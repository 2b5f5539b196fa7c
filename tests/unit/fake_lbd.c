/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "fake_lbd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <microhttpd.h>

static ssize_t half_read(void *body, uint64_t position, char *buffer, size_t room)
{
	size_t half = strlen(body) / 2, left = half - position;

	if (!left)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (left > room)
		left = room;
	memcpy(buffer, (char *)body + position, left);
	return left;
}

static enum MHD_Result fake_lbd_answer(void *arg, struct MHD_Connection *connection,
				       const char *url, const char *method, const char *version,
				       const char *upload, size_t *upload_size, void **state)
{
	struct fake_lbd *fake = arg;
	const struct fake_answer *answer;
	struct MHD_Response *response;
	enum MHD_Result result;
	const char *service;

	(void)version;
	(void)upload;
	(void)upload_size;
	if (!*state) { /* the headers alone are read */
		*state = fake;
		return MHD_YES;
	}
	service = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "service");
	pthread_mutex_lock(&fake->lock);
	answer = &fake->answers[fake->nrequests < fake->nanswers ? fake->nrequests
								 : fake->nanswers - 1];
	fake->nrequests++;
	snprintf(fake->method, sizeof(fake->method), "%s", method);
	snprintf(fake->url, sizeof(fake->url), "%s", url);
	snprintf(fake->service, sizeof(fake->service), "%s", service ? service : "");
	pthread_mutex_unlock(&fake->lock);

	if (!answer->status)
		response = MHD_create_response_from_callback(strlen(answer->body), 4096, half_read,
							     (void *)answer->body, NULL);
	else
		response = MHD_create_response_from_buffer(
			strlen(answer->body), (void *)answer->body, MHD_RESPMEM_PERSISTENT);
	result = MHD_queue_response(connection, answer->status ? answer->status : MHD_HTTP_OK,
				    response);
	MHD_destroy_response(response);
	return result;
}

void fake_lbd_listen(struct fake_lbd *fake)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, fake->path);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fake->fd >= 0);
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->fd, 16), 0);
}

void fake_lbd_run(struct fake_lbd *fake)
{
	fake->daemon =
		MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, fake_lbd_answer,
				 fake, MHD_OPTION_LISTEN_SOCKET, fake->fd, MHD_OPTION_END);
	assert_non_null(fake->daemon);
}

/* No file at the path yet. */
int fake_lbd_make(void **state)
{
	struct fake_lbd *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	strcpy(fake->directory, "/tmp/gwt-lbctl-XXXXXX");
	assert_non_null(mkdtemp(fake->directory));
	snprintf(fake->path, sizeof(fake->path), "%s/lbd.sock", fake->directory);
	pthread_mutex_init(&fake->lock, NULL);
	fake->fd = -1;
	setenv("GUIDEWAY_CONTROL", fake->path, 1);
	*state = fake;
	return 0;
}

int fake_lbd_make_running(void **state)
{
	fake_lbd_make(state);
	fake_lbd_listen(*state);
	fake_lbd_run(*state);
	return 0;
}

int fake_lbd_free(void **state)
{
	struct fake_lbd *fake = *state;

	if (fake->daemon)
		MHD_stop_daemon(fake->daemon);
	else if (fake->fd >= 0)
		close(fake->fd);
	unlink(fake->path);
	rmdir(fake->directory);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
	return 0;
}

void fake_lbd_give(struct fake_lbd *fake, const struct fake_answer *answers, size_t n)
{
	pthread_mutex_lock(&fake->lock);
	fake->answers = answers;
	fake->nanswers = n;
	fake->nrequests = 0;
	pthread_mutex_unlock(&fake->lock);
}
