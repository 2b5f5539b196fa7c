#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# lbd is killed at the bpf(2) calls of a first start, of a start that finds
# work, and of a sync: traffic goes on, and the next start mends the maps.
#
# A kill after a call that only reads leaves what the kill before has left, so
# calls that follow one that writes are tried; all are with
# GUIDEWAY_TEST_ALL=1 (some minutes).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../net/lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/states.sh"

strace=(strace -f -qq -e trace=bpf -o "$work/trace")

# The calls of the last trace at which a kill is worth a try.
calls_worth() {
	awk -v all="${GUIDEWAY_TEST_ALL-}" '
		/ bpf\(BPF_/ {
			if (all || wrote || !n) print n + 1
			n++
			wrote = /BPF_(MAP_UPDATE|MAP_DELETE|MAP_FREEZE|OBJ_PIN|LINK_CREATE|LINK_UPDATE|LINK_DETACH)/
		}
		END { if (wrote) print n + 1 }' "$work/trace" >"$work/calls"
	echo "$(wc -l <"$work/calls") of $(grep -c ' bpf(BPF_' "$work/trace") calls" >"$work/summary"
	at_least "$(wc -l <"$work/calls")" 10 "calls"
}

# An undisturbed start, for its calls.
start_watch() {
	lbd_traced "${strace[@]}"
	fails lbd_was_killed
	calls_worth
}

start_killed() { # CALL
	lbd_traced "${strace[@]}" "--inject=bpf:signal=KILL:when=$1"
	lbd_was_killed || echo "it made fewer calls than before"
}

first_starts() {
	local call
	source_is x
	lab lbd stop
	lbd_detach
	start_watch
	for call in $(<"$work/calls"); do
		echo "call $call"
		lbd_detach
		start_killed "$call"
		lab lbd start
		is_mended x
		all_get_some x
		lab lbd stop
	done
	lab lbd start
	is_mended x
}

later_starts() {
	local call state=y
	lab lbd kill
	source_is $state
	start_watch
	lab lbd start
	is_mended $state
	for call in $(<"$work/calls"); do
		state=$(other "$state")
		echo "call $call, to $state"
		lab lbd kill
		source_is "$state"
		start_killed "$call"
		new_connections 5
		lab lbd start
		is_mended "$state"
		all_get_some "$state"
	done
	source_is x
	is_mended x
}

# Until one is survived.
syncs() {
	local call state=x
	for ((call = 1; ; call++)); do
		state=$(other "$state")
		echo "call $call, to $state"
		strace -qq -e trace=bpf -o "$work/trace" "--inject=bpf:signal=KILL:when=$call" \
			-p "$(<"$GUIDEWAY_LAB_DIR/node1/lbd.pid")" 2>"$work/strace" &
		tracer=$!
		eventually 5 strace_is_attached
		source_is "$state"
		! lab lbctl wait --timeout 3 >/dev/null 2>&1 || break
		wait "$tracer" || true
		new_connections 5
		lab lbd start
		is_mended "$state"
		all_get_some "$state"
	done
	kill -INT "$tracer"
	wait "$tracer" || true
	is_mended "$state"
	echo "$((call - 1)) calls" >"$work/summary"
	at_least $call 10 "calls"
}

strace_is_attached() {
	grep -q "^TracerPid:.*[1-9]" "/proc/$(<"$GUIDEWAY_LAB_DIR/node1/lbd.pid")/status"
}

states_learn --hook auto
check "killed at the calls of a first start, it is mended by the next" first_starts
echo "# $(<"$work/summary")"
hold
check "killed at the calls of a later start, it is mended by the next" later_starts
echo "# $(<"$work/summary")"
check "killed at the calls of a sync, it is mended by the next start" syncs
echo "# $(<"$work/summary")"
flows_end "${held[@]}"
check "none of these kills has harmed a connection" unharmed
lab down
tests_end
