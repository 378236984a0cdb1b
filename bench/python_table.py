# SPDX-License-Identifier: Apache-2.0
"""A record array of 1 000 000 rows (100 MB) is summed by each of 2 workers: as an argument, born in the hive, and by hand.

examples/python/table.py is the program; `python3 python_table.py 10000000` for its full size.
"""
import concurrent.futures
import multiprocessing
import sys
import time

import numpy

import rounds
import skep

from multiprocessing.managers import SharedMemoryManager
from multiprocessing.shared_memory import SharedMemory

sys.path.insert(0, __file__.rpartition("bench")[0] + "examples/python")

import table as program  # noqa: E402

WORKERS = 2


def total(table):
    return program.total(table)[0]


def total_by_hand(name, rows):
    block = SharedMemory(name=name)
    table = numpy.ndarray(rows, program.ROW, block.buf)
    result = total(table)
    del table
    block.close()
    return result


def by_hand(executor, manager, table):
    block = manager.SharedMemory(table.nbytes)
    numpy.ndarray(len(table), program.ROW, block.buf)[:] = table
    results = list(executor.map(total_by_hand, [block.name] * WORKERS, [len(table)] * WORKERS))
    block.close()
    block.unlink()
    return results


def timed(function):
    start = time.perf_counter()
    results = function()
    seconds = time.perf_counter() - start
    assert len(set(results)) == 1
    return seconds * 1e3


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    ordinary, born = program.ordinary(rows), program.born_in_shared_memory(rows)
    with SharedMemoryManager() as manager, \
            concurrent.futures.ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as theirs, \
            skep.ProcessPoolExecutor(WORKERS, skep.get_context("fork")) as ours:
        def hand():
            return timed(lambda: by_hand(theirs, manager, ordinary))

        def as_argument(table):
            return timed(lambda: list(ours.map(total, [table] * WORKERS)))

        rounds.compete("Python table to 2 workers", f"argument, {rows} rows", "ms", 3, {
            "skep": lambda: as_argument(ordinary), "SharedMemoryManager by hand": hand})
        rounds.compete("Python table to 2 workers", f"born in the hive, {rows} rows", "ms", 3, {
            "skep": lambda: as_argument(born), "SharedMemoryManager by hand": hand})


if __name__ == "__main__":
    sys.exit(main())
