# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Pods.  A pod is a directory:
#   record       what it is: "NODE IP4 IP6 UID BORN OWNER TEMPLATE" (BORN in
#                microseconds; workloads.sh has the others)
#   pid, log     its one process
#   started      exists once it has said whether it is ready
#   ready        exists while it says so
#   terminating  exists once it was deleted
#   failing, unwell, restarts, died    the kubelet's (kubelet.sh)
#   data         where it runs

PODS_MAX=200
EXIT_S=10
cordoned= # a node that gets no more pods

pod_dir() { echo "$LAB_DIR/pods/$1"; }

# Sets $pod_node, $pod_ip4, $pod_ip6, $pod_uid, $pod_born, $pod_owner, $pod_template
# and $pod_device.
pod_read() { # POD
	# shellcheck disable=SC2034 # for the caller
	read -r pod_node pod_ip4 pod_ip6 pod_uid pod_born pod_owner pod_template <"$LAB_DIR/pods/$1/record"
	pod_device=veth${pod_ip4##*.}
}

pod_is() { # POD started|ready|terminating
	[[ -e $LAB_DIR/pods/$1/$2 ]]
}

pod_lives() { # POD
	local pid
	read -r pid 2>/dev/null <"$LAB_DIR/pods/$1/pid" && process_lives "$(cgroup_dir "$1")" "$pid"
}

# All pods, the oldest first.
pod_names() {
	local record pod
	for record in "$LAB_DIR"/pods/*/record; do
		[[ -e $record ]] || continue
		pod=${record%/record}
		pod=${pod##*/}
		pod_read "$pod"
		echo "$pod_born $pod"
	done | sort -n | cut -d ' ' -f 2
}

pods_of() { # NODE
	local pod
	for pod in $(pod_names); do
		pod_read "$pod"
		[[ $pod_node != "$1" ]] || echo "$pod"
	done
}

pods_terminating() {
	local pod
	for pod in $(pod_names); do ! pod_is "$pod" terminating || echo "$pod"; done
}

pods_starting() {
	local pod
	for pod in $(pod_names); do pod_is "$pod" started || pod_is "$pod" terminating || echo "$pod"; done
}

need_pod() {
	[[ -n $1 && -e $(pod_dir "$1")/record ]] || die "$1: no such pod; \`lab pods\` lists them"
}

# ---- one pod's life --------------------------------------------------------

# Letters as Kubernetes takes them for names: none that make words.
random_name() { # LENGTH
	local letters=bcdfghjklmnpqrstvwxz2456789 name=
	while ((${#name} < $1)); do name+=${letters:RANDOM % ${#letters}:1}; done
	echo "$name"
}

# Sets $number, the last part of a new pod's addresses: the next that is free,
# so that a dead pod's address comes back as late as possible.  1 is the node.
number_allocate() { # NODE
	local used
	used=" $(find "$LAB_DIR/pods" -name record -exec cut -d ' ' -f 2 {} + | tr '\n' ' ')"
	number=1
	[[ ! -e $LAB_DIR/last_number ]] || read -r number <"$LAB_DIR/last_number"
	while number=$((number % 250 + 1)); do
		((number == 1)) || [[ $used = *" $(pod_address4 "$1" $number) "* ]] || break
	done
	echo $number >"$LAB_DIR/last_number"
}

# Sets $node, where the next pod goes: where its template wants it, else to the
# node that has the fewest.
node_choose() { # [NODE]
	local candidate records count least=
	is_node "${1:-none}" && node=$1 && return
	records=$(find "$LAB_DIR/pods" -name record -exec cut -d ' ' -f 1 {} +)
	for candidate in "${nodes[@]}"; do
		[[ $candidate != "$cordoned" ]] || continue
		count=$(grep -cx "$candidate" <<<"$records") || true
		[[ -n $least ]] && ((count >= least)) || { node=$candidate && least=$count; }
	done
}

# Fails where there is one of this name.
pod_create() { # POD OWNER TEMPLATE; after workload_read
	local pod=$1 node number
	mkdir "$(pod_dir "$pod")" 2>/dev/null || return 1
	node_choose "$node_wanted"
	number_allocate "$node"
	echo "$node $(pod_address4 "$node" "$number") $(pod_address6 "$node" "$number")" \
		"$(</proc/sys/kernel/random/uuid) ${EPOCHREALTIME/./} $2 $3" >"$(pod_dir "$pod")/record"
	pod_read "$pod"
	mkdir -p "$(cgroup_dir "$pod")" "$(pod_dir "$pod")/data"
	namespace_create "$pod"
	pod_plug "$pod" "$node" "$pod_device" "$pod_ip4" "$pod_ip6"
	pod_start "$pod"
}

# A pod's process, with names of Services for /etc/hosts.  It doesn't hold what is
# mounted for nodes.
pod_start() { # POD
	local environment command restart startup readiness liveness
	pod_launch "$1"
	command[0]=$(program "${command[0]}")
	# shellcheck disable=SC2016 # for the pod's shell
	spawn "$(cgroup_dir "$1")" "$(namespace "$1")" "$(pod_dir "$1")/log" unshare --mount --propagation slave \
		sh -c 'umount -l "$0"/node*/bpf; mount --bind "$0/hosts" /etc/hosts || exit; cd "$1" && shift && exec env "$@"' \
		"$LAB_DIR" "$(pod_dir "$1")/data" "${environment[@]}" "${command[@]}"
	echo "$spawned" >"$(pod_dir "$1")/pid"
}

pod_remove() { # POD
	pod_read "$1"
	cgroup_remove "$(cgroup_dir "$1")"
	pod_unplug "$1" "$pod_node" "$pod_device"
	rm -r "$(pod_dir "$1")"
}

# Pods of a node that is gone, and those that an interrupted command has left half
# made: nobody knows them yet.
pods_sweep() {
	local dir pod
	for pod in $(pod_names); do
		pod_read "$pod"
		is_node "$pod_node" || pod_remove "$pod"
	done
	for dir in "$LAB_DIR"/pods/*/; do
		[[ -d $dir && ! -e $dir/pid ]] || continue
		if [[ -s $dir/record ]]; then
			pod_remove "$(basename "$dir")"
		else
			rm -r "$dir"
		fi
	done
}

# Dies without a word to anyone; its node needs a second to notice.
pod_die() { # POD
	cgroup_kill "$(cgroup_dir "$1")"
	sleep 1
	pod_remove "$1"
}

# ---- the end of pods ---------------------------------------------------------

pods_terminate() {
	local pod pid
	for pod in $(pods_terminating); do
		read -r pid <"$(pod_dir "$pod")/pid"
		! pod_lives "$pod" || kill -TERM "$pid"
	done
}

pods_reap() {
	local pod end=$((SECONDS + EXIT_S))
	for pod in $(pods_terminating); do
		while pod_lives "$pod" && ((SECONDS < end)); do sleep 0.02; done
		pod_remove "$pod"
	done
}

# ---- lab pods --------------------------------------------------------------

age_format() { # SECONDS
	if (($1 < 120)); then
		echo "$1s"
	elif (($1 < 7200)); then
		echo "$(($1 / 60))m$(($1 % 60))s"
	else
		echo "$(($1 / 3600))h"
	fi
}

pod_row() { # POD WIDTH
	local ready=0/1 status=Running age
	pod_read "$1"
	! pod_is "$1" ready || ready=1/1
	if pod_is "$1" terminating; then
		status=Terminating
	elif ! pod_lives "$1"; then
		status=Error ready=0/1
		[[ ! -e $(pod_dir "$1")/died ]] || status=CrashLoop
	fi
	age=$(age_format $(((${EPOCHREALTIME/./} - pod_born) / 1000000)))
	printf '%-*s %-6s %-12s %-14s %-7s %s\n' "$2" "$1" "$ready" "$status" "$pod_ip4" "$pod_node" "$age"
}
