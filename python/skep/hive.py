# SPDX-License-Identifier: Apache-2.0
"""Hives: the shared memory in which queues and arrays live, and how a process comes to share its parent's.

Each process has one default hive, anonymous, made when it is first needed.  A child started through skep has its
parent's: by fork it is a member already, by spawn and forkserver it gets the descriptor, one for each hive, and attaches.

A reference to an object in a hive can be pickled at any time and means something in any process that is a member of that
hive.  It does not keep the object alive.
"""
import errno
import os
import threading
import weakref

from multiprocessing import parent_process, reduction, util
from multiprocessing.context import get_spawning_popen

from . import _core

__all__ = ['Hive', 'default_hive']

_lock = threading.RLock()
_members = weakref.WeakValueDictionary()  # identity -> Hive of this process
_default = None


def _identity_of(fd):
    """What distinguishes the file of a hive from all others while somebody has it open."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


class Hive(_core.Hive):
    """Membership in a hive, one region of shared memory with all its objects.

    Made by Hive.create(name=None, capacity=0, persistent=False), Hive.open(name), Hive.attach(fd) or Hive.connect(address, authkey).
    As a context manager it closes itself.

    queue(), lock() ... give its objects.  All of them: with a name the one of that name, FileNotFoundError if there is none,
    TypeError if it is of another kind; with create=True, or without a name, a new one, FileExistsError if the name is taken.
    What describes a new one (maxsize, value, parties ...) is not looked at when one is found.
    """

    @classmethod
    def create(cls, name=None, capacity=0, persistent=False, **options):
        """Make a hive and join it; capacity in bytes, 0: the machine's memory.  FileExistsError: the name is taken."""
        return super().create(name, capacity, persistent, **options)._register()

    @classmethod
    def open(cls, name):
        """Join the hive of that name.  FileNotFoundError: there is none."""
        return super().open(name)._register()

    @classmethod
    def attach(cls, fd):
        """Join the hive behind a descriptor, which stays the caller's.  HiveError: it is none."""
        return super().attach(fd)._register()

    @classmethod
    def connect(cls, address, authkey=None, timeout=None):
        """The hive of another machine, that `skep serve` or a skep_server offers: "tcp://host:port" or "unix:path".

        Its queues, locks ... work from here; arrays that come from it are this process's own.  Without an authkey the server
        must be of the same user, at a unix socket made with --plain.  PermissionError: the keys differ.

        A call whose connection breaks raises OSError: with errno ENOTCONN it has surely not happened, ConnectionResetError means
        that it may have.  Then reconnect(), also in a child after a fork.  OSError with ENOTSUP: what only one machine can do (RWLock,
        Once, Pipe, a barrier's action, fileno(), arrays of the hive in a dict or list).  Its objects cannot be pickled.
        """
        return super().connect(address, authkey, timeout)._register()

    def _register(self):
        self.identity = _identity_of(self.fd)
        # A process may join a hive twice; then objects are shared through the first membership.
        _members.setdefault(self.identity, self)
        return self

    def close(self):
        """Leave the hive, when the last of its queues and arrays in this process is gone."""
        with _lock:
            if _members.get(getattr(self, 'identity', None)) is self:
                del _members[self.identity]
        super().close()

    def queue(self, name=None, create=False, maxsize=0, *, acknowledge=False, deliveries=0):
        """The queue of that name, a skep.queues.Queue.  FileNotFoundError: there is none.

        With create=True it is made: FileExistsError if it is there.  Without a name a new anonymous one is made.  acknowledge and
        deliveries are for a new one, as of skep.Queue(); one that was made so is a skep.deliveries.AcknowledgedQueue.
        """
        from .deliveries import AcknowledgedQueue
        from .queues import Queue
        if create or name is None:
            return (AcknowledgedQueue if acknowledge else Queue)._make(self, maxsize, name, acknowledge, deliveries)
        queue = self._find(Queue, name)
        return AcknowledgedQueue.open(self, name) if queue.acknowledges else queue

    def lock(self, name=None, create=False, *, on_owner_died='warn'):
        """A skep.synchronize.Lock."""
        return self._owned('Lock', name, create, on_owner_died)

    def rlock(self, name=None, create=False, *, on_owner_died='warn'):
        """A skep.synchronize.RLock."""
        return self._owned('RLock', name, create, on_owner_died)

    def semaphore(self, name=None, create=False, value=1, *, bounded=False, recover=False, on_owner_died='warn'):
        """A skep.synchronize.Semaphore; bounded: a BoundedSemaphore."""
        if bounded:
            if recover:
                raise ValueError('a semaphore that recovers is bounded anyway')
            return self._owned('BoundedSemaphore', name, create, on_owner_died, value=value)
        return self._owned('Semaphore', name, create, on_owner_died, value=value, recover=recover)

    def event(self, name=None, create=False):
        """A skep.synchronize.Event."""
        from .synchronize import Event
        return Event(hive=self, name=name) if create or name is None else self._find(Event, name)

    def barrier(self, name=None, create=False, parties=None, action=None, timeout=None):
        """A skep.synchronize.Barrier; action and timeout are this process's own, parties a new one's."""
        from .synchronize import Barrier
        if create or name is None:
            return Barrier(parties, action, timeout, hive=self, name=name)
        barrier = self._find(Barrier, name)
        barrier._action, barrier._timeout = action, timeout
        return barrier

    def condition(self, name=None, create=False, lock=None):
        """A skep.synchronize.Condition; a new one is bound to that Lock or RLock of this hive, or to an RLock of its own."""
        from .synchronize import Condition
        return Condition(lock, hive=self, name=name) if create or name is None else self._find(Condition, name)

    def value(self, name=None, create=False, typecode='q', value=0):
        """A number, with a lock: a skep.sharedctypes.Number; the types are ? b B h H i I l L q Q f d."""
        from .sharedctypes import Number
        return Number(typecode, value, hive=self, name=name) if create or name is None else self._find(Number, name, Number._found)

    def array(self, name=None, create=False, typecode='q', size_or_initializer=1):
        """Numbers, with a lock: a skep.sharedctypes.Numbers.  (Large arrays are skep.zeros(..., hive=hive), and go through queues.)"""
        from .sharedctypes import Numbers
        return Numbers(typecode, size_or_initializer, hive=self, name=name) if create or name is None else self._find(Numbers, name, Numbers._found)

    def dict(self, name=None, create=False, *, capacity=0):
        """A skep.Dict; a new one is empty, with room for so many keys at first."""
        from .dicts import Dict
        return Dict.in_hive(self, capacity=capacity, name=name) if create or name is None else self._find(Dict, name)

    def list(self, name=None, create=False):
        """A skep.List; a new one is empty."""
        from .lists import List
        return List(hive=self, name=name) if create or name is None else self._find(List, name)

    def namespace(self, name=None, create=False):
        """A skep.Namespace; a new one is empty."""
        from .dicts import Namespace
        return Namespace.in_hive(self, name=name) if create or name is None else self._find(Namespace, name)

    def _owned(self, noun, name, create, on_owner_died, **options):
        from . import synchronize
        class_ = getattr(synchronize, noun)
        if create or name is None:
            return class_(on_owner_died=on_owner_died, hive=self, name=name, **options)
        found = self._find(class_, name)
        found.on_owner_died = on_owner_died
        return found

    def _find(self, class_, name, open_=None):
        try:
            return (open_ or class_.open)(self, name)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
        raise TypeError(f'{name!r} is not the name of a {class_.__name__}')

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __reduce__(self):
        if self.closed:
            raise ValueError('the hive is closed')
        popen = get_spawning_popen()
        if popen is None:
            return _member_of, (self.identity,)
        return _join, (self.identity, _descriptor_for(popen, self))

    def __repr__(self):
        if self.closed:
            return f'<{type(self).__name__} closed>'
        return f'<{type(self).__name__} member={self.member} identity={self.identity}>'


def default_hive():
    """The hive of this process in which queues and arrays are made, unless said otherwise."""
    global _default
    if _default is None:
        with _lock:
            if _default is None:
                _default = Hive.create()
    return _default


def _set_default_hive(hive):
    global _default
    _default = hive


# --- the way to a child -----------------------------------------------------------------------------------------------

def _descriptor_for(popen, hive):
    """The descriptor of the hive as the child will know it: one for each hive, however many objects are sent."""
    handed_over = popen.__dict__.setdefault('_skep_descriptors', {})
    if hive.identity not in handed_over:
        handed_over[hive.identity] = reduction.DupFd(hive.fd)
    return handed_over[hive.identity]


def _keep_until_child_ends(popen, obj):
    """Hold an object for a child that has its reference only and may attach late, even if the parent drops it."""
    popen.__dict__.setdefault('_skep_kept', []).append(obj)


def _member_of(identity):
    """Unpickle a hive sent to a process that should be a member."""
    hive = _members.get(identity)
    if hive is None:
        raise RuntimeError(
            'this process is not a member of the hive that the object lives in; start it through skep (as a '
            'Process, or a worker of a Pool or executor, of a skep context), or open the hive by name first')
    return hive


def _join(identity, descriptor):
    """Unpickle a hive in a child that is being spawned."""
    fd = descriptor.detach()
    with _lock:
        hive = _members.get(identity)
        if hive is None:
            hive = Hive.attach(fd)
    try:
        ours = _identity_of(fd) == identity
    except OSError:
        ours = False
    if ours:
        os.close(fd)  # the membership has one of its own
    return hive


class Inheritance:
    """What a child gets from its parent beside its arguments: default hive and start method."""

    def __init__(self, start_method):
        self.hive = default_hive()
        self.start_method = start_method

    def __reduce__(self):
        return _inherit, (self.hive, self.start_method)


def _inherit(hive, start_method):
    from . import context
    _set_default_hive(hive)
    context._force_start_method(start_method)


# --- the end of a process ---------------------------------------------------------------------------------------------

def _tell_of_orderly_end(*unused):
    """A child of multiprocessing ends by os._exit(), so it has to tell; exit() does, and only then is nothing in use any more."""
    util.Finalize(None, _core.process_exiting, exitpriority=-1000)


util.register_after_fork(_tell_of_orderly_end, _tell_of_orderly_end)  # each child of multiprocessing runs it, by whatever method it starts
if parent_process() is not None:
    _tell_of_orderly_end()  # it had begun before this import


# --- fork -------------------------------------------------------------------------------------------------------------

def _after_fork_in_child():
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork_in_child)
