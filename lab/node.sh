# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Nodes: each has its cgroup, its own bpffs and its lbd.

LBD_START_S=60
LBD_WAIT_S=60

node_dir() { # NODE
	echo "$LAB_DIR/$1"
}

lbd_group() { # NODE
	echo "$(cgroup_dir "$1")/lbd"
}

node_create() { # NODE
	mkdir -p "$(node_dir "$1")/bpf" "$(lbd_group "$1")"
	mount -t bpf bpf "$(node_dir "$1")/bpf"
	lbd_start "$1"
}

# All at once: a start is mostly waiting for the kernel.
nodes_create() {
	local node pid starting=()
	for node in "${nodes[@]}"; do
		node_create "$node" &
		starting+=($!)
	done
	for pid in "${starting[@]}"; do wait "$pid" || exit 1; done
}

node_remove() { # NODE
	local other dir
	dir=$(node_dir "$1")
	cgroup_remove "$(cgroup_dir "$1")"
	# Without its veth at once: the namespace's end comes some time later.
	ip -n "$(namespace "$1")" link delete eth0 2>/dev/null || true
	ip netns delete "$(namespace "$1")" 2>/dev/null || true
	for other in "${nodes[@]}"; do node_forget "$other" "$1"; done
	node_forget client "$1"
	if mountpoint -q "$dir/bpf"; then umount "$dir/bpf"; fi
	rm -rf --one-file-system "$dir"
}

# What is left of nodes that the lab has no more, once their pods are gone.
nodes_sweep() {
	local dir node
	for dir in "$LAB_DIR"/node*/; do
		[[ -d $dir ]] || continue
		node=$(basename "$dir")
		is_node "$node" || node_remove "$node"
	done
}

# From now on the lab has no such node; reconcile() clears away what is left.
node_drop() { # NODE
	local node left=()
	for node in "${nodes[@]}"; do [[ $node = "$1" ]] || left+=("$node"); done
	nodes=("${left[@]}")
	settings_write
	client_routes_update
	nodes_publish
}

# Drain a node and take it away; by force, it falls silent and is missed a
# second later.
node_delete() { # NODE yes|no
	local pod
	((${#nodes[@]} > 1)) || die "$1: the only node can't be killed"
	if [[ $2 = yes ]]; then
		ip -n "$(namespace "$1")" link set eth0 down
		cgroup_kill "$(cgroup_dir "$1")"
		sleep 1
	else
		for pod in $(pods_of "$1"); do touch "$(pod_dir "$pod")/terminating"; done
		cordoned=$1
		reconcile
	fi
	node_drop "$1"
	reconcile
}

nodes_remove() {
	local mount
	for mount in "$LAB_DIR"/*/bpf; do
		if mountpoint -q "$mount"; then umount "$mount"; fi
	done
}

lbd_lives() { # NODE
	local pid
	read -r pid 2>/dev/null <"$(node_dir "$1")/lbd.pid" && process_lives "$(lbd_group "$1")" "$pid"
}

lbd_arguments() { # NODE; sets $arguments
	local dir
	dir=$(node_dir "$1")
	arguments=(--source "file:$LAB_DIR/manifests" --device eth0 --hook "$hook"
		--bpffs "$dir/bpf/guideway" --control "$dir/lbd.sock"
		--socket-lb "$(cgroup_dir "$1")" --node "$1" --node-address "$(node_ip4 "$1")" --pod-cidr "$(node_pod_cidr4 "$1")")
	[[ $ipv6 = no ]] || arguments+=(--node-address "$(node_ip6 "$1")" --pod-cidr "$(node_pod_cidr6 "$1")")
	arguments+=("${lbd_options[@]}")
}

lbd_start() { # NODE
	local dir arguments tries
	! lbd_lives "$1" || die "$1: lbd runs already"
	dir=$(node_dir "$1")
	rm -f "$dir/lbd.sock"
	lbd_arguments "$1"
	spawn "$(lbd_group "$1")" "$(namespace "$1")" "$dir/lbd.log" "$(program lbd)" "${arguments[@]}"
	echo "$spawned" >"$dir/lbd.pid"
	for ((tries = 0; tries < LBD_START_S * 50; tries++)); do
		[[ ! -S $dir/lbd.sock ]] || return 0
		((tries < 5)) || lbd_lives "$1" || break
		sleep 0.02
	done
	die "$1: lbd did not start: $(tail -n 1 "$dir/lbd.log")"
}

lbd_signal() { # NODE SIGNAL
	local pid tries
	lbd_lives "$1" || die "$1: lbd does not run"
	read -r pid <"$(node_dir "$1")/lbd.pid"
	kill "-$2" "$pid"
	for ((tries = 0; tries < 500; tries++)); do
		lbd_lives "$1" || return 0
		sleep 0.02
	done
	die "$1: lbd does not end"
}

lbd_stop() { lbd_signal "$1" TERM; }
lbd_kill() { lbd_signal "$1" KILL; }

lbctl_on() { # NODE ARGS...
	local node=$1
	shift
	nsenter --net="/run/netns/$(namespace "$node")" "$(program lbctl)" \
		--control "$(node_dir "$node")/lbd.sock" --bpffs "$(node_dir "$node")/bpf/guideway" "$@"
}

# Wait until every lbd has all manifests in its maps.
lbd_wait_all() {
	local node
	for node in "${nodes[@]}"; do
		lbd_lives "$node" || continue # someone stopped it: `lab lbd`
		lbctl_on "$node" wait --timeout "$LBD_WAIT_S" >/dev/null || die "$node: lbd did not take over the manifests"
	done
}
