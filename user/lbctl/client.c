/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* 10,000 backends are 3.5 MB, so that many bytes aren't lbd's. */
#define ANSWER_MAX_BYTES (64U << 20)
#define READ_BYTES (512L << 10) /* at once; the most that curl takes */

struct client {
	const char *control;
	CURL *curl;
	char *body; /* of the answer to the request that runs */
	size_t length, room;
	bool too_long;
};

static size_t body_write(char *data, size_t size, size_t n, void *arg)
{
	struct client *client = arg;
	size_t bytes = size * n;

	if (bytes > ANSWER_MAX_BYTES - client->length) {
		client->too_long = true;
		return 0;
	}
	if (client->length + bytes > client->room) {
		size_t room = (client->length + bytes) * 2;
		char *grown = realloc(client->body, room);

		if (!grown)
			return 0;
		client->body = grown;
		client->room = room;
	}
	memcpy(client->body + client->length, data, bytes);
	client->length += bytes;
	return bytes;
}

int client_open(const char *control, struct client **ret, struct error *error)
{
	struct client *client = calloc(1, sizeof(*client));

	/* NOTHING: without TLS, which costs milliseconds and isn't needed. */
	if (!client || curl_global_init(CURL_GLOBAL_NOTHING) || !(client->curl = curl_easy_init()))
		goto no_memory;
	client->control = control;
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, body_write);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(client->curl, CURLOPT_BUFFERSIZE, READ_BYTES);
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	/* http_proxy of the environment isn't meant for a local socket. */
	curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
	if (curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, control))
		goto no_memory;
	*ret = client;
	return 0;

no_memory:
	client_close(client);
	return error_set(error, -ENOMEM, "out of memory");
}

void client_close(struct client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	curl_global_cleanup();
	free(client->body);
	free(client);
}

static int transfer_error(const struct client *client, CURLcode code, unsigned int timeout_ms,
			  struct error *error)
{
	long os_errno = 0;

	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &os_errno);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		if (os_errno == EACCES || os_errno == EPERM)
			return error_set(error, -EACCES, "%s: %s (are you root?)", client->control,
					 strerror((int)os_errno));
		return error_set(error, -ENOENT, "no daemon answers on %s (is lbd running?)",
				 client->control);
	case CURLE_OPERATION_TIMEDOUT:
		return error_set(error, -ETIMEDOUT, "the daemon on %s did not answer within %g s",
				 client->control, timeout_ms / 1000.0);
	case CURLE_OUT_OF_MEMORY:
		return error_set(error, -ENOMEM, "out of memory");
	case CURLE_WRITE_ERROR:
		if (client->too_long)
			return error_set(error, -EPROTO, "the daemon's answer exceeds %u MiB",
					 ANSWER_MAX_BYTES >> 20);
		return error_set(error, -ENOMEM, "out of memory");
	default:
		return error_set(error, -EPROTO, "the daemon on %s broke off its answer (%s)",
				 client->control, curl_easy_strerror(code));
	}
}

/* What the daemon refused: its own words, if they are as the API says. */
static int refusal_error(const struct client *client, long status, struct error *error)
{
	int err = status == 503 ? -EAGAIN : -EREMOTEIO;
	struct answer *answer = NULL;
	const char *text = "";

	if (!answer_parse(client->body, client->length, &answer, error))
		text = value_get_text(answer_root(answer), "error");
	if (*text)
		error_set(error, err, "%s", text);
	else
		error_set(error, err, "the daemon answers HTTP %ld", status);
	answer_free(answer);
	return err;
}

static int client_request(struct client *client, const char *method, const char *path,
			  unsigned int timeout_ms, struct answer **ret, struct error *error)
{
	char url[512];
	long status = 0;
	CURLcode code;

	if ((size_t)snprintf(url, sizeof(url), "http://lbd%s", path) >= sizeof(url))
		return error_set(error, -EREMOTEIO, "%s: too long", path);
	client->length = 0;
	client->too_long = false;
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, "");
	} else {
		curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
	}

	code = curl_easy_perform(client->curl);
	if (code)
		return transfer_error(client, code, timeout_ms, error);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return refusal_error(client, status, error);
	return answer_parse(client->body, client->length, ret, error);
}

int client_get(struct client *client, const char *path, struct answer **ret, struct error *error)
{
	return client_request(client, "GET", path, CLIENT_GET_TIMEOUT_MS, ret, error);
}

int client_post(struct client *client, const char *path, unsigned int timeout_ms,
		struct answer **ret, struct error *error)
{
	return client_request(client, "POST", path, timeout_ms, ret, error);
}
