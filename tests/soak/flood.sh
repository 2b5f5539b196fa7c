#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Floods from 300,000 sources each push no established flow out of small tables, and
# new connections go on working.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../net/lib.sh"

FLOWS=4096 # --max-flows, --max-udp-flows and --max-new-flows, of each family
SOURCES=300000
IDLE_MS=3000 # between two requests of the flows that are mostly idle
PATIENCE_MS=20000
HELD=(busy4 idle4 busy6 idle6 udp4)

# ---- 1,000 connections that are there before ---------------------------------

held=()

hold() { # NAME FLOWS-OPTIONS...
	local name=$1
	shift
	: >"$work/$name"
	flows_hold "$work/$name" --timeout $PATIENCE_MS "$@"
	held+=("$flows_pid")
}

hold_all() { # FIRST-PORT
	held=()
	hold busy4 --tcp --interval 1000 --from "$1" --count 350 10.96.0.10 80
	hold idle4 --tcp --interval $IDLE_MS --from $(($1 + 350)) --count 350 10.96.0.10 80
	hold busy6 --tcp --interval 1000 --from "$1" --count 150 fd00:10:96::10 80
	hold idle6 --tcp --interval $IDLE_MS --from $(($1 + 150)) --count 150 fd00:10:96::10 80
	hold udp4 --udp --interval 1000 --from "$1" --count 50 10.96.0.21 53
}

release_all() {
	sleep $((IDLE_MS / 1000 + 1)) # each asks once more
	flows_end "${held[@]}"
}

# A flow that was lost goes where the ring points now, and that isn't where it
# was: nine of ten slots have moved since.
none_is_lost() {
	local name what
	for name in "${HELD[@]}"; do
		for what in failed broken closed moved; do
			# A flood fills queues, and nobody sends a datagram again.
			[[ $name != udp4 || $what != broken ]] || continue
			same "$(flows_number "$work/$name" total $what)" 0 "$name $what: $(cat "$work/$name.err")"
		done
		at_least "$(flows_number "$work/$name" total requests)" \
			$((2 * $(flows_number "$work/$name" total flows))) "$name requests"
	done
}

# With ten usable pods a ring has another size than with eleven, so that most of
# its slots are another pod's.  A pod that isn't ready keeps its connections.
eleventh_is_ready() { # true|false
	local family file backends=20
	[[ $1 = false ]] || backends=22
	for family in 4 6; do
		file=$GUIDEWAY_LAB_DIR/manifests/web-ipv$family.yaml
		awk -v address="\"$(pod_address "$eleventh" $family)\"" -v ready="$1" '
			/addresses:/ { found = index($0, address) }
			found && /conditions:/ { sub(/ready: [a-z]+/, "ready: " ready) }
			{ print }' "$file" >"$work/slice"
		mv "$work/slice" "$file"
	done
	lab lbctl wait
	same "$(backends_json | jq '[.backends[] | select(.service == "default/web" and .slots > 0)] | length')" \
		$backends "backends in the rings"
}

# Servers of the flood and of the flows that are held are apart, since one
# floods its own queue.
udp_expose() {
	local pod
	for pod in $(pods); do
		pod_serve "$pod" "$tools/udp_echo" 5353
		pod_serve "$pod" "$tools/udp_echo" 5354
	done
	# shellcheck disable=SC2046 # pods are words
	expose udp 4 10.96.0.20 dns/UDP/53/5353 $(pods)
	# shellcheck disable=SC2046
	expose held 4 10.96.0.21 dns/UDP/53/5354 $(pods)
}

# ---- floods -------------------------------------------------------------------

new_connections_work() { # FIRST-PORT
	local address
	for address in 10.96.0.10 fd00:10:96::10; do
		client "$tools/flows" --tcp --timeout $PATIENCE_MS --from "$1" --count 25 $address 80 >"$work/new"
		same "$(flows_number "$work/new" total failed)" 0 "failed to $address"
	done
}

# New connections one after another as long as the flood lasts, and after it.
flood() { # FIRST-PORT FLOOD-OPTIONS...
	local port=$1 pid
	shift
	client "$tools/flood" --sources $SOURCES "$@" >"$work/flood" &
	pid=$!
	new_connections_work "$port"
	until process_ended $pid; do
		port=$((port + 25))
		new_connections_work $port
	done
	wait $pid
	matches "$(cat "$work/flood")" "^sent [0-9]{6,} packets"
	new_connections_work $((port + 25))
}

# Who answers nothing isn't established.  (A guess of 32 bits may be right.)
sources_are_no_flows() {
	local count
	count=$(bpftool -j map dump pinned "$GUIDEWAY_LAB_DIR"/node1/bpf/guideway/v*/maps/flows4 |
		jq '[.[] | select(.key[0] == "0x64")] | length')
	same $((count <= FLOWS / 100)) 1 "$count sources have an established flow: a hundredth at most"
}

next_port=10000
eleventh_ready=true

withstands() { # WHAT FLOOD-OPTIONS...
	local what=$1
	shift
	hold_all $next_port
	[[ $eleventh_ready = true ]] && eleventh_ready=false || eleventh_ready=true
	check "$what: another ring while 1,000 connections are held" eleventh_is_ready $eleventh_ready
	check "$what: new connections work during the flood and after it" flood $((next_port + 700)) "$@"
	echo "# $(cat "$work/flood"), tables of $FLOWS"
	release_all
	check "$what: no established flow is lost" none_is_lost
	next_port=$((next_port + 3500))
}

lab up --replicas 11 --ipv6 -- --max-flows $FLOWS --max-udp-flows $FLOWS --max-new-flows $FLOWS >/dev/null
# Answers to the sources find a way; nobody is there to hear them.
lab exec node1 ip route add 100.64.0.0/10 via 10.200.0.100
lab exec node1 ip -6 route add fd00:ff::/32 via fd00:10:200::100
eleventh=$(pods | tail -n 1)
udp_expose

withstands "SYNs" --syn 100.64.0.0 10.96.0.10 80
withstands "ACKs" --ack 100.72.0.0 10.96.0.10 80
withstands "datagrams" --udp 100.80.0.0 10.96.0.20 53
check "none of these sources has become an established flow" sources_are_no_flows
withstands "SYNs over IPv6" --syn fd00:ff:: fd00:10:96::10 80
withstands "SYNs and guessed ACKs" --guess --rounds 2 100.96.0.0 10.96.0.10 80
check "no source of these either" sources_are_no_flows
# Each is answered and sends again, as much of a flow as any other over UDP: but no
# connection makes room for them.
HELD=(busy4 idle4 busy6 idle6)
withstands "two datagrams each" --udp --rounds 2 100.88.0.0 10.96.0.20 53
lab down
tests_end
