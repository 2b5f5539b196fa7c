#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# An uplink that lbd shares with others' XDP programs, in libxdp's dispatcher; or, where the
# kernel lets no program extend another, is told so.  tests/kernels has kernels that do.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

PATIENCE_MS=20000
pins=$GUIDEWAY_LAB_DIR/node1/bpf/guideway
export LIBXDP_BPFFS=$GUIDEWAY_LAB_DIR/node1/bpf

chain() { # show|add|remove ARGS...
	local command=$1
	shift
	lab exec node1 "$tools/xdp_chain" "$command" eth0 "$@"
}

# "generic 10 foreign 50 lb_xdp"
chain_names() {
	chain show | cut -d ' ' -f 1,2 | xargs
}

chain_id() { # PRIORITY
	chain show | awk -v priority="$1" '$1 == priority && NF > 1 { print $3 }'
}

# Packets that somebody else's program with this priority has seen.
seen() { # PRIORITY
	chain show | awk -v priority="$1" '$1 == priority { print $4 }'
}

# With libxdp alone: without lbd, on a device that nobody uses.
kernel_has_extensions() {
	own_space_create space
	inside ip link add d0 type veth peer name d1
	inside "$tools/xdp_chain" add d0 generic 10 2>/dev/null && inside "$tools/xdp_chain" remove d0
}

attachment() {
	status_json | jq -r '.attachments[] | select(.role == "uplink") | "\(.hook) \(.attach)"'
}

requests() { # COUNT
	local i
	for ((i = 0; i < $1; i++)); do
		client curl -s -o /dev/null --noproxy '*' --max-time 20 http://10.96.0.10/info
	done
}

lbd_start() {
	GUIDEWAY_ATTACH=dispatcher lab lbd start
	lab lbctl wait --timeout 300 >/dev/null
}

lbd_alone() { # ARGS...
	lab exec node1 "$GUIDEWAY_BUILD/lbd" "$@" --control "$GUIDEWAY_LAB_DIR/node1/lbd.sock"
}

# ---- a kernel that can't ---------------------------------------------------

refusal='lbd: --attach dispatcher: this kernel lets no program extend another (freplace: Operation not permitted), which libxdp'\''s dispatcher needs'

refused() { # BPFFS-DIR
	fails_with 2 "$refusal" lbd_alone --source "file:$GUIDEWAY_LAB_DIR/manifests" --device eth0 --socket-lb off \
		--attach dispatcher --bpffs "$1"
}

a_first_start_leaves_nothing() {
	refused "$GUIDEWAY_LAB_DIR/node1/bpf/other"
	fails test -e "$GUIDEWAY_LAB_DIR/node1/bpf/other"
	fails test -e "$GUIDEWAY_LAB_DIR/node1/bpf/xdp/dispatch-"*
}

what_was_attached_stays() {
	local before
	before=$(find "$pins" | sort)
	refused "$pins"
	same "$(find "$pins" | sort)" "$before" "pins"
	same "$(chain show)" alone
	requests 1
}

# ---- a kernel that can -----------------------------------------------------

it_is_a_dispatchers() {
	same "$(attachment)" "xdp-generic dispatcher"
	matches "$(lab lbctl status)" 'eth0 +uplink +xdp-generic +dispatcher'
	same "$(chain_names)" "generic 50 lb_xdp"
}

others_join() {
	chain add generic 10
	chain add generic 90
	same "$(chain_names)" "generic 10 foreign 50 lb_xdp 90 foreign"
}

# Who runs before ours sees a client's packets, who runs behind doesn't.
ours_balances_between_them() {
	local before behind forwarded
	before=$(seen 10) behind=$(seen 90) forwarded=$(status_json | jq .packets.forwarded)
	requests 10
	at_least "$(($(seen 10) - before))" 50 "packets before ours"
	at_least "$(($(status_json | jq .packets.forwarded) - forwarded))" 50 "forwarded"
	at_least "$((10 - $(seen 90) + behind))" 0 "packets behind ours"
	same "$(answers http://10.96.0.10/info 10 | distinct)" 2 "pods that answered"
}

what_is_not_ours_goes_on() {
	local behind
	behind=$(seen 90)
	client bash -c 'for i in {1..10}; do : >/dev/udp/10.200.0.1/9999; echo >/dev/udp/10.200.0.1/9999; done' || true
	eventually 10 behind_sees "$((behind + 10))"
}

behind_sees() { # COUNT
	(($(seen 90) >= $1))
}

# The chain as it should be, with another program of ours.
ours_was_replaced() { # OUR-ID FIRST-ID LAST-ID
	same "$(chain_names)" "generic 10 foreign 50 lb_xdp 90 foreign"
	same "$(chain_id 10) $(chain_id 90)" "$2 $3" "others' programs"
	fails same "$(chain_id 50)" "$1"
	same "$(find "$LIBXDP_BPFFS/xdp" -name "dispatch-*" -newer "$work/lab-is-up" | wc -l)" 1 "dispatchers"
	ours_balances_between_them
}

lbd_restarts() {
	local ids
	ids="$(chain_id 50) $(chain_id 10) $(chain_id 90)"
	lab lbd stop
	requests 5
	lbd_start
	# shellcheck disable=SC2086 # three
	ours_was_replaced $ids
}

# Wherever that is; the last one mends.
lbd_is_killed_while_it_starts() {
	local ids after
	ids="$(chain_id 50) $(chain_id 10) $(chain_id 90)"
	for after in 0 0.5 2; do
		lab lbd kill
		GUIDEWAY_ATTACH=dispatcher lab lbd start
		sleep $after
	done
	lab lbd kill
	sleep 3 # what is as young as that could be somebody's at work
	lbd_start
	# shellcheck disable=SC2086 # three
	ours_was_replaced $ids
}

hold() {
	flows_hold "$work/held" --tcp --timeout $PATIENCE_MS --interval 1000 --from 20000 --count 20 10.96.0.10 80
}

none_was_touched() {
	same "$(flows_number "$work/held" total flows)" 20 "flows"
	same "$(flows_number "$work/held" total failed)" 0 "failed"
	same "$(flows_number "$work/held" total broken)" 0 "broken: $(cat "$work/held.err")"
	same "$(flows_number "$work/held" total moved)" 0 "moved"
}

a_link_leaves_it_to_others() {
	lab lbd stop
	fails lbd_alone --source "file:$GUIDEWAY_LAB_DIR/manifests" --device eth0 --socket-lb off --hook xdp-generic \
		--bpffs "$pins" 2>"$work/link"
	matches "$(tail -n 1 "$work/link")" 'device eth0 carries another XDP program.*--attach dispatcher'
	same "$(chain_names)" "generic 10 foreign 90 foreign"
	requests 5
	lbd_start
	same "$(chain_names)" "generic 10 foreign 50 lb_xdp 90 foreign"
}

detaching_leaves_others() {
	local first
	first=$(chain_id 10)
	lab lbd stop
	lbd_alone --detach --bpffs "$pins"
	same "$(chain_names)" "generic 10 foreign 90 foreign"
	same "$(chain_id 10)" "$first"
	fails test -e "$pins"
	behind=$(seen 90)
	client ping -c 2 -W 5 10.200.0.1 >/dev/null || client bash -c 'echo >/dev/udp/10.200.0.1/9999; echo >/dev/udp/10.200.0.1/9999'
	eventually 10 behind_sees "$((behind + 2))"
}

lab up --replicas 2 --hook xdp-generic >/dev/null
touch "$work/lab-is-up"
lab lbd stop
if kernel_has_extensions; then
	check "from a link to a dispatcher" lbd_start
	check "status tells of the dispatcher" it_is_a_dispatchers
	check "others join it, before ours and behind" others_join
	check "a client's packets are balanced between them" ours_balances_between_them
	check "what isn't ours goes on to the next" what_is_not_ours_goes_on
	hold
	check "a restart replaces ours alone" lbd_restarts
	check "lbd is killed, also while it starts, and the next one mends" lbd_is_killed_while_it_starts
	flows_end "$flows_pid"
	check "that touched no connection" none_was_touched
	check "--attach link leaves the device to others" a_link_leaves_it_to_others
	check "--detach takes ours alone" detaching_leaves_others
else
	check "a kernel without extensions is told, and a first start leaves nothing" a_first_start_leaves_nothing
	check "what was attached before stays" what_was_attached_stays
fi
tests_end
