#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# lab apply: what manifests of applications become, and who looks after it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

shop() { # [ARGS [NODE-PORT]]
	cat >"$work/shop.yaml" <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: shop}
		spec:
		  type: NodePort
		  selector: {app: shop}
		  ports: [{name: http, port: 80, targetPort: web, nodePort: ${2-30080}}]
		---
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: shop}
		spec:
		  replicas: 2
		  selector: {matchLabels: {app: shop}}
		  template:
		    metadata: {labels: {app: shop, tier: front}}
		    spec:
		      containers:
		      - name: shop
		        image: registry.example/guideway/replica:9.9
		        args: [${1---app, sale}]
		        ports: [{name: web, containerPort: 5000}]
		        env:
		        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
		        - {name: WHO, value: "it's \$(POD_NAME) \$(NOBODY)"}
		        readinessProbe: {httpGet: {path: /health, port: web}, periodSeconds: 1, failureThreshold: 2}
	END
	lab apply -f "$work/shop.yaml"
}

store() {
	cat >"$work/store.yaml" <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: store}
		spec: {clusterIP: None, selector: {app: store}, ports: [{port: 6379}]}
		---
		apiVersion: apps/v1
		kind: StatefulSet
		metadata: {name: store}
		spec:
		  serviceName: store
		  replicas: 2
		  selector: {matchLabels: {app: store}}
		  template:
		    metadata: {labels: {app: store}}
		    spec:
		      containers:
		      - {name: redis, image: guideway-redis, args: [--protected-mode, "no"], readinessProbe: {exec: {command: [redis-cli, ping]}}}
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: single}
		spec:
		  restartPolicy: Always
		  containers:
		  - name: single
		    image: replica
		    livenessProbe: {httpGet: {path: /nosuch, port: 5000}, periodSeconds: 1, failureThreshold: 2, initialDelaySeconds: 2}
		---
		apiVersion: batch/v1
		kind: Job
		metadata: {name: never}
	END
	lab apply -f "$work/store.yaml"
}

shops() {
	pods | grep '^shop-'
}

shop_ip() {
	lab lbctl services list | awk '/^default\/shop:/ && !found { print $2; found = 1 }'
}

ready_backends() {
	lab lbctl -o json backends list --service default/shop | jq -r '[.backends[] | select(.slots > 0) | .address] | unique | length'
}

ready_backends_are() { # N
	[[ $(ready_backends) = "$1" ]]
}

pid_of() { # POD
	cat "$GUIDEWAY_LAB_DIR/pods/$1/pid"
}

a_deployment_runs() {
	same "$(shop)" "service/shop created
deployment.apps/shop created"
	same "$(lab pods | grep -c '^shop-[a-z]*-[a-z0-9]* *1/1 *Running')" 2 "ready pods"
	matches "$(shop_ip)" '^10\.96\.'
	matches "$(lab curl "http://$(shop_ip)/")" '"pod":"shop-'
	ready_backends_are 2
}

a_node_port_asked_for_is_given() {
	matches "$(lab curl http://10.200.0.1:30080/)" 'Big Sale'
	matches "$(lab curl http://10.200.0.1:30081/)" '"pod_name":"web-'
}

pods_have_their_environment() {
	local pod
	pod=$(shops | head -n 1)
	same "$(lab exec "$pod" printenv WHO)" "it's $pod \$(NOBODY)"
	same "$(lab exec "$pod" getent hosts shop.default.svc.cluster.local | awk '{ print $1 }')" "$(shop_ip)"
}

the_same_again_changes_nothing() {
	local before ip
	before=$(shops) ip=$(shop_ip)
	same "$(shop)" "service/shop unchanged
deployment.apps/shop unchanged"
	same "$(shops)" "$before"
	same "$(shop_ip)" "$ip"
}

what_dies_starts_again() {
	local pod pid
	pod=$(shops | head -n 1)
	pid=$(pid_of "$pod")
	kill -9 "$pid"
	eventually 30 restarted "$pod" "$pid"
	eventually 30 ready_backends_are 2
	shops | grep -qx "$pod"
}

restarted() { # POD PID-BEFORE
	[[ $(pid_of "$1") != "$2" && -e $GUIDEWAY_LAB_DIR/pods/$1/ready ]]
}

# Nothing listens to it any more, but it lives.
who_hangs_gets_nothing_until_it_answers() {
	local pod
	pod=$(shops | tail -n 1)
	kill -STOP "$(pid_of "$pod")"
	eventually 30 ready_backends_are 1
	same "$(lab pods | awk -v pod="$pod" '$1 == pod { print $2, $3 }')" "0/1 Running"
	kill -CONT "$(pid_of "$pod")"
	eventually 30 ready_backends_are 2
}

a_workload_is_scaled() {
	lab scale 1 shop
	same "$(shops | wc -l)" 1
	lab scale 2 shop
	same "$(shops | wc -l)" 2
	same "$(pods | grep -c '^web-')" 1 "the lab's own"
	fails_with 1 "lab: scale: nosuch: no such workload; known: shop web" lab scale 1 nosuch
}

a_changed_deployment_gets_new_pods() {
	local before
	before=$(shops)
	same "$(shop "--app, info" 30085 | tail -n 1)" "deployment.apps/shop configured"
	same "$(shops | wc -l)" 2
	same "$(shops | grep -cxF "$before")" 0 "old pods"
	matches "$(lab curl http://10.200.0.1:30085/)" '"pod_name":"shop-'
	matches "$(lab curl http://10.200.0.1:30080/)" '"pod_name":"web-'
}

pods_with_names_of_their_own_run() {
	matches "$(store)" "job/never skipped: the lab runs no Jobs"
	same "$(pods | grep -c -e '^store-[01]$' -e '^single$')" 3
	lab exec store-0 redis-cli -h store-1.store set key value >/dev/null
	same "$(lab exec store-1 redis-cli get key)" value
	same "$(lab exec single getent ahostsv4 store | awk '{ print $1 }' | sort -u | wc -l)" 2 "addresses of a headless Service"
	eventually 30 test -e "$GUIDEWAY_LAB_DIR/pods/single/restarts"
}

killed_pods_are_replaced_by_whoever_made_them() {
	lab kill --force store-0
	lab kill single
	same "$(pods | grep -c '^store-[01]$')" 2
	same "$(pods | grep -c '^single$')" 0 "a Pod that nobody made"
	same "$(lab exec store-0 redis-cli get key)" ""
}

refused() { # ERROR [MANIFEST-LINE...]
	local error=$1 before
	shift
	printf '%s\n' "$@" >"$work/bad.yaml"
	before=$(pods)
	fails_with 1 "lab: $work/bad.yaml: $error" lab apply -f "$work/bad.yaml"
	same "$(pods)" "$before"
}

container='{name: a, image: replica}'
pod_like() { # SPEC
	echo "{apiVersion: v1, kind: Pod, metadata: {name: bad}, spec: {$1}}"
}

what_the_lab_has_not_is_refused_by_name() {
	refused 'pod/bad: image "nginx:1": the lab has replica and guideway-redis' "$(pod_like 'containers: [{name: a, image: nginx:1}]')"
	refused "pod/bad: the lab's pods have one container, and no initContainers" "$(pod_like "containers: [$container, $container]")"
	refused "pod/bad: hostNetwork: the lab's pods have their own" "$(pod_like "hostNetwork: true, containers: [$container]")"
	refused 'pod/bad: env A: the lab knows values and fieldRef alone' \
		"$(pod_like 'containers: [{name: a, image: replica, env: [{name: A, valueFrom: {secretKeyRef: {name: a, key: b}}}]}]')"
	refused 'pod/bad: env: "a; reboot" is no name' "$(pod_like 'containers: [{name: a, image: replica, env: [{name: "a; reboot"}]}]')"
	refused 'pod/bad: port "web": the container has none of this name' \
		"$(pod_like 'containers: [{name: a, image: replica, readinessProbe: {tcpSocket: {port: web}}}]')"
	refused 'deployment.apps/bad: replicas: not a number from 0 to 200' \
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: bad}, spec: {replicas: -1, template: {spec: {containers: [$container]}}}}"
	refused "deployment.apps/bad: selector: the template's labels don't match it" \
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: bad}, spec: {selector: {matchLabels: {a: b}}, template: {spec: {containers: [$container]}}}}"
	refused "deployment.apps/web: the lab's own has this name; \`lab up --app none\` has none of its own" \
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {spec: {containers: [$container]}}}}"
	refused 'service/bad: nodePort: service/shop has it' \
		'{apiVersion: v1, kind: Service, metadata: {name: bad}, spec: {type: NodePort, selector: {a: b}, ports: [{port: 1, nodePort: 30085}]}}'
	refused "service/bad: IPv6: the lab has none; \`lab up --ipv6\` has" \
		'{apiVersion: v1, kind: Service, metadata: {name: bad}, spec: {ipFamilyPolicy: RequireDualStack, selector: {a: b}, ports: [{port: 1}]}}'
}

# A text is a text, wherever it stands.
texts_are_no_commands() {
	printf '%s\n' "$(pod_like "containers: [{name: a, image: replica, env: [{name: A, value: \"';touch $work/oops;\$(touch $work/oops)\`touch $work/oops\`\"}]}]")" >"$work/text.yaml"
	lab apply -f "$work/text.yaml"
	matches "$(lab exec bad printenv A)" '^.;touch .*oops;\$\(touch .*oops\)`touch .*oops`$'
	fails test -e "$work/oops"
	lab delete -f "$work/text.yaml"
}

what_is_deleted_is_gone() {
	lab delete -f "$work/store.yaml"
	lab delete -f - <"$work/shop.yaml"
	same "$(pods | grep -vc '^web-')" 0 "pods"
	same "$(lab lbctl services list -o name)" "default/web"
	fails_with 1 "lab: $work/shop.yaml: was never applied" lab delete -f "$work/shop.yaml"
}

down_ends_the_kubelet() {
	local pid
	pid=$(<"$GUIDEWAY_LAB_DIR/kubelet.pid")
	kill -0 "$pid"
	lab down
	eventually 10 process_ended "$pid"
	[[ ! -e $GUIDEWAY_LAB_DIR ]]
}

demos_are_of_this_version() {
	local file
	for file in "$top"/k8s/demo/*.yaml; do
		same "$(grep -h 'image:' "$file" | sed 's/.*://' | sort -u)" "$(<"$top/VERSION")" "${file##*/}: version"
	done
}

lab up --replicas 1 >/dev/null
check "a Deployment and its Service run" a_deployment_runs
check "a node port is given to whoever asks for it; the lab's own moves" a_node_port_asked_for_is_given
check "pods have their environment, and names of Services" pods_have_their_environment
check "the same manifest again changes nothing" the_same_again_changes_nothing
check "what dies starts again, in its pod" what_dies_starts_again
check "who hangs gets nothing until it answers" who_hangs_gets_nothing_until_it_answers
check "a workload is scaled by its name" a_workload_is_scaled
check "a changed Deployment gets new pods" a_changed_deployment_gets_new_pods
check "StatefulSets and Pods run, by their names" pods_with_names_of_their_own_run
check "killed pods are replaced by whoever made them" killed_pods_are_replaced_by_whoever_made_them
check "what the lab hasn't is refused by name, and nothing changes" what_the_lab_has_not_is_refused_by_name
check "texts of manifests are no commands" texts_are_no_commands
check "what is deleted is gone" what_is_deleted_is_gone
check "lab down ends the kubelet" down_ends_the_kubelet
check "the demos' images are of this version" demos_are_of_this_version
tests_end
