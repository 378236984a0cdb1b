# SPDX-License-Identifier: Apache-2.0
"""A crew: worker processes, the tasks that they take, and what comes back.  Pool and ProcessPoolExecutor stand on it.

Tasks lie in one unbounded queue of the hive, results come back through another.  A task is a message with a number; what it
needs is in the message, so any worker can take any task at any time.

    worker      borrow the message · write TAKING|number into its own word of the board · give the message back ·
                write number · run · put the result · clear the word
    parent      who waits for a result takes results for all; a background thread does so only for callbacks and futures;
                another thread sleeps until a worker ends

EXACTLY ONCE, OR REPORTED.  Let a worker die.  Once the kernel has said so and its words are recovered (reap), its word says

    0           it held no task; a message that it had only borrowed is in the queue again, and another takes it.  Its last
                result, if any, was put before it died, hence before the parent's note of the death in the same queue:
                by the time that the note is read, the task is settled.
    number      it gave the message back, so nobody else can get it; no result came before the note: the task may have
                begun and did not end.  It fails with WorkerDied, or is put again if retries were asked for.
    TAKING|..   the task has not begun.  Its message may be in the queue again, or not: it is revoked (board_type.c).  Then
                either another worker has it, and its answer or its death is awaited; or from now on nobody begins it.
                A second note, put after the revocation, comes behind every result that was there before: if the task is
                still open when this note is read, it was never begun, and is put again under another number.

A result of a number that is not open is dropped: so nothing is settled twice.
"""
import collections
import itertools
import os
import pickle
import signal
import struct
import threading
import time
import traceback
import types

from concurrent.futures.process import BrokenProcessPool
from multiprocessing import ProcessError, connection, process, util
from multiprocessing.pool import ExceptionWithTraceback, MaybeEncodingError
from queue import Empty

from . import _core
from .hive import default_hive
from .queues import Queue

__all__ = ['WorkerDied']

CALL, CALL_WITH_KEYWORDS, MAP, STARMAP = range(4)  # what a task's arguments are
_OK, _FAILED, _DROPPED, _NOT_STARTED = range(4)    # what a result is
_TAKING = 1 << 62     # board_type.c
_STARTING = 1 << 61   # words of a worker that has not run its initializer yet
_HOPELESS = 1 << 60   # its initializer has raised
_TASK = struct.Struct('<IIq')    # bytes of the function's pickle, what the arguments are, number
_RESULT = struct.Struct('<qq')   # what it is, number
_OK_BYTES = _RESULT.pack(_OK, 0)[:8]
_FUNCTION_BYTES_MAX = 1024       # larger ones are put into the hive once
_FUNCTIONS_MAX = 64              # that a worker remembers
_RUN = 512                       # results taken at a time
_TERMINATE_SECONDS = 1.0         # between SIGTERM and SIGKILL


class WorkerDied(ProcessError, BrokenProcessPool):
    """The process that ran a task has died: `task` what it was, `pid`, `exitcode` (-N: killed by signal N)."""

    def __init__(self, task, pid, exitcode):
        super().__init__(task, pid, exitcode)
        self.task, self.pid, self.exitcode = task, pid, exitcode

    def __str__(self):
        return f'worker {self.pid} {_how_ended(self.exitcode)} while it ran {self.task}'


def _how_ended(exitcode):
    if exitcode is None or exitcode >= 0:
        return f'ended with exit code {exitcode}'
    try:
        return f'was killed by {signal.Signals(-exitcode).name}'
    except ValueError:
        return f'was killed by signal {-exitcode}'


# --- parcels: pickles and what lies beside them ---------------------------------------------------------------------------

class _Mentions:
    """Within a message: keeps objects of the hive alive until the message has been taken."""

    def __init__(self, hive, references):
        self.hive, self.references = hive, references

    def __reduce__(self):
        for reference in self.references:
            _core.mention(self.hive, reference)
        return tuple, ()


def _by_cloudpickle(obj, error):
    """The pickle of what pickle itself refuses, such as a lambda."""
    try:
        import cloudpickle
    except ImportError:
        raise type(error)(f'{error}; with the package cloudpickle installed, lambdas and local functions can be sent') from error
    return cloudpickle.dumps(obj, protocol=5)


def _packed(hive, obj, *tail):
    """_core.pack(), with cloudpickle's help."""
    try:
        return _core.pack(hive, obj, *tail)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if not _has_local_code(obj):
            raise
        packed = _by_cloudpickle(obj, error)
        return packed + tail[0] + tail[1].to_bytes(8, 'little') if tail else packed


def _has_local_code(obj, depth=3):
    """Whether a function that is no module's attribute is in there, as far as one can see from outside."""
    if isinstance(obj, (tuple, list)):
        return depth > 0 and any(_has_local_code(item, depth - 1) for item in obj)
    if isinstance(obj, dict):
        return depth > 0 and any(_has_local_code(item, depth - 1) for item in obj.values())
    name = getattr(getattr(obj, 'func', obj), '__qualname__', None) or type(obj).__qualname__
    return '<lambda>' in name or '<locals>' in name


def _into_hive(hive, raw, readonly):
    """A copy of a buffer in the hive: the one copy there is, since the receiver gets this memory."""
    array = _core.Array(hive, raw.nbytes, 'uint8', False)
    memoryview(array)[:] = raw
    return pickle.PickleBuffer(memoryview(array).toreadonly() if readonly else array)


def _parcel(hive, packed, shared=()):
    """What goes into a message for what _core.pack() made; `shared`: buffers that several messages have, by address and size."""
    if type(packed) is bytes:
        return packed
    stream, buffers, mentions = packed
    carried = []
    for raw, address in buffers:
        if _core.array_beneath(raw.obj) is not None:
            carried.append(pickle.PickleBuffer(raw))
        elif (address, raw.nbytes) in shared:
            if shared[address, raw.nbytes] is None:
                shared[address, raw.nbytes] = _into_hive(hive, raw, True)
            carried.append(shared[address, raw.nbytes])
        else:
            carried.append(_into_hive(hive, raw, raw.readonly))
    return stream, carried, _Mentions(hive, mentions) if mentions else None


def _shared(packed):
    """The large buffers that several of them have: such are copied into the hive once, and read-only there."""
    seen = collections.Counter((address, raw.nbytes) for one in packed if type(one) is not bytes for raw, address in one[1])
    return {key: None for key, count in seen.items() if count > 1}


def _open_parcel(parcel):
    if type(parcel) is bytes:
        return pickle.loads(parcel)
    return pickle.loads(parcel[0], buffers=parcel[1])


class _Function:
    """A function on its way to the workers: small ones in each message, large ones in the hive and by reference."""

    numbers = itertools.count()

    def __init__(self, hive, function):
        self.function = function
        packed = _packed(hive, function)
        if type(packed) is bytes and len(packed) <= _FUNCTION_BYTES_MAX:
            self.key = self.parcel = packed
            self.tails = [packed + _TASK.pack(len(packed), how, 0)[:8] for how in range(4)]
            return
        self.tails = None
        stream, carried, mentions = (packed, [], None) if type(packed) is bytes else _parcel(hive, packed)
        self.key = os.getpid(), next(self.numbers)
        self.parcel = _into_hive(hive, memoryview(stream), True), carried, mentions


# --- the worker -------------------------------------------------------------------------------------------------------------

class Board(_core.Board):
    """Which worker has which task; pickled by reference."""

    sizes = 4096, 1024  # places, revoked tasks

    def __reduce__(self):
        return _board, (self.hive, self.reference)


def _board(hive, reference):
    return Board(hive, *Board.sizes, reference)


def _end_with(parent_pid, sentinel):
    """A thread of the worker that ends it when its parent is gone."""
    try:
        watched = [os.pidfd_open(parent_pid)]
    except ProcessLookupError:
        os._exit(1)
    except (OSError, AttributeError):
        watched = []
    if sentinel is not None:
        watched.append(sentinel)
    if not watched:
        return
    def watch():
        connection.wait(watched)
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=watch, name='parent', daemon=True).start()


def _failure(hive, wrap, error, value):
    """The parcel of an exception, or of what can be told about it."""
    wrapped = wrap(error, error.__traceback__)
    try:
        parcel = _parcel(hive, _packed(hive, wrapped))
        _open_parcel(parcel)  # some cannot be made again: arguments of __init__ that are not in args
        return parcel
    except Exception as problem:
        told = MaybeEncodingError(problem, error if value is None else value)
        text = wrapped.tb if hasattr(wrapped, 'tb') else repr(error)
        return _core.pack(hive, _Told(told, text))


class _Told:
    """MaybeEncodingError with the traceback of the exception that could not be sent."""

    def __init__(self, error, text):
        self.error, self.text = error, text

    def __reduce__(self):
        return _tell, (self.error.exc, self.error.value, self.text)


def _tell(problem, value, text):
    from multiprocessing.pool import RemoteTraceback
    error = MaybeEncodingError.__new__(MaybeEncodingError, problem, value)
    error.exc, error.value = problem, value
    error.__cause__ = RemoteTraceback(text)
    return error


def _run(function, arguments, how):
    if how == STARMAP:
        return [function(*items) for items in arguments]
    if how == CALL:
        return function(*arguments)
    return function(*arguments[0], **arguments[1])


def _load_error(error):
    """What is told of a result that cannot be loaded."""
    return error if isinstance(error, Exception) else MaybeEncodingError(error, 'a result')


class _Functions(dict):
    """The functions that a worker has met, by key."""

    def open(self, key, parcel):
        if len(self) >= _FUNCTIONS_MAX:
            self.clear()
        function = self[key] = _open_parcel(parcel)
        return function


def _number_of(message):
    return int.from_bytes(message[-8:], 'little') if type(message) is bytes else message[-1]


def _result(parcel, status, number):
    if type(parcel) is bytes:
        return parcel + _RESULT.pack(status, number)
    return (*parcel, status, number)


def work(tasks, results, board, place, initializer, initargs, task_max, wrap, caught):
    """What a worker process does until the queue of tasks is shut down, or it has done task_max of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.current_process()._config['daemon'] = False  # it may have children: they end with it
    parent = process.parent_process()
    _end_with(parent.pid, getattr(parent, '_sentinel', None))
    hive = board.hive
    if initializer is not None:
        try:
            initializer(*initargs)
        except BaseException as error:
            if wrap is not ExceptionWithTraceback:
                from concurrent.futures._base import LOGGER
                LOGGER.critical('Exception in initializer:', exc_info=True)
            results.put(_result(_failure(hive, wrap, error, None), _NOT_STARTED, 0))
            board[place] = _HOPELESS
            return
    functions, pack, done = _Functions(), _core.pack, 0
    take, unpack, loads, put = board.take, _TASK.unpack_from, pickle.loads, results.put  # looked up once: tasks may be short
    board[place] = 0
    while task_max is None or done < task_max:
        try:
            message = take(tasks, place)
        except EOFError:
            break
        if message is None:
            results.put(_result(b'', _DROPPED, board[place] & ~_TAKING))
            board[place] = 0
            continue
        function = arguments = value = parcel = None
        loaded = False
        try:
            if type(message) is bytes:
                end = len(message) - _TASK.size
                size, how, number = unpack(message, end)
                key = function_parcel = message[end - size:end]
                arguments = loads(message)
            else:
                parcel, key, function_parcel, how, number = message
                arguments = _open_parcel(parcel)
            function = functions.get(key)
            if function is None:
                function = functions.open(key, function_parcel)
            loaded = True
            value = [function(item) for item in arguments] if how == MAP else _run(function, arguments, how)
        except BaseException as error:
            if not isinstance(error, caught if loaded else Exception):
                raise
            parcel = _result(_failure(hive, wrap, error, None), _FAILED, number)
        else:
            try:
                parcel = pack(hive, value, _OK_BYTES, number)
                if type(parcel) is not bytes:
                    parcel = _result(_parcel(hive, parcel), _OK, number)
            except BaseException as error:
                if not isinstance(error, caught):
                    raise
                try:
                    parcel = _result(_parcel(hive, _packed(hive, value)), _OK, number)  # cloudpickle may know better
                except caught:
                    told = MaybeEncodingError(error, value) if wrap is ExceptionWithTraceback else error
                    parcel = _result(_failure(hive, wrap, told, value), _FAILED, number)
        try:
            put(parcel)
        except Exception as error:  # the hive is full
            put(_result(_failure(hive, wrap, error, None), _FAILED, number))
        message = function = arguments = value = parcel = key = function_parcel = None  # not kept while it waits for the next
        board[place] = 0
        done += 1
    util.debug('worker ends after %d tasks', done)


_process = object()  # this process; a forked child has another one


def _after_fork_in_child():
    global _process
    _process = object()


os.register_at_fork(after_in_child=_after_fork_in_child)


# --- the parent -------------------------------------------------------------------------------------------------------------

class Job:
    """What somebody waits for: one task or several.  Subclasses have _settle(index, ok, value)."""

    background = False  # somebody must take its results even if nobody waits
    retries = 0

    def describe(self, index):
        return 'a task'

    def renumbered(self, index, number):
        """The task has this number, or is put again under this one."""

    def _abandon(self, error):
        """It will not be done."""


class Crew:
    """Workers of one pool, from its making to their end.  All methods may be called from any thread of the process that made it."""

    def __init__(self, context, count, initializer, initargs, task_max, *, wrap=ExceptionWithTraceback, caught=Exception, name='PoolWorker',
                 on_demand=False):
        self.context, self.count = context, count
        self.hive = default_hive()
        self.workers = []
        self._on_demand = on_demand          # a worker is started when there are more open tasks than workers
        self._wrap, self._caught, self._name = wrap, caught, name
        self._initializer, self._initargs, self._task_max = initializer, initargs, task_max
        self._pid = os.getpid()
        self._process = _process
        self._tasks, self._results = Queue(), Queue()
        self._results_get_many, self._tasks_put = self._results.get_many, self._tasks.put
        self._board = Board(self.hive, *Board.sizes)
        if not 1 <= count <= len(self._board):
            raise ValueError(f'Number of processes must be at least 1 and at most {len(self._board)}')
        self._numbers = itertools.count(1)
        self._open = {}                      # number -> (job, index, message, retries left)
        self._inbox = collections.deque()    # results taken, not settled
        self._notes = collections.deque()    # what to do when the note of each, b'', is read
        self._notes_lock = threading.Lock()
        self._drain_lock = threading.Lock()  # one at a time takes out what is not his and puts it back
        self._change = threading.Condition(threading.Lock())
        self._led = False                    # somebody takes results,
        self._leader = None                  # this thread
        self._followers = 0
        self._watched = set()                # open tasks whose results somebody must take even if nobody waits
        self._calls = collections.deque()    # for the background thread
        self._background = None
        self._closing = self._terminated = False
        self._held = 0                       # who will put tasks even after close()
        self._last_function = None
        self._shut = False                   # the queue of tasks is
        self._start_failures = 0
        self.error = None                    # why nothing can be done any more
        self._workers_lock = threading.RLock()
        self._wake_reader, self._wake_writer = os.pipe()
        self._watch_thread = None
        try:
            with self._workers_lock:
                for place in range(0 if on_demand else count):
                    self._start_worker(place)
        except BaseException:
            self.terminate()
            raise
        self._watch_thread = threading.Thread(target=self._watch, name=f'{name}-watch', daemon=True)
        self._watch_thread.start()

    # --- workers ---

    def _start_worker(self, place):
        self._board[place] = _STARTING
        worker = self.context.Process(target=work, args=(
            self._tasks, self._results, self._board, place, self._initializer, self._initargs, self._task_max, self._wrap, self._caught))
        worker.name = worker.name.replace('Process', self._name)
        worker.daemon = True
        worker.start()
        worker._skep_place = place
        worker._skep_end = None
        self.workers.append(worker)

    def _start_needed(self):
        """On demand: a worker for each open task, up to their number."""
        with self._workers_lock:
            missing = min(self.count, len(self._open)) - len(self.workers)
            if missing <= 0 or self._shut or self._terminated or self.error:
                return
            taken = {worker._skep_place for worker in self.workers}
            try:
                for place in itertools.islice((place for place in range(self.count) if place not in taken), missing):
                    self._start_worker(place)
            except Exception:
                if not self.workers:
                    raise
        self._wake_watch()

    def _watch(self):
        """Until all workers have ended for good: see to those that die."""
        while True:
            with self._workers_lock:
                workers = list(self.workers)
                if not workers and (self._closing or self._terminated or self.error):
                    break
            ends = {self._end_of(worker): worker for worker in workers}
            workers = None
            for end in connection.wait([*ends, self._wake_reader]):
                if end == self._wake_reader:
                    os.read(end, 4096)
                else:
                    self._bury(ends[end])
        self._note(lambda: None)  # who waits looks again
        self._tasks.close()

    def _end_of(self, worker):
        """A descriptor that is readable when a worker has ended."""
        if worker._skep_end is None:
            worker._skep_end = worker.sentinel
            if self.context.get_start_method() != 'forkserver':
                try:  # a grandchild may keep the sentinel's pipe open
                    worker._skep_end = os.pidfd_open(worker.pid)
                except (OSError, AttributeError):
                    pass
        return worker._skep_end

    def _wake_watch(self):
        try:
            os.write(self._wake_writer, b'.')
        except OSError:
            pass

    def _bury(self, worker):
        worker.join()
        while worker.exitcode is None:
            time.sleep(0.001)  # another thread has just asked for it, and is about to say
        self.hive.reap()
        place = worker._skep_place
        with self._workers_lock:
            word = self._board[place]
            self._board[place] = 0
            self.workers.remove(worker)
            if worker._skep_end != worker.sentinel:
                os.close(worker._skep_end)
            if self._terminated:
                return
            pid, exitcode, starting = worker.pid, worker.exitcode, word == _STARTING
            self._start_failures = self._start_failures + 1 if starting else 0
            if word == _HOPELESS:
                failure = BrokenProcessPool('the initializer raised an exception')  # unless its result tells more
            elif starting and (0 < exitcode < 255 or self._start_failures > 8 + 4 * self.count):
                failure = BrokenProcessPool(f'worker {pid} {_how_ended(exitcode)} before it could take a task')
            else:
                failure = None
                self._replace(place)
        if failure:
            self._note(lambda: self._break(failure))
        elif word and not starting:
            self._note(lambda: self._died(word, pid, exitcode))

    def _replace(self, place):
        if self._shut or self.error or (self._on_demand and len(self._open) <= len(self.workers)):
            return
        try:
            self._start_worker(place)
        except BaseException as error:
            if not self.workers:
                self._note(lambda: self._break(BrokenProcessPool(f'no worker could be started: {error!r}')))

    # --- deaths, in the order of the results ---

    def _note(self, function):
        """Have the one who takes results call a function after all results that are there now."""
        with self._notes_lock:
            self._notes.append(function)
            self._results.put(b'')
        with self._change:
            if not self._led and self._watched:
                self._change.notify_all()

    def _died(self, word, pid, exitcode):
        number = word & ~_TAKING
        entry = self._open.get(number)
        if entry is None:
            return
        if word & _TAKING:
            if not self._board.revoke(number):
                self._note(lambda: self._put_again(number, 0))
        elif entry[3] > 0:
            self._put_again(number, 1)
        else:
            job, index = entry[:2]
            self._settle(number, False, WorkerDied(job.describe(index), pid, exitcode))

    def _put_again(self, number, tries):
        entry = self._open.pop(number, None)
        if entry is None:
            return
        job, index, message, retries = entry
        self._watched.discard(number)
        number = next(self._numbers)
        message = message[:-8] + number.to_bytes(8, 'little') if type(message) is bytes else (*message[:-1], number)
        self._open[number] = job, index, message, retries - tries
        job.renumbered(index, number)
        if job.background:
            self._watched.add(number)
        try:
            self._tasks.put(message)
        except Exception as error:  # the hive is full, or an object that the task mentions is gone
            self._settle(number, False, error)

    def _break(self, error):
        """Nothing can be done any more: all that is open fails."""
        if self.error is None:
            self.error = error
            for number in list(self._open):
                self._settle(number, False, self.error)
            self._shut_tasks()
        self._wake_watch()

    # --- tasks ---

    def check(self):
        if self._process is not _process:
            raise RuntimeError(f'this pool belongs to process {self._pid}; a forked child needs one of its own')
        if self.error is not None:
            raise self.error

    def function(self, function):
        """What put() takes as the function of several calls."""
        last = self._last_function
        if last is not None and last.function is function:
            return last
        packed = _Function(self.hive, function)
        # Those that go by name mean the same the next time; any other may have changed.
        if isinstance(function, (types.FunctionType, types.BuiltinFunctionType)) and '<' not in function.__qualname__:
            self._last_function = packed
        return packed

    def put_one(self, job, function, how, arguments):
        """put() of one task, after check(), on the short way if it is small."""
        if function.tails is None or (self._on_demand and len(self.workers) < self.count):
            self.put(job, function, how, [arguments])
            return
        number = next(self._numbers)
        try:
            message = _core.pack(self.hive, arguments, function.tails[how], number)
        except Exception:
            message = None
        if type(message) is not bytes:
            self.put(job, function, how, [arguments])
            return
        job.renumbered(0, number)
        self._open[number] = job, 0, message, job.retries
        if job.background:
            self.watch((number,))
        try:
            self._tasks_put(message)
        except BaseException:
            self._forget(number)
            raise
        if self.error is not None:
            self._note(self._fail_open)

    def put(self, job, function, how, arguments, first_index=0):
        """Make a task of each element of the list `arguments`; returns their numbers.  Raises what pickle raises, and then none is made."""
        self.check()
        hive, pack, tails, retries = self.hive, _core.pack, function.tails, job.retries
        numbers = list(itertools.islice(self._numbers, len(arguments)))
        try:
            if tails:
                tail = tails[how]
                messages = [pack(hive, one, tail, number) for one, number in zip(arguments, numbers)]
            else:
                messages = [pack(hive, one) for one in arguments]
        except Exception:
            messages = [_packed(hive, one, tail, number) if tails else _packed(hive, one) for one, number in zip(arguments, numbers)]
        if not tails or not all(type(message) is bytes for message in messages):
            shared = _shared(messages)
            messages = [message if tails and type(message) is bytes else
                        (_parcel(hive, message, shared), function.key, function.parcel, how, number)
                        for message, number in zip(messages, numbers)]
        if type(job).renumbered is not Job.renumbered:
            for index, number in enumerate(numbers, first_index):
                job.renumbered(index, number)
        self._open.update(zip(numbers, zip(itertools.repeat(job), itertools.count(first_index), messages, itertools.repeat(retries))))
        if job.background:
            self.watch(numbers)
        try:
            if self._on_demand and len(self.workers) < self.count:
                self._start_needed()
            if len(messages) == 1:
                self._tasks.put(messages[0])
            else:
                self._tasks.put_many(messages)
        except BaseException:
            for number in numbers:
                self._forget(number)
            raise
        if self.error is not None:
            self._note(self._fail_open)
        return numbers

    def _fail_open(self):
        for number in list(self._open):
            self._settle(number, False, self.error)

    def hold(self):
        """More tasks are to come, also after close()."""
        self._held += 1

    def release(self):
        self._held -= 1
        self._shut_if_done()

    def _shut_if_done(self):
        if self._closing and not self._open and not self._held and not self._shut:
            self._shut_tasks()

    def _drain(self):
        messages = []
        try:
            while not self._shut:
                messages += self._tasks.get_many(_RUN, False)
        except Empty:
            pass
        return messages

    def take_back(self, numbers):
        """Take tasks out of the queue again, as far as no worker has taken them; returns the numbers of those."""
        wanted, found, others = set(numbers), [], []
        with self._drain_lock:
            for message in self._drain():
                number = _number_of(message)
                (found if number in wanted else others).append(number if number in wanted else message)
            if others:
                self._tasks.put_many(others)
        for number in found:
            self._forget(number)
        return found

    def _forget(self, number):
        self._open.pop(number, None)
        self._watched.discard(number)
        self._shut_if_done()

    def is_at_work(self, number):
        return any(self._board[place] & ~_TAKING == number for place in range(self.count))

    # --- results ---

    def _settle(self, number, ok, value):
        entry = self._open.get(number)
        if entry is not None:
            entry[0]._settle(entry[1], ok, value)
            self._forget(number)

    def _read(self, message):
        """One message of the results' queue."""
        if not message:
            self._notes.popleft()()
            return
        if type(message) is bytes:
            status, number = _RESULT.unpack_from(message, len(message) - 16)
        else:
            status, number = message[-2:]
        if status == _DROPPED:
            self._put_again(number, 0)
            return
        if number not in self._open and status != _NOT_STARTED:
            return
        try:
            value = pickle.loads(message) if type(message) is bytes else pickle.loads(message[0], buffers=message[1])
        except (Exception, SystemExit) as error:
            status, value = _FAILED, _load_error(error)
        if status == _NOT_STARTED:
            self._break(value if self._wrap is ExceptionWithTraceback else BrokenProcessPool('the initializer of a worker failed: %r' % value))
        else:
            self._settle(number, status == _OK, value)

    def _take_results(self, timeout):
        """Settle what is there, or wait for it.  An exception of a signal handler loses nothing: the deque is filled in one step."""
        inbox = self._inbox
        if not inbox:
            try:
                inbox.extend(itertools.chain.from_iterable(map(self._results_get_many, (_RUN,), (True,), (timeout,))))
            except Empty:
                return
        entries, unpack, loads = self._open, _RESULT.unpack_from, pickle.loads
        watched = self._watched
        while inbox:
            message = inbox[0]
            if type(message) is bytes and message:
                status, number = unpack(message, len(message) - 16)
                entry = entries.get(number)
                if status == _OK and entry is not None:  # nearly always; _read() is the whole story
                    try:
                        value, ok = loads(message), True
                    except (Exception, SystemExit) as error:
                        value, ok = _load_error(error), False
                    entry[0]._settle(entry[1], ok, value)
                    entries.pop(number, None)
                    if watched:
                        watched.discard(number)
                    if self._closing:
                        self._shut_if_done()
                    inbox.popleft()
                    continue
            self._read(message)
            inbox.popleft()

    def wait(self, is_done, timeout=None):
        """Wait until is_done(); false at the timeout.  Takes results meanwhile, unless another thread does."""
        if is_done():
            return True
        if self._leader == threading.get_ident():  # a callback of a future
            if timeout == 0:
                return False
            raise RuntimeError('a callback cannot wait for other calls of its executor')
        deadline = None if timeout is None else time.monotonic() + max(timeout, 0)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            with self._change:
                if is_done():
                    return True
                lead = not self._led
                if lead:
                    self._led = True
                else:
                    self._followers += 1
                    try:
                        self._change.wait(left)
                    finally:
                        self._followers -= 1
            if lead:
                self._leader = threading.get_ident()
                self._lead(is_done, deadline)
            if timeout is not None and time.monotonic() >= deadline:
                return is_done()

    def _lead(self, is_done, deadline):
        try:
            while not is_done():
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                self._take_results(left)
                if self._followers or self._calls:
                    with self._change:
                        self._change.notify_all()
                if left == 0.0:
                    break
        finally:
            self._leader = None
            with self._change:
                self._led = False
                self._change.notify_all()

    def poll(self):
        """Settle what is there, without waiting."""
        self.wait(lambda: False, 0)

    def call_in_background(self, function):
        """Have a function called by the background thread."""
        with self._change:
            self._calls.append(function)
            self._start_background()
            self._change.notify_all()

    def changed(self):
        """Something became done that was not settled by the one who takes results: who waits looks again."""
        with self._change:
            led = self._led
            self._change.notify_all()
        if led:
            self._note(lambda: None)

    def watch(self, numbers):
        """Somebody must take the results of these tasks, even if nobody waits for them."""
        with self._change:
            self._watched.update(number for number in numbers if number in self._open)
            self._start_background()
            self._change.notify_all()
        for number in numbers:
            if number not in self._open:  # settled meanwhile
                self._watched.discard(number)

    def _start_background(self):
        if self._background is None:
            self._background = threading.Thread(target=self._in_background, name=f'{self._name}-results', daemon=True)
            self._background.start()

    def _in_background(self):
        """Callbacks, and results of futures and of jobs with callbacks."""
        while True:
            with self._change:
                while not (self._calls or self._terminated or (self._shut and not self._open)
                           or (self._watched and not self._led)):
                    self._change.wait()
                call = self._calls.popleft() if self._calls else None
                if call is None and (self._terminated or (self._shut and not self._open)):
                    return
            if call is None:
                self.wait(lambda: self._calls or self._terminated or not self._watched)
                continue
            try:
                call()
            except BaseException:
                traceback.print_exc()

    # --- the end ---

    def close(self):
        """No more tasks; workers end when all that are open are done."""
        if self._pid != os.getpid():
            return
        with self._workers_lock:
            self._closing = True
            self._shut_if_done()
        if self._open:
            self.watch(list(self._open))
        self._wake_watch()

    def _shut_tasks(self):
        self._shut = True
        self._tasks.shutdown()
        with self._change:
            self._change.notify_all()

    def join(self):
        """Wait until the workers have ended, after close() or terminate()."""
        if self._pid != os.getpid():
            return
        self.wait(lambda: self._shut and not self._open or self._terminated)
        self._watch_thread.join()
        if self._background not in (None, threading.current_thread()):
            self._background.join()

    def terminate(self):
        """End the workers at once; what is open fails."""
        if self._pid != os.getpid():
            return
        with self._workers_lock:
            if self._terminated:
                return
            self._terminated = self._closing = True
            self._drain()
            self._shut_tasks()
            workers = list(self.workers)
        self._wake_watch()
        for worker in workers:
            if worker.exitcode is None:
                worker.terminate()
        deadline = time.monotonic() + _TERMINATE_SECONDS
        for worker in workers:
            if self._watch_thread is None:
                worker.join()
            while worker.is_alive() and time.monotonic() < deadline:
                time.sleep(0.001)
            if worker.is_alive():
                worker.kill()
        error = RuntimeError('the pool was terminated before the task was done')
        for job in {id(entry[0]): entry[0] for entry in list(self._open.values())}.values():
            job._abandon(error)
        self._open.clear()
        self._watched.clear()
        self.changed()

    def __del__(self):
        for end in (self.__dict__.get('_wake_reader'), self.__dict__.get('_wake_writer')):
            if end is not None:
                os.close(end)
