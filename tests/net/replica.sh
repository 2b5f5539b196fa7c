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
	replica --grace 30000 >"$work/log" 2>&1 &
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
	same "$(status_of -H 'Transfer-Encoding: chunked' -d x "$url/")" 405
	same "$(status_of -H "Long: $(head -c 20000 /dev/zero | tr '\0' x)" "$url/")" 431
	same "$(status_of "$url/$(head -c 20000 /dev/zero | tr '\0' x)")" 414
	same "$(status_of -H 'Host:' "$url/")" 400
}

# Each line of stdin is a request, for printf %b: prints the first line of its answer,
# "closed" or, after 20 s, "silent".
raw_requests() {
	inside bash -c '
		trap "" PIPE
		while IFS= read -r request; do
			exec 3<>/dev/tcp/127.0.0.1/5000
			printf %b "$request" >&3
			status=0 line=
			IFS= read -t 20 -r line <&3 || status=$?
			((status <= 128)) || line=silent
			echo "${line:-closed}"
			exec 3<&- 3>&-
		done' | tr -d '\r'
}

# Nobody gets what was asked for, whatever is made of the rest, and all of it ends.
broken_requests_are_refused() {
	local answer n=0
	raw_requests >"$work/answers" <<-'END'
		GET\r\n\r\n
		GET /info\r\n\r\n\r\n
		GET  /info HTTP/1.1\r\n\r\n
		/info HTTP/1.1\r\nHost: a\r\n\r\n
		GET /info HTTP/9.9\r\nHost: a\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n
		GET /info HTTP/1.1\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\nb
		GET /info HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nbb
		GET /info HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nb
		GET /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\nb
		GET /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nb\r\n0\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nb\r\n0\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nb\r\n0\r\n\r\n
		GET /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nbbbb\r\n0\r\n\r\n
		DELETE /info HTTP/1.1\r\nHost: a\r\n\r\n
		NOSUCHMETHOD /info HTTP/1.1\r\nHost: a\r\n\r\n
		OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n
		\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n
		\x00\x00\x00\x00\r\n\r\n
	END
	while IFS= read -r answer; do
		n=$((n + 1))
		matches "$answer" '^(HTTP/1\.[01] (4[0-9][0-9]|505) |closed$)' || { echo "request $n" && return 1; }
	done <"$work/answers"
	same $n 24 "answers"
	health_says_healthy
}

# A byte now and then: neither a first line nor a request may take 10 s.
slow_clients_are_hung_up_on() {
	inside bash -c '
		drip() { # WHAT-COMES-FIRST
			local start=$SECONDS
			exec 3<>/dev/tcp/127.0.0.1/5000
			printf "%b" "$1" >&3
			while ((SECONDS - start < 30)); do
				printf x >&3 2>/dev/null || break
				IFS= read -t 0.5 -r _ <&3
				(($? > 128)) || break
			done
			echo $((SECONDS - start < 30))
		}
		trap "" PIPE
		drip "" & drip "GET /info HTTP/1.1\r\nHost: " & drip "POST /info HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n" &
		wait' >"$work/slow" 2>/dev/null &
	local slow=$!
	sleep 1
	health_says_healthy # meanwhile
	wait $slow
	same "$(sort -u "$work/slow")" 1 "hung up in time"
	same "$(wc -l <"$work/slow")" 3 "slow clients"
}

an_unknown_app_is_refused() {
	local output status=0
	output=$(replica --app nosuch 2>&1) || status=$?
	same "$status" 2
	same "$output" "replica: --app nosuch: no such application, known: info sale hello coinflip"
}

what_is_no_number_is_refused() {
	local value
	for value in 0 65536 -1 x 5000x ""; do
		fails_with 2 "replica: --port $value: not a port" replica --port "$value"
	done
	for value in -1 x 1s ""; do
		fails_with 2 "replica: --grace $value: not a time in milliseconds" replica --grace "$value"
	done
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

# A client that has said half of its request, while replica is told to end.
half_a_request() {
	inside bash -c '
		exec 3<>/dev/tcp/127.0.0.1/5000
		printf "GET /info HTTP/1.1\r\nHost: a\r\n" >&3
		echo said
		read -r _
		printf "\r\n" >&3
		head -n 1 <&3'
}

# And connections on which a request comes every 50 ms.
a_drain_ends_connections_in_order() {
	become "$tools/flows" --tcp --keep --interval 50 --from 20000 --count 100 127.0.0.1 5000 >"$work/held" &
	local held=$! half
	eventually 20 grep -q '^ready' "$work/held"
	mkfifo "$work/go"
	half_a_request <"$work/go" >"$work/half" &
	half=$!
	exec {go}>"$work/go"
	eventually 10 grep -q said "$work/half"
	kill -TERM "$pid"
	eventually 10 same "$(status_of "$url/health")" 503
	same "$(get "$url/health")" '{"status":"terminating","pod":"web-7d4b9c6f5d-x2k9q"}'
	same "$(status_of "$url/info")" 200
	echo >&"$go"
	wait $half
	same "$(tail -n 1 "$work/half" | tr -d '\r')" "HTTP/1.1 200 OK"
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
check "connections are kept, after an error, too" connections_are_kept
check "broken requests are answered 4xx, or closed" broken_requests_are_refused
check "who sends a byte now and then is hung up on, and holds nobody up" slow_clients_are_hung_up_on
check "an unknown application is refused in one line" an_unknown_app_is_refused
check "a port or a time that is none is refused in one line" what_is_no_number_is_refused
check "a port that is taken is told in one line" a_taken_port_is_told
check "5000 connections are held at once" many_connections_at_once
check "after SIGTERM health says 503, requests are finished, connections end in order" a_drain_ends_connections_in_order
status=0
wait "$pid" || status=$?
check "after SIGTERM it exits 0" same $status 0
tests_end
