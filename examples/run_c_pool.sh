#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run the pool examples in C as tests: what they print is checked.
# ctest: timeout=200
set -euo pipefail

: "${SKEP_BUILD:=build}"
examples=$SKEP_BUILD/examples

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

primes=$(for way in "one process" "processes and a queue" map map_async; do echo "$way: 78498"; done)
table=$(for made in "born in shared memory" "as argument"; do echo "$made: sums equal: true"; done)
for start in fork spawn; do
        check "primes $start" "$primes" "$examples/primes" 1000000 "$start"
        check "shared_matrix $start" "1000 rows, each by one worker: true" "$examples/shared_matrix" 1000 "$start"
        check "table $start" "$table" "$examples/table" 200000 "$start"
done
