#!/usr/bin/env bash
# The demonstration behind `make demo`: a control plane on this machine, a real experiment on it,
# a page that stays up. `make demo-stop` ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$PWD/${CARGO_TARGET_DIR:-target}/debug
folder=$PWD/.cache/demo
data=$folder/data
out=$folder/up.out
pidfile=$folder/up.pid
mkdir -p "$folder"

stop() {
    if [ -f "$pidfile" ] && kill -INT "$(cat "$pidfile")" 2>/dev/null; then
        while kill -0 "$(cat "$pidfile")" 2>/dev/null; do sleep 0.1; done
    fi
    rm -f "$pidfile"
}

start() {
    stop
    rm -rf "$data"
    : >"$out"
    PATH="$programs:$PATH" setsid "$programs/diwan" up --data "$data" >"$out" 2>"$folder/up.log" </dev/null &
    echo $! >"$pidfile"
    until grep -q '^export KUBECONFIG=' "$out"; do
        if ! kill -0 "$(cat "$pidfile")" 2>/dev/null; then
            cat "$folder/up.log" >&2
            exit 1
        fi
        sleep 0.05
    done
    page=$(sed -n 's/^web UI: *//p' "$out")
    kubeconfig=$(sed -n 's/^export KUBECONFIG=//p' "$out")
    echo "watch it live: $page"
    "$programs/diwan" run --kubeconfig "$kubeconfig" examples/quickstart/experiment.yaml
    # Without its key the page answers 401: it is there, and closed to others.
    status=$(curl --silent --output /dev/null --write-out '%{http_code}' "${page%%\?*}")
    if [ "$status" != 401 ]; then
        echo "the page answers $status" >&2
        exit 1
    fi
    cat <<EOF

The page stays up: $page
kubectl works too:  export KUBECONFIG=$kubeconfig
Stop it with:       make demo-stop
EOF
}

case "${1:-}" in
start) start ;;
stop) stop ;;
*) echo "usage: $0 start|stop" >&2; exit 2 ;;
esac
