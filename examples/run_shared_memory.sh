#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Blocks by name, rings of images, lists and mappings: in C, in Python, between them, and between skep and the standard library.
# ctest: timeout=240
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PYTHONPATH=$SKEP_BUILD/python

left_over() { find /dev/shm -maxdepth 1 \( -name 'skep*' -o -name 'psm_*' \) 2>/dev/null | sort; }

check() { # check NAME EXPECTED COMMAND...
        local name=$1 expected=$2 found
        shift 2
        found=$(timeout 100 "$@") || { echo "$name: failed with $?; it printed:"; echo "$found"; exit 1; }
        if [ "$found" != "$expected" ]; then
                echo "$name: printed"; echo "$found"; echo "instead of"; echo "$expected"
                exit 1
        fi
        echo "$name: ok"
}

before=$(left_over)
c_frames=$(for i in 0 1 2 3 4 5 6 7 8 9; do echo "50331648 bytes of $i.0"; done)
frames=$(for i in 0 1 2 3 4 5 6 7 8 9; do echo "(1, 3, 2048, 2048) $i.0"; done)
images=$'100 of 100 images one at a time\n400 of 400 images through a ring of 100'
c_list=$' "howdy" b"HoWdY" -273.154 100 none true 42\nEMSGSIZE\n "howdy" b"HoWdY" -273.154 "text" none true 42
length 7, 42 at 6, b"HoWdY" 1 times\n 0 1 2 3 -999'
list="['str', 'bytes', 'float', 'int', 'NoneType', 'bool', 'int']
ValueError: bytes/str item exceeds available storage
['howdy', b'HoWdY', -78.5, 'text', None, True, 42] 7 6 1
[0, 1, 2, 3, -999]"
c_mapping=$(for i in 1 2; do printf '%s\n' "Hello Python!, 14 bytes, ! at 12" "Hello" "Hello  world!, 14 bytes, ! at 12"; done)
mapping="b'Hello Python!\\n'
b'Hello'
b'Hello  world!\\n'
b'Hello  world!'"

for start in fork spawn; do
        for name in shared_frames:c_frames image_ring:images shareable_list:c_list mapping:c_mapping; do
                expected=${name#*:} name=${name%:*}
                check "C $name $start" "${!expected}" "$SKEP_BUILD/examples/$name" "$start"
        done
done
check "image_ring" "$images" "$PYTHON" "$here/python/image_ring.py"
check "shareable_list" "$list" "$PYTHON" "$here/python/shareable_list.py"
check "shared_memory_manager" $'1999000\ngone' "$PYTHON" "$here/python/shared_memory_manager.py"
check "mapping" "$mapping" "$PYTHON" "$here/python/mapping.py"
check "shared_frames" "$frames" "$PYTHON" "$here/python/shared_frames.py"
for side in maker reader; do # the standard library's tracker says a word about what others unlink
        sed "s/^from skep\( .* as $side\)\$/from multiprocessing\1/" "$here/python/shared_frames.py" >"$folder/$side.py"
        grep -q "^from multiprocessing" "$folder/$side.py"
        check "shared_frames, $side of the standard library" "$frames" "$PYTHON" -W ignore "$folder/$side.py"
done
check "Python to C" $'4000 bytes of 7.0\n "a" 1 none' "$PYTHON" - "$SKEP_BUILD/examples" <<'END'
import struct
import subprocess
import sys
from skep.shared_memory import SharedMemory, ShareableList
block = SharedMemory(create=True, size=4000)
block.buf[:] = struct.pack('f', 7) * 1000
values = ShareableList(['a', 1, None])
subprocess.run([f'{sys.argv[1]}/shared_frames', 'read', block.name], check=True)
subprocess.run([f'{sys.argv[1]}/shareable_list', 'print', values.shm.name], check=True)
block.close()
block.unlink()
END
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
