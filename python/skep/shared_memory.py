# SPDX-License-Identifier: Apache-2.0
"""Blocks of shared memory by name, and lists in them.

SharedMemory and ShareableList are those of multiprocessing.shared_memory and attach the same names; a process that uses
the standard library sees the same bytes.  Against the standard library:

* there is no resource tracker.  The kernel knows who uses a block; its name goes when unlink() is called, when all who
  used it were killed, or with the last process of the program.  Nobody's end takes a block away from others;
* memory is taken when the block is made: a full /dev/shm is an OSError there, not a SIGBUS later;
* close() with arrays over the block is safe, and where it must refuse it says what is in the way;
* a ShareableList gives back exactly what was stored, and readers never see half a value.

A process that attaches through the standard library is not seen by skep: the name may go while it works, its mapping stays.
"""
import gc
import os
import secrets
import sys
import types
from functools import partial
from multiprocessing import util

from . import _core
from .hive import default_hive

__all__ = ['SharedMemory', 'ShareableList']

_USE_POSIX = True
_SHM_NAME_PREFIX = '/skep_'

_made = {}  # id -> Memory without mapping: names this process made and has not unlinked
_finalizer_of = None  # process in which _leave_all will run


def _keep(use):
    """Hold a name until it is unlinked, or left to the hive when this process ends in order."""
    global _finalizer_of
    if _finalizer_of != os.getpid():
        _finalizer_of = os.getpid()
        util.Finalize(None, _leave_all, exitpriority=-50)  # after children were joined
    if len(_made) >= _keep.prune_at:
        for key in [key for key, other in list(_made.items()) if not other.linked]:
            del _made[key]
        _keep.prune_at = max(16, 2 * len(_made))
    _made[id(use)] = use


_keep.prune_at = 16


def _leave_all():
    while _made:
        _, use = _made.popitem()
        use.leave()


def _after_fork_in_child():
    _made.clear()  # the parent's


os.register_at_fork(after_in_child=_after_fork_in_child)


def _make_filename():
    return _SHM_NAME_PREFIX + secrets.token_hex(6)


def _create(name, size, persist):
    if name is not None:
        return _core.Memory.create(default_hive(), name, size, persist)
    while True:
        try:
            return _core.Memory.create(default_hive(), _make_filename(), size, persist)
        except FileExistsError:
            continue


class SharedMemory:
    """A block of shared memory: SharedMemory(name=None, create=False, size=0, *, track=True, persist=False).

    create=True makes it: FileExistsError if the name is taken, OSError if there is no room.  Otherwise it is attached:
    FileNotFoundError.  A block goes by unlink(), or when nobody is left who might use it, unless persist=True or, as with
    the standard library, track=False is said when it is made.  Attaching never takes part in that.
    """

    _name = None
    _memory = None
    _use = None
    _buf = None
    _size = 0
    _removed = False
    _maker = None

    def __init__(self, name=None, create=False, size=0, *, track=True, persist=False):
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        if create:
            memory = _create(name, size, bool(persist or not track))
        else:
            memory = _core.Memory.open(default_hive(), name)
        self._adopt(memory, create)

    def _adopt(self, memory, created):
        self._memory = memory
        self._name = '/' + memory.name
        self._size = memory.size
        self._buf = memoryview(memory)
        if created:
            self._use = memory.use()
            self._maker = os.getpid()
            _keep(self._use)

    @classmethod
    def _of(cls, memory, created):
        self = cls.__new__(cls)
        self._adopt(memory, created)
        return self

    def __del__(self):
        self._pass_on()  # the mapping goes with its last view

    def _pass_on(self):
        """Who makes a block and lets go of it without unlink() has given the name to others, and may now be killed."""
        if self._buf is not None and self._maker == os.getpid() and id(self._use) in _made:
            self._use.keep()

    def __reduce__(self):
        return self.__class__, (self.name, False, self.size)

    def __repr__(self):
        return f'{self.__class__.__name__}({self.name!r}, size={self.size})'

    @property
    def buf(self):
        """A memoryview of the block; None after close()."""
        return self._buf

    @property
    def name(self):
        """What others attach it by."""
        return self._name[1:]

    @property
    def size(self):
        """Bytes."""
        return self._size

    def close(self):
        """Give up this access to the block; others go on.

        BufferError: memoryviews or objects that export through one are alive, and named.  Arrays made by
        numpy.ndarray(buffer=shm.buf), which export nothing, are no obstacle: they keep the mapping for themselves.
        """
        if self._buf is None:
            return
        count = self._memory.other_views(self._buf)
        if count:
            raise BufferError(_who_views(count, self._memory, self._buf, self.name))
        self._pass_on()
        linked = self._use is None and self._memory.linked
        self._buf.release()
        self._memory.close()
        self._buf = self._memory = None
        if linked:
            self._removed = not os.path.exists(f'/dev/shm{self._name}')  # we were the last, and nobody was left

    def unlink(self):
        """Remove the name; who has the block keeps it.  FileNotFoundError: it is gone already."""
        if self._removed:
            self._removed = False
            return
        use = self._use or self._memory
        if use is None:
            use = _core.Memory.open(default_hive(), self._name)
        try:
            use.unlink()
        finally:
            if self._use is not None:
                _made.pop(id(self._use), None)


# --- who has a view -----------------------------------------------------------------------------------------------------

def _beneath(obj):
    """The objects an array or a view rests on, itself first."""
    for _ in range(32):
        yield obj
        obj = obj.obj if isinstance(obj, memoryview) else getattr(obj, 'base', None)
        if obj is None:
            return


def _containers():
    import inspect  # not cheap, and only for a message
    for container in gc.get_objects():
        yield gc.get_referents(container)
    for frame in sys._current_frames().values():
        while frame is not None:
            variables = frame.f_locals
            yield list(variables.values())
            if type(variables) is dict and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
                variables.clear()  # a copy, which the frame would keep with all that is in it
            frame = frame.f_back


def _who_views(count, memory, buf, name):
    """What close() says: how many views, and of which types as far as they can be found."""
    found = {}
    for objects in _containers():
        for obj in objects:
            kind = type(obj)
            if obj is buf or id(obj) in found or not (kind is memoryview or hasattr(kind, '__array_interface__')):
                continue
            try:
                rests = any(below is memory or below is buf for below in _beneath(obj))
            except ValueError:  # a released memoryview
                continue
            if rests:
                found[id(obj)] = f'{kind.__module__}.{kind.__qualname__}'.removeprefix('builtins.')
    objects = obj = None  # the traceback of the error would keep them alive
    kinds = sorted(found.values(), key=lambda kind: kind == 'memoryview')
    held = ', '.join(f'{kinds.count(kind)} {kind}' for kind in dict.fromkeys(kinds))
    plural = 'view of it is' if count == 1 else 'views of it are'
    return f'cannot close {name!r}: {count} {plural} alive' + (f' ({held})' if held else '') + '; delete them first'


# --- lists --------------------------------------------------------------------------------------------------------------

class ShareableList(_core.ItemList):
    """A list of a fixed number of values in shared memory: ShareableList(sequence=None, *, name=None, room=0, persist=False).

    With a sequence it is made, with a name alone attached.  Values are int (64 bits), float, bool, str, bytes and None;
    a slot may change its type.  A str or bytes longer than its slot raises ValueError and the old value stays; room=N
    gives each slot at least N bytes.  The block lives as a SharedMemory does.  Against multiprocessing: NUL bytes at the end and text of any language come back
    as they were, sl[-len(sl) - 1] raises IndexError, an int that does not fit OverflowError.
    """

    def __init__(self, sequence=None, *, name=None, room=0, persist=False):
        created = name is None or sequence is not None
        if created:
            memory = self._make(default_hive(), name, () if sequence is None else sequence, room, persist)
        else:
            memory = self._open(default_hive(), name)
        self.shm = SharedMemory._of(memory, created)

    def __reduce__(self):
        return partial(self.__class__, name=self.shm.name), ()

    def __repr__(self):
        return f'{self.__class__.__name__}({list(self)}, name={self.shm.name!r})'

    def count(self, value):
        """How many values equal this one."""
        return sum(value == entry for entry in self)

    def index(self, value):
        """Where the first equal value stands.  ValueError: nowhere."""
        for position, entry in enumerate(self):
            if value == entry:
                return position
        raise ValueError(f'{value!r} not in this container')

    __class_getitem__ = classmethod(types.GenericAlias)
