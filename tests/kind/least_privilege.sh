#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# k8s/overlays/least-privilege takes the place of the privileged DaemonSet, and back.
. "$(dirname "$0")/lib.sh"

cluster_restore() {
	guideway_apply
}

space_create
web_apply
client_apply
in_space expose deployment web --port=80 --target-port=http >/dev/null
ready deployment/web daemonset/client
settled
client=$(client_on "${nodes[0]}")
web=$(service_address web)

# Where the container engine of kind's nodes doesn't know CAP_BPF (39) and CAP_PERFMON (38),
# they can't be given: SYS_ADMIN takes their place, as the overlay says.
overlay() {
	local have
	have=$(on_node "${nodes[0]}" awk '/^CapBnd/ { print $2 }' /proc/1/status)
	if (((16#$have >> 38 & 3) == 3)); then
		kubectl kustomize "$top/k8s/overlays/least-privilege"
	else
		kubectl kustomize "$top/k8s/overlays/least-privilege" | sed 's/^\( *\)- BPF$/\1- SYS_ADMIN/; /- PERFMON$/d'
	fi
}

overlay_is_rolled_out() {
	local capabilities
	traffic_begin "$client" "http://$web/"
	overlay | kubectl apply -f -
	guideway_ready
	traffic_end
	capabilities=$(kubectl -n kube-system get "$(lbd_on "${nodes[0]}")" -o json |
		jq -c '.spec.containers[0].securityContext.capabilities.add')
	tell "capabilities: $capabilities"
	fails matches "$(kubectl -n kube-system exec "$(lbd_on "${nodes[0]}")" -c lbd -- /bin/busybox grep CapEff /proc/1/status)" 1ff
}
check "it takes the privileged one's place without a lost request" overlay_is_rolled_out

everything_is_served() {
	local node
	in_space scale deployment web --replicas=6
	ready deployment/web
	settled
	for node in "${nodes[@]}"; do
		matches "$(lbctl_on "$node" status)" "Processes: +served, cgroup "
		at_least "$(answers 60 "$(client_on "$node")" "http://$web/" | different)" 5 "pods that answered on $node"
		on_node "$node" curl -sf -m 2 -o /dev/null "http://$web/"
	done
}
check "pods that come are served, and processes of the nodes, too" everything_is_served

back_again() {
	traffic_begin "$client" "http://$web/"
	guideway_apply
	traffic_end
}
check "and back, without a lost request" back_again

tests_end
