#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs that differ in their imports only, `multiprocessing` or `skep`, under each start method: they must print the same, and something.
# ctest: timeout=400
set -euo pipefail

: "${SKEP_BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PYTHONPATH=$SKEP_BUILD/python PYTHONDONTWRITEBYTECODE=1

imports() { # imports FROM TO FILE
        sed -E "s/^import $1 as mp\$/import $2 as mp/; s/^from $1( import|\.)/from $2\1/" "$3"
}
run() { # run FILE ARGUMENTS...   what it prints, without what only one of the two can do
        timeout 60 "$PYTHON" -W ignore "$@" 2>"$folder/errors" | { grep -v "^in one step: 200$" || true; } ||
                { echo "$*: failed with $?"; cat "$folder/errors"; exit 1; } >&2
}
same() { # same PROGRAM ARGUMENTS...
        local program=$1
        shift
        imports skep multiprocessing "$here/python/$program.py" >"$folder/$program.py"
        if grep -nE '^(import|from) skep' "$folder/$program.py"; then echo "$program still imports skep"; exit 1; fi
        run "$folder/$program.py" "$@" >"$folder/standard"
        run "$here/python/$program.py" "$@" >"$folder/skep"
        [ -s "$folder/standard" ] || { echo "$program $*: printed nothing"; exit 1; }
        diff "$folder/standard" "$folder/skep" || { echo "$program $*: multiprocessing (<) and skep (>) differ"; exit 1; }
        echo "$program $*: the same"
}

for start in fork spawn forkserver; do
        same frames_unmodified $start
        same primes 20000 $start
        same shared_matrix 50 $start
        same counter $start 1
        same values $start
        same queue_basic $start
        same pipes $start
        same images $start 50
        same image_ring $start
        same shareable_list $start
        same shared_memory_manager $start
        same table_by_hand 100000 $start
done
same shared_frames spawn # by fork the standard library's trackers, one for each child, unlink what the other still uses
same mapping
