# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What the tests on a real cluster share: a namespace of the file's own, clients
# in it and words to talk with them.  KUBECONFIG names a cluster where Guideway
# runs and kube-proxy doesn't (make check-kind sees to it).
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

version=$(<"$top/VERSION")
space=guideway-test-$(basename "$0" .sh | tr _ -)
mapfile -t nodes < <(kubectl get nodes -o name | sed 's#node/##')
# 4, 6, or both: the cluster's families, its first one first.
mapfile -t families < <(kubectl get node "${nodes[0]}" -o json |
	jq -r '[.spec.podCIDRs[] | if contains(":") then 6 else 4 end] | .[]')
family=${families[0]}

exec 3>&1

# Tell what was measured, even where a check goes well.
tell() {
	echo "# $*" >&3
}

# Put back what a file has changed of the cluster beyond its namespace: for those that do.
cluster_restore() {
	:
}

at_exit() {
	((BASHPID == $$)) || return 0
	trap '' INT TERM
	cluster_restore >/dev/null 2>&1 || true
	kubectl delete namespace "$space" --wait=false >/dev/null 2>&1 || true
	rm -rf "$work"
}

in_space() { # KUBECTL ARGS...
	kubectl -n "$space" "$@"
}

# Whom the tests ask: Deployment web, spread over the nodes.
web_apply() {
	apply <<'END'
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
END
}

# Who asks: a pod on each node, on a network of its own or the node's.
client_apply() { # [NAME [HOST-NETWORK]]
	local name=${1-client}
	apply <<END
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: $name}
spec:
  selector: {matchLabels: {app: $name}}
  template:
    metadata: {labels: {app: $name}}
    spec:
      hostNetwork: ${2-false}
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
      - {name: client, image: guideway:VERSION, imagePullPolicy: IfNotPresent, command: [/bin/busybox, sleep, infinity]}
END
}

space_create() {
	kubectl delete namespace "$space" --ignore-not-found >/dev/null
	kubectl create namespace "$space" >/dev/null
}

# The objects of stdin, with those of the images that VERSION says.
apply() {
	sed "s/VERSION/$version/" | in_space apply -f - >/dev/null
}

# An application of k8s/demo in the file's own namespace.  Node ports are the cluster's, and
# somebody may have the application in another namespace: 30081 is 31081 here.
demo_apply() { # NAME
	sed 's/nodePort: 30/nodePort: 31/' "$top/k8s/demo/$1.yaml" | in_space apply -f - >/dev/null
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

# Addresses are those of $family, as URLs have them: IPv6 in brackets.
address_of_family() {
	if [[ $family = 6 ]]; then sed -n 's/.*:.*/[&]/p'; else grep -v :; fi | head -n 1
}

node_address() { # NODE
	kubectl get node "$1" -o json |
		jq -r '.status.addresses[] | select(.type == "InternalIP") | .address' | address_of_family
}

service_address() { # SERVICE
	in_space get service "$1" -o json | jq -r '.spec.clusterIPs[]' | address_of_family
}

bare() { # ADDRESS: without brackets
	tr -d '[]' <<<"$1"
}

# Those that run and aren't about to end.
pods_of() { # LABEL [NODE]
	in_space get pods -l "$1" -o json | jq -r --arg node "${2-}" '.items[] |
		select(.status.phase == "Running" and .metadata.deletionTimestamp == null) |
		select($node == "" or .spec.nodeName == $node) | .metadata.name'
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

# Each pod's name is among at least MINIMUM lines of stdin; `share 5 web-1 web-2`.
share() { # MINIMUM POD...
	local minimum=$1 lines pod
	shift
	lines=$(cat)
	for pod; do
		at_least "$(grep -cx "$pod" <<<"$lines")" "$minimum" "answers of $pod"
	done
}

# Requests of a pod, some dozens a second and each a connection, until traffic_end, which
# fails where one had no answer.
traffic_begin() { # POD URL
	traffic_pod=$1
	in_pod "$1" rm -f /tmp/traffic-ends
	in_pod "$1" sh -c "while [ ! -e /tmp/traffic-ends ]; do busybox timeout 5 busybox wget -qO- $2 >/dev/null && echo 200 || echo lost; busybox usleep 10000; done" \
		>"$work/traffic" &
	eventually 20 grep -q 200 "$work/traffic"
}

traffic_end() {
	in_pod "$traffic_pod" touch /tmp/traffic-ends
	wait
	tell "requests of a pod: $(sort "$work/traffic" | uniq -c | tr -s ' \n' ' ')"
	at_least "$(wc -l <"$work/traffic")" 20 "requests of a pod"
	same "$(grep -c lost "$work/traffic" || true)" 0 "requests of a pod without an answer"
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

guideway_ready() {
	kubectl -n kube-system rollout status daemonset/guideway --timeout=120s
}

# As the tests want it, whatever it was before.
guideway_apply() {
	kubectl apply -f "$top/k8s/guideway.yaml"
	guideway_ready
	settled
}

# Everything that the API server has by now is in every node's maps.
settled() {
	local node
	for node in "${nodes[@]}"; do
		lbctl_on "$node" wait --timeout 30
	done
}
