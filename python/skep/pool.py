# SPDX-License-Identifier: Apache-2.0
"""Pools of worker processes.

Against multiprocessing.pool:

* a worker that is killed, at any moment, is replaced; the task that it ran fails with WorkerDied, or is run again where
  retries=n was asked for; nothing hangs and nothing is forgotten (_crew.py says why);
* what cannot be pickled raises in the call, not later from get();
* an initializer that raises breaks the pool: the next get() raises its exception;
* terminate() fails what is open, so that nobody waits for it for ever; workers end by themselves when their parent is gone;
* queues of skep can be arguments and results; workers may have children, so pools can be nested;
* arrays that were made by skep.empty() and its like go by reference; a large array that occurs in several tasks of one call
  is copied once, and read-only in the workers; any other large array is copied once on its way;
* lambdas and local functions can be sent if the package cloudpickle is installed;
* progress=True shows a bar on a terminal.

ThreadPool and the exceptions of multiprocessing.pool are the standard library's.
"""
import collections
import functools
import itertools
import os
import threading
import warnings

from multiprocessing import TimeoutError, util
from multiprocessing.pool import (CLOSE, INIT, RUN, TERMINATE, ExceptionWithTraceback, MaybeEncodingError, RemoteTraceback,
                                  ThreadPool)

from . import _crew
from ._crew import WorkerDied
from ._progress import bar

__all__ = ['Pool', 'ThreadPool', 'WorkerDied']

_CHUNK_MAX = 4096  # items, unless asked for: larger chunks gain nothing, and their results come late and through cold memory


def _name(function):
    return getattr(function, '__qualname__', None) or repr(function)


class ApplyResult(_crew.Job):
    """The outcome of one call to come: get, wait, ready, successful."""

    def __init__(self, pool, function, callback, error_callback, retries=0):
        self._pool, self._crew = pool, pool._crew
        self._called = _name(function)
        self._callback, self._error_callback = callback, error_callback
        self.background = callback is not None or error_callback is not None
        self.retries = retries
        self._done = False

    def ready(self):
        """Whether the call is done."""
        if not self._done:
            self._crew.poll()
        return self._done

    def successful(self):
        """Whether it was done without an exception.  ValueError: not done."""
        if not self.ready():
            raise ValueError(f'{self!r} not ready')
        return self._success

    def wait(self, timeout=None):
        """Wait until it is done, at most timeout seconds."""
        self._crew.wait(lambda: self._done, timeout)

    def get(self, timeout=None):
        """Wait for it; its value, or its exception is raised.  TimeoutError (of multiprocessing): not done in time."""
        if not self._done:
            self.wait(timeout)
        if not self._done:
            raise TimeoutError
        if self._success:
            return self._value
        raise self._value

    def describe(self, index):
        return f'{self._called}()'

    def _settle(self, index, ok, value):
        self._finish(ok, value)

    def _finish(self, ok, value):
        if self._done:
            return
        self._success, self._value = ok, value
        callback = self._callback if ok else self._error_callback
        self._callback = self._error_callback = None
        if callback is None:
            self._close()
        else:
            self._crew.call_in_background(functools.partial(self._call_back, callback))

    def _call_back(self, callback):
        try:
            callback(self._value)
        finally:
            self._close()
            self._crew.changed()

    def _close(self):
        self._done = True
        self._pool = None

    def _abandon(self, error):
        if not self._done:
            self._success, self._value = False, error
            self._close()


AsyncResult = ApplyResult


class MapResult(ApplyResult):
    """The outcome of a map to come: the list of all values, or the first exception after all chunks have ended."""

    def __init__(self, pool, function, count, chunksize, callback, error_callback, retries, progress):
        super().__init__(pool, function, callback, error_callback, retries)
        self._chunksize, self._values, self._error = chunksize, [None] * count, None
        self._left = -(-count // chunksize) if count else 0
        self._bar = bar(count, progress)
        if not self._left:
            self._finish(True, self._values)

    def describe(self, index):
        first = index * self._chunksize
        last = min(first + self._chunksize, len(self._values)) - 1
        return f'{self._called}() on ' + (f'item {first}' if first == last else f'items {first} to {last}')

    def _settle(self, index, ok, value):
        if ok:
            first = index * self._chunksize
            self._values[first:first + self._chunksize] = value
        elif self._error is None:
            self._error = value
        self._left -= 1
        if self._bar:
            self._bar.update(min(self._chunksize, len(self._values) - index * self._chunksize))
        if not self._left:
            if self._error is None:
                self._finish(True, self._values)
            else:
                self._finish(False, self._error)

    def _close(self):
        super()._close()
        self._values = None
        if self._bar:
            self._bar.close()


class IMapUnorderedIterator(_crew.Job):
    """The values of imap_unordered, as they come; next(timeout=None)."""

    def __init__(self, pool, function, count, chunksize, retries, progress):
        self._pool, self._crew, self._called, self.retries = pool, pool._crew, _name(function), retries
        self._chunksize = chunksize
        self._came = collections.deque()  # (ok, value or values)
        self._taken = 0                   # chunks given out
        self._total = None                # chunks, once known
        self._bar = bar(count, progress)

    def describe(self, index):
        return f'{self._called}() on ' + (f'item {index}' if self._chunksize == 1 else f'chunk {index} of {self._chunksize}')

    def __iter__(self):
        return self

    def next(self, timeout=None):
        """The next value, or its exception is raised and the one after it may be asked for.  TimeoutError: not there in time."""
        self._crew.wait(lambda: self._came or self._taken == self._total, timeout)
        if not self._came:
            if self._taken == self._total:
                self._pool = None
                if self._bar:
                    self._bar.close()
                raise StopIteration
            raise TimeoutError
        ok, value = self._came.popleft()
        self._taken += 1
        if self._bar:
            self._bar.update(len(value) if ok else 1)
        if not ok:
            raise value
        return value[0] if self._chunksize == 1 else value

    def __next__(self):
        return self.next()

    def _settle(self, index, ok, value):
        self._came.append((ok, value))

    def _end(self, total, error=None):
        """All chunks have been sent; an exception of the iterable itself is the last thing to come."""
        self._total = total + (error is not None)
        if error is not None:
            self._settle(total, False, error)
        self._crew.changed()

    def _abandon(self, error):
        self._total = self._taken + len(self._came) + 1
        self._came.append((False, error))


class IMapIterator(IMapUnorderedIterator):
    """The values of imap, in order; next(timeout=None)."""

    def __init__(self, *args):
        super().__init__(*args)
        self._early = {}

    def _settle(self, index, ok, value):
        self._early[index] = ok, value
        while (next_one := self._taken + len(self._came)) in self._early:
            self._came.append(self._early.pop(next_one))


class Pool:
    """Worker processes that run functions.

    processes: how many (default: as many as processors); initializer(*initargs) runs in each first; a worker is replaced
    after maxtasksperchild tasks; context: how processes are started.  Names, arguments and results are those of
    multiprocessing.Pool.  New arguments of all methods that run something: retries=n, run a task again when its worker died,
    up to n times (so it may run more than once); of map and the like: progress=True.
    """

    def __init__(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None, context=None):
        self._state = INIT
        if processes is None:
            processes = os.cpu_count() or 1
        if processes < 1:
            raise ValueError('Number of processes must be at least 1')
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError('maxtasksperchild must be a positive int or None')
        if initializer is not None and not callable(initializer):
            raise TypeError('initializer must be a callable')
        if context is None:
            from . import context as contexts
            context = contexts._default_context.get_context()
        self._ctx = context
        self._processes = processes
        self._crew = _crew.Crew(context, processes, initializer, initargs, maxtasksperchild)
        self._terminate = util.Finalize(self, self._crew.terminate, exitpriority=15)
        self._state = RUN

    @property
    def _pool(self):
        """The worker processes."""
        return list(self._crew.workers)

    def _repopulate_pool(self):
        """The watching thread replaces workers by itself."""

    # --- what runs something ---

    def apply(self, func, args=(), kwds={}, *, retries=0):
        """func(*args, **kwds) in a worker; waits for it."""
        return self.apply_async(func, args, kwds, retries=retries).get()

    def apply_async(self, func, args=(), kwds={}, callback=None, error_callback=None, *, retries=0):
        """As apply(), but returns an AsyncResult; callback(value) or error_callback(exception) runs in a thread of the pool."""
        self._check_running()
        result = ApplyResult(self, func, callback, error_callback, retries)
        crew = self._crew
        crew.check()
        if kwds:
            crew.put_one(result, crew.function(func), _crew.CALL_WITH_KEYWORDS, (tuple(args), dict(kwds)))
        else:
            crew.put_one(result, crew.function(func), _crew.CALL, tuple(args))
        return result

    def map(self, func, iterable, chunksize=None, *, retries=0, progress=None):
        """[func(item) for item in iterable], done by the workers in chunks; waits for it."""
        return self._map(func, iterable, chunksize, None, None, retries, progress, _crew.MAP).get()

    def map_async(self, func, iterable, chunksize=None, callback=None, error_callback=None, *, retries=0, progress=None):
        """As map(), but returns an AsyncResult."""
        return self._map(func, iterable, chunksize, callback, error_callback, retries, progress, _crew.MAP)

    def starmap(self, func, iterable, chunksize=None, *, retries=0, progress=None):
        """[func(*items) for items in iterable], done by the workers in chunks; waits for it."""
        return self._map(func, iterable, chunksize, None, None, retries, progress, _crew.STARMAP).get()

    def starmap_async(self, func, iterable, chunksize=None, callback=None, error_callback=None, *, retries=0, progress=None):
        """As starmap(), but returns an AsyncResult."""
        return self._map(func, iterable, chunksize, callback, error_callback, retries, progress, _crew.STARMAP)

    def imap(self, func, iterable, chunksize=1, *, retries=0, progress=None):
        """An iterator over func(item) for each item, in order."""
        return self._imap(IMapIterator, func, iterable, chunksize, retries, progress)

    def imap_unordered(self, func, iterable, chunksize=1, *, retries=0, progress=None):
        """An iterator over func(item) for each item, as they come."""
        return self._imap(IMapUnorderedIterator, func, iterable, chunksize, retries, progress)

    def _map(self, func, iterable, chunksize, callback, error_callback, retries, progress, how):
        self._check_running()
        items = iterable if hasattr(iterable, '__len__') else list(iterable)
        if chunksize is None:
            chunksize = min(-(-len(items) // (4 * self._processes)), _CHUNK_MAX)
        if len(items) and chunksize < 1:
            raise ValueError(f'Chunksize must be 1+, not {chunksize}')
        crew, iterator = self._crew, iter(items)
        chunks = list(iter(lambda: tuple(itertools.islice(iterator, chunksize)), ())) if len(items) else []
        function = crew.function(func)
        result = MapResult(self, func, len(items), chunksize, callback, error_callback, retries, progress)
        if chunks:
            crew.put(result, function, how, chunks)
        return result

    def _imap(self, kind, func, iterable, chunksize, retries, progress):
        self._check_running()
        if chunksize < 1:
            raise ValueError(f'Chunksize must be 1+, not {chunksize:n}')
        sized = hasattr(iterable, '__len__')
        result = kind(self, func, len(iterable) if sized else None, chunksize, retries, progress)
        function = self._crew.function(func)
        if sized:
            self._feed(result, function, iterable, chunksize)
        else:
            threading.Thread(target=self._feed, args=(result, function, iterable, chunksize), name='pool-feed', daemon=True).start()
        return result if chunksize == 1 else itertools.chain.from_iterable(result)

    def _feed(self, result, function, iterable, chunksize):
        """Send an iterable chunk by chunk; what it raises comes to the one who iterates over the results."""
        crew, total, error = self._crew, 0, None
        crew.hold()
        try:
            iterator = iter(iterable)
            while self._state in (RUN, CLOSE):
                chunk = tuple(itertools.islice(iterator, chunksize))
                if not chunk:
                    break
                crew.put(result, function, _crew.MAP, [chunk], total)
                total += 1
        except Exception as problem:
            error = problem
        result._end(total, error)
        crew.release()

    # --- the end ---

    def close(self):
        """No more calls; workers end when all that were made are done."""
        if self._state == RUN:
            self._state = CLOSE
            self._crew.close()

    def terminate(self):
        """End the workers at once.  What is not done fails."""
        self._state = TERMINATE
        self._terminate()

    def join(self):
        """Wait until the workers have ended.  ValueError: neither close() nor terminate() was called."""
        if self._state == RUN:
            raise ValueError('Pool is still running')
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError('In unknown state')
        self._crew.join()

    def _check_running(self):
        if self._state != RUN:
            raise ValueError('Pool not running')
        self._crew.check()

    def __enter__(self):
        self._check_running()
        return self

    def __exit__(self, exc_type, exc_value, exc_traceback):
        self.terminate()

    def __del__(self, _warn=warnings.warn, RUN=RUN):
        if self._state == RUN and self._crew._pid == os.getpid():
            _warn(f'unclosed running multiprocessing pool {self!r}', ResourceWarning, source=self)

    def __reduce__(self):
        raise NotImplementedError('pool objects cannot be passed between processes or pickled')

    def __repr__(self):
        return f'<{type(self).__module__}.{type(self).__qualname__} state={self._state} pool_size={self._processes}>'
