# The cluster's programs as processes: started, watched, hurt and ended, each by its own pid.

READY_SECONDS=180

load_settings() {
    # shellcheck source=/dev/null
    source "$folder/settings"
    components=(etcd kube-apiserver)
    [ "$mode" = api-only ] || components=("${CONTROL_PLANE[@]}" "${NODE[@]}")
}

# When a process started, in the kernel's ticks: with it a pid means one process for ever.
birth() {
    local stat
    { stat="$(<"/proc/$1/stat")"; } 2>/dev/null || return 1
    # The second field is a name in parentheses, with anything in it.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" != Z ] && echo "${20}"
}

remember() { # remember NAME PID
    echo "$2 $(birth "$2")" >"$folder/pids/$1"
}

# The pid of a program that is still the one that was started; fails when it has ended.
alive() {
    local pid born
    read -r pid born 2>/dev/null <"$folder/pids/$1" || return 1
    [ -n "$born" ] && [ "$(birth "$pid")" = "$born" ] && echo "$pid"
}

state() {
    local pid
    pid="$(alive "$1")" || {
        echo stopped
        return
    }
    grep -q '^State:.T' "/proc/$pid/status" && echo "paused, pid $pid" || echo "running, pid $pid"
}

# Starts a component apart from this terminal; its `arguments_NAME` function gives the command.
launch() {
    local component="$1" arguments=() pid
    "arguments_${component//-/_}"
    echo "--- $(date -Is) ${arguments[*]}" >>"$folder/logs/$component"
    if [[ " ${NODE[*]} " = *" $component "* ]]; then
        launch_on_node "$component" "${arguments[@]}"
    else
        setsid "${arguments[@]}" </dev/null >>"$folder/logs/$component" 2>&1 9>&- &
        pid=$!
        disown
        remember "$component" "$pid"
    fi
}

wait_ready() {
    local component="$1" until=$((SECONDS + READY_SECONDS))
    failing="$component"
    until "ready_${component//-/_}" >/dev/null 2>&1; do
        alive "$component" >/dev/null || die "$component has ended"
        [ "$SECONDS" -lt "$until" ] || die "$component is not ready after $READY_SECONDS s"
        sleep 0.1
    done
    failing=''
}

show_failure() {
    [ -n "${failing:-}" ] || return 0
    echo "--- last lines of $folder/logs/$failing"
    tail -n 25 "$folder/logs/$failing" | cut -c1-600
}

# Lets a paused program go on. nsenter stops when its program stops, and would not see it end.
wake() {
    local pid="$1" parent
    parent="$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null || true)"
    kill -CONT "$pid" 2>/dev/null || true
    if [ "$(cat "/proc/$parent/comm" 2>/dev/null)" = nsenter ]; then
        kill -CONT "$parent" 2>/dev/null || true
    fi
}

# end COMPONENT SIGNAL: returns when the process is gone; what does not go within 10 s is killed.
end() {
    local pid i
    pid="$(alive "$1")" || return 0
    kill "-$2" "$pid" 2>/dev/null || true
    wake "$pid"
    for i in {1..300}; do
        alive "$1" >/dev/null || break
        [ "$i" != 100 ] || kill -KILL "$pid" 2>/dev/null || true
        sleep 0.1
    done
    if alive "$1" >/dev/null; then
        echo "cluster.sh: $1 (pid $pid) does not end" >&2
        return 1
    fi
    rm -f "$folder/pids/$1"
}

fault() {
    local pid
    case "$1" in
        stop) end "$2" TERM ;;
        kill) end "$2" KILL ;;
        start)
            alive "$2" >/dev/null && die "$2 runs"
            launch "$2"
            trap 'show_failure >&2' EXIT
            wait_ready "$2"
            ;;
        pause | resume)
            pid="$(alive "$2")" || die "$2 does not run"
            if [ "$1" = pause ]; then kill -STOP "$pid"; else wake "$pid"; fi
            ;;
    esac
}
