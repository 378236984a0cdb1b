# SPDX-License-Identifier: Apache-2.0
"""A list in shared memory: items read and written, by one process alone."""
import multiprocessing.shared_memory
import time

import rounds
import skep.shared_memory

COUNT = 20000
VALUES = [100, -273.154, True, "howdy"]


def read(values):
    for _ in range(COUNT // 4):
        values[0], values[1], values[2], values[3]


def write(values):
    number, real, flag, text = VALUES
    for _ in range(COUNT // 4):
        values[0] = number
        values[1] = real
        values[2] = flag
        values[3] = text


def cost(work, values):
    start = time.perf_counter_ns()
    work(values)
    return (time.perf_counter_ns() - start) / COUNT


def main():
    rounds.pin(0)
    ours, theirs = (module.ShareableList(VALUES) for module in (skep.shared_memory, multiprocessing.shared_memory))
    for name, work in (("Python ShareableList get", read), ("Python ShareableList set", write)):
        rounds.compete(name, "int, float, bool and str in turn", "ns", 9, {
            "skep": lambda: cost(work, ours), "multiprocessing.ShareableList": lambda: cost(work, theirs)})
    for values in (ours, theirs):
        values.shm.close()
        values.shm.unlink()


if __name__ == "__main__":
    main()
