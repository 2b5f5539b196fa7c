#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# k8s/demo/coinflip.yaml on a cluster, with a tutorial's commands.
. "$(dirname "$0")/lib.sh"

space_create
demo_apply coinflip
ready deployment/coinflip
settled
url=http://$(node_address "${nodes[-1]}"):31080

work_is_done() {
	local heads
	for heads in 3 10 18; do
		matches "$(curl -s -m 20 -d "{\"heads\":$heads}" "$url/compute")" \
			"^\\{\"heads_required\":$heads,\"total_flips\":[0-9]+\\}"
	done
	same "$(curl -s -m 5 -o /dev/null -w '%{http_code}' -d '{"heads":99}' "$url/compute")" 400
}
check "POST /compute is answered, and nonsense is told" work_is_done

# Nobody twice in a row.
alternate() {
	awk '$0 == last { twice = 1 } { print; last = $0 } END { exit twice }'
}

in_turn() {
	outside 10 "$url/info" >"$work/turns"
	same "$(different <"$work/turns")" 2 workers
	alternate <"$work/turns"
}
check "round-robin: the two workers take turns" in_turn

by_the_ring() {
	local pods
	in_space annotate service coinflip guideway.io/scheduler-
	settled
	mapfile -t pods < <(pods_of app=coinflip)
	outside 40 "$url/info" >"$work/turns"
	share 6 "${pods[@]}" <"$work/turns"
	fails alternate <"$work/turns"
}
check "without the annotation both have a share, in no order" by_the_ring

one_is_left() {
	in_space scale deployment coinflip --replicas=1
	eventually 20 alone
	settled
	same "$(outside 10 "$url/info" | sort -u)" "$(pods_of app=coinflip)"
}

alone() {
	same "$(pods_of app=coinflip | wc -l)" 1 pods >/dev/null
}
check "scaled to one, that one does it all" one_is_left

tests_end
