# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays born in a hive.

They are ordinary numpy.ndarray objects whose memory lies in shared memory.  Put on a queue of the same hive, as
themselves, as a view, or (if contiguous) inside another object, they go by reference: nothing is copied and both sides
see the same elements (whoever writes them at the same time needs a lock).  Pickled or copied in other ways they behave
like any array.

Element types: bool, all integers and floats up to 64 bits and the two complex types, in native byte order.
"""
from . import _core
from .hive import default_hive

__all__ = ['empty', 'zeros', 'ones', 'full', 'array', 'asarray', 'install_numpy_allocator', 'numpy_allocator']


def _new(shape, dtype, zero, hive):
    import numpy
    dtype = numpy.dtype(dtype)
    if not dtype.isnative:
        raise TypeError(f'a hive has no elements of type {dtype!r}')
    # Array refuses by name what it does not know.
    return numpy.asarray(_core.Array(default_hive() if hive is None else hive, shape, dtype.name, zero))


def _reduce_ndarray(array):
    """How skep pickles an ndarray: as NumPy does, but elements with times in them, which no buffer can describe, as bytes with a dtype."""
    dtype = array.dtype
    if dtype.kind in 'MmV' and not dtype.hasobject and array.size and _has_times(dtype):
        if array.flags.c_contiguous:
            return _restore_ndarray, (array.reshape(-1).view('u1'), dtype, array.shape, False)
        if array.flags.f_contiguous:
            return _restore_ndarray, (array.T.reshape(-1).view('u1'), dtype, array.T.shape, True)
    return array.__reduce_ex__(5)


def _has_times(dtype):
    if dtype.fields:
        return any(_has_times(field[0].base) for field in dtype.fields.values())
    return dtype.kind in 'Mm'


def _restore_ndarray(raw, dtype, shape, reversed_axes):
    array = raw.view(dtype).reshape(shape)
    return array.T if reversed_axes else array


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
