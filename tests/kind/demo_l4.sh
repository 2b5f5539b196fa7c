#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# k8s/demo/l4.yaml on a cluster, with a tutorial's commands.
. "$(dirname "$0")/lib.sh"

space_create
client_apply
demo_apply l4
ready deployment/notes-blue deployment/notes-green daemonset/client
in_space wait pod/notes-unready --for=jsonpath='{.status.phase}'=Running --timeout=60s >/dev/null
settled
client=$(client_on "${nodes[0]}")
url=http://$(service_address notes)
mapfile -t blue < <(pods_of track=blue)
mapfile -t green < <(pods_of track=green | grep -v unready)

# One connection of a process of the node.
one_connection_is_one_pod() {
	on_node "${nodes[0]}" curl -s -m 10 -w '\n' "$url/info?[1-10]" | jq -r .pod_name >"$work/kept"
	same "$(wc -l <"$work/kept")" 10 answers
	same "$(different <"$work/kept")" 1 pods
}
check "ten requests over one connection are one pod's" one_connection_is_one_pod

connections_are_everybodys() {
	answers 100 "$client" "$url/info" >"$work/answers"
	share 5 "${blue[@]}" "${green[@]}" <"$work/answers"
	same "$(different <"$work/answers")" 4 pods
}
check "a hundred connections are everybody's but the unready one's" connections_are_everybodys

unready_runs() {
	local address
	address=$(in_space get pod notes-unready -o jsonpath='{.status.podIP}')
	matches "$(in_pod "$client" wget -qO- "http://$address:5000/info")" notes-unready
	fails grep -F "$address" <(lbctl_on "${nodes[0]}" backends list --service "$space/notes" | grep -w active)
}
check "whoever knows the unready pod's address is answered; it has no slot" unready_runs

track() { # blue|green
	in_space patch service notes -p "{\"spec\":{\"selector\":{\"track\":\"$1\"}}}"
	eventually 10 selected "$1"
}

# The EndpointSlices follow the selector.
selected() { # blue|green
	settled
	same "$(answers 20 "$client" "$url/info" | sed 's/^notes-\([a-z]*\)-.*/\1/' | sort -u)" "$1"
}

labels_select() {
	track green
	answers 50 "$client" "$url/info" | share 8 "${green[@]}"
	track blue
	answers 50 "$client" "$url/info" | share 8 "${blue[@]}"
}
check "labels select: green alone, and back to blue" labels_select

tests_end
