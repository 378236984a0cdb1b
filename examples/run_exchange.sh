#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A C program and a Python program, started by hand, exchange bytes and arrays through one named hive.
# ctest: timeout=120
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
name=exchange-$$
out=$(mktemp)
trap 'kill "$c" 2>/dev/null || true; rm -f "$out"' EXIT

timeout 60 "$SKEP_BUILD/examples/hive_exchange" "$name" >"$out" &
c=$!
for _ in $(seq 100); do
        "$SKEP_BUILD/bin/skep" ls "$name" 2>/dev/null | grep to-python >/dev/null && break
        sleep 0.05
done
PYTHONPATH=$SKEP_BUILD/python timeout 60 "$PYTHON" "$here/python/hive_exchange.py" "$name"
wait "$c"
cat "$out"
printf '%s\n' "C got 17 bytes: hello from Python" "C got 1000 of float64, 0 of them wrong" | diff - "$out"
if [ -e "/dev/shm/skep.$name" ]; then
        echo "left in /dev/shm: skep.$name"
        exit 1
fi
echo "exchange: ok"
