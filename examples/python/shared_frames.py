# SPDX-License-Identifier: Apache-2.0
"""Frames by hand: the producer makes a SharedMemory block for each, its name goes through a queue, the consumer unlinks it.

    python3 shared_frames.py [spawn|fork|forkserver]

The blocks may be made by one module and attached by the other: both see the same bytes.
"""
import sys

import numpy

import skep as mp
from skep import shared_memory as maker
from skep import shared_memory as reader

SHAPE = 1, 3, 2048, 2048


def produce(names, places):
    for number in range(10):
        places.acquire()  # two frames on the way are enough
        block = maker.SharedMemory(create=True, size=4 * numpy.prod(SHAPE).item())
        numpy.ndarray(SHAPE, 'float32', buffer=block.buf)[...] = number
        names.put(block.name)
        block.close()
    names.put(None)


def consume(names, places):
    while (name := names.get()) is not None:
        block = reader.SharedMemory(name)
        frame = numpy.ndarray(SHAPE, 'float32', buffer=block.buf)
        assert (frame == frame.flat[0]).all()
        print(frame.shape, frame.flat[0], flush=True)
        del frame
        block.close()
        block.unlink()
        places.release()


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    names, places = context.Queue(), context.Semaphore(2)
    processes = [context.Process(target=target, args=(names, places)) for target in (produce, consume)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))
