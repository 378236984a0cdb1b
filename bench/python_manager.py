#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Managers beside multiprocessing's: calls of a user's class in a server process, over a Unix socket and over TCP; shared objects
of Manager()."""
import multiprocessing
import multiprocessing.managers
import time

import rounds
import skep
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


def uses(package, use, count, *arguments):
    """Thousands of uses of one object of Manager() in a second."""
    with package.Manager() as manager:
        target = use(manager, *arguments)
        for _ in range(100):
            target()
        begin = time.perf_counter()
        for _ in range(count):
            target()
        return count / (time.perf_counter() - begin) / 1e3


def dict_get(manager):
    shared = manager.dict(a=1)
    return lambda: shared["a"]


def dict_set(manager):
    shared = manager.dict(a=1)
    return lambda: shared.__setitem__("a", 2)


def list_append(manager):
    shared = manager.list()
    return lambda: shared.append(1)


def value_get(manager):
    shared = manager.Value("i", 1)
    return lambda: shared.value


def queue_put_get(manager):
    shared = manager.Queue()
    return lambda: (shared.put(1), shared.get())


def lock_with(manager):
    shared = manager.Lock()

    def use():
        with shared:
            pass
    return use


USES = [("dict get", dict_get), ("dict set", dict_set), ("list append", list_append), ("Value get", value_get), ("Queue put + get", queue_put_get),
        ("with Lock", lock_with)]


def main():
    for name, use in USES:
        rounds.compete("Python Manager()", name, "k/s", 3, {
            "skep": lambda use=use: uses(skep, use, 100000), "multiprocessing.Manager": lambda use=use: uses(multiprocessing, use, 2000)})
    for where, address in (("on this machine", None), ("TCP 127.0.0.1, ours encrypted", ("127.0.0.1", 0))):
        rounds.compete("Python manager call", where, "k/s", 5, {
            "skep": lambda address=address: calls(Ours, address, 5000), "multiprocessing.managers": lambda address=address: calls(Standard, address, 5000)})


if __name__ == "__main__":
    main()
