# SPDX-License-Identifier: Apache-2.0
"""Locks, semaphores, conditions, events and barriers in a hive: multiprocessing.synchronize that survives kill -9.

Names, signatures and exceptions are the standard library's.  Beyond it:

* who dies holding a Lock, RLock or RWLock leaves it to the next one, at once, who gets the news: `owner_died` is true until
  somebody sets it to False, and by default an OwnerDiedWarning is issued.  on_owner_died='raise' makes it an exception,
  OwnerDiedError, without the lock: nobody of that opinion gets it while `owner_died` is true.  Who repairs what it protects
  sets on_owner_died='ignore' for himself, takes it, repairs, and clears `owner_died`.  The choice is each process's own, and
  goes along when the lock is pickled.  Of a Condition it is its lock's, and wait() raises with the lock held;
* a party of a Barrier that dies breaks it for the others.  Who ends in order is no longer a party;
* a Semaphore does not get back what a dead process had taken, unless made with recover=True;
* all of them can be pickled at any time (skep.reference);
* in a hive that strange processes join they can have names: hive.lock('x', create=True) there, hive.lock('x') here (skep.Hive);
* new are RWLock and Once.
"""
import os
import threading
import time

from multiprocessing import process as _process

from . import _core
from ._core import OwnerDiedError, OwnerDiedWarning
from .hive import default_hive
from .reference import Referable

__all__ = ['Lock', 'RLock', 'Semaphore', 'BoundedSemaphore', 'Condition', 'Event', 'Barrier', 'RWLock', 'Once',
           'OwnerDiedError', 'OwnerDiedWarning']

SEM_VALUE_MAX = 0x7fffffff


def _hive(hive):
    return default_hive() if hive is None else hive


class SemLock(Referable):
    """What Lock, RLock and the semaphores have in common."""

    def _state(self):
        return {**(super()._state() or {}), 'on_owner_died': self.on_owner_died}

    # What multiprocessing's own classes ask of a `_semlock`.
    @property
    def _semlock(self):
        return self

    def _is_zero(self):
        return self._get_value() == 0


def _holder(lock):
    """Who holds a lock, in the words of its repr."""
    if lock._is_mine():
        thread = threading.current_thread().name
        return _process.current_process().name + ('' if thread == 'MainThread' else '|' + thread)
    if not lock.locked():
        return 'None'
    return 'SomeOtherThread' if lock.owner == os.getpid() else 'SomeOtherProcess'


class _Owned(SemLock):
    """Lock and RLock."""

    def _is_mine(self):
        return self._count() > 0

    def _get_value(self):
        return 0 if self.locked() else 1


class Lock(_Owned, _core.Lock):
    """A lock between processes and threads; not recursive, and released by whomever (ValueError: it is free).

    acquire(block=True, timeout=None), release(), locked(), with.
    New: owner (process id or None), owner_died, clear_owner_died(), on_owner_died.
    """

    def __init__(self, *, on_owner_died='warn', ctx=None, hive=None, name=None):
        super().__init__(_hive(hive), name, on_owner_died)

    def __repr__(self):
        return f'<{type(self).__name__}(owner={_holder(self)})>'


class RLock(_Owned, _core.RLock):
    """A lock that its owner, one thread of one process, may take again and again, and alone may release (AssertionError)."""

    def __init__(self, *, on_owner_died='warn', ctx=None, hive=None, name=None):
        super().__init__(_hive(hive), name, on_owner_died)

    def __repr__(self):
        holder = _holder(self)
        count = self._count() or (0 if holder == 'None' else 'nonzero')
        return f'<{type(self).__name__}({holder}, {count})>'


class Semaphore(SemLock, _core.Semaphore):
    """A counter that makes takers wait while it is zero.

    acquire(block=True, timeout=None), release(n=1), get_value(), locked(), with.  recover=True: it has `value` units, knows
    who holds them, and the next taker gets what a dead process held; only who holds a unit may release one (ValueError).
    """

    def __init__(self, value=1, *, recover=False, on_owner_died='warn', ctx=None, hive=None, name=None):
        super().__init__(_hive(hive), value, False, recover, name, on_owner_died)

    def _get_value(self):
        return self.get_value()

    def __repr__(self):
        return f'<{type(self).__name__}(value={self.get_value()})>'


class BoundedSemaphore(Semaphore):
    """A semaphore that never counts above its first value (ValueError)."""

    _maxvalue = 'unknown'  # of one that was opened by name

    def __init__(self, value=1, *, on_owner_died='warn', ctx=None, hive=None, name=None):
        _core.Semaphore.__init__(self, _hive(hive), value, True, False, name, on_owner_died)
        self._maxvalue = value

    def __repr__(self):
        return f'<{type(self).__name__}(value={self.get_value()}, maxvalue={self._maxvalue})>'


class _Count:
    """A figure that looks like a semaphore's."""

    def __init__(self, get_value):
        self.get_value = get_value


class Condition(Referable, _core.Condition):
    """Wait, under a Lock or RLock of skep (by default an RLock of its own), until somebody says that something has changed.

    wait(timeout=None), wait_for(predicate, timeout=None), notify(n=1), notify_all(), and the lock's acquire and release.
    AssertionError: the lock is not held.  A notified waiter that dies passes the notification on.
    """

    def __init__(self, lock=None, *, ctx=None, hive=None, name=None):
        if lock is None and name is None:
            lock = RLock(hive=hive)
        super().__init__(lock.hive if isinstance(lock, _Owned) else _hive(hive), lock, name)

    def _attach_arguments(self):
        return (self._lock,)

    def wait_for(self, predicate, timeout=None):
        """Wait until predicate() is true; returns what it returned last, which is false if the time ran out."""
        end = None if timeout is None else time.monotonic() + timeout
        while not (result := predicate()):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    @property
    def _sleeping_count(self):
        return _Count(self._waiters)

    @property
    def _woken_count(self):
        return _Count(int)

    _wait_semaphore = _woken_count

    def __repr__(self):
        if self.hive.is_remote:
            return f'<{type(self).__name__} of another machine>'
        return f'<{type(self).__name__}({self._lock!r}, {self._waiters()})>'


class Event(Referable, _core.Event):
    """A flag to wait for: is_set(), set(), clear(), wait(timeout=None) -> bool."""

    def __init__(self, *, ctx=None, hive=None, name=None):
        super().__init__(_hive(hive), name)

    def __repr__(self):
        return f'<{type(self).__qualname__} at {id(self):#x} {"set" if self.is_set() else "unset"}>'


class Barrier(Referable, _core.Barrier):
    """A point that all parties must reach before any goes on: wait(timeout=None) -> 0 .. parties - 1.

    The last to come runs action.  threading.BrokenBarrierError for all when the time of one runs out, the action raises,
    somebody calls abort() or reset(), or a party dies (killed; who ends in order does not break it).
    """

    _action = _timeout = None  # of one that was opened by name

    def __init__(self, parties, action=None, timeout=None, *, ctx=None, hive=None, name=None):
        super().__init__(_hive(hive), parties, name)
        self._action = action
        self._timeout = timeout

    def wait(self, timeout=None):
        """Wait for the others; timeout None: the barrier's."""
        return super().wait(self._timeout if timeout is None else timeout, self._action)

    def __repr__(self):
        state = 'broken' if self.broken else f'waiters={self.n_waiting}/{self.parties}'
        return f'<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: {state}>'


class _Side:
    """One side of a reader-writer lock, for a with statement."""

    __slots__ = ('_acquire', '_release')

    def __init__(self, acquire, release):
        self._acquire = acquire
        self._release = release

    def __enter__(self):
        return self._acquire()

    def __exit__(self, *exc_info):
        self._release()


class RWLock(Referable, _core.RWLock):
    """Many readers or one writer: `with lock.read():`, `with lock.write():`.

    Owned by a thread, not recursive (RuntimeError); while a writer waits no new reader comes in.
    Also acquire_read(block=True, timeout=None), acquire_write(...), release() (AssertionError: not held), writer.
    When a writer died the next one, reader or writer, is told once, as on_owner_died says.
    """

    def __init__(self, *, on_owner_died='warn', ctx=None, hive=None, name=None):
        super().__init__(_hive(hive), name, on_owner_died)

    def read(self):
        """The lock for reading, as a context manager."""
        return _Side(self.acquire_read, self.release)

    def write(self):
        """The lock for writing, as a context manager."""
        return _Side(self.acquire_write, self.release)


class Once(Referable, _core.Once):
    """What only one of all threads of all processes does: run(function, timeout=None) -> whether this call did it; done."""

    def __init__(self, *, ctx=None, hive=None, name=None):
        super().__init__(_hive(hive), name)
