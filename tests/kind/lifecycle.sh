#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Pods, daemons and nodes come and go under traffic.
. "$(dirname "$0")/lib.sh"

space_create <<'END'
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
outside_url=http://$(node_address "${nodes[-1]}"):31190/

# Requests from outside and from a pod, one after the other, while a command runs:
# LOST counts those without an answer.
under_traffic() { # COMMAND...
	local client status=0
	client=$(client_on "${nodes[0]}")
	rm -f "$work/stop"
	(until [[ -e $work/stop ]]; do
		curl -s -m 5 -o /dev/null -w '%{http_code} %{errormsg}\n' "$outside_url"
	done >"$work/outside") &
	(until [[ -e $work/stop ]]; do
		in_pod "$client" sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do busybox timeout 5 busybox wget -qO- http://$web/ >/dev/null && echo 200 || echo lost; done"
	done >"$work/inside") &
	"$@" || status=$?
	touch "$work/stop"
	wait
	echo "outside: $(sort "$work/outside" | uniq -c | tr '\n' ' ')"
	echo "inside: $(sort "$work/inside" | uniq -c | tr '\n' ' ')"
	((status == 0)) || return $status
	at_least "$(wc -l <"$work/outside")" 50 "requests from outside"
	same "$(grep -vc '^200' "$work/outside" || true)" 0 "lost from outside"
	same "$(grep -vc '^200' "$work/inside" || true)" 0 "lost inside"
}

rolling_restart() {
	kubectl -n kube-system rollout restart daemonset/guideway >/dev/null
	kubectl -n kube-system rollout status daemonset/guideway --timeout=180s
}
check "a rolling update of the DaemonSet costs no request" under_traffic rolling_restart

every_lbd_deleted() {
	local node
	for node in "${nodes[@]}"; do
		kubectl -n kube-system delete "$(lbd_on "$node")" --wait
		kubectl -n kube-system rollout status daemonset/guideway --timeout=60s
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
}
check "without the DaemonSet traffic goes on" traffic_outlives_the_daemonset

uninstalled() {
	kubectl apply -f "$top/k8s/uninstall.yaml" >/dev/null
	kubectl -n kube-system rollout status daemonset/guideway --timeout=120s >/dev/null
	local node pod
	for node in "${nodes[@]}"; do
		pod=$(lbd_on "$node")
		same "$(kubectl -n kube-system exec "$pod" -c done -- /bin/busybox ls /sys/fs/bpf | grep -c guideway)" 0 "pins on $node"
	done
	kubectl delete -f "$top/k8s/uninstall.yaml" --wait >/dev/null
	same "$(outside 1 "$outside_url")" lost
}
check "uninstall.yaml leaves nothing on the nodes" uninstalled

installed_again() {
	kubectl apply -f "$top/k8s/guideway.yaml" >/dev/null
	kubectl -n kube-system rollout status daemonset/guideway --timeout=120s >/dev/null
	settled
	same "$(outside 20 "$outside_url" | grep -c ^web-)" 20
}
check "and guideway.yaml serves again" installed_again

tests_end
