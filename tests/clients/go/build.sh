#!/usr/bin/env bash
# Builds the clients that are written in Go, and helm, once for each set of sources:
#   tests/clients/go/build.sh [FOLDER]
# FOLDER is .cache/clients/bin at the top of the repository unless given. Without Go it says so and does
# nothing; the tests of these clients then say that they were not run.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
bin="${1:-$here/../../../.cache/clients/bin}"
mkdir -p "$bin"
bin="$(cd "$bin" && pwd)"

# Two runs at a time would build the same twice, and each with half of the cores.
exec 9>"$bin/.lock"
flock 9

cd "$here"
stamp="$(sha256sum build.sh go.mod go.sum ./*.go | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$bin/.stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$bin/clients" ] && [ -x "$bin/helm" ]; then
    exit 0
fi
rm -f "$bin/.stamp" "$bin/clients" "$bin/helm"
if ! command -v go >/dev/null; then
    echo "go/build.sh: Go 1.26 or later is not here: the clients in Go and helm are NOT built" >&2
    exit 0
fi
echo "building the clients that are written in Go into $bin (minutes, once)" >&2
export CGO_ENABLED=0
build() {
    timeout 900 go build -mod=readonly -trimpath -ldflags "-s -w" -o "$@"
}
# An older Go, or one that can't reach the modules, must not keep the other checks from running.
if build "$bin/clients" . && build "$bin/" tool; then
    echo "$stamp" >"$bin/.stamp"
else
    rm -f "$bin/clients" "$bin/helm"
    echo "go/build.sh: the clients in Go and helm could NOT be built: their checks are not run" >&2
fi
