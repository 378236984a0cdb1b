# SPDX-License-Identifier: Apache-2.0
"""Images through shared memory: one image and two events first, then a ring of 100 images, two producers and a consumer.

    python3 image_ring.py [spawn|fork|forkserver]

Each image carries its checksum, so that a black, torn or skipped one is found.
"""
import sys
import zlib

import numpy

import skep as mp
from skep import shared_memory

ONE = 720, 1080, 3
ONE_COUNT = 100
RING = 100, 480, 640, 3
RING_COUNT = 200  # of each producer: the ring goes round four times


def image_of(target, who, number):
    target[...] = (31 * who + 7 * number + 1) % 251
    target[number % len(target)] = numpy.arange(target[0].size).reshape(target[0].shape) % 255 + 1
    return zlib.crc32(target)


def write_one(name, written, seen, checksum):
    block = shared_memory.SharedMemory(name)
    image = numpy.ndarray(ONE, 'u1', buffer=block.buf)
    for number in range(ONE_COUNT):
        seen.wait()
        seen.clear()
        checksum.value = image_of(image, 0, number)
        written.set()
    del image
    block.close()


def one_at_a_time(context):
    block = shared_memory.SharedMemory(create=True, size=numpy.prod(ONE).item())
    image = numpy.ndarray(ONE, 'u1', buffer=block.buf)
    written, seen, checksum = context.Event(), context.Event(), context.Value('I', 0)
    writer = context.Process(target=write_one, args=(block.name, written, seen, checksum))
    writer.start()
    good = 0
    for number in range(ONE_COUNT):
        seen.set()
        written.wait()
        written.clear()
        good += image.any() and zlib.crc32(image) == checksum.value
    writer.join()
    del image
    block.close()
    block.unlink()
    print(f'{good} of {ONE_COUNT} images one at a time')


def produce(name, who, free, filled):
    block = shared_memory.SharedMemory(name)
    ring = numpy.ndarray(RING, 'u1', buffer=block.buf)
    for number in range(RING_COUNT):
        place = free.get()
        filled.put((place, who, number, image_of(ring[place], who, number)))
    del ring
    block.close()


def through_a_ring(context):
    block = shared_memory.SharedMemory(create=True, size=numpy.prod(RING).item())
    ring = numpy.ndarray(RING, 'u1', buffer=block.buf)
    free, filled = context.Queue(), context.Queue()
    for place in range(len(ring)):
        free.put(place)
    producers = [context.Process(target=produce, args=(block.name, who, free, filled)) for who in range(2)]
    for producer in producers:
        producer.start()
    expected, good = [0, 0], 0
    for _ in range(2 * RING_COUNT):
        place, who, number, checksum = filled.get()
        good += number == expected[who] and ring[place].any() and zlib.crc32(ring[place]) == checksum
        expected[who] += 1
        free.put(place)
    for producer in producers:
        producer.join()
    del ring
    block.close()
    block.unlink()
    print(f'{good} of {2 * RING_COUNT} images through a ring of {RING[0]}')


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    one_at_a_time(context)
    through_a_ring(context)
