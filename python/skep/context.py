# SPDX-License-Identifier: Apache-2.0
"""Contexts: the start methods fork, spawn and forkserver with skep's objects.

Starting a process and pickling for it are the standard library's.  Every process started through a context of skep is a
member of its parent's default hive from the start.
"""
import multiprocessing
from multiprocessing import context as _standard
from multiprocessing.context import (  # noqa: F401: users ask this module for them
    AuthenticationError, BufferTooShort, ProcessError, TimeoutError, assert_spawning, get_spawning_popen, set_spawning_popen)

from .hive import Inheritance, default_hive

__all__ = ()


class BaseContext(_standard.BaseContext):
    """What all contexts of skep offer: names and signatures of multiprocessing's."""

    def Queue(self, maxsize=0, *, acknowledge=False, deliveries=0):
        """A skep.queues.Queue; maxsize 0 or less: no limit.

        acknowledge=True: a skep.deliveries.AcknowledgedQueue.  What is got goes back if its taker dies before acknowledge(), and after so
        many deliveries (0: any number) to dead_letters().
        """
        if acknowledge:
            from .deliveries import AcknowledgedQueue
            return AcknowledgedQueue(maxsize, deliveries=deliveries, ctx=self.get_context())
        if deliveries:
            raise ValueError('deliveries are counted in a queue with acknowledge=True')
        from .queues import Queue
        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize=0):
        """A skep.queues.JoinableQueue: also task_done and join."""
        from .queues import JoinableQueue
        return JoinableQueue(maxsize, ctx=self.get_context())

    def SimpleQueue(self):
        """A skep.queues.SimpleQueue: put, get, empty, close."""
        from .queues import SimpleQueue
        return SimpleQueue(ctx=self.get_context())

    def Pipe(self, duplex=True):
        """Two connected skep.connection.Connections; with duplex=False the first only receives and the second only sends."""
        from .connection import Pipe
        return Pipe(duplex)

    def Lock(self, *, on_owner_died='warn'):
        """A skep.synchronize.Lock."""
        from .synchronize import Lock
        return Lock(on_owner_died=on_owner_died)

    def RLock(self, *, on_owner_died='warn'):
        """A skep.synchronize.RLock."""
        from .synchronize import RLock
        return RLock(on_owner_died=on_owner_died)

    def Condition(self, lock=None):
        """A skep.synchronize.Condition; lock None: an RLock of its own."""
        from .synchronize import Condition
        return Condition(lock)

    def Semaphore(self, value=1, *, recover=False, on_owner_died='warn'):
        """A skep.synchronize.Semaphore; recover=True: the units of dead holders are given to others."""
        from .synchronize import Semaphore
        return Semaphore(value, recover=recover, on_owner_died=on_owner_died)

    def BoundedSemaphore(self, value=1):
        """A skep.synchronize.BoundedSemaphore."""
        from .synchronize import BoundedSemaphore
        return BoundedSemaphore(value)

    def Event(self):
        """A skep.synchronize.Event."""
        from .synchronize import Event
        return Event()

    def Barrier(self, parties, action=None, timeout=None):
        """A skep.synchronize.Barrier."""
        from .synchronize import Barrier
        return Barrier(parties, action, timeout)

    def RWLock(self, *, on_owner_died='warn'):
        """A skep.synchronize.RWLock: many readers or one writer."""
        from .synchronize import RWLock
        return RWLock(on_owner_died=on_owner_died)

    def Once(self):
        """A skep.synchronize.Once."""
        from .synchronize import Once
        return Once()

    def RawValue(self, typecode_or_type, *args):
        """A ctypes object in shared memory."""
        from .sharedctypes import RawValue
        return RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type, size_or_initializer):
        """A ctypes array in shared memory."""
        from .sharedctypes import RawArray
        return RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type, *args, lock=True):
        """A ctypes object in shared memory with a lock."""
        from .sharedctypes import Value
        return Value(typecode_or_type, *args, lock=lock)

    def Array(self, typecode_or_type, size_or_initializer, *, lock=True):
        """A ctypes array in shared memory with a lock."""
        from .sharedctypes import Array
        return Array(typecode_or_type, size_or_initializer, lock=lock)

    def Manager(self):
        """A started skep.managers.local.HiveManager: shared objects of all kinds, without a server process."""
        from .managers.local import HiveManager
        return HiveManager(ctx=self.get_context())

    def Pool(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None):
        """A skep.pool.Pool."""
        from .pool import Pool
        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def set_forkserver_preload(self, module_names):
        """Modules that the fork server imports before it forks.  TypeError: not a list of strings."""
        if not all(type(name) is str for name in module_names):  # early versions of 3.11 looked at the list set before
            raise TypeError('module_names must be a list of strings')
        super().set_forkserver_preload(module_names)

    def get_context(self, method=None):
        """The context of a start method; None: this one.  ValueError: no such method."""
        if method is None:
            return self
        try:
            context = _concrete_contexts[method]
        except KeyError:
            raise ValueError('cannot find context for %r' % method) from None
        context._check_available()
        return context


class ForkProcess(_standard.ForkProcess):
    """A process that begins as a copy of this one."""

    @staticmethod
    def _Popen(process_obj):
        default_hive()  # before the fork, so that it is the child's too
        return _standard.ForkProcess._Popen(process_obj)

    def _bootstrap(self, *args, **kwargs):
        _force_start_method('fork')  # whatever the parent's default is; as the others do by inheritance
        return super()._bootstrap(*args, **kwargs)


def _start_with_inheritance(standard_process, process_obj):
    process_obj._skep_inheritance = Inheritance(process_obj._start_method or _default_context.get_start_method())
    try:
        return standard_process._Popen(process_obj)
    finally:
        del process_obj._skep_inheritance


class SpawnProcess(_standard.SpawnProcess):
    """A process that begins as a fresh interpreter."""

    @staticmethod
    def _Popen(process_obj):
        return _start_with_inheritance(_standard.SpawnProcess, process_obj)


class ForkServerProcess(_standard.ForkServerProcess):
    """A process that begins as a copy of a small server process."""

    @staticmethod
    def _Popen(process_obj):
        return _start_with_inheritance(_standard.ForkServerProcess, process_obj)


class Process(_standard.Process):
    """A process of the default start method: Process(group=None, target=None, name=None, args=(), kwargs={}, *, daemon=None)."""

    @staticmethod
    def _Popen(process_obj):
        return _default_context.get_context().Process._Popen(process_obj)

    @staticmethod
    def _after_fork():
        return _default_context.get_context().Process._after_fork()


class ForkContext(_standard.ForkContext, BaseContext):
    Process = ForkProcess


class SpawnContext(_standard.SpawnContext, BaseContext):
    Process = SpawnProcess


class ForkServerContext(_standard.ForkServerContext, BaseContext):
    Process = ForkServerProcess


class DefaultContext(_standard.DefaultContext, BaseContext):
    """The context behind the functions of the package; its start method can be set once."""

    Process = Process


_concrete_contexts = {
    'fork': ForkContext(),
    'spawn': SpawnContext(),
    'forkserver': ForkServerContext(),
}
_default_context = DefaultContext(_concrete_contexts[multiprocessing.get_all_start_methods()[0]])


def _force_start_method(method):
    _default_context._actual_context = _concrete_contexts[method]
