# The node's programs in namespaces of their own, as in a container.
#
# Their mounts, interfaces, routes, nftables rules and processes are the namespaces', so that ending
# the namespaces' first process ends them all, whatever state they are in. A pair of interfaces joins
# the node to the machine: 10.N.0.1 is the machine, 10.N.0.2 the node, and the machine reaches pods
# and Services through it.

# Folders that programs insist on: within the node's mounts, each is a folder of ours.
NODE_FOLDERS=(run/netns run/containerd var/lib/kubelet var/lib/cni var/log/pods var/log/containers)

create_node() {
    local n init unshare_pid part
    n="$(free_range)"
    for part in "${NODE_FOLDERS[@]}"; do
        mkdir -p "$folder/data/node/$part" "/$part"
    done
    # shellcheck disable=SC2016
    setsid unshare --net --mount --pid --fork --kill-child --mount-proc bash -euc '
        for part in "${@:3}"; do
            mount --bind "$1/data/node/$part" "/$part"
        done
        mount --make-rshared /
        ip link set lo up
        echo 1 >/proc/sys/net/ipv4/ip_forward
        touch "$1/data/node/created"
        exec "$2/pause"' bash "$folder" "$bin" "${NODE_FOLDERS[@]}" </dev/null >>"$folder/logs/node" 2>&1 9>&- &
    unshare_pid=$!
    disown
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
    [ -n "$cgroup" ] || return 0
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
    end node KILL || return 1
    # The interface goes with the namespace, but a moment later; it and the cgroups have one name.
    [ -z "$cgroup" ] || ip link delete "$cgroup" 2>/dev/null || true
}

# launch_on_node COMPONENT COMMAND...: remembers the program itself, not the nsenter that waits for it.
launch_on_node() {
    local component="$1" init entered child=
    shift
    init="$(alive node)" || die "the node has ended"
    setsid nsenter -t "$init" --net --mount --pid -- "$@" \
        </dev/null >>"$folder/logs/$component" 2>&1 9>&- &
    entered=$!
    disown
    while [ -z "$child" ] && [ -d "/proc/$entered" ]; do
        { read -r child _ <"/proc/$entered/task/$entered/children"; } 2>/dev/null || true
    done
    remember "$component" "${child:-$entered}"
}

on_node() {
    local init
    init="$(alive node)" || die "the node has ended"
    nsenter -t "$init" --net --mount --pid -- "$@"
}
