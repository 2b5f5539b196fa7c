# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Both sides of a connection send a file at the same time, and each knows the
# checksum of what came.  Sourced after lib.sh, by tests that set $BULK_BYTES.

cat >"$work/exchange" <<END
#!/bin/sh
echo "\$SOCAT_PEERADDR" >$work/peer
cat $work/down &
sha256sum >$work/up.sum
wait
mv $work/up.sum $work/up.done
END
chmod 755 "$work" "$work/exchange"
head -c "$BULK_BYTES" /dev/urandom >"$work/up"
head -c "$BULK_BYTES" /dev/urandom >"$work/down"

# For port 9000 of a pod: what runs socat there, or `pod_serve POD`.
exchange_serve() { # CMD...
	"$@" socat TCP4-LISTEN:9000,fork,reuseaddr EXEC:"$work/exchange"
	"$@" socat TCP6-LISTEN:9000,fork,reuseaddr,ipv6only=1 EXEC:"$work/exchange"
}

# Once, and all of it arrives; CMD... runs socat where the client is.
contents_are_exchanged() { # SECONDS ADDRESS-IN-URL CMD...
	local seconds=$1 address=$2 sum
	shift 2
	rm -f "$work/up.done" "$work/peer"
	sum=$("$@" timeout "$seconds" socat -t "$((seconds * 2 / 3))" - "TCP:$address:9000" <"$work/up" | sha256sum)
	same "${sum%% *}" "$(sha256sum "$work/down" | cut -d ' ' -f 1)" "what the client got"
	eventually 30 test -e "$work/up.done"
	same "$(cut -d ' ' -f 1 "$work/up.done")" "$(sha256sum "$work/up" | cut -d ' ' -f 1)" "what the pod got"
}
