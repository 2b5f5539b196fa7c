/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "kube_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "curl_loop.h"

#define CONNECT_TIMEOUT_S 10
/* Found dead after 15 + 4 * 5 s; what was sent is acknowledged within 30. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define USER_TIMEOUT_MS 30000

struct kube_request {
	struct kube_client *client;
	struct kube_request_events events;
	CURL *curl;
	struct curl_slist *headers, *connect_to;
	CURLU *url; /* where it isn't a plain text */
	char failure[CURL_ERROR_SIZE];
	LIST_ENTRY(kube_request) link;
};

struct kube_client {
	const struct kube_config *config;
	struct curl_loop *curl;
	LIST_HEAD(, kube_request) requests;
};

/* ---- the end of a request ----------------------------------------------------- */

static void request_free(struct kube_request *request)
{
	LIST_REMOVE(request, link);
	curl_loop_remove(request->client->curl, request->curl);
	curl_easy_cleanup(request->curl);
	curl_slist_free_all(request->headers);
	curl_slist_free_all(request->connect_to);
	curl_url_cleanup(request->url);
	free(request);
}

static void request_done(void *private, CURLcode code)
{
	struct kube_request *request = private;
	struct kube_request_events events = request->events;
	struct kube_result result = {.complete = code == CURLE_OK};
	curl_off_t retry_after = 0;

	curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &result.status);
	curl_easy_getinfo(request->curl, CURLINFO_RETRY_AFTER, &retry_after);
	result.retry_after_s = retry_after > 0 && retry_after < 3600 ? retry_after : 0;
	if (code != CURLE_OK)
		snprintf(result.failure, sizeof(result.failure), "%s",
			 *request->failure ? request->failure : curl_easy_strerror(code));
	request_free(request);
	events.done(events.arg, &result);
}

/* ---- requests -------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct kube_request *request = arg;
	long status = 0;

	curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) /* the status says it all */
		return size * n;
	return request->events.data(request->events.arg, bytes, size * n) ? 0 : size * n;
}

/* Called for each header, and for the empty line behind them. */
static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct kube_request *request = arg;
	long status = 0;

	if (size * n != 2 || memcmp(bytes, "\r\n", 2))
		return size * n;
	curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		request->events.began(request->events.arg);
	return size * n;
}

static int on_connect(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int timeout_ms = USER_TIMEOUT_MS;

	(void)arg;
	if (purpose == CURLSOCKTYPE_IPCXN)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

static void secret_set(CURL *curl, const struct kube_secret *secret, CURLoption blob_option,
		       CURLoption path_option)
{
	struct curl_blob blob = {
		.data = secret->data, .len = secret->size, .flags = CURL_BLOB_NOCOPY};

	if (secret->data)
		curl_easy_setopt(curl, blob_option, &blob);
	else if (secret->path)
		curl_easy_setopt(curl, path_option, secret->path);
}

static int headers_set(struct kube_request *request, struct error *error)
{
	struct curl_slist *headers;
	char *token = NULL, *line = NULL;
	int err;

	request->headers = curl_slist_append(NULL, "Accept: application/json");
	if (!request->headers)
		return error_set(error, -ENOMEM, "no memory");
	err = kube_config_token(request->client->config, &token, error);
	if (!err && token) {
		if (asprintf(&line, "Authorization: Bearer %s", token) < 0)
			line = NULL;
		headers = line ? curl_slist_append(request->headers, line) : NULL;
		if (headers)
			request->headers = headers;
		else
			err = error_set(error, -ENOMEM, "no memory");
	}
	free(line);
	free(token);
	return err;
}

/*
 * The URL.  Where the certificate has another name than the address, the URL
 * has that name, and the connection goes to the address all the same.
 */
static int url_set(struct kube_request *request, const char *path)
{
	const struct kube_config *config = request->client->config;
	char *host = NULL, *port = NULL, *text = NULL;
	CURLU *url = curl_url();
	int err = -ENOMEM;

	if (!url || asprintf(&text, "%s%s", config->server, path) < 0) {
		text = NULL;
		goto out;
	}
	err = -EINVAL;
	if (!config->tls_server_name) {
		if (!curl_easy_setopt(request->curl, CURLOPT_URL, text))
			err = 0;
		goto out;
	}
	if (curl_url_set(url, CURLUPART_URL, text, 0) ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
	    curl_url_set(url, CURLUPART_HOST, config->tls_server_name, 0))
		goto out;
	free(text);
	if (asprintf(&text, "::%s:%s", host, port) < 0) {
		text = NULL;
		goto out;
	}
	request->connect_to = curl_slist_append(NULL, text);
	request->url = url; /* libcurl keeps the pointer */
	url = NULL;
	if (request->connect_to && !curl_easy_setopt(request->curl, CURLOPT_CURLU, request->url) &&
	    !curl_easy_setopt(request->curl, CURLOPT_CONNECT_TO, request->connect_to))
		err = 0;
out:
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	free(text);
	return err;
}

static void options_set(struct kube_request *request, unsigned int silence_s)
{
	const struct kube_config *config = request->client->config;
	CURL *curl = request->curl;

	curl_easy_setopt(curl, CURLOPT_PRIVATE, request);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, request->failure);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "lbd/" LB_VERSION);
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, request);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_connect);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)silence_s);
	/* One connection a request: a watch that has stalled stops no other. */
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (config->insecure) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	secret_set(curl, &config->ca, CURLOPT_CAINFO_BLOB, CURLOPT_CAINFO);
	secret_set(curl, &config->cert, CURLOPT_SSLCERT_BLOB, CURLOPT_SSLCERT);
	secret_set(curl, &config->key, CURLOPT_SSLKEY_BLOB, CURLOPT_SSLKEY);
}

int kube_client_get(struct kube_client *client, const char *path, unsigned int silence_s,
		    const struct kube_request_events *events, struct kube_request **ret,
		    struct error *error)
{
	struct kube_request *request = calloc(1, sizeof(*request));
	int err;

	if (!request)
		return error_set(error, -ENOMEM, "no memory");
	request->client = client;
	request->events = *events;
	LIST_INSERT_HEAD(&client->requests, request, link);
	request->curl = curl_easy_init();
	err = request->curl ? headers_set(request, error) : error_set(error, -ENOMEM, "no memory");
	if (!err && url_set(request, path))
		err = error_set(error, -EINVAL, "%s: no URL", client->config->server);
	if (!err) {
		options_set(request, silence_s);
		if (curl_loop_add(client->curl, request->curl))
			err = error_set(error, -ENOMEM, "libcurl refuses a request");
	}
	if (err) {
		request_free(request);
		return err;
	}
	*ret = request;
	return 0;
}

void kube_request_cancel(struct kube_request *request)
{
	if (request)
		request_free(request);
}

char *kube_client_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0), *copy;

	copy = escaped ? strdup(escaped) : NULL;
	curl_free(escaped);
	return copy;
}

/* ---- life ------------------------------------------------------------------------- */

int kube_client_open(uv_loop_t *loop, const struct kube_config *config, struct kube_client **ret,
		     struct error *error)
{
	struct kube_client *client = calloc(1, sizeof(*client));
	int err;

	if (!client)
		return error_set(error, -ENOMEM, "no memory");
	client->config = config;
	LIST_INIT(&client->requests);
	err = curl_loop_open(loop, request_done, &client->curl, error);
	if (err) {
		free(client);
		return err;
	}
	*ret = client;
	return 0;
}

void kube_client_close(struct kube_client *client)
{
	if (!client)
		return;
	while (!LIST_EMPTY(&client->requests))
		request_free(LIST_FIRST(&client->requests));
	curl_loop_close(client->curl);
	free(client);
}
