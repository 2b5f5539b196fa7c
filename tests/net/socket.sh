#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# The nodes' own processes as clients, by real programs: what they reach, what they are
# told of their peers, and what becomes of them when backends and daemons die.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

pins=$GUIDEWAY_LAB_DIR/node1/bpf/guideway
format='\n%{remote_ip} %{remote_port}\n'

on_node() { # CMD...
	lab exec node1 "$@"
}

get() { # URL: the pod's answer, then "ADDRESS PORT" of the peer
	on_node curl -sS -g --noproxy '*' --max-time 3 -w "$format" "$1"
}

asked() { # URL COUNT: the pods that answer so many connections
	local i
	for ((i = 0; i < $2; i++)); do echo "url = \"$1\""; done |
		on_node curl -sS -g --noproxy '*' --max-time 3 -H 'Connection: close' -K - | jq -r .pod_name
}

talk() { # udp|connected ADDRESS PORT COUNT [WAIT-MS]
	on_node "$tools/talk" "$@"
}

peer_is() { # URL "ADDRESS PORT"
	same "$(get "$1" | tail -n 1)" "$2" "the peer of $1"
}

link_ids() {
	local pin
	for pin in "$pins"/v*/links/cgroup-*; do
		echo "${pin##*/} $(bpftool -j link show pinned "$pin" | jq -r .id)"
	done
}

# ---- who is served ---------------------------------------------------------------

status_names_the_cgroup() {
	local group
	group=$(status_json | jq -r .socket_lb.cgroup)
	[[ -e $group/cgroup.procs ]]
	matches "$group" "/$lab_name/node1$"
	matches "$(lab lbctl status)" "Processes:   served, cgroup $group"
	same "$(link_ids | wc -l)" 9 "hooks"
}

tcp_reaches_pods_of_both_nodes() { # URL
	local pods
	pods=$(asked "$1" 40)
	same "$(grep -c . <<<"$pods")" 40 "answers"
	same "$(distinct <<<"$pods")" 4 "pods"
}

a_client_service_pod() {
	local before after
	before=$(backends_json | jq '[.backends[].connections_total] | add')
	asked http://10.96.0.10/info 10 >/dev/null
	after=$(backends_json | jq '[.backends[].connections_total] | add')
	same $((after - before)) 10 "connections"
	# Of a pod they are the datapath's to count, and counted once.
	lab exec "$(pods | head -n 1)" curl -sS --max-time 3 http://10.96.0.10/info >/dev/null
	same "$(backends_json | jq '[.backends[].connections_total] | add')" $((after + 1)) "with a pod's"
}

# ---- UDP ---------------------------------------------------------------------------

udp_hears_from_the_service() { # udp|connected ADDRESS
	local lines
	lines=$(talk "$1" "$2" 53 5)
	same "$(awk '{ print $1, $2 }' <<<"$lines" | sort -u)" "$2 53" "from"
	same "$(awk '{ print $3 }' <<<"$lines" | distinct)" 1 "pods"
	same "$(grep -c 'hello$' <<<"$lines")" 5 "answers"
}

udp_spreads() { # udp|connected ADDRESS
	same "$(talk "$1-each" "$2" 53 40 | awk '{ print $3 }' | distinct)" 4 "pods"
}

# ---- refusals ------------------------------------------------------------------------

without_backends_it_is_refused() {
	local status=0
	expose empty 4 10.96.0.60 "udp/UDP/53/5353 tcp/TCP/80/5000"
	lab lbctl wait >/dev/null
	on_node curl -sS --max-time 5 http://10.96.0.60/ 2>"$work/err" || status=$?
	same $status 7 "curl's exit status"
	matches "$(<"$work/err")" "refused|connect to server"
	same "$(talk udp 10.96.0.60 53 1 || true)" "error ECONNREFUSED"
	same "$(talk connected 10.96.0.60 53 1 || true)" "error ECONNREFUSED"
	at_least "$(status_json | jq .packets.no_endpoint)" 3 "counted"
}

without_a_local_one_it_is_unreachable() {
	slice_node=elsewhere service away 10.96.0.61 "" "internalTrafficPolicy: Local"
	matches "$(on_node curl -sS --max-time 3 http://10.96.0.61/ 2>&1 || true)" "No route to host|connect to server"
	same "$(status_json | jq .packets.no_local_internal)" 1 "counted"
}

external_policy_local_serves_the_node_by_all() {
	slice_node=elsewhere service far 10.96.0.62 "" \
		"type: NodePort, externalTrafficPolicy: Local, externalIPs: [10.97.0.62]"
	matches "$(get http://10.97.0.62/info)" '"pod_name"'
}

# ---- affinity ----------------------------------------------------------------------------

the_node_is_one_client() {
	service sticky 10.96.0.63 "" "sessionAffinity: ClientIP, externalIPs: [10.97.0.63]"
	same "$({ asked http://10.96.0.63/info 6; asked http://10.97.0.63/info 6; } | distinct)" 1 "pods"
	matches "$(lab lbctl affinity list)" "10\.200\.0\.1 "
}

# ---- death and rebirth ---------------------------------------------------------------------

it_outlives_lbd() {
	local before pid
	before=$(link_ids)
	talk udp 10.96.0.53 53 60 100 >"$work/across" &
	pid=$!
	lab lbd kill
	tcp_reaches_pods_of_both_nodes http://10.96.0.10/info
	udp_hears_from_the_service udp 10.96.0.53
	lab lbd start
	lab lbctl wait >/dev/null
	same "$(link_ids)" "$before" "links"
	tcp_reaches_pods_of_both_nodes http://10.96.0.10/info
	wait $pid
	same "$(awk '{ print $1, $2, $4 }' "$work/across" | sort | uniq -c | xargs)" "60 10.96.0.53 53 hello" "answers meanwhile"
}

# A connection that was made before a restart knows its peer after it.
names_outlive_lbd() {
	local pid
	on_node "$tools/talk" connected 10.96.0.53 53 30 100 >"$work/names" &
	pid=$!
	eventually 20 grep -q hello "$work/names"
	lab lbd stop
	lab lbd start
	wait $pid
	same "$(awk '{ print $1, $2 }' "$work/names" | sort -u)" "10.96.0.53 53"
}

a_udp_socket_is_woken_when_its_backend_dies() { # ADDRESS
	local pid pod
	on_node "$tools/talk" connected "$1" 53 0 >"$work/woken" &
	pid=$!
	eventually 20 grep -q hello "$work/woken"
	pod=$(awk 'NR == 1 { print $3 }' "$work/woken")
	sed -i "/$(pod_address "$pod" 4)\"/d; /$(pod_address "$pod" 6)\"/d" "$work"/dns?.yaml
	lab apply -f "$work/dns4.yaml"
	lab apply -f "$work/dns6.yaml"
	eventually 20 process_ended $pid
	same "$(tail -n 1 "$work/woken")" "error ECONNABORTED"
	matches "$(<"$GUIDEWAY_LAB_DIR/node1/lbd.log")" "ended sockets of this node"
	# Who sends without connecting goes elsewhere, at once.
	udp_hears_from_the_service udp "$1"
	fails grep -q "$pod" <<<"$(talk udp-each "$1" 53 20)"
}

an_unconnected_socket_goes_elsewhere() {
	local pid first
	on_node "$tools/talk" udp 10.96.0.53 53 40 100 >"$work/moved" &
	pid=$!
	eventually 20 grep -q hello "$work/moved"
	first=$(awk 'NR == 1 { print $3 }' "$work/moved")
	sed -i "/$(pod_address "$first" 4)\"/d" "$work/dns4.yaml"
	lab apply -f "$work/dns4.yaml"
	wait $pid
	same "$(awk '{ print $1, $2, $4 }' "$work/moved" | sort | uniq -c | xargs)" "40 10.96.0.53 53 hello" "answers"
	at_least "$(awk '{ print $3 }' "$work/moved" | distinct)" 2 "pods"
	fails grep -q "$first" <<<"$(tail -n 5 "$work/moved")"
}

detach_ends_it() {
	lab lbd stop
	nsenter --net=/run/netns/$lab_name-node1 "$GUIDEWAY_BUILD/lbd" --detach --bpffs "$pins" \
		--control "$GUIDEWAY_LAB_DIR/node1/lbd.sock"
	[[ ! -e $pins ]]
	fails on_node curl -sS --max-time 1 http://10.96.0.10/ 2>/dev/null
	same "$(bpftool cgroup show "$(cgroup_of_node)" 2>/dev/null | grep -c lb_ || true)" 0 "programs"
	lab lbd start
	lab lbctl wait >/dev/null
	tcp_reaches_pods_of_both_nodes http://10.96.0.10/info
}

cgroup_of_node() {
	awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts | sed "s|$|/$lab_name/node1|"
}

# ---- the option -------------------------------------------------------------------------------

lbd_check() { # OPTIONS...
	mkdir -p "$work/none"
	nsenter --net="/run/netns/$lab_name-node1" "$GUIDEWAY_BUILD/lbd" --source "file:$work/none" --device eth0 --check "$@"
}

off_takes_the_hooks_away() {
	local settings=$GUIDEWAY_LAB_DIR/settings
	cp "$settings" "$work/settings"
	echo "lbd_options=(--socket-lb off)" >>"$settings"
	lab lbd stop
	lab lbd start
	lab lbctl wait >/dev/null
	same "$(status_json | jq -c .socket_lb)" '{"cgroup":"","reason":"--socket-lb off"}'
	matches "$(lab lbctl status)" "Processes:   not served: --socket-lb off"
	same "$(find "$pins" -name 'cgroup-*')" ""
	fails on_node curl -sS --max-time 1 http://10.96.0.10/ 2>/dev/null
	lab curl http://10.96.0.10/ >/dev/null
	cp "$work/settings" "$settings"
}

lab up --nodes 2 --replicas 4 --ipv6 >/dev/null
check "--socket-lb: what is no cgroup is refused" \
	fails_with 2 "lbd: --socket-lb /: not a cgroup of version 2" lbd_check --socket-lb /
check "--socket-lb: what isn't there is refused" \
	fails_with 2 "lbd: --socket-lb /nowhere: No such file or directory" lbd_check --socket-lb /nowhere

expose dns4 4 10.96.0.53 "dns/UDP/53/5353" $(pods)
expose dns6 6 fd00:10:96::53 "dns/UDP/53/5353" $(pods)
for pod in $(pods); do pod_serve "$pod" "$tools/udp_echo" 5353; done
service outside 10.96.0.64 "" "externalIPs: [10.97.0.64]"
eventually 20 talk udp 10.96.0.53 53 1 >/dev/null

check "lbctl status names the cgroup that is served" status_names_the_cgroup
for url in http://10.96.0.10 'http://[fd00:10:96::10]' 'http://[::ffff:10.96.0.10]'; do
	check "TCP: $url is balanced over both nodes" tcp_reaches_pods_of_both_nodes "$url/info"
done
check "TCP: getpeername tells the ClusterIP" peer_is http://10.96.0.10/info "10.96.0.10 80"
check "TCP: and its IPv6 one" peer_is 'http://[fd00:10:96::10]/info' "fd00:10:96::10 80"
check "TCP: IPv4 on an IPv6 socket" peer_is 'http://[::ffff:10.96.0.10]/info' "::ffff:10.96.0.10 80"
for host in 10.200.0.1 127.0.0.1 '[fd00:10:200::1]' '[::1]'; do
	check "the node port on $host" tcp_reaches_pods_of_both_nodes "http://$host:30080/info"
	check "the peer is $host" peer_is "http://$host:30080/info" "$(tr -d '[]' <<<"$host") 30080"
done
check "the other node's port is its own to serve" tcp_reaches_pods_of_both_nodes http://10.200.0.2:30080/info
check "an external IP" tcp_reaches_pods_of_both_nodes http://10.97.0.64/info
check "connections are counted, and a pod's once" a_client_service_pod
for kind in udp connected; do
	for address in 10.96.0.53 fd00:10:96::53 ::ffff:10.96.0.53; do
		check "UDP, $kind: $address answers by its own name" udp_hears_from_the_service $kind $address
	done
	check "UDP, $kind: sockets spread" udp_spreads $kind 10.96.0.53
done
check "a service without backends refuses at once" without_backends_it_is_refused
check "a Local policy with none here: no route" without_a_local_one_it_is_unreachable
check "external policy Local: the node itself reaches all" external_policy_local_serves_the_node_by_all
check "session affinity: the node is one client" the_node_is_one_client
check "it works on while lbd is dead, and after" it_outlives_lbd
check "a connected socket has its peer's name after a restart" names_outlive_lbd
check "a UDP socket is woken when its backend dies" a_udp_socket_is_woken_when_its_backend_dies 10.96.0.53
check "a UDP socket is woken, IPv6" a_udp_socket_is_woken_when_its_backend_dies fd00:10:96::53
check "without connect it goes on with another backend" an_unconnected_socket_goes_elsewhere
check "--socket-lb off takes the hooks away, and nothing else" off_takes_the_hooks_away
check "--detach ends it, a start brings it back" detach_ends_it
tests_end
