# SPDX-License-Identifier: Apache-2.0
"""table.py as it is written for multiprocessing, only the import was changed: the shared table lies in a block of shared memory, by hand.

    python3 table_by_hand.py [ROWS] [spawn|fork|forkserver]
"""
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy

import skep as mp
from skep import shared_memory

ROW = numpy.dtype([('time', 'M8[ms]'), ('value', 'f8'), ('text', 'S84')])
WORKERS = 2


def table_in(block, rows):
    return numpy.ndarray(rows, ROW, block.buf)


def total(table):
    return float(numpy.nansum(table['value']))


def total_of_shared(name, rows):
    block = shared_memory.SharedMemory(name)
    found = total(table_in(block, rows))
    block.close()
    return found


if __name__ == '__main__':
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    context = mp.get_context(sys.argv[2] if len(sys.argv) > 2 else None)
    block = shared_memory.SharedMemory(create=True, size=rows * ROW.itemsize)
    table = table_in(block, rows)
    table['time'] = numpy.datetime64('2026-01-01', 'ms') + numpy.arange(rows)
    table['value'] = numpy.arange(rows)
    table['value'][1::2] = numpy.nan
    table['text'] = b'a text of some length'
    with ProcessPoolExecutor(WORKERS, mp_context=context) as executor:
        shared = [executor.submit(total_of_shared, block.name, rows) for _ in range(WORKERS)]
        passed = [executor.submit(total, table.copy()) for _ in range(WORKERS)]
        print('shared', {future.result() for future in shared} == {float(sum(range(0, rows, 2)))})
        print('passed', {future.result() for future in passed} == {float(sum(range(0, rows, 2)))})
    del table
    block.close()
    block.unlink()
