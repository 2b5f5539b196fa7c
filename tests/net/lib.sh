# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What the tests of whole systems share: TAP, a lab of their own, services
# beyond the lab's.  A test file reads:
#
#   . "$(dirname "$0")/lib.sh"
#   check "a sentence that is true" COMMAND...
#   tests_end
#
# A command is true if it exits 0; it runs with set -e in a subshell, and what
# it prints is shown if it fails.  The lab goes down at the end, come what may.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
export GUIDEWAY_BUILD=${GUIDEWAY_BUILD:-$top/build}
# A world of its own, so that a person's lab and the tests don't meet.
export GUIDEWAY_LAB_DIR=${GUIDEWAY_TEST_DIR:-/run/guideway-test}
# What the names of its namespaces and of its cgroup begin with.
lab_name=$(basename "$GUIDEWAY_LAB_DIR")
tools=$GUIDEWAY_BUILD/tests
work=$(mktemp -d)
cases=0 failures=0
own_space= # see own_space_create

at_exit() {
	((BASHPID == $$)) || return 0
	trap '' INT TERM
	own_space_delete
	lab down >/dev/null || true
	rm -rf "$work"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() { # SENTENCE COMMAND...
	local sentence=$1 status
	shift
	cases=$((cases + 1))
	set +e
	# Not into a pipe: what the command leaves running would keep it open.
	(set -e && "$@") >"$work/output" 2>&1
	status=$?
	set -e
	if ((status == 0)); then
		echo "ok $cases - $sentence"
	else
		echo "not ok $cases - $sentence"
		tail -n 30 "$work/output" | sed 's/^/# /'
		failures=$((failures + 1))
	fi
}

tests_end() {
	echo "1..$cases"
	((failures == 0)) || exit 1
}

# ---- small truths ----------------------------------------------------------

same() { # GOT WANTED [WHAT]
	[[ $1 = "$2" ]] || { echo "${3:-value}: got '$1', wanted '$2'" && return 1; }
}

matches() { # TEXT REGEX
	[[ $1 =~ $2 ]] || { printf 'got:\n%s\nwanted to match: %s\n' "$1" "$2" && return 1; }
}

at_least() { # NUMBER MINIMUM [WHAT]
	local number=${1%%.*}
	((${number:-0} >= $2)) || { echo "${3:-number}: got $1, wanted at least $2" && return 1; }
}

fails() { # COMMAND...
	! "$@" || { echo "should have failed: $*" && return 1; }
}

fails_with() { # STATUS LINE COMMAND...
	local wanted=$1 line=$2 output status=0
	shift 2
	output=$("$@" 2>&1) || status=$?
	same "$output" "$line"
	same $status "$wanted" "exit status"
}

process_ended() { # PID
	! kill -0 "$1" 2>/dev/null
}

# Try again and again until a command is true; then it was, or the time is up.
eventually() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || { echo "not in time: $*" && return 1; }
		sleep 0.05
	done
}

# ---- a namespace for a test without a lab; what runs there ends with the test ----

own_space_create() { # NAME
	own_space=$lab_name-$1
	ip netns add "$own_space"
	ip -n "$own_space" link set lo up
}

own_space_delete() {
	[[ -n $own_space ]] || return 0
	ip netns pids "$own_space" | xargs -r kill -9
	ip netns delete "$own_space"
}

inside() { # CMD...
	nsenter --net="/run/netns/$own_space" "$@"
}

# ---- the lab ---------------------------------------------------------------

lab() {
	"$top/lab/lab" "$@"
}

no_lab_is_up() {
	same "$(lab down)" "no lab is up"
}

# A story of lab/demos fails by itself where it isn't true.
story() { # NAME
	"$top/lab/demos/$1" >"$work/story" 2>&1 || { tail -n 20 "$work/story" && return 1; }
	same "$(tail -n 1 "$work/story")" "# That was it. Nothing stays behind."
}

client() {
	lab exec client "$@"
}

pods() {
	lab pods | awk 'NR > 1 { print $1 }'
}

# Start a server in a pod; it ends with the pod.
pod_serve() { # POD CMD...
	"$top/lab/lab" exec "$@" >/dev/null 2>&1 &
	disown
}

pod_address() { # POD 4|6
	local ip4 node
	ip4=$(lab pods | awk -v pod="$1" '$1 == pod { print $4 }')
	if (($2 == 4)); then
		echo "$ip4"
	else
		node=${ip4#10.244.}
		printf 'fd00:10:244:%s::%x\n' "${node%.*}" "${ip4##*.}"
	fi
}

pod_node() { # POD
	lab pods | awk -v pod="$1" '$1 == pod { print $5 }'
}

backends_json() {
	lab lbctl -o json backends list
}

status_json() {
	lab lbctl -o json status
}

# A Service of one family with an EndpointSlice of the pods named.  A port is
# NAME/PROTOCOL/PORT/TARGET-PORT.
expose() { # NAME 4|6 ADDRESS "PORT..." POD...
	local name=$1 family=$2 address=$3 ports=$4 port fields pod
	shift 4
	{
		cat <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: $name, namespace: default}
		spec:
		  clusterIP: "$address"
		  clusterIPs: ["$address"]
		  ipFamilies: [IPv$family]
		  ports:
		END
		for port in $ports; do
			IFS=/ read -ra fields <<<"$port"
			echo "  - {name: ${fields[0]}, protocol: ${fields[1]}, port: ${fields[2]}, targetPort: ${fields[3]}}"
		done
		cat <<-END
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: $name-1, namespace: default, labels: {kubernetes.io/service-name: $name}}
		addressType: IPv$family
		ports:
		END
		for port in $ports; do
			IFS=/ read -ra fields <<<"$port"
			echo "- {name: ${fields[0]}, protocol: ${fields[1]}, port: ${fields[3]}}"
		done
		echo "endpoints:"
		for pod; do
			echo "- {addresses: [\"$(pod_address "$pod" "$family")\"], nodeName: $(pod_node "$pod"), conditions: {ready: true}}"
		done
	} >"$work/$name.yaml"
	lab apply -f "$work/$name.yaml"
}

# A Service of the lab's pods with more in its spec: NAME ADDRESS ANNOTATIONS SPEC.
service() {
	local pod
	{
		cat <<-END
			apiVersion: v1
			kind: Service
			metadata: {name: $1, namespace: default, annotations: {$3}}
			spec: {clusterIP: $2, ports: [{port: 80}], $4}
			---
			apiVersion: discovery.k8s.io/v1
			kind: EndpointSlice
			metadata: {name: $1-1, namespace: default, labels: {kubernetes.io/service-name: $1}}
			addressType: IPv4
			ports: [{name: "", port: 5000}]
			endpoints:
		END
		for pod in $(pods); do
			echo "- {addresses: [$(pod_address "$pod" 4)], nodeName: ${slice_node-$(pod_node "$pod")}, targetRef: {name: $pod}}"
		done
	} >"$work/$1.yaml"
	lab apply -f "$work/$1.yaml"
	lab lbctl wait >/dev/null
}

answers() { # URL COUNT: the pods that answer, in order
	local i
	for ((i = 0; i < $2; i++)); do
		client curl -s --noproxy '*' --max-time 3 "$1" | jq -r .pod_name
	done
}

distinct() {
	sort -u | grep -c .
}

# What a person's firewall does: source NAT, and no patience with packets that
# connection tracking can't place.
firewall_start() { # [MASQUERADE-RULE]
	lab exec node1 nft -f - <<-END
		table inet firewall {
			counter invalid {}
			chain forward {
				type filter hook forward priority filter; policy accept;
				ct state invalid counter name invalid drop
			}
			chain postrouting {
				type nat hook postrouting priority srcnat; policy accept;
				${1-masquerade}
			}
		}
	END
}

firewall_invalid_packets() {
	lab exec node1 nft -j list counter inet firewall invalid | jq '.nftables[] | .counter? // empty | .packets'
}

# ---- flows (tests/tools/flows.c) -------------------------------------------

# A number of its report: `flows_number FILE pod NAME broken`, `... total failed`.
flows_number() { # FILE KIND [NAME] FIELD
	local file=$1 kind=$2 name='' field=${*: -1}
	(($# < 4)) || name=$3
	awk -v kind="$kind" -v name="$name" -v field="$field" '
		$1 == kind && (name == "" || $2 == name) {
			for (i = 2; i < NF; i++) if ($i == field) print $(i + 1)
		}' "$file"
}

# Hold flows in the background; sets $flows_pid.  Their report is for FILE.
flows_hold() { # FILE FLOWS-OPTIONS...
	local file=$1
	shift
	"$top/lab/lab" exec client "$tools/flows" --keep "$@" >"$file" 2>"$file.err" &
	# shellcheck disable=SC2034 # for the caller
	flows_pid=$!
	eventually 20 grep -q '^ready' "$file"
}

flows_end() { # PID...
	kill -TERM "$@"
	wait "$@"
}
