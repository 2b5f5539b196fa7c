#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# What `make install` puts below DESTDIR: it's all there, works from there, and
# `make uninstall` takes it away.  The lab runs the installed programs.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

dest=$work/dest/usr
build=$(realpath --relative-to="$top" "$GUIDEWAY_BUILD")

make_tree() { # TARGET
	make -s -C "$top" --no-print-directory B="$build" DESTDIR="$work/dest" PREFIX=/usr "$1"
}

files() {
	(cd "$work/dest" && find . ! -type d -printf '%m %P\n' | sort -k 2)
}

wanted="755 usr/bin/lbctl
755 usr/bin/replica
644 usr/lib/systemd/system/lbd.service
755 usr/sbin/lbd
644 usr/share/bash-completion/completions/lbctl
644 usr/share/bash-completion/completions/lbd
644 usr/share/man/man1/lab.1
644 usr/share/man/man1/replica.1
644 usr/share/man/man8/lbctl.8
644 usr/share/man/man8/lbd.8
644 usr/share/zsh/site-functions/_guideway"

all_is_installed() {
	make_tree install
	same "$(files)" "$wanted"
}

programs_tell_their_version() {
	local program version
	version=$(<"$top/VERSION")
	for program in sbin/lbd bin/lbctl bin/replica; do
		same "$("$dest/$program" --version)" "${program#*/} $version"
		matches "$("$dest/$program" --help)" "^usage: ${program#*/}"
	done
}

# systemd reads it without a complaint, and starts what is installed.
unit_is_good() {
	local unit=$dest/lib/systemd/system/lbd.service
	same "$(sed -n 's/^ExecStart=//p' "$unit")" /usr/sbin/lbd
	sed "s,/usr/sbin/lbd,$dest/sbin/lbd," "$unit" >"$work/lbd.service"
	same "$(systemd-analyze verify --man=no "$work/lbd.service" 2>&1)" ""
	echo "Nonsense=yes" >>"$work/lbd.service"
	matches "$(systemd-analyze verify --man=no "$work/lbd.service" 2>&1)" "Nonsense"
}

# It says so once its maps are filled, and when it stops.
systemd_hears_of_it() {
	lab lbd stop
	NOTIFY_SOCKET=$work/notify lab lbd start
	eventually 20 grep -qx 'READY=1' "$work/heard"
	lab lbctl services list >/dev/null
}

systemd_hears_the_end() {
	lab lbd stop
	eventually 5 grep -qx 'READY=1STOPPING=1' "$work/heard"
}

# The manifest that README begins with.
readme_is_right() {
	sed -n '/^    apiVersion: v1$/,/^$/ s/^    //p' "$top/README.md" >"$work/readme.yaml"
	same "$(lab exec node1 "$dest/sbin/lbd" --check --source "file:$work/readme.yaml" --device eth0 2>&1)" \
		"service default/web:http TCP IPv4 10.96.0.10:80 endpoints=2
1 services, 0 refused"
}

# ---- wrong use, of what is installed ---------------------------------------------

# One line on stderr and exit status 2, before anything is done; lbctl's in JSON, too.
wrong_use_is_told() { # PROGRAM
	local error status=0
	for words in "--nosuch" "--version=1" "stray" "--help=x"; do
		status=0
		error=$("$1" $words 2>&1 >/dev/null) || status=$?
		same "$status" 2 "exit status of $words"
		same "$(wc -l <<<"$error")" 1 "lines of $words"
		matches "$error" "^${1##*/}: "
	done
}

lbctl_says_it_in_json() {
	local output status=0
	output=$("$dest/bin/lbctl" nosuch -o json 2>"$work/stderr") || status=$?
	same "$status $(jq -r .error <<<"$output") $(<"$work/stderr")" "2 unknown command 'nosuch' (see lbctl --help) "
	status=0
	output=$("$dest/bin/lbctl" --control "$work/none" --bpffs "$work/none" status -o json 2>"$work/stderr") || status=$?
	same "$status $(jq -r .error <<<"$output") $(<"$work/stderr")" "1 no daemon answers on $work/none (is lbd running?) "
}

# Each option of --help that takes a value, without one; and of a twin's bad value, where
# there are bad ones, the twin is named.
options_are_checked() {
	local name names twin status error
	names=$("$dest/sbin/lbd" --help | sed -nE 's/^  --([a-z-]+) [A-Za-z].*/\1/p')
	at_least "$(wc -w <<<"$names")" 30 options
	for name in $names; do
		status=0
		error=$("$dest/sbin/lbd" --source file:/nowhere "--$name" 2>&1) || status=$?
		same "$status" 2 "exit status of --$name"
		matches "$error" "^lbd: --$name: .* is missing$"
	done
	for name in node-address nodeport-addresses hook attach tc bypass snat-ports linger health health-interval \
		health-rise health-fall hash-seed max-services max-backends max-frontends max-flows max-udp-flows \
		max-new-flows max-affinity max-slots services listen log-level log-format check detach; do
		twin=${name^^} twin=GUIDEWAY_${twin//-/_} status=0
		error=$(env "$twin=bad value" "$dest/sbin/lbd" --source file:/nowhere 2>&1) || status=$?
		same "$status" 2 "exit status of $twin"
		same "$(wc -l <<<"$error")" 1 "lines of $twin"
		matches "$error" "^lbd: $twin: "
	done
}

# ---- manual pages ------------------------------------------------------------------

# Each option of --help is told of, each command has its paragraph.
pages_have_every_option() {
	local name page=$dest/share/man/man8
	for name in $("$dest/sbin/lbd" --help | sed -nE 's/^ +--([a-z-]+).*/\1/p'); do
		grep -qE "^\.(It )?Fl -([a-z-]+ , -)*$name( |$)" "$page/lbd.8" || { echo "lbd(8) lacks --$name" && return 1; }
	done
	while read -r name; do
		grep -qE "^\.It Cm $name( |$)" "$page/lbctl.8" || { echo "lbctl(8) lacks $name" && return 1; }
	done < <("$dest/bin/lbctl" --help | sed -nE '/^commands:/,/^$/ s/^  ([a-z]+( [a-z]+)?)( [A-Z[].*|  .*)$/\1/p')
}

pages_are_well_formed() {
	local page
	for page in "$dest"/share/man/man?/*; do
		same "$(man --warnings -E UTF-8 -l -Tutf8 "$page" 2>&1 >/dev/null)" "" "$page"
	done
}

# What the planner says, its values as "..."; each has its paragraph in lbctl(8), and each
# word for the state of a Service or a backend its place.
pages_tell_every_refusal() {
	local reason reasons page=$dest/share/man/man8/lbctl.8
	reasons=$(cat "$top"/user/lib/plan*.c | tr -d '\n\t' |
		grep -oE '(planner_refuse|planner_leave_out|snprintf)\((p, [^"]*|why, [^"]*)"[^"]*"' |
		sed -E 's/^[^"]*"(.*)"$/\1/; s/%[a-z]+/.../g; s,(\.\.\./?)+,...,g')
	at_least "$(wc -l <<<"$reasons")" 10 reasons
	while read -r reason; do
		grep -qxF ".It $reason" "$page" || { echo "lbctl(8) lacks: $reason" && return 1; }
	done <<<"$reasons"
	for reason in refused no_endpoint down draining not_ready terminating unused; do
		sed -n '/^\.Sh REFUSALS/,/^\.Sh ENV/p' "$page" | grep -qx "\.Cm $reason" || { echo "lbctl(8) lacks $reason" && return 1; }
	done
}

nothing_is_left() {
	touch "$dest/bin/another"
	make_tree uninstall
	same "$(files)" "644 usr/bin/another"
}

check "make install puts every file into its place" all_is_installed
check "installed programs run" programs_tell_their_version
check "the systemd unit is well-formed" unit_is_good
for program in sbin/lbd bin/lbctl bin/replica; do
	check "wrong use of ${program#*/} is one line, and 2" wrong_use_is_told "$dest/$program"
done
check "lbctl's errors are JSON where JSON was asked for" lbctl_says_it_in_json
check "each option of lbd, and its twin in the environment, is checked" options_are_checked
mkdir "$work/programs"
ln -s "$dest"/*bin/* "$work/programs"
GUIDEWAY_BUILD=$work/programs lab up --replicas 1 >/dev/null
export GUIDEWAY_BUILD=$work/programs
check "README's manifest is taken" readme_is_right
socat -u "UNIX-RECV:$work/notify" "CREATE:$work/heard" &
listener=$!
check "a service manager hears when lbd is ready" systemd_hears_of_it
check "and when it stops" systemd_hears_the_end
kill $listener
check "manual pages have every option and command" pages_have_every_option
check "lbctl(8) tells of every refusal" pages_tell_every_refusal
check "manual pages are well-formed" pages_are_well_formed
check "make uninstall takes all of it away, and nothing else" nothing_is_left
tests_end
