# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The EndpointSlice controller's part of the lab: Services and pods become what
# lbd reads, or what pods have for names.
#   $services  the Services                     $pods   a line for each pod, of fields
#   $seen      what templates say of their pods, by the templates' names
#   $names     true: /etc/hosts, else the manifests

def pods:
  $pods | split("\n")[] | select(. != "") | split(" ")
  | $seen[.[1]] + {name: .[0], node: .[2], zone: .[3], IPv4: .[4], IPv6: .[5], uid: .[6],
      ready: (.[7] == "yes"), terminating: (.[8] == "yes")};

def selects($pod):
  .spec.selector as $selector
  | .metadata.namespace == $pod.namespace and $selector != null and ($pod.labels | contains($selector))
    and all($selector | to_entries[]; $pod.labels[.key] == .value);

# A Service's ports as this pod has them; one that it doesn't have is left out.
def ports_of($pod):
  [.spec.ports[]? | (.targetPort // .port) as $target
    | {name: (.name // ""), protocol: (.protocol // "TCP"),
       port: (if $target | type == "number" then $target else first($pod.ports[] | select(.name == $target) | .port) // empty end)}];

def endpoint($family; $early):
  {addresses: [.[$family]], zone, nodeName: .node,
   conditions: {ready: (($early or .ready) and (.terminating | not)), serving: ($early or .ready), terminating},
   targetRef: {kind: "Pod", namespace, name, uid}};

# One slice for each set of ports, and one where there is no pod.
def slices:
  . as $service
  | .spec.ipFamilies[] as $family
  | [pods | select(. as $pod | $service | selects($pod)) | . + {target: (. as $pod | $service | ports_of($pod))}]
  | group_by(.target) | if . == [] then [[]] else . end
  | range(length) as $i
  | {apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice",
     metadata: {name: "\($service.metadata.name)-\($family | ascii_downcase)\(if $i > 0 then "-\($i)" else "" end)",
       namespace: $service.metadata.namespace, labels: {"kubernetes.io/service-name": $service.metadata.name}},
     addressType: $family, ports: (.[$i][0].target // []),
     endpoints: [.[$i][] | endpoint($family; $service.spec.publishNotReadyAddresses // false)]};

def names($name; $namespace):
  (if $namespace == "default" then "\($name) " else "" end)
  + "\($name).\($namespace) \($name).\($namespace).svc \($name).\($namespace).svc.cluster.local";

def hosts:
  "127.0.0.1 localhost", "::1 localhost",
  ($services[] | .metadata as {$name, $namespace}
    | if .spec.clusterIP != "None" then .spec.clusterIPs[]
      else . as $service | pods | select(.ready and (.terminating | not)) | select(. as $pod | $service | selects($pod)) | .IPv4 end
    | "\(.) \(names($name; $namespace))"),
  (pods | select(.subdomain != null) | "\(.IPv4) \(names("\(.name).\(.subdomain)"; .namespace))");

if $names then hosts
else $services[] | "---", tojson, (select(.spec.selector != null) | slices | "---", tojson) end
