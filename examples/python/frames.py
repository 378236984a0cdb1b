# SPDX-License-Identifier: Apache-2.0
"""A producer process sends ten frames of 48 MiB to a consumer process; no byte of them is copied.

    python3 frames.py [spawn|fork|forkserver]
"""
import sys

import skep as mp


def produce(queue):
    for number in range(10):
        frame = mp.empty((1, 3, 2048, 2048), 'float32')  # born in shared memory, so it goes by reference
        frame[...] = number
        queue.put(frame)
    queue.put(None)


def consume(queue):
    while (frame := queue.get()) is not None:
        print(frame.shape, frame.flat[0], flush=True)


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    queue = context.Queue(maxsize=2)  # two frames on the way are enough, and memory stays warm
    processes = [context.Process(target=target, args=(queue,)) for target in (produce, consume)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))
