#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What a Service means on a real cluster without kube-proxy: every kind of
# address, from pods, nodes and outside.
. "$(dirname "$0")/lib.sh"

space_create
web_apply
client_apply
client_apply host true
apply <<'END'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: PreferDualStack
  type: NodePort
  selector: {app: web}
  externalIPs: [192.0.2.80, "2001:db8::80"]
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31180}]
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  ipFamilyPolicy: PreferDualStack
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31181}]
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  sessionAffinity: ClientIP
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: nobody}
  ports: [{name: http, port: 80, targetPort: http}]
---
# A pod that serves a file, and answers what it is sent with its sum.
apiVersion: v1
kind: Pod
metadata: {name: bulk, labels: {app: bulk}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: bulk
    image: guideway:VERSION
    imagePullPolicy: IfNotPresent
    command:
    - /bin/busybox
    - sh
    - -c
    - |
      busybox mkdir /tmp/www && cd /tmp/www
      busybox dd if=/dev/urandom of=file bs=1048576 count=64 2>/dev/null
      busybox sha256sum <file >sum
      busybox httpd -p 8080 -h /tmp/www
      exec busybox nc -ll -p 9000 -e /bin/busybox sha256sum
---
apiVersion: v1
kind: Service
metadata: {name: bulk}
spec:
  ipFamilyPolicy: PreferDualStack
  type: NodePort
  selector: {app: bulk}
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 31182}
  - {name: upload, port: 9000, targetPort: 9000, nodePort: 31183}
END
ready deployment/web daemonset/client daemonset/host
in_space wait pod/bulk --for=condition=Ready --timeout=60s >/dev/null
settled
declare -A external=([4]=192.0.2.80 [6]=[2001:db8::80]) loopback=([4]=127.0.0.1 [6]=[::1])

every_pod_answers_every_client() {
	local node
	for node in "${nodes[@]}"; do
		echo "from a pod on $node"
		same "$(answers 40 "$(client_on "$node")" "http://$web/" | different)" 4
	done
}

names_resolve() {
	local node
	for node in "${nodes[@]}"; do
		in_pod "$(client_on "$node")" nslookup web."$space".svc.cluster.local | grep -F "$(bare "$web")"
		same "$(answers 1 "$(client_on "$node")" "http://web.$space/" | grep -c ^web-)" 1
	done
}

api_server_answers() {
	local node api
	api=$(kubectl get service kubernetes -o json | jq -r '.spec.clusterIPs[]' | address_of_family)
	for node in "${nodes[@]}"; do
		in_pod "$(client_on "$node")" timeout 5 busybox wget --no-check-certificate -qO- "https://$api/version" |
			grep gitVersion
		on_node "$node" curl -skf -m 2 "https://$api/version" | grep gitVersion
	done
}

node_ports_answer() {
	local node
	for node in "${nodes[@]}"; do
		echo "by $node"
		same "$(outside 40 "http://$(node_address "$node"):31180/" | different)" 4
	done
}

pods_use_node_ports() {
	local from to
	for from in "${nodes[@]}"; do
		for to in "${nodes[@]}"; do
			echo "from a pod on $from by $to"
			same "$(answers 20 "$(client_on "$from")" "http://$(node_address "$to"):31180/" | grep -c ^web-)" 20
		done
	done
}

local_policy_stays_on_the_node() {
	local node pods
	for node in "${nodes[@]}"; do
		pods=$(pods_of app=web "$node" | sort)
		echo "$node has: $pods"
		if [[ -n $pods ]]; then
			same "$(outside 20 "http://$(node_address "$node"):31181/" | sort -u)" "$pods"
		else
			same "$(outside 1 "http://$(node_address "$node"):31181/")" lost
		fi
	done
}

clients_stick() {
	local node
	for node in "${nodes[@]}"; do
		same "$(answers 10 "$(client_on "$node")" "http://$(service_address sticky)/" | different)" 1
	done
}

host_network_is_served() {
	local node
	for node in "${nodes[@]}"; do
		echo "from a pod on $node's own network"
		same "$(answers 40 "$(client_on "$node" host)" "http://$web/" | different)" 4
	done
}

nodes_are_clients() {
	local node
	for node in "${nodes[@]}"; do
		echo "processes of $node"
		matches "$(lbctl_on "$node" status)" "Processes: +served, cgroup "
		on_node "$node" curl -sf -m 2 -o /dev/null "http://$web/"
		on_node "$node" curl -sf -m 2 -o /dev/null "http://${loopback[$family]}:31180/"
		on_node "$node" curl -sf -m 2 -o /dev/null "http://$(node_address "${nodes[-1]}"):31180/"
	done
}

external_addresses_answer() {
	same "$(answers 20 "$(client_on "${nodes[0]}")" "http://${external[$family]}/" | grep -c ^web-)" 20
}

refused_at_once() {
	local begin=$SECONDS
	fails in_pod "$(client_on "${nodes[0]}")" timeout 10 busybox wget -qO- "http://$(service_address empty)/"
	((SECONDS - begin < 5)) || { echo "took $((SECONDS - begin)) s" && return 1; }
}

pods_reach_themselves() {
	local pod=bulk
	same "$(in_pod $pod sh -c "busybox timeout 5 busybox wget -qO- http://$(service_address bulk)/file | busybox sha256sum")" \
		"$(in_pod $pod cat /tmp/www/sum)"
}

bulk_is_exact() { # ADDRESS POD: the file down, and another up
	same "$(in_pod "$2" sh -c "busybox timeout 60 busybox wget -qO- http://$1/file | busybox sha256sum")" \
		"$(in_pod bulk cat /tmp/www/sum)"
	in_pod "$2" dd if=/dev/urandom of=/tmp/up bs=1048576 count=64 2>/dev/null
	same "$(in_pod "$2" sh -c "busybox timeout 60 busybox nc $(bare "$1") 9000 </tmp/up")" \
		"$(in_pod "$2" sh -c "busybox sha256sum </tmp/up")"
}

bulk_by_cluster_ip() {
	local node
	for node in "${nodes[@]}"; do
		echo "from a pod on $node"
		bulk_is_exact "$(service_address bulk)" "$(client_on "$node")"
	done
}

bulk_by_node_port() {
	local node
	for node in "${nodes[@]}"; do
		echo "by $node"
		same "$(curl -s -m 60 "http://$(node_address "$node"):31182/file" | sha256sum)" \
			"$(in_pod bulk cat /tmp/www/sum)"
	done
}

offloads_are_untouched() {
	local node
	for node in "${nodes[@]}"; do
		on_node "$node" ethtool -k eth0 | grep -E '^(tcp-segmentation-offload|tx-checksumming|generic-segmentation-offload): on' | wc -l | grep -x 3
	done
}

counters_prove_it() {
	local node total=0 n
	for node in "${nodes[@]}"; do
		n=$(lbctl_on "$node" -o json backends list --service "$space/web" | jq '[.backends[].connections_total] | add')
		echo "$node: $n connections"
		total=$((total + n))
	done
	at_least $total 200 "connections that Guideway began"
}

for family in "${families[@]}"; do
	web=$(service_address web)
	check "IPv$family: a ClusterIP reaches every pod, from a pod on each node" every_pod_answers_every_client
	check "IPv$family: names resolve through the cluster's own DNS Service, over UDP" names_resolve
	check "IPv$family: a node port answers on every node, and reaches every pod" node_ports_answer
	check "IPv$family: pods reach node ports, of their own node and of others" pods_use_node_ports
	check "IPv$family: with externalTrafficPolicy Local a node answers with its own pods, or not at all" local_policy_stays_on_the_node
	check "IPv$family: with sessionAffinity a client stays with its pod" clients_stick
	check "IPv$family: pods on the nodes' network reach every pod by the ClusterIP" host_network_is_served
	check "IPv$family: a node's own processes reach a ClusterIP, and a node port by loopback" nodes_are_clients
	check "IPv$family: an externalIP answers pods" external_addresses_answer
	check "IPv$family: a Service without endpoints refuses at once" refused_at_once
	check "IPv$family: a pod reaches itself by its own Service" pods_reach_themselves
	check "IPv$family: 64 MiB arrive byte by byte, both ways, from a pod on each node" bulk_by_cluster_ip
	check "IPv$family: 64 MiB arrive byte by byte, by a node port of each node" bulk_by_node_port
done
family=${families[0]} # the API server's own Service has one alone
check "the API server's own Service answers every pod" api_server_answers
check "the nodes' offloads are on" offloads_are_untouched
check "Guideway's own counters say who served" counters_prove_it

tests_end
