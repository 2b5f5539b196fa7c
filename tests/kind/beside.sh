#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# k8s/overlays/beside-kube-proxy: a real kube-proxy, in nftables and in iptables mode, and
# Guideway, which serves the labelled Services alone.  The cluster is left as it was:
# without kube-proxy.
. "$(dirname "$0")/lib.sh"

control_plane=$(kubectl get nodes -l node-role.kubernetes.io/control-plane -o jsonpath='{.items[0].metadata.name}')

cluster_restore() {
	guideway_apply || true
	kube_proxy_delete || true
}

# As kubeadm has it; kind's nodes keep its configuration.
kube_proxy_create() { # MODE
	docker exec -i "$control_plane" sh -c 'cat /kind/kubeadm.conf - >/tmp/kube-proxy.conf &&
		kubeadm init phase addon kube-proxy --config /tmp/kube-proxy.conf' <<-END
		---
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: $1
		conntrack: {maxPerCore: 0}
	END
	kubectl -n kube-system rollout status daemonset/kube-proxy --timeout=60s
}

# With its rules, which it leaves behind.
kube_proxy_delete() {
	local image
	image=$(kubectl -n kube-system get daemonset kube-proxy -o jsonpath='{.spec.template.spec.containers[0].image}')
	kubectl -n kube-system delete daemonset kube-proxy --wait
	sed "s#IMAGE#$image#" <<-'END' | apply
		apiVersion: apps/v1
		kind: DaemonSet
		metadata: {name: cleanup}
		spec:
		  selector: {matchLabels: {app: cleanup}}
		  template:
		    metadata: {labels: {app: cleanup}}
		    spec:
		      hostNetwork: true
		      terminationGracePeriodSeconds: 0
		      tolerations: [{operator: Exists}]
		      initContainers:
		      - name: cleanup
		        image: IMAGE
		        command: [/usr/local/bin/kube-proxy, --cleanup]
		        securityContext: {privileged: true}
		      containers:
		      - {name: done, image: guideway:VERSION, imagePullPolicy: IfNotPresent, command: [/bin/busybox, sleep, infinity]}
	END
	ready daemonset/cleanup
	in_space delete daemonset cleanup --wait
}

# Nothing of another set of Services is left on the nodes.
beside_apply() {
	kubectl apply -f "$top/k8s/uninstall.yaml"
	guideway_ready
	kubectl apply -k "$top/k8s/overlays/beside-kube-proxy"
	guideway_ready
	settled
}

space_create
web_apply
client_apply
apply <<'END'
apiVersion: v1
kind: Service
metadata: {name: theirs}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31170}]
---
apiVersion: v1
kind: Service
metadata: {name: ours, labels: {service.kubernetes.io/service-proxy-name: guideway}}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 31171}]
END
ready deployment/web daemonset/client
theirs=$(service_address theirs)
ours=$(service_address ours)

# What Guideway's datapath has begun, on all nodes.
connections() {
	local node
	for node in "${nodes[@]}"; do
		lbctl_on "$node" -o json backends list | jq '[.backends[].connections_total] | add // 0'
	done | awk '{ n += $1 } END { print n + 0 }'
}

# By ClusterIP and by node port, from a pod on each node and from outside: twenty
# connections for each node.
ask() { # CLUSTER-IP NODE-PORT
	local node
	for node in "${nodes[@]}"; do
		same "$(answers 10 "$(client_on "$node")" "http://$1/" | grep -c ^web-)" 10 "answers by $1 on $node"
		same "$(outside 10 "http://$(node_address "$node"):$2/" | grep -c ^web-)" 10 "answers by port $2 of $node"
	done
}

both_serve() {
	local before
	before=$(connections)
	ask "$theirs" 31170
	same "$(connections)" "$before" "our connections, after theirs were asked"
	ask "$ours" 31171
	same "$(connections)" $((before + 20 * ${#nodes[@]})) "our connections, after ours were asked"
}

nodes_ask() {
	local node
	for node in "${nodes[@]}"; do
		on_node "$node" curl -sf -m 2 -o /dev/null "http://$theirs/"
		on_node "$node" curl -sf -m 2 -o /dev/null "http://$ours/"
		on_node "$node" curl -sf -m 2 -o /dev/null http://127.0.0.1:31171/
		in_pod "$(client_on "$node")" timeout 5 busybox wget -qO /dev/null "http://ours.$space/"
	done
}

# With kube-proxy's own tools, on the last node.
rules_of() { # SERVICE
	local pod show
	pod=$(kubectl -n kube-system get pods -l k8s-app=kube-proxy --field-selector "spec.nodeName=${nodes[-1]}" -o name)
	[[ $mode = iptables ]] && show=iptables-save || show="nft list ruleset"
	# shellcheck disable=SC2086 # words
	kubectl -n kube-system exec "$pod" -- $show | grep -cF "$space/$1" || true
}

each_knows_its_own() {
	same "$(lbctl_on "${nodes[-1]}" -o json services list | jq -r '.services[].service' | sort -u)" "$space/ours"
	at_least "$(rules_of theirs)" 1 "kube-proxy's rules for theirs"
	same "$(rules_of ours)" 0 "kube-proxy's rules for ours"
}

changes_hands() {
	in_space label service theirs service.kubernetes.io/service-proxy-name=guideway
	eventually 20 without_rules theirs
	settled
	ask "$theirs" 31170
	at_least "$(lbctl_on "${nodes[-1]}" -o json backends list --service "$space/theirs" | jq '[.backends[].connections_total] | add')" 10
	in_space label service theirs service.kubernetes.io/service-proxy-name-
	settled
	eventually 20 with_rules theirs
	ask "$theirs" 31170
}

without_rules() {
	(($(rules_of "$1") == 0))
}

with_rules() {
	(($(rules_of "$1") > 0))
}

kube_proxy_is_replaced() {
	guideway_apply
	traffic_begin "$(client_on "${nodes[-1]}")" "http://$theirs/"
	kube_proxy_delete
	traffic_end
	ask "$theirs" 31170
	ask "$ours" 31171
	nodes_ask
}

for mode in nftables iptables; do
	check "kube-proxy starts, in $mode mode" kube_proxy_create $mode
	check "the overlay is rolled out" beside_apply
	check "$mode: both keep working, and our counters say who served" both_serve
	check "$mode: processes of the nodes reach both, and names resolve" nodes_ask
	check "$mode: neither knows the other's Services" each_knows_its_own
	check "$mode: a Service that is labelled changes hands, and goes back" changes_hands
	check "$mode: Guideway takes all, kube-proxy goes with its rules, and no request is lost" kube_proxy_is_replaced
done

tests_end
