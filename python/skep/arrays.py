# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays born in a hive.

They are ordinary numpy.ndarray objects whose memory lies in shared memory.  Put on a queue of the same hive, as
themselves, as a view, or inside another object, they go by reference: nothing is copied and both sides see the same
elements (whoever writes them at the same time needs a lock).  Pickled or copied in other ways they behave like any array.
queue.put(array, copy=True) gives the receiver memory of his own, copy=False refuses an array that would have to be copied.

Element types: all but those with objects of Python in them.  Numbers up to 64 bits (complex: 128) in native byte order can be
read from C; structures, text, dates, long double and foreign byte order are bytes to it.
"""
import math
import pickle

from . import _core
from .hive import default_hive

__all__ = ['empty', 'zeros', 'ones', 'full', 'array', 'asarray', 'from_dlpack', 'install_numpy_allocator', 'numpy_allocator']


def _new(shape, dtype, zero, hive):
    import numpy
    dtype = numpy.dtype(dtype)
    hive = default_hive() if hive is None else hive
    if dtype.kind in 'biufc' and dtype.isnative and dtype.itemsize <= (16 if dtype.kind == 'c' else 8):
        return numpy.asarray(_core.Array(hive, shape, dtype.name, zero))
    if dtype.hasobject:
        raise TypeError(f'a hive has no elements of type {dtype!r}: objects of Python lie in one process')
    if dtype.subdtype or not dtype.itemsize:
        raise TypeError(f'a hive has no elements of type {dtype!r}')
    shape = (shape,) if hasattr(shape, '__index__') else tuple(shape)
    if any(length < 0 for length in shape):
        raise ValueError('negative dimensions are not allowed')
    return numpy.ndarray(shape, dtype, _core.Array(hive, math.prod(shape) * dtype.itemsize, 'uint8', zero))


def empty(shape, dtype=float, *, hive=None):
    """An array with undefined contents.  MemoryError: the hive is full.  Cost: fast while warm memory is there."""
    return _new(shape, dtype, False, hive)


def zeros(shape, dtype=float, *, hive=None):
    """An array of zeros."""
    return _new(shape, dtype, True, hive)


def ones(shape, dtype=float, *, hive=None):
    """An array of ones."""
    return full(shape, 1, dtype, hive=hive)


def full(shape, fill_value, dtype=None, *, hive=None):
    """An array filled with a value; dtype None: that of the value."""
    if dtype is None:
        import numpy
        dtype = numpy.asarray(fill_value).dtype
    result = _new(shape, dtype, False, hive)
    result[...] = fill_value
    return result


def array(obj, dtype=None, *, hive=None):
    """A copy of an array or a nested sequence, in the hive."""
    import numpy
    source = numpy.asarray(obj, dtype=dtype)
    result = _new(source.shape, source.dtype, False, hive)
    result[...] = source
    return result


def asarray(obj, dtype=None, *, hive=None):
    """The object itself if it is an array in the hive already (of that dtype), else a copy there."""
    import numpy
    beneath = _core.array_beneath(obj)
    if beneath is not None and beneath.hive is (default_hive() if hive is None else hive):
        if dtype is None or obj.dtype == numpy.dtype(dtype):
            return obj
    return array(obj, dtype, hive=hive)


def from_dlpack(obj, *, hive=None):
    """A copy, in the hive, of what offers __dlpack__() in memory of the processor; the way out is __dlpack__() of an array."""
    import numpy
    return array(numpy.from_dlpack(obj), hive=hive)


# --- inside messages ------------------------------------------------------------------------------------------------------

def _seen(kind, memory, shape, dtype, strides, offset):
    """Unpickle an array that was born in the hive."""
    import numpy
    return numpy.ndarray.__new__(kind, shape, dtype, memory, offset, strides)


def _by_reference(array):
    """What pickles an array of the hive that the message goes to; else a text that says why it is copied."""
    if array.dtype.hasobject:
        return 'its elements are objects of Python'
    beneath = _core.array_beneath(array)
    if beneath is None:
        return 'it was not born in a hive'
    if not _core.mention(beneath.hive, beneath.reference):
        return 'it was born in another hive'
    import numpy
    first = low = high = array.__array_interface__['data'][0]
    for length, stride in zip(array.shape, array.strides):
        low += min((length - 1) * stride, 0)
        high += max((length - 1) * stride, 0)
    start = beneath.offset + low - numpy.asarray(beneath).__array_interface__['data'][0]
    try:
        memory = beneath.view(start, high + array.itemsize - low, None, 'uint8')
    except (ValueError, TypeError, OverflowError):
        return 'it reaches beyond its memory'
    if not array.flags.writeable:
        memory = memoryview(memory).toreadonly()
    return _seen, (type(array), pickle.PickleBuffer(memory), array.shape, array.dtype, array.strides, first - low)


def _has_times(dtype):
    """Whether there are times in the elements, which the buffer protocol cannot describe."""
    if dtype.fields:
        return any(_has_times(field[0].base) for field in dtype.fields.values())
    return dtype.kind in 'Mm'


def _reduce(array):
    """Pickle an array for a message; NumPy itself does it well where one piece of memory with a buffer is all there is."""
    dtype, is_whole = array.dtype, array.flags.forc and type(array).__name__ == 'ndarray'
    if not array.nbytes or is_whole and dtype.kind in 'biufcV' and not _has_times(dtype):
        return array.__reduce_ex__(5)
    reduced = _by_reference(array)
    if not isinstance(reduced, str):
        return reduced
    if is_whole and not dtype.hasobject and _has_times(dtype):  # as bytes, which go out of band
        if array.flags.c_contiguous:
            return _restored, (array.reshape(-1).view('u1'), dtype, array.shape, False)
        return _restored, (array.T.reshape(-1).view('u1'), dtype, array.T.shape, True)
    return _reduce_copied(array)


def _restored(raw, dtype, shape, is_reversed):
    array = raw.view(dtype).reshape(shape)
    return array.T if is_reversed else array


def _reduce_shared(array):
    """With copy=False."""
    reduced = _by_reference(array) if array.size else array.__reduce_ex__(5)
    if isinstance(reduced, str):
        raise ValueError(f'copy=False: an array of shape {array.shape} and type {array.dtype} would be copied: {reduced}')
    return reduced


def _reduce_copied(array):
    """With copy=True."""
    if not array.flags.forc and not array.dtype.hasobject:
        array = array.copy()  # of one with gaps NumPy's pickle forgets the byte order
    return array.__reduce_ex__(5)


_core.reduce_arrays_with(_reduce, _reduce_shared, _reduce_copied)


# --- NumPy's own arrays -----------------------------------------------------------------------------------------------------

MIN_BYTES = 64 * 1024


class numpy_allocator:
    """While it lasts, each new array of NumPy of min_bytes and more is born in the hive: `with numpy_allocator(): ...`

    Such an array goes through queues by reference, as those of skep.empty() do: sender and receiver see the same elements.
    That holds for the results of all operations, in the thread (strictly, in the contextvars context) that says so.
    MemoryError: the hive is full.  NotImplementedError: NumPy before 1.22, or skep was built without NumPy's headers.
    """

    def __init__(self, min_bytes=MIN_BYTES, *, hive=None):
        self._allocator = _core.numpy_allocator(default_hive() if hive is None else hive, min_bytes)
        self._before = []

    def __enter__(self):
        self._before.append(_core.use_numpy_allocator(self._allocator))
        return self

    def __exit__(self, *exc_info):
        _core.use_numpy_allocator(self._before.pop())


def install_numpy_allocator(min_bytes=MIN_BYTES, *, hive=None):
    """numpy_allocator() from here on, in this thread.  Threads and processes begun later say it for themselves; forks inherit it."""
    numpy_allocator(min_bytes, hive=hive).__enter__()
