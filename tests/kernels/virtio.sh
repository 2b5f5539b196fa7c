#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Native XDP on a NIC, for which the guest has two of virtio on one wire: the
# node's uplink, and the client's, behind whom another node's pod is.  A pod of
# this node is behind a veth, which native XDP can't send to.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../net/lib.sh"

BULK_BYTES=$((8 * 1024 * 1024))
. "$top/tests/net/exchange.sh"
manifests=$work/manifests
control=$work/lbd.sock
lbctl=("$GUIDEWAY_BUILD/lbctl" --control "$control")

in_node() { nsenter --net=/run/netns/node "$@"; }
far() { nsenter --net=/run/netns/far "$@"; }

nic() { # MAC
	ip -j link | jq -r --arg mac "$1" '.[] | select(.address == $mac) | .ifname'
}

# A pod behind a router's device.
pod_create() { # NAME ROUTER DEVICE 4-ADDRESS 6-ADDRESS
	ip netns add "$1"
	ip -n "$1" link set lo up
	ip -n "$2" link add "$3" type veth peer name eth0 netns "$1"
	ip -n "$2" link set "$3" up
	ip -n "$2" addr add fe80::1/64 dev "$3" nodad
	ip -n "$2" route add "$4/32" dev "$3"
	ip -n "$2" route add "$5/128" dev "$3"
	nsenter --net="/run/netns/$2" sysctl -qw "net.ipv4.conf.$3.proxy_arp=1"
	ip -n "$1" addr add "$4/32" dev eth0
	ip -n "$1" addr add "$5/128" dev eth0 nodad
	ip -n "$1" link set eth0 up
	ip -n "$1" route add default dev eth0
	ip -n "$1" route add default via fe80::1 dev eth0
}

spaces_create() {
	local name
	for name in node far; do
		ip netns add $name
		ip -n $name link set lo up
	done
	ip link set "$(nic 02:00:00:00:00:0a)" name uplink netns node
	ip link set "$(nic 02:00:00:00:00:0b)" name wire netns far
	in_node sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	far sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n node addr add 10.0.0.1/24 dev uplink
	ip -n node addr add fd00::1/64 dev uplink nodad
	ip -n node link set uplink up
	ip -n node route add 10.244.2.0/24 via 10.0.0.2
	ip -n node route add fd00:244:2::/64 via fd00::2
	ip -n far addr add 10.0.0.2/24 dev wire
	ip -n far addr add fd00::2/64 dev wire nodad
	ip -n far link set wire up
	ip -n far route add 10.96.0.0/16 via 10.0.0.1
	ip -n far route add fd00:96::/64 via fd00::1
	pod_create near node veth1 10.244.1.1 fd00:244:1::1
	pod_create other far veth2 10.244.2.1 fd00:244:2::1
}

service_of() { # NAME 4|6 ADDRESS BACKEND NODE
	cat <<END
apiVersion: v1
kind: Service
metadata: { name: $1 }
spec: { clusterIP: "$3", ports: [{ name: web, port: 80, targetPort: 5000 }, { name: dns, protocol: UDP, port: 53, targetPort: 5353 }, { name: bulk, port: 9000, targetPort: 9000 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: $1, labels: { kubernetes.io/service-name: $1 } }
addressType: IPv$2
ports: [{ name: web, port: 5000 }, { name: dns, protocol: UDP, port: 5353 }, { name: bulk, port: 9000 }]
endpoints: [{ addresses: ["$4"], nodeName: $5, conditions: { ready: true } }]
---
END
}

manifests_write() {
	mkdir "$manifests"
	{
		service_of here4 4 10.96.0.1 10.244.1.1 node1
		service_of there4 4 10.96.0.2 10.244.2.1 node2
		service_of here6 6 fd00:96::1 fd00:244:1::1 node1
		service_of there6 6 fd00:96::2 fd00:244:2::1 node2
	} >"$manifests/services.yaml"
}

in_background() { # CMD...
	"$@" >/dev/null 2>&1 &
}

servers_start() {
	local pod
	for pod in near other; do
		POD_NAME=$pod in_background nsenter --net=/run/netns/$pod "$GUIDEWAY_BUILD/replica" --port 5000
		POD_NAME=$pod in_background nsenter --net=/run/netns/$pod "$tools/udp_echo" 5353
		exchange_serve in_background nsenter --net=/run/netns/$pod
	done
}

lbd_start() {
	nsenter --net=/run/netns/node "$GUIDEWAY_BUILD/lbd" --source "file:$manifests" --device uplink --hook xdp --node node1 \
		--bpffs /sys/fs/bpf/virtio --control "$control" --listen off --socket-lb off >"$work/lbd.log" 2>&1 &
	echo $! >"$work/lbd.pid"
	eventually 60 "${lbctl[@]}" wait --timeout 50 || { cat "$work/lbd.log" && return 1; }
}

xdp_is_native() {
	matches "$(ip -n node -d link show uplink)" "prog/xdp id"
	fails grep -q xdpgeneric <<<"$(ip -n node link show uplink)"
	same "$("${lbctl[@]}" -o json status | jq -r '.attachments[] | select(.role == "uplink") | .hook')" xdp
}

counted() { # REASON
	"${lbctl[@]}" -o json stats | jq -r --arg reason "$1" '[.reasons[] | select(.reason == $reason) | .packets] | add // 0'
}

answers_from() { # POD ADDRESS
	local i
	for i in 1 2 3 4 5; do
		same "$(far curl -sS --max-time 20 "http://$2/info" | jq -r .pod_name)" "$1" "answer $i"
	done
}

udp_answers() { # ADDRESS
	far "$tools/flows" --udp --timeout 20000 --from 30000 --count 20 "$1" 53 >"$work/udp"
	same "$(flows_number "$work/udp" total failed)" 0 "flows without an answer"
}

# Once the neighbour is known, both ways go past TC.
xdp_sends_by_itself() { # ADDRESS
	local before
	answers_from other "$1"
	before=$(counted left_to_tc)
	answers_from other "$1"
	same "$(counted left_to_tc)" "$before" "packets left to TC"
}

detach_leaves_nothing() {
	kill "$(<"$work/lbd.pid")"
	eventually 10 process_ended "$(<"$work/lbd.pid")"
	in_node "$GUIDEWAY_BUILD/lbd" --detach --bpffs /sys/fs/bpf/virtio
	fails grep -q xdp <<<"$(ip -n node link show uplink)"
	[[ ! -e /sys/fs/bpf/virtio ]]
}

check "two NICs on a wire, and a pod" spaces_create
manifests_write
check "servers" servers_start
check "lbd starts" lbd_start
check "XDP is native" xdp_is_native
for family in 4 6; do
	[[ $family = 4 ]] && here=10.96.0.1 there=10.96.0.2 || here=[fd00:96::1] there=[fd00:96::2]
	check "IPv$family: a pod of this node answers" answers_from near "$here"
	check "IPv$family: a pod of another node answers" answers_from other "$there"
	check "IPv$family: and XDP alone carries it" xdp_sends_by_itself "$there"
	for address in "$here" "$there"; do
		check "IPv$family: UDP, $address" udp_answers "$(tr -d '[]' <<<"$address")"
		check "IPv$family: 8 MiB each way, $address" contents_are_exchanged 120 "$address" far
	done
done
check "detach leaves nothing" detach_leaves_nothing
tests_end
