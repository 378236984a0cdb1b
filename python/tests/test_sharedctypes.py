# SPDX-License-Identifier: Apache-2.0
"""skep.sharedctypes: ctypes in shared memory as in the standard library, and functions that work in one step."""
import array
import ctypes
import gc
import math
import multiprocessing.sharedctypes
import pickle
import struct
import threading
import time

import pytest

import skep
from skep import sharedctypes

import children

numpy = pytest.importorskip('numpy')

SIGNED, UNSIGNED = 'bhilq', 'BHILQ'
CODES = 'cbBuhHiIlLqQfd?'
SAMPLES = {'c': b'x', 'u': 'ü', '?': True, 'f': 1.5, 'd': 3.1415927}


class Point(ctypes.Structure):
    _fields_ = [('x', ctypes.c_double), ('y', ctypes.c_double)]


class Point3(Point):
    _fields_ = [('z', ctypes.c_double)]


class Either(ctypes.Union):
    _fields_ = [('i', ctypes.c_int32), ('f', ctypes.c_float)]


class Holds(ctypes.Structure):
    _fields_ = [('count', ctypes.c_int), ('next', ctypes.c_void_p)]


class Nested(ctypes.Structure):
    _fields_ = [('corners', Holds * 2)]


# --- as in the standard library -----------------------------------------------------------------------------------------

def test_every_public_name_is_there():
    standard = multiprocessing.sharedctypes
    assert set(standard.__all__) <= set(sharedctypes.__all__)
    for name in ('Synchronized', 'SynchronizedArray', 'SynchronizedString', 'SynchronizedBase', 'typecode_to_type', 'reduce_ctype'):
        assert hasattr(sharedctypes, name)
    for code, type_ in standard.typecode_to_type.items():
        assert sharedctypes.typecode_to_type[code] is type_


@pytest.mark.parametrize('code', CODES)
def test_every_type_code(code):
    sample = SAMPLES.get(code, 42)
    for value in (skep.Value(code, sample), skep.RawValue(code, sample), skep.Value(code, sample, lock=False)):
        assert value.value == sample
    assert skep.Value(code).value == sharedctypes.typecode_to_type[code]().value
    items = [sample] * 3
    for shared in (skep.Array(code, items), skep.RawArray(code, items), skep.Array(code, 3)):
        assert len(shared) == 3
    assert list(skep.RawArray(code, items)) == items
    assert ctypes.sizeof(skep.RawArray(code, 10)) == 10 * ctypes.sizeof(sharedctypes.typecode_to_type[code])


@pytest.mark.parametrize('code', SIGNED + UNSIGNED)
def test_integers_at_their_limits(code):
    bits = 8 * ctypes.sizeof(sharedctypes.typecode_to_type[code])
    low, high = (-2 ** (bits - 1), 2 ** (bits - 1) - 1) if code in SIGNED else (0, 2 ** bits - 1)
    items = [low, high, 0, 1]
    assert list(skep.RawArray(code, items)) == items
    assert list(skep.RawArray(code, tuple(items))) == items
    assert list(skep.RawArray(code, array.array(code, items))) == items
    assert list(skep.RawArray(code, numpy.array(items, dtype=code))) == items
    value = skep.Value(code, high)
    assert value.add(1) == high and value.value == low  # wraps, as ctypes does
    assert value.exchange(high) == low and value.compare_exchange(high, 5) and value.value == 5
    wide = [2 ** 70 + 3, -1, 300]
    assert list(skep.RawArray(code, wide)) == list((sharedctypes.typecode_to_type[code] * 3)(*wide))


@pytest.mark.parametrize('code', SIGNED + UNSIGNED)
def test_arrays_from_ranges(code):
    for numbers in (range(10), range(10, -10, -3), range(0), range(5, 100, 19)):
        assert list(skep.RawArray(code, numbers)) == list((sharedctypes.typecode_to_type[code] * len(numbers))(*numbers))
    assert list(skep.RawArray('d', range(4))) == [0.0, 1.0, 2.0, 3.0]
    assert list(skep.RawArray('i', range(2 ** 70, 2 ** 70 + 3))) == [0, 1, 2]


def test_arrays_from_other_things():
    assert skep.Array('d', [1, 2.5, True])[:] == [1.0, 2.5, 1.0]
    assert skep.Array('?', [0, 'yes', None])[:] == [False, True, False]
    assert skep.Array('c', b'hello')[:] == b'hello'
    assert skep.Array('u', 'grün')[:] == 'grün'
    assert skep.Array('i', numpy.arange(6, dtype='int64'))[:] == list(range(6))
    assert skep.Array('f', numpy.arange(6, dtype='float32'))[:] == list(range(6))
    assert skep.Array('d', array.array('d', [1, math.inf]))[:] == [1.0, math.inf]
    assert skep.Array('i', [])[:] == []
    assert len(skep.Array('i', 0)) == 0
    assert skep.Array('B', b'\x01\x02')[:] == [1, 2]
    assert skep.Array('i', numpy.arange(12, dtype='int32')[::3])[:] == [0, 3, 6, 9]

    class Number:
        def __index__(self):
            return 7
    assert skep.Array('h', [Number(), 1])[:] == [7, 1]


def test_a_list_that_shrinks_while_it_is_read():
    items = []

    class Shrinks:
        def __index__(self):
            items.clear()
            return 1

    items[:] = [1, Shrinks(), 3, 4]
    with pytest.raises(ValueError):
        skep.RawArray('i', items)


def test_bad_input():
    for code in ('x', 'ii', '', None, 3, int, object):
        with pytest.raises(TypeError):
            skep.Value(code)
        with pytest.raises(TypeError):
            skep.Array(code, 3)
    for bad in ([1, 'two'], [1.5], [None], ['']):
        with pytest.raises(TypeError):
            skep.Array('i', bad)
    with pytest.raises(TypeError):
        skep.Array('d', ['one'])
    with pytest.raises(TypeError):
        skep.Array('i', iter([1, 2]))  # has no length
    with pytest.raises(TypeError):
        skep.Value('i', 'text')
    with pytest.raises(ValueError):
        skep.Array('i', -1)
    with pytest.raises(MemoryError):
        skep.Array('d', 2 ** 50)
    with pytest.raises((OverflowError, MemoryError)):
        skep.Array('d', 2 ** 62)
    shared = skep.Array('i', 3)
    for index in (3, -4):
        with pytest.raises(IndexError):
            shared[index]
        with pytest.raises(IndexError):
            shared.add(index, 1)
        with pytest.raises(IndexError):
            shared.wait_for_change(index, timeout=0)
    with pytest.raises(TypeError):
        shared[0] = 'text'
    with pytest.raises(AttributeError, match='acquire'):
        skep.Value('i', lock='no lock')
    with pytest.raises(AssertionError, match='already synchronized'):
        sharedctypes.synchronized(skep.Value('i'))


@pytest.mark.parametrize('type_', [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p, ctypes.py_object, ctypes.POINTER(ctypes.c_int), Holds, Nested,
                                   ctypes.CFUNCTYPE(None), Holds * 3])
def test_pointers_are_refused(type_):
    for make in (skep.Value, skep.RawValue):
        with pytest.raises(TypeError, match='pointer'):
            make(type_)
    with pytest.raises(TypeError, match='pointer'):
        skep.Array(type_, 3)
    if type_ is Holds:
        with pytest.raises(TypeError, match='pointer'):
            sharedctypes.copy(Holds(1, None))


def test_structures():
    point = skep.Value(Point, 1.5, 2.5)
    assert (point.x, point.y) == (1.5, 2.5)
    point.x = 7
    assert point.get_obj().x == 7.0 and type(point).__name__ == 'SynchronizedPoint'
    deep = skep.Value(Point3, 1, 2, 3)
    assert (deep.x, deep.y, deep.z) == (1, 2, 3)
    either = skep.Value(Either)
    either.f = 1.0
    assert either.i == struct.unpack('i', struct.pack('f', 1.0))[0]
    points = skep.Array(Point, [(1, 2), (3, 4)])
    assert [(p.x, p.y) for p in points] == [(1, 2), (3, 4)]
    assert skep.Array(Point, 3)[2].x == 0
    matrix = skep.Array(ctypes.c_int * 3, 2)
    matrix[1][2] = 5
    assert [list(row) for row in matrix] == [[0, 0, 0], [0, 0, 5]]
    with pytest.raises(TypeError):
        matrix.add(0, 1)


def test_locks():
    for lock in (True, None):
        value = skep.Value('i', 5, lock=lock)
        assert isinstance(value.get_lock(), skep.synchronize.RLock)
        assert isinstance(value.get_obj(), ctypes.c_int)
    own = skep.Lock()
    assert skep.Value('i', lock=own).get_lock() is own
    assert skep.Array('i', 3, lock=threading.Lock()).acquire()
    raw = skep.Array('i', 3, lock=False)
    assert not hasattr(raw, 'get_lock') and isinstance(raw, ctypes.Array)
    value = skep.Value('i', 1)
    with value:
        assert value.get_lock()._count() == 1
        value.acquire()
        value.value += 1
        value.release()
    assert value.value == 2


def test_a_held_lock_keeps_others_out():
    value = skep.Value('i', 1)
    found = []
    with value.get_lock():
        thread = threading.Thread(target=lambda: found.append(value.value))
        thread.start()
        time.sleep(0.1)
        assert not found
        value.value = 2
    thread.join()
    assert found == [2]


def test_slices():
    shared = skep.Array('i', range(10))
    assert shared[2:5] == [2, 3, 4] and shared[::-3] == [9, 6, 3, 0] and shared[-1] == 9
    shared[2:5] = [0, 0, 0]
    assert list(shared) == [0, 1, 0, 0, 0, 5, 6, 7, 8, 9]
    with pytest.raises(ValueError):
        shared[2:5] = [1]
    text = skep.Array('c', 10)
    text.value = b'hello'
    assert text.value == b'hello' and text.raw == b'hello\0\0\0\0\0' and isinstance(text, sharedctypes.SynchronizedString)
    text.raw = b'0123456789'
    assert text[3:5] == b'34'
    with pytest.raises(ValueError):
        text.value = b'x' * 11


def test_copy():
    for obj in (skep.RawValue('d', 2.5), ctypes.c_double(2.5)):
        new = sharedctypes.copy(obj)
        obj.value = 0
        assert new.value == 2.5 and sharedctypes.synchronized(new).add(1) == 2.5
    numbers = skep.RawArray('i', range(5))
    new = sharedctypes.copy(numbers)
    numbers[0] = 99
    assert list(new) == list(range(5))
    point = sharedctypes.copy(Point(1, 2))
    assert (point.x, point.y) == (1, 2)


def test_synchronized_of_a_plain_object():
    value = sharedctypes.synchronized(ctypes.c_int(3))
    value.value += 1
    assert value.value == 4
    for use in (lambda: value.add(1), lambda: pickle.dumps(value), lambda: value.wait_for_change(timeout=0)):
        with pytest.raises(TypeError, match='does not lie in a hive'):
            use()


def test_buffers():
    shared = skep.Array('d', range(6), lock=False)
    seen = numpy.frombuffer(shared).reshape(2, 3)
    seen[1, 2] = 50
    assert shared[5] == 50.0
    assert numpy.shares_memory(seen, numpy.frombuffer(shared))
    del shared
    gc.collect()
    seen[0, 0] = 1  # the memory is held
    locked = skep.Array('i', 4)
    numpy.frombuffer(locked.get_obj(), dtype='int32')[:] = 3
    assert locked[:] == [3] * 4
    assert memoryview(skep.RawArray('B', b'abc')).tobytes() == b'abc'


def test_memory_comes_zeroed_and_goes_back():
    for _ in range(3):
        shared = skep.Array('i', 1000)
        assert not any(shared)
        shared[:] = range(1000)
        del shared
    before = skep.default_hive().stat()['used_bytes']
    large = skep.Array('d', 1 << 20)
    assert skep.default_hive().stat()['used_bytes'] >= before + (8 << 20)
    del large
    gc.collect()
    assert skep.default_hive().stat()['used_bytes'] < before + (8 << 20)


# --- in one step --------------------------------------------------------------------------------------------------------

def test_atomic_functions():
    value = skep.Value('i', 10)
    assert value.add(5) == 10 and value.value == 15
    assert value.add(-5) == 15 and value.value == 10
    assert value.exchange(3) == 10
    assert value.compare_exchange(3, 4) is True and value.compare_exchange(3, 5) is False and value.value == 4
    real = skep.Value('d', 0.5)
    assert real.add(0.25) == 0.5 and real.exchange(2) == 0.75 and real.compare_exchange(2.0, 1) is True and real.value == 1.0
    flag = skep.Value('?', False)
    assert flag.exchange(True) is False and flag.compare_exchange(True, False) is True
    unsigned = skep.Value('Q', 2 ** 64 - 1)
    assert unsigned.exchange(2 ** 63) == 2 ** 64 - 1 and unsigned.value == 2 ** 63
    shared = skep.Array('h', range(4))
    assert shared.add(3, 10) == 3 and shared.add(-1, 10) == 13 and shared[3] == 23
    assert shared.exchange(0, 9) == 0 and shared.compare_exchange(0, 9, 8) and shared[0] == 8
    for bad in ((), (1, 2), ('x',), (1.5,)):
        with pytest.raises(TypeError):
            value.add(*bad)
    with pytest.raises(TypeError, match='atomic'):
        skep.Value('c', b'x').add(1)
    with pytest.raises(TypeError):
        real.add('x')


def test_nothing_is_lost_between_processes(context, run):
    value, plain = context.Value('i', 0), context.Value('i', 0)
    for _ in range(3):
        run(children.add_atomically, value, 5000)
        run(children.add_under, plain.get_lock(), plain, 500)
    for process in skep.active_children():
        process.join()
    assert value.value == 15000 and plain.value == 1500


def test_waiting_for_a_change(context, run):
    value = context.Value('i', 1)
    assert value.wait_for_change(timeout=0.02) is False
    assert value.wait_for_change(seen=2) is True  # it is another already
    assert value.wait_for_change(1, 0.02) is False
    run(children.change_later, value, 5)
    assert value.wait_for_change(1, 20) is True and value.value == 5
    array_ = context.Array('d', 3)
    threading.Timer(0.1, array_.__setitem__, (1, 2.5)).start()
    assert array_.wait_for_change(0, timeout=0.02) is False
    assert array_.wait_for_change(1, 0.0, 10) is True
    point = context.Value(Point, 1, 2)
    threading.Timer(0.1, setattr, (point, 'y', 3)).start()
    assert point._wait(0, Point, None, 10) is True
    letter = context.Value('c', b'a')
    assert letter.wait_for_change(b'a', 0.02) is False and letter.wait_for_change(b'b', 0.02) is True
    raw = context.Value('i', 0)
    threading.Timer(0.1, setattr, (raw.get_obj(), 'value', 1)).start()
    assert raw.wait_for_change(0, 10) is True  # found, if not told


# --- between processes --------------------------------------------------------------------------------------------------

def test_a_child_sets_and_negates(context, run):
    value, shared = context.Value('d', 0.0), context.Array('i', range(10))
    run(children.negate, value, shared).join()
    assert value.value == 3.1415927 and shared[:] == [0, -1, -2, -3, -4, -5, -6, -7, -8, -9]


@pytest.mark.parametrize('raw', [False, True])
def test_every_type_code_in_a_child(context, run, raw):
    make = context.RawValue if raw else context.Value
    new = [SAMPLES.get(code, 42) for code in CODES]
    values = [make(code) for code in CODES]
    run(children.set_all, values, new).join()
    assert [value.value for value in values] == new


def test_structures_in_a_child(context, run):
    points = context.Array(Point, 4, lock=False)
    run(children.fill_structures, points).join()
    assert [(p.x, p.y) for p in points] == [(0, 0), (1, 0.5), (2, 1.0), (3, 1.5)]


# --- pickling -----------------------------------------------------------------------------------------------------------

def test_pickles_are_references():
    for obj in (skep.Value('i', 3), skep.Array('d', 4), skep.Array('c', b'abc'), skep.Value(Point, 1, 2), skep.Array(ctypes.c_int * 3, 2)):
        other = pickle.loads(pickle.dumps(obj))
        assert type(other) is type(obj) and other.get_lock() is obj.get_lock()
        assert ctypes.addressof(other.get_obj()) == ctypes.addressof(obj.get_obj())


def test_raw_objects_go_by_reference_through_queues():
    queue = skep.Queue()
    for obj in (skep.RawValue('i', 3), skep.RawArray('d', 4), skep.RawValue(Point, 1, 2)):
        queue.put([obj])
        other = queue.get()[0]
        assert type(other) is type(obj) and ctypes.addressof(other) == ctypes.addressof(obj)
    assert pickle.loads(pickle.dumps(skep.RawValue('i', 3))).value == 3  # a copy, as of all of ctypes
    queue.put(ctypes.c_int(4))
    assert queue.get().value == 4


def test_a_message_keeps_a_value_alive():
    queue = skep.Queue()
    queue.put(skep.Value('i', 77))
    gc.collect()
    assert queue.get().value == 77


def test_gone():
    data = pickle.dumps(skep.Value('i', 3))
    gc.collect()
    with pytest.raises(skep.GoneError):
        pickle.loads(data)


def test_both_libraries_in_one_process():
    context = multiprocessing.get_context('spawn')
    theirs, ours = context.Value('i', 1), skep.get_context('spawn').Value('i', 1)
    for value in (theirs, ours):
        process = (context if value is theirs else skep.get_context('spawn')).Process(target=children.set_all, args=([value], [9]))
        process.start()
        process.join()
        assert value.value == 9
