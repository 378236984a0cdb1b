# SPDX-License-Identifier: Apache-2.0
"""What Manager() gives: multiprocessing's shared types directly on the hive, without a server process.

They are skep's own objects, with what multiprocessing's proxies have beside their methods (_callmethod, _getvalue, repr and str) and with
the signatures and exceptions of the types of `threading` and `queue` that stand behind those.  Beyond them:

* an object lives as long as some process holds it, whether the manager still does or not;
* it goes by reference into queues, pipes, children and other objects of the hive;
* who is killed holding a lock leaves it to the next (OwnerDiedWarning), and nothing is lost with him.

Pools, and types that were registered with SyncManager, have to run somewhere: for the first of them a server process is started.
"""
import array
import multiprocessing.managers as _standard
import threading
import weakref

from multiprocessing import ProcessError
from multiprocessing.managers import RemoteError, State

from .. import dicts, lists, queues, sharedctypes, synchronize
from .base import SyncManager
from .proxy import (AcquirerProxy, ArrayProxy, BarrierProxy, BaseProxy, ConditionProxy, DictProxy, EventProxy, ListProxy, NamespaceProxy,
                    ValueProxy)

__all__ = ['HiveManager']


class Managed:
    """Mixin before one of skep's own types and before the type of the proxies that it stands for."""

    _typeid = None

    def _callmethod(self, methodname, args=(), kwds={}):
        """Call a method by name.  RemoteError: there is none of that name."""
        if methodname == '#GETVALUE':
            return self._getvalue()
        if methodname in ('__str__', '__repr__'):
            return str(self)
        if methodname.startswith('_') and methodname not in getattr(self, '_exposed_', ()) or not hasattr(self, methodname):
            raise RemoteError(f'AttributeError: method {methodname!r} of {type(self)!r} object is not exposed\n')
        return getattr(self, methodname)(*args, **kwds)

    def _getvalue(self):
        """A copy of the value, of a type that is not shared.  TypeError: such an object has none."""
        raise TypeError(f'cannot copy a {self._typeid!r}')

    def __deepcopy__(self, memo):
        return self._getvalue()

    def __repr__(self):
        proxy = next(base.__name__ for base in type(self).__mro__ if base.__module__ == BaseProxy.__module__)
        return f'<{proxy if proxy != "BaseProxy" else f"AutoProxy[{self._typeid}]"} object, typeid {self._typeid!r} at {id(self):#x}>'

    def __str__(self):
        return super().__repr__()


# --- synchronisation: as in threading --------------------------------------------------------------------------------------

def _patience(blocking, timeout):
    """The arguments of threading's acquire() as those of ours."""
    if timeout is None or timeout == -1:
        return blocking, None
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    return blocking, timeout


class _Acquirer(Managed):
    def acquire(self, blocking=True, timeout=None):
        """Whether it was taken."""
        return super().acquire(*_patience(blocking, timeout))


class Lock(_Acquirer, synchronize.Lock, AcquirerProxy):
    """threading.Lock between processes: anybody may release it."""

    _typeid = 'Lock'

    def release(self):
        """RuntimeError: it is free."""
        try:
            super().release()
        except ValueError:
            raise RuntimeError('release unlocked lock') from None


class RLock(_Acquirer, synchronize.RLock, AcquirerProxy):
    """threading.RLock between processes."""

    _typeid = 'RLock'

    def release(self):
        """RuntimeError: it is not this thread's."""
        try:
            super().release()
        except AssertionError:
            raise RuntimeError('cannot release un-acquired lock') from None


class Semaphore(_Acquirer, synchronize.Semaphore, AcquirerProxy):
    """threading.Semaphore between processes."""

    _typeid = 'Semaphore'


class BoundedSemaphore(_Acquirer, synchronize.BoundedSemaphore, AcquirerProxy):
    """threading.BoundedSemaphore between processes."""

    _typeid = 'BoundedSemaphore'


class Condition(_Acquirer, synchronize.Condition, ConditionProxy):
    """threading.Condition between processes."""

    _typeid = 'Condition'

    def __init__(self, lock=None):
        super().__init__(RLock() if lock is None else lock)

    def acquire(self, blocking=True, timeout=None):
        """Whether the lock was taken."""
        return self._lock.acquire(blocking, timeout)

    def wait(self, timeout=None):
        """Whether it was notified in time.  RuntimeError: the lock is not held."""
        return self._held(super().wait, timeout)

    def notify(self, n=1):
        """Wake so many."""
        return self._held(super().notify, n)

    def notify_all(self):
        """Wake all."""
        return self._held(super().notify_all)

    @staticmethod
    def _held(call, *args):
        try:
            return call(*args)
        except AssertionError:
            raise RuntimeError('cannot wait on or notify a condition without its lock') from None


class Event(Managed, synchronize.Event, EventProxy):
    """threading.Event between processes."""

    _typeid = 'Event'


class Barrier(Managed, synchronize.Barrier, BarrierProxy):
    """threading.Barrier between processes; the action runs in the process that comes last."""

    _typeid = 'Barrier'


# --- queues: as in queue -----------------------------------------------------------------------------------------------------

class Queue(Managed, queues.JoinableQueue, BaseProxy):
    """queue.Queue between processes."""

    _typeid = 'Queue'
    __str__ = object.__repr__

    def __init__(self, maxsize=0):
        super().__init__(maxsize)


class JoinableQueue(Queue):
    """The same."""

    _typeid = 'JoinableQueue'


# --- arrays: as in array ------------------------------------------------------------------------------------------------------

class Array(Managed, ArrayProxy):
    """array.array of a fixed length: items and slices can be read and set."""

    _typeid = 'Array'

    def __init__(self, typecode, sequence, lock=True):
        self._attach(typecode, sharedctypes.Array(typecode, array.array(typecode, sequence)))

    def _attach(self, typecode, shared):
        self._typecode, self._shared, self._items = typecode, shared, shared.get_obj()

    def __reduce__(self):
        return _attach_value, (type(self), self._typecode, self._shared)

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return array.array(self._typecode, self._items[index])
        return self._items[index]

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            self._items[index] = array.array(self._typecode, value)[:]
        else:
            self._items[index] = array.array(self._typecode, [value])[0]  # which looks whether it fits

    def _getvalue(self):
        return self[:]

    def __str__(self):
        return repr(self[:])


# --- containers -------------------------------------------------------------------------------------------------------------

class Dict(Managed, dicts.Dict, DictProxy):
    """A dict between processes.  What multiprocessing's cannot: add(), compare_and_set(), set_if(), wait_for() (skep.dicts)."""

    _typeid = 'dict'

    def _getvalue(self):
        return self.copy()

    def __str__(self):
        return str(self.copy())


class List(Managed, lists.List, ListProxy):
    """A list between processes.  What multiprocessing's cannot: add(), compare_and_set(), wait() (skep.lists)."""

    _typeid = 'list'

    def _getvalue(self):
        return self.copy()

    def __str__(self):
        return str(self.copy())


class Namespace(Managed, dicts.Namespace, NamespaceProxy):
    """Attributes that all processes see."""

    _typeid = 'Namespace'

    def _getvalue(self):
        return _standard.Namespace(**self._copy())

    def __str__(self):
        return str(self._getvalue())


class Value(Managed, ValueProxy):
    """One object, of any type: value, get(), set(value).

    What multiprocessing's cannot: add(number), which loses nothing, compare_and_set(old, new).
    """

    _typeid = 'Value'

    def __init__(self, typecode, value, lock=True):
        self._attach(typecode, dicts.Dict())
        self._cell[0] = value

    def _attach(self, typecode, cell):
        self._typecode, self._cell = typecode, cell

    def __reduce__(self):
        return _attach_value, (type(self), self._typecode, self._cell)

    def get(self):
        """What it is now."""
        return self._cell[0]

    def set(self, value):
        """Make it something else."""
        self._cell[0] = value

    value = property(get, set)

    def add(self, number):
        """Add in one step; the sum."""
        return self._cell.add(0, number)

    def compare_and_set(self, old, new):
        """Set it to new if it is old, in one step; whether it was."""
        return self._cell.compare_and_set(0, old, new)

    def _getvalue(self):
        return _standard.Value(self._typecode, self.get())

    def __str__(self):
        return repr(self._getvalue())


def _attach_value(cls, typecode, cell):
    made = cls.__new__(cls)
    made._attach(typecode, cell)
    return made


# --- the manager -----------------------------------------------------------------------------------------------------------

class HiveManager(SyncManager):
    """A started manager whose objects lie in the hive of this process; its methods are SyncManager's.

    shutdown() ends the making of objects; those that are held somewhere go on.  There is nothing to connect() to.
    """

    def __init__(self, *, ctx=None):
        super().__init__(ctx=ctx)
        self._state.value = State.STARTED
        self._objects = weakref.WeakValueDictionary()  # id -> object
        self._server = None
        self._server_lock = threading.Lock()

    def _check_started(self):
        assert self._state.value == State.STARTED, 'server not yet started'

    def _made(self, cls, *args, **kwds):
        self._check_started()
        made = cls(*args, **kwds)
        self._objects[id(made)] = made
        return made

    def Lock(self):
        """A Lock."""
        return self._made(Lock)

    def RLock(self):
        """An RLock."""
        return self._made(RLock)

    def Semaphore(self, value=1):
        """A Semaphore."""
        return self._made(Semaphore, value)

    def BoundedSemaphore(self, value=1):
        """A BoundedSemaphore."""
        return self._made(BoundedSemaphore, value)

    def Condition(self, lock=None):
        """A Condition; lock: a Lock or RLock of a manager, None: an RLock of its own."""
        return self._made(Condition, lock)

    def Event(self):
        """An Event."""
        return self._made(Event)

    def Barrier(self, parties, action=None, timeout=None):
        """A Barrier."""
        return self._made(Barrier, parties, action, timeout)

    def Queue(self, maxsize=0):
        """A Queue, with task_done() and join()."""
        return self._made(Queue, maxsize)

    def JoinableQueue(self, maxsize=0):
        """The same."""
        return self._made(JoinableQueue, maxsize)

    def Array(self, typecode, sequence, lock=True):
        """An array of numbers."""
        return self._made(Array, typecode, sequence)

    def dict(self, *args, **kwds):
        """A dict."""
        return self._made(Dict, *args, **kwds)

    def list(self, sequence=()):
        """A list."""
        return self._made(List, sequence)

    def Namespace(self, /, **attributes):
        """A namespace."""
        return self._made(Namespace, **attributes)

    def Value(self, typecode, value, lock=True):
        """A value; the typecode says nothing."""
        return self._made(Value, typecode, value)

    # --- what needs a server ------------------------------------------------------------------------------------------------

    def _served(self):
        """The manager of the server process, started for the first that needs it."""
        self._check_started()
        with self._server_lock:
            if self._server is None:
                server = SyncManager(ctx=self._ctx, authkey=bytes(self._authkey))
                server._registry = self._registry
                server.start()
                self._server = server
        return self._server

    def _make(self, typeid, proxytype, args, kwds):
        return self._served()._make(typeid, proxytype, args, kwds)

    def _create(self, typeid, /, *args, **kwds):
        return self._served()._create(typeid, *args, **kwds)

    # --- its life ------------------------------------------------------------------------------------------------------------

    def start(self, initializer=None, initargs=()):
        """ProcessError: it is started already, or was shut down."""
        self._check_initial()

    def connect(self):
        """ProcessError: there is no server for others."""
        raise ProcessError('what Manager() gives has no server; a SyncManager has')

    def shutdown(self):
        """No objects are made from now on.  May be called again."""
        self._state.value = State.SHUTDOWN
        with self._server_lock:
            if self._server is not None:
                self._server.shutdown()

    def join(self, timeout=None):
        """Wait for the server process to end, if there was one."""
        if self._server is not None:
            self._server.join(timeout)

    @property
    def _process(self):
        return self._server and self._server._process

    @_process.setter
    def _process(self, value):
        pass  # there is none of its own

    def _number_of_objects(self):
        """How many of its objects this process still has."""
        return len(self._objects) + (self._server._number_of_objects() if self._server else 0)

    def _debug_info(self):
        """Text about them."""
        return '\n'.join([f'  {made!r}\n    {str(made)[:75]}' for made in self._objects.values()] +
                         ([self._server._debug_info()] if self._server else []))

    def __reduce__(self):
        raise TypeError('a manager stays in its process; send its objects')

    def __repr__(self):
        return f'<{type(self).__name__} {"started" if self._state.value == State.STARTED else "shut down"} with {len(self._objects)} objects>'
