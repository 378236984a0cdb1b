# SPDX-License-Identifier: Apache-2.0
"""What a program pays that changes its import: the import itself, starting processes, and an unmodified hand-over of an array."""
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time

import numpy

import rounds
import skep

SUBMODULES = ["", ".queues", ".connection", ".synchronize", ".sharedctypes", ".shared_memory"]


def import_ms(package, cache):
    """A new interpreter that imports it, its start included, byte code being there."""
    environment = dict(os.environ, PYTHONPYCACHEPREFIX=cache)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.monotonic_ns()
    subprocess.run([sys.executable, "-c", "import " + ", ".join(package + name for name in SUBMODULES)], env=environment, check=True)
    return (time.monotonic_ns() - start) / 1e6


def nothing():
    pass


def start_ms(context):
    start = time.monotonic_ns()
    process = context.Process(target=nothing)
    process.start()
    process.join()
    return (time.monotonic_ns() - start) / 1e6


def consumer(queue, seen):
    while (array := queue.get()) is not None:
        assert array[0, 0, 0, 0] == 7
        seen.value = time.monotonic_ns()
        del array


def put_to_read_us(mp, make):
    """From put() until the consumer has read the first element, median of five after the first."""
    queue, seen = mp.Queue(), multiprocessing.RawValue("q", 0)
    process = mp.Process(target=consumer, args=(queue, seen))
    process.start()
    try:
        samples = []
        for _ in range(6):
            array = make()
            seen.value = 0
            time.sleep(0.01)
            start = time.monotonic_ns()
            queue.put(array)
            while not seen.value:
                time.sleep(0.00002)
            samples.append((seen.value - start) / 1e3)
            del array
        return sorted(samples[1:])[2]
    finally:
        queue.put(None)
        process.join()


def frame():
    return numpy.full((1, 3, 2048, 2048), 7, "f4")


def frame_in_hive():
    with skep.numpy_allocator():
        return frame()


def main():
    with tempfile.TemporaryDirectory() as cache:
        rounds.compete("Python import", "with queues, connection, synchronize, sharedctypes, shared_memory", "ms", 9, {
            "skep": lambda: import_ms("skep", cache), "multiprocessing": lambda: import_ms("multiprocessing", cache)})
    for method in "fork", "spawn":
        rounds.compete("Python process start + join", method, "ms", 9, {
            "skep": lambda: start_ms(skep.get_context(method)), "multiprocessing": lambda: start_ms(multiprocessing.get_context(method))})
    for parameters, make in ("only the import changed", frame), ("with the allocator", frame_in_hive):
        rounds.compete("Python program put -> read", parameters, "us", 3, {
            "skep": lambda: put_to_read_us(skep, make), "multiprocessing": lambda: put_to_read_us(multiprocessing, frame)})


if __name__ == "__main__":
    main()
