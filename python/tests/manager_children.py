# SPDX-License-Identifier: Apache-2.0
"""What the children of the tests of managers do, and the classes that their servers have."""
import os
import signal
import sys
import threading
import time

import multiprocessing.managers as standard_managers

from skep import managers


class Counter:
    def __init__(self, value=0):
        self.value = value

    def add(self, number=1):
        self.value += number
        return self.value

    def get(self):
        return self.value

    def echo(self, obj):
        return obj

    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    def fail(self, error):
        raise error

    def give_lambda(self):
        return lambda: 1

    def raise_awkward(self):
        raise Awkward(1, 2)

    def leave(self):
        sys.exit(3)

    def pid(self):
        return os.getpid()

    def another(self):
        return Counter(self.value + 1)

    def numbers(self):
        yield from range(3)


class Awkward(Exception):
    """Cannot be unpickled."""

    def __init__(self, one, two):
        super().__init__(one)


class Workshop(managers.SyncManager):
    pass


class StandardWorkshop(standard_managers.SyncManager):
    pass


for each, iterator in (Workshop, managers.IteratorProxy), (StandardWorkshop, standard_managers.IteratorProxy):
    each.register('Counter', Counter, method_to_typeid={'another': 'Made', 'numbers': 'Numbers'})
    each.register('Made', method_to_typeid={'another': 'Made'}, create_method=False)
    each.register('Numbers', proxytype=iterator, create_method=False)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def acquire_and_die(lock, told):
    lock.acquire()
    told.send('acquired')
    die()


def wait_for(call, told):
    told.send('waiting')
    call()


def wait_in_a_thread_and_hold(get, lock, told):
    """One thread waits for ever, the other holds a lock."""
    threading.Thread(target=get, daemon=True).start()
    lock.acquire()
    time.sleep(0.2)
    told.send('ready')
    time.sleep(60)


def hold_and_wait(address, authkey, cls, told):
    manager = cls(address, authkey)
    manager.connect()
    counters = [manager.Counter() for _ in range(3)]
    told.send([counter.get() for counter in counters])
    time.sleep(60)


def add_after(counter, told):
    told.recv()
    told.send(counter.add(5))


def add_in_child(counter):
    assert counter.add() == 1
    assert counter.another().get() == 2
    assert list(counter.numbers()) == [0, 1, 2]


def start_and_say(told):
    """A manager whose parent will be killed."""
    manager = Workshop()
    manager.start()
    told.send((manager._process.pid, manager.address))
    time.sleep(60)


def fail_to_initialize():
    raise LookupError('no such thing')
