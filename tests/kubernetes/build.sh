#!/usr/bin/env bash
# Builds the programs of the test cluster from their Go modules, once for each set of versions:
#   tests/kubernetes/build.sh [FOLDER]
# FOLDER is .cache/kubernetes/bin at the top of the repository unless given.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
bin="${1:-$here/../../.cache/kubernetes/bin}"
mkdir -p "$bin"
bin="$(cd "$bin" && pwd)"

# Two runs at a time would build the same twice, and each with half of the cores.
exec 9>"$bin/.lock"
flock 9

sources=(build.sh go.mod go.sum kwok/go.mod kwok/go.sum dns/go.mod dns/go.sum dns/main.go pause/pause.c)
stamp="$(cd "$here" && sha256sum "${sources[@]}" | sha256sum | cut -d' ' -f1)"
programs=(coredns etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet kwok pause)
complete() {
    [ "$(cat "$bin/.stamp" 2>/dev/null)" = "$stamp" ] || return 1
    local program
    for program in "${programs[@]}"; do
        [ -x "$bin/$program" ] || return 1
    done
}
complete && exit 0

command -v go >/dev/null || { echo "build.sh: Go 1.26 or later is needed to build the cluster" >&2; exit 1; }
rm -f "$bin/.stamp"
started=$SECONDS
echo "building the cluster's programs into $bin (minutes, once)" >&2

export CGO_ENABLED=0
# Without its version the API server calls itself v0.0.0, and kubectl warns of a skew.
version="$(cd "$here" && go list -m -f '{{.Version}}' k8s.io/kubernetes)"
major="${version#v}" minor="${version#v*.}"
major="${major%%.*}" minor="${minor%%.*}"
package=k8s.io/component-base/version
flags="-s -w -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
flags="$flags -X k8s.io/client-go/pkg/version.gitVersion=$version"

(cd "$here" && go build -mod=readonly -trimpath -ldflags "$flags" -o "$bin/" tool)
mv "$bin/server" "$bin/etcd"
(cd "$here/kwok" && go build -mod=readonly -trimpath -ldflags "-s -w" -o "$bin/" tool)
# How a simulated node and its pods go on: kwok's own stages, which its program does not carry.
stages="$(cd "$here/kwok" && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage"
for stage in "$stages"/{node/fast,node/heartbeat-with-lease,pod/fast}/{node,pod}-*.yaml; do
    [ ! -e "$stage" ] || { echo "---" && cat "$stage"; }
done >"$bin/kwok-stages.yaml"
(cd "$here/dns" && go build -mod=readonly -trimpath -ldflags "-s -w" -o "$bin/coredns" .)
gcc -static -Os -s -Wall -Wextra -Werror -o "$bin/pause" "$here/pause/pause.c"

echo "$stamp" >"$bin/.stamp"
echo "built Kubernetes $version in $((SECONDS - started)) s" >&2
