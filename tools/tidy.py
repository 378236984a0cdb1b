#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that a compiler does not check. A test like any other.

tidy.py             print each breach as FILE:LINE: text; exit 1 if there is one
tidy.py --arrows    print which room includes which
tidy.py --root DIR  look at another tree
"""
import argparse
import re
import sys
from pathlib import Path

FLOORS = {
    "base": 0, "os": 1, "hive": 2, "member": 3, "sync": 4, "heap": 5, "ring": 5, "net": 5, "claim": 6,
    "array": 7, "object": 7, "memory": 7, "queue": 8, "item": 8, "value": 8, "trace": 8,
    "channel": 9, "dict": 9, "list": 9, "process": 10, "pool": 11, "manager": 11,
}
TOP_FLOOR = 12  # src/*.c: beginning and end of the library
COLUMNS_MAX = 160
ATOMICS = re.compile(r"__atomic_|__sync_|\b_Atomic\b|\bstdatomic\.h\b")
SYSTEM_CALLS = re.compile(r"(sys/(?!types\.h|cdefs\.h|param\.h)\w+\.h|linux/.*|asm/.*|fcntl\.h|unistd\.h|signal\.h|poll\.h|sched\.h|spawn\.h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
LEFT_OUT = {".git", "__pycache__"}


def code_only(text):
    """The text with comments blanked; line numbers stay."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: re.sub(r"[^\n]", " ", match.group()), text, flags=re.S)


def floor_of(path):
    """Floor and room of a path relative to src/."""
    return (TOP_FLOOR, "skep") if len(path.parts) == 1 else (FLOORS.get(path.parts[0]), path.parts[0])


class Tidy:
    def __init__(self, root):
        self.root = root
        self.breaches = []
        self.arrows = {}

    def complain(self, path, line, text):
        self.breaches.append(f"{path.relative_to(self.root)}:{line}: {text}")

    def files(self, folder, *suffixes):
        for path in sorted((self.root / folder).rglob("*")):
            if path.suffix in suffixes and not LEFT_OUT & set(path.parts) and not path.is_symlink():
                yield path

    def includes(self, text):
        for match in INCLUDE.finditer(text):
            yield text.count("\n", 0, match.start(2)) + 1, match.group(1), match.group(2)

    def check_text(self):
        for folder in ("include", "src", "cli", "python", "tests", "bench", "examples", "tools"):
            for path in self.files(folder, ".c", ".h", ".py", ".sh"):
                for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                    if len(line) > COLUMNS_MAX:
                        self.complain(path, number, f"{len(line)} columns, at most {COLUMNS_MAX}")
                    if line != line.rstrip():
                        self.complain(path, number, "white space at the end of the line")

    def check_core(self):
        for path in self.files("src", ".c", ".h"):
            text = path.read_text(encoding="utf-8")
            if "SPDX-License-Identifier:" not in text[:300]:
                self.complain(path, 1, "no SPDX-License-Identifier line")
            if path.name.endswith("_test.c"):
                continue
            relative = path.relative_to(self.root / "src")
            floor, room = floor_of(relative)
            if floor is None:
                self.complain(path, 1, f"room {room} has no floor in tools/tidy.py")
                continue
            self.check_arrows(path, floor, room, text)
            if relative.as_posix() != "base/atomic.h":
                for match in ATOMICS.finditer(code_only(text)):
                    self.complain(path, text.count("\n", 0, match.start()) + 1, f"{match.group()}: atomics only through base/atomic.h")

    def check_arrows(self, path, floor, room, text):
        for number, kind, name in self.includes(code_only(text)):
            if kind == "<":
                if room != "os" and SYSTEM_CALLS.match(name):
                    self.complain(path, number, f"<{name}>: system calls only in src/os/")
                continue
            target = self.root / "src" / name
            if not target.exists():
                self.complain(path, number, f'"{name}": write the path from src/, as in "ring/ring.h"')
                continue
            target_floor, target_room = floor_of(Path(name))
            self.arrows.setdefault(room, set()).add(target_room)
            if target_room != room and (target_floor is None or target_floor >= floor):
                arrow = f"{room} (floor {floor}) -> {target_room} (floor {target_floor})"
                self.complain(path, number, f'"{name}": {arrow} does not point downwards')

    def check_outside(self):
        for folder in ("cli", "python/ext"):
            for path in self.files(folder, ".c", ".h"):
                for number, kind, name in self.includes(code_only(path.read_text(encoding="utf-8"))):
                    if kind == '"' and not (path.parent / name).exists() and not (self.root / folder / name).exists():
                        self.complain(path, number, f'"{name}": {folder}/ sees the library through <skep/...> only')
                    elif kind == '"' and not (path.parent / name).resolve().is_relative_to(self.root / folder):
                        self.complain(path, number, f'"{name}": leaves {folder}/')
                    elif kind == "<" and name.startswith("skep/") and not (self.root / "include" / name).exists():
                        self.complain(path, number, f"<{name}> is no public header")

    def check_lists(self):
        headers = self.root / "include/skep"
        front = headers / "skep.h"
        if front.exists():
            named = {name for path in headers.glob("*.h") for _, _, name in self.includes(path.read_text(encoding="utf-8"))}
            direct = {name for _, _, name in self.includes(front.read_text(encoding="utf-8"))}
            for path in sorted(headers.glob("*.h")):
                name = f"skep/{path.name}"
                if path != front and name not in (named if path.name == "attr.h" else direct):
                    self.complain(path, 1, "not included by skep.h")
        listed = self.root / "src/sources.txt"
        lines = listed.read_text(encoding="utf-8").split("\n") if listed.exists() else []
        names = [line.split("#")[0].strip() for line in lines]
        for number, name in enumerate(names, 1):
            if name and not (self.root / name).exists():
                self.complain(listed, number, f"{name} does not exist")
            if name and name in names[:number - 1]:
                self.complain(listed, number, f"{name} is listed twice")
        for path in self.files("src", ".c"):
            name = path.relative_to(self.root).as_posix()
            if not name.endswith("_test.c") and name not in names:
                self.complain(path, 1, "not in src/sources.txt")

    def run(self):
        self.check_text()
        self.check_core()
        self.check_outside()
        self.check_lists()
        return self.breaches

    def picture(self):
        floors = {**FLOORS, "skep": TOP_FLOOR}
        lines = []
        for room in sorted(self.arrows, key=lambda room: (-floors.get(room, -1), room)):
            below = sorted(self.arrows[room] - {room}, key=lambda name: (-floors.get(name, -1), name))
            lines.append(f"{floors.get(room, '?'):>3}  {room + ('.c' if room == 'skep' else '/'):<10} {'-> ' + ' '.join(below) if below else ''}".rstrip())
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arrows", action="store_true")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    options = parser.parse_args()
    tidy = Tidy(options.root.resolve())
    breaches = tidy.run()
    if options.arrows:
        print(tidy.picture())
    print("\n".join(breaches) or "tidy")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
