#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pipes in C and in Python.
# ctest: timeout=120
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s\n' 'got (42, 42)' 'got (None, None)' "got ('hello', 'hello')" 'end of file' "got b'before the end'" 'end of file' \
        'killed by SIGKILL' >"$folder/python"
printf '%s\n' 'got 4242' 'got ' 'got hellohello' 'end of file' 'got before the end' 'end of file' 'exit code -9' >"$folder/c"

for start in fork spawn; do
        timeout 30 "$SKEP_BUILD/examples/pipes" "$start" | diff "$folder/c" -
        echo "pipes.c $start: ok"
done
for start in fork spawn forkserver; do
        PYTHONPATH=$SKEP_BUILD/python timeout 30 "$PYTHON" "$here/python/pipes.py" "$start" | diff "$folder/python" -
        echo "pipes.py $start: ok"
done
