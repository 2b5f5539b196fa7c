#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# The lab itself: its pods behave as a ReplicaSet's, and it cleans up.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

pods_are_ready() { # N
	same "$(lab pods | awk '$2 == "1/1" && $3 == "Running"' | wc -l)" "$1" "ready pods"
	same "$(pods | wc -l)" "$1" "pods"
}

names_look_like_kubernetes() {
	local pod
	for pod in $(pods); do
		matches "$pod" '^web-[bcdfghjklmnpqrstvwxz2456789]{10}-[bcdfghjklmnpqrstvwxz2456789]{5}$'
	done
}

# What an endpoint's conditions were, while a pod was deleted.
a_deleted_pod_terminates_first() {
	local victim seen
	victim=$(pods | head -n 1)
	while :; do
		grep -hB 2 "name: $victim," "$GUIDEWAY_LAB_DIR/manifests/web-ipv4.yaml" | grep -o 'conditions: .*' || echo gone
		sleep 0.005
	done >"$work/conditions" 2>/dev/null &
	local watcher=$!
	lab kill "$victim"
	kill $watcher
	wait $watcher 2>/dev/null || true
	seen=$(uniq "$work/conditions")
	same "$seen" "conditions: {ready: true, serving: true, terminating: false}
conditions: {ready: false, serving: true, terminating: true}
gone"
	same "$(pods | grep -c "$victim")" 0
	pods_are_ready 2
}

a_pod_is_published_before_it_is_ready() {
	while sleep 0.002; do
		grep -h 'conditions: .*' "$GUIDEWAY_LAB_DIR/manifests/web-ipv4.yaml" | tail -n 1
	done >"$work/conditions" 2>/dev/null &
	local watcher=$!
	lab scale 3
	kill $watcher
	wait $watcher 2>/dev/null || true
	grep -q 'ready: false, serving: false, terminating: false' "$work/conditions"
	same "$(tail -n 1 "$work/conditions")" "  conditions: {ready: true, serving: true, terminating: false}"
}

# A prompt comes behind it; a program gets what was said, and no more.
answers_end_their_line_on_a_terminal() {
	local url=http://10.96.0.10/health
	same "$(script -qec "$top/lab/lab curl $url $url" /dev/null </dev/null | wc -l)" 2 lines
	same "$(lab curl $url | wc -l)" 0 "ends of lines"
}

the_youngest_goes_first() {
	local before
	before=$(pods | head -n 2)
	lab scale 2
	same "$(pods)" "$before"
}

a_forced_kill_replaces_the_pod() {
	local victim
	victim=$(pods | head -n 1)
	lab kill --force "$victim"
	same "$(pods | grep -c "$victim")" 0
	pods_are_ready 2
}

a_pod_knows_who_it_is() {
	local pod
	pod=$(pods | head -n 1)
	same "$(lab exec "$pod" printenv HOSTNAME)" "$pod"
	same "$(lab exec "$pod" printenv POD_NAME)" "$pod"
	same "$(lab exec "$pod" printenv POD_IP)" "$(pod_address "$pod" 4)"
	same "$(lab exec "$pod" printenv NODE_NAME)" node1
	lab curl "http://$(pod_address "$pod" 4):5000/" >/dev/null
	matches "$(lab logs "$pod")" "Request received by $pod"
}

what_is_applied_can_be_deleted() {
	expose extra 4 10.96.0.60 web/TCP/80/5000 "$(pods | head -n 1)"
	lab curl http://10.96.0.60/ >/dev/null
	lab delete -f "$work/extra.yaml"
	fails lab curl --max-time 1 http://10.96.0.60/
	same "$(lab lbctl services list -o name | grep -c extra)" 0
	fails_with 1 "lab: $work/extra.yaml: was never applied" lab delete -f "$work/extra.yaml"
}

stdin_can_be_applied_and_deleted() {
	expose extra 4 10.96.0.60 web/TCP/80/5000 "$(pods | head -n 1)"
	lab delete -f "$work/extra.yaml"
	lab apply -f - <"$work/extra.yaml"
	lab curl http://10.96.0.60/ >/dev/null
	lab delete -f -
	fails lab curl --max-time 1 http://10.96.0.60/
}

an_interrupted_scale_is_mended_by_the_next() {
	local t
	for t in 0.1 0.2 0.4; do
		timeout -s INT "$t" "$top/lab/lab" scale 12 || true
		lab scale 3
		same "$(pods | wc -l)" 3
	done
}

zero_replicas_are_an_empty_slice() {
	lab scale 0
	same "$(pods)" ""
	same "$(ls "$GUIDEWAY_LAB_DIR/pods")" ""
}

# STATUS, what is told, and how the lab was called.
wrong_use_is_told() {
	local status told arguments
	while IFS='|' read -r status told arguments; do
		# shellcheck disable=SC2086 # words
		fails_with "$status" "lab: $told" lab $arguments
	done <<-'END'
		2|up: nosuch: unknown option|up nosuch
		2|--nodes: its value is missing|up --nodes
		2|--replicas 201: not a number from 0 to 200|up --replicas 201
		2|up --app nosuch: no such application, known: info sale hello coinflip none|up --app nosuch
		2|scale: how many pods?|scale
		2|scale many: not a number from 0 to 200|scale many
		1|scale: nosuch: no such workload; known: web|scale 1 nosuch
		2|kill: which pod or node?|kill
		1|nosuch: no such pod; `lab pods` lists them|kill nosuch
		1|node1: the only node can't be killed|kill node1
		2|pods: unexpected nosuch|pods nosuch
		2|curl: which URL?|curl
		2|exec: where, and what?|exec client
		1|nosuch: no such pod or node|exec nosuch true
		2|logs: which pod?|logs
		1|nosuch: no such pod; `lab pods` lists them|logs nosuch
		2|apply: -f FILE|apply nosuch.yaml
		1|/nosuch.yaml: can't read it|apply -f /nosuch.yaml
		2|delete: -f FILE|delete
		1|/nosuch.yaml: was never applied|delete -f /nosuch.yaml
		2|lbd: start, stop or kill?|lbd
		1|node9: no such node|lbd start node9
		2|down: unexpected nosuch|down nosuch
		2|nosuch: unknown command; `lab help` lists them|nosuch
	END
}

traces() {
	find "$GUIDEWAY_LAB_DIR" /run/netns/"$lab_name"-* -maxdepth 0 2>/dev/null || true
	grep "$lab_name" /proc/self/mounts || true
	find "$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)" -maxdepth 1 -name "$lab_name*"
}

down_leaves_nothing() {
	lab down
	same "$(traces)" ""
}

# timeout sends SIGINT to the whole process group, as a terminal does.
interrupted_up_leaves_nothing() { # SECONDS
	local status=0
	timeout -s INT "$1" env --default-signal=INT "$top/lab/lab" up --replicas 5 || status=$?
	same $status 124 "exit status of timeout"
	same "$(traces)" ""
}

a_killed_up_is_told_and_removed() {
	setsid "$top/lab/lab" up --replicas 5 >/dev/null 2>&1 &
	local up=$!
	eventually 10 test -d "$GUIDEWAY_LAB_DIR/node1"
	kill -9 -- -$up # with its child
	wait $up 2>/dev/null || true
	fails_with 1 "lab: a lab that ended badly left things behind; \`lab down\` removes them" lab up
	lab down
	same "$(traces)" ""
}

check "lab up brings pods that are ready" lab up --replicas 2
check "they are all there" pods_are_ready 2
check "their names look like a ReplicaSet's" names_look_like_kubernetes
check "a second lab says that there is one" \
	fails_with 1 "lab: a lab is up already; \`lab down\` ends it" lab up
check "a pod has its own name, address, node and log" a_pod_knows_who_it_is
check "curl's answers end their line on a terminal" answers_end_their_line_on_a_terminal
check "a new pod is published at once, and ready once it answers" a_pod_is_published_before_it_is_ready
check "scaling down takes the youngest" the_youngest_goes_first
check "a deleted pod is terminating, then gone, then replaced" a_deleted_pod_terminates_first
check "a pod killed by force is replaced" a_forced_kill_replaces_the_pod
check "a manifest can be applied and deleted" what_is_applied_can_be_deleted
check "a manifest can come from stdin" stdin_can_be_applied_and_deleted
check "an interrupted scale is mended by the next" an_interrupted_scale_is_mended_by_the_next
check "no replicas are an empty slice" zero_replicas_are_an_empty_slice
check "wrong use is told in one line" wrong_use_is_told
check "lab down leaves nothing behind" down_leaves_nothing
check "no lab is told" fails_with 1 "lab: no lab is up; \`lab up\` starts one" lab pods
check "Ctrl-C at once leaves nothing behind" interrupted_up_leaves_nothing 0.05
check "Ctrl-C among the pods leaves nothing behind" interrupted_up_leaves_nothing 0.3
check "a lab killed halfway is told, and lab down removes it" a_killed_up_is_told_and_removed
tests_end
