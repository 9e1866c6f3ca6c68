# Nodes that are only said to be there: kwok writes what a kubelet would, and no container runs.

# simulate_nodes COUNT [STAGES]: pods come there when they select `type: kwok` and bear the taint.
simulate_nodes() {
    local count="$1" n
    stages="${2:-$bin/kwok-stages.yaml}"
    [ -r "$stages" ] || die "no stages in $stages"
    for ((n = 0; n < count; n++)); do
        cat <<EOF
---
apiVersion: v1
kind: Node
metadata:
  name: simulated-$n
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {type: kwok, kubernetes.io/hostname: simulated-$n}
spec:
  taints: [{key: kwok.x-k8s.io/node, value: fake, effect: NoSchedule}]
status:
  allocatable: {cpu: "64", memory: 256Gi, pods: "1000"}
  capacity: {cpu: "64", memory: 256Gi, pods: "1000"}
EOF
    done | kube apply -f - >/dev/null
    trap 'show_failure >&2' EXIT
    alive kwok >/dev/null || launch kwok
    wait_ready kwok
    trap - EXIT
}

arguments_kwok() {
    arguments=("$bin/kwok" --kubeconfig "$folder/kubeconfigs/kwok" --config "$stages"
        --manage-all-nodes=false --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake)
}

ready_kwok() {
    local ready
    ready="$(kube get nodes --selector type=kwok -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}')"
    [[ " $ready " = *" True "* && " $ready " != *" Unknown "* ]] &&
        [ "$(wc -w <<<"$ready")" = "$(kube get nodes --selector type=kwok --no-headers | wc -l)" ]
}
