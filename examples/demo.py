# SPDX-License-Identifier: Apache-2.0
"""`make demo`: ten 48 MiB arrays from one process to another, then what one such hand-over costs, three ways.

The table measures from the call of put() to the moment when the other process has read the first element. The consumer
sleeps in get() before each round; the rounds of the three ways take turns; the median counts.
"""
import math
import multiprocessing
import os
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from statistics import median

try:
    import numpy
except ImportError:
    sys.exit("demo: needs NumPy")
import skep

FRAME = (1, 3, 2048, 2048)
SIZES = {"4 KiB": 4 << 10, "1 MiB": 1 << 20, "48 MiB": 48 << 20}
ROUNDS = 15
PAUSE_S = 0.01  # long enough for the consumer to fall asleep
PATIENCE_S = 30


# --- frames ----------------------------------------------------------------------------------------------------------


def produce_frames(queue):
    for number in range(10):
        frame = skep.empty(FRAME, "float32")  # born in shared memory, otherwise an ordinary numpy.ndarray
        frame.fill(number)
        queue.put(frame)
    queue.put(None)


def print_frames(queue):
    while (frame := queue.get()) is not None:
        print(f"  frame {frame.shape} {frame.dtype}, first value {frame[0, 0, 0, 0]}", flush=True)


def frames():
    context = skep.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=target, args=(queue,)) for target in (produce_frames, print_frames)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return all(process.exitcode == 0 for process in processes)


# --- what it costs ---------------------------------------------------------------------------------------------------


def take_arrays(queue, replies):
    """Consumer of arrays, for skep and for multiprocessing alike."""
    while (array := queue.get()) is not None:
        value = float(array[0])
        replies.put((time.perf_counter_ns(), value))
        del array


def take_names(queue, replies):
    """Consumer of names of SharedMemory blocks."""
    while (name := queue.get()) is not None:
        block = SharedMemory(name=name)
        value = float(numpy.frombuffer(block.buf, "float32", count=1)[0])
        replies.put((time.perf_counter_ns(), value))
        block.close()


class Way:
    """One consumer process, fed by a queue."""

    def __init__(self, context, consumer):
        self.queue, self.replies = context.Queue(), context.Queue()
        self.process = context.Process(target=consumer, args=(self.queue, self.replies), daemon=True)
        self.process.start()

    def array(self, count):
        return numpy.empty(count, "float32")

    def message(self, array):
        return array

    def round(self, count, number):
        """Nanoseconds of one hand-over of `count` floats."""
        array = self.array(count)
        array.fill(number)
        message = self.message(array)
        time.sleep(PAUSE_S)
        begin = time.perf_counter_ns()
        self.queue.put(message)
        end, value = self.replies.get(timeout=PATIENCE_S)
        if value != number:
            raise RuntimeError(f"sent {number}, the other side read {value}")
        return end - begin

    def finish(self):
        self.queue.put(None)
        self.process.join(PATIENCE_S)


class SkepWay(Way):
    def array(self, count):
        return skep.empty(count, "float32")


class BlockWay(Way):
    """One block per size, made once and used again: what a careful user does by hand."""

    block = None

    def array(self, count):
        if self.block is None or self.block.size < 4 * count:
            self.drop()
            self.block = SharedMemory(create=True, size=4 * count)
        return numpy.frombuffer(self.block.buf, "float32", count=count)

    def message(self, array):
        return self.block.name

    def drop(self):
        if self.block is not None:
            self.block.close()
            self.block.unlink()
            self.block = None

    def finish(self):
        super().finish()
        self.drop()


def readable(ns):
    return f"{ns / 1e6:.2f} ms" if ns >= 1e6 else f"{ns / 1e3:.0f} us"


def ratio(factor):
    """Two digits that mean something."""
    digits = max(0, 1 - math.floor(math.log10(factor)))
    return f"{round(factor, 1 - math.floor(math.log10(factor))):.{digits}f} x"


def costs():
    plain = multiprocessing.get_context("spawn")
    ways = [Way(plain, take_arrays), BlockWay(plain, take_names), SkepWay(skep.get_context("spawn"), take_arrays)]
    print(f"{'':>8}{'multiprocessing.Queue':>24}{'SharedMemory by hand':>24}{'skep':>12}")
    try:
        for label, size in SIZES.items():
            for way in ways:
                way.round(size // 4, -1.0)  # the first touch of everything does not count
            rounds = [[way.round(size // 4, float(number)) for way in ways] for number in range(ROUNDS)]
            queue_ns, block_ns, skep_ns = (median(column) for column in zip(*rounds))
            others = [f"{readable(ns)} = {ratio(ns / skep_ns)}" for ns in (queue_ns, block_ns)]
            print(f"{label:>8}{others[0]:>24}{others[1]:>24}{readable(skep_ns):>12}", flush=True)
    finally:
        for way in ways:
            way.finish()


def main():
    before = set(os.listdir("/dev/shm"))
    print("Ten arrays of 48 MiB through a skep.Queue, from a producer process to a consumer process:", flush=True)
    if not frames():
        return 1
    print(f"\nput() until the other process has read the first element, median of {ROUNDS} rounds, and the multiple of skep's time:\n")
    costs()
    left = sorted(name for name in set(os.listdir("/dev/shm")) - before if name.startswith("skep"))
    print(f"\nLeft behind in /dev/shm by skep: {', '.join(left) or 'nothing'}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
