# SPDX-License-Identifier: Apache-2.0
"""Images of 720 x 1080 pixels through one block of shared memory; events say when one is written and when it has been read.

    python3 images.py [fork|spawn|forkserver] [COUNT]
"""
import sys
import zlib

import numpy

import skep as mp
from skep import shared_memory

SHAPE = (720, 1080, 3)
BYTES = 720 * 1080 * 3


def image_in(block):
    """The image, and the words behind it: its number and its checksum."""
    return (numpy.ndarray(SHAPE, numpy.uint8, block.buf), numpy.ndarray(2, numpy.uint64, block.buf, BYTES))


def write(name, count, written, read):
    block = mp.shared_memory.SharedMemory(name)
    image, words = image_in(block)
    for number in range(1, count + 1):
        image[...] = number % 255 + 1  # never black
        image[number % 720] = 0
        words[:] = number, zlib.adler32(image)
        written.set()
        read.wait()
        read.clear()
    del image, words
    block.close()


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'fork')
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    written, read = context.Event(), context.Event()
    block = mp.shared_memory.SharedMemory(create=True, size=BYTES + 16)
    image, words = image_in(block)
    child = context.Process(target=write, args=(block.name, count, written, read))
    child.start()
    black = torn = skipped = 0
    for number in range(1, count + 1):
        written.wait()
        written.clear()
        black += not image.any()
        torn += zlib.adler32(image) != words[1]
        skipped += words[0] != number
        read.set()
    child.join()
    print(f'{count} images: {black} black, {torn} torn, {skipped} skipped')
    del image, words
    block.close()
    block.unlink()
    sys.exit(child.exitcode)
