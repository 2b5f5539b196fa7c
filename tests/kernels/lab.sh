#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# The lab end to end on another kernel: hook x family x protocol, pods that come
# and go, lbd killed, everything taken away.  For a guest without KVM: small
# numbers, and nothing in it takes a fast machine.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../net/lib.sh"

BULK_BYTES=$((16 * 1024 * 1024))
PATIENCE_MS=20000

. "$top/tests/net/exchange.sh"

address() { # web|udp|bulk|node 4|6
	case $1$2 in
	web4) echo 10.96.0.10 ;;
	web6) echo fd00:10:96::10 ;;
	udp4) echo 10.96.0.20 ;;
	udp6) echo fd00:10:96::20 ;;
	bulk4) echo 10.96.0.30 ;;
	bulk6) echo fd00:10:96::30 ;;
	node4) echo 10.200.0.1 ;;
	node6) echo fd00:10:200::1 ;;
	esac
}

in_url() { # ADDRESS
	[[ $1 = *:* ]] && echo "[$1]" || echo "$1"
}

servers_start() {
	local pod family
	for pod in $(pods); do pod_serve "$pod" "$tools/udp_echo" 5353; done
	pod=$(pods | head -n 1)
	exchange_serve pod_serve "$pod"
	for family in 4 6; do
		# shellcheck disable=SC2046 # pods are words
		expose udp$family $family "$(address udp $family)" dns/UDP/53/5353 $(pods)
		expose bulk$family $family "$(address bulk $family)" exchange/TCP/9000/9000 "$pod"
	done
	eventually 10 servers_listen "$pod"
}

servers_listen() { # POD
	(($(lab exec "$1" ss -Hltn 'sport = 9000' | wc -l) == 2))
}

hook_is_as_asked() { # HOOK
	same "$(status_json | jq -r '.attachments[] | select(.role == "uplink") | .hook')" "$1"
}

a_pod_answers() { # URL
	local pod
	pod=$(lab curl "$1" | jq -r .pod_name)
	pods | grep -qx "$pod" || { echo "answered by '$pod'" && return 1; }
}

udp_is_answered() { # FAMILY
	client "$tools/flows" --udp --timeout $PATIENCE_MS --from 30000 --count 100 "$(address udp "$1")" 53 >"$work/udp"
	same "$(flows_number "$work/udp" total failed)" 0 "flows without an answer"
	same "$(grep -c '^pod ' "$work/udp")" 3 "pods that answered"
}

contents_arrive() { # ADDRESS
	contents_are_exchanged 120 "$(in_url "$1")" client
}

# ---- connections that are held while pods come and go, and lbd with them ----

held_families=(4 6)

hold() { # FIRST-PORT
	local family
	held=()
	for family in "${held_families[@]}"; do
		flows_hold "$work/held$family" --tcp --timeout $PATIENCE_MS --interval 500 --from "$1" --count 20 \
			"$(address web "$family")" 80
		held+=("$flows_pid")
	done
}

pods_come_and_go() {
	local before
	before=$(pods)
	lab scale 4
	lab scale 3
	same "$(pods)" "$before" "pods"
}

lbd_dies_and_returns() {
	lab lbd kill
	a_pod_answers "http://$(address web 4)/info"
	lab lbd start
	lab lbctl wait --timeout 60
	a_pod_answers "http://[$(address web 6)]/info"
}

none_was_touched() {
	local family
	for family in "${held_families[@]}"; do
		same "$(flows_number "$work/held$family" total flows)" 20 "IPv$family flows"
		same "$(flows_number "$work/held$family" total failed)" 0 "IPv$family failed"
		same "$(flows_number "$work/held$family" total broken)" 0 "IPv$family broken: $(cat "$work/held$family.err")"
		same "$(flows_number "$work/held$family" total moved)" 0 "IPv$family moved"
	done
}

nothing_went_wrong() {
	same "$(status_json | jq -r '.packets | (.flow_not_stored + .slot_invalid + .rewrite_failed) // 0')" 0 "what must be 0"
}

# What is attached to a device of the node, apart from a qdisc that does nothing.
attached() { # DEVICE
	lab exec node1 ip link show "$1" | grep -o 'xdp.*' || true
	lab exec node1 tc filter show dev "$1" ingress
}

detach_leaves_nothing() {
	local pins=$GUIDEWAY_LAB_DIR/node1/bpf/guideway device
	lab lbd stop
	lab exec node1 "$GUIDEWAY_BUILD/lbd" --detach --bpffs "$pins" --control "$GUIDEWAY_LAB_DIR/node1/lbd.sock"
	fails test -e "$pins"
	for device in $(lab exec node1 ls /sys/class/net); do same "$(attached "$device")" "" "$device"; done
	fails lab curl --max-time 2 -o /dev/null "http://$(address web 4)/" 2>/dev/null
}

for hook in xdp-generic tc; do
	check "$hook: lab up" lab up --replicas 3 --ipv6 --hook $hook
	servers_start
	check "$hook: it is attached as asked" hook_is_as_asked $hook
	for family in 4 6; do
		name="$hook, IPv$family"
		check "$name: curl reaches the ClusterIP" a_pod_answers "http://$(in_url "$(address web $family)")/info"
		check "$name: curl reaches the NodePort" a_pod_answers "http://$(in_url "$(address node $family)"):30080/info"
		check "$name: UDP is answered by every pod" udp_is_answered $family
		check "$name: contents arrive in both directions" contents_arrive "$(address bulk $family)"
	done
	hold 20000
	check "$hook: pods come and go" pods_come_and_go
	check "$hook: lbd is killed, traffic goes on, lbd returns" lbd_dies_and_returns
	flows_end "${held[@]}"
	check "$hook: that touched no connection" none_was_touched
	check "$hook: no packet was counted as our mistake" nothing_went_wrong
	check "$hook: --detach leaves nothing" detach_leaves_nothing
	lab down
done
tests_end
