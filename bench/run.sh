#!/usr/bin/env bash
# All figures, each beside its bare cost in the same run. `make bench` builds first.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=${CARGO_TARGET_DIR:-target}/release

echo "machine: $(nproc) cores, $(uname -sr)"
echo "--- trials per second"
"$programs/isolation"
"$programs/throughput"
"$programs/isolation"
echo "--- start and memory"
"$programs/startup"
