#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run the Python examples of locks, values and events as tests: what they print is checked.
# ctest: timeout=180
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH=$SKEP_BUILD/python PYTHONDONTWRITEBYTECODE=1

check() { # check EXPECTED PROGRAM ARGUMENTS...
        local expected=$1 program=$2 found
        shift 2
        found=$(timeout 60 "$PYTHON" "$here/python/$program.py" "$@") || {
                echo "$program $*: failed with $?; it printed:"; echo "$found"
                exit 1
        }
        if [ "$found" != "$expected" ]; then
                echo "$program $*: printed"; echo "$found"; echo "instead of"; echo "$expected"
                exit 1
        fi
        echo "$program $*: ok"
}

values='3.1415927
[0, -1, -2, -3, -4, -5, -6, -7, -8, -9]
[1, 2, 4, 8, 16]
'"b'z' 100 100 ü 100 100 100 100 100 100 100 100 100.0 100.0"'
(1.5, 2.5) [(2.0, 1.0), (4.0, 3.0)]
6'
counts='without a lock: never more than 200 True
with lock: 200
with get lock: 200'
images='100 images: 0 black, 0 torn, 0 skipped'

for start in fork spawn forkserver; do
        check "$values" values "$start"
        check "$images" images "$start" 100
done
check "$counts
in one step: 200" counter fork 10
check "$counts
in one step: 200" counter spawn 1
