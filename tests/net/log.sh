#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# lbd's log as programs read it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# Each line of the log is an object; a refused Service is named in its fields.
log_is_json() {
	local log=$GUIDEWAY_LAB_DIR/node1/lbd.log manifests=$GUIDEWAY_LAB_DIR/manifests
	{
		echo 'apiVersion: v1'
		echo 'kind: Service'
		echo 'metadata: {name: bad, namespace: default}'
		echo 'spec: {clusterIP: 10.96.0.77, ports: [{port: 80, name: a revision=9}]}'
	} >"$manifests/bad.yaml"
	eventually 5 grep -q '"msg":"refused"' "$log"
	rm "$manifests/bad.yaml"
	eventually 5 grep -q 'nothing is refused any more' "$log"
	lab lbd stop
	jq -es 'all(.[]; (.ts | test("^[0-9-]+T[0-9:]+\\.[0-9]{6}Z$")) and (.level | IN("info", "warn")) and (.msg | length > 0))' "$log"
	same "$(wc -l <"$log")" "$(jq -c . "$log" | wc -l)" "one object a line"
	jq -es 'any(.[]; .msg == "ready" and .revision == 1 and (.services | type == "number") and (.control | endswith(".sock")))' "$log"
	jq -es 'any(.[]; .msg == "refused" and .object == "default/bad" and .kind == "Service"
		and (.at | test("bad.yaml:4$")) and (.reason | contains("a revision=9\" is not")) and .level == "warn")' "$log"
	jq -es 'any(.[]; .msg == "stopping, traffic goes on" and .signal == 15)' "$log"
	# Also what ends it.
	same "$(lab exec node1 "$GUIDEWAY_BUILD/lbd" --log-format json --device eth0 --source file:/nowhere 2>&1 | jq -c 'del(.ts)')" \
		'{"level":"error","msg":"--source: /nowhere: No such file or directory"}'
}

lab up --replicas 1 -- --log-format json >/dev/null
check "--log-format json: one object an event" log_is_json
tests_end
