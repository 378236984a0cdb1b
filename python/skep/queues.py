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
* a process that is killed leaves the queue working; what it had begun to take comes out again;
* `await queue.aget()`, `await queue.aput(obj)` and `async for obj in queue` wait in asyncio's loop, many tasks at once.
"""
import types
import weakref

from queue import Empty, Full

from . import _core
from .hive import default_hive
from .reference import Referable

__all__ = ['Queue', 'SimpleQueue', 'JoinableQueue', 'Empty', 'Full']


class _End:
    """What multiprocessing's own code takes for the end of a pipe: `_reader` and `_writer` of a queue."""

    def __init__(self, queue):
        self._queue = queue
        self._closed = False

    @property
    def closed(self):
        return self._closed or self._queue._closed_here

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
        self._closed = True  # the other end does not notice: a queue has no end of file


class _Shared(Referable, _core.Queue):
    """Identity of a queue in this process and on the way to others."""

    _closed_here = False

    @classmethod
    def _make(cls, hive, maxsize=0, name=None, acknowledge=False, deliveries=0):
        queue = cls.__new__(cls)
        _core.Queue.__init__(queue, hive, maxsize, name, acknowledge, deliveries)
        return queue

    def __reduce__(self):
        if self._closed_here:
            raise ValueError(f'Queue {self!r} is closed')
        return super().__reduce__()

    def _ready(self):
        return self.qsize() > 0 or self.closed

    def close(self):
        """This process does no more with the queue; others go on."""
        super().close()
        self._closed_here = True
        self._forget()
        for waiters in list(self.__dict__.get('_skep_waiters', {}).values()):
            waiters.wake_all()

    @property
    def _reader(self):
        return self.__dict__.get('_skep_reader') or self.__dict__.setdefault('_skep_reader', _End(weakref.proxy(self)))

    @property
    def _writer(self):
        return self.__dict__.get('_skep_writer') or self.__dict__.setdefault('_skep_writer', _End(weakref.proxy(self)))


class Queue(_Shared):
    """A queue between processes: many producers, many consumers, each object to exactly one of them.

    maxsize: objects that fit; 0 or less: no limit but the hive's memory (MemoryError).

    put(obj, block=True, timeout=None), get(block=True, timeout=None), put_nowait, get_nowait, qsize, empty, full and
    close are those of multiprocessing.Queue: queue.Full and queue.Empty at the timeout, ValueError once closed.
    What is shared and what is copied: arrays born in the hive (skep.arrays) are shared, by themselves or inside an object; all
    else is copied once, and the receiver has his own.  put(array, copy=True) copies those too; put(array, copy=False) raises
    ValueError or TypeError, which says why, if memory of arrays or buffers would be copied, or there is none to share.
    New: put_many(iterable), get_many(max), shutdown() (no more puts by anybody), fileno() for select, and for asyncio
    aget(), aput(obj) and `async for`.
    """

    def __init__(self, maxsize=0, *, ctx=None):
        super().__init__(default_hive(), maxsize)

    async def aget(self):
        """get() for a task of asyncio: others run while it waits.  A task that is cancelled has taken nothing."""
        while True:
            try:
                return self.get_nowait()
            except Empty:
                await self._wait_in_loop(self.fileno())

    async def aput(self, obj):
        """put() for a task of asyncio: others run while the queue is full.  A task that is cancelled has put nothing."""
        while True:
            try:
                return self.put_nowait(obj)
            except Full:
                await self._wait_in_loop(self._space_fileno())

    def __aiter__(self):
        return self

    async def __anext__(self):
        """aget() until the queue is closed here, or shut down and drained."""
        try:
            return await self.aget()
        except ValueError as error:
            if self.closed and str(error) == f'Queue {self!r} is closed':
                raise StopAsyncIteration from None
            raise

    async def _wait_in_loop(self, fd):
        import asyncio
        from .waiting import Waiters
        loop = asyncio.get_running_loop()
        every = self.__dict__.setdefault('_skep_waiters', {})
        key = id(loop), fd
        waiters = every.get(key)
        if waiters is None:
            waiters = every[key] = Waiters(loop, fd)
        try:
            await waiters.wait()
        finally:
            if not waiters and every.get(key) is waiters:
                del every[key]

    def join_thread(self):
        """Nothing to wait for: what was put is in the queue.  AssertionError unless closed."""
        assert self._closed_here, f'Queue {self!r} not closed'

    def cancel_join_thread(self):
        """Nothing to cancel: no process waits for its queues when it ends."""

    __class_getitem__ = classmethod(types.GenericAlias)


class JoinableQueue(Queue):
    """A Queue that counts the objects for which nobody has said task_done() yet; join() waits until there are none.

    The figure is exact whoever is killed when: what a killed producer did not come to put is not counted.  Who is killed with an
    object that he has got leaves it unfinished, until another says task_done() for it.
    """

    def task_done(self):
        """Say that one object that was got is done with.  ValueError: there are no more unfinished ones than that."""
        self._task_done()

    def join(self):
        """Wait until each object that was put is done with."""
        self._join()


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
