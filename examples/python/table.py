# SPDX-License-Identifier: Apache-2.0
"""A large table is summed by the workers of an executor: once born in shared memory, once as an ordinary argument.

    python3 table.py [ROWS] [spawn|fork|forkserver]

The columns are timestamp, a float of which every second is NaN, and text; a row takes 100 bytes.
"""
import os
import sys
import time

import numpy

import skep as mp

ROW = numpy.dtype([('time', 'M8[ms]'), ('value', 'f8'), ('text', 'S84')])
WORKERS = os.cpu_count() or 1


PIECE = 1 << 18  # rows at a time: what NumPy makes on the way stays small beside the table


def fill(table):
    for first in range(0, len(table), PIECE):
        piece = table[first:first + PIECE]
        numbers = numpy.arange(first, first + len(piece))
        piece['time'] = numpy.datetime64('2026-01-01', 'ms') + numbers
        piece['value'] = numbers
        piece['value'][1::2] = numpy.nan
        piece['text'] = b'a text of some length'
    return table


def total(table):
    return sum(float(numpy.nansum(table['value'][first:first + PIECE])) for first in range(0, len(table), PIECE)), own_kib()


def own_kib():
    """Memory that this process has for itself alone."""
    with open('/proc/self/smaps_rollup') as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith('Private'))


def born_in_shared_memory(rows):
    return fill(mp.zeros(rows * ROW.itemsize, 'uint8').view(ROW))


def ordinary(rows):
    return fill(numpy.zeros(rows, ROW))


def say(*words):
    print(*words, file=sys.stderr)


if __name__ == '__main__':
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    context = mp.get_context(sys.argv[2] if len(sys.argv) > 2 else None)
    expected = float(sum(range(0, rows, 2)))
    with mp.ProcessPoolExecutor(WORKERS, mp_context=context) as executor:
        before = max(own for _, own in executor.map(total, [numpy.zeros(1, ROW)] * WORKERS))
        for make in (born_in_shared_memory, ordinary):
            table = make(rows)
            start = time.monotonic()
            results = list(executor.map(total, [table] * WORKERS))
            say(f'{make.__name__}: {time.monotonic() - start:.3f} s')
            copies = max(own for _, own in results) - before > rows * ROW.itemsize // 1024 // 2
            print(f'{make.__name__}: sums equal: {all(found == expected for found, _ in results)}, a copy in each worker: {copies}')
            del table
