/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kube_config.h"

static char directory[] = "/tmp/kube-config-XXXXXX";
static char config_path[64], kubelet_path[64];
static struct kube_config_places places;

static void file_write(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void file_remove(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

#define KUBECONFIG(cluster, user) \
	"apiVersion: v1\nkind: Config\ncurrent-context: me@there\n" \
	"contexts:\n- name: me@there\n  context: {cluster: there, user: me}\n" \
	"clusters:\n- name: other\n  cluster: {server: 'https://no'}\n" \
	"- name: there\n  cluster: {" cluster "}\n" \
	"users:\n- name: me\n  user: {" user "}\n"

static void a_kubeconfig_names_server_ca_and_credentials(void **state)
{
	struct kube_config config;
	struct error error;
	char *token;

	(void)state;
	file_write("config", KUBECONFIG("server: 'https://10.0.0.1:6443/', "
					"certificate-authority-data: aGFsbG8=, "
					"tls-server-name: kubernetes",
					"client-certificate: me.crt, client-key: /abs/me.key, "
					"tokenFile: token"));
	file_write("token", "secret\n");
	assert_int_equal(kube_config_read(config_path, NULL, &places, &config, &error), 0);
	assert_string_equal(config.server, "https://10.0.0.1:6443");
	assert_string_equal(config.tls_server_name, "kubernetes");
	assert_string_equal(config.ca.data, "hallo");
	assert_int_equal(config.ca.size, 5);
	assert_string_equal(config.cert.path + strlen(directory), "/me.crt");
	assert_string_equal(config.key.path, "/abs/me.key");
	assert_false(config.insecure);
	assert_int_equal(kube_config_token(&config, &token, &error), 0);
	assert_string_equal(token, "secret");
	free(token);
	kube_config_clear(&config);

	assert_int_equal(
		kube_config_read(config_path, "http://127.0.0.1:8001", &places, &config, &error),
		0);
	assert_string_equal(config.server, "http://127.0.0.1:8001");
	kube_config_clear(&config);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"", ": empty"},
		{"a: [", ":2: "},
		{"[]", ": kubeconfig: not an object"},
		{"clusters: []\n", ": current-context: missing"},
		{"current-context: x\ncontexts: []\n",
		 ":2: contexts: x: there is none of this name"},
		{KUBECONFIG("", ""), ":11: server: missing"},
		{KUBECONFIG("server: 7", ""), ":11: server: not a text"},
		{KUBECONFIG("server: ftp://x", ""), ":11: server: not an http or https URL"},
		{KUBECONFIG("server: https://x, certificate-authority-data: '%%'", ""),
		 ":11: certificate-authority-data: not base64"},
		{KUBECONFIG("server: https://x", "exec: {command: aws}"),
		 ":14: exec: not supported; use a token or a client certificate"},
		{KUBECONFIG("server: https://x", "client-certificate: x"),
		 ":14: client-key: missing beside client-certificate"},
	};
	struct kube_config config;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		file_write("config", rows[i].text);
		assert_int_equal(kube_config_read(config_path, NULL, &places, &config, &error),
				 -EINVAL);
		if (!strstr(error.text, rows[i].expected))
			assert_string_equal(error.text, rows[i].expected);
		assert_memory_equal(error.text, "--kubeconfig: ", 14);
	}
	file_remove("config");
	assert_int_equal(kube_config_read(config_path, NULL, &places, &config, &error), -ENOENT);
	assert_int_equal(kube_config_read(NULL, "10.0.0.1", &places, &config, &error), -EINVAL);
	assert_string_equal(error.text, "--kube-api: 10.0.0.1 is not an http or https URL");
}

static void a_pod_has_a_service_account_and_asks_the_kubelets_server(void **state)
{
	struct kube_config config;
	struct error error;

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kube_config_read(NULL, NULL, &places, &config, &error), -ENOENT);
	assert_string_equal(error.text, "--source kubernetes: this is no pod; --kubeconfig or "
					"--kube-api has to say where the API server is");
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	file_write("token", "t");
	assert_int_equal(kube_config_read(NULL, NULL, &places, &config, &error), 0);
	assert_string_equal(config.server, "https://[fd00::1]:443");
	kube_config_clear(&config);
	/* Its credentials aren't ours. */
	file_write("kubelet", KUBECONFIG("server: https://10.9.9.9:6443", "token: kubelets"));
	assert_int_equal(kube_config_read(NULL, NULL, &places, &config, &error), 0);
	assert_string_equal(config.server, "https://10.9.9.9:6443");
	assert_null(config.token.data);
	assert_string_equal(config.token.path + strlen(directory), "/token");
	assert_string_equal(config.ca.path + strlen(directory), "/ca.crt");
	kube_config_clear(&config);
	/* A token that can't be a header's value. */
	file_write("token", "a b");
	assert_int_equal(kube_config_read(NULL, NULL, &places, &config, &error), -EINVAL);
	file_remove("token");
	assert_int_equal(kube_config_read(NULL, NULL, &places, &config, &error), -ENOENT);
	assert_non_null(strstr(error.text, "/token: No such file"));
	file_remove("kubelet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kubeconfig_names_server_ca_and_credentials),
		cmocka_unit_test(what_is_wrong_is_named_with_its_line),
		cmocka_unit_test(a_pod_has_a_service_account_and_asks_the_kubelets_server),
	};
	int failed;

	assert_non_null(mkdtemp(directory));
	snprintf(config_path, sizeof(config_path), "%s/config", directory);
	snprintf(kubelet_path, sizeof(kubelet_path), "%s/kubelet", directory);
	places = (struct kube_config_places){.service_account = directory, .kubelet = kubelet_path};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	file_remove("token");
	rmdir(directory);
	return failed;
}
