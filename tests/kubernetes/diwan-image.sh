#!/usr/bin/env bash
# Makes the image that the Dockerfile makes, without a registry: the programs that were built, and the
# libraries of this machine that they are linked against.
#
#   diwan-image.sh NAME:TAG OUT.tar FOLDER
#
#   FOLDER   where the programs are, such as target/release
set -euo pipefail
here="$(dirname "${BASH_SOURCE[0]}")"

[ $# -eq 3 ] || {
    sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}
name="$1" out="$2" folder="$3"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

files=()
for program in diwan diwan-metrics-collector; do
    [ -e "$folder/$program" ] || {
        echo "diwan-image.sh: no file $folder/$program; build it: cargo build -p diwan -p diwan-sidecar" >&2
        exit 1
    }
    strip -o "$work/$program" "$folder/$program"
    files+=("$work/$program=/$program")
    # The libraries, and the loader, where the program looks for them.
    while read -r library; do
        files+=("$library=$library")
    done < <(ldd "$work/$program" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }')
done
"$here/image.sh" "$name" "$out" "${files[@]}" --user 65532:65532 --entrypoint /diwan
