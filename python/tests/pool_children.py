# SPDX-License-Identifier: Apache-2.0
"""What the workers of the tests run; in a module of its own, so that spawned workers can import it."""
import ctypes
import os
import signal
import sys
import threading
import time

import skep


def square(x):
    return x * x


def add(x, y=0, *, z=0):
    return x + y + z


def identity(x):
    return x


def pid_of(x):
    time.sleep(0.01)
    return os.getpid()


def die(how):
    """End this process in one of the ways in which processes end."""
    if how == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == 'segfault':
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)
    elif how == 'exit':
        os._exit(7)
    elif how == 'sys.exit':
        raise SystemExit(9)
    return how


def die_on(x, victim):
    if x == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def die_at_first(path, x):
    """Die the first time that this is run."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return x
    os.kill(os.getpid(), signal.SIGKILL)


def mark(marks, index, seconds):
    marks[index] += 1
    if seconds:
        time.sleep(seconds)
    return index


def fail(x):
    raise ValueError('no such thing', x)  # a line to be found in the traceback


class TwoArguments(Exception):
    """Cannot be made again from its args."""

    def __init__(self, first, second):
        super().__init__(first)
        self.second = second


def fail_unloadably(x):
    raise TwoArguments(x, 'more')


class Holder(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def fail_unpicklably(x):
    raise Holder('holds a lock')


def return_lock(x):
    return threading.Lock()


class DiesWhenLoaded:
    def __reduce__(self):
        return os._exit, (5,)


class RefusesToLoad:
    def __reduce__(self):
        return fail, (1,)


class RefusesPickle:
    def __reduce__(self):
        raise RuntimeError('not to be pickled')


def return_refusing(x):
    return RefusesToLoad()


def bad_initializer(word):
    raise LookupError(word)


_word = None


def remember(word):
    global _word
    _word = word


def tell_word(x):
    return _word


def put_on(queue, item):
    queue.put(item)
    return queue.qsize() > 0


def total(array):
    return float(array.sum())


def total_when(array, path):
    wait_for_file(path)
    return float(array.sum()), array.flags.writeable


def set_first(array, value):
    array[0] = value


def negate_in_place(array):
    array *= -1
    return array


def make_array(count):
    return skep.full(count, 3, 'float64')


def nested(count):
    with skep.Pool(2) as pool:
        return pool.map(square, range(count))


def wait_for_file(path):
    while not os.path.exists(path):
        time.sleep(0.005)


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def main_with_pool(method, path):
    """The main function of a program that is killed while its workers are at work."""
    pool = skep.get_context(method).Pool(2)
    pids = pool.map(pid_of, range(8), 1)
    pool.map_async(sleep, [60, 60])
    with open(path, 'w') as out:
        out.write(' '.join(map(str, set(pids) | {worker.pid for worker in pool._pool})))
    os.rename(path, path + '.done')
    time.sleep(60)


if __name__ == '__main__':
    main_with_pool(*sys.argv[1:])


def call(function, *arguments):
    return function(*arguments)
