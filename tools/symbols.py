#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The exported symbols: headers, version script and library say the same.

symbols.py                    compare include/skep/*.h with src/libskep.sym
symbols.py --library FILE     and with what the shared library exports
symbols.py --tests FILE...    and with what these test programs call: each function is called by one at least
symbols.py --update           write src/libskep.sym anew (one node, before the first release)
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYM = ROOT / "src/libskep.sym"
NODE = "SKEP_0.1"


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def declared():
    """Names of the functions that the headers mark SKEP_API."""
    names = set()
    for header in sorted((ROOT / "include/skep").glob("*.h")):
        text = without_comments(header.read_text())
        text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
        for declaration in re.findall(r"\bSKEP_API\b([^;]*);", text):
            found = re.search(r"\b(skep_\w+)\s*(?:\(|\[|$)", declaration)
            if found:
                names.add(found.group(1))
    return names


def listed():
    return set(re.findall(r"\b(skep_\w+)\s*;", without_comments(SYM.read_text())))


def exported(library):
    text = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1].split("@")[0] for line in text.splitlines() if line.split()[-2] != "A"}
    # Sanitizers and the linker add symbols of their own.
    return {name for name in names if not name.startswith(("__", "_init", "_fini", "_edata", "_end", "_bss", "asan", "tsan"))}


def called(programs):
    text = subprocess.run(["nm", "-D", "--undefined-only", *programs], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in text.splitlines() if line.split()[:1] == ["U"]}


def difference(have, want, have_name, want_name):
    lines = [f"{name}: in {want_name}, not in {have_name}" for name in sorted(want - have)]
    return lines + [f"{name}: in {have_name}, not in {want_name}" for name in sorted(have - want)]


def script(names):
    lines = "\n".join(f"        {name};" for name in sorted(names))
    head = "/* What libskep.so exports. One node per release; tools/symbols.py --update writes the newest. */"
    return f"{head}\n{NODE} {{\nglobal:\n{lines}\nlocal:\n        *;\n}};\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library")
    parser.add_argument("--tests", nargs="+", default=[])
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    if options.update:
        SYM.write_text(script(declared()))
        return 0
    problems = difference(listed(), declared(), "src/libskep.sym (run tools/symbols.py --update)", "include/skep/*.h")
    if options.library:
        problems += difference(exported(options.library), listed(), "the library", "src/libskep.sym")
    if options.tests:
        problems += [f"{name}: called by no program of tests/api/" for name in sorted(listed() - called(options.tests))]
    print("\n".join(problems) or f"{len(listed())} symbols agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
