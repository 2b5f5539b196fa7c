# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Workloads and the controllers that keep their pods' number.  What `lab apply`
# is given becomes
#   workloads/ID            a workload, as shell: see workload_read()
#   templates/HASH          what its pods are, as shell (apply.jq: launch), and
#   templates/HASH.json     what EndpointSlices need to know of them
#   services/ID.json        a Service with all that the API server fills in
# and what isn't the lab's to do is handed to lbd as it is.  ID is
# KIND.NAMESPACE.NAME.  The lab's own pods are Deployment.default.web.

WEB=Deployment.default.web

# ---- templates ---------------------------------------------------------------

# Sets $template, the name of a pod template: the same for the same content.
template_put() { # LAUNCH SEEN-JSON
	template=$(sha256sum <<<"$1$2")
	template=$(tr 0-9a-f bcdfghjklmnpqrst <<<"${template:0:10}")
	echo "{\"$template\": $2}" >"$LAB_DIR/templates/$template.json"
	echo "$1" >"$LAB_DIR/templates/$template"
}

# Sets what pod_read() sets, and $command, $environment, $restart, $startup,
# $readiness, $liveness and $pod_namespace.
pod_launch() { # POD
	local pod=$1 # named by the template
	pod_read "$pod"
	environment=() startup=() readiness=() liveness=()
	# shellcheck disable=SC1090
	. "$LAB_DIR/templates/$pod_template"
	environment=("HOSTNAME=$pod" "${environment[@]}")
}

# ---- workloads ---------------------------------------------------------------

workload_ids() {
	local file
	for file in "$LAB_DIR"/workloads/*; do
		[[ ! -e $file || $file = *.new ]] || echo "${file##*/}"
	done
}

# Sets $kind, $name, $replicas, $template and $node_wanted.
workload_read() { # ID
	# shellcheck disable=SC1090
	. "$LAB_DIR/workloads/$1"
}

workload_write() { # ID
	printf '%s=%q\n' kind "$kind" name "$name" replicas "$replicas" template "$template" node_wanted "$node_wanted" \
		>"$LAB_DIR/workloads/$1.new"
	mv "$LAB_DIR/workloads/$1.new" "$LAB_DIR/workloads/$1"
}

workload_put() { # ID TITLE KIND NAME REPLICAS NODE LAUNCH SEEN-JSON
	local kind=$3 name=$4 replicas=$5 node_wanted=$6 template before=
	template_put "$7" "$8"
	[[ ! -e $LAB_DIR/workloads/$1 ]] || before=$(<"$LAB_DIR/workloads/$1")
	workload_write "$1"
	put_told "$2" "$before" "$(<"$LAB_DIR/workloads/$1")"
}

put_told() { # TITLE BEFORE AFTER
	if [[ -z $2 ]]; then
		echo "$1 created"
	elif [[ $2 = "$3" ]]; then
		echo "$1 unchanged"
	else
		echo "$1 configured"
	fi
}

object_delete() { # ID TITLE
	local path
	for path in "$LAB_DIR/workloads/$1" "$LAB_DIR/services/$1.json"; do
		[[ -e $path ]] || continue
		rm "$path"
		echo "$2 deleted"
		deleted=yes
	done
}

# The lab's own: what `lab up` starts.  What dies stays dead until a command
# comes, so that one can see what the balancer makes of it.
web_put() {
	local kind=Deployment name=$SERVICE node_wanted= template
	[[ $app != none ]] || return 0
	template_put "pod_namespace=default restart=Never
environment=(\"POD_NAME=\$pod\" \"POD_IP=\$pod_ip4\" \"NODE_NAME=\$pod_node\")
command=(replica --app $app --port $POD_PORT)
startup=(http 1 1 0 1 $POD_PORT /health)" \
		"{\"namespace\":\"default\",\"labels\":{\"app\":\"$SERVICE\"},\"ports\":[{\"name\":\"http\",\"port\":$POD_PORT}]}"
	workload_write $WEB
}

# ---- their pods ----------------------------------------------------------------

# Those to go first when there are too many: not ready before ready, young
# before old, and of a StatefulSet the last.
pods_by_dispensability() { # ID
	local pod ready
	for pod in $(pods_of_workload "$1"); do
		! pod_is "$pod" terminating || continue
		ready=0
		pod_read "$pod"
		! pod_is "$pod" ready || ready=1
		echo "$ready $pod_born $pod"
	done | if [[ $1 = StatefulSet.* ]]; then sort -V -r -k 3; else sort -k 1,1n -k 2,2nr; fi | cut -d ' ' -f 3
}

pods_of_workload() { # ID
	local pod
	for pod in $(pod_names); do
		pod_read "$pod"
		[[ $pod_owner != "$1" ]] || echo "$pod"
	done
}

pod_delete() { # POD...
	local pod
	for pod; do
		touch "$(pod_dir "$pod")/terminating"
	done
}

# The name of the next pod of a workload; empty: it has to wait.
pod_name_next() { # ID
	local number
	case $kind in
	Pod | StatefulSet)
		[[ $kind = StatefulSet ]] || { [[ -e $(pod_dir "$name") ]] || echo "$name" && return; }
		for ((number = 0; number < replicas; number++)); do
			[[ -e $(pod_dir "$name-$number") ]] || { echo "$name-$number" && return; }
		done
		;;
	Deployment) echo "$name-$template-$(random_name 5)" ;;
	ReplicaSet) echo "$name-$(random_name 5)" ;;
	esac
}

# A changed Deployment has its new pods before the old ones go; where a pod has a
# name of its own the old one goes first, and a ReplicaSet keeps what it has.
workload_adjust() { # ID
	local kind name replicas template node_wanted all pods=() old=() count pod
	workload_read "$1"
	mapfile -t all < <(pods_by_dispensability "$1")
	for pod in "${all[@]}"; do
		pod_read "$pod"
		if [[ $pod_template = "$template" || $kind = ReplicaSet ]]; then pods+=("$pod"); else old+=("$pod"); fi
	done
	((${#old[@]} == 0)) || again=yes
	[[ $kind = Deployment ]] || pod_delete "${old[@]}"
	count=${#pods[@]}
	while ((count < replicas)) && pod=$(pod_name_next "$1"); do
		[[ -n $pod ]] || { again=yes && break; }
		! pod_create "$pod" "$1" "$template" || count=$((count + 1))
	done
	((${#pods[@]} <= replicas)) || pod_delete "${pods[@]:0:${#pods[@]} - replicas}"
	[[ $kind = Deployment ]] && ((count == ${#pods[@]})) || return 0
	for pod in "${pods[@]}"; do pod_is "$pod" started || return 0; done
	pod_delete "${old[@]}"
}

workloads_adjust() {
	local id pod
	for id in $(workload_ids); do workload_adjust "$id"; done
	for pod in $(pod_names); do
		pod_read "$pod"
		pod_is "$pod" terminating || [[ -e $LAB_DIR/workloads/$pod_owner ]] || pod_delete "$pod"
	done
}

# Bring the pods to what is wished for, in Kubernetes' order: endpoints are
# terminating before their pods hear of it, and ready only when they answer.
# Once more where that made room: for a Deployment's old pods to go, for a
# StatefulSet's names to come back.
reconcile() {
	local round again=yes
	for ((round = 0; round < 3; round++)); do
		[[ $again = yes ]] || return 0
		again=no
		pods_sweep
		nodes_sweep
		workloads_adjust
		endpoints_publish
		lbd_wait_all
		pods_terminate
		pods_wait_ready
		pods_reap
		endpoints_publish
		lbd_wait_all
	done
}

# ---- lab apply, lab delete -----------------------------------------------------

# What apply.jq has to say of a file.
apply_jq() { # FILE apply|delete|rest
	local objects
	objects=$("$(program lab-objects)" "$1") || exit 1
	jq -rs --arg file "$1" --arg mode "$2" --arg ipv6 "$ipv6" --arg app "$app" --argjson pods_max $PODS_MAX \
		--slurpfile services <(services_json) -f "$here/apply.jq" <<<"$objects" || exit 1
}

service_put() { # ID TITLE JSON
	local path=$LAB_DIR/services/$1.json before=
	[[ ! -e $path ]] || before=$(<"$path")
	echo "$3" >"$path"
	put_told "$2" "$before" "$3"
}

# All of a file is understood before anything is done.
objects_apply() { # FILE
	local lines rest
	lines=$(apply_jq "$1" apply) || exit 1
	rest=$(apply_jq "$1" rest) || exit 1
	manifest_install "$1" "$rest"
	eval "$lines"
	service_publish
	applied_publish # Services are there before their pods, who look for their names
	reconcile
	[[ $(workload_ids) =~ ^($WEB)?$ ]] || kubelet_start
}

objects_delete() { # FILE
	local lines= deleted=no
	[[ ! -r $1 ]] || lines=$(apply_jq "$1" delete) || exit 1
	manifest_remove "$1"
	eval "$lines"
	[[ $deleted = yes ]] || die "$1: was never applied"
	service_publish
	reconcile
}
