# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Processes: each node has a cgroup, each pod one below it, so that whatever
# was started there, by whomever, ends with it.

# The path of one of our programs, which may be a link that gives it its name.
program() { # NAME
	local build=${GUIDEWAY_BUILD:-$here/../build}
	if [[ -x $build/$1 ]]; then
		realpath -s "$build/$1"
	else
		command -v "$1" || die "$1 is neither in $build nor in \$PATH; \`make deps all\` mends it"
	fi
}

# ---- cgroups ---------------------------------------------------------------

# Where cgroup2 is mounted: /sys/fs/cgroup, or .../unified beside version 1.
cgroup_mount() {
	awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts
}

cgroup_root= # once it is known

cgroup_dir() { # [NODE|client|worker|POD]
	local root=$cgroup_root pod_node
	[[ -n $root ]] || root=$(cgroup_mount)/$LAB
	case ${1-} in
	'') echo "$root" ;;
	client | worker | node*) echo "$root/$1" ;;
	*) pod_read "$1" && echo "$root/$pod_node/$1" ;;
	esac
}

# Mounts cgroup2 if nobody has.
cgroups_prepare() {
	if [[ -z $(cgroup_mount) ]]; then
		mkdir -p "$LAB_DIR/cgroup2"
		mount -t cgroup2 cgroup2 "$LAB_DIR/cgroup2" || die "cgroup2 can't be mounted"
	fi
	cgroup_root=$(cgroup_dir)
	mkdir -p "$cgroup_root/client" "$cgroup_root/worker"
}

cgroup_members() { # DIR
	[[ ! -d $1 ]] || find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

# kill -9 everything in a cgroup and below and wait until it is dead.
cgroup_kill() { # DIR
	local tries pid
	for ((tries = 0; tries < 250; tries++)); do
		[[ -n $(cgroup_members "$1") ]] || return 0
		if [[ -e $1/cgroup.kill ]]; then
			echo 1 >"$1/cgroup.kill"
		else # before Linux 5.14
			for pid in $(cgroup_members "$1"); do kill -9 "$pid" 2>/dev/null || true; done
		fi
		sleep 0.02
	done
	die "$1: these don't end: $(cgroup_members "$1" | tr '\n' ' ')"
}

# Again and again: a process on its way into the cgroup joins after the killing,
# or finds it gone and ends.
cgroup_remove() { # DIR
	local tries
	for ((tries = 0; tries < 250; tries++)); do
		[[ -d $1 ]] || return 0
		cgroup_kill "$1"
		find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.02
	done
	die "$1: can't be removed"
}

processes_remove() {
	cgroup_remove "$(cgroup_dir)"
	if mountpoint -q "$LAB_DIR/cgroup2"; then umount "$LAB_DIR/cgroup2"; fi
}

# ---- running things --------------------------------------------------------

# Is the process still in the cgroup?  (A zombie isn't.)
process_lives() { # CGROUP PID
	local members=()
	[[ ! -e $1/cgroup.procs ]] || mapfile -t members <"$1/cgroup.procs"
	[[ " ${members[*]} " = *" $2 "* ]]
}

# Start a process that outlives this command; sets $spawned to its pid.
spawn() { # CGROUP NAMESPACE LOG CMD...
	local group=$1 namespace=$2 log=$3
	shift 3
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec setsid nsenter --net="/run/netns/$namespace" "$@"
	) </dev/null >>"$log" 2>&1 {lock_fd}>&- &
	spawned=$!
	disown # or bash would tell of its end
}

# Become a command on a pod, a node or the client.
run_in() { # POD|NODE|client CMD...
	local where=$1 pid environment=() inside=()
	shift
	if [[ -n $where && -d $(pod_dir "$where") ]]; then
		pod_launch "$where"
		# A pod's names are in its mount namespace, which ends with its process.
		read -r pid <"$(pod_dir "$where")/pid"
		! pod_lives "$where" || inside=(--target "$pid" --mount --root --wd)
	elif ! is_node "$where" && [[ $where != client ]]; then
		die "$where: no such pod or node"
	fi
	echo "$BASHPID" >"$(cgroup_dir "$where")/cgroup.procs"
	exec nsenter "${inside[@]}" --net="/run/netns/$(namespace "$where")" env "${environment[@]}" "$@"
}
