# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What the tests on a real cluster share: a namespace of the file's own, clients
# in it and words to talk with them.  KUBECONFIG names a cluster where Guideway
# runs and kube-proxy doesn't (make check-kind sees to it).
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

version=$(<"$top/VERSION")
space=guideway-test-$(basename "$0" .sh)
mapfile -t nodes < <(kubectl get nodes -o name | sed 's#node/##')

exec 3>&1

# Tell what was measured, even where a check goes well.
tell() {
	echo "# $*" >&3
}

at_exit() {
	((BASHPID == $$)) || return 0
	trap '' INT TERM
	kubectl delete namespace "$space" --wait=false >/dev/null 2>&1 || true
	rm -rf "$work"
}

in_space() { # KUBECTL ARGS...
	kubectl -n "$space" "$@"
}

# Those whom the tests ask, and those that ask: Deployment web, spread over the nodes, and
# DaemonSet client.
web_and_client() {
	cat <<'END'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: replica:VERSION
        imagePullPolicy: IfNotPresent
        ports: [{name: http, containerPort: 5000}]
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
        # What is on its way to the pod arrives before it stops.
        lifecycle: {preStop: {sleep: {seconds: 3}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: client}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata: {labels: {app: client}}
    spec:
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
      - {name: client, image: guideway:VERSION, imagePullPolicy: IfNotPresent, command: [/bin/busybox, sleep, infinity]}
---
END
}

# A namespace with web, client and the objects of stdin; VERSION in them is the images'.
space_create() {
	kubectl delete namespace "$space" --ignore-not-found >/dev/null
	kubectl create namespace "$space" >/dev/null
	{ web_and_client && cat; } | sed "s/VERSION/$version/" | in_space apply -f - >/dev/null
}

ready() { # KIND/NAME...
	local what
	for what; do
		in_space rollout status "$what" --timeout=120s >/dev/null
	done
}

# A process of the node itself: kind's nodes are containers.
on_node() { # NODE CMD...
	docker exec "$@"
}

node_address() { # NODE [FAMILY]
	kubectl get node "$1" -o json |
		jq -r '.status.addresses[] | select(.type == "InternalIP") | .address' |
		if [[ ${2-4} = 6 ]]; then grep :; else grep -v :; fi | head -n 1
}

service_address() { # SERVICE
	in_space get service "$1" -o jsonpath='{.spec.clusterIP}'
}

pods_of() { # LABEL [NODE]
	in_space get pods -l "$1" ${2:+--field-selector "spec.nodeName=$2"} \
		-o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\n"}{end}'
}

# The client on a node: a pod of its own, or one on the node's network.
client_on() { # NODE [LABEL]
	pods_of "app=${2-client}" "$1" | head -n 1
}

in_pod() { # POD CMD...
	local pod=$1
	shift
	in_space exec "$pod" -- /bin/busybox "$@"
}

# Who answered each of N requests, by name.
answers() { # N POD URL
	in_pod "$2" sh -c "for i in \$(busybox seq $1); do busybox timeout 2 busybox wget -qO- $3 || echo lost; echo; done" |
		sed -n 's/.*"pod_name":"\([^"]*\)".*/\1/p; /^lost/p'
}

# From outside of the cluster.
outside() { # N URL
	local i
	for ((i = 0; i < $1; i++)); do
		curl -s -m 2 "$2" || echo lost
		echo
	done | sed -n 's/.*"pod_name":"\([^"]*\)".*/\1/p; /^lost/p'
}

different() { # counts different lines of stdin
	sort -u | grep -c .
}

lbd_on() { # NODE
	kubectl -n kube-system get pods -l app.kubernetes.io/name=guideway --field-selector "spec.nodeName=$1" -o name | head -n 1
}

lbctl_on() { # NODE ARGS...
	local pod
	pod=$(lbd_on "$1")
	shift
	kubectl -n kube-system exec "$pod" -c lbd -- /usr/bin/lbctl "$@"
}

# Everything that the API server has by now is in every node's maps.
settled() {
	local node
	for node in "${nodes[@]}"; do
		lbctl_on "$node" wait --timeout 30
	done
}
