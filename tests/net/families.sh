#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# lab apply: which address families a Service gets, and that it answers at each.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# A Service of the same pods, with more in its spec.
shop() { # SPEC
	cat >"$work/shop.yaml" <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: shop}
		spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 5000}]${1:+, $1}}
		---
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: shop}
		spec:
		  replicas: 2
		  selector: {matchLabels: {app: shop}}
		  template:
		    metadata: {labels: {app: shop}}
		    spec: {containers: [{name: shop, image: replica}]}
	END
	lab apply -f "$work/shop.yaml" >/dev/null
}

# "FAMILY ADDRESS", as lbd has them.
addresses() {
	lab lbctl -o json services list --service default/shop |
		jq -r '.services[] | .family as $family | .frontends[] | select(.kind == "ClusterIP") | "\($family) \(.address)"' | sort
}

address() { # FAMILY
	addresses | awk -v family="$1" '$1 == family { print $2 }'
}

families_are() { # FAMILY...
	same "$(addresses | awk '{ print $1 }' | xargs)" "$*" families
}

# Both pods do, at each address, and at what the Service's name means to a pod.
each_answers() {
	local address url
	for address in $(addresses | awk '{ print $2 }'); do
		url=http://$address/
		[[ $address != *:* ]] || url="http://[$address]/"
		same "$(for _ in {1..16}; do lab curl "$url" | jq -r .pod_name; done | distinct)" 2 "pods that answer at $address"
	done
	same "$(lab exec "$(pods | head -n 1)" getent ahosts shop | awk '{ print $1 }' | sort -u)" \
		"$(addresses | awk '{ print $2 }' | sort)" "addresses of its name"
}

one_family_where_none_is_asked_for() {
	shop ""
	families_are IPv4
	each_answers
}

# What clients know stays, whatever is added or taken away.
a_second_family_comes_and_goes() {
	local first
	first=$(address IPv4)
	shop "ipFamilyPolicy: PreferDualStack"
	families_are IPv4 IPv6
	same "$(address IPv4)" "$first"
	each_answers
	second=$(address IPv6)
	shop "ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4]"
	same "$(addresses)" "IPv4 $first
IPv6 $second"
	shop "ipFamilyPolicy: SingleStack"
	same "$(addresses)" "IPv4 $first"
	each_answers
}

ipv6_alone() {
	shop "ipFamilies: [IPv6]"
	families_are IPv6
	each_answers
}

ipv6_first() {
	shop "ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4]"
	families_are IPv4 IPv6
	same "$(jq -r .spec.clusterIP "$GUIDEWAY_LAB_DIR/services/Service.default.shop.json")" "$(address IPv6)"
	each_answers
	shop "ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv6]"
	families_are IPv4 IPv6
}

addresses_of_its_own() {
	shop "ipFamilyPolicy: RequireDualStack, clusterIPs: ['10.96.7.7', 'fd00:10:96::77']"
	same "$(addresses)" "IPv4 10.96.7.7
IPv6 fd00:10:96::77"
	each_answers
	shop "clusterIP: 'fd00:10:96::78'"
	same "$(addresses)" "IPv6 fd00:10:96::78"
	each_answers
}

node_ports_of_both() {
	shop "type: NodePort, ipFamilyPolicy: PreferDualStack"
	same "$(lab lbctl -o json services list --service default/shop |
		jq -r '[.services[].frontends[] | select(.kind == "NodePort")] | length')" 2 "node ports"
	lab lbctl -o json services list --service default/shop |
		jq -r '.services[].frontends[] | select(.kind == "NodePort") | "\(.address) \(.port)"' |
		while read -r address port; do
			[[ $address != *:* ]] || address="[$address]"
			matches "$(lab curl "http://$address:$port/")" '"pod_name":"shop-'
		done
}

# The lab that has no IPv6.
without_ipv6() {
	lab down >/dev/null
	lab up --app none >/dev/null
	shop "ipFamilyPolicy: PreferDualStack"
	families_are IPv4
	each_answers
	local spec
	for spec in "ipFamilies: [IPv6]" "ipFamilyPolicy: RequireDualStack" "clusterIP: 'fd00:10:96::78'"; do
		fails_with 1 "lab: $work/shop.yaml: service/shop: IPv6: the lab has none; \`lab up --ipv6\` has" shop "$spec"
	done
	families_are IPv4
}

lab up --ipv6 --app none >/dev/null
check "a Service that asks for nothing has IPv4" one_family_where_none_is_asked_for
check "a second family comes and goes, and the first address stays" a_second_family_comes_and_goes
check "a Service has IPv6 alone where it says so" ipv6_alone
check "IPv6 can be the first of two" ipv6_first
check "addresses that it brings are taken, and tell their families" addresses_of_its_own
check "a node port serves both" node_ports_of_both
check "without IPv6 a Service has what there is, or is refused where that won't do" without_ipv6
tests_end
