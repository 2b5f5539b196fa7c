#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# 1,000 connections through 200 random events: none breaks whose pod lives, and
# new ones work after each event.
#
# GUIDEWAY_TEST_SEED repeats a run.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../net/lib.sh"

EVENTS=200
CHAPTER=25 # events in one check
SETTLED=8  # pods that no event ends; the others come and go
PATIENCE_MS=10000
NODE_PORT=30080
manifests=$GUIDEWAY_LAB_DIR/manifests

# ---- connections -----------------------------------------------------------------

held=() held_names=()

hold() { # NAME FLOWS-OPTIONS...
	local name=$1
	shift
	: >"$work/$name"
	flows_hold "$work/$name" --timeout $PATIENCE_MS --interval 1000 "$@"
	held+=("$flows_pid")
	held_names+=("$name")
}

# Source ports of held flows are from 10000 up, those of new ones from 20000.
hold_all() {
	hold tcp4 --tcp --from 10000 --count 800 10.96.0.10 80
	hold tcp6 --tcp --from 10000 --count 500 fd00:10:96::10 80
	hold udp4 --udp --from 10000 --count 100 10.96.0.20 53
}

# New connections without a pause.  They may fail from a pod's silent death on
# until it is known: see silent_death().
stream_start() {
	: >"$work/windows"
	"$top/lab/lab" exec client stdbuf -oL curl -s --max-time 5 -H 'Connection: close' --rate 50/s -o /dev/null \
		-w '%{http_code} %{errormsg}\n' "http://10.96.0.10/info?[1-1000000]" >"$work/stream" &
	stream_pid=$!
}

stream_end() {
	kill $stream_pid
	wait $stream_pid || true
}

stream_count() {
	wc -l <"$work/stream"
}

new_connections_work() { # FIRST-PORT
	client "$tools/flows" --tcp --from "$1" --count 10 10.96.0.10 80 >"$work/new"
	same "$(flows_number "$work/new" total failed)" 0 "failed"
	client "$tools/flows" --tcp --from "$1" --count 5 fd00:10:96::10 80 >"$work/new"
	same "$(flows_number "$work/new" total failed)" 0 "failed over IPv6"
}

# ---- pods, and the UDP service that this file keeps ----------------------------------

# Of $work/pods, a table that spares asking the lab: "POD ADDRESS", the oldest
# first.
pods_look() {
	lab pods | awk 'NR > 1 { print $1, $4 }' >"$work/pods"
}

pods_count() {
	wc -l <"$work/pods"
}

pod_at() { # NUMBER, from 1
	sed -n "$1s/ .*//p" "$work/pods"
}

# A pod that isn't settled.
victim() { # NUMBER
	pod_at $((SETTLED + 1 + $1 % ($(pods_count) - SETTLED)))
}

udp_publish() { # [POD that is left out]
	{
		cat <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: udp, namespace: default}
		spec: {clusterIP: 10.96.0.20, ports: [{name: dns, protocol: UDP, port: 53, targetPort: 5353}]}
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: udp-1, namespace: default, labels: {kubernetes.io/service-name: udp}}
		addressType: IPv4
		ports: [{name: dns, protocol: UDP, port: 5353}]
		endpoints:
		END
		awk -v out="${1-}" '$1 != out {
			printf "- {addresses: [\"%s\"], nodeName: node1, conditions: {ready: true}}\n", $2
		}' "$work/pods"
	} >"$work/udp.yaml"
	lab apply -f "$work/udp.yaml"
}

# Pods have come or gone: everyone serves UDP, who doesn't yet.
udp_follow() {
	local pod
	pods_look
	while read -r pod _; do
		grep -q "^$pod " "$work/served" || pod_serve "$pod" "$tools/udp_echo" 5353
	done <"$work/pods"
	cp "$work/pods" "$work/served"
	udp_publish
}

# ---- the events: each gets a random number ------------------------------------------

# Another size of ring, there and back.
scale() {
	if (($(pods_count) > 10)); then
		udp_publish "$(pod_at 11)"
		lab scale 10
	else
		lab scale 11
	fi
	udp_follow
}

delete() { # NUMBER
	local pod
	pod=$(victim "$1")
	udp_publish "$pod"
	lab kill "$pod"
	udp_follow
}

silent_death() { # NUMBER
	local pod first
	pod=$(victim "$1")
	udp_publish "$pod"
	first=$(stream_count)
	lab kill --force "$pod"
	# One more, which began before.
	echo "$first $(($(stream_count) + 2))" >>"$work/windows"
	udp_follow
}

# As kubelet sees it, and until someone writes the slices anew.
conditions_set() { # POD true|false
	local file
	for file in "$manifests"/web-ipv[46].yaml; do
		awk -v pod=" name: $1," -v ready="$2" '
			NR == FNR { if (index($0, pod)) conditions = FNR - 2; next }
			FNR == conditions { sub(/ready: [a-z]+, serving: [a-z]+/, "ready: " ready ", serving: " ready) }
			{ print }' "$file" "$file" >"$GUIDEWAY_LAB_DIR/slice"
		mv "$GUIDEWAY_LAB_DIR/slice" "$file"
	done
	grep -q "{ready: $2, serving: $2" "$file"
	lab lbctl wait
}

readiness() { # NUMBER
	local pod
	if [[ -s $work/unready ]]; then
		pod=$(<"$work/unready")
		: >"$work/unready"
		! grep -q "^$pod " "$work/pods" || conditions_set "$pod" true
	else
		pod=$(pod_at $(($1 % 10 + 1)))
		echo "$pod" >"$work/unready"
		conditions_set "$pod" false
	fi
}

crash() {
	lab lbd kill
	new_connections_work 19000
	lab lbd start
	lab lbctl wait
}

upgrade() {
	lab lbd stop
	lab lbd start
	lab lbctl wait
}

touch_manifests() {
	touch "$manifests"/*.yaml
	lab lbctl wait
}

node_port() {
	local failed
	if grep -q nodePort "$manifests/web.yaml"; then
		sed "s/, nodePort: $NODE_PORT//; s/type: NodePort/type: ClusterIP/" "$manifests/web.yaml" >"$work/web.yaml"
		failed=1
	else
		sed "s/targetPort: 5000/&, nodePort: $NODE_PORT/; s/type: ClusterIP/type: NodePort/" "$manifests/web.yaml" >"$work/web.yaml"
		failed=0
	fi
	cp "$work/web.yaml" "$GUIDEWAY_LAB_DIR/service"
	mv "$GUIDEWAY_LAB_DIR/service" "$manifests/web.yaml"
	lab lbctl wait
	client "$tools/flows" --tcp --from 19100 --count 1 10.200.0.1 $NODE_PORT >"$work/new" 2>/dev/null
	same "$(flows_number "$work/new" total failed)" $failed "failed at the node port"
}

# Each as often as it is named.
kinds=(scale scale scale scale scale scale delete delete delete delete silent_death
	readiness readiness readiness readiness readiness readiness crash crash crash crash
	upgrade upgrade upgrade touch_manifests touch_manifests node_port node_port node_port)

chapter() { # FIRST-EVENT
	local i
	for ((i = $1; i < $1 + CHAPTER; i++)); do
		echo "event $i: ${story[i]}"
		${story[i]}
		new_connections_work $((20000 + 10 * i))
	done
}

# ---- what has to be true in the end ----------------------------------------------------

# Sum of a field over the flows of these pods.
sum_of() { # FIELD FILE POD...
	local field=$1 file=$2
	shift 2
	awk -v field="$field" -v pods=" $* " '
		$1 == "pod" && index(pods, " " $2 " ") {
			for (i = 3; i < NF; i++) if ($i == field) sum += $(i + 1)
		}
		END { print sum + 0 }' "$file"
}

unharmed() { # NAME POD...
	local name=$1 what
	shift
	same "$(flows_number "$work/$name" total failed)" 0 "$name failed"
	for what in broken closed moved; do
		same "$(sum_of $what "$work/$name" "$@")" 0 "$name $what: $(cat "$work/$name" "$work/$name.err")"
	done
}

connections_live() { # POD...
	local name
	for name in "${held_names[@]}"; do
		[[ $name = udp4 ]] || unharmed "$name" "$@"
	done
}

thousand_lived_through_it() { # POD...
	at_least $(($(sum_of flows "$work/tcp4" "$@") + $(sum_of flows "$work/tcp6" "$@"))) 1000 "connections"
}

none_moved() {
	local name
	for name in "${held_names[@]}"; do
		[[ $name = udp4 ]] || same "$(flows_number "$work/$name" total moved)" 0 "$name moved"
	done
}

stream_is_clean() {
	local trouble
	at_least "$(stream_count)" 100 "new connections"
	trouble=$(awk '
		NR == FNR { first[n] = $1; last[n++] = $2; next }
		$1 != 200 {
			for (i = 0; i < n; i++) if (FNR >= first[i] && FNR <= last[i]) next
			print FNR ": " $0
		}' "$work/windows" "$work/stream")
	same "$trouble" "" "connections that failed"
}

seed=${GUIDEWAY_TEST_SEED:-$((RANDOM << 15 | RANDOM))}
echo "# GUIDEWAY_TEST_SEED=$seed"
RANDOM=$seed
story=()
for ((i = 0; i < EVENTS; i++)); do
	story+=("${kinds[RANDOM % ${#kinds[@]}]} $RANDOM")
done

lab up --replicas 10 --ipv6 >/dev/null
: >"$work/served"
: >"$work/unready"
udp_follow
hold_all
stream_start
for ((event = 0; event < EVENTS; event += CHAPTER)); do
	((event % 50 != 0 || event == 0)) || hold "tcp4-$event" --tcp --from $((11000 + 2 * event)) --count 100 10.96.0.10 80
	check "events $event to $((event + CHAPTER - 1)): new connections work after each" chapter $event
done
stream_end
mapfile -t living < <(cut -d ' ' -f 1 "$work/pods")
sleep 1.5 # one more request on each
flows_end "${held[@]}"
check "no connection broke whose pod lives" connections_live "${living[@]}"
check "1,000 connections lived through all events" thousand_lived_through_it "${living[@]}"
check "none went to another pod" none_moved
check "no UDP flow broke or moved whose pod lives" unharmed udp4 "${living[@]}"
check "no new connection failed but for a pod's silent death" stream_is_clean
lab down
tests_end
