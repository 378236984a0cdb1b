# SPDX-License-Identifier: Apache-2.0
"""ctypes objects in a hive: multiprocessing.sharedctypes.

Names, signatures and behaviour are the standard library's.  Beyond it:

* add, exchange, compare_exchange and wait_for_change on a Value or on an element of an Array work in one step, without the
  lock: numbers of any processes' additions are never lost.  `v.value += 1` is two steps as ever, and loses what others do in
  between, add() included, even under get_lock() unless they take it too;
* Value and Array can be pickled at any time (skep.reference).  So can raw ctypes objects, by multiprocessing's pickler and
  skep's queues; pickle itself copies them, as it does with all of ctypes;
* types that contain pointers are refused: an address means nothing in another process;
* arrays of numbers are filled from a list, a range or a buffer in one pass;
* Number and Numbers have names, and work in a hive of another machine as they do in one of this machine (Hive.value, Hive.array).
"""
import ctypes
import functools
import operator
import sys
import weakref

from multiprocessing.reduction import ForkingPickler

from . import _core
from .hive import default_hive
from .reference import Referable
from .synchronize import RLock

__all__ = ['RawValue', 'RawArray', 'Value', 'Array', 'Number', 'Numbers', 'copy', 'synchronized']

typecode_to_type = {
    'c': ctypes.c_char, 'u': ctypes.c_wchar, '?': ctypes.c_bool,
    'b': ctypes.c_byte, 'B': ctypes.c_ubyte,
    'h': ctypes.c_short, 'H': ctypes.c_ushort,
    'i': ctypes.c_int, 'I': ctypes.c_uint,
    'l': ctypes.c_long, 'L': ctypes.c_ulong,
    'q': ctypes.c_longlong, 'Q': ctypes.c_ulonglong,
    'f': ctypes.c_float, 'd': ctypes.c_double,
}

_SimpleCData = ctypes._SimpleCData
_NATIVE = '__ctype_le__' if sys.byteorder == 'little' else '__ctype_be__'


class _Memory(Referable, _core.Value):
    """Where a ctypes object lies; found as its `_wrapper`."""

    def create_memoryview(self):
        """What multiprocessing's own reducer of ctypes objects asks for."""
        return memoryview(self)


# --- types --------------------------------------------------------------------------------------------------------------

@functools.lru_cache(256)
def _has_pointer(type_):
    if issubclass(type_, (ctypes._Pointer, ctypes._CFuncPtr)):
        return True
    if issubclass(type_, _SimpleCData):
        return type_._type_ in 'PzZO'
    if issubclass(type_, ctypes.Array):
        return _has_pointer(type_._type_)
    return any(_has_pointer(field[1]) for field in _fields(type_))


def _fields(type_):
    """The fields of a Structure or Union with those that it inherits, first ones first."""
    return [field for base in reversed(type_.__mro__) for field in base.__dict__.get('_fields_', ())]


def _type_of(typecode_or_type):
    type_ = typecode_to_type.get(typecode_or_type) if isinstance(typecode_or_type, str) else typecode_or_type
    if type_ is None or not isinstance(type_, type) or not hasattr(type_, 'from_buffer'):
        raise TypeError(f'{typecode_or_type!r} is neither a type code ({" ".join(typecode_to_type)}) nor a ctypes type')
    if _has_pointer(type_):
        raise TypeError(f'{type_.__name__} holds a pointer, which means nothing in another process')
    return type_


def _format_of(type_):
    """The format of elements that have atomic functions, or None."""
    if not issubclass(type_, _SimpleCData) or getattr(type_, _NATIVE, type_) is not type_:
        return None
    return type_._type_ if type_._type_ in '?bBhHiIlLqQfd' else None


def _is_number(obj):
    """Whether the memory of a ctypes object consists of such elements, this object being one or an array of them."""
    return _format_of(obj._type_ if isinstance(obj, ctypes.Array) else type(obj)) is not None


# --- raw objects --------------------------------------------------------------------------------------------------------

def _lay(type_, memory):
    """A ctypes object on shared memory."""
    obj = type_.from_buffer(memory)
    obj._wrapper = memory
    ForkingPickler.register(type_, reduce_ctype)
    return obj


def _new(type_, length=None):
    format_ = _format_of(type_)
    size = 0 if format_ else ctypes.sizeof(type_) or 1
    return _lay(type_ if length is None else type_ * length, _Memory(default_hive(), format_, size, 1 if length is None else length))


def _describe(type_):
    """A type for pickle, which finds types by name: an array of n has none, so it is told as (type, n)."""
    named = getattr(sys.modules.get(type_.__module__), type_.__qualname__, None) is type_
    return type_ if named or not issubclass(type_, ctypes.Array) else (_describe(type_._type_), type_._length_)


def _described(description):
    return _described(description[0]) * description[1] if isinstance(description, tuple) else description


def _parts(obj):
    """What _unpickle_raw() makes it of."""
    return _describe(type(obj)), obj._wrapper


def _unpickle_raw(description, memory):
    return _lay(_described(description), memory)


def reduce_ctype(obj):
    """For multiprocessing's pickler: by reference if it lies in a hive, else as ctypes does."""
    wrapper = getattr(obj, '_wrapper', None)
    if isinstance(wrapper, _Memory):
        return _unpickle_raw, _parts(obj)
    if wrapper is not None:
        from multiprocessing.sharedctypes import reduce_ctype as standard
        return standard(obj)
    return obj.__reduce_ex__(2)


def RawValue(typecode_or_type, *args):
    """A ctypes object in shared memory, without a lock."""
    obj = _new(_type_of(typecode_or_type))
    obj.__init__(*args)
    return obj


def RawArray(typecode_or_type, size_or_initializer):
    """A ctypes array in shared memory, without a lock: of zeros, or from a sequence."""
    type_ = _type_of(typecode_or_type)
    try:
        length = operator.index(size_or_initializer)
    except TypeError:
        pass
    else:
        if length < 0:
            raise ValueError('the size of an array cannot be negative')
        return _new(type_, length)
    obj = _new(type_, len(size_or_initializer))
    if not len(obj):
        pass
    elif _format_of(type_):
        obj._wrapper._fill(size_or_initializer)
    elif isinstance(size_or_initializer, (bytes, str)):
        obj[:] = size_or_initializer
    else:
        obj.__init__(*size_or_initializer)
    return obj


def copy(obj):
    """A copy of a ctypes object in shared memory."""
    if isinstance(obj, ctypes.Array):
        new = _new(_type_of(obj._type_), obj._length_)
    else:
        new = _new(_type_of(type(obj)))
    ctypes.memmove(ctypes.addressof(new), ctypes.addressof(obj), ctypes.sizeof(obj))
    return new


# --- objects with a lock ------------------------------------------------------------------------------------------------

def Value(typecode_or_type, *args, lock=True, ctx=None):
    """A ctypes object in shared memory; lock True: with an RLock; False: raw; or a lock of your own."""
    return _with_lock(RawValue(typecode_or_type, *args), lock)


def Array(typecode_or_type, size_or_initializer, *, lock=True, ctx=None):
    """A ctypes array in shared memory; lock as for Value."""
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock)


def _with_lock(obj, lock):
    if lock is False:
        return obj
    if lock is not True and lock is not None and not hasattr(lock, 'acquire'):
        raise AttributeError(f'{lock!r} has no method "acquire"')
    return synchronized(obj, None if lock is True else lock)


_class_of_structure = weakref.WeakKeyDictionary()


def synchronized(obj, lock=None, ctx=None):
    """A ctypes object with a lock around its attributes or elements; lock None: an RLock."""
    assert not isinstance(obj, SynchronizedBase), 'object already synchronized'
    if isinstance(obj, _SimpleCData):
        return Synchronized(obj, lock)
    if isinstance(obj, ctypes.Array):
        return (SynchronizedString if obj._type_ is ctypes.c_char else SynchronizedArray)(obj, lock)
    type_ = type(obj)
    if type_ not in _class_of_structure:
        names = [field[0] for field in _fields(type_)]
        _class_of_structure[type_] = type('Synchronized' + type_.__name__, (SynchronizedBase,), {name: _locked(name) for name in names})
    return _class_of_structure[type_](obj, lock)


def _locked(name):
    """A property of the wrapper that is the ctypes object's, under the lock."""
    def get(self):
        with self._lock:
            return getattr(self._obj, name)

    def set_(self, value):
        with self._lock:
            setattr(self._obj, name, value)
        self._changed()

    return property(get, set_)


def _unpickle(description, memory, lock):
    return synchronized(_unpickle_raw(description, memory), lock)


class SynchronizedBase:
    """get_obj(), get_lock(), acquire(), release(), with."""

    def __init__(self, obj, lock=None, ctx=None):
        self._obj = obj
        self._lock = RLock() if lock is None else lock
        self.acquire = self._lock.acquire
        self.release = self._lock.release
        self._memory = getattr(obj, '_wrapper', None)
        if not isinstance(self._memory, _Memory):
            self._memory = None

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *exc_info):
        return self._lock.__exit__(*exc_info)

    def get_obj(self):
        """The ctypes object."""
        return self._obj

    def get_lock(self):
        """The lock."""
        return self._lock

    def _shared_memory(self):
        if self._memory is None:
            raise TypeError(f'{self._obj!r} does not lie in a hive: make it with RawValue, RawArray or copy()')
        return self._memory

    def _changed(self):
        if self._memory is not None:
            self._memory.changed()

    def _wait(self, index, type_, seen, timeout):
        if seen is not None and not _is_number(self._obj) and not isinstance(seen, type_):
            seen = type_(seen)
        return self._shared_memory()._wait(index, seen, timeout)

    def __reduce__(self):
        self._shared_memory()
        return _unpickle, (*_parts(self._obj), self._lock)

    def __repr__(self):
        return f'<{type(self).__name__} wrapper for {self._obj}>'


class Synchronized(SynchronizedBase):
    """A scalar: value, and in one step without the lock add, exchange and compare_exchange (numbers and bool)."""

    def __init__(self, obj, lock=None, ctx=None):
        super().__init__(obj, lock, ctx)
        if self._memory is not None:  # straight into C
            self.add = self._memory.add
            self.exchange = self._memory.exchange
            self.compare_exchange = self._memory.compare_exchange

    @property
    def value(self):
        """The value, read and set under the lock."""
        with self._lock:
            return self._obj.value

    @value.setter
    def value(self, value):
        with self._lock:
            self._obj.value = value
        if self._memory is not None:
            self._memory.changed()

    def add(self, n):
        """Add n; returns what was there before, so that n=1 gives out numbers that no other call gets."""
        return self._shared_memory().add(n)

    def exchange(self, new):
        """Store new; returns what was there before."""
        return self._shared_memory().exchange(new)

    def compare_exchange(self, old, new):
        """Store new if the value is old (floats: has its bits); returns whether it was."""
        return self._shared_memory().compare_exchange(old, new)

    def wait_for_change(self, seen=None, timeout=None):
        """Wait until the value differs from seen (None: from what it is now); returns False if the time ran out.

        A change through the functions here wakes at once, one through get_obj() or memory within 50 ms.
        """
        return self._wait(0, type(self._obj), seen, timeout)


class SynchronizedArray(SynchronizedBase):
    """An array: len, index, slice; and in one step without the lock add, exchange and compare_exchange on one element."""

    def __init__(self, obj, lock=None, ctx=None):
        super().__init__(obj, lock, ctx)
        if self._memory is not None:  # straight into C
            self.add = self._memory.add_at
            self.exchange = self._memory.exchange_at
            self.compare_exchange = self._memory.compare_exchange_at

    def __len__(self):
        return len(self._obj)

    def __getitem__(self, index):
        with self._lock:
            return self._obj[index]

    def __setitem__(self, index, value):
        with self._lock:
            self._obj[index] = value
        self._changed()

    def add(self, index, n):
        """Add n to an element; returns what was there before."""
        return self._shared_memory().add_at(index, n)

    def exchange(self, index, new):
        """Store new in an element; returns what was there before."""
        return self._shared_memory().exchange_at(index, new)

    def compare_exchange(self, index, old, new):
        """Store new in an element if it is old; returns whether it was."""
        return self._shared_memory().compare_exchange_at(index, old, new)

    def wait_for_change(self, index, seen=None, timeout=None):
        """Wait until an element differs from seen (None: from what it is now); returns False if the time ran out."""
        return self._wait(index, self._obj._type_, seen, timeout)


class SynchronizedString(SynchronizedArray):
    """An array of c_char: also value and raw."""

    value = _locked('value')
    raw = _locked('raw')


# --- numbers with a lock, here or on another machine ------------------------------------------------------------------------

class _Locked(Referable, _core.Value):
    """What Number and Numbers have in common.  The lock is an RLock of their own."""

    def __init__(self, typecode, numbers, hive=None, name=None):
        type_ = _type_of(typecode)
        format_ = _format_of(type_)
        if format_ is None:
            raise TypeError(f'{typecode!r} is not the type of a number')
        super().__init__(default_hive() if hive is None else hive, format_, 0, len(numbers), name, True, (type_ * len(numbers))(*numbers))

    @classmethod
    def _found(cls, hive, name):
        self = cls.open(hive, name)
        if self.format is None or (cls is Number and self.count != 1):
            raise TypeError(f'{name!r} is not the name of a {cls.__name__}')
        return self

    def get_lock(self):
        """What has acquire() and release(), and works in a with statement: this one."""
        return self

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exc_info):
        self.release()


class Number(_Locked):
    """A number: value, and in one step add(n), exchange(new), compare_exchange(old, new), none of which waits for the lock.

    Also wait_for_change(), acquire(block=True, timeout=None), release(), with.  See Hive.value().
    """

    def __init__(self, typecode, value=0, *, hive=None, name=None):
        super().__init__(typecode, [value], hive, name)

    @property
    def value(self):
        """The number."""
        return self.load()

    @value.setter
    def value(self, value):
        self.exchange(value)

    def wait_for_change(self, seen=None, timeout=None):
        """Wait until the value differs from seen (None: from what it is now); returns False if the time ran out."""
        return self._wait(0, self.load() if seen is None else seen, timeout)

    def __repr__(self):
        return f'<{type(self).__name__} {self.value!r}>'


class Numbers(_Locked):
    """An array of numbers: len, index, slice (element by element), and in one step add(index, n), exchange and compare_exchange.

    Also wait_for_change(index), acquire(block=True, timeout=None), release(), with.  See Hive.array().
    """

    def __init__(self, typecode, size_or_initializer, *, hive=None, name=None):
        try:
            numbers = [0] * operator.index(size_or_initializer)
        except TypeError:
            numbers = list(size_or_initializer)
        if not numbers:
            raise ValueError('an array of numbers has one or more')
        super().__init__(typecode, numbers, hive, name)

    add = _core.Value.add_at
    exchange = _core.Value.exchange_at
    compare_exchange = _core.Value.compare_exchange_at

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self.load_at(i) for i in range(*index.indices(self.count))]
        return self.load_at(index)

    def __setitem__(self, index, value):
        if not isinstance(index, slice):
            self.exchange_at(index, value)
            return
        places, numbers = range(*index.indices(self.count)), list(value)
        if len(places) != len(numbers):
            raise ValueError('the length of an array does not change')
        for i, number in zip(places, numbers):
            self.exchange_at(i, number)

    def wait_for_change(self, index, seen=None, timeout=None):
        """Wait until an element differs from seen (None: from what it is now); returns False if the time ran out."""
        return self._wait(index, self.load_at(index) if seen is None else seen, timeout)

    def __repr__(self):
        return f'<{type(self).__name__} {self[:]!r}>'
