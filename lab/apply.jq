# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The API server's part of the lab: the objects of a file become lines of shell,
# quoted by @sh, with what they leave out filled in.
#   $file      for messages             $mode  what is done with it: apply, delete, or
#   $services  those that there are            rest, what of it is lbd's
#   $app, $ipv6, $pods_max  of the lab

def title:
  ({Deployment: "deployment.apps", ReplicaSet: "replicaset.apps", StatefulSet: "statefulset.apps"}[.kind]
    // (.kind | ascii_downcase)) + "/" + .metadata.name;

def refuse($reason): "lab: \($file): \(title): \($reason)\n" | halt_error(1);

def objects:
  if .kind == "List" then .items[]? | objects else select(type == "object" and (.metadata.name? | type) == "string") end
  | .metadata.namespace //= "default";

def id: "\(.kind).\(.metadata.namespace).\(.metadata.name)";
def is_workload: .kind | IN("Deployment", "ReplicaSet", "StatefulSet", "Pod");

# A Service that somebody has to find pods or an address for.
def is_service:
  .kind == "Service" and .spec.type != "ExternalName" and (.spec.selector != null or (.spec.clusterIP // "") == "");
def is_ours: is_workload or is_service;

# ---- pods -------------------------------------------------------------------

# A text as a word of shell; $(NAME) is a variable that came before.
def word:
  tostring | @sh | gsub("\\$\\((?<name>[A-Za-z_][A-Za-z0-9_]*)\\)"; "'\"${var_\(.name)-\\$(\(.name))}\"'");

def field_word:
  {"metadata.name": "\"$pod\"", "metadata.uid": "\"$pod_uid\"", "metadata.namespace": "\"$pod_namespace\"",
   "spec.nodeName": "\"$pod_node\"", "status.podIP": "\"$pod_ip4\"", "status.hostIP": "\"$(node_ip4 \"$pod_node\")\""};

def variable($object):
  . as $variable
  | if (.name | type) != "string" or (.name | test("^[A-Za-z_][A-Za-z0-9_]*$") | not)
    then $object | refuse("env: \($variable.name | tojson) is no name") else . end
  | if .valueFrom == null then .value // "" | word
    else field_word[.valueFrom.fieldRef.fieldPath? // ""]
      // ($object | refuse("env \($variable.name): the lab knows values and fieldRef alone")) end
  | "var_\($variable.name)=\(.)\nenvironment+=(\"\($variable.name)=$var_\($variable.name)\")\n";

def programs: {replica: ["replica"], "guideway-redis": ["redis-server"], redis: ["redis-server", "--protected-mode", "no"]};

def command($object):
  (.image // "" | split("/")[-1] // "" | split("@")[0] // "" | split(":")[0] // "") as $image
  | programs[$image] as $program
  | if $program == null
    then .image as $image | $object | refuse("image \($image // "" | tojson): the lab has replica and guideway-redis") else . end
  | (.command // $program) + (.args // []) | map(word) | "command=(\(join(" ")))\n";

def port_number($container; $object):
  . as $port
  | if type == "number" then . else
      first($container.ports[]? | select(.name == $port) | .containerPort)
      // ($object | refuse("port \($port | tojson): the container has none of this name")) end;

# KIND PERIOD FAILURES DELAY TIMEOUT, and what that kind needs.
def probe($name; $container; $object):
  if . == null then ""
  else . as $probe
  | [.periodSeconds // 10, .failureThreshold // 3, .initialDelaySeconds // 0, .timeoutSeconds // 1] as $timing
  | if .httpGet then ["http"] + $timing + [(.httpGet.port | port_number($container; $object)), .httpGet.path // "/"]
    elif .tcpSocket then ["tcp"] + $timing + [.tcpSocket.port | port_number($container; $object)]
    elif .exec then ["exec"] + $timing + .exec.command
    else $object | refuse("\($name)Probe: httpGet, tcpSocket or exec is needed") end
  | "\($name)=(\(map(tostring | @sh) | join(" ")))\n" end;

# What a pod's life needs, as shell; $pod and what pod_read() sets are given.
def launch($object):
  . as $pod
  | if ($pod.spec.containers | length) != 1 or ($pod.spec.initContainers // [] | length) > 0
    then $object | refuse("the lab's pods have one container, and no initContainers") else . end
  | if $pod.spec.hostNetwork then $object | refuse("hostNetwork: the lab's pods have their own") else . end
  | $pod.spec.containers[0] as $container
  | "pod_namespace=\($object.metadata.namespace | @sh)\n"
    + "restart=\($pod.spec.restartPolicy // "Always" | @sh)\n"
    + ([$container.env[]? | variable($object)] | add // "")
    + ($container | command($object))
    + ($container | (.startupProbe | probe("startup"; $container; $object))
      + (.readinessProbe | probe("readiness"; $container; $object))
      + (.livenessProbe | probe("liveness"; $container; $object)));

def workload:
  . as $object
  | (if .kind == "Pod" then . else .spec.template // {} end) as $pod
  | (.spec.selector.matchLabels // {}) as $selector
  | if .kind != "Pod" and ($pod.metadata.labels // {} | contains($selector) | not)
    then refuse("selector: the template's labels don't match it") else . end
  | (if .kind == "Pod" then 1 else .spec.replicas // 1 end) as $replicas
  | if ($replicas | type) != "number" or $replicas < 0 or $replicas > $pods_max or $replicas != ($replicas | floor)
    then refuse("replicas: not a number from 0 to \($pods_max)") else . end
  | {namespace: .metadata.namespace, labels: ($pod.metadata.labels // {}), subdomain: .spec.serviceName,
     ports: [$pod.spec.containers[0].ports[]? | {name, port: .containerPort}]} as $seen
  | "workload_put \([id, title, .kind, .metadata.name, ($replicas | tostring), $pod.spec.nodeName // "",
      ($pod | launch($object)), ($seen | tojson)] | map(@sh) | join(" "))";

# ---- Services ---------------------------------------------------------------

def hex: if . < 16 then "0123456789abcdef"[.:. + 1] else (. / 16 | floor | hex) + (. % 16 | hex) end;
def address4: "10.96.\(. / 256 | floor).\(. % 256)";
def address6: "fd00:10:96::\(hex)";

def family: if contains(":") then "IPv6" else "IPv4" end;

# The addresses that a Service brings; "None" isn't one.
def own_addresses: (.spec.clusterIPs // [.spec.clusterIP])[] | select(IN(null, "", "None") | not);

# What it asks for, by name, by its addresses or by its policy, as far as the lab has it.
def families:
  .spec.ipFamilyPolicy as $policy
  | .spec.ipFamilies // ([own_addresses | family] | if . == [] then ["IPv4"] else . end)
  | if $policy | IN("PreferDualStack", "RequireDualStack") then . + (["IPv4", "IPv6"] - .) else . end
  | if $ipv6 == "yes" then . else map(select(. == "IPv4")) end;

# Fill in what the API server does: addresses and node ports, kept over updates.
# $others: all Services that there are.
def service_fill($others):
  . as $object
  | ($others | map(select(id == ($object | id)))[0].spec // {}) as $before
  | ($others | map(select(id != ($object | id)))) as $others
  | (families) as $families
  | if ($families | length) == 0 or (.spec.ipFamilyPolicy == "RequireDualStack" and ($families | length) < 2)
    then refuse("IPv6: the lab has none; `lab up --ipv6` has") else . end
  | .spec.ipFamilies = $families
  | if .spec.clusterIP == "None" then .spec.clusterIPs = ["None"] else
      [own_addresses, $before.clusterIPs[]?] as $known
      | [$others[].spec.clusterIPs[]?] as $used
      # Its own, what it had, or from 10.96.100.1 on: below is room for what people number themselves.
      | .spec.clusterIPs = [$families[] as $family
          | first(($known[], (range(25601; 65000) | if $family == "IPv4" then address4 else address6 end | select(IN($used[]) | not)))
              | select(. != "None" and family == $family))]
      | .spec.clusterIP = .spec.clusterIPs[0]
    end
  | if .spec.type | IN("NodePort", "LoadBalancer") then
      reduce range(.spec.ports // [] | length) as $i (.;
        .spec.ports[$i] as $port
        | [$others[].spec.ports[]?.nodePort, .spec.ports[].nodePort | values] as $used
        | (first($before.ports[]? | select(.name == $port.name and .port == $port.port) | .nodePort | values) // null) as $same
        | .spec.ports[$i].nodePort //= ($same // first(range(30100; 32768) | select(IN($used[]) | not))))
    else . end;

def service($others):
  service_fill($others) as $filled
  | ($filled | id) as $id
  | [$filled.spec.ports[]?.nodePort | values] as $wanted
  | first(($others[] | select(id != $id and ([.spec.ports[]?.nodePort] | any(IN($wanted[]))))
      | title as $other | $filled | refuse("nodePort: \($other) has it")), $filled);

# ---- commands ---------------------------------------------------------------

def put_services:
  foreach .[] as $object ({services: $services};
    .services as $others
    | ($object | service($others)) as $filled
    | {services: ($others | map(select(id != ($filled | id))) + [$filled]), $filled};
    .filled | "service_put \([id, title, tojson] | map(@sh) | join(" "))");

[.[] | objects] as $all
| if $mode == "rest" then
    if any($all[]; is_ours) | not then "all"
    else [$all[] | select(is_ours | not)] | if . == [] then "none" else {apiVersion: "v1", kind: "List", items: .} | tojson end end
  elif $mode == "delete" then
    $all[] | select(is_ours) | "object_delete \([id, title] | map(@sh) | join(" "))"
  else
    ($all[] | select($app != "none" and (id | IN("Service.default.web", "Deployment.default.web")))
      | refuse("the lab's own has this name; `lab up --app none` has none of its own")),
    ($all[] | select(.kind | IN("DaemonSet", "Job", "CronJob")) | "echo \("\(title) skipped: the lab runs no \(.kind)s" | @sh)"),
    ([$all[] | select(is_service)] | put_services),
    ($all[] | select(is_workload) | workload)
  end
