#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run the pool examples in Python as tests, with small sizes: what they print is checked.
# ctest: timeout=200
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH=$SKEP_BUILD/python

check() { # check NAME EXPECTED COMMAND...
        local name=$1 expected=$2 found
        shift 2
        found=$(timeout 60 "$@" 2>/dev/null) || { echo "$name: failed with $?; it printed:"; echo "$found"; exit 1; }
        if [ "$found" != "$expected" ]; then
                echo "$name: printed"; echo "$found"; echo "instead of"; echo "$expected"
                exit 1
        fi
        echo "$name: ok"
}

primes=$(for way in "one process" "processes and a queue" Pool.map map_async; do echo "$way: 2262"; done)
table=$(for made in born_in_shared_memory ordinary; do echo "$made: sums equal: True, a copy in each worker: False"; done)
for start in fork spawn; do
        check "primes $start" "$primes" "$PYTHON" "$here/python/primes.py" 20000 "$start"
        check "shared_matrix $start" "50 rows, each by one worker: True" "$PYTHON" "$here/python/shared_matrix.py" 50 "$start"
        check "table $start" "$table" "$PYTHON" "$here/python/table.py" 500000 "$start"
done
