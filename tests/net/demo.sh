#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# The demo tells its story to the end, fails where it isn't true, and cleans up.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

tells_the_story() {
	story info
	same "$(grep -c ' meanwhile, 0 failed$' "$work/story")" 2 "times traffic was counted"
	same "$(grep -c '^  info-.*###' "$work/story")" 16 "pods with a share"
}

is_interrupted() {
	local status=0
	timeout -s INT 5 env --default-signal=INT "$top/lab/demos/info" >/dev/null || status=$?
	same $status 124 "exit status of timeout"
}

spares_a_lab_that_is_up() {
	lab up --replicas 1 >/dev/null
	fails "$top/lab/demos/info" >"$work/story" 2>&1
	same "$(tail -n 1 "$work/story")" "demo: a lab is up already; \`lab down\` ends it"
	same "$(pods | wc -l)" 1
	lab down
}

check "the demo tells its story to the end" tells_the_story
check "it leaves nothing behind" no_lab_is_up
check "Ctrl-C ends it" is_interrupted
check "that leaves nothing behind, either" no_lab_is_up
check "it doesn't touch a lab that is up" spares_a_lab_that_is_up
tests_end
