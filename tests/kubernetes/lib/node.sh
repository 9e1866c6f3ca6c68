# The node as the cluster sees it: the kubelet, and kube-proxy for its Services.

# What every full cluster starts after its API server.
start_node() {
    write_containerd_configuration
    write_node_configuration
    write_dns_configuration
    local component
    launch containerd
    wait_ready containerd
    load_images "$(pause_image)"
    publish_dns
    publish_volumes
    for component in kubelet kube-proxy coredns; do
        launch "$component"
    done
    for component in "${components[@]}"; do
        wait_ready "$component"
    done
    wait_node
}

write_node_configuration() {
    local etc="$folder/etc"
    cat >"$etc/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: "$folder/pki/ca.crt"}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
clusterDomain: cluster.local
clusterDNS: ["$(dns_address)"]
oomScoreAdj: 0
maxPods: 250
# Nothing can be pulled again, so no image is collected and no pod driven out for the disk's sake.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
EOF
    cat >"$etc/kube-proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $pods
hostnameOverride: node
clientConnection: {kubeconfig: "$folder/kubeconfigs/kube-proxy"}
oomScoreAdj: 0
# The machine's limits, not a namespace's.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
EOF
}

arguments_kubelet() {
    arguments=("$bin/kubelet" --config "$folder/etc/kubelet.yaml" --kubeconfig "$folder/kubeconfigs/kubelet"
        --hostname-override node --node-ip "$node_address" --root-dir /var/lib/kubelet
        --cert-dir "$folder/data/kubelet-certificates")
}

ready_kubelet() {
    on_node curl -sf --max-time 2 http://127.0.0.1:10248/healthz
}

arguments_kube_proxy() {
    arguments=("$bin/kube-proxy" --config "$folder/etc/kube-proxy.yaml")
}

ready_kube_proxy() {
    on_node curl -sf --max-time 2 http://127.0.0.1:10256/livez
}

# A node that takes pods: it says so itself, and what a pod of the default namespace needs is there.
wait_node() {
    local until=$((SECONDS + READY_SECONDS))
    failing=kubelet
    until [ "$(kube get node/node -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]; do
        [ "$SECONDS" -lt "$until" ] || die "the node is not ready after $READY_SECONDS s"
        sleep 0.2
    done
    failing=kube-controller-manager
    until kube --namespace default get serviceaccount/default configmap/kube-root-ca.crt >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || die "the namespace default has no service account after $READY_SECONDS s"
        sleep 0.2
    done
    failing=''
}
