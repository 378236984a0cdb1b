# SPDX-License-Identifier: Apache-2.0
"""frames.py as it is written for multiprocessing: only the import was changed.

    python3 frames_unmodified.py [spawn|fork|forkserver]
"""
import sys

import numpy

import skep as mp


def produce(queue):
    for number in range(10):
        queue.put(numpy.full((1, 3, 2048, 2048), number, 'float32'))  # copied once, into shared memory
    queue.put(None)


def consume(queue):
    while (frame := queue.get()) is not None:
        print(frame.shape, frame.flat[0], flush=True)


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    queue = context.Queue(maxsize=2)
    processes = [context.Process(target=target, args=(queue,)) for target in (produce, consume)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))
