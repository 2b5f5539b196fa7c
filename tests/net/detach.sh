#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# lbd --detach takes everything away, and nothing else does.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

pins=$GUIDEWAY_LAB_DIR/node1/bpf/guideway

detach() {
	nsenter --net=/run/netns/$lab_name-node1 "$GUIDEWAY_BUILD/lbd" --detach --bpffs "$pins" \
		--control "$GUIDEWAY_LAB_DIR/node1/lbd.sock"
}

# Of everything pinned, and of the programs behind the links: "map 12".
objects_pinned() {
	local pin
	find "$pins" -type f | while read -r pin; do
		case $pin in
		*/maps/*) bpftool -j map show pinned "$pin" | jq -r '"map \(.id)"' ;;
		*/links/*) bpftool -j link show pinned "$pin" | jq -r '"link \(.id)", "prog \(.prog_id)"' ;;
		esac
	done | sort -u
}

objects_live() { # FILE: those of the list that the kernel still has
	local kind id
	while read -r kind id; do
		! bpftool "$kind" show id "$id" >/dev/null 2>&1 || echo "$kind $id"
	done <"$1"
}

# The kernel frees them a moment after their last user is gone.
objects_are_gone() { # FILE
	eventually 5 no_object_lives "$1" || { echo "still there:" && objects_live "$1" && return 1; }
}

no_object_lives() {
	[[ -z $(objects_live "$1") ]]
}

there_is_something() { # FILE
	local kind
	for kind in map link prog; do
		at_least "$(grep -c "^$kind " "$1")" 1 "${kind}s"
	done
}

answers() {
	lab curl -o /dev/null http://10.96.0.10/
}

serves_without_lbd() {
	lab lbd stop
	answers
	same "$(objects_live "$work/objects")" "$(cat "$work/objects")" "objects in the kernel"
}

detaches() {
	same "$(detach 2>&1 | grep -v '^info ')" "" "output"
	objects_are_gone "$work/objects"
	fails test -e "$pins"
	fails grep -q xdp <<<"$(lab exec node1 ip link show eth0)"
}

the_service_is_gone() {
	fails lab curl --max-time 1 -o /dev/null http://10.96.0.10/ 2>/dev/null
	lab curl -o /dev/null "http://$(pod_address "$(pods | head -n 1)" 4):5000/"
}

starts_again() {
	lab lbd start
	lab lbctl wait
	answers
}

is_refused_while_lbd_runs() {
	local line status=0
	line=$(detach 2>&1) || status=$?
	at_least $status 1 "exit status"
	same "$(wc -l <<<"$line")" 1 "lines: $line"
	answers
}

for hook in xdp-generic tc; do
	lab up --replicas 2 --hook $hook >/dev/null
	objects_pinned >"$work/objects"
	check "$hook: maps, links and programs are there" there_is_something "$work/objects"
	check "$hook: --detach is refused while lbd runs" is_refused_while_lbd_runs
	check "$hook: traffic goes on when lbd has ended" serves_without_lbd
	check "$hook: --detach leaves no map, link, program or pin" detaches
	check "$hook: then only the pods' own addresses answer" the_service_is_gone
	check "$hook: to detach what is detached is no error" detach
	check "$hook: lbd starts again from nothing" starts_again
	objects_pinned >"$work/objects"
	lab down
	check "$hook: the end of the lab leaves none either" objects_are_gone "$work/objects"
done
tests_end
