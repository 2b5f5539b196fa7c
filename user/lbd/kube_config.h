/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Where the API server is and how to be let in.
 *
 *	--kubeconfig FILE	server, CA and credentials of its current context
 *	in a cluster		the service account's token and CA, which rotate: their
 *				files are read again, not kept
 *	--kube-api URL		another address of the same server
 *
 * In a cluster the API's own ClusterIP can't be relied on, since it is us who
 * serve it.  Unless --kube-api names an address, the node's kubelet knows one:
 * its kubeconfig gives server and CA, never credentials.
 */
#ifndef GW_KUBE_CONFIG_H
#define GW_KUBE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* A text in memory, or the name of a file that holds it; both NULL = unset. */
struct kube_secret {
	char *data;
	size_t size;
	char *path;
};

struct kube_config {
	char *server; /* URL without a slash at the end */
	char *tls_server_name;
	bool insecure; /* no check of the server's certificate */
	struct kube_secret ca, cert, key, token;
	const char *origin; /* what it was read from, for messages */
};

/* Files of a pod; changed by tests. */
struct kube_config_places {
	const char *service_account; /* directory */
	const char *kubelet;	     /* the kubelet's kubeconfig */
};
extern const struct kube_config_places kube_config_pod;

/*
 * kubeconfig and api may be NULL.  Returns 0, -EINVAL with "FILE:LINE: reason"
 * or the option at fault, -ENOENT where this is no pod and nothing is named, or
 * the -errno of a file.  Credentials of exec plugins aren't supported, and said
 * so.
 */
int kube_config_read(const char *kubeconfig, const char *api,
		     const struct kube_config_places *places, struct kube_config *ret,
		     struct error *error);
void kube_config_clear(struct kube_config *config);

/* The token of now, malloc'ed and NUL-terminated; *ret is NULL where there is
 * none. */
int kube_config_token(const struct kube_config *config, char **ret, struct error *error);

#endif
