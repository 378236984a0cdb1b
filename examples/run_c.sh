#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run the C examples as tests: what they print is checked, and that they leave nothing in /dev/shm.
# ctest: timeout=120
set -euo pipefail

: "${SKEP_BUILD:=build}"
examples=$SKEP_BUILD/examples

left_over() { find /dev/shm -maxdepth 1 -name 'skep.*' 2>/dev/null | sort; }

check() { # check NAME EXPECTED COMMAND...
        local name=$1 expected=$2 found
        shift 2
        found=$(timeout 50 "$@") || { echo "$name: failed with $?; it printed:"; echo "$found"; exit 1; }
        if [ "$found" != "$expected" ]; then
                echo "$name: printed"; echo "$found"; echo "instead of"; echo "$expected"
                exit 1
        fi
        echo "$name: ok"
}

before=$(left_over)
frames=$(for i in 0 1 2 3 4 5 6 7 8 9; do echo "(1, 3, 2048, 2048) $i.0"; done)
queue=$(for who in child parent; do echo "$who got 42"; echo "$who got 0 bytes"; echo "$who got hello"; done)
counter=$(echo "no lock: 0 rounds above 200"; for way in "a lock" "the value's lock" atomic; do echo "$way: 0 rounds above 200, 10 exact"; done)
for start in fork spawn; do
        check "managed $start" "{1: '1', '2': 2, 0.25: None}
[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
{'the': 240, 'bee': 80, 'hive': 80, 'honey': 80}" "$examples/managed" "$start"
        check "counter $start" "$counter" "$examples/counter" "$start"
        check "image_event $start" "1000 images, 1000 sound and in order" "$examples/image_event" "$start"
        check "frames $start" "$frames" "$examples/frames" "$start"
        check "queue_basic $start" "$queue" "$examples/queue_basic" "$start"
done
# Others may be at work at the same time: what they make goes again, what we left stays.
left=$(comm -13 <(echo "$before") <(left_over))
for _ in $(seq 50); do
        [ -n "$left" ] || break
        sleep 0.2
        left=$(comm -12 <(echo "$left") <(left_over))
done
if [ -n "$left" ]; then
        echo "left in /dev/shm:"; echo "$left"
        exit 1
fi
