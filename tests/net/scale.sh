#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Connections stay where they are while pods come and go, and while lbd dies
# and comes back.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

HELD=200 # connections per family and protocol

# ---- flows that are held, and new ones meanwhile ---------------------------

held=()

hold() { # NAME FLOWS-OPTIONS...
	local name=$1
	shift
	flows_hold "$work/$name" --count $HELD "$@"
	held+=("$flows_pid")
}

# Source ports differ per round, for those of ended connections rest for a
# minute, and stay below the range that the kernel hands out (32768).
hold_all() { # FIRST-PORT
	held=()
	hold tcp4 --tcp --from "$1" 10.96.0.10 80
	hold tcp6 --tcp --from "$1" fd00:10:96::10 80
	hold udp4 --udp --from "$1" 10.96.0.20 53
	curl_pid=
	"$top/lab/lab" exec client stdbuf -oL curl -s --max-time 5 -H 'Connection: close' --rate 50/s -o /dev/null \
		-w '%{http_code} %{errormsg}\n' "http://10.96.0.10/info?[1-1000000]" >"$work/new" &
	curl_pid=$!
}

release_all() {
	sleep 0.3 # some more requests on each
	kill $curl_pid
	wait $curl_pid || true
	flows_end "${held[@]}"
}

# ---- what has to be true of them -------------------------------------------

pods_unharmed() { # POD...: nothing of theirs broke or moved
	local pod name what
	for name in tcp4 tcp6; do
		same "$(flows_number "$work/$name" total failed)" 0 "$name failed"
		for pod; do
			at_least "$(flows_number "$work/$name" pod "$pod" flows)" 1 "$name flows of $pod"
			for what in broken closed moved; do
				same "$(flows_number "$work/$name" pod "$pod" $what)" 0 "$name $what of $pod"
			done
		done
	done
}

nothing_broke() {
	local name
	for name in tcp4 tcp6; do
		same "$(flows_number "$work/$name" total broken)" 0 "$name broken: $(cat "$work/$name.err")"
		same "$(flows_number "$work/$name" total moved)" 0 "$name moved"
	done
}

udp_stays() { # POD...
	local pod
	same "$(flows_number "$work/udp4" total failed)" 0 "failed"
	same "$(flows_number "$work/udp4" total broken)" 0 "unanswered"
	for pod; do
		same "$(flows_number "$work/udp4" pod "$pod" moved)" 0 "moved from $pod"
	done
}

udp_moved_away() { # POD
	at_least "$(flows_number "$work/udp4" pod "$1" flows)" 1 "flows of $1"
	same "$(flows_number "$work/udp4" pod "$1" moved)" "$(flows_number "$work/udp4" pod "$1" flows)" "moved from $1"
}

no_new_one_failed() {
	at_least "$(wc -l <"$work/new")" 20 "new connections meanwhile"
	same "$(grep -cv '^200 ' "$work/new" || true)" 0 "new connections that failed: $(grep -v '^200 ' "$work/new" | sort | uniq -c)"
}

new_connections_work() { # FIRST-PORT
	client "$tools/flows" --tcp --from "$1" --count 100 10.96.0.10 80 >"$work/fresh"
	same "$(flows_number "$work/fresh" total failed)" 0
}

# Reset, or closed by the kernel of the dead.
the_dead_pods_connections_ended() { # POD
	local flows broken closed
	flows=$(flows_number "$work/tcp4" pod "$1" flows)
	broken=$(flows_number "$work/tcp4" pod "$1" broken)
	closed=$(flows_number "$work/tcp4" pod "$1" closed)
	at_least "$flows" 1 "flows of $1"
	same $((broken + closed)) "$flows" "flows of $1 that ended"
}

shares_are() { # what shares() printed before
	same "$(shares)" "$1"
}

# A UDP service of these pods; a server that runs already keeps its port.
udp_serve() { # POD...
	local pod
	for pod; do pod_serve "$pod" "$tools/udp_echo" 5353; done
	expose udp 4 10.96.0.20 dns/UDP/53/5353 "$@"
}

choose_victim() {
	local all
	mapfile -t all < <(pods)
	victim=${all[0]}
	survivors=("${all[@]:1}")
}

shares() {
	backends_json | jq -c '[.backends[] | [.service, .address, .port, .slots]] | sort'
}

lbd_dies_and_returns() {
	lab lbd kill
	sleep 0.5
	new_connections_work 25000
	lab lbd start
	lab lbctl wait
}

for hook in xdp-generic tc; do
	lab up --replicas 5 --ipv6 --hook $hook >/dev/null

	choose_victim
	udp_serve "$victim" "${survivors[@]}"
	hold_all 20000
	check "$hook: five pods become ten" lab scale 10
	udp_serve "${survivors[@]}"
	check "$hook: one is deleted" lab kill "$victim"
	check "$hook: ten become five" lab scale 5
	release_all
	check "$hook: no connection of a pod that lives was touched" pods_unharmed "${survivors[@]}"
	check "$hook: those of a deleted pod ended in order" nothing_broke
	check "$hook: UDP flows stay with pods that stay, and none goes unanswered" udp_stays "${survivors[@]}"
	check "$hook: UDP flows of a pod that left have moved" udp_moved_away "$victim"
	check "$hook: no new connection failed meanwhile" no_new_one_failed

	choose_victim
	udp_serve "${survivors[@]}"
	hold_all 21000
	lab kill --force "$victim"
	release_all
	check "$hook: a pod's sudden death breaks no other's connections" pods_unharmed "${survivors[@]}"
	check "$hook: a pod's sudden death ends its own" the_dead_pods_connections_ended "$victim"
	check "$hook: once it is replaced, new connections work" new_connections_work 24000

	hold_all 22000
	before=$(shares)
	check "$hook: lbd is killed, traffic goes on, lbd is started again" lbd_dies_and_returns
	release_all
	# shellcheck disable=SC2046 # pods are words
	check "$hook: that touched no connection" pods_unharmed $(pods)
	check "$hook: that broke nothing" nothing_broke
	check "$hook: that failed no new connection" no_new_one_failed
	check "$hook: the new lbd holds what the old one held" shares_are "$before"
	lab down
done
tests_end
