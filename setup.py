# SPDX-License-Identifier: Apache-2.0
"""Builds skep._core: the extension's own files and, within it, the whole of libskep (src/sources.txt)."""
import re
import subprocess
import sys
from pathlib import Path
from shutil import which

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).resolve().parent


def library_sources():
    lines = (ROOT / "src/sources.txt").read_text().splitlines()
    names = (line.split("#")[0].strip() for line in lines)
    return list(dict.fromkeys(name for name in names if name))


def extension_sources():
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "python/ext").glob("*.c"))


def numpy_include():
    """For the allocator hook, which is left out where NumPy's headers are not at hand (pip's isolated builds)."""
    try:
        import numpy
    except ImportError:
        return []
    return [numpy.get_include()]


def network():
    """Macros and flags for connections and remote hives; none where a header is missing: these then raise NotImplementedError."""
    flags = {"macros": [], "cflags": [], "libs": []}
    for names, links in ((("libssl",), False), (("libuv",), True), (("msgpack-c", "msgpack"), False)):  # OpenSSL is loaded when first used
        for name in names:
            found = subprocess.run(["pkg-config", "--cflags", name], capture_output=True, text=True, check=False) if which("pkg-config") else None
            if found and found.returncode == 0:
                flags["cflags"] += found.stdout.split()
                if links:
                    flags["libs"] += subprocess.run(["pkg-config", "--libs", name], capture_output=True, text=True, check=True).stdout.split()
                break
        else:
            print(f"skep: pkg-config does not find {' or '.join(names)}: built without the network part", file=sys.stderr)
            return {"macros": [], "cflags": [], "libs": []}
    flags["macros"] = [("SKEP_NETWORK", None)]
    return flags


def version():
    return re.search(r'^#define SKEP_VERSION "([^"]+)"', (ROOT / "include/skep/skep.h").read_text(), re.M).group(1)


NETWORK = network()
setup(
    version=version(),
    options={"build": {"build_base": "build-python"}},  # build/ is CMake's
    package_dir={"": "python"},
    packages=find_packages("python", include=["skep", "skep.*"]),
    package_data={"skep": ["*.pyi", "managers/*.pyi", "py.typed"]},
    ext_modules=[
        Extension(
            "skep._core",
            sources=extension_sources() + library_sources(),
            depends=sorted(path.relative_to(ROOT).as_posix() for folder in ("src", "include", "python/ext") for path in (ROOT / folder).rglob("*.h")),
            include_dirs=["include", "src", *numpy_include()],
            define_macros=[("_GNU_SOURCE", None), *NETWORK["macros"]],
            extra_compile_args=["-std=gnu11", "-O2", "-fvisibility=hidden", "-pthread", *NETWORK["cflags"]],
            extra_link_args=["-pthread", "-Wl,--version-script=cmake/extension.sym", *NETWORK["libs"]],
        )
    ],
)
