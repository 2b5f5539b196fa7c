#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Pods, daemons and nodes come and go under traffic.
. "$(dirname "$0")/lib.sh"

space_create
web_apply
client_apply
apply <<'END'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31190}]
END
ready deployment/web daemonset/client
settled
web=$(service_address web)
outside=$(node_address "${nodes[-1]}")
outside_url=http://$outside:31190/

# Load while a command runs: 100 connections from outside that stay, each with ten
# requests a second; new ones, 16 at a time; and a pod's by the ClusterIP, one after
# the other.
under_traffic() { # COMMAND...
	local status=0 kept
	rm -f "$work/stop"
	"$tools/flows" --tcp --keep --interval 100 --timeout 5000 --from 10000 --count 100 "$(bare "$outside")" 31190 >"$work/kept" &
	kept=$!
	(until [[ -e $work/stop ]]; do
		"$tools/flows" --tcp --timeout 5000 --from 11000 --count 500 --parallel 16 "$(bare "$outside")" 31190
		sleep 0.1
	done >"$work/outside") &
	traffic_begin "$(client_on "${nodes[0]}")" "http://$web/"
	eventually 20 grep -q '^ready' "$work/kept"
	"$@" || status=$?
	touch "$work/stop"
	kill -TERM $kept
	traffic_end
	tell "kept: $(grep '^total' "$work/kept")"
	tell "new: $(total flows) flows, $(total failed) failed, $(total broken) broken"
	((status == 0)) || return $status
	same "$(flows_number "$work/kept" total flows)" 100
	same "$(flows_number "$work/kept" total broken)" 0 "kept connections that broke"
	same "$(flows_number "$work/kept" total moved)" 0 "kept connections that moved"
	at_least "$(total flows)" 5000 "new connections"
	same "$(total failed)" 0 "new connections without an answer"
	same "$(total broken)" 0 "new connections that broke"
}

# The sum over all reports of new connections.
total() { # FIELD
	flows_number "$work/outside" total "$1" | awk '{ n += $1 } END { print n + 0 }'
}

rolling_restart() {
	kubectl -n kube-system rollout restart daemonset/guideway >/dev/null
	guideway_ready
}
check "a rolling update of the DaemonSet costs no request" under_traffic rolling_restart

every_lbd_deleted() {
	local node
	for node in "${nodes[@]}"; do
		kubectl -n kube-system delete "$(lbd_on "$node")" --wait
		guideway_ready
	done
}
check "nor does the end of each node's lbd" under_traffic every_lbd_deleted

scaled() {
	local n
	for n in 8 2 6 4; do
		in_space scale deployment/web --replicas=$n
		ready deployment/web
	done
	sleep 4 # the last ones that leave
}
check "scaling up and down costs no request" under_traffic scaled

rolled_out() {
	in_space rollout restart deployment/web
	ready deployment/web
	sleep 4
}
check "nor does a rollout of the application" under_traffic rolled_out

killed_pods_are_replaced() {
	local pod
	for pod in $(pods_of app=web); do
		in_space delete pod "$pod" --wait=false
	done
	ready deployment/web
	settled
	same "$(answers 40 "$(client_on "${nodes[0]}")" "http://$web/" | different)" 4
}
check "pods that are deleted are replaced, and the new ones answer" killed_pods_are_replaced

traffic_outlives_the_daemonset() {
	kubectl delete -f "$top/k8s/guideway.yaml" --wait >/dev/null
	same "$(outside 20 "$outside_url" | grep -c ^web-)" 20
	same "$(answers 20 "$(client_on "${nodes[0]}")" "http://$web/" | grep -c ^web-)" 20
	on_node "${nodes[0]}" curl -s -m 2 -o /dev/null "http://$web/"
}
check "without the DaemonSet traffic goes on" traffic_outlives_the_daemonset

uninstalled() {
	kubectl apply -f "$top/k8s/uninstall.yaml" >/dev/null
	guideway_ready >/dev/null
	local node pod
	for node in "${nodes[@]}"; do
		pod=$(lbd_on "$node")
		same "$(kubectl -n kube-system exec "$pod" -c done -- /bin/busybox find /sys/fs/bpf -name 'guideway*')" "" "pins on $node"
		fails on_node "$node" curl -s -m 2 -o /dev/null "http://$web/"
		same "$(on_node "$node" tc filter show dev eth0 ingress)" ""
		fails matches "$(on_node "$node" ip link show eth0)" xdp
	done
	kubectl delete -f "$top/k8s/uninstall.yaml" --wait >/dev/null
	same "$(outside 1 "$outside_url")" lost
}
check "uninstall.yaml leaves nothing on the nodes" uninstalled

installed_again() {
	guideway_apply >/dev/null
	same "$(outside 20 "$outside_url" | grep -c ^web-)" 20
}
check "and guideway.yaml serves again" installed_again

tests_end
