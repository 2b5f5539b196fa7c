#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# What a Service means on a real cluster without kube-proxy: every kind of
# address, from pods, nodes and outside.
. "$(dirname "$0")/lib.sh"

space_create
web_apply
client_apply
apply <<'END'
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: host}
spec:
  selector: {matchLabels: {app: host}}
  template:
    metadata: {labels: {app: host}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
      - {name: client, image: guideway:VERSION, imagePullPolicy: IfNotPresent, command: [/bin/busybox, sleep, infinity]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  externalIPs: [192.0.2.80]
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31180}]
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31181}]
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec:
  selector: {app: web}
  sessionAffinity: ClientIP
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec:
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
  type: NodePort
  selector: {app: bulk}
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 31182}
  - {name: upload, port: 9000, targetPort: 9000, nodePort: 31183}
END
ready deployment/web daemonset/client daemonset/host
in_space wait pod/bulk --for=condition=Ready --timeout=60s >/dev/null
settled
web=$(service_address web)
api=$(kubectl get service kubernetes -o jsonpath='{.spec.clusterIP}')

every_pod_answers_every_client() {
	local node
	for node in "${nodes[@]}"; do
		echo "from a pod on $node"
		same "$(answers 40 "$(client_on "$node")" "http://$web/" | different)" 4
	done
}
check "a ClusterIP reaches every pod, from a pod on each node" every_pod_answers_every_client

names_resolve() {
	local node
	for node in "${nodes[@]}"; do
		in_pod "$(client_on "$node")" nslookup web."$space".svc.cluster.local | grep -F "$web"
		same "$(answers 1 "$(client_on "$node")" "http://web.$space/" | grep -c ^web-)" 1
	done
}
check "names resolve through the cluster's own DNS Service, over UDP" names_resolve

api_server_answers() {
	local node
	for node in "${nodes[@]}"; do
		in_pod "$(client_on "$node")" sh -c \
			'busybox timeout 5 busybox wget --no-check-certificate -qO- https://$KUBERNETES_SERVICE_HOST:443/version' |
			grep gitVersion
	done
}
check "the API server's own Service answers every pod" api_server_answers

node_ports_answer() {
	local node
	for node in "${nodes[@]}"; do
		echo "by $node"
		same "$(outside 40 "http://$(node_address "$node"):31180/" | different)" 4
	done
}
check "a node port answers on every node, and reaches every pod" node_ports_answer

pods_use_node_ports() {
	local from to
	for from in "${nodes[@]}"; do
		for to in "${nodes[@]}"; do
			echo "from a pod on $from by $to"
			same "$(answers 20 "$(client_on "$from")" "http://$(node_address "$to"):31180/" | grep -c ^web-)" 20
		done
	done
}
check "pods reach node ports, of their own node and of others" pods_use_node_ports

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
check "with externalTrafficPolicy Local a node answers with its own pods, or not at all" local_policy_stays_on_the_node

clients_stick() {
	local node
	for node in "${nodes[@]}"; do
		same "$(answers 10 "$(client_on "$node")" "http://$(service_address sticky)/" | different)" 1
	done
}
check "with sessionAffinity a client stays with its pod" clients_stick

host_network_is_served() {
	local node
	for node in "${nodes[@]}"; do
		echo "from a pod on $node's own network"
		same "$(answers 40 "$(client_on "$node" host)" "http://$web/" | different)" 4
	done
}
check "pods on the nodes' network reach every pod by the ClusterIP" host_network_is_served

nodes_are_clients() {
	local node
	for node in "${nodes[@]}"; do
		echo "processes of $node"
		matches "$(lbctl_on "$node" status)" "Processes: +served, cgroup "
		on_node "$node" curl -sf -m 2 -o /dev/null "http://$web/"
		on_node "$node" curl -sf -m 2 -o /dev/null http://127.0.0.1:31180/
		on_node "$node" curl -sf -m 2 -o /dev/null "http://$(node_address "${nodes[-1]}"):31180/"
		on_node "$node" curl -skf -m 2 "https://$api/version" | grep gitVersion
	done
}
check "a node's own processes reach a ClusterIP, and a node port by 127.0.0.1" nodes_are_clients

external_addresses_answer() {
	same "$(answers 20 "$(client_on "${nodes[0]}")" "http://192.0.2.80/" | grep -c ^web-)" 20
}
check "an externalIP answers pods" external_addresses_answer

refused_at_once() {
	local begin=$SECONDS
	fails in_pod "$(client_on "${nodes[0]}")" timeout 10 busybox wget -qO- "http://$(service_address empty)/"
	((SECONDS - begin < 5)) || { echo "took $((SECONDS - begin)) s" && return 1; }
}
check "a Service without endpoints refuses at once" refused_at_once

pods_reach_themselves() {
	local pod=bulk
	same "$(in_pod $pod sh -c "busybox timeout 5 busybox wget -qO- http://$(service_address bulk)/file | busybox sha256sum")" \
		"$(in_pod $pod cat /tmp/www/sum)"
}
check "a pod reaches itself by its own Service" pods_reach_themselves

bulk_is_exact() { # ADDRESS POD: the file down, and another up
	same "$(in_pod "$2" sh -c "busybox timeout 60 busybox wget -qO- http://$1/file | busybox sha256sum")" \
		"$(in_pod bulk cat /tmp/www/sum)"
	in_pod "$2" dd if=/dev/urandom of=/tmp/up bs=1048576 count=64 2>/dev/null
	same "$(in_pod "$2" sh -c "busybox timeout 60 busybox nc $1 9000 </tmp/up")" \
		"$(in_pod "$2" sh -c "busybox sha256sum </tmp/up")"
}

bulk_by_cluster_ip() {
	local node
	for node in "${nodes[@]}"; do
		echo "from a pod on $node"
		bulk_is_exact "$(service_address bulk)" "$(client_on "$node")"
	done
}
check "64 MiB arrive byte by byte, both ways, from a pod on each node" bulk_by_cluster_ip

bulk_by_node_port() {
	local node
	for node in "${nodes[@]}"; do
		echo "by $node"
		same "$(curl -s -m 60 "http://$(node_address "$node"):31182/file" | sha256sum)" \
			"$(in_pod bulk cat /tmp/www/sum)"
	done
}
check "64 MiB arrive byte by byte, by a node port of each node" bulk_by_node_port

offloads_are_untouched() {
	local node
	for node in "${nodes[@]}"; do
		on_node "$node" ethtool -k eth0 | grep -E '^(tcp-segmentation-offload|tx-checksumming|generic-segmentation-offload): on' | wc -l | grep -x 3
	done
}
check "the nodes' offloads are on" offloads_are_untouched

counters_prove_it() {
	local node total=0 n
	for node in "${nodes[@]}"; do
		n=$(lbctl_on "$node" -o json backends list --service "$space/web" | jq '[.backends[].connections_total] | add')
		echo "$node: $n connections"
		total=$((total + n))
	done
	at_least $total 200 "connections that Guideway began"
}
check "Guideway's own counters say who served" counters_prove_it

tests_end
