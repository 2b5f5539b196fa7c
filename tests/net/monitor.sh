#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# /metrics, /healthz and /readyz: valid, and true.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

url=http://127.0.0.1:9095

get() { # PATH [CURL-OPTIONS]
	lab exec node1 curl -sS --noproxy '*' --max-time 5 "${@:2}" "$url$1"
}

status_of() {
	get "$1" -o /dev/null -w '%{http_code}' "${@:2}"
}

metric() { # NAME-AND-LABELS
	get /metrics | awk -v name="$1" '$1 == name { print $2 }'
}

# The text format: each sample behind HELP and TYPE of its family, families in one
# piece, no sample twice, values that are numbers, buckets that rise.
is_valid() {
	awk '
		function fail(why) { print NR ": " why ": " $0; bad = 1 }
		/^# HELP [a-z_]+ ./ { if ($3 in helped) fail("twice"); helped[$3] = 1; family = $3; next }
		/^# TYPE [a-z_]+ (counter|gauge|histogram)$/ { if ($3 != family) fail("without HELP"); type = $4; next }
		/^#/ { fail("a strange comment"); next }
		{
			if ($0 !~ /^[a-z_]+(\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\})? [0-9.e+-]+$/) fail("no sample")
			if ($1 in seen) fail("twice")
			seen[$1] = 1
			base = $1; sub(/\{.*/, "", base)
			if (type == "histogram") sub(/_(bucket|sum|count)$/, "", base)
			if (base != family) fail("not of the family " family)
			if (type == "counter" && base !~ /_total$/) fail("a counter without _total")
			if ($1 ~ /_bucket/) { if ($2 < last) fail("a bucket that falls"); last = $2 }
		}
		END { if (NR < 50) { print "only " NR " lines"; bad = 1 } exit bad }' <"$1"
}

metrics_are_valid() {
	get /metrics -D "$work/headers" >"$work/metrics"
	is_valid "$work/metrics"
	grep -qi '^content-type: text/plain; version=0.0.4' "$work/headers"
	# The check can fail.
	sed 's/^guideway_revision .*/guideway_revision x/' "$work/metrics" >"$work/broken"
	fails is_valid "$work/broken"
}

every_name_is_there() {
	local name
	for name in service_connections_total service_packets_total service_bytes_total backend_connections_total \
		backend_packets_total backend_bytes_total backend_up drops_total packets_total \
		flows flow_evictions_total sync_duration_seconds_bucket source_connected revision; do
		grep -q "^guideway_$name[ {]" "$work/metrics" || { echo "$name is missing" && return 1; }
	done
}

every_name_is_documented() {
	local name page
	# As roff has it, a series' other names begin with "_".
	page=$(sed -n 's/^\.It Li //p' "$top/docs/man/lbd.8" | awk -F ' , ' '{ print $1; sub(/_[a-z]+_total$/, "", $1); for (i = 2; i <= NF; i++) print ($i ~ /^_/ ? $1 : "") $i }')
	for name in $(awk '$2 == "TYPE" { print $3 }' "$work/metrics"); do
		grep -qx "$name" <<<"$page" || { echo "$name is not in lbd(8)" && return 1; }
	done
}

labels='{namespace="default",service="web",port="http",protocol="TCP",family="IPv4"}'

numbers_are_those_of_lbctl() {
	local i before after
	before=$(metric "guideway_service_connections_total$labels")
	for i in 1 2 3 4 5 6 7; do lab curl http://10.96.0.10/info >/dev/null; done
	after=$(metric "guideway_service_connections_total$labels")
	same $((after - before)) 7 "connections"
	same "$(get /metrics | awk '/^guideway_backend_connections_total/ && /IPv4/ { n += $2 } END { print n }')" "$after" "sum over the backends"
	same "$(get /metrics | grep -c '^guideway_backend_up{.*} 1$')" 3 "backends that are up"
	same "$(metric guideway_revision)" "$(status_json | jq .synced_revision)"
	at_least "$(metric guideway_sync_duration_seconds_count)" 1 "syncs"
}

# Rule 56
a_policy_that_leaves_nobody_is_told() {
	local series='guideway_service_no_local_endpoints{namespace="default",service="away",port="80",protocol="TCP",family="IPv4",policy="internal"}'
	slice_node=elsewhere service away 10.96.0.53 "" "internalTrafficPolicy: Local"
	same "$(metric "$series")" 1
	service away 10.96.0.53 "" "internalTrafficPolicy: Local"
	same "$(metric "$series")" 0
}

evictions() { # TABLE
	metric "guideway_flow_evictions_total{table=\"$1\",family=\"IPv4\"}"
}

live() { # TABLE
	metric "guideway_flows{table=\"$1\",family=\"IPv4\"}"
}

holds() { # TABLE FLOWS
	same "$(live "$1")" "$2" "flows in $1"
}

entries_new() {
	lab exec node1 bpftool -j map dump pinned "$GUIDEWAY_LAB_DIR"/node1/bpf/guideway/v*/maps/new_flows4 | jq length
}

# A table of 1024 new flows, and 3000 SYNs: what isn't there was pushed out.
flows_are_counted() {
	local before entries
	flows_hold "$work/held" --tcp --interval 100 --from 20000 --count 7 10.96.0.10 80
	eventually 5 holds tcp 7
	holds new 0
	before=$(entries_new)
	client "$tools/flood" --syn --sources 3000 --rate 20000 198.18.0.1 10.96.0.10 80 >/dev/null
	entries=$(entries_new)
	at_least 1024 "$entries" "the table's size"
	at_least "$entries" 500 "entries of the table"
	eventually 5 evicted_are_at_least 1900
	same $(($(evictions new) + entries)) $((before + 3000)) "flows that are there, or were pushed out"
	holds tcp 7
	same "$(evictions tcp)" 0
	# What an operator deletes was not pushed out.
	at_least "$(lab lbctl flows delete --service default/web | awk '{ print $1 }')" 500 "flows deleted"
	eventually 5 holds new 0
	same $(($(evictions new) + entries)) $((before + 3000)) "after they were deleted"
	flows_end "$flows_pid"
}

evicted_are_at_least() {
	at_least "$(evictions new)" "$1" evictions
}

it_is_well_and_ready() {
	same "$(status_of /healthz)" 200
	same "$(status_of /readyz)" 200
	same "$(status_of /)" 404
	same "$(status_of /metrics -X POST)" 405
	same "$(status_of /metrics -d "a body that nobody reads")" 405
	same "$(status_of /metrics -I)" 200
}

wrong_addresses_are_named() {
	matches "$(lab exec node1 "$GUIDEWAY_BUILD/lbd" --source file:/dev/null --listen 9095 2>&1 || true)" '^lbd: --listen: "9095" is neither ADDR:PORT nor off$'
}

another_programs_port_stops_nobody() {
	lab lbd stop
	"$top/lab/lab" exec node1 socat TCP-LISTEN:9095,bind=127.0.0.1,fork,reuseaddr SYSTEM:true >/dev/null 2>&1 &
	disown
	eventually 5 lab exec node1 sh -c 'ss -Hltn sport = 9095 | grep -q .'
	lab lbd start
	lab curl http://10.96.0.10/info >/dev/null
	lab lbctl wait >/dev/null
	grep -q 'warn --listen: 127.0.0.1:9095: Address already in use' "$GUIDEWAY_LAB_DIR/node1/lbd.log"
}

lab up --replicas 3 -- --max-new-flows 1024 >/dev/null
check "/metrics is valid Prometheus text" metrics_are_valid
check "every metric is there" every_name_is_there
check "lbd(8) tells of each" every_name_is_documented
check "the numbers are true" numbers_are_those_of_lbctl
check "a Local policy that leaves nobody is told" a_policy_that_leaves_nobody_is_told
check "flows are counted, and those that were pushed out" flows_are_counted
check "/healthz and /readyz answer, others get a 4xx" it_is_well_and_ready
check "a bad --listen is named" wrong_addresses_are_named
check "a port that is taken is told, and lbd serves all the same" another_programs_port_stops_nobody
tests_end
