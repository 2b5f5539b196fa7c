# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The manifests that every lbd reads: the nodes, one Service, and one EndpointSlice
# per family.
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

service_publish() {
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
	mapfile -t pods < <(pod_names)
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
	slice_print IPv4 | manifest_write "$SERVICE-ipv4"
	[[ $ipv6 = no ]] || slice_print IPv6 | manifest_write "$SERVICE-ipv6"
}

# ---- a user's own ----------------------------------------------------------

# Sets $path, where the lab keeps a user's file.
manifest_path() { # FILE
	local name=${1##*/}
	[[ $name =~ \.(yaml|yml|json)$ ]] || die "$1: not a .yaml, .yml or .json"
	path=$LAB_DIR/manifests/user-$name
}

manifest_install() { # FILE
	local path
	manifest_path "$1"
	cp "$1" "$LAB_DIR/manifest.new"
	mv "$LAB_DIR/manifest.new" "$path"
}

manifest_remove() { # FILE
	local path
	manifest_path "$1"
	[[ -e $path ]] || die "$1: was never applied"
	rm "$path"
}
