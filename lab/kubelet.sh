# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The kubelet: probes pods and starts again what has died.  While a command brings
# pods up it does the asking; between commands, and only once a manifest with pods
# has been applied, a loop of its own does it for all nodes, once a second.

READY_S=30 # how long a command waits for new pods
RESTART_MAX_S=30

# ---- probes --------------------------------------------------------------------

# Sets $check, the probe that a pod is to be asked now: KIND PERIOD FAILURES DELAY
# TIMEOUT, and what that kind needs.  Empty: there is none.
check_choose() { # POD now|liveness; after pod_launch
	check=("${readiness[@]}")
	if [[ $2 = liveness ]]; then
		check=("${liveness[@]}")
	elif ! pod_is "$1" started && ((${#startup[@]})); then
		check=("${startup[@]}")
	fi
}

# A probe that isn't HTTP, as a kubelet makes it: from the node, or in the pod.
check_run() { # POD
	local timeout=(timeout "${check[4]}") pid
	if [[ ${check[0]} = tcp ]]; then
		exec nsenter --net="/run/netns/$(namespace "$pod_node")" "${timeout[@]}" \
			bash -c 'exec 3<>/dev/tcp/$0/$1' "$pod_ip4" "${check[5]}"
	fi
	read -r pid <"$(pod_dir "$1")/pid"
	exec nsenter --target "$pid" --mount --root --wd --net "${timeout[@]}" "${check[@]:5}"
}

# HTTP probes of one node's pods, all at once: lines of "STATUS URL".
urls_ask() { # NODE TIMEOUT URL...
	local node=$1 timeout=$2 url outputs=()
	shift 2
	for url; do outputs+=(-o /dev/null); done
	# curl's status tells of those that don't answer.
	nsenter --net="/run/netns/$(namespace "$node")" curl -sgZ --noproxy '*' --max-time "$timeout" \
		-w '%{http_code} %{url_effective}\n' "${outputs[@]}" "$@" 2>/dev/null || true
}

# Ask pods.  Sets said[POD]: yes, no, silent (it doesn't answer, or it's too early).
pods_ask() { # now|liveness POD...
	local probe=$1 pod node url status timeout=1 check pid
	local environment command restart startup readiness liveness
	local -A pod_of=() urls=() pids=()
	said=()
	shift
	for pod; do
		[[ -e $(pod_dir "$pod")/record ]] || continue
		pod_launch "$pod"
		check_choose "$pod" "$probe"
		if ((${#check[@]} == 0)); then
			said[$pod]=yes
			continue
		fi
		said[$pod]=silent
		((${EPOCHREALTIME/./} - pod_born >= check[3] * 1000000)) || continue
		if [[ ${check[0]} = http ]]; then
			url=http://$pod_ip4:${check[5]}${check[6]}
			pod_of[$url]=$pod urls[$pod_node]+=" $url"
			((check[4] <= timeout)) || timeout=${check[4]}
		else
			(check_run "$pod") >/dev/null 2>&1 &
			pids[$pod]=$!
		fi
	done
	for node in "${!urls[@]}"; do
		# shellcheck disable=SC2086 # URLs have no blanks
		while read -r status url; do
			[[ $status != 000 ]] || continue
			said[${pod_of[$url]}]=no
			[[ $status != [23]* ]] || said[${pod_of[$url]}]=yes
		done < <(urls_ask "$node" "$timeout" ${urls[$node]})
	done
	for pod in "${!pids[@]}"; do
		! wait "${pids[$pod]}" || said[$pod]=yes
	done
}

# What an answer means for a pod.  One that has always been silent is still
# starting.
pod_judge() { # POD yes|no|silent
	local dir check since
	local environment command restart startup readiness liveness
	dir=$(pod_dir "$1")
	if [[ $2 = yes ]]; then
		rm -f "$dir/failing"
		touch "$dir/started" "$dir/ready"
		return
	fi
	[[ -e $dir/failing ]] || echo "$EPOCHSECONDS" >"$dir/failing"
	read -r since <"$dir/failing"
	pod_launch "$1"
	check_choose "$1" now
	((EPOCHSECONDS - since >= (check[2] - 1) * check[1])) || return 0
	rm -f "$dir/ready"
	[[ $2 = silent ]] || touch "$dir/started"
}

# ---- for a command -----------------------------------------------------------------

# Wait until new pods have said whether they are ready.
pods_wait_ready() {
	local starting pod end=$((SECONDS + READY_S))
	local -A said
	while mapfile -t starting < <(pods_starting) && ((${#starting[@]})); do
		((SECONDS < end)) || die "not ready after $READY_S s: ${starting[*]}"
		pods_ask now "${starting[@]}"
		for pod in "${starting[@]}"; do
			[[ ${said[$pod]} = yes ]] || pod_lives "$pod" ||
				die "$pod died: $(tail -n 1 "$(pod_dir "$pod")/log")"
			pod_judge "$pod" "${said[$pod]}"
		done
		sleep 0.01
	done
}

# ---- between commands --------------------------------------------------------------

pods_ready() {
	local file
	for file in "$LAB_DIR"/pods/*/ready; do echo "$file"; done
}

# What has died starts again: at once, then later each time.
pod_restart() { # POD
	local dir died restarts=0 wait environment command restart startup readiness liveness
	dir=$(pod_dir "$1")
	pod_launch "$1"
	[[ $restart != Never ]] || return 0
	rm -f "$dir/ready" "$dir/started" "$dir/failing"
	[[ -e $dir/died ]] || echo "$EPOCHSECONDS" >"$dir/died"
	[[ ! -e $dir/restarts ]] || read -r restarts <"$dir/restarts"
	read -r died <"$dir/died"
	wait=$((restarts < 5 ? (1 << restarts) - 1 : RESTART_MAX_S))
	((EPOCHSECONDS - died >= wait)) || return 0
	echo $((restarts + 1)) >"$dir/restarts"
	rm "$dir/died"
	pod_start "$1"
}

# Is a probe to be made in this second?  After check_choose.
check_is_due() { # TICK
	((${#check[@]} && $1 % check[1] == 0))
}

# A command may have replaced a pod by one of the same name while it was asked.
pod_is_still() { # POD; uids[] has what it was
	[[ -e $(pod_dir "$1")/record ]] && ! pod_is "$1" terminating || return 1
	pod_read "$1"
	[[ $pod_uid = "${uids[$1]}" ]]
}

kubelet_tick() { # TICK
	local pod check ask=() alive=() dead=() before
	local environment command restart startup readiness liveness
	local -A said heard uids=()
	need_lab
	for pod in $(pod_names); do
		! pod_is "$pod" terminating || continue
		pod_read "$pod"
		uids[$pod]=$pod_uid
		pod_lives "$pod" || { dead+=("$pod") && continue; }
		pod_launch "$pod"
		check_choose "$pod" now
		if check_is_due "$1" || ! pod_is "$pod" started; then ask+=("$pod"); fi
		check_choose "$pod" liveness
		! check_is_due "$1" || ! pod_is "$pod" started || alive+=("$pod")
	done
	((${#ask[@]} + ${#alive[@]} + ${#dead[@]})) || return 0
	pods_ask liveness "${alive[@]}"
	for pod in "${!said[@]}"; do heard[$pod]=${said[$pod]}; done
	pods_ask now "${ask[@]}"
	lock -w 60
	before=$(pods_ready)
	for pod in "${!said[@]}"; do
		! pod_is_still "$pod" || pod_judge "$pod" "${said[$pod]}"
	done
	for pod in "${!heard[@]}"; do
		! pod_is_still "$pod" || pod_let_live "$pod" "${heard[$pod]}"
	done
	for pod in "${dead[@]}"; do
		! pod_is_still "$pod" || pod_restart "$pod"
	done
	[[ $(pods_ready) = "$before" ]] || endpoints_publish
}

# A pod whose liveness probe has failed often enough is killed, to be restarted.
pod_let_live() { # POD yes|no|silent
	local dir check count=0 environment command restart startup readiness liveness
	dir=$(pod_dir "$1")
	[[ $2 != yes ]] || { rm -f "$dir/unwell" && return; }
	[[ ! -e $dir/unwell ]] || read -r count <"$dir/unwell"
	echo $((count + 1)) >"$dir/unwell"
	pod_launch "$1"
	check_choose "$1" liveness
	((count + 1 < check[2])) || { rm "$dir/unwell" && cgroup_kill "$(cgroup_dir "$1")"; }
}

# A child does each round: whatever goes wrong in it, the next one comes.
cmd_kubelet() {
	local tick=0
	while lab_is_up; do
		kubelet_tick $tick &
		wait $! || true
		tick=$((tick + 1))
		# Sooner, where somebody is starting.
		[[ -n $(pods_starting) ]] && sleep 0.2 || sleep 1
	done
}

kubelet_start() {
	local pid group
	group=$(cgroup_dir worker)
	! read -r pid 2>/dev/null <"$LAB_DIR/kubelet.pid" || ! process_lives "$group" "$pid" || return 0
	spawn "$group" "$(namespace switch)" "$LAB_DIR/kubelet.log" "$here/lab" kubelet
	echo "$spawned" >"$LAB_DIR/kubelet.pid"
}
