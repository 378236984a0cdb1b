# SPDX-License-Identifier: Apache-2.0
"""A list in shared memory, found by name in a second process.

    python3 shareable_list.py [spawn|fork|forkserver]
"""
import sys

import skep as mp
from skep import shared_memory


def change_last(name):
    numbers = shared_memory.ShareableList(name=name)
    numbers[-1] = -999
    numbers.shm.close()


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    values = shared_memory.ShareableList(['howdy', b'HoWdY', -273.154, 100, None, True, 42])
    print([type(value).__name__ for value in values])
    values[2] = -78.5
    values[3] = 'text'
    try:
        values[3] = 'much too long a text'
    except ValueError as error:
        print('ValueError:', error)
    print(list(values), len(values), values.index(42), values.count(b'HoWdY'))
    values.shm.close()
    values.shm.unlink()

    numbers = shared_memory.ShareableList(range(5))
    process = context.Process(target=change_last, args=(numbers.shm.name,))
    process.start()
    process.join()
    print(list(numbers))
    numbers.shm.close()
    numbers.shm.unlink()
