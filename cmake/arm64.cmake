# SPDX-License-Identifier: Apache-2.0
# Cross-compiling for 64-bit ARM on Debian and Ubuntu: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross; tests run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
if(NOT DEFINED ENV{PKG_CONFIG_LIBDIR}) # not this machine's libraries; with `dpkg --add-architecture arm64` and check:arm64 the unit tests are built too
        set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig)
endif()
# The test preset leaves out process_test, whose programs the kernel would have to start, and step_test: qemu-user has no ptrace.
find_program(qemu NAMES qemu-aarch64)
if(qemu)
        set(CMAKE_CROSSCOMPILING_EMULATOR "${qemu};-L;/usr/aarch64-linux-gnu")
endif()
