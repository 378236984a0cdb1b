# SPDX-License-Identifier: Apache-2.0
"""A manager of shared memory: two processes add up the halves of a list; all of it is gone after the block.

    python3 shared_memory_manager.py [spawn|fork|forkserver]
"""
import os
import sys

import skep as mp
from skep import managers


def add_up(numbers, start, end, sums):
    sums.put(sum(numbers[i] for i in range(start, end)))


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    sums = context.Queue()
    with managers.SharedMemoryManager() as manager:
        numbers = manager.ShareableList(range(2000))
        name = numbers.shm.name
        processes = [context.Process(target=add_up, args=(numbers, start, start + 1000, sums)) for start in (0, 1000)]
        for process in processes:
            process.start()
        print(sums.get() + sums.get())
        for process in processes:
            process.join()
    print('still there' if os.path.exists(f'/dev/shm/{name}') else 'gone')
