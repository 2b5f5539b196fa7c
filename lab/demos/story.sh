# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What the stories share: a lab of their own, commands shown as a person would type
# them, traffic, and what is to be seen.  A story tells what it does as it goes,
# fails where that isn't true, and leaves a clean machine.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
manifests=$(realpath --relative-to=. "$here/../../k8s/demo")
node=10.200.0.1
work=$(mktemp -d)
traffic=
ours= # is the lab ours to end?
exec {screen}>&1

say() {
	echo
	printf '# %s\n' "$@"
}

fail() {
	echo "demo: $*" >&2
	exit 1
}

# The command as a person would type it, wherever its output goes.
show_command() {
	{
		printf '$ lab'
		printf ' %s' "${@@Q}" | sed -E "s|'([a-zA-Z0-9:.,_/=-]*)'|\1|g"
		echo
	} >&"$screen"
}

lab() {
	show_command "$@"
	quiet_lab "$@"
}

quiet_lab() {
	"$here/../lab" "$@"
}

finish() {
	trap '' INT TERM
	jobs -p | xargs -r kill 2>/dev/null || true
	stop_traffic
	[[ -z $ours ]] || quiet_lab down >/dev/null
	rm -rf "$work"
}

# Where it was refused, the lab is somebody else's; where it was interrupted at its
# end, it may be up.
up_failed() { # STATUS
	(($1 != 1)) || ours=
	exit "$1"
}

begin() { # MANIFEST
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	! quiet_lab pods >/dev/null 2>&1 || fail "a lab is up already; \`lab down\` ends it"
	ours=yes
	lab up --app none || up_failed $?
	lab apply -f "$manifests/$1"
	lab pods
}

the_end() {
	say "That was it. Nothing stays behind."
}

# ---- what is there -----------------------------------------------------------

pods() { # [PREFIX]
	quiet_lab pods | awk -v prefix="${1-}" 'NR > 1 && index($1, prefix) == 1 { print $1 }'
}

cluster_ip() { # SERVICE
	quiet_lab lbctl services list | awk -v name="default/$1:" 'index($1, name) == 1 { print $2; exit }'
}

# Ask so many times, each time over a new connection.  Whoever answered is in
# $work/answered, in order.
ask() { # REQUESTS URL
	local requests=(curl -w '\n' -H 'Connection: close' "$2[1-$1]")
	show_command "${requests[@]}"
	quiet_lab "${requests[@]}" | jq -r '.pod_name // .served_by_pod' >"$work/answered"
	(($(wc -l <"$work/answered") == $1)) || fail "not all of $1 requests were answered"
}

answers_of() { # POD
	grep -cx "$1" "$work/answered" || true
}

# Draw who answered.
draw() { # POD...
	local pod n
	for pod; do
		n=$(answers_of "$pod")
		printf '  %-28s %3d  %s\n' "$pod" "$n" "$(printf '%*s' "$n" '' | tr ' ' '#')"
	done
}

# Where 20 are to be expected, less than 3 isn't bad luck.
each_has_a_share() { # POD...
	local pod
	for pod; do
		(($(answers_of "$pod") >= 3)) || fail "$pod answered $(answers_of "$pod") requests"
	done
}

has_none() { # POD...
	local pod
	for pod; do
		(($(answers_of "$pod") == 0)) || fail "$pod answered $(answers_of "$pod") requests"
	done
}

# ---- traffic ---------------------------------------------------------------

# New connections, 100 a second, until stop_traffic.
start_traffic() { # URL
	"$here/../lab" exec client stdbuf -oL curl -s --max-time 5 -H 'Connection: close' --rate 100/s -o /dev/null \
		-w '%{http_code} %{errormsg}\n' "$1[1-1000000]" >"$work/codes" &
	traffic=$!
	sleep 0.5
}

stop_traffic() {
	[[ -n $traffic ]] || return 0
	sleep 0.5
	kill "$traffic" 2>/dev/null || true
	wait "$traffic" 2>/dev/null || true
	traffic=
}

check_traffic() {
	local all bad
	stop_traffic
	all=$(wc -l <"$work/codes")
	bad=$(grep -cv '^200 ' "$work/codes" || true)
	echo "  $all requests meanwhile, $bad failed"
	((bad == 0)) || fail "requests failed: $(grep -v '^200 ' "$work/codes" | sort | uniq -c | head -n 3 | tr '\n' ';')"
	((all > 0)) || fail "there was no traffic"
}
