# SPDX-License-Identifier: Apache-2.0
"""A mapped file, and anonymous memory that a child sees too; Python's own mmap does both.

    python3 mapping.py
"""
import mmap
import tempfile

import skep as mp


def write(memory):
    memory[6:12] = b' world'


if __name__ == '__main__':
    with tempfile.TemporaryFile() as file:
        file.write(b'Hello Python!\nsecond line\n')
        file.flush()
        with mmap.mmap(file.fileno(), 0) as mapped:
            print(mapped.readline())
            print(mapped[:5])
            mapped[6:] = b' world!\n' + mapped[14:]
            mapped.seek(0)
            print(mapped.readline())
    with mmap.mmap(-1, 13) as memory:
        memory[:] = b'Hello Python!'
        process = mp.get_context('fork').Process(target=write, args=(memory,))
        process.start()
        process.join()
        print(memory[:])
