#!/usr/bin/env bash
# A real Kubernetes of one node, for tests. FOLDER holds all that it keeps: data, logs, pids, certificates.
#
#   cluster.sh up FOLDER [--api-only]     starts it, waits until it is ready, prints its kubeconfig
#   cluster.sh down FOLDER                ends all of it; harmless when nothing runs
#   cluster.sh load FOLDER IMAGE.tar...   puts images where pods find them
#   cluster.sh simulate FOLDER COUNT [STAGES.yaml]
#                                         adds nodes of kwok's, whose pods take no processor time
#   cluster.sh status FOLDER              what runs
#   cluster.sh stop|kill|start|pause|resume FOLDER COMPONENT
#                                         faults; `start` waits until the component is ready again
#
# --api-only is etcd and kube-apiserver alone: no root, no node, and any number of them side by side.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=lib/address.sh
source "$here/lib/address.sh"
# shellcheck source=lib/certificate.sh
source "$here/lib/certificate.sh"
# shellcheck source=lib/process.sh
source "$here/lib/process.sh"
# shellcheck source=lib/control-plane.sh
source "$here/lib/control-plane.sh"
# shellcheck source=lib/namespace.sh
source "$here/lib/namespace.sh"
# shellcheck source=lib/containerd.sh
source "$here/lib/containerd.sh"
# shellcheck source=lib/dns.sh
source "$here/lib/dns.sh"
# shellcheck source=lib/volume.sh
source "$here/lib/volume.sh"
# shellcheck source=lib/simulation.sh
source "$here/lib/simulation.sh"
# shellcheck source=lib/node.sh
source "$here/lib/node.sh"

# What the cluster's file of settings says; the node's part is empty with --api-only.
folder='' mode='' bin='' components=()
address='' node_address='' services='' pods='' cgroup=''
port_etcd='' port_etcd_peer='' port_kube_apiserver='' port_kube_controller_manager='' port_kube_scheduler=''
# The component that is being waited for: its log tells why nothing comes of it.
failing=''

# In the order in which they start; what is in NODE runs in the node's namespaces.
CONTROL_PLANE=(etcd kube-apiserver kube-controller-manager kube-scheduler)
NODE=(containerd kubelet kube-proxy coredns)

usage() {
    sed -n '2,/^# shellcheck/{/^# shellcheck/d; s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

die() {
    echo "cluster.sh: $*" >&2
    exit 1
}

# The programs: ours, built once, or those of a folder as setup-envtest makes it.
find_programs() {
    bin="${DIWAN_KUBERNETES_BIN:-$here/../../.cache/kubernetes/bin}"
    if [ "$mode" = api-only ] && [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
        bin="$KUBEBUILDER_ASSETS"
    elif [ -z "${DIWAN_KUBERNETES_BIN:-}" ]; then
        "$here/build.sh" "$bin"
    fi
    bin="$(cd "$bin" && pwd)" || die "no folder $bin"
    local program
    for program in "${components[@]}"; do
        [ "$program" = containerd ] || [ -x "$bin/$program" ] || die "no $program in $bin"
    done
}

need() { # need COMMAND...
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die "$program is missing (.ci/run names its package)"
    done
}

check_machine() {
    need openssl kubectl curl setsid
    [ "$mode" = full ] || return 0
    [ "$(id -u)" = 0 ] || die "a node needs root; without it there is --api-only"
    need containerd runc ctr ip nft nsenter unshare
    [ -x "$CNI_PLUGINS/ptp" ] || die "no CNI plugins in $CNI_PLUGINS (package containernetworking-plugins)"
}

up() {
    folder="$1" mode="${2:-full}"
    mode="${mode#--}"
    case "$mode" in
        full) components=("${CONTROL_PLANE[@]}" "${NODE[@]}") ;;
        api-only) components=(etcd kube-apiserver) ;;
        *) usage ;;
    esac
    mkdir -p "$folder"
    folder="$(cd "$folder" && pwd)"
    [ ! -e "$folder/settings" ] || die "$folder is in use: cluster.sh down $folder"
    check_machine
    find_programs

    local part
    for part in etc pki pids logs data kubeconfigs; do
        rm -rf "${folder:?}/$part"
        mkdir -p "$folder/$part"
    done
    chmod 700 "$folder/pki" "$folder/data" "$folder/kubeconfigs"
    # From here on, what was started is taken down again when something fails.
    printf 'mode=%q\nbin=%q\n' "$mode" "$bin" >"$folder/settings"
    trap 'down_after_failure' EXIT
    if [ "$mode" = full ]; then
        create_node
    else
        printf 'address=127.0.0.1\nservices=10.96.0.0/16\n' >>"$folder/settings"
    fi
    for part in etcd etcd_peer kube-apiserver kube-controller-manager kube-scheduler; do
        echo "port_${part//-/_}=$(free_port)" >>"$folder/settings"
    done
    load_settings
    create_certificates
    start_control_plane
    [ "$mode" = api-only ] || start_node
    trap - EXIT
    echo "$folder/kubeconfig"
}

down_after_failure() {
    local status=$?
    trap - EXIT
    show_failure >&2
    down "$folder"
    exit "$status"
}

down() {
    folder="$1"
    [ -e "$folder/settings" ] || return 0
    folder="$(cd "$folder" && pwd)"
    load_settings
    local i failed=''
    # What they keep is thrown away, so that nobody is asked to end in good order. The node's own
    # programs would end with its namespaces, if none of them were paused.
    for ((i = ${#components[@]} - 1; i >= 0; i--)); do
        end "${components[i]}" KILL || failed=1
    done
    if [ "$mode" = full ]; then
        end kwok KILL || failed=1
        delete_node || failed=1
        delete_cgroups
    fi
    # What still runs is still ours to end.
    [ -z "$failed" ] || exit 1
    rm -f "$folder/settings"
}

status() {
    local component
    for component in "${components[@]}"; do
        printf '%-24s %s\n' "$component" "$(state "$component")"
    done
}

open() {
    folder="$1"
    [ -e "$folder/settings" ] || die "no cluster in $folder"
    folder="$(cd "$folder" && pwd)"
    load_settings
}

[ $# -ge 2 ] || usage
# Whoever calls may hold a lock by an open file; what is started here would hold it after the call.
for file in "/proc/$$/fd"/*; do
    file="${file##*/}"
    case "$file" in
        0 | 1 | 2 | 255) ;; # 255 is this script
        *) eval "exec $file>&-" ;;
    esac
done
command="$1"
case "$command" in
    up) up "${@:2}" ;;
    down) down "$2" ;;
    status)
        open "$2"
        status
        ;;
    load)
        open "$2"
        [ "$mode" = full ] || die "images need a node"
        load_images "${@:3}"
        ;;
    simulate)
        [ $# -ge 3 ] || usage
        open "$2"
        [ "$mode" = full ] || die "simulated nodes need a scheduler"
        simulate_nodes "${@:3}"
        ;;
    stop | kill | start | pause | resume)
        [ $# = 3 ] || usage
        open "$2"
        [[ " ${components[*]} " = *" $3 "* ]] || die "no component $3; there are ${components[*]}"
        fault "$command" "$3"
        ;;
    *) usage ;;
esac
