#!/usr/bin/env bash
# An image with bash and the Python of .venv, and with those of its packages that the Katib SDK needs:
#
#   python.sh NAME:TAG OUT.tar [FILE=PATH...] [OPTION...]
#
# Files and options as image.sh takes them.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ $# -ge 2 ] || { sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2 && exit 2; }
python="$here/../../.venv/bin/python"
[ -x "$python" ] || { echo "python.sh: no .venv: run \`make python\`" >&2 && exit 1; }

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
paths="$("$python" -c '
import sys, sysconfig
print(sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), f"python3.{sys.version_info.minor}")
')"
read -r library packages version <<<"$paths"
program="$(readlink -f "$python")"

# Without what is large and not asked for.
mkdir -p "$work/$version/site-packages"
tar -C "$library" -c --exclude=./site-packages --exclude=./dist-packages --exclude='./config-*' \
    --exclude=./test --exclude=./idlelib --exclude=./ensurepip --exclude='./lib-dynload/_tkinter*' . |
    tar -C "$work/$version" -x
tar -C "$packages" -c --exclude='./numpy*' --exclude='./scipy*' --exclude='./s*learn*' \
    --exclude='./pip*' --exclude='./setuptools*' . | tar -C "$work/$version/site-packages" -x

# What programs and extensions are linked against.
files=(/bin/bash=/bin/bash "$program=/usr/local/bin/$version")
files+=("$program=/usr/local/bin/python3" "$program=/usr/local/bin/python")
linked="$({ printf '%s\0' "$program" /bin/bash && find "$work" -name '*.so' -print0; } | xargs -0 ldd 2>/dev/null |
    awk '/=> \// {print $3} $1 ~ /^\/lib.*ld-/ {print $1}' | sort -u)"
while read -r file; do
    case "$file" in
        "$work"/*) ;; # a library of a package, which the package finds
        */libpython*) files+=("$file=/usr/local/lib/${file##*/}") ;;
        *) files+=("$file=$file") ;;
    esac
done <<<"$linked"

"$here/image.sh" "$1" "$2" --busybox --folder /tmp "$work/$version=/usr/local/lib/$version" "${files[@]}" \
    --env PYTHONHOME=/usr/local --env LD_LIBRARY_PATH=/usr/local/lib "${@:3}"
