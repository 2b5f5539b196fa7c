#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# k8s/demo/hello.yaml on a cluster, with a tutorial's commands.
. "$(dirname "$0")/lib.sh"

space_create
client_apply
demo_apply hello
ready deployment/redis-master deployment/redis-replica deployment/hello daemonset/client
settled
client=$(client_on "${nodes[0]}")
url=http://hello.$space/

page() {
	in_pod "$client" timeout 5 busybox wget -qO- "$url"
}

page_says() { # REGEX
	page | grep -qE "$1"
}

redis_cli() { # POD ARGS...
	in_space exec "$1" -- /usr/bin/redis-cli "${@:2}"
}

redis_pod() { # ROLE
	pods_of "app=redis,role=$1" | head -n 1
}

visits_add_up() {
	local n
	for n in 1 2 3 4 5 6; do
		matches "$(page)" "Visits:</b> $n<"
	done
}
check "whichever frontend answers, they count together" visits_add_up

# A master waits some seconds for more replicas before it sends them all what it has.
replica_says() { # HITS
	same "$(redis_cli "$(redis_pod replica)" -h redis-replica get hits)" "$1" >/dev/null
}

replicas_follow() {
	eventually 20 replica_says 6
	matches "$(redis_cli "$(redis_pod replica)" -h redis-master info replication)" "connected_slaves:2"
}
check "the replicas follow the master through its Service, and are read through theirs" replicas_follow

headless() {
	local address
	in_pod "$client" nslookup "redis.$space.svc.cluster.local" >"$work/names"
	for address in $(in_space get pods -l app=redis -o jsonpath='{.items[*].status.podIP}'); do
		grep -F "$address" "$work/names"
	done
	fails grep -E "^$space/redis:" <(lbctl_on "${nodes[0]}" services list)
}
check "the headless Service is its pods' names, and none of ours" headless

a_frontend_is_deleted() {
	traffic_begin "$client" "$url"
	in_space delete pod "$(pods_of app=hello | head -n 1)"
	ready deployment/hello
	traffic_end
}
check "a frontend is deleted, and no request is lost" a_frontend_is_deleted

a_replica_dies() {
	in_space delete pod "$(redis_pod replica)" --force --grace-period=0
	page_says "Visits:</b> [0-9]+<"
	eventually 10 redis_cli "$(redis_pod master)" -h redis-replica get hits
}
check "a Redis replica dies, and the other is read from" a_replica_dies

# The master keeps nothing on disk.
the_master_dies() {
	at_least "$(page | sed -n 's/.*Visits:<\/b> \([0-9]*\)<.*/\1/p')" 7 visits
	in_space delete pod "$(redis_pod master)" --force --grace-period=0 &
	eventually 20 page_says "cannot connect to Redis, counter disabled"
	eventually 60 page_says "Visits:</b> [1-6]<"
	wait
	ready deployment/redis-master
}
check "the Redis master dies: the page goes on without its counter, then a new one counts from 1" the_master_dies

tests_end
