#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command `skep` on a living hive, on a dead one, on none, and on command lines that are wrong.
set -euo pipefail

: "${SKEP_BUILD:=build}"
skep=$SKEP_BUILD/bin/skep
name=cli-test-$$
holder= holders=
out=$(mktemp)
tidy_up() {
        for pid in $holder $holders; do kill -9 "$pid" 2>/dev/null || true; done
        rm -f "$out" "/dev/shm/skep.$name" "/dev/shm/skep.$name-hall" "/dev/shm/$name-hall-block"
}
trap tidy_up EXIT

fail() { echo "cli_test: $*"; echo "--- it printed:"; cat "$out"; exit 1; }
expect() { # expect CODE WORDS COMMAND...   stdout and stderr together
        local code=$1 words=$2 found=0
        shift 2
        "$@" >"$out" 2>&1 || found=$?
        [ "$found" = "$code" ] || fail "$* ended with $found instead of $code"
        [ -z "$words" ] || grep -q -e "$words" "$out" || fail "$* did not say '$words'"
}
json() { # json EXPRESSION-OVER-d COMMAND...
        local expression=$1
        shift
        "$@" >"$out" 2>&1 || fail "$* failed"
        python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$out" "$expression" ||
                fail "$*: not true: $expression"
}
hold() { # a process that holds a hive with the queues to-c and to-python
        "$SKEP_BUILD/examples/hive_exchange" "$name" &
        holder=$!
        disown
        for _ in $(seq 200); do
                "$skep" ls "$name" 2>/dev/null | grep -q to-python && return
                sleep 0.02
        done
        fail "no hive"
}

# usage
expect 0 "Usage: skep" "$skep" --help
expect 0 "Usage: skep verify" "$skep" verify --help
expect 0 "^skep [0-9]" "$skep" --version
expect 2 "Usage" "$skep"
expect 2 "no verb 'dance'" "$skep" dance
expect 2 "which hive" "$skep" verify
expect 2 "too many" "$skep" rm one two
expect 2 "json" "$skep" rm --json one
expect 2 "no slash" "$skep" verify a/b

# none
for verb in verify reap rm ls; do
        expect 1 "skep ls" "$skep" $verb "no-such-$$"
done

# living
hold
expect 0 "^$name  *1 " "$skep" ls
expect 0 "^to-python  *queue" "$skep" ls "$name"
expect 0 " 0 problems" "$skep" verify "$name"
expect 0 ": 0 dead members" "$skep" reap "$name"
json "[h for h in d if h['name'] == '$name'][0]['members'] == 1" "$skep" ls --json
json "d['members'] == 1 and d['queues'] == 2 and {o['name'] for o in d['objects'] if o['kind'] == 'queue'} == {'to-c', 'to-python'}" "$skep" ls "$name" --json
json "d['sound'] and d['checked'] > 0 and d['problems'] == 0" "$skep" verify --json "$name"
json "d['members'] == 0" "$skep" reap --json "$name"

# who holds what: a door that is held and waited for, an event that is set, a barrier that is broken, a lock whose owner died
expect 0 "OBJECT  *KIND  *VALUE  *HOLDER  *HELD  *WAITERS" "$skep" ls "$name"
hall=$name-hall
"$SKEP_BUILD/examples/holders" "$hall" &
holders=$!
disown
for _ in $(seq 200); do
        "$skep" ls "$hall" 2>/dev/null | grep -q "^door .* 1  *$" && break
        sleep 0.02
done
expect 0 "^door  *lock  *0  *$holders .* 1  *$" "$skep" ls "$hall"
expect 0 "^bell  *event  *1 " "$skep" ls "$hall"
expect 0 "^start  *barrier .* broken$" "$skep" ls "$hall"
expect 0 "^grave  *lock .* owner died$" "$skep" ls "$hall"
json "[o for o in d['objects'] if o['name'] == 'door'][0]['owner_pid'] == $holders" "$skep" ls --json "$hall"
json "[o for o in d['objects'] if o['name'] == 'door'][0]['waiters'] == 1" "$skep" ls --json "$hall"
json "[o for o in d['objects'] if o['name'] == 'door'][0]['held_ns'] > 0" "$skep" ls --json "$hall"
json "[o for o in d['objects'] if o['name'] == 'start'][0]['broken']" "$skep" ls --json "$hall"
json "[o for o in d['objects'] if o['name'] == 'grave'][0]['owner_died']" "$skep" ls --json "$hall"

# the name of a block that its program leaves when it is killed is removed, but not before
block=/dev/shm/$hall-block
[ -e "$block" ] || fail "no block"
expect 0 "names of shared memory removed" "$skep" reap
[ -e "$block" ] || fail "the name of a block in use was removed"
kill -9 "$holders"
holders=
for _ in $(seq 200); do # its child dies with it, a little later
        expect 0 "^[0-9]* names of shared memory removed" "$skep" reap
        [ -e "$block" ] || break
        sleep 0.02
done
[ ! -e "$block" ] || fail "a name that nobody uses stayed"
json "d['shared_memory_names'] >= 0" "$skep" reap --json
expect 2 "without a NAME" "$skep" reap --left "$hall"

# removed while it lives
expect 0 "" "$skep" rm "$name"
expect 1 "skep ls" "$skep" rm "$name"
kill -9 "$holder"

# dead: the list removes what is left
hold
kill -9 "$holder"
while kill -0 "$holder" 2>/dev/null; do sleep 0.01; done
holder=
"$skep" ls >"$out"
if grep -q "^$name " "$out"; then fail "a hive without members is still listed"; fi
[ ! -e "/dev/shm/skep.$name" ] || fail "a file without members is still there"

# no hive at all
head -c 8192 /dev/zero >"/dev/shm/skep.$name"
expect 1 "$name: " "$skep" verify "$name"
rm -f "/dev/shm/skep.$name"
echo "cli_test: ok"
