# SPDX-License-Identifier: Apache-2.0
"""A 48 MiB array from one Python process to another: by skep, by multiprocessing.Queue, by SharedMemory and a Queue of names."""
import multiprocessing
import queue as standard_queue
import time
from multiprocessing import shared_memory

import numpy
import rounds
import skep

SHAPE = (1, 3, 2048, 2048)
ASLEEP = 0.003  # seconds after which a waiting consumer surely sleeps

standard = multiprocessing.get_context("fork")


def median_delay(process, receive, send, count, pause):
    """Microseconds from send(i), the moment of which is on the board, until the receiver has touched the first element."""
    board = rounds.Board(count)

    def receiver():
        for _ in range(count):
            receive(board)

    with rounds.Child(process, receiver):
        for index in range(count):
            time.sleep(pause)
            board.sent()
            send(index)
            board.wait_seen(index + 1, pause / 10)
    return float(numpy.median(board.delays())) / 1e3


def touch(board, array):
    array.flat[0]
    board.seen()


def receive_with(queue):
    return lambda board: touch(board, queue.get())


def receive_awake(queue):
    def receive(board):
        while True:
            try:
                array = queue.get_nowait()
                break
            except standard_queue.Empty:
                pass
        touch(board, array)
    return receive


def skep_delay(receive, array, count, pause):
    queue = skep.Queue(8)
    return median_delay(skep.Process, receive(queue), lambda index: queue.put(array), count, pause)


def pickle_delay(array, count):
    queue = standard.Queue()
    return median_delay(standard.Process, receive_with(queue), lambda index: queue.put(array), count, ASLEEP)


def names_delay(count):
    """A block per message. It is made before the measured time begins, in which its name travels and the block is attached."""
    queue = standard.Queue()
    blocks = []

    def receive(board):
        block = shared_memory.SharedMemory(queue.get())
        array = numpy.ndarray(SHAPE, numpy.float32, block.buf)
        touch(board, array)
        del array
        block.close()
        block.unlink()

    for _ in range(count):
        blocks.append(shared_memory.SharedMemory(create=True, size=rounds.MIB48))
        blocks[-1].buf[0] = 1
    try:
        return median_delay(standard.Process, receive, lambda index: queue.put(blocks[index].name), count, ASLEEP)
    finally:
        for block in blocks:
            block.close()


def futex_delay(count):
    futex = rounds.Futex()

    def receive(board):
        futex.wait()
        board.seen()

    return median_delay(standard.Process, receive, lambda index: futex.wake(), count, ASLEEP)


def memcpy_time(source, target):
    """Milliseconds of one copy between warm memories."""
    times = []
    for _ in range(10):
        start = time.monotonic_ns()
        numpy.copyto(target, source)
        times.append(time.monotonic_ns() - start)
    return float(numpy.median(times)) / 1e6


def skep_chain(count):
    """Milliseconds per array: create, fill, put, read all, release."""
    queue = skep.Queue(2)

    def consume():
        for _ in range(count):
            queue.get().max()

    start = time.monotonic_ns()
    with rounds.Child(skep.Process, consume):
        for index in range(count):
            array = skep.empty(SHAPE, dtype=numpy.float32)
            array[...] = index
            queue.put(array)
            del array
    return (time.monotonic_ns() - start) / 1e6 / count


def names_chain(count):
    queue = standard.Queue(2)

    def consume():
        for _ in range(count):
            block = shared_memory.SharedMemory(queue.get())
            array = numpy.ndarray(SHAPE, numpy.float32, block.buf)
            array.max()
            del array
            block.close()
            block.unlink()

    start = time.monotonic_ns()
    with rounds.Child(standard.Process, consume):
        for index in range(count):
            block = shared_memory.SharedMemory(create=True, size=rounds.MIB48)
            array = numpy.ndarray(SHAPE, numpy.float32, block.buf)
            array[...] = index
            del array
            queue.put(block.name)
            block.close()
    return (time.monotonic_ns() - start) / 1e6 / count


def memory_work(array, count):
    start = time.monotonic_ns()
    for index in range(count):
        array[...] = index
        array.max()
    return (time.monotonic_ns() - start) / 1e6 / count


def main():
    shared = skep.empty(SHAPE, dtype=numpy.float32)
    shared[...] = 1
    ordinary = numpy.ones(SHAPE, numpy.float32)
    other = numpy.ones(SHAPE, numpy.float32)

    rounds.compete("Python array put -> first element", "48 MiB, consumer awake, pinned to cores 0 and 1", "us", 5,
                   {"skep": lambda: skep_delay(receive_awake, shared, 500, 0)})
    rounds.compete("Python array put -> first element", "48 MiB, consumer asleep, pinned to cores 0 and 1", "us", 5, {
        "skep": lambda: skep_delay(receive_with, shared, 60, ASLEEP),
        "bare futex wake-up": lambda: futex_delay(60),
        "multiprocessing.Queue": lambda: pickle_delay(ordinary, 2),
        "SharedMemory + Queue": lambda: names_delay(30),
    })
    rounds.compete("Python ordinary array put -> first element", "48 MiB, pinned to cores 0 and 1", "ms", 5, {
        "skep": lambda: skep_delay(receive_with, ordinary, 10, ASLEEP) / 1e3,
        "warm memcpy": lambda: memcpy_time(ordinary, other),
    })
    rounds.compete("Python chain", "48 MiB, create fill put read release, pinned to cores 0 and 1", "ms", 5, {
        "skep": lambda: skep_chain(30),
        "one process, warm": lambda: memory_work(other, 10),
        "SharedMemory + Queue": lambda: names_chain(8),
    })


if __name__ == "__main__":
    main()
