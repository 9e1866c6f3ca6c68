#!/usr/bin/env bash
# What users of helm do, against the cluster of $KUBECONFIG:
#   releases.sh     `helm` is the one of PATH
set -euo pipefail
chart="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/chart"
export HELM_NAMESPACE=clients-helm
kubectl() { command kubectl -n "$HELM_NAMESPACE" "$@"; }

check() { # check WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || { echo "failed: $1: expected '$2', found '$3'" >&2; exit 1; }
    echo "ok: $1"
}
colours() { kubectl get configmap "$1" -o jsonpath='{.data}'; }

# A chart that is only filled in, and applied by kubectl.
kubectl create namespace "$HELM_NAMESPACE"
fill() { helm template stall "$chart" --no-hooks "$@" | kubectl apply --server-side -f -; }
fill
kubectl rollout status deployment/stall --timeout=60s
check "a chart is applied" '{"grass":"green","sky":"blue"}' "$(colours stall)"
fill --set colours.sky=null --set colours.sea=deep
check "a field that went from the chart is removed" '{"grass":"green","sea":"deep"}' "$(colours stall)"
kubectl delete configmap,deployment,service stall

# Helm's own releases.
helm install shop "$chart" --wait --timeout 90s
check "a release is installed" deployed "$(helm status shop -o json | tr ',' '\n' | sed -n 's/.*"status":"\([a-z]*\)".*/\1/p' | head -1)"
check "its pods run" 1 "$(kubectl get deployment shop -o jsonpath='{.status.readyReplicas}')"
check "its hook is gone" '' "$(kubectl get jobs -o name)"
helm upgrade shop "$chart" --set door=false --set replicas=2 --set colours.sky=null --wait --timeout 90s
check "an upgrade removes fields" '{"grass":"green"}' "$(colours shop)"
check "an upgrade removes objects" '' "$(kubectl get service shop -o name --ignore-not-found)"
check "an upgrade scales" 2 "$(kubectl get deployment shop -o jsonpath='{.status.readyReplicas}')"
check "both revisions are kept" 2 "$(helm history shop -o json | grep -o '"revision"' | wc -l)"
helm rollback shop 1 --wait --timeout 90s
check "a rollback brings fields back" '{"grass":"green","sky":"blue"}' "$(colours shop)"
check "a rollback brings objects back" service/shop "$(kubectl get service shop -o name)"
if helm upgrade shop "$chart" --set replicas=-1; then
    echo "failed: a bad value is accepted" >&2
    exit 1
fi
echo "ok: a bad value is refused"
helm uninstall shop --wait --timeout 90s
check "nothing is left" '' "$(kubectl get configmap,deployment,service,secret -o name | grep -v kube-root-ca.crt || true)"
command kubectl delete namespace "$HELM_NAMESPACE" --wait=false
echo "all checks passed"
