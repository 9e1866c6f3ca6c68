#!/usr/bin/env bash
# Writes per second and how late watchers are: in process, over TLS to `diwan up`, and beside them
# kube-apiserver on etcd (of tests/kubernetes; KUBEBUILDER_ASSETS is honoured), all in one run.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=${CARGO_TARGET_DIR:-target}/release
folder=$(mktemp -d)
up=
end() {
    [ -z "$up" ] || kill -INT "$up" 2>/dev/null || true
    wait || true
    tests/kubernetes/cluster.sh down "$folder/kubernetes" || true
    rm -rf "$folder"
}
trap end EXIT

cargo build --release --locked -p diwan -p diwan-embedded --bins --examples
"$programs/diwan" up --data "$folder/data" >"$folder/up" 2>/dev/null &
up=$!
tests/kubernetes/cluster.sh up "$folder/kubernetes" --api-only >/dev/null
until grep -q '^export KUBECONFIG=' "$folder/up"; do sleep 0.1; done
kubeconfig=$(sed -n 's/^export KUBECONFIG=//p' "$folder/up")
"$programs/examples/api_rate" "diwan up=$kubeconfig" \
    "kube-apiserver and etcd=$folder/kubernetes/kubeconfig" "$@"
