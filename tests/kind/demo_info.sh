#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# k8s/demo/info.yaml on a cluster, with a tutorial's commands.
. "$(dirname "$0")/lib.sh"

space_create
client_apply
demo_apply info
ready deployment/info daemonset/client
settled
client=$(client_on "${nodes[0]}")
url=http://$(service_address info)

everybody_answers() {
	local pods
	mapfile -t pods < <(pods_of app=info)
	same ${#pods[@]} 5 pods
	answers 100 "$client" "$url/info" | share 5 "${pods[@]}"
}
check "five replicas share a hundred requests" everybody_answers

they_say_who_they_are() {
	local answer pod
	answer=$(in_pod "$client" wget -qO- "$url/info")
	pod=$(jq -r .pod_name <<<"$answer")
	same "$(jq -r '.pod_ip + " " + .node_name' <<<"$answer")" \
		"$(in_space get pod "$pod" -o jsonpath='{.status.podIP} {.spec.nodeName}')"
}
check "they say who they are, by the downward API" they_say_who_they_are

affinity() { # None|ClientIP
	in_space patch service info -p "{\"spec\":{\"sessionAffinity\":\"$1\"}}"
	settled
}

affinity_is_switched() {
	local node
	affinity ClientIP
	for node in "${nodes[@]}"; do
		same "$(answers 20 "$(client_on "$node")" "$url/info" | different)" 1 "pods that answered a client on $node"
	done
	affinity None
	at_least "$(answers 40 "$client" "$url/info" | different)" 3 "pods that answered"
}
check "with sessionAffinity a client stays with its pod, without it it doesn't" affinity_is_switched

a_pod_is_deleted() {
	traffic_begin "$client" "$url/info"
	in_space delete pod "$(pods_of app=info | head -n 1)"
	ready deployment/info
	traffic_end
	everybody_answers
}
check "a pod is deleted and replaced, and no request is lost" a_pod_is_deleted

the_sale() {
	local pods
	traffic_begin "$client" "$url/info"
	in_space scale deployment info --replicas=10
	ready deployment/info
	settled
	mapfile -t pods < <(pods_of app=info)
	same ${#pods[@]} 10 pods
	answers 200 "$client" "$url/info" | share 5 "${pods[@]}"
	in_space scale deployment info --replicas=5
	eventually 20 has_pods 5
	traffic_end
}

has_pods() { # NUMBER
	same "$(in_space get pods -l app=info --no-headers | wc -l)" "$1" pods >/dev/null
}
check "scaled to ten and back, everybody has a share and no request is lost" the_sale

logs_tell() {
	local pods pod
	mapfile -t pods < <(pods_of app=info)
	answers 100 "$client" "$url/" >/dev/null
	in_space logs -l app=info --prefix --tail=-1 >"$work/logs"
	for pod in "${pods[@]}"; do
		grep -q "pod/$pod/" "$work/logs" || { echo "no line of $pod" && return 1; }
	done
}
check "kubectl logs -l has a line of each" logs_tell

forwarded() {
	kubectl -n "$space" port-forward service/info 18080:80 >"$work/forward" &
	local forward=$! status=0
	eventually 10 curl -sf -o "$work/answer" http://127.0.0.1:18080/info || status=$?
	kill $forward
	((status == 0)) || return $status
	matches "$(jq -r .pod_name "$work/answer")" "^info-"
}
check "kubectl port-forward reaches a pod of the Service" forwarded

# The node of a pod; where pods may go afterwards is the scheduler's.
a_node_is_drained() {
	local node status=0
	node=$(in_space get pods -l app=info -o jsonpath='{.items[0].spec.nodeName}')
	traffic_begin "$client" "$url/info"
	kubectl drain "$node" --ignore-daemonsets --pod-selector=app=info --timeout=60s || status=$?
	ready deployment/info
	traffic_end || status=$?
	same "$(pods_of app=info "$node")" "" "pods on $node" || status=$?
	kubectl uncordon "$node"
	((status == 0)) || return $status
	everybody_answers
}
check "a node is drained, and no request is lost" a_node_is_drained

tests_end
