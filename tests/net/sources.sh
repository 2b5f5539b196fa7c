#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Source ranges with real connections: clients from outside and pods;
# changes at once; a restart that has nothing to do.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

vip=10.97.0.60
url=http://$vip/info
manifests=$GUIDEWAY_LAB_DIR/manifests

ranges() { # RANGE,RANGE...
	service ranged 10.96.0.60 "" "loadBalancerSourceRanges: [$1]}
status: {loadBalancer: {ingress: [{ip: $vip}]}"
}

gets_in() { # WHERE URL
	lab exec "$1" curl -sf -o /dev/null --noproxy '*' --max-time 3 "$2"
}

stays_out() { # WHERE URL
	local status=0
	lab exec "$1" curl -s -o /dev/null --noproxy '*' --max-time 1.5 "$2" || status=$?
	same "$status" 28 "curl's exit status (28: no answer in time)"
}

refused_count() {
	status_json | jq .packets.source_refused
}

a_member_gets_in() {
	ranges "10.200.0.0/24"
	gets_in client "$url"
}

others_hear_nothing() {
	local before
	ranges "203.0.113.0/24"
	before=$(refused_count)
	stays_out client "$url"
	at_least "$(refused_count)" $((before + 1)) "counted"
	gets_in client http://10.96.0.60/info
}

a_pod_counts_by_its_own_address() {
	local pod
	pod=$(pods | head -n 1)
	ranges "10.200.0.0/24"
	stays_out "$pod" "$url"
	ranges "10.200.0.0/24, 10.244.0.0/16"
	gets_in "$pod" "$url"
}

answered_twice() {
	(($(grep -c '200 OK' "$work/kept") == 2))
}

connections_go_on() {
	ranges "10.200.0.0/24"
	exec 9> >(client socat -t 5 - "TCP:$vip:80" >"$work/kept")
	printf 'GET /info HTTP/1.1\r\nHost: x\r\n\r\n' >&9
	eventually 5 grep -q '200 OK' "$work/kept"
	ranges "203.0.113.0/24"
	stays_out client "$url"
	printf 'GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&9
	eventually 5 answered_twice
	exec 9>&-
}

a_restart_has_nothing_to_do() {
	ranges "10.200.0.0/24, 203.0.113.0/24"
	lab lbd kill
	gets_in client "$url"
	lab lbd start
	same "$(lab lbctl -o json diff | jq '.changes | length')" 0 "changes"
	gets_in client "$url"
}

# Straight into what lbd reads: `lab apply` would refuse it.
nonsense_is_told() {
	sed -i 's|203.0.113.0/24|10.200.0.0/240|' "$(grep -l 'name: ranged,' "$manifests"/*)"
	fails lab lbctl wait 2>/dev/null
	matches "$(lab lbctl services describe default/ranged)" 'Sources: +10.200.0.0/24, 203.0.113.0/24'
	matches "$(lab lbctl services describe default/ranged)" \
		'Reason: .*loadBalancerSourceRanges\[1\]: "10.200.0.0/240" is not an address range'
	gets_in client "$url"
}

without_any_good_state_the_reason_is_shown() {
	cat >"$manifests/bad.yaml" <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: bad, namespace: default}
		spec: {clusterIP: 10.96.0.61, ports: [{port: 80}], loadBalancerSourceRanges: [here]}
	END
	fails lab lbctl wait 2>/dev/null
	matches "$(lab lbctl services describe default/bad)" 'State: +refused'
	matches "$(lab lbctl services describe default/bad)" 'Reason: .*"here" is not an address range'
	matches "$(lab lbctl services list)" 'default/bad .* refused'
}

lab up --replicas 2 >/dev/null
ip -n "$lab_name-client" route replace 10.97.0.0/16 via 10.200.0.1
check "a client within the ranges gets in" a_member_gets_in
check "who isn't hears nothing, but has the ClusterIP" others_hear_nothing
check "a pod gets in by its own address" a_pod_counts_by_its_own_address
check "a connection goes on when its range is taken away" connections_go_on
check "a restart has nothing to do" a_restart_has_nothing_to_do
check "a range that doesn't parse is told, and the last good ones stay" nonsense_is_told
check "a Service without any good state says why" without_any_good_state_the_reason_is_shown
tests_end
