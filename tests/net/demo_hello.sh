#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# The page that counts in Redis outlives frontend, replica and master.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

check "the story is true to its end" story hello
check "it leaves nothing behind" no_lab_is_up
tests_end
