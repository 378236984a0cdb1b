# SPDX-License-Identifier: Apache-2.0
"""Small things from one Python process to another: bytes objects in a row, and a tuple there and back."""
import multiprocessing
import time

import rounds
import skep

standard = multiprocessing.get_context("fork")
MESSAGE = bytes(64)
RUN = 64
TUPLE = (1, "two", 3.0)


def rate(process, produce, consume, count):
    """Millions of messages per second. The clock starts with the first message received."""
    board = rounds.Board(2)

    def receiver():
        consume(1)
        board.sent()
        consume(count - 1)
        board.seen()

    with rounds.Child(process, receiver):
        produce(count)
        board.wait_seen(1, 0.001)
    return (count - 1) * 1e3 / board.delays()[0]


def one_by_one(put, get, message=MESSAGE):
    def produce(count):
        for _ in range(count):
            put(message)

    def consume(count):
        for _ in range(count):
            get()
    return produce, consume


def in_runs(queue):
    messages = [MESSAGE] * RUN

    def produce(count):
        for _ in range(count // RUN):
            queue.put_many(messages)

    def consume(count):
        while count > 0:
            count -= len(queue.get_many(min(count, RUN)))
    return produce, consume


def skep_rate(count):
    queue = skep.Queue(1024)
    return rate(skep.Process, *one_by_one(queue.put, queue.get), count)


def skep_rate_many(count):
    return rate(skep.Process, *in_runs(skep.Queue(1024)), count)


def queue_rate(count):
    queue = standard.Queue()
    return rate(standard.Process, *one_by_one(queue.put, queue.get), count)


def pipe_rate(count):
    reader, writer = standard.Pipe(False)
    return rate(standard.Process, *one_by_one(writer.send_bytes, reader.recv_bytes), count)


def many_rate(process, queue, count):
    """Two producers, two consumers, each with that many messages; from the first put to the last get."""
    gate, ended = standard.Barrier(4), standard.RawArray("q", 4)

    def produce(index):
        gate.wait()
        ended[index] = time.monotonic_ns()
        for _ in range(count):
            queue.put(MESSAGE)

    def consume(index):
        gate.wait()
        for _ in range(count):
            queue.get()
        ended[index] = time.monotonic_ns()

    children = [process(target=consume if index < 2 else produce, args=(index,)) for index in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        if child.exitcode != 0:
            child.kill()
            raise RuntimeError(f"a child ended with {child.exitcode}")
    return 2 * count * 1e3 / (max(ended[0:2]) - min(ended[2:4]))


def round_trip(process, put, get, server_put, server_get, count):
    """Microseconds there and back."""
    def server():
        for _ in range(count + 10):
            server_put(server_get())

    with rounds.Child(process, server):
        for number in range(count + 10):
            if number == 10:
                start = time.monotonic_ns()
            put(TUPLE)
            get()
        end = time.monotonic_ns()
    return (end - start) / 1e3 / count


def skep_trip(count):
    there, back = skep.Queue(), skep.Queue()
    return round_trip(skep.Process, there.put, back.get, back.put, there.get, count)


def queue_trip(count):
    there, back = standard.Queue(), standard.Queue()
    return round_trip(standard.Process, there.put, back.get, back.put, there.get, count)


def pipe_trip(count):
    here, there = standard.Pipe()
    return round_trip(standard.Process, here.send, here.recv, there.send, there.recv, count)


def main():
    rounds.compete("Python messages 1->1", "64 B bytes, one by one, pinned to cores 0 and 1", "M/s", 5, {
        "skep": lambda: skep_rate(400000), "multiprocessing.Queue": lambda: queue_rate(60000), "multiprocessing.Pipe": lambda: pipe_rate(80000)})
    rounds.compete("Python messages 1->1 many", "64 B bytes, runs of 64, pinned to cores 0 and 1", "M/s", 5,
                   {"skep": lambda: skep_rate_many(RUN * 15000)})
    there, usual = skep.Queue(1024), standard.Queue()
    rounds.compete("Python tuples 1->1", "small tuple, pinned to cores 0 and 1", "M/s", 5, {
        "skep": lambda: rate(skep.Process, *one_by_one(there.put, there.get, TUPLE), 200000),
        "multiprocessing.Queue": lambda: rate(standard.Process, *one_by_one(usual.put, usual.get, TUPLE), 60000)})
    rounds.compete("Python messages 2->2", "64 B bytes, two producers, two consumers, not pinned", "M/s", 5, {
        "skep": lambda: many_rate(skep.Process, skep.Queue(1024), 100000),
        "multiprocessing.Queue": lambda: many_rate(standard.Process, standard.Queue(), 20000)})
    rounds.compete("Python round trip", "small tuple, pinned to cores 0 and 1", "us", 5, {
        "skep": lambda: skep_trip(20000), "multiprocessing.Queue": lambda: queue_trip(2000), "multiprocessing.Pipe": lambda: pipe_trip(2000)})


if __name__ == "__main__":
    main()
