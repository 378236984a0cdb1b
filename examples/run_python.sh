#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Frames and a queue both ways in Python, under each start method.
# ctest: timeout=120
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for number in 0 1 2 3 4 5 6 7 8 9; do echo "(1, 3, 2048, 2048) $number.0"; done >"$folder/frames"
echo "[42, None, 'hello']" >"$folder/queue"

for start in spawn fork forkserver; do
        PYTHONPATH=$SKEP_BUILD/python timeout 50 "$PYTHON" "$here/python/frames.py" "$start" | diff "$folder/frames" -
        PYTHONPATH=$SKEP_BUILD/python timeout 50 "$PYTHON" "$here/python/frames_unmodified.py" "$start" | diff "$folder/frames" -
        PYTHONPATH=$SKEP_BUILD/python timeout 50 "$PYTHON" "$here/python/queue_basic.py" "$start" | diff "$folder/queue" -
        echo "frames, frames_unmodified, queue_basic $start: ok"
done
