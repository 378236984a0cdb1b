# SPDX-License-Identifier: Apache-2.0
"""What the Python benchmarks share; the counterpart of bench.h.

Contestants are asked in turn, round after round; the median over the rounds counts. Child processes are forked, so that
what is measured is the queue and not the start method.
"""
import ctypes
import json
import mmap
import os
import statistics
import sys
import time

import numpy

CORES = sorted(os.sched_getaffinity(0))
MIB48 = 48 << 20


def pin(core):
    os.sched_setaffinity(0, {CORES[core % len(CORES)]})


def row(name, parameters, peer, samples, unit):
    print(json.dumps({"name": name, "parameters": parameters, "peer": peer, "median": float(f"{statistics.median(samples):.4g}"),
                      "lowest": float(f"{min(samples):.4g}"), "highest": float(f"{max(samples):.4g}"), "unit": unit}), flush=True)


def compete(name, parameters, unit, rounds, contestants):
    """contestants: {peer: function without arguments that returns one sample}. The first round warms up."""
    samples = {peer: [] for peer in contestants}
    for number in range(rounds + 1):
        for peer, measure in contestants.items():
            try:
                sample = measure()
            except Exception as error:  # a peer that fails costs its row, not the run
                print(f"bench: {name} ({parameters}): {peer}: {error!r}", file=sys.stderr)
                continue
            if number:
                samples[peer].append(sample)
    for peer, found in samples.items():
        if found:
            row(name, parameters, peer, found, unit)


class Board:
    """A page that parent and child both see: when something was sent, how many were seen, and how long each took."""

    def __init__(self, count):
        self.memory = mmap.mmap(-1, 8 * (count + 2))
        self.words = numpy.frombuffer(self.memory, dtype=numpy.int64)

    def sent(self):
        self.words[0] = time.monotonic_ns()

    def seen(self):
        """By the receiver, right after it has touched what it got."""
        now = time.monotonic_ns()
        count = self.words[1]
        self.words[2 + count] = now - self.words[0]
        self.words[1] = count + 1

    def wait_seen(self, count, pause):
        limit = time.monotonic() + 20
        while self.words[1] < count:
            if time.monotonic() > limit:
                raise TimeoutError("the receiver did not answer")
            if pause:
                time.sleep(pause)

    def delays(self):
        return [float(word) for word in self.words[2:2 + self.words[1]]]


class Child:
    """Run a function in a forked child, pinned to core 1; the parent is on core 0."""

    def __init__(self, process, function, *arguments):
        self.process = process(target=self._run, args=(function, *arguments))
        self.process.start()
        pin(0)

    @staticmethod
    def _run(function, *arguments):
        pin(1)
        function(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.process.kill()
        self.process.join(20)
        if self.process.exitcode is None:
            self.process.kill()
        elif self.process.exitcode and not kind:
            raise RuntimeError(f"the child ended with {self.process.exitcode}")


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_FUTEX = {"x86_64": 202}.get(os.uname().machine, 98)


class Futex:
    """A bare wake-up between two processes, without anything that carries data."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 64)
        self.word = ctypes.c_uint32.from_buffer(self.memory)

    def wake(self):
        self.word.value = 1
        _syscall(_FUTEX, ctypes.byref(self.word), 1, 1, None, None, 0)

    def wait(self):
        while not self.word.value:
            _syscall(_FUTEX, ctypes.byref(self.word), 0, 0, None, None, 0)
        self.word.value = 0
