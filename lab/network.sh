# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The network: namespaces, veths, addresses and routes.  A node's pods hang on
# it as the CNI plug-in ptp does it (kind's kindnet): each has the node's
# gateway address at the far end of its own veth and a host route leads there.
# Offloads stay as they are.

SERVICE_CIDR4=10.96.0.0/16
SERVICE_CIDR6=fd00:10:96::/112
NODES_MAX=50
CLIENT_IP4=10.200.0.100
CLIENT_IP6=fd00:10:200::100

node_number() { echo "${1#node}"; }
node_ip4() { echo "10.200.0.$(node_number "$1")"; }
node_ip6() { echo "fd00:10:200::$(node_number "$1")"; }
node_zone() { local zones=abc; echo "zone-${zones:($(node_number "$1") - 1) % 3:1}"; }
node_pod_cidr4() { echo "10.244.$(node_number "$1").0/24"; }
node_pod_cidr6() { echo "fd00:10:244:$(node_number "$1")::/64"; }
pod_address4() { echo "10.244.$(node_number "$1").$2"; } # NODE NUMBER
pod_address6() { printf 'fd00:10:244:%s::%x\n' "$(node_number "$1")" "$2"; }

is_node() {
	[[ " ${nodes[*]} " = *" $1 "* ]]
}

namespace() { # switch|client|NODE|POD
	echo "$LAB-$1"
}

lab_namespaces() {
	local file
	for file in "/run/netns/$LAB"-*; do
		[[ ! -e $file ]] || echo "${file##*/}"
	done
}

# A namespace as a Debian machine is set up; addresses are usable at once (no
# duplicate address detection).
namespace_create() { # NAME [SYSCTL=VALUE...]
	local name
	name=$(namespace "$1")
	shift
	ip netns add "$name"
	nsenter --net="/run/netns/$name" sysctl -qw net.ipv4.conf.default.rp_filter=2 \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 "$@"
	ip -n "$name" link set lo up
}

# Plug a namespace into the switch as eth0.
switch_plug() { # NODE|client IP4 IP6
	local name
	name=$(namespace "$1")
	ip -n "$name" -batch - <<-END
		link add eth0 type veth peer name $1 netns $(namespace switch)
		address add $2/24 dev eth0
		link set eth0 up
	END
	[[ $ipv6 = no ]] || ip -n "$name" address add "$3/64" dev eth0 nodad
	ip -n "$(namespace switch)" link set "$1" master br0 up
}

# The fabric: each node has the way to its own pods; the services' range leads to
# the first node or, with --ecmp, to all of them.
client_routes() { # FAMILY SERVICES
	local family=$1 services=$2 node hops=()
	for node in "${nodes[@]}"; do
		ip -n "$(namespace client)" "-$family" route replace "$("node_pod_cidr$family" "$node")" \
			via "$("node_ip$family" "$node")"
		[[ $ecmp = no && ${#hops[@]} -gt 0 ]] || hops+=(nexthop via "$("node_ip$family" "$node")")
	done
	# IPv6 adds hops to a route that has several instead of replacing it.
	ip -n "$(namespace client)" "-$family" route flush "$services" 2>/dev/null || true
	ip -n "$(namespace client)" "-$family" route add "$services" "${hops[@]}"
}

client_routes_update() {
	client_routes 4 "$SERVICE_CIDR4"
	[[ $ipv6 = no ]] || client_routes 6 "$SERVICE_CIDR6"
}

# From each node to the pods of the others.
node_routes() { # NODE
	local other
	for other in "${nodes[@]}"; do
		[[ $other != "$1" ]] || continue
		echo "route add $(node_pod_cidr4 "$other") via $(node_ip4 "$other")"
		[[ $ipv6 = no ]] || echo "route add $(node_pod_cidr6 "$other") via $(node_ip6 "$other")"
	done | ip -n "$(namespace "$1")" -batch -
}

# A node that is gone: no way to its pods.
node_forget() { # NODE|client GONE
	ip -n "$(namespace "$1")" -4 route flush "$(node_pod_cidr4 "$2")"
	[[ $ipv6 = no ]] || ip -n "$(namespace "$1")" -6 route flush "$(node_pod_cidr6 "$2")"
}

network_create() {
	local node
	namespace_create switch
	ip -n "$(namespace switch)" link add br0 type bridge mcast_snooping 0
	ip -n "$(namespace switch)" link set br0 up
	for node in "${nodes[@]}"; do
		namespace_create "$node" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		switch_plug "$node" "$(node_ip4 "$node")" "$(node_ip6 "$node")"
	done
	namespace_create client net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1
	switch_plug client "$CLIENT_IP4" "$CLIENT_IP6"
	for node in "${nodes[@]}"; do node_routes "$node"; done
	client_routes_update
}

network_remove() {
	local name
	for name in $(lab_namespaces); do ip netns delete "$name"; done
}

# Join a pod's namespace and its node with a veth.
pod_plug() { # POD NODE DEVICE IP4 IP6
	local pod node gateway4 gateway6
	pod=$(namespace "$1")
	node=$(namespace "$2")
	gateway4=$(pod_address4 "$2" 1)
	gateway6=$(pod_address6 "$2" 1)
	ip -n "$pod" link add eth0 type veth peer name "$3" netns "$node"
	ip -n "$node" -batch - <<-END
		address add $gateway4/32 dev $3
		link set $3 up
		route add $4/32 dev $3 scope host
	END
	ip -n "$pod" -batch - <<-END
		address add $4/24 dev eth0 noprefixroute
		link set eth0 up
		route add $gateway4 dev eth0 scope link
		route add default via $gateway4
	END
	[[ $ipv6 = yes ]] || return 0
	ip -n "$node" -batch - <<-END
		address add $gateway6/128 dev $3 nodad
		route add $5/128 dev $3
	END
	ip -n "$pod" -batch - <<-END
		address add $5/64 dev eth0 nodad noprefixroute
		route add $gateway6 dev eth0
		route add default via $gateway6
	END
}

# A namespace takes its veth along only some time after its end, so the veth
# goes first.
pod_unplug() { # POD NODE DEVICE
	ip -n "$(namespace "$2")" link delete "$3" 2>/dev/null || true
	ip netns delete "$(namespace "$1")" 2>/dev/null || true
}
