# SPDX-License-Identifier: Apache-2.0
"""Ten processes count to 200 together, four ways; one of them is wrong.

    python3 counter.py [fork|spawn|forkserver] [ROUNDS]
"""
import sys
import time

import skep as mp

PROCESSES, TIMES = 10, 20


def without(value, lock):
    for _ in range(TIMES):
        time.sleep(0.001)
        value.value += 1  # reads, adds and writes: what others do in between is lost


def with_lock(value, lock):
    for _ in range(TIMES):
        time.sleep(0.001)
        with lock:
            value.value += 1


def with_get_lock(value, lock):
    for _ in range(TIMES):
        time.sleep(0.001)
        with value.get_lock():
            value.value += 1


def in_one_step(value, lock):
    for _ in range(TIMES):
        time.sleep(0.001)
        value.add(1)  # skep only: no lock, nothing lost


def count(context, how):
    value, lock = context.Value('i', 0), context.Lock()
    processes = [context.Process(target=how, args=(value, lock)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return value.value


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'fork')
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    ways = [without, with_lock, with_get_lock] + [in_one_step] * hasattr(context.Value('i'), 'add')
    for way in ways:
        counts = [count(context, way) for _ in range(rounds)]
        if way is without:
            print('without a lock: never more than 200', max(counts) <= PROCESSES * TIMES)
        else:
            print(way.__name__.replace('_', ' ') + ':', *sorted(set(counts)))
