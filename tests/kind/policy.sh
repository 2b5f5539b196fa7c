#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# A NetworkPolicy, and rules on each node that close its pods, as an enforcer would write
# them: who isn't let in doesn't come in by a Service either (--bypass auto).
. "$(dirname "$0")/lib.sh"

cluster_restore() {
	open
}

space_create
web_apply
client_apply
client_apply friend
apply <<'END'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31160}]
END
ready deployment/web daemonset/client daemonset/friend
settled
web=$(service_address web)

addresses_of() { # LABEL [NODE]
	in_space get pods -l "$1" ${2:+--field-selector "spec.nodeName=$2"} -o json |
		jq -r '[.items[].status.podIP] | join(", ")'
}

# Each node's enforcer knows the pods that run there.
close() {
	local node pods friends
	friends=$(addresses_of app=friend)
	for node in "${nodes[@]}"; do
		pods=$(addresses_of app=web "$node")
		[[ -n $pods ]] || continue
		docker exec -i "$node" nft -f - <<-END
			table inet guideway_test {
				chain forward {
					type filter hook forward priority filter
					ip daddr { $pods } ip saddr != { $friends } ct direction original counter drop
				}
			}
		END
	done
}

open() {
	local node
	for node in "${nodes[@]}"; do
		on_node "$node" nft delete table inet guideway_test 2>/dev/null || true
	done
}

policy() {
	apply <<-'END'
		apiVersion: networking.k8s.io/v1
		kind: NetworkPolicy
		metadata: {name: friends}
		spec:
		  podSelector: {matchLabels: {app: web}}
		  policyTypes: [Ingress]
		  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]
	END
}

everybody_is_answered() {
	local node
	for node in "${nodes[@]}"; do
		same "$(answers 20 "$(client_on "$node")" "http://$web/" | grep -c ^web-)" 20 "answers by ClusterIP on $node"
		same "$(outside 20 "http://$(node_address "$node"):31160/" | grep -c ^web-)" 20 "answers by port of $node"
	done
}
check "without a policy everybody is answered" everybody_is_answered

policy_is_served() {
	policy
	settled
	everybody_is_answered
}
check "with a policy that nobody enforces, too: the stack's path serves" policy_is_served

# Six connections from each place: with four pods, one on the asking node is among them.
nobody_else_is_answered() {
	local node
	close
	for node in "${nodes[@]}"; do
		same "$(answers 6 "$(client_on "$node")" "http://$web/" | sort | uniq -c | tr -s ' ')" " 6 lost" "by ClusterIP on $node"
		same "$(outside 6 "http://$(node_address "$node"):31160/" | sort | uniq -c | tr -s ' ')" " 6 lost" "by port of $node"
	done
}
check "enforced: who isn't let in isn't answered, by ClusterIP and node port of any node" nobody_else_is_answered

friends_are_answered() {
	local node
	for node in "${nodes[@]}"; do
		same "$(answers 20 "$(client_on "$node" friend)" "http://$web/" | grep -c ^web-)" 20 "answers on $node"
	done
}
check "and who is let in is, from every node" friends_are_answered

new_pods_are_closed() {
	in_space scale deployment web --replicas=6
	ready deployment/web
	open
	settled
	nobody_else_is_answered
	friends_are_answered
}
check "pods that come later are held to it as well" new_pods_are_closed

it_ends_with_the_policy() {
	open
	in_space delete networkpolicy friends
	settled
	everybody_is_answered
}
check "without the policy everybody is answered again" it_ends_with_the_policy

tests_end
