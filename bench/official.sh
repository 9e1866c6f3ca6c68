#!/usr/bin/env bash
# The outside benchmark (hpo_bench.py and katib_grpc_adapter.py) against `diwan suggestion` over
# gRPC, beside the peers: runs everything on this machine and prints the tables as markdown.
#
#   bench/official.sh HARNESS            HARNESS: the folder that holds hpo_bench.py
#
# What may be given in the environment:
#   DIWAN=target/release/diwan   the program under test; built when it is not there
#   SERVE="$DIWAN suggestion --listen"   what serves the algorithms, an address behind it; the
#                                example `serve_suggestions` of diwan-suggestion is built in less time
#   SEARCH=target/release/search the program of `make bench-search`; built when it is not given
#   WORK=.cache/official         where the Python environments, stubs, results and logs go
#   PARTS=scores,latency,report  what is done; `report` alone prints what was measured before
#   SEEDS=5 SEED_FROM=0          seeds 0-4 are for reporting, 5-9 for tuning
#   BUDGET=100                   trials of a run
#   JOBS=1                       runs at a time, while nothing is timed
#   ONLY=tpe,auto_b10            which of ROWS below; all when it is empty
#   PYTHON=python3               a Python that the packages below have wheels for
#   PEERS="optuna cmaes torch"   what pip installs for the latency of the peers
#   PIP_ARGS=                    more for pip, such as the index with torch for processors alone
set -euo pipefail
cd "$(dirname "$0")/.."

harness=${1:?usage: bench/official.sh HARNESS (the folder that holds hpo_bench.py)}
diwan=${DIWAN:-${CARGO_TARGET_DIR:-target}/release/diwan}
work=${WORK:-.cache/official}
server_command=${SERVE:-$diwan suggestion --listen}
parts=${PARTS:-scores,latency,report}
seeds=${SEEDS:-5} seed_from=${SEED_FROM:-0} budget=${BUDGET:-100} jobs=${JOBS:-1}
python=${PYTHON:-python3}
peers=${PEERS-optuna cmaes torch}
results=$work/results

# tag, algorithm, how many suggestions are asked for at once
ROWS="
bayesianoptimization bayesianoptimization 1
multivariate_tpe multivariate-tpe 1
tpe tpe 1
cmaes cmaes 1
auto auto 1
auto_b10 auto 10
random random 1
sobol sobol 1
"

wants() { [[ ",$parts," == *",$1,"* ]]; }
say() { echo "$*" >&2; }
bench() {
    KATIB_STUBS=$work/stubs KATIB_SETTINGS="random_state={seed}" "$work/venv/bin/python" "$harness/hpo_bench.py" \
        --plugin "$harness/katib_grpc_adapter.py" --results "$results" "$@"
}

prepare() {
    mkdir -p "$results" "$work/stubs" "$work/log"
    if [[ ! -e $work/venv/.ready ]]; then
        say "installing into $work/venv"
        "$python" -m venv "$work/venv"
        # shellcheck disable=SC2086 # several words each
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check ${PIP_ARGS:-} \
            grpcio grpcio-tools numpy scipy $peers >&2
        touch "$work/venv/.ready"
    fi
    "$work/venv/bin/python" -m grpc_tools.protoc -I api/proto/proto/api/v1/beta1 \
        --python_out="$work/stubs" --grpc_python_out="$work/stubs" api.proto
}

# Serves until this script ends.
serve() {
    local port
    if [[ -z ${SERVE:-} && ! -x $diwan ]]; then
        cargo build --release --locked -p diwan >&2
    fi
    port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    export KATIB_ADDR=127.0.0.1:$port
    # shellcheck disable=SC2086 # several words
    RUST_LOG=${RUST_LOG:-warn} $server_command "$KATIB_ADDR" > "$work/log/server" 2>&1 &
    server=$!
    trap 'kill "$server" 2> /dev/null || true' EXIT
    until (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do
        kill -0 "$server" || { cat "$work/log/server" >&2; exit 1; }
        sleep 0.1
    done
}

scores() {
    local tag algorithm batch
    while read -r tag algorithm batch; do
        [[ -n $tag && ( -z ${ONLY:-} || ",$ONLY," == *",$tag,"* ) ]] || continue
        rm -f "$results/diwan_$tag.jsonl"
        while (( $(jobs -rp | wc -l) > jobs )); do wait -n; done # the server is one of them
        say "$tag"
        KATIB_ALGO=$algorithm bench run --opt katib_grpc --tag "diwan_$tag" --budget "$budget" \
            --seeds "$seeds" --seed-from "$seed_from" --batch "$batch" > "$work/log/$tag" 2>&1 &
    done <<< "$ROWS"
    while (( $(jobs -rp | wc -l) > 1 )); do wait -n; done
}

# Ours and the peer's, one after the other: over gRPC the wall clock counts all that a controller
# waits for; the processor time of one suggestion comes from `search latency`, in process.
latency() {
    local algorithm name kind counts live
    rm -f "$results/latency.jsonl.txt" "$work/latency.json"
    if [[ -z ${SEARCH:-} ]]; then
        cargo build --release --locked -p diwan-bench --no-default-features --bin search >&2
    fi
    while read -r algorithm kind counts; do
        [[ -n $algorithm ]] || continue
        say "$algorithm over gRPC"
        KATIB_ALGO=$algorithm bench latency --opt katib_grpc --tag "diwan_$algorithm" --kind "$kind" --n "$counts" >&2
    done <<< "
        random mixed20 100,1000,5000
        tpe mixed20 100,1000,5000
        cmaes mixed20 100,1000,5000
        bayesianoptimization float20 100,500,1000"
    say "in process"
    "${SEARCH:-${CARGO_TARGET_DIR:-target}/release/search}" latency --format json > "$work/latency.json"
    # CatCMAwM's state is its own generations: it makes its trials itself.
    while read -r name kind counts live; do
        [[ -n $name ]] || continue
        say "$name"
        # shellcheck disable=SC2086 # nothing or one word
        bench latency --opt "$name" --kind "$kind" --n "$counts" --cap 300 $live >&2 ||
            say "$name is not installed: it is left out"
    done <<< "
        optuna_tpe mixed20 100,1000,5000
        catcmawm mixed20 100,1000,5000 --live
        optuna_gp float20 100,500,1000"
}

# The tables for one budget: all that ran, then ours beside the strongest peers on each problem.
tables() {
    local all strongest
    all=$(IFS=,; echo "${ours[*]}"),optuna_gp,optuna_tpe,optuna_tpe_uni,optuna_cmaes,catcmawm,catcmawm_b10,optuna_tpe_b10,hyperopt_tpe,nevergrad_ngopt
    strongest=$(IFS=,; echo "${ours[*]}"),optuna_gp,optuna_tpe,catcmawm,catcmawm_b10
    echo
    bench report --budget "$1" --opts "$all" --seed-from "$seed_from" --seeds "$seeds"
    echo
    bench report --budget "$1" --opts "$strongest" --per-problem --seed-from "$seed_from" --seeds "$seeds" | sed -n '/^| problem/,$p'
}

report() {
    local ours=() tag budget_part
    for tag in $(awk '{ print $1 }' <<< "$ROWS"); do
        [[ -e $results/diwan_$tag.jsonl ]] && ours+=("diwan_$tag")
    done
    echo "Measured $(date -u +%Y-%m-%d) at commit $(git rev-parse --short HEAD), seeds $seed_from to $((seed_from + seeds - 1))."
    for budget_part in 50 100; do
        if (( budget_part <= budget )); then tables "$budget_part"; fi
    done
    if [[ -s $results/latency.jsonl.txt ]]; then
        echo
        "$python" bench/latency.py "$results/latency.jsonl.txt" "$work/latency.json"
    fi
}

prepare
if wants scores || wants latency; then serve; fi
if wants scores; then scores; fi
if wants latency; then latency; fi
if wants report; then report; fi
