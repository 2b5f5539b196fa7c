#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Backends on another node: the same transfers, through a node that has none of
# them; pods as clients; and what the node's own rules see.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/transfers.sh"

node_address_long() { # 4|6
	(($1 == 4)) && echo 10.200.0.1 || echo fd00:0010:0200:0000:0000:0000:0000:0001
}

pods_on() { # NODE
	lab pods | awk -v node="$1" '$5 == node { print $1 }'
}

from_pod() { # POD URL
	lab exec "$1" curl -sS --max-time 5 --noproxy '*' "$2"
}

# Which of the pods on a node answer, of 20 requests; and whether all are answered.
nodes_that_answer() { # POD|client URL
	for _ in $(seq 20); do
		lab exec "$1" curl -sS --max-time 5 --noproxy '*' "$2" | jq -r .node_name
	done | sort -u | xargs
}

both_nodes_pods_answer() { # POD|client URL
	same "$(nodes_that_answer "$1" "$2")" "node1 node2"
}

a_pod_is_answered_over_udp() { # POD FAMILY
	lab exec "$1" "$tools/flows" --udp --from 31000 --count 200 "$(service_address udp "$2")" 53 >"$work/udp"
	same "$(flows_number "$work/udp" total failed)" 0 "flows without an answer"
}

a_pod_moves_bulk_and_keeps_its_address() { # POD FAMILY
	local peer
	contents_are_exchanged 30 "$(in_url "$(service_address bulk "$2")")" lab exec "$1"
	peer=$(tr -d '[]' <"$work/peer")
	(($2 == 4)) || peer=$(sed -E 's/(^|:)0{1,3}/\1/g; s/:0:0:0:/::/' <<<"$peer")
	same "$peer" "$(pod_address "$1" "$2")" "the client as the pod saw it"
}

# Node 1 sends it to node 2, where the answer comes from.
a_pod_reaches_itself_by_the_other_node() { # FAMILY
	local port=30080 pod=$bulk_pod
	for _ in $(seq 20); do
		from_pod "$pod" "http://$(in_url "$(node_address "$1")"):$port/info" | jq -r .pod_name
	done >"$work/names"
	same "$(wc -l <"$work/names")" 20 "answers"
	grep -qx "$pod" "$work/names"
}

client_reaches_any_pod_by_any_node() { # FAMILY
	local node address
	for node in 1 2; do
		(($1 == 4)) && address=10.200.0.$node || address="[fd00:10:200::$node]"
		both_nodes_pods_answer client "http://$address:30080/info"
	done
}

# By the stack, a port that the client has used for another address of the pod is refused
# for a second.
nothing_refused() { # PATH
	same "$(status_json | jq -c '.packets | [.no_route, .backend_gone]')" "[0,0]" "no_route, backend_gone"
	[[ $1 = stack ]] || same "$(status_json | jq .packets.no_snat_port)" 0 "no_snat_port"
}

for way in "xdp-generic bypass" "tc bypass" "xdp-generic stack" "tc stack"; do
	read -r hook path <<<"$way"
	[[ $path = bypass ]] && bypass=on || bypass=off
	lab up --nodes 2 --replicas 4 --ipv6 --hook "$hook" -- --bypass $bypass >/dev/null
	# Connection tracking drops what it can't place on either path; what skips the
	# stack isn't masqueraded by a rule that would, and on the stack no rule need do it.
	firewall_start "$([[ $path = stack ]] || echo 'iifname "eth0" masquerade')"
	# shellcheck disable=SC2046 # pods are words
	servers_start $(pods_on node2)
	local_pod=$(pods_on node1 | head -n 1)
	for family in 4 6; do
		name="$way, IPv$family"
		web=http://$(in_url "$(service_address web $family)")/info
		check "$name: pods of both nodes answer by one" both_nodes_pods_answer client "$web"
		check "$name: by any node's port" client_reaches_any_pod_by_any_node $family
		transfers_check "$name" $family 2 "the node that sent it on" "$(node_address_long $family)"
		check "$name: a pod reaches pods of both nodes" both_nodes_pods_answer "$local_pod" "$web"
		check "$name: a pod is answered over UDP" a_pod_is_answered_over_udp "$local_pod" $family
		check "$name: a pod's transfer, and its address" a_pod_moves_bulk_and_keeps_its_address "$local_pod" $family
		check "$name: a pod reaches itself by another node's port" a_pod_reaches_itself_by_the_other_node $family
	done
	check "$way: nothing leaked into the firewall, no counter that must be 0 has moved" nothing_leaked
	check "$way: nothing was refused" nothing_refused $path
	lab down
done
tests_end
