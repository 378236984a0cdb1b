# SPDX-License-Identifier: Apache-2.0
"""skep.arrays and arrays on queues: by reference when born in the hive, the receiver's own when not."""
import io
import gc

import numpy
import pytest

import skep
from skep import _core

import children

DTYPES = ['bool', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float16', 'float32', 'float64',
          'complex64', 'complex128']


def born_here(array):
    return _core.array_beneath(array) is not None


def used_bytes():
    gc.collect()
    return skep.default_hive().stat()['used_bytes']


@pytest.mark.parametrize('dtype', DTYPES)
def test_every_element_type_is_offered_and_travels(dtype):
    queue = skep.Queue()
    ordinary = numpy.arange(12).reshape(3, 4).astype(dtype)
    for array in (ordinary, skep.array(ordinary)):
        assert array.dtype == dtype
        queue.put(array)
        got = queue.get()
        assert type(got) is numpy.ndarray and got.dtype == numpy.dtype(dtype) and got.dtype.num == ordinary.dtype.num
        assert numpy.array_equal(got, ordinary) and got.flags.writeable


def test_makers_fill_as_numpy_does():
    assert not skep.zeros((2, 3)).any() and skep.zeros((2, 3)).dtype == float
    assert (skep.ones(5, 'int8') == 1).all()
    assert (skep.full((2, 2), 2.5) == 2.5).all() and skep.full(3, 7).dtype == int
    assert skep.empty((4, 5), 'float32').shape == (4, 5)
    assert skep.array([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert skep.zeros(()).shape == () and skep.zeros((0, 3)).size == 0
    for dtype in (object, [('a', object)], 'V0', ('i4', (2,))):
        with pytest.raises(TypeError):
            skep.empty(3, dtype)
    with pytest.raises(ValueError):
        skep.empty(-1)


def test_an_array_in_the_hive_is_not_copied_again():
    array = skep.zeros(10)
    assert skep.asarray(array) is array
    assert skep.asarray(array, 'float32') is not array
    assert born_here(skep.asarray([1, 2]))
    assert born_here(array[2:5]) and born_here(array.view('int64')) and not born_here(array + 1)


def test_memory_lives_as_long_as_the_array_and_no_longer():
    before = used_bytes()
    array = skep.zeros(1 << 20, 'uint8')
    assert used_bytes() >= before + (1 << 20)
    view = array[5:]
    del array
    assert used_bytes() >= before + (1 << 20)
    view[:] = 1
    del view
    assert used_bytes() < before + (1 << 20)


def test_a_born_array_is_shared_with_the_child(context, run):
    there, back = context.Queue(), context.Queue()
    array = skep.array(numpy.arange(100.0))
    run(children.negate_in_place, there, back)
    there.put(array)
    assert back.get() == 'done'
    assert numpy.array_equal(array, -numpy.arange(100.0))


def test_an_ordinary_array_becomes_the_childs_own(context, run):
    there, back = context.Queue(), context.Queue()
    array = numpy.arange(100.0)
    run(children.negate_in_place, there, back)
    there.put(array)
    assert back.get() == 'done'
    assert numpy.array_equal(array, numpy.arange(100.0))


def test_an_array_of_a_child_outlives_it(context, run):
    queue = context.Queue()
    process = run(children.put_array_born_here, queue, (300, 400))
    process.join()
    skep.default_hive().reap()
    array = queue.get()
    assert array.shape == (300, 400) and (array == 7).all()


def test_a_view_shares_the_same_elements():
    queue = skep.Queue()
    array = skep.array(numpy.arange(60).reshape(3, 4, 5))
    for view in (array[1], array[:, ::2, 1:], array[::-1, :, ::-1], array.T, array[1, 2, 3:4], array.reshape(-1)[::7],
                 array[..., numpy.newaxis], array.view('int8')[:, :, 3], array[2, 1, 1, ...]):
        queue.put(view)
        got = queue.get()
        assert got.shape == view.shape and got.dtype == view.dtype
        assert numpy.array_equal(got, view)
        assert got.__array_interface__['data'] == view.__array_interface__['data']
    got = None
    queue.put(array[:, 1])
    queue.get()[...] = -1
    assert (array[:, 1] == -1).all() and array[0, 0, 0] == 0


@pytest.mark.parametrize('make', [
    lambda a: a, lambda a: a[::2], lambda a: a.T, lambda a: a[:, ::-1], lambda a: numpy.asfortranarray(a),
    lambda a: a[1:2, 3:4], lambda a: numpy.broadcast_to(a[0], (5, a.shape[1])), lambda a: numpy.array(3.5),
    lambda a: a[numpy.newaxis, :, numpy.newaxis], lambda a: a.reshape((1,) * 20 + a.shape),
    lambda a: numpy.zeros((0, 3)), lambda a: numpy.zeros((3, 0, 2), 'int8'), lambda a: a.astype('>f8'),
    lambda a: a.astype('U5'), lambda a: numpy.array(['a', None], object), lambda a: a.astype('datetime64[s]'),
    lambda a: numpy.zeros(3, [('x', 'i4'), ('y', 'f8')]), lambda a: numpy.float64(2.5), lambda a: a.astype('longdouble'),
], ids=range(19))
def test_ordinary_arrays_of_any_form_arrive_equal(make):
    queue = skep.Queue()
    array = make(numpy.arange(300.0).reshape(15, 20))
    queue.put(array)
    got = queue.get()
    assert type(got) is type(array) and got.dtype == array.dtype and got.shape == array.shape
    assert numpy.array_equal(got, array)
    assert not numpy.shares_memory(got, array)


def test_fortran_order_is_kept():
    queue = skep.Queue()
    queue.put(numpy.asfortranarray(numpy.arange(20000.0).reshape(100, 200)))
    got = queue.get()
    assert got.flags.f_contiguous and numpy.array_equal(got, numpy.arange(20000.0).reshape(100, 200))


def test_arrays_in_other_objects_arrive_as_copies_unless_born_in_the_hive():
    queue = skep.Queue()
    large, small, born = numpy.arange(100000.0), numpy.arange(3), skep.ones(100000)
    queue.put({'large': large, 'small': small, 'born': born, 'fortran': numpy.asfortranarray(large.reshape(100, 1000))})
    got = queue.get()
    assert numpy.array_equal(got['large'], large) and numpy.array_equal(got['small'], small)
    assert numpy.array_equal(got['fortran'], large.reshape(100, 1000))
    got['born'][:] = 5
    got['large'][:] = 5
    assert (born == 5).all() and large[1] == 1


def test_an_array_of_another_hive_is_copied(small_hive):
    queue = skep.Queue()
    array = skep.ones(1000, hive=small_hive)
    queue.put(array)
    got = queue.get()
    got[:] = 2
    assert (array == 1).all() and (got == 2).all()
    del array


def test_a_subclass_of_ndarray_keeps_its_type():
    queue = skep.Queue()
    queue.put(numpy.ma.array([1, 2, 3], mask=[0, 1, 0]))
    got = queue.get()
    assert isinstance(got, numpy.ma.MaskedArray) and got.sum() == 4


def test_messages_leave_no_memory_behind():
    queue = skep.Queue()
    for _ in range(2):
        before = used_bytes()
        for _ in range(50):
            queue.put(numpy.ones(50000))
            queue.put(skep.ones(50000))
            queue.put([numpy.ones(50000)])
            for _ in range(3):
                queue.get()
    assert used_bytes() <= before + 4096


def test_the_core_array_shows_its_memory():
    array = _core.Array(skep.default_hive(), (2, 3), 'int16')
    assert (array.shape, array.strides, array.dtype, array.nbytes) == ((2, 3), (6, 2), 'int16', 12)
    memory = memoryview(array)
    assert memory.format == 'h' and memory.shape == (2, 3) and not memory.readonly
    memory[1, 2] = 77
    assert numpy.asarray(array)[1, 2] == 77
    column = array.view(array.offset + 4, 2, (6,))
    assert memoryview(column).tolist() == [0, 77]
    with pytest.raises(BufferError):
        io.BytesIO().write(column)  # wants bytes without gaps
    with pytest.raises(ValueError):
        array.view(0, 10 ** 6)
    with pytest.raises(TypeError):
        _core.Array(skep.default_hive(), 3, 'float1')
