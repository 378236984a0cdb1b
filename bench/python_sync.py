# SPDX-License-Identifier: Apache-2.0
"""Locks, values and events from Python: alone, and between two processes."""
import array
import ctypes
import multiprocessing
import time

import rounds
import skep

standard = multiprocessing.get_context("fork")
LIST = list(range(1000000))


def uncontended(lock, count=100000):
    """Nanoseconds for `with lock: pass`, the loop taken off."""
    start = time.monotonic_ns()
    for _ in range(count):
        pass
    empty = time.monotonic_ns() - start
    start = time.monotonic_ns()
    for _ in range(count):
        with lock:
            pass
    return (time.monotonic_ns() - start - empty) / count


def two_add(process, work, count):
    """Nanoseconds for one addition while two processes add; both have begun before the clock runs."""
    board = rounds.Board(2)
    go = rounds.mmap.mmap(-1, 8)

    def other():
        board.seen()
        while not go[0]:
            pass
        work(count)
        board.seen()

    with rounds.Child(process, other):
        board.wait_seen(1, 0.001)
        start = time.monotonic_ns()
        go[0] = 1
        work(count)
        board.wait_seen(2, 0)
        return (time.monotonic_ns() - start) / (2 * count)


def adder(value):
    add = value.add

    def work(count):
        for _ in range(count):
            add(1)
    return work


def locked_adder(value):
    def work(count):
        for _ in range(count):
            with value.get_lock():
                value.value += 1
    return work


def milliseconds(make):
    start = time.monotonic_ns()
    made = make()
    taken = (time.monotonic_ns() - start) / 1e6
    del made
    return taken


def ping_pong(process, serve, ask, count):
    """Microseconds there and back between two processes that sleep in between."""
    with rounds.Child(process, lambda: serve(count + 10)):
        ask(10)
        start = time.monotonic_ns()
        ask(count)
        return (time.monotonic_ns() - start) / 1e3 / count


def futex_sides():
    there, back = rounds.Futex(), rounds.Futex()

    def serve(count):
        for _ in range(count):
            there.wait()
            back.wake()

    def ask(count):
        for _ in range(count):
            there.wake()
            back.wait()
    return serve, ask


def event_sides(module):
    there, back = module.Event(), module.Event()

    def serve(count):
        for _ in range(count):
            there.wait()
            there.clear()
            back.set()

    def ask(count):
        for _ in range(count):
            there.set()
            back.wait()
            back.clear()
    return serve, ask


def condition_sides(module):
    condition, turn = module.Condition(module.Lock()), module.RawValue(ctypes.c_int, 0)

    def serve(count):
        with condition:
            for _ in range(count):
                while not turn.value:
                    condition.wait()
                turn.value = 0
                condition.notify()

    def ask(count):
        with condition:
            for _ in range(count):
                turn.value = 1
                condition.notify()
                while turn.value:
                    condition.wait()
    return serve, ask


def main():
    rounds.pin(0)
    for name in ("Lock", "RLock", "Semaphore"):
        ours, theirs = getattr(skep, name)(), getattr(standard, name)()
        rounds.compete(f"Python with {name}", "uncontended, pinned to core 0", "ns", 9, {
            "skep": lambda: uncontended(ours), f"multiprocessing.{name}": lambda: uncontended(theirs)})
    rounds.compete("Python value.add", "by 2 processes at once, pinned to cores 0 and 1", "ns", 5, {
        "skep": lambda: two_add(skep.Process, adder(skep.Value("i", 0)), 200000),
        "skep get_lock": lambda: two_add(skep.Process, locked_adder(skep.Value("i", 0)), 20000),
        "multiprocessing get_lock": lambda: two_add(standard.Process, locked_adder(standard.Value("i", 0)), 20000)})
    rounds.compete("Python array from a list", "1 M ints, type code i", "ms", 7, {
        "skep": lambda: milliseconds(lambda: skep.RawArray("i", LIST)),
        "multiprocessing.RawArray": lambda: milliseconds(lambda: standard.RawArray("i", LIST)),
        "array.array": lambda: milliseconds(lambda: array.array("i", LIST))})
    rounds.compete("Python array from a range", "1 M ints, type code i", "ms", 7, {
        "skep": lambda: milliseconds(lambda: skep.RawArray("i", range(1000000))),
        "array.array": lambda: milliseconds(lambda: array.array("i", range(1000000)))})
    for name, sides in (("event", event_sides), ("condition", condition_sides)):
        rounds.compete(f"Python {name} ping-pong", "there and back, pinned to cores 0 and 1", "us", 5, {
            "skep": lambda: ping_pong(skep.Process, *sides(skep), 3000), "bare futex": lambda: ping_pong(standard.Process, *futex_sides(), 3000),
            "multiprocessing": lambda: ping_pong(standard.Process, *sides(standard), 1000)})


if __name__ == "__main__":
    main()
