# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Pods and the ReplicaSet that keeps their number.  A pod is a directory:
#   record       what it is: "NODE IP4 IP6 UID BORN" (BORN in microseconds)
#   pid, log     its replica
#   ready        exists once /health has answered
#   terminating  exists once it was deleted

PODS_MAX=200
READY_S=15
EXIT_S=10
cordoned= # a node that gets no more pods

pod_dir() { echo "$LAB_DIR/pods/$1"; }
pod_device() { echo "veth${1##*-}"; }

# Sets $pod_node, $pod_ip4, $pod_ip6, $pod_uid and $pod_born.
pod_read() { # POD
	# shellcheck disable=SC2034 # for the caller
	read -r pod_node pod_ip4 pod_ip6 pod_uid pod_born <"$LAB_DIR/pods/$1/record"
}

pod_is() { # POD ready|terminating
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
	for pod in $(pod_names); do pod_is "$pod" ready || pod_is "$pod" terminating || echo "$pod"; done
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

pod_environment() { # POD
	pod_read "$1"
	printf '%s\n' "HOSTNAME=$1" "POD_NAME=$1" "POD_IP=$pod_ip4" "NODE_NAME=$pod_node"
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

# Sets $node, where the next pod goes: to the node that has the fewest.
node_choose() {
	local candidate records count least=
	records=$(find "$LAB_DIR/pods" -name record -exec cut -d ' ' -f 1 {} +)
	for candidate in "${nodes[@]}"; do
		[[ $candidate != "$cordoned" ]] || continue
		count=$(grep -cx "$candidate" <<<"$records") || true
		[[ -n $least ]] && ((count >= least)) || { node=$candidate && least=$count; }
	done
}

pod_create() {
	local pod node number environment
	pod=$SERVICE-$pod_hash-$(random_name 5)
	mkdir "$(pod_dir "$pod")" 2>/dev/null || return 0 # taken: the caller tries again
	node_choose
	number_allocate "$node"
	echo "$node $(pod_address4 "$node" "$number") $(pod_address6 "$node" "$number")" \
		"$(</proc/sys/kernel/random/uuid) ${EPOCHREALTIME/./}" >"$(pod_dir "$pod")/record"
	pod_read "$pod"
	mkdir -p "$(cgroup_dir "$pod")"
	namespace_create "$pod"
	pod_plug "$pod" "$node" "$(pod_device "$pod")" "$pod_ip4" "$pod_ip6"
	mapfile -t environment < <(pod_environment "$pod")
	spawn "$(cgroup_dir "$pod")" "$(namespace "$pod")" "$(pod_dir "$pod")/log" env "${environment[@]}" \
		"$(program replica)" --app "$app" --port "$POD_PORT"
	echo "$spawned" >"$(pod_dir "$pod")/pid"
}

pod_remove() { # POD
	pod_read "$1"
	cgroup_remove "$(cgroup_dir "$1")"
	pod_unplug "$1" "$pod_node" "$(pod_device "$1")"
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

# ---- the ReplicaSet --------------------------------------------------------

# Those to go first when there are too many: not ready before ready, young
# before old.
pods_by_dispensability() {
	local pod ready
	for pod in $(pod_names); do
		! pod_is "$pod" terminating || continue
		ready=0
		! pod_is "$pod" ready || ready=1
		pod_read "$pod"
		echo "$ready $pod_born $pod"
	done | sort -k 1,1n -k 2,2nr | cut -d ' ' -f 3
}

replicas_adjust() {
	local pods
	while mapfile -t pods < <(pods_by_dispensability) && ((${#pods[@]} < replicas)); do
		pod_create
	done
	for pod in "${pods[@]:0:${#pods[@]} - replicas}"; do
		touch "$(pod_dir "$pod")/terminating"
	done
}

# Mark the pods that have begun to answer; fails if one has died.
pods_probe() { # POD...
	local node
	for node in "${nodes[@]}"; do node_probe "$node" "$@"; done
}

# A kubelet asks the pods of its own node.
node_probe() { # NODE POD...
	local node=$1 pod pods=() urls=() answered
	shift
	for pod; do
		pod_read "$pod"
		[[ $pod_node = "$node" ]] || continue
		pods+=("$pod")
		urls+=(-o /dev/null "http://$pod_ip4:$POD_PORT/health")
	done
	((${#pods[@]})) || return 0
	# curl's status tells of those that don't answer yet.
	answered=$(nsenter --net="/run/netns/$(namespace "$node")" \
		curl -sZ --max-time 1 -w '%{http_code} %{remote_ip}\n' "${urls[@]}" 2>/dev/null) || true
	for pod in "${pods[@]}"; do
		pod_read "$pod"
		if [[ $'\n'$answered$'\n' = *$'\n'"200 $pod_ip4"$'\n'* ]]; then
			touch "$(pod_dir "$pod")/ready"
		elif ! pod_lives "$pod"; then
			die "$pod died: $(tail -n 1 "$(pod_dir "$pod")/log")"
		fi
	done
}

pods_wait_ready() {
	local starting end=$((SECONDS + READY_S))
	while mapfile -t starting < <(pods_starting) && ((${#starting[@]})); do
		((SECONDS < end)) || die "not ready after $READY_S s: ${starting[*]}"
		pods_probe "${starting[@]}"
		sleep 0.01
	done
}

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

# Bring the pods to what is wished for, in Kubernetes' order: endpoints are
# terminating before their pods hear of it, and ready only when they answer.
reconcile() {
	pods_sweep
	nodes_sweep
	replicas_adjust
	slices_publish
	lbd_wait_all
	pods_terminate
	pods_wait_ready
	pods_reap
	slices_publish
	lbd_wait_all
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

pod_row() { # POD
	local ready=0/1 status=Running age
	pod_read "$1"
	! pod_is "$1" ready || ready=1/1
	if pod_is "$1" terminating; then
		status=Terminating
	elif ! pod_lives "$1"; then
		status=Error ready=0/1
	fi
	age=$(age_format $(((${EPOCHREALTIME/./} - pod_born) / 1000000)))
	printf '%-26s %-6s %-12s %-14s %-7s %s\n' "$1" "$ready" "$status" "$pod_ip4" "$pod_node" "$age"
}
