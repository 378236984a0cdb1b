#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of a user's class in a manager's server process, beside multiprocessing's, over a Unix socket and over TCP."""
import multiprocessing.managers
import time

import rounds
import skep.managers


class Counter:
    def __init__(self):
        self.value = 0

    def add(self, number):
        self.value += number
        return self.value


class Ours(skep.managers.BaseManager):
    pass


class Standard(multiprocessing.managers.BaseManager):
    pass


Ours.register("Counter", Counter)
Standard.register("Counter", Counter)


def calls(manager_class, address, count):
    """Thousands of calls in a second. Neither side is pinned: nobody does that."""
    with manager_class(address, b"bench bench bench") as manager:
        counter = manager.Counter()
        for _ in range(100):
            counter.add(1)
        begin = time.perf_counter()
        for _ in range(count):
            counter.add(1)
        return count / (time.perf_counter() - begin) / 1e3


def main():
    for where, address in (("on this machine", None), ("TCP 127.0.0.1, ours encrypted", ("127.0.0.1", 0))):
        rounds.compete("Python manager call", where, "k/s", 5, {
            "skep": lambda address=address: calls(Ours, address, 5000), "multiprocessing.managers": lambda address=address: calls(Standard, address, 5000)})


if __name__ == "__main__":
    main()
