#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# replica's other faces: the sale, the coin flip, the page that counts its visits
# in Redis, which comes, hangs and goes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

own_space_create faces

get() {
	inside curl -sS --max-time 5 --noproxy '*' "$@"
}

status_of() {
	get -o /dev/null -w '%{http_code}' "$@"
}

start() { # APP PORT REDIS-HOST
	nsenter --net=/run/netns/$own_space env HOSTNAME=host POD_NAME=web-1 REDIS_HOST="$3" NAME=there \
		"$GUIDEWAY_BUILD/replica" --app "$1" --port "$2" >/dev/null 2>&1 &
	disown
	eventually 5 get -o /dev/null "http://127.0.0.1:$2/health" 2>/dev/null
}

redis_start() {
	nsenter --net=/run/netns/$own_space "$GUIDEWAY_BUILD/redis-server" --bind 127.0.0.1 --save "" --dir "$work" >/dev/null 2>&1 &
	echo $! >"$work/redis"
	disown
	eventually 10 redis_answers
}

redis_answers() {
	[[ $(inside redis-cli ping 2>/dev/null) = PONG ]]
}

redis_signal() { # SIGNAL
	kill "-$1" "$(<"$work/redis")"
}

sale=http://127.0.0.1:5001 coin=http://127.0.0.1:5002 hello=http://127.0.0.1:5003 lost=http://127.0.0.1:5004
NO_COUNTER='<h3>Hello there!</h3><br/><b>Visits:</b> <i>cannot connect to Redis, counter disabled</i><br/><b>Hostname:</b> host <br/>'

page() { # VISITS
	echo "<h3>Hello there!</h3><br/><b>Visits:</b> $1<br/><b>Hostname:</b> host <br/>"
}

the_sale_welcomes() {
	matches "$(get $sale/)" '^\{"message":"Welcome to Big Sale!","pod":"web-1","ts":[0-9]{10}\}$'
}

the_sale_sells() {
	matches "$(get "$sale/buy?user=J%C3%BCrgen+K")" '^\{"status":"success","item":"(Smartphone|Shoes|Headphones|Laptop)","user":"Jürgen K","served_by_pod":"web-1","time":"[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"\}$'
	matches "$(get "$sale/buy?user=")" '"user":"user[0-9]+"'
	matches "$(get "$sale/buy?user=%22%5C")" '"user":"\\"\\\\"'
	same "$(status_of "$sale/buy?user=%ff%fe")" 400
	same "$(status_of -X POST $sale/buy)" 405
}

flip() { # BODY
	get -d "$1" $coin/compute
}

coins_are_flipped() {
	local heads flips
	for heads in 1 5 20; do
		flips=$(flip "{\"heads\":$heads}" | jq -r "select(.heads_required == $heads) | .total_flips")
		at_least "$flips" "$heads" "flips for $heads"
	done
	same "$(flip '{"heads":1}' | sed 's/[0-9]*}$/N}/')" '{"heads_required":1,"total_flips":N}'
}

nonsense_is_400() {
	local body
	for body in '{"heads":0}' '{"heads":21}' '{"heads":-1}' '{"heads":1.5}' '{"heads":"3"}' '{"heads":null}' '{}' '[]' \
		'3' 'x' '{"heads":1' '{"heads":1,"heads":2}' '{"heads":99999999999999999999}' $'\xff'; do
		same "$(status_of -d "$body" $coin/compute)" 400 "$body"
	done
	matches "$(flip '{"heads":0}')" '^\{"error":".*"\}$'
	same "$(head -c 70000 /dev/zero | status_of --data-binary @- -H 'Expect:' $coin/compute)" 413
	same "$(status_of $coin/compute)" 405
	same "$(status_of -d '{"heads":3}' $coin/)" 404
}

# A body that comes in pieces, and one that never ends.
bodies_come_in_chunks() {
	local chunked=(-H 'Transfer-Encoding: chunked' -H 'Expect:')
	matches "$(get "${chunked[@]}" -d '{"heads":2}' $coin/compute)" '^\{"heads_required":2,"total_flips":[0-9]+\}$'
	matches "$(raw 'POST /compute HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"h\r\n1;x=y\r\ne\r\n8\r\nads": 3}\r\n0\r\nX: y\r\n\r\n' 5002)" '^HTTP/1.1 200 OK$'
	same "$(status_of "${chunked[@]}" -d '{' $coin/compute)" 400
	same "$(head -c 70000 /dev/zero | status_of "${chunked[@]}" --data-binary @- $coin/compute)" 413
	fails status_of "${chunked[@]}" --data-binary @/dev/zero $coin/compute
	# The connection is kept.
	same "$(get "${chunked[@]}" -o /dev/null -o /dev/null -w '%{num_connects}' -d '{"heads":2}' $coin/compute $coin/compute)" 10
}

raw() { # REQUEST [PORT]: the first line of the answer
	printf '%b' "$1" | inside timeout 3 socat -t 1 - "TCP:127.0.0.1:${2-5001}" | head -n 1 | tr -d '\r'
}

hosts_are_needed() {
	same "$(raw 'GET /health HTTP/1.1\r\n\r\n')" "HTTP/1.1 400 Bad Request"
	same "$(raw 'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')" "HTTP/1.1 400 Bad Request"
	matches "$(raw 'GET /health HTTP/1.0\r\n\r\n')" '^HTTP/1.[01] 200 OK$'
	# The answer comes once.
	same "$(printf 'GET /health HTTP/1.1\r\n\r\n' | inside timeout 3 socat -t 1 - TCP:127.0.0.1:5001 | grep -c '^HTTP')" 1 "status lines"
}

without_redis_the_page_does_without() {
	same "$(get $hello/)" "$NO_COUNTER"
	same "$(get $lost/)" "$NO_COUNTER"
	matches "$(get $hello/version)" '^<b>Version 1</b>'
}

with_redis_it_counts() {
	redis_start
	same "$(get $hello/)" "$(page 1)"
	same "$(get $hello/)" "$(page 2)"
	same "$(for _ in 1 2 3 4 5 6 7 8; do get $hello/ & done | grep -o Visits | wc -l)" 8 "pages at once"
	same "$(get $hello/)" "$(page 11)"
}

# In 2 s, and meanwhile others are served.
a_redis_that_hangs_holds_nobody() {
	local page
	redis_signal STOP
	get --max-time 2 $hello/ >"$work/page" &
	page=$!
	same "$(status_of $hello/health)" 200
	wait "$page"
	same "$(cat "$work/page")" "$NO_COUNTER"
	redis_signal CONT
	matches "$(get $hello/)" '<b>Visits:</b> 1[0-9]<br/>'
}

it_recovers_by_itself() {
	redis_signal KILL
	same "$(get --max-time 2 $hello/)" "$NO_COUNTER"
	redis_start
	same "$(get $hello/)" "$(page 1)"
	same "$(get $hello/)" "$(page 2)"
}

# The port of a replica of Redis that may not be written to.
a_read_only_redis_is_as_good_as_none() {
	inside redis-cli replicaof 127.0.0.1 1 >/dev/null
	same "$(get --max-time 2 $hello/)" "$NO_COUNTER"
	inside redis-cli replicaof no one >/dev/null
	same "$(get $hello/)" "$(page 3)"
}

start sale 5001 ""
start coinflip 5002 ""
start hello 5003 127.0.0.1
start hello 5004 no-such-host.invalid
check "sale: GET / welcomes" the_sale_welcomes
check "sale: GET /buy sells something to whoever it is" the_sale_sells
check "coinflip: POST /compute flips until so many heads have come" coins_are_flipped
check "coinflip: nonsense is answered 400, too much of it 413" nonsense_is_400
check "coinflip: a body may come in chunks" bodies_come_in_chunks
check "a request needs one Host, and gets one answer" hosts_are_needed
check "hello: without Redis the page does without its counter" without_redis_the_page_does_without
check "hello: with Redis it counts" with_redis_it_counts
check "hello: a Redis that hangs holds nobody up" a_redis_that_hangs_holds_nobody
check "hello: it recovers by itself" it_recovers_by_itself
check "hello: a Redis that can't be written to is as good as none" a_read_only_redis_is_as_good_as_none
tests_end
