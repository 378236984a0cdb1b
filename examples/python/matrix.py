# SPDX-License-Identifier: Apache-2.0
"""A matrix in shared memory: each task of a pool fills one row with the pid of its worker, the parent sees all rows.

    python3 matrix.py [fork|spawn|forkserver]        MULTIPROCESSING=multiprocessing runs it with the standard library
"""
import ctypes
import importlib
import os
import sys

import numpy

mp = importlib.import_module(os.environ.get('MULTIPROCESSING', 'skep'))
ROWS, COLUMNS = 50, 10


def as_matrix(shared):
    return numpy.frombuffer(shared).reshape(ROWS, COLUMNS)  # the same memory, no copy


def take(shared):
    global matrix
    matrix = as_matrix(shared)


def fill(row):
    matrix[row, :] = os.getpid()
    return os.getpid()


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'fork')
    shared = context.Array(ctypes.c_double, ROWS * COLUMNS, lock=False)
    with context.Pool(4, initializer=take, initargs=(shared,)) as pool:
        pids = pool.map(fill, range(ROWS))
    right = sum((row == pid).all() for row, pid in zip(as_matrix(shared), pids))
    print(f'{right} of {ROWS} rows hold the pid of the worker that filled them')
