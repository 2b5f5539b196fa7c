#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# A start that finds the maps as they should be writes nothing: it replaces the
# programs behind their links, without a packet in between, and leaves every
# byte of the maps alone.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../net/lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/states.sh"

strace=(strace -f -qq -o "$work/trace" -e "trace=bpf,mmap,mprotect,fcntl,dup,dup2,dup3,unlink,unlinkat")

# ---- what a start did ----------------------------------------------------------------

# Calls of the last trace that write into maps which that start didn't make, or
# that could: a writable mapping of one.  Its own are those of libbpf (constants
# of the programs, probes of the kernel).
writes() {
	awk '
		function result() { return $NF == "=" ? "" : $NF }
		/ bpf\(BPF_MAP_CREATE/ { own[result()] = 1 }
		/ bpf\(BPF_OBJ_GET,/ { delete own[result()] }
		/ (fcntl|dup3?)\(/ {
			split($0, part, /[(,]/)
			if (/F_DUPFD|dup/) { if (part[2] in own) own[result()] = 1; else delete own[result()] }
		}
		/ dup[23]\(/ {
			split($0, part, /[(,)] */)
			if (part[2] in own) own[part[3]] = 1; else delete own[part[3]]
		}
		/ bpf\(BPF_MAP_(UPDATE|DELETE|LOOKUP_AND_DELETE)/ {
			match($0, /map_fd=[0-9]+/)
			if (!(substr($0, RSTART + 7, RLENGTH - 7) in own)) print
		}
		/ mmap\(.*MAP_SHARED/ && !/MAP_ANONYMOUS/ {
			split($0, part, /, /)
			if (!(part[5] in own)) {
				split($0, mapped, / = /)
				# Sections of data, which libbpf puts where it likes;
				# lbd makes its own mappings writable in place.
				if (/MAP_FIXED/ && !(mapped[2] in adopted)) next
				adopted[mapped[2]] = 1
				if (part[3] ~ /PROT_WRITE/) print
			}
		}
		/ mprotect\(.*PROT_WRITE/ {
			split($0, part, /[(,]/)
			if (part[2] in adopted) print
		}' "$work/trace"
}

# Calls that pin, attach or detach; the one that asks the kernel for tcx apart.
attachments_made() {
	grep -E 'BPF_(OBJ_PIN|LINK_CREATE|LINK_DETACH)| unlink(at)?\(.*/v[0-9]+/' "$work/trace" | grep -v ENODEV || true
}

bytes() { # FILE
	local map
	for map in services service_names rings arena backends devices frontends4 frontends6; do
		echo "$map"
		bpftool map dump pinned "$pins"/v*/maps/"$map"
	done >"$1"
}

# "PIN LINK-ID PROGRAM-ID"
links() {
	local pin
	for pin in "$pins"/v*/links/*; do
		bpftool -j link show pinned "$pin" | jq -r --arg pin "${pin##*/}" '"\($pin) \(.id) \(.prog_id)"'
	done
}

# ---- starts ---------------------------------------------------------------------------

start_traced() {
	lbd_traced "${strace[@]}"
	eventually 30 lbd_is_ready_or_dead
	lab lbctl wait >/dev/null
	at_least "$(grep -c ' bpf(BPF_MAP_LOOKUP_BATCH' "$work/trace")" 1 "calls that read the maps"
}

lbd_end() { # SIGNAL
	local pid
	pid=$(lab lbctl -o json status | jq .pid)
	kill "-$1" "$pid"
	eventually 10 has_ended "$pid"
}

has_ended() { # PID, which may be nobody's child any more
	[[ ! -e /proc/$1 ]] || grep -q '^State:.*Z' "/proc/$1/status"
}

writes_nothing() { # SIGNAL that ends the one before
	bytes "$work/before"
	lbd_end "$1"
	start_traced
	same "$(writes)" "" "writes"
	same "$(attachments_made)" "" "pins and links"
	bytes "$work/after"
	cmp "$work/before" "$work/after"
	at_least "$(wc -l <"$work/after")" 1000 "lines of the maps"
}

replaces_programs() {
	local before
	before=$(links)
	lbd_end TERM
	start_traced
	same "$(links | cut -d ' ' -f 1,2)" "$(cut -d ' ' -f 1,2 <<<"$before")" "links"
	same "$(comm -12 <(links | cut -d ' ' -f 3 | sort -u) <(cut -d ' ' -f 3 <<<"$before" | sort -u))" "" \
		"programs of before"
}

notices_a_difference() {
	lbd_end TERM
	source_is x
	start_traced
	at_least "$(writes | grep -c BPF_MAP)" 2 "updates"
	at_least "$(writes | grep -c mmap)" 1 "writable mappings"
	lbd_end KILL
}

for hook in xdp-generic tc; do
	states_learn --hook $hook
	source_is y
	lab lbctl wait >/dev/null
	hold
	mapfile -t all < <(pods)
	for pod in "${all[@]}"; do pod_serve "$pod" "$tools/udp_echo" 5000; done
	: >"$work/udp"
	# Nobody sends a datagram again: a lost one is a broken flow.
	flows_hold "$work/udp" --udp --interval 5 --timeout 5000 --from 10000 --count 20 10.96.0.30 80
	held+=("$flows_pid")
	check "$hook: after kill -9, a start that finds nothing to do writes nothing" writes_nothing KILL
	check "$hook: after an orderly end, too" writes_nothing TERM
	check "$hook: links stay, programs are replaced" replaces_programs
	flows_end "${held[@]}"
	check "$hook: no connection is harmed" unharmed
	check "$hook: no datagram is lost" same "$(flows_number "$work/udp" total broken)" 0 "broken"
	check "$hook: a start that finds a difference is seen to write" notices_a_difference
	lab down
done
tests_end
