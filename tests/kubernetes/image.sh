#!/usr/bin/env bash
# Makes an image of files alone, from scratch, as a tar that containerd, docker and podman take:
#
#   image.sh NAME:TAG OUT.tar [FILE=PATH...] [OPTION...] [--entrypoint WORD...]
#
#   FILE=PATH           a file of this machine, or a folder with all in it, at PATH of the image
#   --busybox           /bin/busybox with a link for each of its commands: a shell for trials
#   --folder PATH       an empty folder that everyone may write to
#   --env NAME=VALUE    for every program of the image
#   --user USER         65532 unless given
#   --entrypoint WORD…  the command; all that follows belongs to it
#
# The same files give the same image, byte for byte.
set -euo pipefail

usage() {
    sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

die() {
    echo "image.sh: $*" >&2
    exit 1
}

# json_list WORD...: the words as a JSON list of strings.
json_list() {
    local word list=()
    for word in "$@"; do
        word="${word//\\/\\\\}"
        list+=("\"${word//\"/\\\"}\"")
    done
    local IFS=,
    echo "[${list[*]}]"
}

add_busybox() {
    local busybox applet
    busybox="$(command -v busybox)" || die "busybox is missing (package busybox-static)"
    ! ldd "$busybox" >/dev/null 2>&1 || die "$busybox is not static (package busybox-static)"
    add_file "$busybox" /bin/busybox
    for applet in $("$busybox" --list); do
        [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
    done
}

# add_file FILE PATH
add_file() {
    [ -e "$1" ] || die "no file $1"
    mkdir -p "$(dirname "$root/$2")"
    cp -RL --preserve=mode "$1" "$root/$2"
}

[ $# -ge 2 ] || usage
name="$1" out="$2"
shift 2
case "$name" in
    *:*) ;;
    *) usage ;;
esac
case "$(uname -m)" in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) die "no name for the architecture $(uname -m)" ;;
esac

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
root="$work/root"
mkdir -p "$root"
chmod 755 "$root"
user=65532 environment=("PATH=/usr/local/bin:/usr/bin:/bin") entrypoint=()
while [ $# -gt 0 ]; do
    case "$1" in
        --busybox) add_busybox ;;
        --folder) mkdir -p "$root/$2" && chmod 1777 "$root/$2" && shift ;;
        --env) environment+=("$2") && shift ;;
        --user) user="$2" && shift ;;
        --entrypoint)
            entrypoint=("${@:2}")
            break
            ;;
        --*) usage ;;
        *=*) add_file "${1%%=*}" "${1#*=}" ;;
        *) usage ;;
    esac
    shift
done

mkdir "$work/image"
tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/image/layer.tar" .
layer="$(sha256sum "$work/image/layer.tar" | cut -d' ' -f1)"
cat >"$work/image/config.json" <<EOF
{"architecture":"$architecture","os":"linux","created":"1970-01-01T00:00:00Z","config":{"User":"$user","WorkingDir":"/","Env":$(json_list "${environment[@]}"),"Entrypoint":$(json_list "${entrypoint[@]}")},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
EOF
echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"$name\"],\"Layers\":[\"layer.tar\"]}]" >"$work/image/manifest.json"
tar -C "$work/image" --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$out" manifest.json config.json layer.tar
