# SPDX-License-Identifier: Apache-2.0
"""Count the primes below a limit by trial division, in one process and in several, four ways.

    python3 primes.py [LIMIT] [spawn|fork|forkserver]
"""
import sys
import time

import skep as mp

WORKERS = 4


def is_prime(number):
    if number < 2 or number % 2 == 0:
        return number == 2
    divisor = 3
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 2
    return True


def count_range(bounds):
    return sum(map(is_prime, range(*bounds)))


def count_to_queue(bounds, results):
    results.put(count_range(bounds))


def parts_of(limit, count):
    """Ranges; there are many more than workers, since the later ones take longer."""
    step = -(-limit // count)
    return [(start, min(start + step, limit)) for start in range(0, limit, step)]


def by_processes(context, limit):
    results = context.Queue()
    processes = [context.Process(target=count_to_queue, args=(part, results)) for part in parts_of(limit, WORKERS)]
    for process in processes:
        process.start()
    total = sum(results.get() for _ in processes)
    for process in processes:
        process.join()
    return total


def by_map(context, limit):
    with context.Pool(WORKERS) as pool:
        return sum(pool.map(count_range, parts_of(limit, 64), chunksize=1))


def by_map_async(context, limit):
    pool = context.Pool(WORKERS)
    result = pool.map_async(is_prime, range(limit))
    pool.close()
    pool.join()
    return sum(result.get())


if __name__ == '__main__':
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    context = mp.get_context(sys.argv[2] if len(sys.argv) > 2 else None)
    for name, count in [('one process', lambda context, limit: count_range((0, limit))), ('processes and a queue', by_processes),
                        ('Pool.map', by_map), ('map_async', by_map_async)]:
        start = time.monotonic()
        found = count(context, limit)
        print(f'{name}: {found}', flush=True)
        print(f'{name}: {time.monotonic() - start:.2f} s', file=sys.stderr)
