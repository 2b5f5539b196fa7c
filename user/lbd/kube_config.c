/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "kube_config.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"

#define SECRET_MAX_BYTES (1U << 20)

const struct kube_config_places kube_config_pod = {
	.service_account = "/var/run/secrets/kubernetes.io/serviceaccount",
	.kubelet = "/etc/kubernetes/kubelet.conf",
};

/* ---- files ------------------------------------------------------------------ */

/* A whole file, NUL-terminated. */
static int file_read_all(const char *path, char **ret, size_t *ret_size, struct error *error)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	int err = 0;

	if (!file)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	text = malloc(SECRET_MAX_BYTES + 1);
	if (!text) {
		err = error_set(error, -ENOMEM, "%s: no memory", path);
		goto out;
	}
	errno = 0;
	size = fread(text, 1, SECRET_MAX_BYTES + 1, file);
	if (ferror(file))
		err = error_set(error, errno ? -errno : -EIO, "%s: %s", path, strerror(errno));
	else if (size > SECRET_MAX_BYTES)
		err = error_set(error, -EFBIG, "%s: longer than %u bytes", path, SECRET_MAX_BYTES);
out:
	fclose(file);
	if (err) {
		free(text);
		return err;
	}
	text[size] = '\0';
	*ret = text;
	*ret_size = size;
	return 0;
}

static int out_of_memory(struct error *error)
{
	return error_set(error, -ENOMEM, "no memory");
}

static char *path_join(const char *directory, const char *name)
{
	char *path;

	if (*name == '/')
		return strdup(name);
	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* ---- a kubeconfig ------------------------------------------------------------- */

/* A kubeconfig being read. */
struct reader {
	const char *path;
	char *directory; /* relative names are relative to it */
	const struct document *document;
	struct error *error;
};

static int refuse(const struct reader *reader, const json_t *at, const char *what,
		  const char *reason)
{
	unsigned int line = at ? document_line(reader->document, at) : 0;

	if (line)
		return error_set(reader->error, -EINVAL, "%s:%u: %s: %s", reader->path, line, what,
				 reason);
	return error_set(reader->error, -EINVAL, "%s: %s: %s", reader->path, what, reason);
}

/* The member `name` of the list `list`: its object under `key`. */
static int named_find(const struct reader *reader, const json_t *root, const char *list,
		      const char *key, const char *name, const json_t **ret)
{
	const json_t *items = json_object_get(root, list), *item;
	char what[300];
	size_t i;

	json_array_foreach(items, i, item) {
		const char *of = json_string_value(json_object_get(item, "name"));
		const json_t *value = json_object_get(item, key);

		if (!of || strcmp(of, name))
			continue;
		if (!json_is_object(value))
			return refuse(reader, item, key, "not an object");
		*ret = value;
		return 0;
	}
	snprintf(what, sizeof(what), "%s: %s", list, name);
	return refuse(reader, items, what, "there is none of this name");
}

/* A text of an object, duplicated; absent or empty: *ret is left alone. */
static int text_get(const struct reader *reader, const json_t *object, const char *key, char **ret)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return refuse(reader, value, key, "not a text");
	if (!*json_string_value(value))
		return 0;
	*ret = strdup(json_string_value(value));
	return *ret ? 0 : out_of_memory(reader->error);
}

/* KEY-data in base64 counts more than the file that KEY names. */
static int secret_get(const struct reader *reader, const json_t *object, const char *key,
		      struct kube_secret *ret)
{
	char data_key[64], *text = NULL, *name = NULL;
	int err, size;

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	err = text_get(reader, object, data_key, &text);
	if (!err && !text)
		err = text_get(reader, object, key, &name);
	if (!err && text) {
		ret->data = malloc(strlen(text) + 1);
		size = ret->data ? b64_pton(text, (unsigned char *)ret->data, strlen(text)) : 0;
		if (!ret->data)
			err = out_of_memory(reader->error);
		else if (size < 0)
			err = refuse(reader, json_object_get(object, data_key), data_key,
				     "not base64");
		else
			ret->data[ret->size = size] = '\0';
	}
	if (!err && name) {
		ret->path = path_join(reader->directory, name);
		if (!ret->path)
			err = out_of_memory(reader->error);
	}
	free(text);
	free(name);
	return err;
}

static int cluster_read(const struct reader *reader, const json_t *cluster, struct kube_config *ret)
{
	const json_t *server = json_object_get(cluster, "server");
	int err;

	err = text_get(reader, cluster, "server", &ret->server);
	if (!err && !ret->server)
		err = refuse(reader, cluster, "server", "missing");
	if (!err && strncmp(ret->server, "https://", 8) && strncmp(ret->server, "http://", 7))
		err = refuse(reader, server, "server", "not an http or https URL");
	if (!err)
		err = text_get(reader, cluster, "tls-server-name", &ret->tls_server_name);
	if (!err)
		err = secret_get(reader, cluster, "certificate-authority", &ret->ca);
	if (!err)
		ret->insecure = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
	return err;
}

static int user_read(const struct reader *reader, const json_t *user, struct kube_config *ret)
{
	static const char *const unsupported[] = {"exec", "auth-provider", "username"};
	int err;

	for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++) {
		const json_t *value = json_object_get(user, unsupported[i]);

		if (value)
			return refuse(reader, value, unsupported[i],
				      "not supported; use a token or a client certificate");
	}
	err = secret_get(reader, user, "client-certificate", &ret->cert);
	if (!err)
		err = secret_get(reader, user, "client-key", &ret->key);
	if (!err)
		err = text_get(reader, user, "token", &ret->token.data);
	if (!err && !ret->token.data) {
		char *name = NULL;

		err = text_get(reader, user, "tokenFile", &name);
		if (!err && name && !(ret->token.path = path_join(reader->directory, name)))
			err = out_of_memory(reader->error);
		free(name);
	}
	if (!err && (ret->cert.data || ret->cert.path) && !ret->key.data && !ret->key.path)
		err = refuse(reader, user, "client-key", "missing beside client-certificate");
	return err;
}

static int contexts_read(const struct reader *reader, bool with_user, struct kube_config *ret)
{
	const json_t *root = reader->document->root, *context, *cluster, *user;
	const char *current = json_string_value(json_object_get(root, "current-context"));
	const char *cluster_name, *user_name;
	int err;

	if (!json_is_object(root))
		return refuse(reader, root, "kubeconfig", "not an object");
	if (!current || !*current)
		return refuse(reader, json_object_get(root, "current-context"), "current-context",
			      "missing");
	err = named_find(reader, root, "contexts", "context", current, &context);
	if (err)
		return err;
	cluster_name = json_string_value(json_object_get(context, "cluster"));
	user_name = json_string_value(json_object_get(context, "user"));
	if (!cluster_name)
		return refuse(reader, context, "cluster", "missing");
	err = named_find(reader, root, "clusters", "cluster", cluster_name, &cluster);
	if (!err)
		err = cluster_read(reader, cluster, ret);
	if (err || !with_user || !user_name)
		return err;
	err = named_find(reader, root, "users", "user", user_name, &user);
	return err ? err : user_read(reader, user, ret);
}

static int kubeconfig_read(const char *path, bool with_user, struct kube_config *ret,
			   struct error *error)
{
	struct reader reader = {.path = path, .error = error};
	struct documents *documents = NULL;
	const char *slash = strrchr(path, '/');
	char *text = NULL;
	size_t size;
	int err;

	err = file_read_all(path, &text, &size, error);
	if (err)
		return err;
	reader.directory = slash ? strndup(path, slash - path) : strdup(".");
	err = reader.directory ? documents_open(path, text, size, DOCUMENT_YAML, &documents)
			       : -ENOMEM;
	if (!err)
		err = documents_next(documents, &reader.document, error);
	if (err == 0)
		err = error_set(error, -EINVAL, "%s: empty", path);
	else if (err == 1)
		err = contexts_read(&reader, with_user, ret);
	else if (err == -ENOMEM)
		out_of_memory(error);
	documents_close(documents);
	free(reader.directory);
	free(text);
	return err;
}

/* ---- a pod ---------------------------------------------------------------------- */

/* The API's address for those that the cluster's network serves already. */
static int server_from_environment(struct kube_config *ret, struct error *error)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!host || !port)
		return error_set(error, -ENOENT,
				 "--source kubernetes: this is no pod; --kubeconfig or --kube-api "
				 "has to say where the API server is");
	ret->origin = "KUBERNETES_SERVICE_HOST";
	if (asprintf(&ret->server, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
		     port) < 0) {
		ret->server = NULL;
		return out_of_memory(error);
	}
	return 0;
}

/* The kubelet's server, and its CA unless the service account has one. */
static int server_from_kubelet(const char *path, struct kube_config *ret, struct error *error)
{
	struct kube_config kubelet = {0};
	struct error ignored;

	if (kubeconfig_read(path, false, &kubelet, &ignored)) {
		kube_config_clear(&kubelet);
		return server_from_environment(ret, error);
	}
	ret->server = kubelet.server;
	kubelet.server = NULL;
	ret->origin = path;
	kube_config_clear(&kubelet);
	return 0;
}

static int pod_read(const char *api, const struct kube_config_places *places,
		    struct kube_config *ret, struct error *error)
{
	char *token = NULL;
	int err = 0;

	ret->token.path = path_join(places->service_account, "token");
	ret->ca.path = path_join(places->service_account, "ca.crt");
	if (!ret->token.path || !ret->ca.path)
		return out_of_memory(error);
	if (!api)
		err = server_from_kubelet(places->kubelet, ret, error);
	if (!err)
		err = kube_config_token(ret, &token, error);
	free(token);
	return err;
}

/* ---- all of it --------------------------------------------------------------------- */

static int api_set(const char *api, struct kube_config *ret, struct error *error)
{
	if (strncmp(api, "https://", 8) && strncmp(api, "http://", 7))
		return error_set(error, -EINVAL, "--kube-api: %s is not an http or https URL", api);
	free(ret->server);
	ret->server = strdup(api);
	ret->origin = "--kube-api";
	return ret->server ? 0 : out_of_memory(error);
}

int kube_config_read(const char *kubeconfig, const char *api,
		     const struct kube_config_places *places, struct kube_config *ret,
		     struct error *error)
{
	struct kube_config config = {.origin = kubeconfig};
	size_t length;
	int err;

	if (kubeconfig) {
		err = kubeconfig_read(kubeconfig, true, &config, error);
		if (err)
			error_prefix(error, err, "--kubeconfig");
	} else {
		err = pod_read(api, places, &config, error);
	}
	if (!err && api)
		err = api_set(api, &config, error);
	if (err) {
		kube_config_clear(&config);
		return err;
	}
	for (length = strlen(config.server); length && config.server[length - 1] == '/'; length--)
		config.server[length - 1] = '\0';
	*ret = config;
	return 0;
}

static void secret_clear(struct kube_secret *secret)
{
	free(secret->data);
	free(secret->path);
}

void kube_config_clear(struct kube_config *config)
{
	free(config->server);
	free(config->tls_server_name);
	secret_clear(&config->ca);
	secret_clear(&config->cert);
	secret_clear(&config->key);
	secret_clear(&config->token);
	memset(config, 0, sizeof(*config));
}

int kube_config_token(const struct kube_config *config, char **ret, struct error *error)
{
	char *text = NULL;
	size_t size;
	int err;

	if (config->token.data) {
		text = strdup(config->token.data);
		if (!text)
			return out_of_memory(error);
	} else if (config->token.path) {
		err = file_read_all(config->token.path, &text, &size, error);
		if (err)
			return err;
	}
	if (text) {
		text[strcspn(text, "\r\n")] = '\0';
		/* It becomes a header's value. */
		for (const char *c = text; *c; c++) {
			if (*c > ' ' && *c < 0x7f)
				continue;
			err = error_set(error, -EINVAL, "%s: no token",
					config->token.path ?: config->origin);
			free(text);
			return err;
		}
	}
	*ret = text;
	return 0;
}
