#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The API server goes away for a minute, and comes back; an lbd is killed meanwhile.
# Nothing here goes through it as long as it is away: load comes from outside and from
# processes of the nodes.
. "$(dirname "$0")/lib.sh"

control_plane=$(kubectl get nodes -l node-role.kubernetes.io/control-plane -o jsonpath='{.items[0].metadata.name}')
manifests=/etc/kubernetes/manifests

cluster_restore() {
	api_start
}

api_answers() {
	kubectl get --raw /readyz --request-timeout=2s >/dev/null 2>&1
}

api_silent() {
	! api_answers
}

# A static pod: the kubelet follows the file.
api_stop() {
	on_node "$control_plane" mv $manifests/kube-apiserver.yaml /etc/kubernetes/kube-apiserver.stopped
	eventually 60 api_silent
}

api_start() {
	on_node "$control_plane" sh -c "[ ! -e /etc/kubernetes/kube-apiserver.stopped ] ||
		mv /etc/kubernetes/kube-apiserver.stopped $manifests/kube-apiserver.yaml"
	eventually 120 api_answers
}

space_create
web_apply
apply <<'END'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31150}]
---
# Of addresses that nobody has.
apiVersion: v1
kind: Service
metadata: {name: slice}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: slice, labels: {kubernetes.io/service-name: slice}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.250.0.1], conditions: {ready: true}}, {addresses: [10.250.0.2], conditions: {ready: true}}]
END
ready deployment/web
settled
web=$(service_address web)
outside=$(bare "$(node_address "${nodes[-1]}")")

load_begin() {
	local node
	rm -f "$work/stop"
	"$tools/flows" --tcp --keep --interval 100 --timeout 5000 --from 10000 --count 50 "$outside" 31150 >"$work/kept" &
	kept=$!
	(until [[ -e $work/stop ]]; do
		"$tools/flows" --tcp --timeout 5000 --from 11000 --count 100 --parallel 8 "$outside" 31150
		sleep 0.2
	done >"$work/new") &
	for node in "${nodes[@]}"; do
		(until [[ -e $work/stop ]]; do
			on_node "$node" curl -s -m 5 -o /dev/null -w '%{http_code}\n' "http://$web/" || true
			sleep 0.2
		done >"$work/of-$node") &
	done
	eventually 20 grep -q '^ready' "$work/kept"
}

load_end() {
	local node
	touch "$work/stop"
	kill -TERM "$kept"
	wait
	tell "kept: $(grep '^total' "$work/kept")"
	tell "new: $(sed -n 's/^total flows \([0-9]*\).* failed \([0-9]*\)$/\1 \2/p' "$work/new" | awk '{ n += $1; f += $2 } END { print n " flows, " f " failed" }')"
	same "$(flows_number "$work/kept" total broken)" 0 "kept connections that broke"
	same "$(flows_number "$work/kept" total moved)" 0 "kept connections that moved"
	fails grep -E '^total .*(broken [1-9]|failed [1-9])' "$work/new"
	for node in "${nodes[@]}"; do
		tell "processes of $node: $(sort "$work/of-$node" | uniq -c | tr -s ' \n' ' ')"
		at_least "$(wc -l <"$work/of-$node")" 50 "requests of $node"
		fails grep -v 200 "$work/of-$node"
	done
}

lbd_is_killed() { # NODE
	local pid now
	pid=$(on_node "$1" pidof lbd)
	on_node "$1" kill -9 "$pid"
	for ((i = 0; i < 300; i++)); do
		now=$(on_node "$1" pidof lbd || true)
		[[ -z $now || $now = "$pid" ]] || return 0
		sleep 0.2
	done
	echo "no lbd came in $pid's place" && return 1
}

# Those of Service slice that get new flows.
serving() { # NODE
	on_node "$1" curl -s http://127.0.0.1:9095/metrics >"$work/metrics"
	sed -n 's/^guideway_backend_up{.*service="slice".*backend="\([0-9.]*\):8080"} 1$/\1/p' "$work/metrics" | sort | paste -sd ' '
}

serves() { # NODE ADDRESSES
	same "$(serving "$1")" "$2"
}

away_for_a_minute() {
	local node begin
	load_begin
	api_stop
	lbd_is_killed "${nodes[-1]}"
	sleep 60
	begin=${EPOCHREALTIME/./}
	api_start
	tell "the API server answers again after $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
	begin=${EPOCHREALTIME/./}
	in_space patch endpointslice slice --type=json -p '[{"op":"remove","path":"/endpoints/0"}]'
	for node in "${nodes[@]}"; do
		eventually 30 serves "$node" 10.250.0.2 >/dev/null
		tell "the endpoint that went then is gone on $node after $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
	done
	load_end
}

for node in "${nodes[@]}"; do
	check "both endpoints of the slice serve on $node" serves "$node" "10.250.0.1 10.250.0.2"
done
check "the API server is away for a minute, an lbd dies: no request is lost, and no endpoint is stale afterwards" away_for_a_minute

all_is_well() {
	guideway_ready
	settled
	in_space scale deployment web --replicas=6
	ready deployment/web
	settled
	at_least "$(outside 80 "http://$(node_address "${nodes[-1]}"):31150/" | different)" 6 "pods that answered"
}
check "and pods that come then are served" all_is_well

tests_end
