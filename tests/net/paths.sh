#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Which path a flow takes, and what that means: rules of netfilter hold on the
# stack path, MTUs are found out on either, the host's own addresses are served.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

web() { # 4|6
	(($1 == 4)) && echo http://10.96.0.10/info || echo "http://[fd00:10:96::10]/info"
}

reached() { # URL
	client curl -s -o "$work/answer" --max-time 3 --noproxy '*' "$1"
}

reached_by_pod() { # POD URL
	lab exec "$1" curl -s -o /dev/null --max-time 3 --noproxy '*' "$2"
}

# What an agent that enforces NetworkPolicy writes: nobody from outside.
close_pods() {
	lab exec node1 nft -f - <<-END
		table inet guard {
			counter refused {}
			chain forward {
				type filter hook forward priority filter; policy accept;
				ct state established,related accept
				ct state invalid drop
				ip daddr 10.244.1.0/24 counter name refused drop
				ip6 daddr fd00:10:244:1::/64 counter name refused drop
			}
		}
	END
}

open_pods() {
	lab exec node1 nft delete table inet guard
}

policy() { # NAMESPACE TYPE
	cat >"$work/policy.yaml" <<-END
		apiVersion: networking.k8s.io/v1
		kind: NetworkPolicy
		metadata: {name: closed, namespace: $1}
		spec: {podSelector: {}, policyTypes: [$2]}
	END
	lab apply -f "$work/policy.yaml"
	lab lbctl wait
}

no_policy() {
	lab delete -f "$work/policy.yaml"
	lab lbctl wait
}

stack_answers() {
	status_json | jq .packets.stack
}

without_a_policy_rules_of_the_node_see_nothing() {
	reached "$(web 4)"
	reached "$(web 6)"
	same "$(stack_answers)" 0 "answers by the stack"
}

with_a_policy_they_hold() {
	policy default Ingress
	fails reached "$(web 4)"
	fails reached "$(web 6)"
	at_least "$(lab exec node1 nft -j list counter inet guard refused | jq '.nftables[] | .counter? // empty | .packets')" 2 "refused"
	open_pods
	reached "$(web 4)"
	reached "$(web 6)"
	at_least "$(stack_answers)" 2 "answers by the stack"
}

of_another_namespace_it_does_not_matter() {
	local before
	no_policy
	policy elsewhere Ingress
	before=$(stack_answers)
	reached "$(web 4)"
	same "$(stack_answers)" "$before" "answers by the stack"
	no_policy
}

pods_that_are_clients_are_ruled_by_egress() {
	local pod before
	pod=$(pods | head -n 1)
	before=$(stack_answers)
	for _ in 1 2 3 4 5 6; do reached_by_pod "$pod" "$(web 4)"; done
	same "$(stack_answers)" "$before" "answers by the stack"
	policy elsewhere Egress
	# Those that the pod itself answers go by bypass.
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do reached_by_pod "$pod" "$(web 4)"; done
	at_least "$(($(stack_answers) - before))" 1 "answers by the stack"
	no_policy
}

rp_filter_does_no_harm() {
	lab exec node1 sysctl -qw net.ipv4.conf.all.rp_filter=1
	policy default Ingress
	reached "$(web 4)"
	no_policy
	reached "$(web 4)"
}

# ---- MTUs ----------------------------------------------------------------------

# The uplink is 1500: the pod takes less, or the way to the client does.
narrow_pod() { # POD MTU
	local device
	device=$(lab exec "$1" cat /sys/class/net/eth0/iflink)
	lab exec "$1" ip link set eth0 mtu "$2"
	lab exec node1 sh -c "ip link set \$(ip -o link | sed -n 's/^$device: \\([^@:]*\\).*/\\1/p') mtu $2"
}

udp_sizes_arrive() { # 4|6
	local address bytes got
	(($1 == 4)) && address=10.96.0.20 || address='[fd00:10:96::20]'
	for bytes in 4000 1452 1400 1300 8; do
		got=0
		# The first may be lost: it finds the MTU out, and socat ends with that.
		for _ in 1 2 3; do
			got=$( (head -c $bytes /dev/zero | client timeout 3 socat -T 1 -b 65536 - "UDP$1:$address:53" || true) | wc -c)
			((got == 0)) || break
		done
		same "$got" $bytes "bytes back"
	done
}

tcp_finds_the_mtu() { # 4|6
	local address
	(($1 == 4)) && address=10.96.0.20 || address='[fd00:10:96::20]'
	head -c 3000000 /dev/zero | client timeout 10 socat -t 5 - "TCP$1:$address:9000" >"$work/echoed"
	same "$(stat -c %s "$work/echoed")" 3000000 "bytes back"
}

echo_start() { # POD
	pod_serve "$1" socat -b 65536 UDP6-RECVFROM:5353,fork,ipv6only=0 PIPE
	pod_serve "$1" socat TCP6-LISTEN:9000,fork,reuseaddr PIPE
	expose echo4 4 10.96.0.20 "dns/UDP/53/5353 tcp/TCP/9000/9000" "$1"
	expose echo6 6 fd00:10:96::20 "dns/UDP/53/5353 tcp/TCP/9000/9000" "$1"
	lab lbctl wait
}

# ---- the host's own addresses ------------------------------------------------------

host_network_backends_answer() { # 4|6
	local address frontend
	(($1 == 4)) && address=10.200.0.1 frontend=10.96.0.40 || address=fd00:10:200::1 frontend='[fd00:10:96::40]'
	cat >"$work/host$1.yaml" <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: host$1, namespace: default}
		spec: {clusterIP: "$(tr -d '[]' <<<"$frontend")", ipFamilies: [IPv$1], ports: [{port: 80}]}
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: host$1-1, namespace: default, labels: {kubernetes.io/service-name: host$1}}
		addressType: IPv$1
		ports: [{name: "", port: 7000}]
		endpoints: [{addresses: ["$address"], nodeName: node1}]
	END
	lab apply -f "$work/host$1.yaml"
	lab lbctl wait
	same "$(client timeout 5 socat -t 3 - "TCP$1:$frontend:80" </dev/null)" hello
	# A pod as the client, too.
	same "$(lab exec "$(pods | head -n 1)" timeout 5 socat -t 3 - "TCP$1:$frontend:80" </dev/null)" hello
}

for hook in xdp-generic tc; do
	lab up --replicas 2 --ipv6 --hook $hook >/dev/null
	close_pods
	check "$hook: rules of the node see nothing of a namespace without a policy" without_a_policy_rules_of_the_node_see_nothing
	check "$hook: with a policy in the namespace they hold" with_a_policy_they_hold
	check "$hook: a policy of another namespace changes nothing" of_another_namespace_it_does_not_matter
	check "$hook: pods that are clients take the stack where a policy rules egress" pods_that_are_clients_are_ruled_by_egress
	check "$hook: strict reverse path filtering does no harm on either path" rp_filter_does_no_harm
	"$top/lab/lab" exec node1 socat TCP6-LISTEN:7000,fork,reuseaddr,ipv6only=0 SYSTEM:'echo hello' >/dev/null 2>&1 &
	disown
	for family in 4 6; do
		check "$hook, IPv$family: a backend on the node's own address answers" host_network_backends_answer $family
	done
	pod=$(pods | tail -n 1)
	narrow_pod "$pod" 1400
	echo_start "$pod"
	for family in 4 6; do
		check "$hook, IPv$family: datagrams of any size reach a pod of a smaller MTU" udp_sizes_arrive $family
		check "$hook, IPv$family: TCP finds the MTU" tcp_finds_the_mtu $family
	done
	lab down
done
tests_end
