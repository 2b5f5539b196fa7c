#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Labs of several nodes: who is where, who reaches whom, and nodes that go.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

pods_per_node() {
	lab pods | awk 'NR > 1 && $2 == "1/1" { n[$5]++ } END { for (node in n) print node, n[node] }' |
		sort | xargs
}

pod_on() { # NODE
	lab pods | awk -v node="$1" '$5 == node && !found { print $1; found = 1 }'
}

addresses_are_the_nodes_own() {
	local bad
	bad=$(lab pods | awk 'NR > 1 && $4 !~ "^10\\.244\\." substr($5, 5) "\\."')
	same "$bad" ""
}

slices_name_node_and_zone() {
	local node zone=a slice
	slice=$(<"$GUIDEWAY_LAB_DIR/manifests/web-ipv4.yaml")
	for node in 1 2 3; do
		matches "$slice" "addresses: \[\"10\.244\.$node\.[0-9]+\"\]
  zone: zone-$zone
  conditions: [^
]*
  nodeName: node$node"
		grep -q "kubernetes.io/hostname: node$node, topology.kubernetes.io/zone: zone-$zone" \
			"$GUIDEWAY_LAB_DIR/manifests/nodes.yaml"
		zone=$(tr ab bc <<<"$zone")
	done
}

pods_reach_pods_of_other_nodes() {
	local from to
	for from in node1 node2 node3; do
		for to in node1 node2 node3; do
			lab exec "$(pod_on $from)" curl -sS --max-time 5 \
				"http://$(pod_address "$(pod_on $to)" 4):5000/health" \
				"http://[$(pod_address "$(pod_on $to)" 6)]:5000/health" >/dev/null
		done
	done
}

every_node_serves_its_node_port() {
	local node
	for node in 1 2 3; do
		lab curl -f "http://10.200.0.$node:30080/" "http://[fd00:10:200::$node]:30080/" >/dev/null
	done
}

pods_are_spread() {
	same "$(pods_per_node)" "node1 3 node2 2 node3 2"
}

the_service_is_reached() {
	for _ in $(seq 10); do
		lab curl -f http://10.96.0.10/ "http://[fd00:10:96::10]/" >/dev/null
	done
}

routes_to_services() { # 4|6
	lab exec client ip "-$1" route show | awk '/^[^\t ]/ { on = /^(10.96.0.0\/16|fd00:10:96::\/112)/ } on' |
		grep -o "via [^ ]*" | sed "s/.*[.:]//" | xargs
}

services_lead_to() { # NUMBERS
	same "$(routes_to_services 4)" "$1"
	same "$(routes_to_services 6)" "$1"
}

node1_reaches_all_pods() { # 4|6
	local url=http://10.200.0.1:30080/
	[[ $1 = 4 ]] || url=http://[fd00:10:200::1]:30080/
	for _ in $(seq 20); do
		client curl -sS --max-time 1 "$url" >/dev/null || return 1
	done
}

# The kernel asks a neighbour again once packets are sent to it, and programs that
# send them past it are no such packets.
a_mac_that_changes_in_silence_is_noticed() {
	local family
	for family in 4 6; do
		lab exec node1 sysctl -q -w "net.ipv$family.neigh.eth0.base_reachable_time_ms=1000" \
			"net.ipv$family.neigh.eth0.delay_first_probe_time=1" \
			"net.ipv$family.neigh.eth0.ucast_solicit=1"
	done
	lab exec node1 ip neigh flush dev eth0 # their timers are the old ones
	node1_reaches_all_pods 4
	node1_reaches_all_pods 6
	lab exec node2 sysctl -q -w net.ipv6.conf.eth0.ndisc_notify=0 net.ipv4.conf.eth0.arp_notify=0
	lab exec node2 ip link set eth0 address 02:77:77:77:77:02
	fails node1_reaches_all_pods 4
	eventually 40 node1_reaches_all_pods 4
	eventually 40 node1_reaches_all_pods 6
	# Those who haven't asked yet.
	lab exec client ip neigh flush dev eth0
	lab exec node3 ip neigh flush dev eth0
}

nothing_is_left_of() { # NODE
	local number=${1#node}
	[[ ! -e $GUIDEWAY_LAB_DIR/$1 && ! -e /run/netns/$(basename "$GUIDEWAY_LAB_DIR")-$1 ]]
	fails grep -q "name: $1\$" "$GUIDEWAY_LAB_DIR/manifests/nodes.yaml"
	fails grep -q "10.244.$number\." "$GUIDEWAY_LAB_DIR/manifests/web-ipv4.yaml"
	same "$(lab exec client ip route show "10.244.$number.0/24")" ""
	same "$(lab exec node2 ip route show "10.244.$number.0/24")" ""
}

a_node_is_drained() {
	lab kill node1
	same "$(pods_per_node)" "node2 4 node3 3"
	nothing_is_left_of node1
	services_lead_to "2 3"
	the_service_is_reached
}

a_node_dies() {
	lab kill --force node3
	same "$(pods_per_node)" "node2 7"
	nothing_is_left_of node3
	services_lead_to 2
	the_service_is_reached
}

down_leaves_nothing() {
	lab down
	same "$(find /run/netns -name "$lab_name-*")" ""
	[[ ! -e $GUIDEWAY_LAB_DIR ]]
	fails grep -q "$GUIDEWAY_LAB_DIR" /proc/self/mounts
}

for count in 0 51 -1 x ''; do
	check "--nodes '$count' is refused" \
		fails_with 2 "lab: --nodes $count: not a number from 1 to 50" lab up --nodes "$count"
done
check "--nodes without a number is refused" fails_with 2 "lab: --nodes: its value is missing" lab up --nodes
check "lab up --nodes brings pods that are ready" lab up --nodes 3 --replicas 7 --ipv6 --ecmp
check "pods are spread over the nodes" pods_are_spread
check "a pod's address is its node's" addresses_are_the_nodes_own
check "slices and nodes tell node and zone" slices_name_node_and_zone
check "pods reach the pods of every node" pods_reach_pods_of_other_nodes
check "every node serves the node port" every_node_serves_its_node_port
check "the services' route has all nodes" services_lead_to "1 2 3"
check "the service is reached through every node" the_service_is_reached
check "a node's MAC that changes in silence is noticed" a_mac_that_changes_in_silence_is_noticed
check "a deleted node is drained, its pods move" a_node_is_drained
check "a node that dies is missed, its pods move" a_node_dies
check "the last node stays" \
	fails_with 1 "lab: node2: the only node can't be killed" lab kill node2
check "lab down leaves nothing behind" down_leaves_nothing
tests_end
