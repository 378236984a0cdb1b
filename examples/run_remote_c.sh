#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The remote manager in C: `skep serve`, a master, two workers; a wrong key is refused. Over TCP, over a unix socket, and between two
# network namespaces where they can be made.
# ctest: timeout=120
set -euo pipefail

: "${SKEP_BUILD:=build}"
skep=$SKEP_BUILD/bin/skep
program=$SKEP_BUILD/examples/remote_manager
dir=$(mktemp -d)
server=
namespaces=()

end() {
        if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
        for name in "${namespaces[@]}"; do ip netns del "$name" 2>/dev/null || true; done
        rm -rf "$dir"
}
trap end EXIT

fail() {
        echo "run_remote_c: $*"; cat "$dir/log" 2>/dev/null || true
        exit 1
}

# serve WHERE ADDRESS [COMMAND PREFIX ...]; sets $address
serve() {
        local where=$1; shift
        : >"$dir/out"
        "$@" "$skep" serve --listen "$where" --authkey-file "$dir/key" >"$dir/out" 2>"$dir/log" &
        server=$!
        for _ in $(seq 200); do [ -s "$dir/out" ] && break; sleep 0.02; done
        address=$(head -1 "$dir/out")
        [ -n "$address" ] || fail "no server at $where"
}

stop() {
        kill -TERM "$server"
        wait "$server" || fail "skep serve ended with $?"
        server=
}

# run ADDRESS [COMMAND PREFIX ...]: one master, two workers
run() {
        local address=$1; shift
        "$@" timeout 40 "$program" worker "$address" z & local first=$!
        "$@" timeout 40 "$program" worker "$address" z & local second=$!
        "$@" timeout 40 "$program" master "$address" z >"$dir/results" || fail "the master failed with $?"
        wait "$first" || fail "a worker failed with $?"
        wait "$second" || fail "a worker failed with $?"
        [ "$(sort "$dir/results")" = '{"name": "Ada", "age": 33}
{"name": "Grace", "age": 35}' ] || fail "the results are: $(cat "$dir/results")"
        if "$@" timeout 40 "$program" worker "$address" wrong 2>"$dir/wrong"; then fail "a wrong key was let in"; fi
        grep -q "permission denied" "$dir/wrong" || fail "a wrong key was told: $(cat "$dir/wrong")"
        for _ in $(seq 100); do grep -q "refused: it has another key" "$dir/log" && break; sleep 0.02; done
        grep -q "refused: it has another key" "$dir/log" || fail "nobody wrote down that a wrong key came"
}

printf z >"$dir/key"
chmod 600 "$dir/key"
for where in tcp://127.0.0.1:0 "unix:$dir/socket"; do
        serve "$where"
        run "$address"
        stop
        echo "run_remote_c: ok, $where"
done

# Two hosts, in short: a server and its clients that share no network and, behind it, nothing.
one=skep$$a two=skep$$b
if ! why=$(ip netns add "$one" 2>&1); then
        echo "run_remote_c: between network namespaces: left out, as none can be made here (${why:-no ip})"
        exit 0
fi
namespaces+=("$one" "$two")
if ! why=$({ ip netns add "$two" && ip link add "$one" netns "$one" type veth peer name "$two" netns "$two" &&
             ip -n "$one" addr add 10.79.0.1/24 dev "$one" && ip -n "$two" addr add 10.79.0.2/24 dev "$two" &&
             ip -n "$one" link set "$one" up && ip -n "$two" link set "$two" up; } 2>&1); then
        echo "run_remote_c: between network namespaces: left out, as they cannot be connected here ($why)"
        exit 0
fi
serve tcp://10.79.0.1:9010 ip netns exec "$one"
run "$address" ip netns exec "$two"
stop
echo "run_remote_c: ok, between two network namespaces"
