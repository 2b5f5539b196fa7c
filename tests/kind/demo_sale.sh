#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# k8s/demo/sale.yaml on a cluster, with a tutorial's commands.
. "$(dirname "$0")/lib.sh"

space_create
client_apply
demo_apply sale
ready deployment/sale daemonset/client
settled
shop=http://$(node_address "${nodes[0]}"):31081

welcomes() {
	local node
	for node in "${nodes[@]}"; do
		matches "$(curl -s -m 2 "http://$(node_address "$node"):31081/")" '"message":"Welcome to Big Sale!"'
	done
	matches "$(curl -s -m 2 "$shop/buy?user=anna")" anna
}
check "the shop is open at every node's port" welcomes

# Customers, and who sold to them.
customers() { # N
	curl -s -m 20 -w '\n' -H 'Connection: close' "$shop/buy?user=u[1-$1]" | jq -r .served_by_pod
}

three_sell() {
	local pods
	mapfile -t pods < <(pods_of app=sale)
	same ${#pods[@]} 3 pods
	customers 90 | share 10 "${pods[@]}"
}
check "three pods share ninety customers" three_sell

unready_pods() {
	in_space get pods -l app=sale -o json | jq -r '.items[] |
		select(.status.phase == "Running" and all(.status.conditions[]; .type != "Ready" or .status == "False")) | .metadata.name'
}

two_are_unready() {
	mapfile -t unready < <(unready_pods)
	((${#unready[@]} == 2))
}

five_sell() {
	local pods unready pod
	traffic_begin "$(client_on "${nodes[0]}")" "$shop/buy?user=t"
	in_space scale deployment sale --replicas=5
	eventually 20 two_are_unready
	customers 50 >"$work/customers"
	# Those who are unready now were so when they sold nothing.
	for pod in $(unready_pods); do
		same "$(grep -cx "$pod" "$work/customers" || true)" 0 "customers of $pod, which isn't ready"
	done
	same "$(wc -l <"$work/customers")" 50 customers
	ready deployment/sale
	settled
	mapfile -t pods < <(pods_of app=sale)
	same ${#pods[@]} 5 pods
	customers 150 | share 10 "${pods[@]}"
	in_space scale deployment sale --replicas=3
	ready deployment/sale
	traffic_end
}
check "for the Sale there are five, who get nobody before they are ready" five_sell

tests_end
