# SPDX-License-Identifier: Apache-2.0
"""Pools and executors of 2 workers: tasks that do nothing, large arrays, start and end."""
import concurrent.futures
import multiprocessing
import sys
import time

import numpy

import rounds
import skep

WORKERS = 2
standard = {method: multiprocessing.get_context(method) for method in ("fork", "spawn")}
ours = {method: skep.get_context(method) for method in ("fork", "spawn")}


def nothing(x):
    return x


def count_primes(bounds):
    return sum(all(number % divisor for divisor in range(2, int(number ** 0.5) + 1)) for number in range(max(2, bounds[0]), bounds[1]))


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compete(name, parameters, unit, samples, contestants, prepare):
    """contestants: {peer: (what prepare() makes one of, function of that)}; made once, so that start-up does not count."""
    made = {peer: prepare(kind) for peer, (kind, _) in contestants.items()}
    rounds.compete(name, parameters, unit, samples, {peer: (lambda peer=peer: contestants[peer][1](made[peer])) for peer in contestants})
    for one in made.values():
        getattr(one, "terminate", one.shutdown if hasattr(one, "shutdown") else None)()


def pool(context):
    made = context.Pool(WORKERS)
    made.map(nothing, range(100))
    return made


def executor(kind):
    made = kind(WORKERS, mp_context=(ours if kind is skep.ProcessPoolExecutor else standard)["fork"])
    made.submit(nothing, 1).result()
    return made


def both(function):
    return {"skep": (ours["fork"], function), "multiprocessing.Pool": (standard["fork"], function)}


def map_rate(count, chunksize):
    return lambda pool: count / seconds(lambda: pool.map(nothing, range(count), chunksize)) / 1e3


def async_rate(pool, count=10000):
    return count / seconds(lambda: [result.get() for result in [pool.apply_async(nothing, (x,)) for x in range(count)]]) / 1e3


def latency(pool, count=50):
    total = 0.0
    for _ in range(count):
        time.sleep(0.002)  # idle
        total += seconds(lambda: pool.apply(nothing, (1,)))
    return total / count * 1e6


def submit_rate(executor, count=10000):
    return count / seconds(lambda: [future.result() for future in [executor.submit(nothing, x) for x in range(count)]]) / 1e3


def array_time(pool):
    array = numpy.ones(rounds.MIB48 // 8)
    return seconds(lambda: pool.apply(nothing, (array,))) * 1e3


def born_time(pool):
    array = skep.ones(rounds.MIB48 // 8)
    return seconds(lambda: pool.apply(nothing, (array,))) * 1e3


def life(context):
    def run():
        with context.Pool(WORKERS) as pool:
            pool.close()
            pool.join()
    return seconds(run) * 1e3


def primes(map_function):
    parts = [(start, start + 5000) for start in range(0, 200000, 5000)]
    return seconds(lambda: list(map_function(parts))) * 1e3


def main():
    compete("Python Pool.map of no-ops", "chunksize 1, 2 workers", "k/s", 3, both(map_rate(20000, 1)), pool)
    compete("Python Pool.map of no-ops", "default chunksize, 2 workers", "k/s", 3, both(map_rate(1000000, None)), pool)
    compete("Python apply_async and get", "10000, 2 workers", "k/s", 3, both(async_rate), pool)
    compete("Python executor submit and result", "10000, 2 workers", "k/s", 3, {
        "skep": (skep.ProcessPoolExecutor, submit_rate),
        "concurrent.futures": (concurrent.futures.ProcessPoolExecutor, submit_rate)}, executor)
    compete("Python Pool.apply", "idle pool", "us", 5, both(latency), pool)
    compete("Python array there and back", "48 MiB, ordinary", "ms", 5, both(array_time), pool)
    compete("Python array there and back", "48 MiB, born in the hive", "ms", 5,
            {"skep": (ours["fork"], born_time), "multiprocessing.Pool": (standard["fork"], array_time)}, pool)
    compete("Python primes to 200000", "Pool.map, 2 workers", "ms", 3, {
        **both(lambda pool: primes(lambda parts: pool.map(count_primes, parts, 1))),
        "one process": (ours["fork"], lambda pool: primes(lambda parts: map(count_primes, parts)))}, pool)
    for method in ("fork", "spawn"):
        rounds.compete("Python pool start and end", f"{method}, 2 workers", "ms", 3, {
            "skep": lambda: life(ours[method]), "multiprocessing.Pool": lambda: life(standard[method])})


if __name__ == "__main__":
    sys.exit(main())
