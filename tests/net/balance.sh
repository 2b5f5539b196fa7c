#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# 10,000 connections with given source ports spread evenly over 5 replicas.  The
# seed and the pods' addresses are fixed, so the outcome is the same each time.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

CONNECTIONS=10000
CHI_SQUARE_MAX=18.467 # 4 degrees of freedom, p = 0.001

connect_many() { # FAMILY
	local address=10.96.0.10
	(($1 == 4)) || address=fd00:10:96::10
	client "$tools/flows" --tcp --from 20000 --count $CONNECTIONS $address 80 >"$work/$1"
	same "$(flows_number "$work/$1" total failed)" 0 "connections that failed"
	same "$(flows_number "$work/$1" total broken)" 0 "connections that broke"
	same "$(grep -c '^pod ' "$work/$1")" 5 "pods that answered"
}

spread_is_even() { # FAMILY
	flows_number "$work/$1" pod flows | awk -v max=$CHI_SQUARE_MAX '
		{ n[NR] = $1; sum += $1 }
		END {
			for (i in n) chi += (n[i] - sum / NR) ^ 2 / (sum / NR)
			printf "chi-square %.3f over %d pods, at most %s\n", chi, NR, max
			exit NR != 5 || chi > max
		}'
}

# What lbd counted per pod is what the pods answered.
counters_agree() { # FAMILY
	local pod address
	backends_json >"$work/backends"
	for pod in $(pods); do
		address=$(pod_address "$pod" "$1")
		same "$(jq --arg a "$address" '.backends[] | select(.address == $a) | .connections_total' "$work/backends")" \
			"$(flows_number "$work/$1" pod "$pod" flows)" "connections of $address"
	done
}

for hook in xdp-generic tc; do
	lab up --replicas 5 --ipv6 --hook $hook -- --hash-seed 1 >/dev/null
	for family in 4 6; do
		check "$hook, IPv$family: $CONNECTIONS connections are all answered" connect_many $family
		check "$hook, IPv$family: they are spread evenly over 5 pods" spread_is_even $family
		check "$hook, IPv$family: the counters agree with the pods" counters_agree $family
	done
	lab down
done
tests_end
