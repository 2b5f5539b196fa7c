#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# What a lbd with another layout of the maps has pinned serves until a new one does, and
# then is gone.  Here the other layout is ours under another number.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

lab up --replicas 3 >/dev/null
pins=$GUIDEWAY_LAB_DIR/node1/bpf/guideway
url=http://10.96.0.10/

layouts() {
	basename -a "$pins"/v* | paste -sd ' '
}
own=$(layouts)

others_serve() {
	lab lbd stop
	mv "$pins/$own" "$pins/v1"
	at_least "$(answers $url 30 | distinct)" 3 "pods that answer"
}
check "without its lbd another layout's programs go on" others_serve

# A device has room for one XDP program.
is_xdp_again() {
	lab lbctl status | grep -qE "^eth0 +uplink +xdp"
}

is_alone() {
	same "$(layouts)" "$own" layouts >/dev/null
}

taken_over() {
	flows_hold "$work/kept" --tcp --interval 20 --timeout 5000 --from 20000 --count 60 10.96.0.10 80
	lab lbd start
	lab lbctl wait
	is_xdp_again
	# Answers that are under way are undone by the other's programs: those stay for a while.
	eventually 20 is_alone
	grep 'took over from a lbd with another layout' "$GUIDEWAY_LAB_DIR/node1/lbd.log"
	lab scale 4
	same "$(answers $url 60 | distinct)" 4 "pods that answer"
	flows_end "$flows_pid"
	tail -n 1 "$work/kept"
	same "$(flows_number "$work/kept" total broken)" 0 "kept connections that broke"
}
check "a new lbd takes over: connections stay with their pods, changes are served" taken_over

all_goes() {
	lab lbd stop
	mv "$pins/$own" "$pins/v1"
	nsenter --net="/run/netns/$lab_name-node1" "$GUIDEWAY_BUILD/lbd" --detach --bpffs "$pins"
	fails test -e "$pins"
	fails client curl -s --max-time 1 $url
}
check "lbd --detach takes another layout's away, too" all_goes

tests_end
