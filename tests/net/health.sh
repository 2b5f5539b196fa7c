#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Who gets no new flows though Kubernetes says ready: backends that fail a health
# check, and those that an operator drains.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

field() { # FIELD ADDRESS [SERVICE]
	lab lbctl -o json backends list --service "default/${3-checked}" |
		jq -r --arg field "$1" --arg address "$2" '.backends[] | select(.address == $address) | .[$field]'
}

field_is() { # FIELD ADDRESS VALUE [SERVICE]
	[[ $(field "$1" "$2" "${4-checked}") = "$3" ]]
}

replica_of() { # POD: its pid
	ip netns pids "$lab_name-$1" | while read -r pid; do
		[[ $(cat "/proc/$pid/comm" 2>/dev/null) = replica ]] && echo "$pid"
	done
}

answered_by() { # URL COUNT POD: how often
	answers "$1" "$2" | grep -cx "$3" || true
}

all_are_found_up() {
	local pod
	service checked 10.96.0.50 "guideway.io/health-check: http:/health" ""
	for pod in $(pods); do eventually 10 field_is health "$(pod_address "$pod" 4)" up; done
	same "$(lab lbctl -o json backends list --service default/web | jq -r '.backends[].health' | sort -u)" off
}

# It accepts connections and says nothing: a TCP check would find nothing wrong.
who_hangs_goes_down() {
	kill -STOP "$(replica_of "$hung")"
	eventually 20 field_is health "$hung_address" down
	same "$(field slots "$hung_address")" 0 "slots"
	same "$(answered_by http://10.96.0.50/info 12 "$hung")" 0 "answers of it"
	same "$(answers http://10.96.0.50/info 12 | distinct)" 2 "pods that answer"
	lab lbctl backends list --service default/checked | grep -q "$hung_address:5000 *down"
	at_least "$(grep -c "backend is down backend=$hung_address:5000 health=up->down" "$GUIDEWAY_LAB_DIR/node1/lbd.log")" 1 "lines in the log"
}

it_stays_down_over_a_restart() {
	lab lbd kill
	lab lbd start
	same "$(field slots "$hung_address")" 0 "slots"
	same "$(answered_by http://10.96.0.50/info 6 "$hung")" 0 "answers of it"
}

it_comes_back() {
	kill -CONT "$(replica_of "$hung")"
	eventually 20 field_is health "$hung_address" up
	at_least "$(field slots "$hung_address")" 300 "slots"
}

all_down_is_refused() {
	local pod status=0
	for pod in $(pods); do kill -STOP "$(replica_of "$pod")"; done
	for pod in $(pods); do eventually 20 field_is health "$(pod_address "$pod" 4)" down; done
	client curl -s --noproxy '*' --max-time 3 http://10.96.0.50/info || status=$?
	same $status 7 "curl's exit status (7: refused)"
	at_least "$(status_json | jq .packets.all_unhealthy)" 1 "counted"
	for pod in $(pods); do kill -CONT "$(replica_of "$pod")"; done
	for pod in $(pods); do eventually 20 field_is health "$(pod_address "$pod" 4)" up; done
	same "$(answers http://10.96.0.50/info 3 | grep -c .)" 3 "answers"
}

drained_gets_no_new_flows_and_keeps_the_old() {
	flows_hold "$work/held" --tcp --from 20000 --count 60 --interval 100 10.96.0.10 80
	same "$(lab lbctl backends drain "$drained_address")" "backend/$drained_address drained"
	same "$(field slots "$drained_address" web)" 0 "slots of web"
	same "$(field slots "$drained_address")" 0 "slots of checked"
	same "$(field state "$drained_address" web)" draining
	same "$(answered_by http://10.96.0.10/info 20 "$drained")" 0 "answers of it"
	at_least "$(field flows "$drained_address" web)" 10 "flows there"
	fails_with 1 "lbctl: $drained_address is drained, and $(field flows "$drained_address" web) flows are left after 1 s" \
		lab lbctl backends drain "$drained_address" --wait --timeout 1
	flows_end $flows_pid
	same "$(flows_number "$work/held" total broken)" 0 "broken"
	same "$(flows_number "$work/held" total moved)" 0 "moved"
}

drain_outlives_lbd() {
	lab lbd kill
	lab lbd start
	same "$(field state "$drained_address" web)" draining
	same "$(answered_by http://10.96.0.10/info 10 "$drained")" 0 "answers of it"
}

undrained_gets_flows_again() {
	fails_with 1 "lbctl: $drained_address:5000 is drained with all of its address: undrain that" \
		lab lbctl backends undrain "$drained_address:5000"
	same "$(lab lbctl backends undrain "$drained_address")" "backend/$drained_address undrained"
	same "$(field state "$drained_address" web)" active
	at_least "$(field slots "$drained_address" web)" 300 "slots"
}

who_takes_the_address_is_not_drained() {
	lab lbctl backends drain "$drained_address:5000" >/dev/null
	lab kill "$drained"
	eventually 10 fails_quietly field state "$drained_address" web
	same "$(lab lbctl -o json backends list --service default/web | jq -r '.backends[].state' | sort -u)" active
}

fails_quietly() { # COMMAND...: or says nothing
	[[ -z $("$@" 2>/dev/null) ]]
}

nonsense_is_told() {
	fails_with 2 "lbctl: 'web' is not ADDR[:PORT]" lab lbctl backends drain web
	fails_with 1 "lbctl: 192.0.2.9: no backend has this address" lab lbctl backends drain 192.0.2.9
	fails_with 2 "lbctl: 'backends drain' needs ADDR[:PORT]" lab lbctl backends drain
}

lab up --replicas 3 -- --health-interval 200 --health-fall 2 >/dev/null
hung=$(pods | head -n 1)
hung_address=$(pod_address "$hung" 4)
drained=$(pods | tail -n 1)
drained_address=$(pod_address "$drained" 4)
check "who answers is up, and a Service without the annotation isn't checked" all_are_found_up
check "a pod that hangs goes down and gets no new flows" who_hangs_goes_down
check "a restarted lbd doesn't send flows to it first" it_stays_down_over_a_restart
check "it comes back" it_comes_back
check "where all are down clients are refused, and it is counted" all_down_is_refused
check "a drained backend gets no new flows in any service and keeps those it has" drained_gets_no_new_flows_and_keeps_the_old
check "a drain outlives lbd" drain_outlives_lbd
check "undrained, it gets flows again" undrained_gets_flows_again
check "a drain ends with the pod" who_takes_the_address_is_not_drained
check "what can't be drained is told" nonsense_is_told
tests_end
