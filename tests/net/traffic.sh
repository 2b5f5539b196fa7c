#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Real programs through the balancer: hook x path x family x protocol, with a
# firewall on the node that masquerades and drops what connection tracking can't
# place.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/transfers.sh"

client_address() { # 4|6
	(($1 == 4)) && echo 10.200.0.100 || echo fd00:0010:0200:0000:0000:0000:0000:0100
}

# Also those who are not the balancer's: straight to a pod, through the stack.
pods_are_reached_directly() { # FAMILY
	local pod
	pod=$(pods | tail -n 1)
	same "$(lab curl "http://$(in_url "$(pod_address "$pod" "$1")"):5000/info" | jq -r .pod_name)" "$pod"
}

# GSO packets longer than an IP header can say, on all of the way.
packets_grow() {
	local ns link
	for ns in "/run/netns/$lab_name"-*; do
		for link in $(ip -n "${ns##*/}" -o link | sed 's/^[0-9]*: \([^@:]*\).*/\1/'); do
			ip -n "${ns##*/}" link set "$link" gso_max_size 200000 gro_max_size 200000
		done
	done
}

big_tcp_moves() {
	local bulk
	bulk=$(service_address bulk 6)
	packets_grow
	iperf_moves "$bulk"
	iperf_moves "$bulk" -R
	same "$(status_json | jq .packets.bad_header)" 0 "packets whose lengths lie"
}

# A bypass flow isn't touched even by a rule that masquerades everything.
masquerade() { # PATH
	[[ $1 = bypass ]] && echo masquerade || echo 'oifname "eth0" masquerade'
}

for way in "xdp bypass" "xdp-generic bypass" "tc bypass" "xdp-generic stack" "tc stack"; do
	read -r hook path <<<"$way"
	[[ $path = bypass ]] && bypass=on || bypass=off
	lab up --replicas 5 --ipv6 --hook "$hook" -- --bypass $bypass >/dev/null
	firewall_start "$(masquerade "$path")"
	# shellcheck disable=SC2046 # pods are words
	servers_start $(pods)
	check "$way: it is attached as asked" hook_is_as_asked "$hook"
	for family in 4 6; do
		name="$way, IPv$family"
		check "$name: curl reaches the ClusterIP" a_pod_answers "http://$(in_url "$(service_address web $family)")/info"
		check "$name: curl reaches the NodePort" a_pod_answers "http://$(in_url "$(node_address $family)"):30080/info"
		transfers_check "$name" $family 5 "the client's own address" "$(client_address $family)"
		check "$name: a pod's own address works as ever" pods_are_reached_directly $family
	done
	# The kernel's own forwarding refuses it [tried, 6.18]: it counts the header that
	# says so into each segment's length.
	[[ $path = stack ]] || check "$way, IPv6: BIG TCP" big_tcp_moves
	check "$way: nothing leaked into the firewall, no counter that must be 0 has moved" nothing_leaked
	lab down
done
tests_end
