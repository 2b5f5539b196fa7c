#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# replica alone: what it answers, and how it ends.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

own_space_create replica

become() { # COMMAND...: for the background, where $! has to be the command's pid
	exec nsenter --net=/run/netns/$own_space "$@"
}

replica() {
	become env HOSTNAME=host POD_NAME=web-7d4b9c6f5d-x2k9q POD_IP=10.244.1.2 NODE_NAME=node1 \
		"$GUIDEWAY_BUILD/replica" "$@"
}

get() {
	inside curl -sS --max-time 5 "$@"
}

url=http://127.0.0.1:5000

start() {
	replica >"$work/log" 2>&1 &
	pid=$!
	eventually 5 get -o /dev/null "$url/health" 2>/dev/null
}

status_of() {
	get -o /dev/null -w '%{http_code}' "$@"
}

health_says_healthy() {
	same "$(get "$url/health")" '{"status":"healthy","pod":"web-7d4b9c6f5d-x2k9q"}'
}

info_names_the_pod() {
	local info
	info=$(get "$url/info")
	matches "$info" '^\{"hostname":"host","node_name":"node1","pod_ip":"10\.244\.1\.2","pod_name":"web-7d4b9c6f5d-x2k9q","replica_id":"web-7d4b9c6f5d-x2k9q","timestamp":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}"\}$'
}

root_logs_a_line() {
	local stamp
	stamp=$(get "$url/" | jq -r .timestamp)
	same "$(tail -n 1 "$work/log")" "[$stamp] Request received by web-7d4b9c6f5d-x2k9q (Replica 7d4b9c6f5d-x2k9q)"
}

other_paths_log_nothing() {
	local before
	before=$(wc -l <"$work/log")
	get "$url/info" "$url/health" "$url/nosuch" >/dev/null
	same "$(wc -l <"$work/log")" "$before"
}

head_has_headers_alone() {
	same "$(get -I "$url/health" | tr -d '\r' | grep -i '^content-length')" "Content-Length: 49"
	same "$(get -X HEAD -I "$url/health" -o /dev/null -w '%{size_download}')" 0
}

connections_are_kept() { # also after an error and after a body that was refused
	same "$(get -o /dev/null -w '%{num_connects}' "$url/info" "$url/nosuch" -d body "$url/" -o /dev/null -o /dev/null)" 100
}

wrong_requests_get_4xx() {
	head -c 100000 /dev/zero >"$work/big"
	same "$(status_of "$url/nosuch")" 404
	same "$(status_of -d x "$url/")" 405
	same "$(status_of -X DELETE "$url/info")" 405
	same "$(status_of --data-binary "@$work/big" "$url/")" 413
	same "$(status_of -H 'Transfer-Encoding: chunked' -d x "$url/")" 411
	same "$(status_of -H "Long: $(head -c 20000 /dev/zero | tr '\0' x)" "$url/")" 431
	same "$(status_of "$url/$(head -c 20000 /dev/zero | tr '\0' x)")" 414
	same "$(status_of -H 'Host:' "$url/")" 400
}

an_unknown_app_is_refused() {
	local output status=0
	output=$(replica --app nosuch 2>&1) || status=$?
	same "$status" 2
	same "$output" "replica: --app nosuch: no such application, known: info sale hello coinflip"
}

a_taken_port_is_told() {
	local output status=0
	output=$(replica 2>&1) || status=$?
	same "$status" 1
	same "$output" "replica: port 5000: Address already in use"
}

many_connections_at_once() {
	become "$tools/flows" --tcp --keep --interval 1000 --timeout 10000 --from 10000 --count 5000 127.0.0.1 5000 >"$work/many" &
	local many=$!
	eventually 20 grep -q '^ready' "$work/many"
	flows_end $many
	same "$(flows_number "$work/many" total failed)" 0
	same "$(flows_number "$work/many" total broken)" 0
}

# A connection on which a request comes every 50 ms while replica is told to end.
a_drain_ends_connections_in_order() {
	become "$tools/flows" --tcp --keep --interval 50 --from 20000 --count 100 127.0.0.1 5000 >"$work/held" &
	local held=$!
	eventually 20 grep -q '^ready' "$work/held"
	kill -TERM "$pid"
	same "$(status_of "$url/health")" 503
	same "$(get "$url/health")" '{"status":"terminating","pod":"web-7d4b9c6f5d-x2k9q"}'
	same "$(status_of "$url/info")" 200
	eventually 5 process_ended "$pid"
	flows_end $held
	same "$(flows_number "$work/held" total closed)" 100
	same "$(flows_number "$work/held" total broken)" 0
}

start
check "GET /health says healthy" health_says_healthy
check "GET /info names the pod, in compact JSON" info_names_the_pod
check "GET / logs one line with the timestamp of its answer" root_logs_a_line
check "other paths log nothing" other_paths_log_nothing
check "HEAD answers with the headers of GET, and no body" head_has_headers_alone
check "it listens on IPv6, too" get -o /dev/null "http://[::1]:5000/info"
check "wrong requests get the 4xx that fits" wrong_requests_get_4xx
check "an unknown application is refused in one line" an_unknown_app_is_refused
check "a port that is taken is told in one line" a_taken_port_is_told
check "5000 connections are held at once" many_connections_at_once
check "after SIGTERM health says 503, requests are answered, connections end in order" a_drain_ends_connections_in_order
status=0
wait "$pid" || status=$?
check "after SIGTERM it exits 0" same $status 0
tests_end
