# SPDX-License-Identifier: Apache-2.0
"""A matrix in shared memory: each task of a pool writes the process number of its worker into one row.

    python3 shared_matrix.py [ROWS] [spawn|fork|forkserver]
"""
import ctypes
import os
import sys

import numpy

import skep as mp

COLUMNS = 10


def see(shared):
    global matrix
    matrix = numpy.frombuffer(shared, dtype=numpy.float64).reshape(-1, COLUMNS)


def fill(row):
    matrix[row] = os.getpid()


if __name__ == '__main__':
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    context = mp.get_context(sys.argv[2] if len(sys.argv) > 2 else None)
    shared = context.Array(ctypes.c_double, rows * COLUMNS, lock=False)
    with context.Pool(4, initializer=see, initargs=(shared,)) as pool:
        workers = {worker.pid for worker in pool._pool}
        pool.map(fill, range(rows))
    see(shared)
    whole = all((row == row[0]).all() and int(row[0]) in workers for row in matrix)
    print(f'{rows} rows, each by one worker: {whole}')
    sys.exit(not whole)
