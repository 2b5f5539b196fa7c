#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# An lbd that has heard nothing of its API server yet keeps going what the one
# before it left: as it is, but with the devices and neighbours of now.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

place=$GUIDEWAY_LAB_DIR/node1
url=http://10.96.0.10/

unheard_start() {
	cat >"$work/kubeconfig" <<-END
		{current-context: a, contexts: [{name: a, context: {cluster: a}}],
		 clusters: [{name: a, cluster: {server: "http://127.0.0.1:1"}}]}
	END
	nsenter --net="/run/netns/$lab_name-node1" "$GUIDEWAY_BUILD/lbd" --source kubernetes \
		--kubeconfig "$work/kubeconfig" --node node1 --device eth0 --node-address 10.200.0.1 \
		--socket-lb off --bpffs "$place/bpf/guideway" --control "$place/lbd.sock" --listen off \
		>"$work/lbd.log" 2>&1 &
	unheard_pid=$!
	eventually 20 grep -q 'waiting for' "$work/lbd.log" || cat "$work/lbd.log"
}

unheard_stop() {
	kill $unheard_pid
	wait $unheard_pid
}

both_answer() {
	same "$(answers $url 30 | distinct)" 2 "pods that answer"
}

maps_are_as_before() {
	same "$(backends_of_maps)" "$before"
}

# Who is there, next hops and counters apart.
backends_of_maps() {
	bpftool -j map dump pinned "$place/bpf/guideway/"v*/maps/frontends4 | md5sum
}

a_pod_changes_its_mac() {
	local pod
	pod=$(pods | head -n 1)
	lab exec "$pod" ip link set eth0 address 02:00:00:00:be:ef
	lab exec "$pod" ip neigh flush all
	# The pod has to speak before the node can know; nobody listens there.
	fails lab exec "$pod" curl -s --max-time 2 http://10.200.0.1:1/
	eventually 10 both_answer
}

status_says_so() {
	lab lbctl status >"$work/status" || true
	grep 'kubernetes (waiting)' "$work/status"
}

serves_again() {
	lab lbd start
	lab lbctl wait
	both_answer
}

lab up --replicas 2
lab lbctl wait
check "the service answers" both_answer
before=$(backends_of_maps)
lab lbd stop
unheard_start
check "without an API server nothing is taken away" maps_are_as_before
check "and the service answers" both_answer
check "a pod that has another MAC is found" a_pod_changes_its_mac
check "status says what is waited for" status_says_so
check "still nothing is taken away" maps_are_as_before
unheard_stop
check "the next lbd goes on from there" serves_again

tests_end
