# SPDX-License-Identifier: Apache-2.0
"""Pipes between two Python processes: 64 bytes there and back, a mebibyte of bytes, and an array of 48 MiB."""
import multiprocessing
import statistics
import time

import numpy
import rounds
import skep

standard = multiprocessing.get_context("fork")
ASLEEP = 0.003  # seconds after which a waiting peer surely sleeps
MESSAGE = bytes(64)
MIB = bytes(1 << 20)


def echo(end, count, receive, reply):
    for _ in range(count):
        receive(end)
        reply(end)


def delay(package, count, send, receive, pause=0, reply=lambda end: end.send_bytes(b"")):
    """Median of the microseconds from the send until the reply is there."""
    here, there = package.Pipe()
    samples = []
    with rounds.Child(package.Process, echo, there, count, receive, reply):
        for _ in range(count):
            if pause:
                time.sleep(pause)
            begin = time.monotonic_ns()
            send(here)
            here.recv_bytes()
            samples.append((time.monotonic_ns() - begin) / 1e3)
    here.close()
    there.close()
    return statistics.median(samples)


def round_trip(package, count, pause=0):
    return delay(package, count, lambda end: end.send_bytes(MESSAGE), lambda end: end.recv_bytes(), pause, lambda end: end.send_bytes(MESSAGE))


def objects(package, count, obj):
    return delay(package, count, lambda end: end.send(obj), lambda end: touch(end.recv()))


def touch(obj):
    return obj[0] if isinstance(obj, bytes) else obj.flat[0]


def main():
    both = {"skep": skep, "multiprocessing.Pipe": standard}
    rounds.compete("Python pipe round trip", "64 B, awake", "us", 5, {name: lambda package=package: round_trip(package, 3000)
                                                                      for name, package in both.items()})
    rounds.compete("Python pipe round trip", "64 B, asleep", "us", 5, {name: lambda package=package: round_trip(package, 100, ASLEEP)
                                                                       for name, package in both.items()})
    rounds.compete("Python pipe there, short reply", "1 MiB bytes", "us", 5, {name: lambda package=package: objects(package, 200, MIB)
                                                                              for name, package in both.items()})
    born = skep.ones((1, 3, 2048, 2048), "float32")
    ordinary = numpy.ones((1, 3, 2048, 2048), "float32")
    rounds.compete("Python pipe there, short reply", "48 MiB array born in the hive", "us", 3, {
        "skep": lambda: objects(skep, 300, born), "multiprocessing.Pipe": lambda: objects(standard, 3, ordinary)})


if __name__ == "__main__":
    main()
