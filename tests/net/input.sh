#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Bad input: one clear line that names what is wrong; and what was good before
# goes on.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# lbd as the lab starts it on its node, but beside it: own bpffs and socket.
space=/run/netns/$lab_name-node1
pins=$work/bpf
mkdir "$pins" "$work/manifests" "$work/plain"
chmod 755 "$work"
cp "$GUIDEWAY_BUILD/lbd" "$work/lbd" # where nobody can reach it, too
trap '((BASHPID != $$)) || { umount "$pins"; at_exit; }' EXIT
mount -t bpf bpf "$pins"

lbd() { # OPTIONS...
	nsenter --net=$space timeout 5 "$work/lbd" --source "file:$work/manifests" --device eth0 \
		--bpffs "$pins/guideway" --control "$work/lbd.sock" "$@"
}

# It exits 2 after one line on stderr, and nothing is left of it.
refuses() { # REGEX COMMAND...
	local wanted=$1 line status=0
	shift
	line=$("$@" 2>&1 >/dev/null) || status=$?
	same $status 2 "exit status"
	same "$(wc -l <<<"$line")" 1 "lines: $line"
	matches "$line" "$wanted"
	fails test -e "$pins/guideway"
	fails test -e "$work/lbd.sock"
}

manifest() { # FILE, from stdin
	rm -f "$work/manifests"/*
	cat >"$work/manifests/$1"
}

no_root() {
	chmod 755 "$work/manifests"
	nsenter --net=$space setpriv --reuid=65534 --regid=65534 --clear-groups timeout 5 "$work/lbd" \
		--source "file:$work/manifests" --device eth0 --bpffs "$pins/guideway" --control "$work/plain/lbd.sock"
}

good_manifest() {
	manifest good.yaml <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: good, namespace: default}
		spec: {clusterIP: 10.96.1.1, ports: [{port: 80}]}
	END
}

broken_yaml() {
	manifest broken.yaml <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: web
		spec: {}
	END
}

refuses_second() {
	local line status=0
	line=$(nsenter --net=$space timeout 5 "$work/lbd" --source "file:$work/manifests" --device eth0 \
		--bpffs "$GUIDEWAY_LAB_DIR/node1/bpf/guideway" --control "$work/lbd.sock" 2>&1) || status=$?
	same $status 1
	same "$(wc -l <<<"$line")" 1 "lines: $line"
	matches "$line" "another lbd"
	answers 10.96.0.10
}

lab up --replicas 2 >/dev/null
good_manifest
check "an unknown option" refuses "^[^ ]*lbd: .*--nosuch" lbd --nosuch
check "an option without its value" refuses "--node" lbd --node
check "a hook that isn't one" refuses "--hook.*nosuch" lbd --hook nosuch
check "a node address that isn't one" refuses "--node-address.*node1" lbd --node-address node1
check "a number that isn't one" refuses "--max-flows.*many" lbd --max-flows many
check "an argument that is none" refuses "stray" lbd stray
check "a source of no known kind" refuses "--source.*etcd:x" lbd --source etcd:x
check "a source that doesn't exist" refuses "/nosuch/dir.*[Nn]o such file" lbd --source file:/nosuch/dir
check "a device that doesn't exist" refuses "nosuch0" lbd --device nosuch0
check "a directory that is no bpffs" refuses "$work/plain.*bpf" lbd --bpffs "$work/plain/guideway"
check "a relative path that is on no bpffs" refuses "--bpffs relative/x: \\. is not on a bpf" lbd --bpffs relative/x
check "no root" refuses "root|CAP_|[Pp]ermi" no_root
broken_yaml
check "broken YAML, by file and line" refuses "broken\.yaml:[34]: " lbd
check "broken YAML, by --check" refuses "broken\.yaml:[34]: " lbd --check
good_manifest
check "--check passes what is good" lbd --check

# ---- while it runs: the rest goes on, the last good state stays ------------

answers() { # ADDRESS
	lab curl -o /dev/null "http://$1/info"
}

refused_is() { # KIND NAME REGEX
	local reason
	reason=$(status_json | jq -r --arg kind "$1" --arg object "default/$2" \
		'.refused[] | select(.kind == $kind and .object == $object) | .where + ": " + .reason')
	matches "$reason" "$3"
}

nothing_is_refused() {
	same "$(status_json | jq -c .refused)" "[]"
	same "$(status_json | jq -r .source_state)" ok
}

# Replace a file as the lab does, but don't wait for what can't come.
change() { # SED-SCRIPT
	sed "$1" "$work/extra.yaml" >"$work/changed"
	mv "$work/changed" "$GUIDEWAY_LAB_DIR/manifests/user-extra.yaml"
	lab lbctl wait --timeout 1
}

both_answer() {
	answers 10.96.0.60
	answers 10.96.0.10
}

restore() {
	change ''
	nothing_is_refused
	both_answer
}

broken_file_keeps_its_state() {
	fails change '3s/.*/metadata: {name: [/'
	same "$(status_json | jq -r .source_state)" stale
	matches "$(status_json | jq -r '.refused[].where')" "user-extra\.yaml:[0-9]+"
	matches "$(cat "$GUIDEWAY_LAB_DIR/node1/lbd.log")" "user-extra\.yaml:[0-9]+"
	both_answer
}

a_service_without_ports_is_refused_alone() {
	fails change '/^  ports:/,/^---/{/^  ports:/d;/^  - /d}'
	refused_is Service extra "user-extra\.yaml:[0-9]+: .*ports"
	both_answer
}

a_host_name_is_refused_alone() {
	fails change 's/addresses: \["[^"]*"\]/addresses: ["pod.example"]/'
	refused_is EndpointSlice extra-1 "user-extra\.yaml:[0-9]+: .*pod\.example"
	both_answer
}

a_directory_that_vanishes_keeps_all() {
	mv "$GUIDEWAY_LAB_DIR/manifests" "$GUIDEWAY_LAB_DIR/manifests.away"
	fails lab lbctl wait --timeout 1
	both_answer
	mv "$GUIDEWAY_LAB_DIR/manifests.away" "$GUIDEWAY_LAB_DIR/manifests"
	lab lbctl wait --timeout 5
	both_answer
}

expose extra 4 10.96.0.60 web/TCP/80/5000 "$(pods | head -n 1)"
check "a service of one's own works" both_answer
check "a file that breaks keeps its last good state, and the others work" broken_file_keeps_its_state
check "once it is mended, nothing is refused" restore
check "a Service that loses its ports is refused alone, and keeps its last good state" \
	a_service_without_ports_is_refused_alone
check "a slice with a host name is refused alone, and keeps its last good state" a_host_name_is_refused_alone
check "once it is mended, nothing is refused" restore
check "a directory that vanishes keeps everything" a_directory_that_vanishes_keeps_all
check "a second lbd on the same bpffs is refused" refuses_second
tests_end
