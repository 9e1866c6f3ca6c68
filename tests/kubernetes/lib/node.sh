# The node: containerd, kubelet and kube-proxy in namespaces of their own, as in a container.
#
# Their mounts, interfaces, routes, nftables rules and processes are the namespaces', so that ending
# the namespaces' first process ends them all, whatever state they are in. A pair of interfaces joins
# the node to the machine: 10.N.0.1 is the machine, 10.N.0.2 the node, and the machine reaches pods
# and Services through it.

CNI_PLUGINS="${CNI_PLUGINS:-/usr/lib/cni}"

create_node() {
    local n init unshare_pid
    n="$(free_range)"
    # Folders that programs insist on get a place in ours, within the node's mounts.
    local part
    for part in run/netns run/containerd var/lib/kubelet var/lib/cni var/log/pods var/log/containers; do
        mkdir -p "$folder/data/node/$part" "/$part"
    done
    # shellcheck disable=SC2016
    setsid unshare --net --mount --pid --fork --kill-child --mount-proc bash -euc '
        for part in run/netns run/containerd var/lib/kubelet var/lib/cni var/log/pods var/log/containers; do
            mount --bind "$1/data/node/$part" "/$part"
        done
        mount --make-rshared /
        ip link set lo up
        echo 1 >/proc/sys/net/ipv4/ip_forward
        touch "$1/data/node/created"
        exec "$2/pause"' bash "$folder" "$bin" </dev/null >>"$folder/logs/node" 2>&1 9>&- &
    unshare_pid=$!
    remember node "$unshare_pid"
    failing=node
    until [ -e "$folder/data/node/created" ]; do
        alive node >/dev/null || die "the node's namespaces could not be made"
        sleep 0.02
    done
    init="$(<"/proc/$unshare_pid/task/$unshare_pid/children")"
    init="${init%% *}"
    remember node "$init"

    ip link add name "diwan$n" type veth peer name eth0 netns "$init"
    ip address add "10.$n.0.1/30" dev "diwan$n"
    ip link set "diwan$n" up
    nsenter -t "$init" -n sh -eu -c "
        ip address add 10.$n.0.2/30 dev eth0
        ip link set eth0 up
        ip route add default via 10.$n.0.1"
    ip route add "10.$n.64.0/18" via "10.$n.0.2"
    ip route add "10.$n.128.0/17" via "10.$n.0.2"
    cat >>"$folder/settings" <<EOF
address=10.$n.0.1
node_address=10.$n.0.2
services=10.$n.64.0/18
pods=10.$n.128.0/17
cgroup=diwan$n
EOF
    create_cgroups "diwan$n"
    failing=''
}

# Each hierarchy of version 1, or the one of version 2, which hands controllers down only when told.
create_cgroups() {
    local hierarchy
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "+cpu +cpuset +io +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
        mkdir -p "/sys/fs/cgroup/$1"
        return
    fi
    for hierarchy in /sys/fs/cgroup/*/; do
        mkdir -p "$hierarchy$1"
    done
}

delete_cgroups() {
    local top i
    [ -n "${cgroup:-}" ] || return 0
    for top in "/sys/fs/cgroup/$cgroup" /sys/fs/cgroup/*/"$cgroup"; do
        # The kernel takes a moment to forget the processes of a group.
        for i in {1..50}; do
            [ -d "$top" ] || break
            [ "$i" = 1 ] || sleep 0.1
            find "$top" -depth -type d -exec rmdir {} + 2>/dev/null || true
        done
    done
}

delete_node() {
    local n="${cgroup:-}"
    end node KILL
    # The interface goes with the namespace, but a moment later.
    [ -z "$n" ] || ! ip link show "$n" >/dev/null 2>&1 || ip link delete "$n" 2>/dev/null || true
}

# launch_on_node COMPONENT COMMAND...: remembers the program itself, not the nsenter that waits for it.
launch_on_node() {
    local component="$1" init entered child=
    shift
    init="$(alive node)" || die "the node has ended"
    setsid nsenter -t "$init" --net --mount --pid -- "$@" \
        </dev/null >>"$folder/logs/$component" 2>&1 9>&- &
    entered=$!
    while [ -z "$child" ] && [ -d "/proc/$entered" ]; do
        { read -r child _ <"/proc/$entered/task/$entered/children"; } 2>/dev/null || true
    done
    remember "$component" "${child:-$entered}"
}

write_node_configuration() {
    local etc="$folder/etc" snapshotter=overlayfs
    [ "$(stat -f -c %T "$folder")" != overlayfs ] || snapshotter=native
    mkdir -p "$etc/cni"
    # Point to point, not a bridge: what goes from pod to Service to pod passes the node's rules both
    # ways, without the kernel's br_netfilter.
    cat >"$etc/cni/10-node.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "node", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]],
   "dataDir": "/var/lib/cni/networks", "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
EOF
    cat >"$etc/containerd.toml" <<EOF
version = 2
root = "$folder/data/containerd"
state = "/run/containerd/state"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$folder/data/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "diwan.test/pause:1"
  # Lower scores need CAP_SYS_RESOURCE, which a test machine may lack.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$CNI_PLUGINS"
    conf_dir = "$etc/cni"
EOF
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

arguments_containerd() {
    arguments=(containerd --config "$folder/etc/containerd.toml")
}

on_node() {
    local init
    init="$(alive node)" || die "the node has ended"
    nsenter -t "$init" --net --mount --pid -- "$@"
}

ready_containerd() {
    on_node ctr --connect-timeout 1s --timeout 2s version
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

# The image that holds a pod's namespaces; made when it is asked for.
pause_image() {
    "$here/image.sh" diwan.test/pause:1 "$folder/data/pause.tar" "$bin/pause=/pause" --entrypoint /pause
    echo "$folder/data/pause.tar"
}

load_images() {
    local image
    for image in "$@"; do
        [ -r "$image" ] || die "no image $image"
        on_node ctr --namespace k8s.io images import - <"$image" >>"$folder/logs/images" 2>&1 ||
            die "containerd does not take $image: $(tail -n 1 "$folder/logs/images")"
    done
}

# A node that takes pods: it says so itself, and what a pod of the default namespace needs is there.
wait_node() {
    failing=kubelet
    kube wait --for=create node/node --timeout="${READY_SECONDS}s" >/dev/null
    kube wait --for=condition=Ready node/node --timeout="${READY_SECONDS}s" >/dev/null
    failing=kube-controller-manager
    kube wait --for=create serviceaccount/default configmap/kube-root-ca.crt --timeout="${READY_SECONDS}s" >/dev/null
    failing=''
}
