#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run the example of a local manager under each start method, with skep and with the standard library: both print the same.
# ctest: timeout=120
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH=$SKEP_BUILD/python
expected="{1: '1', '2': 2, 0.25: None}
[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
[('bee', 80), ('hive', 80), ('honey', 80), ('the', 240)]
2 True 0 0.5 2"

for package in skep multiprocessing; do
        for start in spawn fork forkserver; do
                found=$(MP=$package timeout 60 "$PYTHON" "$here/python/managed.py" "$start") || { echo "$package $start: failed with $?"; exit 1; }
                if [ "$found" != "$expected" ]; then
                        echo "$package $start: printed"; echo "$found"; echo "instead of"; echo "$expected"
                        exit 1
                fi
                echo "$package $start: ok"
        done
done
