#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# lbctl's commands against a real lbd, and without one.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

json() { # FILTER COMMAND...
	local filter=$1
	shift
	lab lbctl -o json "$@" | jq -c "$filter"
}

a_service_is_described() {
	local text
	text=$(lab lbctl services describe default/web)
	matches "$text" 'ClusterIP 10\.96\.0\.10:80'
	matches "$text" '3 of 3 usable'
	fails_with 1 "lbctl: default/nobody: no such service" lab lbctl services describe default/nobody
	fails_with 2 "lbctl: 'web' is not NS/NAME" lab lbctl services describe web
}

flows_are_listed_and_deleted() {
	local backend total
	flows_hold "$work/held" --tcp --from 21000 --count 30 --interval 200 10.96.0.10 80
	same "$(json '[.flows[] | select(.client_port >= 21000 and .client_port < 21030) | .state] | unique' flows list)" '["established"]'
	same "$(json '.flows | length' flows list --client 10.200.0.100:21003)" 1
	same "$(json '.flows | length' flows list --limit 5)" 5
	at_least "$(json .total flows list --limit 5)" 30 "in all"
	backend=$(json '.flows[0].backend' flows list --client 10.200.0.100:21003 | tr -d '"')
	total=$(json .total flows list --backend "$backend" --service default/web)
	at_least "$total" 1
	flows_end $flows_pid
	lab lbctl flows delete --backend "$backend" >/dev/null
	same "$(json .total flows list --backend "$backend")" 0 "flows left"
	fails_with 2 "lbctl: 'flows delete' needs --service, --backend or --client" lab lbctl flows delete
}

a_ring_tells_what_moved() {
	local moved
	lab scale 4
	moved=$(json '.rings[0].moved' ring show default/web:http)
	at_least "$moved" 255 "slots moved"
	((moved < 400)) || { echo "$moved slots moved" && return 1; }
	same "$(json '.rings[0] | [.size, ([.backends[].slots] | add), (.backends | length)]' ring show default/web)" "[1021,1021,4]"
}

export_is_read_back() {
	mkdir -p "$work/exported"
	lab lbctl export >"$work/exported/all.yaml"
	"$GUIDEWAY_BUILD/lbd" --check --source "file:$work/exported" --node node1 --node-address 10.200.0.1 >"$work/read"
	matches "$(<"$work/read")" 'service default/web:http TCP IPv4 10\.96\.0\.10:80 10\.200\.0\.1:30080 endpoints=4'
	matches "$(<"$work/read")" ' 0 refused'
}

counters_and_differences() {
	at_least "$(json '.services[] | select(.service == "default/web") | .connections_total' stats)" 30 connections
	same "$(json '.changes' diff)" "[]"
}

without_a_daemon_the_maps_answer() {
	lab lbd kill
	matches "$(lab lbctl status 2>/dev/null)" 'not running, stale since 20'
	same "$(json '.backends | length' backends list)" 4
	same "$(json '.services[0].service' services list)" '"default/web"'
	same "$(json '.rings[0].size' ring show default/web)" 1021
	matches "$(lab lbctl backends list 2>&1 >/dev/null)" 'no daemon answers on .*: this is what the maps hold'
	fails lab lbctl export 2>/dev/null
	lab lbd start
}

on_a_terminal() { # ENVIRONMENT LBCTL-ARGUMENT...
	local environment=$1
	shift
	script -qec "env $environment $top/lab/lab lbctl $*" /dev/null </dev/null | tr -d '\r'
}

colours_are_for_terminals() {
	local plain coloured escape=$'\e'
	plain=$(lab lbctl backends list)
	fails grep -q "$escape" <<<"$plain"
	coloured=$(on_a_terminal TERM=xterm backends list)
	matches "$coloured" "^$escape\[1mSERVICE$escape\[0m "
	matches "$coloured" " $escape\[32mactive$escape\[0m "
	# They take no room.
	same "$(sed "s/$escape\[[0-9]*m//g" <<<"$coloured")" "$plain"
	matches "$(on_a_terminal TERM=xterm services describe default/web)" "$escape\[32mactive"
	same "$(on_a_terminal 'TERM=xterm NO_COLOR=1' backends list)" "$plain"
	same "$(on_a_terminal TERM=dumb backends list)" "$plain"
	fails grep -q "$escape" <<<"$(on_a_terminal TERM=xterm backends list -o json)"
}

lab up --replicas 3 >/dev/null
check "a Service is described, and a wrong name told" a_service_is_described
check "flows are listed by place, cut, deleted" flows_are_listed_and_deleted
check "a ring says who has what, and what the last change moved" a_ring_tells_what_moved
check "what is exported is read back" export_is_read_back
check "counters, and no difference between source and maps" counters_and_differences
check "colours are for terminals that want them" colours_are_for_terminals
check "without a daemon the maps answer" without_a_daemon_the_maps_answer
tests_end
