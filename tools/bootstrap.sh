#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Install what the build needs and this machine lacks: tools/packages.txt, and with --all also what `make check-all` wants:
# clang, spin, and, where apt knows them, a compiler and an emulator for arm64 and what packages.txt calls optional.
# Prints nothing and changes nothing if all is there. On a system without dpkg it only checks for the programs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if ! command -v dpkg-query >/dev/null 2>&1; then
        for program in cc make cmake ninja pkg-config python3; do
                command -v "$program" >/dev/null 2>&1 || echo "bootstrap: please install $program (see tools/packages.txt)" >&2
        done
        exit 0
fi

mapfile -t wanted < <(sed -e '/# optional/d' -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$here/packages.txt")

# missing NAME...: those that are not installed. A package counts as there, too, if another one provides its name.
missing() {
        dpkg-query -W -f='${db:Status-Status} ${Package}\n${db:Status-Status} ${Provides}\n' 2>/dev/null |
        awk -v names="$*" '
                $1 == "installed" {
                        for (i = 2; i <= NF; i++) { name = $i; sub(/[:,].*/, "", name); there[name] = 1 }
                }
                END { count = split(names, list, " "); for (i = 1; i <= count; i++) if (!(list[i] in there)) print list[i] }'
}

# pick NAME...: the first that is installed, else the first that apt knows.
pick() {
        local name
        for name in "$@"; do
                [ -n "$(missing "$name")" ] || { echo "$name"; return; }
        done
        for name in "$@"; do
                if apt-cache show "$name" >/dev/null 2>&1; then echo "$name"; return; fi
        done
}

mapfile -t optional < <(sed -n -e 's/[[:space:]]*# optional.*//p' "$here/packages.txt")
mapfile -t needed < <(missing "${wanted[@]}")
if [ "${1:-}" = --all ]; then
        # Debian 12 has the fuzzer's run-time library in a package of its own; elsewhere versions differ.
        for choice in "clang-14 clang" "libclang-rt-14-dev libclang-rt-dev" "spin"; do
                # shellcheck disable=SC2086
                name=$(pick $choice)
                [ -z "$name" ] || [ -z "$(missing "$name")" ] || needed+=("$name")
        done
        for name in gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user "${optional[@]}"; do
                if [ -n "$(missing "$name")" ] && apt-cache show "$name" >/dev/null 2>&1; then needed+=("$name"); fi
        done
fi
[ "${#needed[@]}" -gt 0 ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || { echo "bootstrap: please install as root: ${needed[*]}" >&2; exit 1; }
        sudo=sudo
fi
echo "bootstrap: installing ${needed[*]}"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${needed[@]}" </dev/null
