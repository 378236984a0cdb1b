# SPDX-License-Identifier: Apache-2.0
"""Contexts: the start methods fork, spawn and forkserver with skep's objects.

Starting a process and pickling for it are the standard library's.  Every process started through a context of skep is a
member of its parent's default hive from the start.
"""
import multiprocessing
from multiprocessing import context as _standard

from .hive import Inheritance, default_hive

__all__ = ()


class BaseContext(_standard.BaseContext):
    """What all contexts of skep offer: names and signatures of multiprocessing's."""

    def Queue(self, maxsize=0):
        """A skep.queues.Queue; maxsize 0 or less: no limit."""
        from .queues import Queue
        return Queue(maxsize, ctx=self.get_context())

    def SimpleQueue(self):
        """A skep.queues.SimpleQueue: put, get, empty, close."""
        from .queues import SimpleQueue
        return SimpleQueue(ctx=self.get_context())

    def Pool(self, processes=None, initializer=None, initargs=(), maxtasksperchild=None):
        """A skep.pool.Pool."""
        from .pool import Pool
        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

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


def _start_with_inheritance(standard_process, process_obj):
    process_obj._skep_inheritance = Inheritance(_default_context.get_start_method())
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
