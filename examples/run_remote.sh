#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run the remote manager as a test: skep and the standard library of each Python at hand as server and as client, over sockets of every
# kind; with a wrong key; with encryption demanded; between two network namespaces where they can be made.
# ctest: timeout=300
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
program=$here/python/remote_manager.py
folder=$(mktemp -d)
space=skep$$
server_in=() client_in=()
trap 'stop; ip netns del "$space" 2>/dev/null || true; rm -rf "$folder"' EXIT
expected=$(printf "%s\n" "{'name': 'Ada', 'age': 36}" "{'name': 'Alan', 'age': 41}")

run() { # run skep|INTERPRETER ARGUMENT...: the program, with skep or with that interpreter's own library
        local side=$1
        shift
        if [ "$side" = skep ]; then
                PYTHONPATH=$SKEP_BUILD/python MP=skep exec timeout 60 "$PYTHON" "$program" "$@"
        else
                MP=multiprocessing exec timeout 60 "$side" "$program" "$@"
        fi
}

start() { # start SIDE ADDRESS: a server; $address is where it listens
        mkfifo "$folder/stop" "$folder/said"
        (export -f run; export SKEP_BUILD PYTHON program; exec "${server_in[@]}" bash -c 'run "$@"' - "$1" serve "$2" <"$folder/stop" >"$folder/said") &
        server=$!
        exec 8>"$folder/stop"
        read -r -t 30 address <"$folder/said" || { echo "the server of $1 at $2 did not start"; exit 1; }
}

stop() {
        [ -n "${server-}" ] || return 0
        exec 8>&-
        wait "$server" || true
        server=
        rm -f "$folder/stop" "$folder/said"
}

client() { # client SIDE ROLE
        (export -f run; export SKEP_BUILD PYTHON program; exec "${client_in[@]}" bash -c 'run "$@"' - "$1" "$2" "$address")
}

check() { # check SERVER CLIENT ADDRESS
        local found
        start "$1" "$3"
        client "$2" work
        found=$(client "$2" collect)
        stop
        [ "$found" = "$expected" ] || { echo "server $1, client $2 at $3: printed"; echo "$found"; exit 1; }
        echo "server $1, client $2 at $3: ok"
}

refused() { # refused WHAT SIDE: a client of that side is
        local said
        if said=$(client "$2" collect 2>&1) || ! grep -q AuthenticationError <<<"$said"; then
                echo "$1 was not refused: $said"
                exit 1
        fi
        echo "$1: refused"
}

others=("$PYTHON")
for version in 11 12 13; do
        for other in "$HOME"/.pyenv/versions/3."$version".*/bin/python3 "$(command -v python3.$version || true)"; do
                if [ -x "$other" ] && [ "$(readlink -f "$other")" != "$(readlink -f "$PYTHON")" ]; then
                        others+=("$other")
                        break
                fi
        done
done

for place in 127.0.0.1:0 "[::1]:0" "$folder/socket" "@$space"; do
        if [ "$place" = "[::1]:0" ] && ! "$PYTHON" -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' 2>/dev/null; then
                echo "IPv6: left out, there is no ::1 here"
                continue
        fi
        check skep skep "$place"
done
for other in "${others[@]}"; do
        for place in 127.0.0.1:0 "$folder/socket"; do
                check skep "$other" "$place"
                check "$other" skep "$place"
        done
done
check "$PYTHON" "$PYTHON" 127.0.0.1:0

for side in skep "$PYTHON"; do
        start "$side" 127.0.0.1:0
        KEY=wrong refused "a wrong key of skep at a server of $side" skep
        KEY=wrong refused "a wrong key of $PYTHON at a server of $side" "$PYTHON"
        stop
done

TLS=1 check skep skep 127.0.0.1:0
TLS=1 start skep 127.0.0.1:0
refused "a client without encryption at a server with TLS=1" "$PYTHON"
stop
start "$PYTHON" 127.0.0.1:0
TLS=1 refused "a server without encryption by a client with TLS=1" skep
stop

if ip netns add "$space" 2>/dev/null && ip link add "$space" type veth peer name eth0 netns "$space" 2>/dev/null; then
        ip addr add 10.213.77.1/30 dev "$space"
        ip link set "$space" up
        ip netns exec "$space" ip addr add 10.213.77.2/30 dev eth0
        ip netns exec "$space" ip link set eth0 up
        client_in=(ip netns exec "$space")
        TLS=1 check skep skep 10.213.77.1:0
        check skep "$PYTHON" 10.213.77.1:0
        check "$PYTHON" skep 10.213.77.1:0
else
        echo "two network namespaces: left out, they cannot be made here"
fi
