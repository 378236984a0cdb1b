# SPDX-License-Identifier: Apache-2.0
"""Containers that processes share: skep's, in shared memory, beside those of a Manager, which live in a server process."""
import multiprocessing
import time

import rounds
import skep

OURS, THEIRS = 20000, 1000  # calls per sample
manager = None


def cost(work, container, count):
    """Microseconds per call."""
    start = time.perf_counter_ns()
    work(container, count)
    return (time.perf_counter_ns() - start) / count / 1000


def compete(name, parameters, work, ours, theirs):
    """work(container, count); ours and theirs make one, which is a new one for each sample."""
    rounds.compete(name, parameters, "us", 9, {
        "skep": lambda: cost(work, ours(), OURS), "multiprocessing.Manager": lambda: cost(work, theirs(), THEIRS)})


def append(container, count):
    for i in range(count):
        container.append(i)


def get(container, count):
    for i in range(count):
        container[i % 100]


def set_item(container, count):
    for i in range(count):
        container[i % 100] = i


def lists():
    full = list(range(100))
    compete("Python list append", "ints", append, skep.List, manager.list)
    compete("Python list get", "ints", get, lambda: skep.List(full), lambda: manager.list(full))
    compete("Python list set", "ints", set_item, lambda: skep.List(full), lambda: manager.list(full))


def dicts():
    full = {number: number for number in range(100)}
    compete("Python dict get", "ints", get, lambda: skep.Dict(full), lambda: manager.dict(full))
    compete("Python dict set", "ints", set_item, lambda: skep.Dict(full), lambda: manager.dict(full))


def main():
    global manager
    with multiprocessing.Manager() as manager:
        lists()
        dicts()


if __name__ == "__main__":
    main()
