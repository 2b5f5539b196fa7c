# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Real programs through the balancer, for tests of a hook, a path and a place of the
# backends: servers in pods, transfers from the client, and a look at every packet.
# Sourced after lib.sh; $bulk_pod is the pod that the long transfers go to.

BULK_BYTES=$((64 * 1024 * 1024))
IPERF_SLACK_BYTES=$((16 * 1024 * 1024))
MIN_MBIT=200 # what breaks GSO or checksums comes to a few Mbit/s at most

# shellcheck source-path=SCRIPTDIR
. "$top/tests/net/exchange.sh"

# ---- the world -------------------------------------------------------------

service_address() { # web|udp|bulk 4|6
	local last
	case $1 in
	web) last=10 ;;
	udp) last=20 ;;
	bulk) last=30 ;;
	esac
	(($2 == 4)) && echo 10.96.0.$last || echo "fd00:10:96::$last"
}

node_address() { # 4|6
	(($1 == 4)) && echo 10.200.0.1 || echo "fd00:10:200::1"
}

in_url() { # ADDRESS
	[[ $1 = *:* ]] && echo "[$1]" || echo "$1"
}

servers_start() { # POD...: the backends
	local pod family
	for pod; do pod_serve "$pod" "$tools/udp_echo" 5353; done
	bulk_pod=$1
	pod_serve "$bulk_pod" iperf3 -s -p 5201
	exchange_serve pod_serve "$bulk_pod"
	for family in 4 6; do
		expose udp$family $family "$(service_address udp $family)" dns/UDP/53/5353 "$@"
		expose bulk$family $family "$(service_address bulk $family)" \
			"iperf/TCP/5201/5201 exchange/TCP/9000/9000" "$bulk_pod"
	done
	eventually 10 bulk_servers_listen
}

bulk_servers_listen() {
	(($(lab exec "$bulk_pod" ss -Hltn 'sport = 5201 or sport = 9000' | wc -l) == 3))
}

# Look at every packet that comes to the pod and to the client.
watch_start() {
	"$top/lab/lab" exec "$bulk_pod" "$tools/checksums" eth0 >"$work/pod.sums" 2>"$work/pod.wrong" &
	watchers=($!)
	"$top/lab/lab" exec client "$tools/checksums" eth0 >"$work/client.sums" 2>"$work/client.wrong" &
	watchers+=($!)
	eventually 5 grep -q ready "$work/pod.sums"
	eventually 5 grep -q ready "$work/client.sums"
}

watch_end() {
	kill "${watchers[@]}"
	wait "${watchers[@]}"
}

# ---- cases -----------------------------------------------------------------

hook_is_as_asked() { # HOOK
	same "$(status_json | jq -r '.attachments[] | select(.role == "uplink") | .hook')" "$1"
}

a_pod_answers() { # URL
	local pod
	pod=$(lab curl "$1" | jq -r .pod_name)
	pods | grep -qx "$pod" || { echo "answered by '$pod'" && return 1; }
}

udp_is_answered() { # FAMILY PODS
	client "$tools/flows" --udp --from 30000 --count 500 "$(service_address udp "$1")" 53 >"$work/udp"
	same "$(flows_number "$work/udp" total failed)" 0 "flows without an answer"
	same "$(grep -c '^pod ' "$work/udp")" "$2" "pods that answered"
}

# iperf3 counts what one side sent and the other got.  What fills the sockets'
# buffers is still under way when it stops counting.
iperf_moves() { # ADDRESS [-R]
	local sent got mbit
	client timeout 20 iperf3 -J -c "$@" -p 5201 -n 200M >"$work/iperf.json" || { jq -r .error "$work/iperf.json" && return 1; }
	read -r sent got mbit < <(jq -r '.end | "\(.sum_sent.bytes) \(.sum_received.bytes) \(.sum_received.bits_per_second / 1e6)"' "$work/iperf.json")
	at_least "$sent" $((200 * 1024 * 1024)) "bytes sent"
	at_least "$got" $((sent - IPERF_SLACK_BYTES)) "bytes received of $sent"
	at_least "$mbit" $MIN_MBIT "Mbit/s"
}

contents_arrive() { # ADDRESS
	contents_are_exchanged 30 "$(in_url "$1")" client
}

# As socat writes addresses.
the_pod_saw() { # ADDRESS
	same "$(tr -d '[]' <"$work/peer")" "$1"
}

checksums_are_right() { # pod|client
	local partial bad finished worse
	read -r _ partial _ bad _ finished _ worse < <(tail -n 1 "$work/$1.sums")
	same "$bad" 0 "wrong of $partial partial ones, $(cat "$work/$1.wrong")"
	same "$worse" 0 "wrong of $finished finished ones, $(cat "$work/$1.wrong")"
	# Offloads are on: most come unfinished.
	at_least "$partial" 500 "partial checksums"
}

nothing_leaked() {
	same "$(firewall_invalid_packets)" 0 "packets that connection tracking calls invalid"
	same "$(status_json | jq -r '.packets | (.flow_not_stored + .slot_invalid + .rewrite_failed) // 0')" 0 "what must be 0"
}

# All that the client moves, and every packet of it.
transfers_check() { # NAME FAMILY PODS WHOM-THE-POD-SEES ADDRESS
	local bulk
	bulk=$(service_address bulk "$2")
	watch_start
	check "$1: every UDP datagram is answered, by $3 pods" udp_is_answered "$2" "$3"
	check "$1: iperf3 sends to the pod" iperf_moves "$bulk"
	check "$1: iperf3 receives from the pod" iperf_moves "$bulk" -R
	check "$1: 64 MiB arrive unchanged in both directions at once" contents_arrive "$bulk"
	watch_end
	check "$1: every checksum that reached the pod is right" checksums_are_right pod
	check "$1: every checksum that reached the client is right" checksums_are_right client
	check "$1: the pod sees $4" the_pod_saw "$5"
}
