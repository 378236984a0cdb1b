# SPDX-License-Identifier: Apache-2.0
"""ProcessPoolExecutor: concurrent.futures over a crew of workers.

It is a concurrent.futures.Executor, and its futures are concurrent.futures.Future, so wait() and as_completed() of the
standard library take them.  Against concurrent.futures.ProcessPoolExecutor:

* a worker that dies takes its own task with it, not the executor: that future fails with WorkerDied (a BrokenProcessPool),
  the others go on; all is lost (BrokenProcessPool) only when workers cannot be started or the initializer raises;
* a future can be cancelled until a worker has taken it, not only until it is near the head of the queue;
* submit_with(retries=n)(fn, ...) runs a task again when its worker died; map() takes retries=n;
* map() copies a large array that occurs in several calls once; arrays of skep.empty() and its like go by reference.
"""
import functools
import itertools
import os
import threading
import time
import weakref

from collections import deque
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures._base import CANCELLED, FINISHED, PENDING, RUNNING
from concurrent.futures.process import BrokenProcessPool, _ExceptionWithTraceback

from . import _crew
from ._crew import WorkerDied

__all__ = ['ProcessPoolExecutor', 'BrokenProcessPool', 'WorkerDied']

_crews = weakref.WeakSet()
_at_exit = False


# What concurrent.futures.Future.__init__() sets.  Where it sets anything else, it is called.
_FIELDS = {'_condition', '_state', '_result', '_exception', '_waiters', '_done_callbacks'}
_is_as_known = set(vars(Future())) == _FIELDS


class _Future(_crew.Job, Future):
    """A future whose task can be taken out of the queue again; the job of its own call.

    Those of one executor have one condition.  Nobody sleeps on it: who waits for a result takes the results of all, through the
    crew.  Only for callbacks, and for wait() and as_completed(), which look at _waiters, a thread does it in the background.
    """

    _crew = _number = _name = _job = _waiting = _result = _exception = None
    _state = PENDING
    _done_callbacks = ()

    def __init__(self, condition):
        if not _is_as_known:
            super().__init__()
        self._condition = condition

    @property
    def _waiters(self):
        self._watch()
        if self._waiting is None:
            self._waiting = []
        return self._waiting

    @_waiters.setter
    def _waiters(self, waiters):
        self._waiting = waiters

    def _watch(self):
        crew = self._crew
        if crew is not None and self._state == PENDING:
            (self._job or self).background = True
            crew.watch([self._number])

    def _is_done(self):
        """done() without a lock, for crew.wait(), which holds one that is taken after the condition."""
        return self._state not in (PENDING, RUNNING)

    def add_done_callback(self, fn):
        with self._condition:
            if self._done_callbacks == ():
                self._done_callbacks = []
        super().add_done_callback(fn)
        self._watch()

    def done(self):
        crew = self._crew
        if crew is not None and not self._is_done():
            crew.poll()
        return self._is_done()

    def result(self, timeout=None):
        self._wait(timeout)
        if self._state == FINISHED and self._exception is None:
            return self._result
        return super().result(0 if timeout is not None else None)

    def exception(self, timeout=None):
        self._wait(timeout)
        return super().exception(0 if timeout is not None else None)

    def _wait(self, timeout):
        crew = self._crew
        if crew is not None:
            crew.wait(self._is_done, timeout)

    def cancel(self):
        crew = self._crew
        if crew is not None and not self.done() and not _take_back(crew, [self]):
            return False
        return self._cancel()

    def _cancel(self):
        """No worker has it or will have it."""
        cancelled = super().cancel()
        if cancelled and self._state == CANCELLED:
            self.set_running_or_notify_cancel()
        return cancelled

    def running(self):
        crew = self._crew
        return crew is not None and not self.done() and crew.is_at_work(self._number)

    # --- as the job of its call ---

    def describe(self, index):
        return f'{self._name}()'

    def renumbered(self, index, number):
        self._number = number

    def _settle(self, index, ok, value):
        """set_result() or set_exception(), unless it was cancelled."""
        self._crew = None
        with self._condition:
            if self._state != PENDING:
                return
            if ok:
                self._result = value
            else:
                self._exception = value
            self._state = FINISHED
            for waiter in self._waiting or ():
                (waiter.add_result if ok else waiter.add_exception)(self)
        if self._done_callbacks:
            self._invoke_callbacks()

    def _abandon(self, error):
        self._settle(0, False, BrokenProcessPool(str(error)))


class _Parts(_crew.Job):
    """What becomes of the parts of a map, each with a future (index: which)."""

    def __init__(self, futures, function, retries):
        self.futures, self.function, self.retries = futures, function, retries

    def describe(self, index):
        return f'{_name(self.function)}() of map, part {index}'

    def renumbered(self, index, number):
        self.futures[index]._number = number

    def _settle(self, index, ok, value):
        future, self.futures[index] = self.futures[index], None
        future._settle(0, ok, value)

    def _abandon(self, error):
        for future in self.futures:
            if future is not None:
                future._abandon(error)


def _name(function):
    return getattr(function, '__qualname__', None) or type(function).__qualname__


POLL_EVERY = 1024  # calls


class ProcessPoolExecutor(Executor):
    """Workers that run submitted calls; the arguments are those of concurrent.futures.ProcessPoolExecutor.

    Workers are started when the first call is submitted: under fork all, otherwise one as long as none is idle.  mp_context None: the default
    context of skep.
    """

    def __init__(self, max_workers=None, mp_context=None, initializer=None, initargs=(), *, max_tasks_per_child=None):
        if max_workers is None:
            max_workers = os.cpu_count() or 1
        if max_workers <= 0:
            raise ValueError('max_workers must be greater than 0')
        if initializer is not None and not callable(initializer):
            raise TypeError('initializer must be a callable')
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError('max_tasks_per_child must be an integer')
            if max_tasks_per_child <= 0:
                raise ValueError('max_tasks_per_child must be >= 1')
        if mp_context is None:
            from . import context as contexts
            mp_context = contexts._default_context.get_context('spawn' if max_tasks_per_child is not None else None)
        if max_tasks_per_child is not None and mp_context.get_start_method(allow_none=False) == 'fork':
            raise ValueError("max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; supply a different mp_context.")
        self._max_workers, self._mp_context = max_workers, mp_context
        self._initializer, self._initargs, self._max_tasks_per_child = initializer, initargs, max_tasks_per_child
        self._lock = threading.Lock()
        self._condition = threading.Condition()
        self._submitted = 0
        self._crew = None
        self._shut_down = False

    def _started(self):
        """The crew; self._lock is held."""
        if self._shut_down:
            raise RuntimeError('cannot schedule new futures after shutdown')
        if _at_exit:
            raise RuntimeError('cannot schedule new futures after interpreter shutdown')
        if self._crew is None:
            self._crew = _crew.Crew(self._mp_context, self._max_workers, self._initializer, self._initargs, self._max_tasks_per_child,
                                    wrap=_ExceptionWithTraceback, caught=BaseException,
                                    on_demand=self._mp_context.get_start_method(allow_none=False) != 'fork')
            _crews.add(self._crew)
            weakref.finalize(self, self._crew.close)
        return self._crew

    @property
    def _processes(self):
        """{pid: worker process}; None once all have ended."""
        workers = list(self._crew.workers) if self._crew is not None else []
        return None if self._shut_down and not workers else {worker.pid: worker for worker in workers}

    @property
    def _executor_manager_thread(self):
        """The thread that sees to workers that end; None before the first call."""
        return self._crew._watch_thread if self._crew is not None else None

    @property
    def _call_queue(self):
        """The queue of the tasks; None before the first call."""
        return self._crew._tasks if self._crew is not None else None

    @property
    def _broken(self):
        """Why nothing can be done any more, as a text, or False."""
        return str(self._crew.error) if self._crew is not None and self._crew.error is not None else False

    def submit(self, fn, /, *args, **kwargs):
        """fn(*args, **kwargs) in a worker; a Future."""
        return self._submit(0, fn, args, kwargs)

    def submit_with(self, *, retries):
        """submit() for tasks that are run again, up to `retries` times, when their worker dies."""
        return lambda fn, /, *args, **kwargs: self._submit(retries, fn, args, kwargs)

    def _submit(self, retries, fn, args, kwargs):
        future = _Future(self._condition)
        if retries:
            future.retries = retries
        with self._lock:
            crew = self._started()
            crew.check()
            future._crew, future._name = crew, _name(fn)  # not fn: what it holds shall not live longer than the call
            try:
                function = crew.function(fn)
                if kwargs:
                    crew.put_one(future, function, _crew.CALL_WITH_KEYWORDS, (args, kwargs))
                else:
                    crew.put_one(future, function, _crew.CALL, args)
            except Exception as error:  # of pickle, or the hive is full: it is the future's, as it always was
                future._settle(0, False, error)
            self._submitted += 1
            due = not self._submitted % POLL_EVERY
        if due:  # results that nobody ever asks for shall not pile up
            crew.poll()
        return future

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None, retries=0):
        """An iterator over fn(*items) for each tuple of items, in order; at most buffersize results wait at a time (None: any number)."""
        if chunksize < 1:
            raise ValueError('chunksize must be >= 1.')
        if buffersize is not None and (not isinstance(buffersize, int) or buffersize < 1):
            raise ValueError('buffersize must be None or > 0')
        deadline = None if timeout is None else time.monotonic() + timeout
        chunks = _chunks(zip(*iterables), chunksize)
        with self._lock:
            function = self._started().function(fn)
        # The results do not keep the executor: when nobody has it any more, it ends after what was sent.
        send = functools.partial(_send_of, weakref.ref(self), fn, function, retries)
        futures = deque(send(list(itertools.islice(chunks, buffersize))))
        return _results(futures, deadline, send if buffersize is not None else None, chunks, functools.partial(_take_back, self._crew))

    def _send_chunks(self, fn, function, retries, chunks):
        """Futures of lists of results."""
        if not chunks:
            return []
        futures = [_Future(self._condition) for _ in chunks]
        with self._lock:
            crew = self._started()
            job = _Parts(list(futures), fn, retries)
            for future in futures:
                future._crew, future._job = crew, job
            crew.put(job, function, _crew.STARMAP, chunks)
        return futures

    def shutdown(self, wait=True, *, cancel_futures=False):
        """No more calls; waits until what was submitted is done and the workers have ended, unless wait=False."""
        with self._lock:
            self._shut_down = True
            crew = self._crew
        if crew is None:
            return
        if cancel_futures:
            by_number = {number: job if isinstance(job, _Future) else job.futures[index] for number, (job, index, *_) in list(crew._open.items())}
            for number in crew.take_back(by_number):
                if by_number[number] is not None:
                    by_number[number]._cancel()
        crew.close()
        if wait:
            crew.join()

    def terminate_workers(self):
        """End the workers at once (SIGTERM); calls that are not done fail with BrokenProcessPool."""
        self._end('terminate')

    def kill_workers(self):
        """End the workers at once (SIGKILL); calls that are not done fail with BrokenProcessPool."""
        self._end('kill')

    def _end(self, how):
        with self._lock:
            self._shut_down = True
            crew = self._crew
        if crew is not None:
            for worker in list(crew.workers) if how == 'kill' else ():
                worker.kill()
            crew.terminate()
            crew.join()


def _take_back(crew, futures):
    """Take calls out of the queue again; those that no worker had taken are returned.  Cost: a look at all calls that wait."""
    by_number = {future._number: future for future in futures if not future.done()}
    return [by_number[number] for number in crew.take_back(by_number)] if by_number else []


def _send_of(reference, fn, function, retries, chunks):
    executor = reference()
    return executor._send_chunks(fn, function, retries, chunks) if executor is not None else []


def _chunks(tuples, size):
    return iter(lambda: list(itertools.islice(tuples, size)), [])


def _results(futures, deadline, send, chunks, take_back):
    """What map() returns; what is not yet done is cancelled when nobody wants it any more."""
    try:
        while futures:
            future = futures.popleft()
            try:
                values = future.result() if deadline is None else future.result(deadline - time.monotonic())
            except FutureTimeoutError:
                futures.append(future)
                raise
            del future
            if send is not None:
                futures.extend(send(list(itertools.islice(chunks, 1))))
            values.reverse()
            while values:
                yield values.pop()
    finally:
        for future in take_back(futures):
            future._cancel()


def _wait_for_all():
    """At the interpreter's end: what was submitted is done first."""
    global _at_exit
    _at_exit = True
    for crew in list(_crews):
        crew.close()
        crew.join()


def _after_fork_in_child():
    _crews.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
threading._register_atexit(_wait_for_all)  # before the threads of the interpreter are gone, as concurrent.futures does it
