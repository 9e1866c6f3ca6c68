#!/usr/bin/env bash
# The judge of the programs in this folder: a Kubernetes of this tree's own (root; one at a time).
#   kubernetes.sh record [SCRIPT...]   writes what it answers into the scripts of kubectl
#   kubernetes.sh check [WORD...]      runs all programs on it, or the tests with a word in their names
set -euo pipefail
tests="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

case "${1:-}" in
    record | check) ;;
    *) sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac
action="$1"
shift

folder="$(mktemp -d)"
trap '"$tests/kubernetes/cluster.sh" down "$folder/cluster"; rm -rf "$folder"' EXIT
"$tests/kubernetes/cluster.sh" up "$folder/cluster"
"$tests/kubernetes/image.sh" diwan.test/busybox:1 "$folder/busybox.tar" --busybox --folder /tmp
"$tests/kubernetes/cluster.sh" load "$folder/cluster" "$folder/busybox.tar"
export CLIENTS_KUBECONFIG="$folder/cluster/kubeconfig"
cd "$tests"
if [ "$action" = record ]; then
    cargo run --quiet --locked -p diwan-tests --bin transcript -- "$CLIENTS_KUBECONFIG" "$@"
else
    cargo test --locked -p diwan-tests --test clients -- --test-threads 2 "$@"
fi
