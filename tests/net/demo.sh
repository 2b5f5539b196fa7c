#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# The demo tells its story to the end, fails where it isn't true, and cleans up.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

demo() {
	"$top/lab/demos/info" >"$work/story" 2>&1
}

leaves_nothing() {
	same "$(lab down)" "no lab is up"
}

tells_the_story() {
	local start=$SECONDS
	demo || { tail -n 5 "$work/story" && return 1; }
	((SECONDS - start < 60)) || { echo "it took $((SECONDS - start)) s" && return 1; }
	same "$(grep -c ' meanwhile, 0 failed$' "$work/story")" 2 "times traffic was counted"
	same "$(grep -c '^  web-.*###' "$work/story")" 15 "pods with a share"
}

is_interrupted() {
	local status=0
	timeout -s INT 3 env --default-signal=INT "$top/lab/demos/info" >/dev/null || status=$?
	same $status 124 "exit status of timeout"
}

spares_a_lab_that_is_up() {
	lab up --replicas 1 >/dev/null
	fails demo
	matches "$(tail -n 1 "$work/story")" "a lab is up already"
	same "$(pods | wc -l)" 1
	lab down
}

check "the demo tells its story in less than a minute" tells_the_story
check "it leaves nothing behind" leaves_nothing
check "Ctrl-C ends it" is_interrupted
check "that leaves nothing behind, either" leaves_nothing
check "it doesn't touch a lab that is up" spares_a_lab_that_is_up
tests_end
