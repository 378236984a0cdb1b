# SPDX-License-Identifier: Apache-2.0
"""skep.List: what list does, and what only a shared one can."""
import collections
import enum
import gc
import os
import pickle
import random
import signal
import sys
import threading
import time

import numpy
import pytest

import skep

SOME = [1, 'two', 3.0, None, True, b'six', (7, 'seven'), {'eight': [8]}, 2**80, 'n' * 1000, -1]


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    pass


Point = collections.namedtuple('Point', 'x y')


@pytest.fixture(autouse=True)
def hive_is_sound():
    yield
    gc.collect()
    skep.default_hive().reap()
    report = skep.default_hive().verify()
    assert report['problems'] == 0, report['first']


def both(items=SOME):
    return list(items), skep.List(items)


def same(call, items=SOME):
    """The call does the same to a list as to a List: result, exception, what is left."""
    ours, theirs = skep.List(items), list(items)
    outcomes = []
    for one in (theirs, ours):
        try:
            result = call(one)
            outcomes.append(('returned', 'itself' if result is one else result))
        except Exception as error:
            outcomes.append((type(error), str(error)))
    (kind, expected), (our_kind, got) = outcomes
    assert kind == our_kind, outcomes
    if isinstance(kind, str):
        assert got == expected
    assert ours.copy() == theirs
    return outcomes


@pytest.mark.parametrize('index', [0, 1, -1, len(SOME) - 1, -len(SOME), len(SOME), -len(SOME) - 1, 2**70, True])
def test_index(index):
    same(lambda x: x[index])
    same(lambda x: x.__setitem__(index, 'new'))
    same(lambda x: x.__delitem__(index))
    same(lambda x: x.pop(index))
    same(lambda x: x.insert(index, 'new'))


def test_messages_are_those_of_list():
    for call in (lambda x: x[99], lambda x: x.__setitem__(99, 0), lambda x: x.pop(99), lambda x: x.remove('nothing'), lambda x: x.index('nothing'),
                 lambda x: x.__setitem__(slice(None, None, 2), [1]), lambda x: x['a']):
        (_, expected), (_, got) = same(call)
        assert got == expected
    for call in (lambda x: x.pop(), lambda x: x[0]):
        (_, expected), (_, got) = same(call, [])
        assert got == expected


BOUNDS = [None, 0, 2, 5, len(SOME), 99, -1, -3, -len(SOME), -99, sys.maxsize, -sys.maxsize - 1]


@pytest.mark.parametrize('step', [None, 1, 2, 3, -1, -2, 99, -99, sys.maxsize, -sys.maxsize])
def test_slices(step):
    for start in BOUNDS:
        for stop in BOUNDS:
            part = slice(start, stop, step)
            theirs, ours = both(SOME)
            assert ours[part] == theirs[part]
            count = len(theirs[part])
            new = [f'new {i}' * (i % 2 * 20 + 1) for i in range(count)]
            theirs[part] = ours[part] = new
            assert ours.copy() == theirs
            del theirs[part]
            del ours[part]
            assert ours.copy() == theirs


def test_slices_of_another_length():
    same(lambda x: x.__setitem__(slice(2, 4), range(10)))
    same(lambda x: x.__setitem__(slice(2, 2), 'abc'))
    same(lambda x: x.__setitem__(slice(5, 2), ['before five']))
    same(lambda x: x.__setitem__(slice(None), []))
    same(lambda x: x.__setitem__(slice(None, None, 2), [1, 2]))
    same(lambda x: x.__setitem__(slice(None, None, -1), [1] * 5))
    same(lambda x: x.__setitem__(slice(None, None, 0), []))
    same(lambda x: x[::0])
    same(lambda x: x.__setitem__(slice(1, 3), x))
    same(lambda x: x.__setitem__(slice(1, 3), 5))
    same(lambda x: x.__setitem__(slice(1, 3), iter('xyz')))


def test_methods():
    same(lambda x: x.append(5))
    same(lambda x: x.extend('abc'))
    same(lambda x: x.extend(x))
    same(lambda x: x.extend(5))
    same(lambda x: x.remove(3))
    same(lambda x: x.remove((7, 'seven')))
    same(lambda x: x.remove('nothing'))
    same(lambda x: x.reverse())
    same(lambda x: x.clear())
    same(lambda x: x.copy())
    for value in [1, 1.0, True, 'two', b'six', None, {'eight': [8]}, 2**80, 'nothing', float('nan')]:
        same(lambda x: x.count(value))
        same(lambda x: x.index(value))
        same(lambda x: x.index(value, 1))
        same(lambda x: x.index(value, -3, -1))
        same(lambda x: x.index(value, 1, 99))
        same(lambda x: x.index(value, -2**70, 2**70))
        same(lambda x: value in x)


def test_operators():
    same(lambda x: x + [1])
    same(lambda x: x + (1,))
    same(lambda x: x * 3)
    same(lambda x: 2 * x)
    same(lambda x: x * 0)
    same(lambda x: x.__iadd__('abc'))
    same(lambda x: x.__imul__(3))
    same(lambda x: x.__imul__(1))
    same(lambda x: x.__imul__(-1))
    same(lambda x: list(x))
    same(lambda x: list(reversed(x)))
    same(lambda x: len(x))
    same(lambda x: x == SOME)
    same(lambda x: x != SOME)
    same(lambda x: x == tuple(SOME))
    same(lambda x: x < SOME[:3], SOME[:2])
    same(lambda x: hash(x))
    same(lambda x: bool(x))
    same(lambda x: bool(x), [])
    one, other = skep.List([1, 2]), skep.List([1, 2])
    assert one == other and one + other == [1, 2, 1, 2] and one is not other
    one += other
    assert one == [1, 2, 1, 2] and isinstance(one, skep.List)
    one *= 2
    assert len(one) == 8 and isinstance(one, skep.List)
    with pytest.raises(MemoryError):
        one *= 2**60
    assert len(one) == 8


def test_iteration_goes_by_index_as_that_of_list():
    def shrink(x):
        seen = []
        for item in x:
            seen.append(item)
            x.pop()
        return seen

    def grow(x):
        seen = []
        for item in x:
            seen.append(item)
            if len(x) < 30:
                x.append(0)
        return len(seen)

    same(shrink)
    same(grow)


def test_sort():
    for items in ([3, 1, 2], list('hello world'), [(1, 'b'), (1, 'a'), (0, 'z')], [], [2.5, 1, True]):
        same(lambda x: x.sort(), items)
        same(lambda x: x.sort(reverse=True), items)
        same(lambda x: x.sort(key=lambda item: str(item)[-1]), items)
        same(lambda x: x.sort(key=lambda item: 0, reverse=True), items)
    same(lambda x: x.sort())  # of kinds that do not compare: left alone
    same(lambda x: x.sort(key=lambda item: 1 / 0))
    same(lambda x: x.sort(str))


def test_long_random_work():
    choose = random.Random(5)
    theirs, ours = both([])
    for _ in range(2000):
        value = choose.choice([choose.randrange(50), 'x' * choose.randrange(60), (choose.randrange(5),)])
        at = choose.randrange(-len(theirs) - 2, len(theirs) + 2)
        part = slice(at, choose.randrange(-len(theirs) - 2, len(theirs) + 2), choose.choice([None, None, 1, 2, -1]))
        work = choose.choice([lambda x: x.append(value), lambda x: x.append(value), lambda x: x.insert(at, value), lambda x: x.pop(),
                              lambda x: x.pop(at), lambda x: x.__setitem__(at, value), lambda x: x.reverse(), lambda x: x.remove(value),
                              lambda x: x.__setitem__(part, [value] * 3), lambda x: x.__delitem__(part), lambda x: x.extend([value] * 4),
                              lambda x: x.sort(key=repr)])
        outcomes = []
        for one in (theirs, ours):
            try:
                outcomes.append(work(one))
            except (IndexError, ValueError) as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
    assert ours == theirs and len(theirs) > 5


# --- what an item is ---------------------------------------------------------------------------------------------------------------

def test_types_stay():
    items = [True, 1, 1.0, Colour.RED, Text('a'), 'a', Point(1, 2), numpy.float64(2), numpy.int64(3), bytearray(b'x'), 'a\ud800', '', b'', 'nul\0',
             frozenset([1]), 1j, -2**63, 2**63, range(3), Ellipsis, int, len]
    shared = skep.List(items)
    for item, there in zip(items, shared):
        assert type(there) is type(item) and there == item


def test_other_objects_are_copies():
    inner = {'a': [1]}
    shared = skep.List([inner, numpy.arange(5), numpy.arange(100000)])
    inner['a'].append(2)
    assert shared[0] == {'a': [1]}
    shared[0]['a'].append(3)
    assert shared[0] == {'a': [1]}
    for i in (1, 2):
        array = shared[i]
        array[0] = 77
        assert shared[i][0] == 0 and array.flags.writeable


def test_arrays_of_the_hive_are_references():
    array = skep.zeros((100, 100))
    shared = skep.List([array, array[10:20, ::2], {'inside': array}])
    array[10, 2] = 5
    assert shared[0][10, 2] == shared[1][0, 1] == shared[2]['inside'][10, 2] == 5
    shared[0][0, 0] = 3
    assert array[0, 0] == 3
    del array
    gc.collect()
    assert shared[1].sum() == 5


def test_containers_nest_and_are_freed():
    hive = skep.default_hive()
    gc.collect()
    before = hive.stat()['blocks']
    inner = skep.List([1])
    outer = skep.List([inner, {'also': inner}, skep.Queue(), skep.Lock()])
    assert outer[0] is inner and outer[1]['also'] is inner
    outer[0].append(2)
    assert inner == [1, 2]
    del inner
    gc.collect()
    outer[2].put('message')
    assert outer[0] == [1, 2] and outer[2].get() == 'message'
    with outer[3]:
        pass
    assert repr(outer).startswith('List([List([1, 2]), ')
    outer.clear()
    gc.collect()
    del outer
    gc.collect()
    assert hive.stat()['blocks'] == before
    itself = skep.List()
    itself.append(itself)
    assert itself[0][0] is itself and repr(itself) == 'List([...])'
    itself.clear()


def test_what_cannot_be_pickled_changes_nothing():
    shared = skep.List([1])
    for work in (lambda: shared.append(lambda: 0), lambda: shared.extend([2, threading.Lock()]), lambda: shared.__setitem__(0, lambda: 0)):
        with pytest.raises((pickle.PicklingError, TypeError, AttributeError)):
            work()
    assert shared == [1]


# --- between processes -----------------------------------------------------------------------------------------------------------------

def append_many(shared, who, count):
    for i in range(count):
        shared.append((who, i))


def add_many(shared, count):
    for _ in range(count):
        shared.add(0, 1)
        while True:
            old = shared[1]
            if shared.compare_and_set(1, old, old + 'x' if len(old) < 100 else ''):
                break
        shared.add(2, 0.5)


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_processes_append(method):
    context = skep.get_context(method)
    shared = skep.List()
    children = [context.Process(target=append_many, args=(shared, who, 300)) for who in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert len(shared) == 900
    for who in range(3):
        assert [i for whose, i in shared if whose == who] == list(range(300))


def test_nothing_that_is_added_is_lost():
    shared = skep.List([0, '', 0.0])
    children = [skep.get_context('fork').Process(target=add_many, args=(shared, 1000)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert shared == [3000, 'x' * (3000 % 101), 1500.0]
    with pytest.raises(TypeError):
        shared.add(1, 1)
    with pytest.raises(OverflowError):
        shared.add(0, 2**63)
    with pytest.raises(OverflowError):
        shared.add(0, 2**63 - 1)
    with pytest.raises(IndexError):
        shared.add(3, 1)
    assert shared.compare_and_set(0, 3000.0, 'new') and not shared.compare_and_set(0, 3000, 'newer') and shared[0] == 'new'
    with pytest.raises(IndexError):
        shared.compare_and_set(9, 0, 0)


def change_for_ever(shared, ready):
    ready.set()
    i = 0
    while True:
        i += 1
        shared[:] = [f'item {i} that is too long for its cell'] * (i % 20 + 1)
        shared.reverse()
        shared.sort()
        shared.insert(0, shared.pop())
        shared *= 2


def test_a_killed_writer_leaves_a_whole_list():
    hive = skep.default_hive()
    shared = skep.List()
    for _ in range(30):
        ready = skep.Event()
        child = skep.get_context('fork').Process(target=change_for_ever, args=(shared, ready))
        child.start()
        assert ready.wait(20)
        until = time.monotonic() + random.random() * 0.03
        while time.monotonic() < until:
            assert len(set(shared.copy())) <= 1
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert len(set(shared.copy())) <= 1
        shared.append('x')
        assert shared.pop() == 'x'
    shared.clear()
    hive.reap()
    assert hive.verify()['problems'] == 0


def test_wait():
    shared = skep.List()
    version = shared.version()
    assert shared.wait(version, 0) is False and shared.wait(version, 0.01) is False
    thread = threading.Timer(0.05, shared.append, [1])
    thread.start()
    assert shared.wait(version, 20) is True and shared == [1] and shared.version() != version
    thread.join()


def test_threads():
    shared = skep.List([0])

    def work():
        for i in range(2000):
            shared.add(0, 1)
            shared.append(i)
            shared.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared == [8000]


def test_names_and_other_hives():
    name = f'list-test-{os.getpid()}'
    with skep.Hive.create(name) as hive:
        shared = skep.List('abc', hive=hive, name='letters')
        again = skep.List.open(hive, 'letters')
        again[0] = 'z'
        assert shared == ['z', 'b', 'c'] and shared.hive is hive
        with pytest.raises(FileExistsError):
            skep.List(hive=hive, name='letters')
        with pytest.raises(FileNotFoundError):
            skep.List.open(hive, 'nothing')
        here = skep.List(['here'])
        shared.append(here)  # of another hive: by pickle
        assert shared[-1] is here
        assert pickle.loads(pickle.dumps(shared)) is shared
        del shared, again
        gc.collect()
    del hive
    assert not any(entry['name'] == name for entry in skep._core.hives())


def test_not_made_and_closed():
    with pytest.raises(ValueError):
        skep._core.List.__new__(skep._core.List).append(1)
    hive = skep.Hive.create()
    shared = skep.List([1], hive=hive)
    hive.close()
    for work in (lambda: len(shared), lambda: shared[0], lambda: shared.append(1), lambda: shared.sort(), lambda: 1 in shared, lambda: shared[:]):
        with pytest.raises(ValueError):
            work()
