#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# lbd is killed at every store into its mapped maps of a sync that changes
# everything, and at random times while it syncs without a pause: traffic goes
# on, and the next start mends the maps.
#
# GUIDEWAY_TEST_SEED repeats the random times, as far as times can be.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../net/lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/states.sh"

RANDOM_KILLS=15
RANDOM_MS=100 # a kill comes within

# lbd starts and mends what the one before has left; then it is told of the other
# state, until one isn't killed.
every_store() {
	local store state=x
	lab lbd kill
	for ((store = 1; ; store++)); do
		lbd_traced "$tools/kill_at_store" $store
		eventually 30 lbd_is_ready_or_dead
		is_mended "$state"
		all_get_some "$state"
		kill -USR1 "$tracer"
		state=$(other "$state")
		source_is "$state"
		! lab lbctl wait --timeout 1 >/dev/null 2>&1 || break
		wait "$tracer"
		grep '^kill_at_store' "$work/traced"
		new_connections 5
	done
	lbd_traced_kill
	echo "$((store - 1)) stores" >"$work/summary"
	at_least $store 50 "stores"
}

# Both states in turn, as fast as lbd takes them.
source_flaps() {
	local state=x
	while [[ ! -e $work/stop ]]; do
		state=$(other "$state")
		source_is "$state"
		lab lbctl wait --timeout 1 >/dev/null 2>&1 || true
	done
}

random_times() { # MS...
	local state=x ms flapping
	for ms; do
		echo "after $ms ms"
		lab lbd start
		is_mended "$state"
		all_get_some "$state"
		rm -f "$work/stop"
		source_flaps &
		flapping=$!
		sleep "0.2$(printf '%02d' "$ms")"
		lab lbd kill
		touch "$work/stop"
		wait $flapping
		new_connections 5
		state=$(other "$state")
		source_is "$state"
	done
	lab lbd start
	is_mended "$state"
}

seed=${GUIDEWAY_TEST_SEED:-$RANDOM}
RANDOM=$seed
times=()
for ((i = 0; i < RANDOM_KILLS; i++)); do times+=($((RANDOM % RANDOM_MS))); done

states_learn --hook auto
hold
check "killed at every store of a sync, lbd is mended by the next start" every_store
echo "# $(<"$work/summary")"
echo "# GUIDEWAY_TEST_SEED=$seed"
check "killed at random times while it syncs, it is mended by the next start" random_times "${times[@]}"
flows_end "${held[@]}"
check "none of these kills has harmed a connection" unharmed
lab down
tests_end
