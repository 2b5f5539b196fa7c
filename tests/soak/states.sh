# shellcheck shell=bash disable=SC2154 # lib.sh's variables
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# For the tests that end lbd in the midst of its work: two states of the source,
# x and y, what maps that hold them mean, and lbd started by hand.  Source it
# after lib.sh.
#
# "Mended" is by meaning: what tests/tools/meaning.c prints of the pins has to
# be what it prints of an lbd that has never been killed.

pins=$GUIDEWAY_LAB_DIR/node1/bpf/guideway
manifests=$GUIDEWAY_LAB_DIR/manifests

# ---- the source ------------------------------------------------------------------------

manifest() { # NAME, from stdin
	cat >"$GUIDEWAY_LAB_DIR/manifest"
	mv "$GUIDEWAY_LAB_DIR/manifest" "$manifests/$1.yaml"
}

# A Service beside the lab's own.
service() { # NAME PORT-SPEC ADDRESS...
	local name=$1 port=$2
	shift 2
	manifest "$name" <<-END
	apiVersion: v1
	kind: Service
	metadata: {name: $name, namespace: default}
	spec:
	  type: NodePort
	  clusterIP: 10.96.0.30
	  ports: [{name: p, targetPort: 5000, $port}]
	---
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSlice
	metadata: {name: $name-1, namespace: default, labels: {kubernetes.io/service-name: $name}}
	addressType: IPv4
	ports: [{name: p, port: 5000, protocol: $([[ $port = *UDP* ]] && echo UDP || echo TCP)}]
	endpoints:
	$(printf -- '- {addresses: ["%s"], nodeName: node1, conditions: {ready: true}}\n' "$@")
	END
}

# The last pod of the lab's own Service: its connections stay all the same.
last_is_ready() { # true|false
	local family
	for family in 4 6; do
		awk -v ready="$1" '
			{ line[NR] = $0 }
			/conditions:/ { last = NR }
			END {
				sub(/ready: [a-z]+/, "ready: " ready, line[last])
				for (i = 1; i <= NR; i++) print line[i]
			}' "$manifests/web-ipv$family.yaml" | manifest "web-ipv$family"
	done
}

# From one to the other a frontend moves to another Service, others come and go,
# so do backends; rings lose a member, change it, are new, are taken away.
source_is() { # x|y
	case $1 in
	x)
		service alpha "port: 80, nodePort: 30090" "${addresses[0]}" "${addresses[1]}"
		rm -f "$manifests/beta.yaml" "$manifests/gamma.yaml"
		service delta "port: 81" "${addresses[0]}"
		last_is_ready true
		;;
	y)
		rm -f "$manifests/alpha.yaml"
		service beta "port: 80" "${addresses[1]}" "${addresses[2]}"
		service gamma "port: 80, protocol: UDP, nodePort: 30090" "${addresses[0]}" "${addresses[2]}"
		service delta "port: 81" "${addresses[2]}"
		last_is_ready false
		;;
	esac
}

other() { # x|y
	[[ $1 = x ]] && echo y || echo x
}

# ---- what the maps hold ---------------------------------------------------------------------

# Without the MACs, which are the kernel's to find out: one that a busy pod doesn't
# confirm in time is unknown until there is a packet for it.
meaning() {
	lab exec node1 "$tools/meaning" "$pins" | sed -E 's/ ([0-9a-f]{2}:){5}[0-9a-f]{2}$//' | sort
}

means() { # x|y
	[[ $(meaning) = "$(<"$work/meaning-$1")" ]]
}

# It takes a moment where a backend has to rest before it is free.
is_mended() { # x|y
	lab lbctl wait >/dev/null
	eventually 5 means "$1" || { meaning | diff "$work/meaning-$1" - || return 1; }
}

# New connections, and who has them; over IPv6 too, so that all neighbours are
# known and next hops complete.
new_connections() { # COUNT
	client "$tools/flows" --tcp --from 20000 --count "$1" 10.96.0.10 80 >"$work/new"
	client "$tools/flows" --tcp --from 20000 --count "$1" fd00:10:96::10 80 >"$work/new6"
	same "$(flows_number "$work/new" total failed)" 0 "failed"
	same "$(flows_number "$work/new6" total failed)" 0 "failed over IPv6"
}

all_get_some() { # x|y
	local wanted=3
	[[ $1 = x ]] || wanted=2
	new_connections 30
	same "$(grep -c ^pod "$work/new")" $wanted "pods that answer"
	same "$(grep -c ^pod "$work/new6")" $wanted "pods that answer over IPv6"
}

# ---- lbd by hand ------------------------------------------------------------------------------

lbd_detach() {
	lab exec node1 "${lbd_command[0]}" --detach --bpffs "$pins" >/dev/null 2>&1
}

# lbd under a tracer, which kills it or not; sets $tracer.
lbd_traced() { # TRACER...
	"$top/lab/lab" exec node1 "$@" "${lbd_command[@]}" >"$work/traced" 2>&1 &
	tracer=$!
}

lbd_is_ready_or_dead() {
	process_ended "$tracer" || grep -q '^info ready' "$work/traced"
}

lbd_traced_kill() {
	kill -KILL "$(lab lbctl -o json status | jq .pid)"
	wait "$tracer" || true
}

# 0: it was killed; 1: it was not, and has been ended by hand.
lbd_was_killed() {
	eventually 30 lbd_is_ready_or_dead
	if process_ended "$tracer"; then
		wait "$tracer" || true
		return 0
	fi
	lbd_traced_kill
	return 1
}

# A lab of three pods with small maps, the meaning of both states, state x in
# the maps, and lbd's command line.
states_learn() {
	lab up --replicas 3 --ipv6 "$@" -- --max-slots 65536 --max-services 32 --max-backends 64 --max-frontends 32 \
		--max-flows 4096 --max-new-flows 4096 --linger 0 >/dev/null
	mapfile -t addresses < <(lab pods | awk 'NR > 1 { print $4 }')
	mapfile -d '' -t lbd_command <"/proc/$(<"$GUIDEWAY_LAB_DIR/node1/lbd.pid")/cmdline"
	new_connections 30 # or a next hop would be complete only in the second state
	local state
	for state in y x; do
		source_is $state
		lab lbctl wait >/dev/null
		lab lbd stop
		lbd_detach
		lab lbd start
		lab lbctl wait >/dev/null
		meaning >"$work/meaning-$state"
	done
}

# Connections that have to live through all that follows.
hold() {
	: >"$work/held"
	flows_hold "$work/held" --tcp --timeout 10000 --from 10000 --count 100 10.96.0.10 80
	: >"$work/held6"
	held=("$flows_pid")
	flows_hold "$work/held6" --tcp --timeout 10000 --from 10000 --count 100 fd00:10:96::10 80
	held+=("$flows_pid")
}

unharmed() {
	local what name
	for name in held held6; do
		for what in failed broken closed moved; do
			same "$(flows_number "$work/$name" total $what)" 0 "$name $what: $(cat "$work/$name.err")"
		done
	done
}
