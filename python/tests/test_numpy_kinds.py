# SPDX-License-Identifier: Apache-2.0
"""Arrays of every kind through a queue: equal in type, flags and values; shared when born in the hive, whatever the kind."""
import pickle

import pytest

numpy = pytest.importorskip('numpy')

import skep
from skep import _core

import queue_children as children

TABLE = numpy.dtype([('name', 'S8'), ('price', '<f8'), ('volume', '>i4'), ('pair', 'i2', (2,)), ('inner', [('a', 'u1'), ('b', 'f4')])])
ALIGNED = numpy.dtype([('flag', 'u1'), ('value', 'f8')], align=True)


def table(count):
    array = numpy.zeros(count, TABLE)
    array['name'] = [f'n{i}'.encode() for i in range(count)]
    array['price'] = numpy.arange(count) / 3
    array['volume'] = numpy.arange(count)
    array['inner']['b'] = 0.5
    return array


def readonly(array):
    array = array.copy()
    array.flags.writeable = False
    return array


KINDS = {
    'structured': lambda: table(20),
    'structured large': lambda: table(5000),
    'read-only': lambda: readonly(numpy.arange(100.0)),
    'read-only large': lambda: readonly(numpy.arange(100000)),
    'aligned': lambda: numpy.ones((3, 4), ALIGNED),
    'field of a structure': lambda: table(20)['price'],
    'record': lambda: table(20).view(numpy.recarray),
    'datetime64': lambda: numpy.arange('2001-01-01', '2001-03-01', dtype='datetime64[D]'),
    'datetime64 with NaT': lambda: numpy.array(['2020-02-29T12:00', 'NaT'], 'datetime64[ns]'),
    'timedelta64': lambda: numpy.arange(12).astype('timedelta64[ms]').reshape(3, 4),
    'datetime64 strided': lambda: numpy.arange(100).astype('datetime64[s]')[::-3],
    'byte-swapped': lambda: numpy.arange(30.0).astype('>f8').reshape(5, 6),
    'byte-swapped integers': lambda: numpy.arange(30).astype('>u2')[::2],
    'text': lambda: numpy.array([['a', 'grün'], ['', 'bee']]),
    'bytes': lambda: numpy.array([b'a', b'xyz']),
    'void': lambda: numpy.frombuffer(b'abcdefgh', 'V4'),
    'long double': lambda: numpy.arange(5).astype('longdouble'),
    'zero-size': lambda: numpy.zeros((0, 3), 'i4'),
    'zero-size structured': lambda: numpy.zeros((2, 0), TABLE),
    '0-d': lambda: numpy.array(2.5),
    '0-d structured': lambda: table(1).reshape(()),
    '0-d datetime64': lambda: numpy.array('2024-01-01', 'datetime64[s]'),
    'read-only structured': lambda: readonly(table(20)),
    'read-only large structured': lambda: readonly(table(5000)),
    'read-only datetime64': lambda: readonly(numpy.arange(10).astype('datetime64[s]')),
    'reversed': lambda: numpy.arange(60).reshape(3, 4, 5)[::-1, :, ::-2],
    'transposed structured': lambda: numpy.ones((3, 4), ALIGNED).T,
    'broadcast': lambda: numpy.broadcast_to(numpy.arange(4), (3, 4)),
    'objects': lambda: numpy.array([1, 'two', None, [3]], object),
    'structure of objects': lambda: numpy.array([(1, 'x'), (2, None)], [('a', 'i4'), ('b', object)]),
}


def born(array):
    """The same array in the hive, as far as a hive can hold it; with the same strides."""
    if array.dtype.hasobject:
        pytest.skip('objects of Python')
    low, high = (numpy.byte_bounds if hasattr(numpy, 'byte_bounds') else numpy.lib.array_utils.byte_bounds)(array)
    memory = skep.zeros(max(high - low, 1), 'u1')
    result = numpy.ndarray(array.shape, array.dtype, memory, array.__array_interface__['data'][0] - low if array.size else 0, array.strides)
    result[...] = array
    result = result.view(type(array))
    result.flags.writeable = array.flags.writeable
    return result


def flags(array):
    return array.flags.c_contiguous, array.flags.f_contiguous, array.flags.aligned


def equal(a, b):
    return a.tobytes() == b.tobytes() if not a.dtype.hasobject else a.tolist() == b.tolist()


def address(array):
    return array.__array_interface__['data'][0]


def through(obj, **how):
    queue = skep.Queue()
    queue.put(obj, **how)
    return queue.get()


@pytest.mark.parametrize('kind', KINDS)
def test_an_ordinary_array_comes_back_equal(kind):
    array = KINDS[kind]()
    for got in (through(array), through({'a': array})['a'], through(array, copy=True)):
        assert type(got) is type(array) and got.dtype == array.dtype and got.shape == array.shape and equal(got, array)
        assert not numpy.shares_memory(got, array) and got.flags.aligned
        if array.flags.writeable:
            got.reshape(-1)[:1] = got.reshape(-1)[-1:]


@pytest.mark.parametrize('kind', KINDS)
def test_an_array_born_in_the_hive_is_shared(kind):
    array = born(KINDS[kind]())
    for got in (through(array), through([array])[0], through(array, copy=False) if array.size else through(array)):
        assert type(got) is type(array) and got.dtype == array.dtype and got.shape == array.shape and equal(got, array)
        assert got.flags.writeable == array.flags.writeable and flags(got) == flags(array)
        if array.size:
            assert got.strides == array.strides and address(got) == address(array)
            assert address(through(got)) == address(array)  # and on it goes


@pytest.mark.parametrize('kind', KINDS)
def test_copy_true_gives_the_receiver_his_own(kind):
    array = born(KINDS[kind]())
    for got in (through(array, copy=True), through({'a': array}, copy=True)['a']):
        assert type(got) is type(array) and got.dtype == array.dtype and equal(got, array)
        assert not numpy.shares_memory(got, array) and (address(got) != address(array) or not array.size)


@pytest.mark.parametrize('dtype', [TABLE, ALIGNED, 'U3', 'datetime64[s]', '>f8', 'S5', 'V6', 'longdouble', 'm8[D]'], ids=str)
def test_arrays_of_any_plain_type_are_born_in_the_hive(dtype):
    array = skep.zeros((3, 5), dtype)
    assert array.dtype == numpy.dtype(dtype) and array.shape == (3, 5) and not any(array.tobytes())
    assert _core.array_beneath(array) is not None and array.flags.writeable and array.flags.c_contiguous
    assert skep.empty(4, dtype).shape == (4,) and skep.empty((), dtype).shape == () and skep.zeros((0, 2), dtype).shape == (0, 2)
    assert skep.asarray(array) is array
    with pytest.raises(ValueError):
        skep.empty((2, -1), dtype)
    copy = skep.array(array)
    assert copy.dtype == array.dtype and not numpy.shares_memory(copy, array)
    assert address(through(array)) == address(array)


@pytest.mark.parametrize('kind', ['structured', 'datetime64 strided', 'record', 'read-only structured', 'byte-swapped'])
def test_another_process_sees_the_same_elements(context, run, kind):
    there, back = context.Queue(), context.Queue()
    array = born(KINDS[kind]())
    last = array[-1:].tobytes()
    before = array.dtype, array.shape, array.flags.writeable, array.tobytes()
    run(children.answer_about_array, there, back)
    there.put(array)
    assert back.get(timeout=20) == before
    assert back.get(timeout=20) == 'changed'
    assert (array[:1].tobytes() == last) == array.flags.writeable


def test_copy_false_says_why_not():
    queue = skep.Queue()
    hive = skep.Hive.create(capacity=16 << 20)
    try:
        elsewhere = skep.zeros(10, hive=hive)
        for obj, error, why in (
                (numpy.zeros(10), ValueError, 'not born in a hive'), (numpy.zeros(10, TABLE), ValueError, 'not born in a hive'),
                ({'a': skep.zeros(3), 'b': numpy.zeros(3)}, ValueError, 'not born in a hive'), (elsewhere, ValueError, 'another hive'),
                (numpy.array([None]), ValueError, 'objects of Python'), (b'bytes', TypeError, 'bytes is copied'), (42, TypeError, 'int is copied'),
                ([1, 'x'], TypeError, 'list is copied'), ({1, 2}, TypeError, 'set is copied'),
                ([skep.zeros(3), pickle.PickleBuffer(b'x')], ValueError, 'outside')):
            with pytest.raises(error, match=why):
                queue.put(obj, copy=False)
            with pytest.raises(error, match=why):
                queue.put_many([obj, obj], copy=False)
        assert queue.empty()
        del elsewhere, obj
    finally:
        hive.close()
    for obj in (skep.zeros(3), skep.zeros(3)[::2], {'a': skep.zeros(3), 'n': 5}, skep.zeros(3, TABLE)):
        queue.put(obj=obj, copy=False)
        queue.get()


def test_copy_is_for_joinable_queues_too():
    queue, array = skep.JoinableQueue(), skep.zeros(10)
    queue.put(array, copy=True)
    assert address(queue.get()) != address(array)
    queue.put(array)
    assert address(queue.get()) == address(array)
    with pytest.raises(ValueError):
        queue.put(numpy.zeros(10), copy=False)
    queue.task_done()
    queue.task_done()
    queue.join()


def test_a_reducer_of_the_user_comes_first():
    def reduce(array):
        return str, ('mine',)

    from multiprocessing.reduction import ForkingPickler
    ForkingPickler.register(numpy.ndarray, reduce)
    try:
        assert through([skep.zeros(4)]) == ['mine']
    finally:
        del ForkingPickler._extra_reducers[numpy.ndarray]


def test_strides_beyond_the_memory_are_copied():
    array = skep.zeros(4, 'datetime64[s]')
    wild = numpy.lib.stride_tricks.as_strided(array, (2, 2), (8, 1 << 40))[:, :1]
    assert equal(through([wild])[0], wild)


def test_a_data_frame_goes_out_of_band():
    pandas = pytest.importorskip('pandas')
    frame = pandas.DataFrame({'a': numpy.arange(20000), 'b': numpy.arange(20000) / 2, 'c': ['x'] * 20000})
    assert through(frame).equals(frame)
    shared = pandas.DataFrame(skep.zeros((1000, 4)), copy=False)
    got = through(shared)
    got.values[0, 0] = 5
    assert shared.values[0, 0] == 5


def test_an_arrow_table_goes_out_of_band():
    arrow = pytest.importorskip('pyarrow')
    table = arrow.table({'a': numpy.arange(20000), 'b': ['x'] * 20000})
    assert through(table).equals(table)


DLPACK = ['int8', 'uint16', 'int32', 'uint64', 'float16', 'float32', 'float64', 'complex64', 'complex128']


@pytest.mark.parametrize('dtype', DLPACK)
def test_dlpack_out_and_in(dtype):
    array = _core.Array(skep.default_hive(), (3, 4), dtype)
    array = array.view(array.offset, (3, 2), (4 * array.nbytes // 12, 2 * array.nbytes // 12))
    assert array.__dlpack_device__() == (1, 0)
    seen = numpy.from_dlpack(array)
    assert seen.shape == (3, 2) and seen.dtype == dtype and address(seen) == address(array)
    numpy.asarray(array)[1, 1] = 7
    del array
    assert seen[1, 1] == 7 and seen.sum() == 7  # the capsule keeps the memory
    again = skep.from_dlpack(seen.copy())
    assert equal(again, seen) and again.dtype == dtype and _core.array_beneath(again) is not None
    assert not numpy.shares_memory(again, seen)


@pytest.mark.parametrize('dtype', ['bool', *DLPACK])
def test_the_array_interface_says_what_the_buffer_says(dtype):
    array = _core.Array(skep.default_hive(), (2, 0 if dtype == 'bool' else 3), dtype)

    class Interface:
        __array_interface__ = array.__array_interface__

    seen, ours = numpy.asarray(Interface), numpy.asarray(array)
    assert seen.dtype == ours.dtype == dtype and seen.shape == ours.shape and seen.strides == ours.strides == array.strides
    assert address(seen) == address(ours) or not seen.size
    assert seen.flags.writeable
