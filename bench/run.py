#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run all benchmarks, print one table beside the targets, write $SKEP_BUILD/bench.json.

run.py [PART ...]   only programs whose name contains one of the parts, for example: run.py lock python

A target that is missed does not make the run fail: figures belong to the machine they were taken on.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("SKEP_BUILD", "build")).resolve()
SECONDS_MAX = 120  # of one program
C_PROGRAMS = ["queue", "array", "heap", "lock", "sync", "value", "dict", "hive", "pool", "remote"]
PYTHON_PROGRAMS = ["python_queue", "python_pipe", "python_array", "python_list", "python_containers", "python_sync", "python_start", "python_pool",
                   "python_table", "python_manager"]

# (name, words of the parameters, kind, figure, peer): how the figures are judged.
#   max, min      skep's median is at most / at least the figure
#   times         skep's median is at most `figure` times the peer's
#   share         skep's median is at least `figure` times the peer's
#   faster        the peer's median is at least `figure` times skep's
#   more          skep's median is at most `figure` more than the peer's
TARGETS = [
    ("array put -> first element", "4 KiB", "max", 500, "bare SPSC ring"),
    ("array put -> first element", "48 MiB", "max", 500, "bare SPSC ring"),
    ("array put -> first element", "1 GiB", "max", 500, "bare SPSC ring"),
    ("messages 1->1", "one by one", "min", 25, "pipe"),
    ("messages 1->1", "one by one", "min", 25, "bare SPSC ring"),
    ("messages 1->1 many", "runs of 64", "min", 60, "bare SPSC ring"),
    ("messages 2->2", "one by one", "min", 25, "pipe"),
    ("messages 2->2 many", "runs of 64", "min", 60, None),
    ("put + get uncontended", "", "max", 40, "pipe"),
    ("round trip awake", "", "max", 200, None),
    ("round trip adaptive", "", "max", 1000, None),
    ("round trip blocking", "", "times", 1.15, "bare futex"),
    ("idle CPU use", "one second", "max", 10, None),
    ("idle CPU use", "500 messages", "max", 10, None),
    ("alloc + free", "256 B", "max", 40, "malloc"),
    ("alloc + free", "4 KiB", "max", 60, "malloc"),
    ("alloc + free", "1 MiB", "max", 150, "malloc"),
    ("lock + unlock uncontended", "", "times", 1.0, "robust shared pthread mutex"),
    ("semaphore uncontended", "", "times", 1.0, "shared sem_t"),
    ("lock contended", "", "share", 1.0, "shared pthread mutex"),
    ("lock contended, longest wait", "", "times", 10, "shared pthread mutex"),
    ("event there and back", "", "times", 1.15, "bare futex"),
    ("condition there and back", "", "times", 1.15, "bare futex"),
    ("barrier of 2", "", "times", 1.3, "two futex wake-ups"),
    ("fetch_add", "", "times", 1.0, "bare atomic"),
    ("remote dict get", "TLS", "times", 1.3, "bare TLS echo"),
    ("remote dict get", "pipelined", "min", 100, None),
    ("remote puts, pipelined", "", "min", 100, None),
    ("remote put of an array", "48 MiB", "share", 0.7, "bare TLS"),
    ("dict get", "", "max", 120, "LMDB"),
    ("dict set", "", "max", 300, "LMDB, a transaction each"),
    ("dict get beside a writer", "", "share", 0.7, "undisturbed"),
    ("attach", "", "max", 100, "bare mmap"),
    ("fork", "1000 arrays", "more", 1000, "plain fork"),
    ("pool primes", "2000 tasks", "faster", 1.95, "one process"),
    ("pool primes", "2000 tasks", "times", 1.0, "OpenMP dynamic"),
    ("pool primes", "a task each", "times", 1.0, "OpenMP dynamic"),
    ("pool no-op tasks", "", "min", 2, "OpenMP dynamic"),
    ("pool submit and result", "one after the other", "times", 1.5, "pipes"),
    ("pool submit and result", "idle pool", "times", 1.5, "pipes"),
    ("Python array put -> first element", "awake", "max", 5, None),
    ("Python array put -> first element", "asleep", "times", 1.5, "bare futex wake-up"),
    ("Python array put -> first element", "asleep", "faster", 3000, "multiprocessing.Queue"),
    ("Python array put -> first element", "asleep", "faster", 6, "SharedMemory + Queue"),
    ("Python ordinary array put -> first element", "", "times", 1.3, "warm memcpy"),
    ("Python chain", "", "times", 1.3, "one process, warm"),
    ("Python chain", "", "faster", 1, "SharedMemory + Queue"),
    ("Python messages 1->1", "one by one", "min", 2.5, "multiprocessing.Queue"),
    ("Python messages 1->1", "one by one", "min", 2.5, "multiprocessing.Pipe"),
    ("Python messages 1->1 many", "", "min", 6, None),
    ("Python tuples 1->1", "", "share", 5, "multiprocessing.Queue"),
    ("Python messages 2->2", "", "share", 5, "multiprocessing.Queue"),
    ("Python round trip", "", "max", 6, "multiprocessing.Queue"),
    ("Python round trip", "", "max", 6, "multiprocessing.Pipe"),
    ("Python Pool.map of no-ops", "chunksize 1", "share", 5, "multiprocessing.Pool"),
    ("Python Pool.map of no-ops", "default", "share", 1, "multiprocessing.Pool"),
    ("Python apply_async and get", "", "share", 5, "multiprocessing.Pool"),
    ("Python executor submit and result", "", "share", 10, "concurrent.futures"),
    ("Python Pool.apply", "idle", "times", 0.4, "multiprocessing.Pool"),
    ("Python array there and back", "ordinary", "faster", 20, "multiprocessing.Pool"),
    ("Python array there and back", "born", "faster", 1000, "multiprocessing.Pool"),
    ("Python table to 2 workers", "argument", "faster", 1, "SharedMemoryManager by hand"),
    ("Python table to 2 workers", "born", "faster", 3, "SharedMemoryManager by hand"),
    ("Python primes to 200000", "", "faster", 1.95, "one process"),
    ("Python pool start and end", "fork", "times", 1, "multiprocessing.Pool"),
    ("Python pool start and end", "spawn", "times", 1, "multiprocessing.Pool"),
    ("Python ShareableList get", "", "faster", 5, "multiprocessing.ShareableList"),
    ("Python ShareableList set", "", "faster", 5, "multiprocessing.ShareableList"),
    ("Python dict get", "", "faster", 50, "multiprocessing.Manager"),
    ("Python dict set", "", "faster", 50, "multiprocessing.Manager"),
    ("Python list append", "", "faster", 50, "multiprocessing.Manager"),
    ("Python list get", "", "faster", 50, "multiprocessing.Manager"),
    ("Python list set", "", "faster", 50, "multiprocessing.Manager"),
    ("Python pipe round trip", "awake", "faster", 5, "multiprocessing.Pipe"),
    ("Python pipe round trip", "asleep", "times", 0.7, "multiprocessing.Pipe"),
    ("Python pipe there, short reply", "1 MiB bytes", "faster", 3, "multiprocessing.Pipe"),
    ("Python pipe there, short reply", "48 MiB", "faster", 1000, "multiprocessing.Pipe"),
    ("Python with Lock", "", "times", 0.5, "multiprocessing.Lock"),
    ("Python with RLock", "", "times", 0.5, "multiprocessing.RLock"),
    ("Python with Semaphore", "", "times", 0.5, "multiprocessing.Semaphore"),
    ("Python value.add", "", "faster", 10, "multiprocessing get_lock"),
    ("Python array from a list", "", "faster", 5, "multiprocessing.RawArray"),
    ("Python array from a list", "", "faster", 1, "array.array"),
    ("Python event ping-pong", "", "times", 1.15, "bare futex"),
    ("Python condition ping-pong", "", "times", 1.15, "bare futex"),
    ("Python import", "", "times", 1.3, "multiprocessing"),
    ("Python process start + join", "fork", "times", 1.0, "multiprocessing"),
    ("Python process start + join", "spawn", "times", 1.0, "multiprocessing"),
    ("Python manager call", "on this machine", "share", 2, "multiprocessing.managers"),
    ("Python manager call", "TCP", "share", 2, "multiprocessing.managers"),
    ("Python Manager()", "dict get", "share", 50, "multiprocessing.Manager"),
    ("Python Manager()", "dict set", "share", 50, "multiprocessing.Manager"),
    ("Python Manager()", "list append", "share", 50, "multiprocessing.Manager"),
    ("Python Manager()", "Value get", "share", 50, "multiprocessing.Manager"),
    ("Python Manager()", "Queue put + get", "share", 20, "multiprocessing.Manager"),
    ("Python Manager()", "with Lock", "share", 20, "multiprocessing.Manager"),
    ("Python program put -> read", "only the import changed", "faster", 20, "multiprocessing"),
    ("Python program put -> read", "with the allocator", "faster", 1000, "multiprocessing"),
]


def command(program):
    if program in PYTHON_PROGRAMS:
        return [sys.executable, str(HERE / f"{program}.py")]
    return [str(BUILD / "bench" / program)]


def run(program):
    """The rows that a program printed, also if it failed later."""
    environment = dict(os.environ, PYTHONPATH=str(BUILD / "python"), PYTHONDONTWRITEBYTECODE="1")
    try:
        done = subprocess.run(command(program), env=environment, stdout=subprocess.PIPE, text=True, timeout=SECONDS_MAX)
        output, failed = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output, failed = (late.stdout or b"").decode(), f"it took more than {SECONDS_MAX} s"
    except OSError as error:
        output, failed = "", error.strerror
    if failed:
        print(f"bench: {program} failed: {failed}", file=sys.stderr)
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], not failed


def find(rows, name, words, peer):
    return next((row for row in rows if row["name"] == name and words in row["parameters"] and row["peer"] == peer), None)


def judge(kind, figure, ours, theirs):
    """Whether the target is reached; None if the peer is missing."""
    if kind in ("max", "min"):
        return ours <= figure if kind == "max" else ours >= figure
    if theirs is None:
        return None
    return {"times": ours <= figure * theirs, "share": ours >= figure * theirs,
            "faster": theirs >= figure * ours, "more": ours <= theirs + figure}[kind]


def target_text(kind, figure, unit):
    return {"max": f"<= {figure:g} {unit}", "min": f">= {figure:g} {unit}", "times": f"<= {figure:g} x peer", "share": f">= {figure:g} x peer",
            "faster": f"{figure:g} x faster", "more": f"<= {figure:g} {unit} more"}[kind]


def table_line(rows, name, words, kind, figure, peer):
    ours = find(rows, name, words, "skep")
    if not ours:  # its program was left out or failed, or the names do not agree
        return [f"{name}, {words}".rstrip(", "), "no such row", peer or "-", "-", "-", target_text(kind, figure, ""), "?"]
    theirs = find(rows, name, words, peer)["median"] if peer and find(rows, name, words, peer) else None
    reached = judge(kind, figure, ours["median"], theirs)
    what = name + (f", {ours['parameters'].split(', pinned')[0].split(', not pinned')[0]}")
    return [what, f"{ours['median']:g} {ours['unit']}", peer or "-", f"{theirs:g}" if theirs is not None else "-",
            f"{ours['median'] / theirs:.3g}" if theirs else "-", target_text(kind, figure, ours["unit"]), {True: "yes", False: "no", None: "?"}[reached]]


def print_table(rows, only_found):
    lines = [["what", "skep", "peer", "peer's", "skep/peer", "target", "reached"]]
    lines += [table_line(rows, *target) for target in TARGETS if not only_found or find(rows, *target[:2], "skep")]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def main():
    wanted = sys.argv[1:]
    programs = [program for program in C_PROGRAMS + PYTHON_PROGRAMS if not wanted or any(part in program for part in wanted)]
    rows, ok = [], bool(programs)
    for program in programs:
        print(f"bench: {program} ...", file=sys.stderr, flush=True)
        found, fine = run(program)
        rows += found
        ok &= fine
    print_table(rows, only_found=bool(wanted))
    (BUILD / "bench.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} rows in {BUILD / 'bench.json'}; {os.cpu_count()} cores, medians of interleaved rounds")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
