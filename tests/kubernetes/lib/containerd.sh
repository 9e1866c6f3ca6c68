# The containers' daemon, their network, and the images that they find.

CNI_PLUGINS="${CNI_PLUGINS:-/usr/lib/cni}"

write_containerd_configuration() {
    local etc="$folder/etc" snapshotter=overlayfs
    # Overlays do not stack.
    [ "$(stat -f -c %T "$folder")" != overlayfs ] || snapshotter=native
    mkdir -p "$etc/cni"
    # Point to point, not a bridge: what goes from pod to Service to pod passes the node's rules both
    # ways, without the kernel's br_netfilter.
    cat >"$etc/cni/10-node.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "node", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]],
   "dataDir": "/var/lib/cni/networks", "routes": [{"dst": "0.0.0.0/0"}]}}
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
}

arguments_containerd() {
    arguments=(containerd --config "$folder/etc/containerd.toml")
}

ready_containerd() {
    on_node ctr --connect-timeout 1s --timeout 2s version
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
