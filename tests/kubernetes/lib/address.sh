# Ports and address ranges that nobody on this machine uses.

# A port of this machine below the range that the kernel gives to outgoing connections.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        grep -qs "^port_.*=$port$" "$folder/settings" && continue
        # A connection that is refused: nobody listens.
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# free_range: the first N for which 10.N.0.0/16 is unknown to this machine.
free_range() {
    local n known
    known="$(ip -4 address; ip -4 route)"
    for n in {200..254}; do
        if ! grep -q "\b10\.$n\." <<<"$known"; then
            echo "$n"
            return
        fi
    done
    die "no free range between 10.200.0.0/16 and 10.254.0.0/16"
}
