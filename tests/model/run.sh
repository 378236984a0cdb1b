#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Let spin look at every state of the models: each must hold, and each must fail when one of the things is taken away that
# its head says it rests on.
set -euo pipefail
cd "$(dirname "$0")"
command -v spin >/dev/null || { echo "models: no spin here (Debian package spin)"; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

errors() { # errors MODEL [DEFINE]: what the checker says
        cp "$1.pml" "$folder/model.pml"
        (cd "$folder" && spin ${2:+-D"$2"} -a model.pml >spin.txt && ${CC:-cc} -O2 -DSAFETY -DCOLLAPSE -w -o pan pan.c &&
                ./pan -m2000000 -n >pan.txt)
        grep -q "max search depth too small" "$folder/pan.txt" && { echo "models: $1: search depth" >&2; exit 1; }
        sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$folder/pan.txt"
}

bad=0
for model in *.pml; do
        name=${model%.pml}
        found=$(errors "$name")
        states=$(sed -n 's/^ *\([0-9e.+]*\) states, stored.*/\1/p' "$folder/pan.txt")
        echo "$name: $states states, $found errors"
        [ "$found" = 0 ] || { bad=1; grep -m 3 -e assertion -e "invalid end" "$folder/pan.txt"; }
        for define in $(sed -n 's/.*-D\([A-Z_]*\).*-D\([A-Z_]*\).*/\1 \2/p; t; s/.*-D\([A-Z_]*\).*/\1/p' "$model"); do
                found=$(errors "$name" "$define")
                echo "$name without, $define: $found errors"
                [ "$found" != 0 ] || { bad=1; echo "it should have failed"; }
        done
done
exit $bad
