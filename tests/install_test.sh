#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs to an empty folder and uses the library from there as a stranger would: by pkg-config, by find_package, and the command.
set -eu
build=${SKEP_BUILD:?folder of the build}
cc=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
step() { echo "-- $*"; }

step install
cmake --install "$build" --prefix "$prefix" >"$work/log"
pc=$(find "$prefix" -name skep.pc)
libdir=$(dirname "$(dirname "$pc")")

cat >"$work/hello.c" <<'C'
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
        if (strcmp(skep_error_name(0), "") == 0 || skep_within_ns(1).monotonic_ns == 0)
                return 1;
        puts("skep " SKEP_VERSION);
        return 0;
}
C
cat >"$work/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.25)
project(hello LANGUAGES C)
find_package(skep 0.1 REQUIRED)
add_executable(hello hello.c)
target_link_libraries(hello PRIVATE skep::skep)
C

step "each header alone, in C and, if there is a compiler, in C++"
for header in "$prefix"/include/skep/*.h; do
        name=skep/$(basename "$header")
        echo "#include <$name>" | "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only -x c -
        if command -v c++ >/dev/null 2>&1; then
                echo "#include <$name>" | c++ -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only -x c++ -
        fi
done

step pkg-config
export PKG_CONFIG_PATH=$libdir/pkgconfig
# shellcheck disable=SC2046
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror "$work/hello.c" -o "$work/hello" $(pkg-config --cflags --libs skep)
LD_LIBRARY_PATH=$libdir "$work/hello"

step find_package
cmake -S "$work" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" >>"$work/log"
cmake --build "$work/cmake" >>"$work/log"
"$work/cmake/hello"

step shared object
readelf -d "$libdir/libskep.so" | grep -q 'SONAME.*libskep\.so\.0\]'

if [ -x "$prefix/bin/skep" ]; then
        step command
        "$prefix/bin/skep" --help >/dev/null
fi
step done
