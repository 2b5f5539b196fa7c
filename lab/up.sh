# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# lab up: from options to a lab that is up, or to nothing at all.

up_options() {
	while (($#)); do
		case $1 in
		--nodes | --replicas | --app | --hook) (($# > 1)) || bad_usage "$1: its value is missing" ;;
		esac
		case $1 in
		--nodes)
			[[ $2 =~ ^[0-9]{1,3}$ ]] && ((10#$2 >= 1 && 10#$2 <= NODES_MAX)) ||
				bad_usage "--nodes $2: not a number from 1 to $NODES_MAX"
			mapfile -t nodes < <(seq -f node%.0f $((10#$2)))
			shift
			;;
		--replicas)
			is_count "$2" || bad_usage "--replicas $2: not a number from 0 to $PODS_MAX"
			replicas=$((10#$2))
			shift
			;;
		--app) app=$2 && shift ;;
		--hook) hook=$2 && shift ;;
		--ipv6) ipv6=yes ;;
		--ecmp) ecmp=yes ;;
		--) lbd_options=("${@:2}") && return ;;
		*) bad_usage "up: $1: unknown option" ;;
		esac
		shift
	done
}

# What replica can be, by its own word.
app_check() {
	local said
	[[ $app != none ]] || return 0
	said=$("$(program replica)" --app "$app" --version 2>&1) || bad_usage "up ${said#replica: } none"
}

up_ended() {
	trap '' INT TERM
	lab_remove
}

# The directory is there and ours to remove, or neither: a signal in between
# waits.
state_create() {
	local interrupted=0
	[[ -d $(dirname "$LAB_DIR") ]] || die "$(dirname "$LAB_DIR"): no such directory, for the lab's own"
	trap 'interrupted=130' INT
	trap 'interrupted=143' TERM
	mkdir "$LAB_DIR" 2>/dev/null || die "$LAB_DIR can't be made; is another lab being started?"
	trap up_ended EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	((interrupted == 0)) || exit $interrupted
	mkdir "$LAB_DIR/manifests" "$LAB_DIR/pods" "$LAB_DIR/workloads" "$LAB_DIR/templates" "$LAB_DIR/services"
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$LAB_DIR/hosts"
	# A bare chroot has none, and a pod's is mounted over it.
	[[ -e /etc/hosts ]] || { : >"$LAB_DIR/hosts.ours" && : >/etc/hosts; }
}

cmd_up() {
	local start=${EPOCHREALTIME/./}
	# Without a trap bash goes on where the command that runs just now ends well.
	trap 'exit 130' INT
	trap 'exit 143' TERM
	up_options "$@"
	local name
	for name in replica lbd lbctl; do program "$name" >/dev/null; done
	app_check
	if lab_exists; then
		# A killed lab's last child may hold the lock a moment longer.
		[[ ! -e $LAB_DIR/lock ]] || lock -w 2
		lab_is_up && die "a lab is up already; \`lab down\` ends it"
		die "a lab that ended badly left things behind; \`lab down\` removes them"
	fi
	state_create
	lock -n
	settings_write
	cgroups_prepare
	# A child does the work, and is killed with all it started if a signal
	# comes: bash 5.2 trips over traps between two command substitutions.
	up_work "$start" &
	wait $! || exit $?
	trap - EXIT
}

up_work() { # START
	trap - EXIT
	echo "$BASHPID" >"$(cgroup_dir worker)/cgroup.procs"
	network_create
	nodes_publish
	nodes_create
	service_publish
	web_put
	reconcile
	touch "$LAB_DIR/up"
	up_summary "$1"
}

nodes_named() {
	local last=${nodes[-1]}
	((${#nodes[@]} == 1)) && echo "$last" || echo "${nodes[0]} to $last"
}

up_summary() {
	local ms=$(((${EPOCHREALTIME/./} - $1) / 1000)) url=http://$SERVICE_IP4
	printf 'lab is up after %d.%d s: %s on %s\n' $((ms / 1000)) $((ms % 1000 / 100)) \
		"$([[ $app = none ]] && echo "no pods yet" || echo "$replicas pods of $app")" "$(nodes_named)"
	[[ $app != none ]] || { echo "  try        lab apply -f FILE" && return; }
	echo "  ClusterIP  $url/"
	echo "  NodePort   http://$(node_ip4 "${nodes[0]}"):$SERVICE_NODE_PORT/"
	[[ $ipv6 = no ]] || echo "  IPv6       http://[$SERVICE_IP6]/  http://[$(node_ip6 "${nodes[0]}")]:$SERVICE_NODE_PORT/"
	echo "  try        lab curl $url/"
}
