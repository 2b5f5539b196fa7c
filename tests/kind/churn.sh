#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# 1,000 Services with 10,000 endpoints, and a hundred changes a second: what the maps hold
# afterwards is what the API server has.
. "$(dirname "$0")/lib.sh"

services=${GUIDEWAY_CHURN_SERVICES:-1000} # a multiple of 40
changes=${GUIDEWAY_CHURN_CHANGES:-6000}

space_create
web_apply
client_apply
in_space expose deployment web --port=80 --target-port=http >/dev/null
ready deployment/web daemonset/client
settled

# kubectl is too slow for this: curl, by the kubeconfig's certificate.
kubeconfig() { # JQ-PATH
	kubectl config view --raw --minify -o json | jq -r "$1"
}
api=$(kubeconfig '.clusters[0].cluster.server')
kubeconfig '.clusters[0].cluster["certificate-authority-data"]' | base64 -d >"$work/ca"
kubeconfig '.users[0].user["client-certificate-data"]' | base64 -d >"$work/certificate"
kubeconfig '.users[0].user["client-key-data"]' | base64 -d >"$work/key"

# Requests of stdin, lines "METHOD KIND[/NAME] BODY", over one connection; fails where one did.
requests() { # NAME CURL-OPTIONS...
	local name=$1
	shift
	awk -v api="$api" -v space="$space" -v work="$work" '
	BEGIN {
		where["services"] = "/api/v1/namespaces/" space "/services"
		where["endpointslices"] = "/apis/discovery.k8s.io/v1/namespaces/" space "/endpointslices"
		type["POST"] = "application/json"
		type["PATCH"] = "application/json-patch+json"
		type["DELETE"] = "application/json"
	}
	{
		method = $1
		split($2, path, "/")
		body = substr($0, length($1) + length($2) + 3)
		gsub(/"/, "\\\"", body)
		if (NR > 1) print "next"
		printf "url = \"%s%s%s\"\nrequest = %s\n", api, where[path[1]], path[2] ? "/" path[2] : "", method
		printf "header = \"Content-Type: %s\"\ndata = \"%s\"\n", type[method], body
		printf "cacert = %s/ca\ncert = %s/certificate\nkey = %s/key\n", work, work, work
		printf "output = /dev/null\nwrite-out = \"%%{http_code}\\n\"\n"
	}' >"$work/requests-$name"
	curl -s "$@" --config "$work/requests-$name" >"$work/codes-$name"
	fails grep -vE '^20[01]$' "$work/codes-$name"
}

# Service N and its slice of ten; their addresses are nobody's.
creation() {
	awk -v n="$services" 'BEGIN {
		for (i = 0; i < n; i++) {
			printf "POST services {\"metadata\":{\"name\":\"churn-%d\"},\"spec\":{\"ports\":[{\"name\":\"http\",\"port\":80}]}}\n", i
			printf "POST endpointslices %s\n", slice(i)
		}
	}
	'"$slice_awk"
}

slice_awk='
function slice(i,   j, text) {
	text = sprintf("{\"metadata\":{\"name\":\"churn-%d\",\"labels\":{\"kubernetes.io/service-name\":\"churn-%d\"}},\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"port\":8080}],\"endpoints\":[", i, i)
	for (j = 0; j < 10; j++)
		text = text sprintf("%s{\"addresses\":[\"10.%d.%d.%d\"],\"conditions\":{\"ready\":true}}", j ? "," : "", 200 + j, int(i / 250), i % 250 + 1)
	return text "]}"
}'

# Most changes replace an address; others make endpoints unready, move a Service to
# another port, delete a slice and make it anew.  Ten changes are to ten Services of their
# own, so that four streams of them don't meet.
churn() { # STREAM
	awk -v n="$services" -v changes="$changes" -v stream="$1" 'BEGIN {
		for (i = 0; i < changes; i++) {
			of = int(i / 10) * 10 % n
			kind = i % 10
			if (int(i / 10) % 4 != stream)
				continue
			if (kind == 0)
				printf "PATCH services/churn-%d [{\"op\":\"replace\",\"path\":\"/spec/ports/0/port\",\"value\":%d}]\n", of, 1000 + i
			else if (kind == 1)
				printf "PATCH endpointslices/churn-%d [{\"op\":\"replace\",\"path\":\"/endpoints/%d/conditions/ready\",\"value\":false}]\n", of, int(i / 10) % 10
			else if (kind == 2)
				printf "DELETE endpointslices/churn-%d {}\n", (of + 3) % n
			else if (kind == 3)
				printf "POST endpointslices %s\n", slice((of + 3) % n)
			else
				printf "PATCH endpointslices/churn-%d [{\"op\":\"replace\",\"path\":\"/endpoints/%d/addresses/0\",\"value\":\"10.%d.%d.%d\"}]\n", (of + kind) % n, kind, 210 + kind, int(i / 250) % 250, i % 250 + 1
		}
	}
	'"$slice_awk"
}

# Lines "SERVICE ADDRESS:PORT CLUSTER-IP:PORT", as the API server has them.
wanted() {
	{
		in_space get services -o json
		in_space get endpointslices -o json
	} | jq -rs '
		(.[0].items | map({key: .metadata.name, value: "\(.spec.clusterIP):\(.spec.ports[0].port)"}) | from_entries) as $of |
		.[1].items[] | .metadata.labels["kubernetes.io/service-name"] as $name | .ports[0].port as $port |
		.endpoints[] | select(.conditions.ready) | "\($name) \(.addresses[0]):\($port) \($of[$name])"' | sort
}

# And as a node's maps serve them.
served() { # NODE
	{
		lbctl_on "$1" -o json services list
		lbctl_on "$1" -o json backends list
	} | jq -rs --arg space "$space/" '
		(.[0].services | map({key: .service, value: "\(.frontends[0].address):\(.frontends[0].port)"}) | from_entries) as $of |
		.[1].backends[] | select(.service | startswith($space)) | select(.slots > 0) |
		"\(.service | ltrimstr($space)) \(.address):\(.port) \($of[.service])"' | sort
}

maps_are_equal() {
	local node
	settled
	wanted >"$work/wanted"
	at_least "$(wc -l <"$work/wanted")" $((services * 8)) endpoints
	for node in "${nodes[@]}"; do
		served "$node" >"$work/served"
		diff "$work/wanted" "$work/served" | head -n 20
		cmp "$work/wanted" "$work/served"
		# What lingers may be about to go.
		eventually 10 no_difference "$node"
	done
}

no_difference() { # NODE
	lbctl_on "$1" diff >/dev/null
}

created() {
	creation | requests creation
	maps_are_equal
}
check "$services Services with $((services * 10)) endpoints are in every node's maps" created

anonymous_kb() { # NODE
	kubectl -n kube-system exec "$(lbd_on "$1")" -c lbd -- /bin/busybox sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' /proc/1/status
}

# The histogram's lines "LE COUNT".
sync_counts() { # NODE
	on_node "$1" curl -s http://127.0.0.1:9095/metrics |
		sed -n 's/^guideway_sync_duration_seconds_bucket{le="\(.*\)"} \([0-9]*\)$/\1 \2/p'
}

# The bucket that the PERCENT of those between two states are below.
percentile() { # PERCENT BEFORE AFTER
	join "$2" "$3" | sort -g -k 3 | awk -v percent="$1" '
		{ le[NR] = $1; n[NR] = $3 - $2 }
		END { for (i = 1; i <= NR; i++) if (n[i] >= n[NR] * percent / 100) { print le[i]; exit } }'
}

churned() {
	local node slowest begin stream streams=()
	for node in "${nodes[@]}"; do
		sync_counts "$node" | sort >"$work/before-$node"
		anonymous_kb "$node" >"$work/memory-$node"
	done
	traffic_begin "$(client_on "${nodes[-1]}")" "http://$(service_address web)/"
	begin=$SECONDS
	for stream in 0 1 2 3; do
		churn $stream | requests $stream --rate 25/s &
		streams+=($!)
	done
	for stream in "${streams[@]}"; do wait "$stream"; done
	tell "$changes changes in $((SECONDS - begin)) s"
	traffic_end
	for node in "${nodes[@]}"; do
		sync_counts "$node" | sort >"$work/after-$node"
		slowest=$(percentile 99 "$work/before-$node" "$work/after-$node")
		tell "$node: event to maps: 50 % in $(percentile 50 "$work/before-$node" "$work/after-$node") s, 99 % in $slowest s; RssAnon $(<"$work/memory-$node") kB before, $(anonymous_kb "$node") kB after"
		matches "$slowest" '^(0\..*|1)$'
	done
}
check "a hundred changes a second: no request is lost, and none takes a second to get into the maps" churned
check "what is in the maps then is what the API server has" maps_are_equal

memory_stays() {
	local node
	for node in "${nodes[@]}"; do
		at_least $(($(<"$work/memory-$node") * 5 / 4 + 2048)) "$(anonymous_kb "$node")" "kB that lbd may have on $node"
	done
}
check "lbd's memory doesn't grow by it" memory_stays

tests_end
