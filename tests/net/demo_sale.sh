#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# The flash sale: nobody is sent to a pod that isn't ready.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

check "the story is true to its end" story sale
check "it leaves nothing behind" no_lab_is_up
tests_end
