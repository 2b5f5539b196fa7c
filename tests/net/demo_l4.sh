#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# What a balancer of connections does and doesn't.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

check "the story is true to its end" story l4
check "it leaves nothing behind" no_lab_is_up
tests_end
