# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The manifests that every lbd reads: the nodes, the lab's own Service with one
# EndpointSlice per family, and what was applied.
# Files appear and change by rename, so that no half of one is ever read.

SERVICE=web
SERVICE_IP4=10.96.0.10
SERVICE_IP6=fd00:10:96::10
SERVICE_PORT=80
SERVICE_NODE_PORT=30080
POD_PORT=5000

# Put stdin into the directory that lbd watches.
manifest_write() { # NAME
	cat >"$LAB_DIR/manifest.new"
	mv "$LAB_DIR/manifest.new" "$LAB_DIR/manifests/$1.yaml"
}

node_print() { # NODE
	local cidrs addresses
	cidrs="\"$(node_pod_cidr4 "$1")\""
	addresses="{type: InternalIP, address: \"$(node_ip4 "$1")\"}"
	if [[ $ipv6 = yes ]]; then
		cidrs+=", \"$(node_pod_cidr6 "$1")\""
		addresses+=", {type: InternalIP, address: \"$(node_ip6 "$1")\"}"
	fi
	cat <<-END
	---
	apiVersion: v1
	kind: Node
	metadata:
	  name: $1
	  labels: {kubernetes.io/hostname: $1, topology.kubernetes.io/zone: $(node_zone "$1")}
	spec:
	  podCIDR: "$(node_pod_cidr4 "$1")"
	  podCIDRs: [$cidrs]
	status:
	  addresses: [$addresses, {type: Hostname, address: $1}]
	END
}

nodes_publish() {
	local node
	for node in "${nodes[@]}"; do node_print "$node"; done | manifest_write nodes
}

services_json() {
	cat "$LAB_DIR"/services/*.json 2>/dev/null || true
}

# Somebody's Service may ask for the node port that the lab's own has otherwise.
node_port_choose() {
	local taken
	taken=$(services_json | jq '.spec.ports[]?.nodePort | values')
	SERVICE_NODE_PORT=30080
	while grep -qx "$SERVICE_NODE_PORT" <<<"$taken"; do SERVICE_NODE_PORT=$((SERVICE_NODE_PORT + 1)); done
}

service_publish() {
	[[ $app != none ]] || return 0
	node_port_choose
	local families=IPv4 addresses=$SERVICE_IP4
	[[ $ipv6 = no ]] || families+=", IPv6" addresses+=", \"$SERVICE_IP6\""
	manifest_write "$SERVICE" <<-END
	apiVersion: v1
	kind: Service
	metadata:
	  name: $SERVICE
	  namespace: default
	spec:
	  type: NodePort
	  selector: {app: $SERVICE}
	  clusterIP: $SERVICE_IP4
	  clusterIPs: [$addresses]
	  ipFamilies: [$families]
	  ports:
	  - {name: http, protocol: TCP, port: $SERVICE_PORT, targetPort: $POD_PORT, nodePort: $SERVICE_NODE_PORT}
	END
}

# An endpoint's conditions as the EndpointSlice controller derives them.
pod_conditions() { # POD
	local ready=false serving=false terminating=false
	! pod_is "$1" ready || serving=true
	! pod_is "$1" terminating || terminating=true
	[[ $serving = false || $terminating = true ]] || ready=true
	echo "{ready: $ready, serving: $serving, terminating: $terminating}"
}

slice_print() { # IPv4|IPv6
	local pod pods=() address
	mapfile -t pods < <(pods_of_workload $WEB)
	cat <<-END
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSlice
	metadata:
	  name: $SERVICE-${1,,}
	  namespace: default
	  labels: {kubernetes.io/service-name: $SERVICE}
	addressType: $1
	ports:
	- {name: http, protocol: TCP, port: $POD_PORT}
	endpoints:
	END
	((${#pods[@]})) || echo "  []"
	for pod in "${pods[@]}"; do
		pod_read "$pod"
		address=$pod_ip4
		[[ $1 = IPv4 ]] || address=$pod_ip6
		cat <<-END
		- addresses: ["$address"]
		  zone: $(node_zone "$pod_node")
		  conditions: $(pod_conditions "$pod")
		  nodeName: $pod_node
		  targetRef: {kind: Pod, namespace: default, name: $pod, uid: $pod_uid}
		END
	done
}

slices_publish() {
	[[ $app != none ]] || return 0
	slice_print IPv4 | manifest_write "$SERVICE-ipv4"
	[[ $ipv6 = no ]] || slice_print IPv6 | manifest_write "$SERVICE-ipv6"
}

# ---- what was applied --------------------------------------------------------

# For endpoints.jq.
pods_print() {
	local pod ready terminating
	for pod in $(pod_names); do
		pod_read "$pod"
		ready=no terminating=no
		! pod_is "$pod" ready || ready=yes
		! pod_is "$pod" terminating || terminating=yes
		echo "$pod $pod_template $pod_node $(node_zone "$pod_node") $pod_ip4 $pod_ip6 $pod_uid $ready $terminating"
	done
}

endpoints_jq() { # true|false: names?
	jq -nr --argjson names "$1" --arg pods "$pods" \
		--slurpfile services <(services_json) \
		--argjson seen "$(jq -s add "$LAB_DIR"/templates/*.json)" \
		-f "$here/endpoints.jq"
}

# Services with the pods that they select, for lbd, and their names for the pods.
applied_publish() {
	local pods
	if ! ls "$LAB_DIR"/services/*.json >/dev/null 2>&1; then
		rm -f "$LAB_DIR/manifests/applied.yaml"
		return
	fi
	pods=$(pods_print)
	endpoints_jq false | manifest_write applied
	# Written in place, as it is mounted, and never shorter for a reader.
	endpoints_jq true >"$LAB_DIR/hosts.new"
	cmp -s "$LAB_DIR/hosts.new" "$LAB_DIR/hosts" || cat "$LAB_DIR/hosts.new" >"$LAB_DIR/hosts"
}

endpoints_publish() {
	slices_publish
	applied_publish
}

# ---- a user's own ----------------------------------------------------------

# Sets $path, where the lab keeps what is lbd's of a user's file.
manifest_path() { # FILE
	local name=${1##*/}
	[[ $name =~ \.(yaml|yml|json)$ ]] || die "$1: not a .yaml, .yml or .json"
	path=$LAB_DIR/manifests/user-$name
}

# As it is, or without what the lab has taken upon itself.
manifest_install() { # FILE REST
	local path
	manifest_path "$1"
	case $2 in
	all) cp "$1" "$LAB_DIR/manifest.new" ;;
	none) rm -f "$path" && return ;;
	*) echo "$2" >"$LAB_DIR/manifest.new" ;;
	esac
	mv "$LAB_DIR/manifest.new" "$path"
}

manifest_remove() { # FILE; sets $deleted where there was one
	local path
	manifest_path "$1"
	[[ -e $path ]] || return 0
	rm "$path"
	deleted=yes
}
