#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Who is picked, with real connections: session affinity on and off, backends in
# turn, traffic policies.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

one_client_has_one_pod() {
	service sticky 10.96.0.50 "" "sessionAffinity: ClientIP, externalIPs: [10.97.0.50]"
	ip -n "$lab_name-client" route replace 10.97.0.0/16 via 10.200.0.1
	same "$({ answers http://10.96.0.50/info 8; answers http://10.97.0.50/info 4; } | distinct)" 1 "pods"
}

off_again_flows_spread() {
	service sticky 10.96.0.50 "" "sessionAffinity: None"
	at_least "$(answers http://10.96.0.50/info 30 | distinct)" 3 "pods"
}

it_survives_a_restart() {
	local before
	service sticky 10.96.0.50 "" "sessionAffinity: ClientIP"
	before=$(answers http://10.96.0.50/info 1)
	lab lbd kill
	same "$(answers http://10.96.0.50/info 3 | sort -u)" "$before" "without lbd"
	lab lbd start
	same "$(answers http://10.96.0.50/info 3 | sort -u)" "$before" "after a restart"
}

they_take_turns() {
	local first second
	service turns 10.96.0.51 "guideway.io/scheduler: round-robin" "type: ClusterIP"
	first=$(answers http://10.96.0.51/info 5)
	second=$(answers http://10.96.0.51/info 5)
	same "$(distinct <<<"$first")" 5 "pods in five requests"
	same "$second" "$first" "the second round"
}

weights_count_in_turns() {
	local heavy
	heavy=$(pods | head -n 1)
	service turns 10.96.0.51 "guideway.io/scheduler: round-robin, guideway.io/weights: '{\"$heavy\": 400}'" "type: ClusterIP"
	same "$(answers http://10.96.0.51/info 16 | grep -cx "$heavy")" 8 "of 16"
}

local_policy_serves_those_who_are_here() {
	service here 10.96.0.52 "" "internalTrafficPolicy: Local"
	at_least "$(answers http://10.96.0.52/info 20 | distinct)" 3 "pods"
}

local_policy_drops_in_silence_where_none_is() {
	local status=0
	slice_node=elsewhere service away 10.96.0.53 "" "internalTrafficPolicy: Local"
	client curl -s --noproxy '*' --max-time 2 http://10.96.0.53/info || status=$?
	same "$status" 28 "curl's exit status (28: no answer in time)"
	at_least "$(status_json | jq .packets.no_local_internal)" 1 "counted"
}

nonsense_is_told_and_changes_nothing() {
	matches "$(service turns 10.96.0.51 "guideway.io/scheduler: roundrobin" "type: ClusterIP" 2>&1 || true)" \
		'guideway.io/scheduler: "roundrobin" is not maglev or round-robin'
	same "$(answers http://10.96.0.51/info 16 | distinct)" 5 "pods"
}

lab up --replicas 5 >/dev/null
check "with affinity a client has one pod, by every address of the Service" one_client_has_one_pod
check "switched off, its flows spread" off_again_flows_spread
check "affinity outlives lbd" it_survives_a_restart
check "round-robin: five backends take turns, in the same order each time" they_take_turns
check "round-robin: a weight of four means four turns" weights_count_in_turns
check "a Local policy serves whoever is here" local_policy_serves_those_who_are_here
check "a Local policy drops in silence where nobody is" local_policy_drops_in_silence_where_none_is
check "an unknown scheduler is told, and the last good state stays" nonsense_is_told_and_changes_nothing
tests_end
