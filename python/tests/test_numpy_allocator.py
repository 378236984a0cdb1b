# SPDX-License-Identifier: Apache-2.0
"""skep.numpy_allocator: NumPy's own arrays born in the hive, and sent by reference."""
import gc
import threading

import numpy
import pytest

import skep
from skep import _core

import children

LARGE = 1 << 20


def born_here(array):
    return _core.array_beneath(array) is not None


def used_bytes():
    gc.collect()
    return skep.default_hive().stat()['used_bytes']


def test_large_arrays_are_born_in_the_hive_and_small_ones_are_not():
    assert not born_here(numpy.ones(LARGE))
    with skep.numpy_allocator():
        arrays = [numpy.ones(LARGE), numpy.zeros((LARGE,)), numpy.empty(LARGE), numpy.arange(LARGE) + 1, numpy.ones(LARGE).copy(),
                  numpy.frombuffer(bytes(LARGE), 'u1') * 2]
        views = [arrays[0][5:], arrays[0].reshape(-1, 2).T, arrays[0].view('int64')]
        small = numpy.ones(10)
    assert all(map(born_here, arrays + views)) and not born_here(small) and not born_here(numpy.ones(LARGE))
    assert arrays[1].sum() == 0 and arrays[0].sum() == LARGE and arrays[3][-1] == LARGE
    assert skep.asarray(arrays[0]) is arrays[0]


def test_memory_comes_and_goes():
    before = used_bytes()
    with skep.numpy_allocator():
        array = numpy.ones(LARGE, 'u1')
        assert used_bytes() > before + LARGE
        array.resize(4 * LARGE, refcheck=False)
        assert used_bytes() > before + 4 * LARGE and array[:LARGE].all()
        array.resize(100, refcheck=False)
        assert array.all() and not born_here(array)
        kept = numpy.ones(LARGE, 'u1')
    del array
    assert kept.all() and used_bytes() > before + LARGE
    kept.resize(3 * LARGE, refcheck=False)  # by the allocator it was born with
    assert born_here(kept)
    view = kept[7:]
    del kept
    assert used_bytes() > before + LARGE
    del view
    assert used_bytes() < before + LARGE


def test_min_bytes_nesting_and_threads():
    with skep.numpy_allocator(min_bytes=100):
        assert born_here(numpy.ones(100, 'u1')) and not born_here(numpy.ones(99, 'u1'))
        with skep.numpy_allocator(min_bytes=10):
            assert born_here(numpy.ones(10, 'u1'))
        assert not born_here(numpy.ones(10, 'u1'))
        there = []
        thread = threading.Thread(target=lambda: there.append(born_here(numpy.ones(LARGE))))
        thread.start()
        thread.join()
        assert there == [False]
    for wrong in (0, -1):
        with pytest.raises(ValueError):
            skep.numpy_allocator(min_bytes=wrong)
    with pytest.raises(TypeError):
        skep.numpy_allocator(min_bytes='x')
    with pytest.raises(TypeError):
        _core.use_numpy_allocator(3)


def test_a_full_hive_is_a_memory_error():
    hive = skep.Hive.create(capacity=32 << 20)
    with skep.numpy_allocator(hive=hive):
        array = numpy.ones(LARGE, 'u1')
        assert _core.array_beneath(array).hive is hive
        with pytest.raises(MemoryError):
            numpy.ones(64 << 20, 'u1')
    del array
    gc.collect()
    assert hive.stat()['blocks'] == 0
    hive.close()


def negate_received(there, back):
    children.negate_in_place(there, back)


def test_an_ordinary_array_goes_by_reference(context, run):
    there, back = context.Queue(), context.Queue()
    with skep.numpy_allocator():
        array = numpy.arange(float(LARGE))
    run(negate_received, there, back)
    before = used_bytes()
    there.put(array[1:].reshape(-1, 1))
    assert used_bytes() < before + array.nbytes  # no copy
    assert back.get() == 'done'
    assert array[0] == 0 and (array[1:] < 0).all()


def allocate_and_send(queue):
    skep.install_numpy_allocator()
    array = numpy.full(LARGE, 7)
    assert born_here(array)
    queue.put(array)


def test_installed_in_a_child_its_arrays_outlive_it(context, run):
    queue = context.Queue()
    run(allocate_and_send, queue).join()
    skep.default_hive().reap()
    assert (queue.get() == 7).all()


def sum_and_free(array, sums):
    sums.put(array.sum())
    del array


def test_a_forked_child_frees_what_it_inherited():
    context = skep.get_context('fork')
    sums = context.Queue()
    with skep.numpy_allocator():
        array = numpy.ones(LARGE)
    processes = [context.Process(target=sum_and_free, args=(array, sums)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert [sums.get() for _ in range(3)] == [LARGE] * 3
    skep.default_hive().reap()
    assert array.sum() == LARGE
    assert skep.default_hive().verify()['problems'] == 0


def test_unusual_arrays_still_travel():
    queue = skep.Queue()
    with skep.numpy_allocator(min_bytes=1):
        for array in [numpy.zeros(100, [('a', 'i4'), ('b', 'f8')]), numpy.array(['text'] * 10), numpy.array(5.0), numpy.zeros((0, 3)),
                      numpy.arange(10, dtype='>f8'), numpy.array([None, 'x'], object), numpy.arange(20)[::-2],
                      numpy.array(['2020-01-01'], 'datetime64[D]')]:
            queue.put(array)
            got = queue.get()
            assert got.dtype == array.dtype and got.shape == array.shape and (got == array).all()
