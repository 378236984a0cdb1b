# SPDX-License-Identifier: Apache-2.0
"""Queues in a hive.

Against multiprocessing.queues:

* put() pickles at once, in the caller, and raises what pickle raises; there is no feeder thread, so an object is in the
  queue when put() returns, and nothing has to be flushed at exit;
* a queue can be pickled at any time, not only for a child that is being started.  What is sent is a reference: the
  receiver must be a member of the hive.  A queue or pipe of the same hive holds what is sent through it until it has been
  taken; elsewhere somebody must hold the queue until the receiver has attached;
* arrays made by skep.empty() and its like go by reference, by themselves or (if contiguous) inside other objects: sender
  and receiver see the same elements;
* a process that is killed leaves the queue working; what it had begun to take comes out again.

JoinableQueue is still the standard library's.
"""
import os
import threading
import types
import weakref

from multiprocessing.context import get_spawning_popen
from multiprocessing.queues import JoinableQueue
from queue import Empty, Full

from . import _core
from .hive import _keep_until_child_ends, default_hive

__all__ = ['Queue', 'SimpleQueue', 'JoinableQueue', 'Empty', 'Full']

_attached = weakref.WeakValueDictionary()  # (class, identity of the hive, reference) -> queue of this process
_attached_lock = threading.RLock()


class _End:
    """What multiprocessing's own code takes for the end of a pipe: `_reader` and `_writer` of a queue."""

    def __init__(self, queue):
        self._queue = queue
        self.closed = False

    def fileno(self):
        return self._queue.fileno()

    def send(self, obj):
        self._queue.put(obj)

    def recv(self):
        return self._queue.get()

    def poll(self, timeout=0.0):
        if timeout is None or timeout > 0:
            from .connection import wait
            return bool(wait([self], timeout)) and not self._queue.empty()
        return not self._queue.empty()

    def _ready(self):
        return self._queue._ready()

    def close(self):
        self.closed = True  # the other end does not notice: a queue has no end of file


class _Shared(_core.Queue):
    """Identity of a queue in this process and on the way to others."""

    _closed_here = False

    @classmethod
    def _make(cls, hive, maxsize=0, name=None):
        queue = cls.__new__(cls)
        _core.Queue.__init__(queue, hive, maxsize, name)
        return queue

    @property
    def _key(self):
        return type(self), self.hive.identity, self.reference

    def __reduce__(self):
        if self._closed_here:
            raise ValueError(f'Queue {self!r} is closed')
        popen = get_spawning_popen()
        if popen is not None:
            _keep_until_child_ends(popen, self)
        _core.mention(self.hive, self.reference)  # in a message of the same hive it is held by the message
        with _attached_lock:
            _attached.setdefault(self._key, self)  # it may come back
        return _attach, (type(self), self.hive, self.reference, self._state())

    def _ready(self):
        return self.qsize() > 0 or self.closed

    def _state(self):
        """Attributes that a subclass has given its instances."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith('_skep_')} or None

    def close(self):
        """This process does no more with the queue; others go on."""
        super().close()
        self._closed_here = True
        with _attached_lock:
            if _attached.get(self._key) is self:
                del _attached[self._key]

    @property
    def _reader(self):
        return self.__dict__.get('_skep_reader') or self.__dict__.setdefault('_skep_reader', _End(weakref.proxy(self)))

    @property
    def _writer(self):
        return self.__dict__.get('_skep_writer') or self.__dict__.setdefault('_skep_writer', _End(weakref.proxy(self)))


def _attach(cls, hive, reference, state):
    """Unpickle a queue: the one that this process has already, or another handle to it."""
    key = cls, hive.identity, reference
    with _attached_lock:
        queue = _attached.get(key)
        if queue is None:
            queue = cls.attach(hive, *reference)
            _attached[key] = queue
        if state:
            queue.__dict__.update(state)
    return queue


class Queue(_Shared):
    """A queue between processes: many producers, many consumers, each object to exactly one of them.

    maxsize: objects that fit; 0 or less: no limit but the hive's memory (MemoryError).

    put(obj, block=True, timeout=None), get(block=True, timeout=None), put_nowait, get_nowait, qsize, empty, full and
    close are those of multiprocessing.Queue: queue.Full and queue.Empty at the timeout, ValueError once closed.
    New: put_many(iterable), get_many(max), shutdown() (no more puts by anybody), fileno() for select.
    """

    def __init__(self, maxsize=0, *, ctx=None):
        super().__init__(default_hive(), maxsize)

    def join_thread(self):
        """Nothing to wait for: what was put is in the queue.  AssertionError unless closed."""
        assert self._closed_here, f'Queue {self!r} not closed'

    def cancel_join_thread(self):
        """Nothing to cancel: no process waits for its queues when it ends."""

    __class_getitem__ = classmethod(types.GenericAlias)


class SimpleQueue(_Shared):
    """A queue without limit and timeouts: put(obj), get(), empty(), close()."""

    def __init__(self, *, ctx=None):
        super().__init__(default_hive())

    def _check_closed(self):
        if self._closed_here:
            raise OSError('handle is closed')

    def put(self, obj):
        """Append an object.  Does not wait.  OSError: closed.  MemoryError: the hive is full."""
        self._check_closed()
        super().put(obj)

    def get(self):
        """Wait for an object and take it.  OSError: closed."""
        self._check_closed()
        return super().get()

    def empty(self):
        """Whether the queue is empty just now.  OSError: closed."""
        self._check_closed()
        return super().empty()

    __class_getitem__ = classmethod(types.GenericAlias)


def _after_fork_in_child():
    global _attached_lock
    _attached_lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)
