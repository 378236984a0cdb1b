# SPDX-License-Identifier: Apache-2.0
"""skep.Dict and skep.Namespace: as dict, for all processes, and what is new."""
import collections
import collections.abc
import decimal
import enum
import fractions
import gc
import pickle
import random
import threading
import time

import pytest

import skep
from skep.dicts import Dict, Namespace

import dict_children


class Colour(enum.Enum):
    RED = 1


class Unpicklable:
    def __reduce__(self):
        raise ZeroDivisionError('not this one')


@pytest.fixture
def shared(small_hive):
    return Dict.in_hive(small_hive)


# --- as dict ----------------------------------------------------------------------------------------------------------------

VALUES = [None, True, False, 0, -1, 2**63 - 1, -2**63, 2**63, 10**40, 1.5, float('inf'), '', 'text', 'ü\0', '\ud800', 'long' * 100, b'', b'bytes\0' * 9,
          [1, 'a', None], {'a': {1}}, (1, 2), 3j, Colour.RED, decimal.Decimal('1.50'), range(3), bytearray(b'x'), collections.OrderedDict(a=1)]
KEYS = [None, 0, -1, 2**62, 2**70, 1.5, '', 'text', 'ü\0', '\ud800', 'long' * 100, b'', b'bytes', (), (1, ('a', None)), frozenset({1, 2, 3}), 3j, Colour.RED,
        fractions.Fraction(1, 3), int, len]


@pytest.mark.parametrize('value', VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(shared, value):
    shared['a'] = value
    assert shared['a'] == value and type(shared['a']) is type(value)


@pytest.mark.parametrize('key', KEYS, ids=repr)
def test_a_key_is_found_and_comes_back_as_it_was(shared, key):
    shared[key] = 'there'
    assert shared[key] == 'there' and key in shared and len(shared) == 1
    assert shared.keys() == [key] and type(shared.keys()[0]) is type(key)
    assert shared.pop(key) == 'there' and key not in shared


def test_equal_keys_are_one_and_the_first_stays(shared):
    for key in (1, True, 1.0, fractions.Fraction(1), decimal.Decimal(1), 1 + 0j):
        shared[key] = type(key)
    assert shared.items() == [(1, complex)] and type(shared.keys()[0]) is int
    shared[(1, 2.0)] = 'a'
    assert shared[(True, 2)] == 'a'


def test_keys_that_cannot_be(shared):
    for key in ([], {}, set(), bytearray(), ([],)):
        for call in (lambda: shared[key], lambda: shared.get(key), lambda: key in shared, lambda: shared.update([(key, 1)])):
            with pytest.raises(TypeError, match='unhashable'):
                call()
        with pytest.raises(TypeError, match='unhashable'):
            shared[key] = 1
    with pytest.raises(ValueError, match='too long'):
        shared['x' * 20000] = 1
    assert 'x' * 20000 not in shared and shared.get('x' * 20000, 5) == 5
    with pytest.raises(KeyError):
        shared.pop('x' * 20000)
    with pytest.raises(KeyError):
        del shared['x' * 20000]
    assert len(shared) == 0


def test_what_is_missing(shared):
    for key in ('a', (1, 2), 5):
        for call in (lambda: shared[key], lambda: shared.pop(key)):
            with pytest.raises(KeyError) as caught:
                call()
            assert caught.value.args == (key,)
        with pytest.raises(KeyError) as caught:
            del shared[key]
        assert caught.value.args == (key,)
        assert shared.get(key) is None and shared.get(key, 7) == 7 and shared.pop(key, 8) == 8
    with pytest.raises(KeyError, match='empty'):
        shared.popitem()


@pytest.mark.parametrize('call', ['get()', 'get(1, 2, 3)', 'pop()', 'pop(1, 2, 3)', 'setdefault()', 'popitem(1)', 'update(1)', 'update([], [])',
                                  'update([(1,)])', 'add()', 'set_if(1, 2)', 'compare_and_set(1, 2)', 'wait_for()'])
def test_wrong_arguments_are_told(shared, call):
    with pytest.raises((TypeError, ValueError)):
        eval('shared.' + call)
    assert len(shared) == 0


def test_update_in_all_its_forms(small_hive, shared):
    shared.update({'a': 1}, b=2)
    shared.update([('c', 3), ['d', 4]])
    shared.update(e=5)
    shared.update()
    other = Dict.in_hive(small_hive)
    other.update(f=6, a=0)
    shared.update(other, g=7)
    shared.update(shared)
    shared |= {'h': 8}
    shared |= other
    assert shared.copy() == {'a': 0, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'g': 7, 'h': 8} and list(shared) == list('abcdefgh')
    assert shared | {'a': 9} == {**shared.copy(), 'a': 9} and {'z': 1, 'a': 9} | shared == {'z': 1, **shared.copy()}
    assert type(shared | other) is dict and list({'z': 1} | shared)[0] == 'z'
    with pytest.raises(TypeError):
        shared | 5


def test_an_update_that_fails_changes_nothing(shared):
    shared.update(a=1, b=2)
    with pytest.raises(ZeroDivisionError):
        shared.update({'a': 2, 'c': 3, 'd': Unpicklable()})
    with pytest.raises(ZeroDivisionError):
        shared['a'] = Unpicklable()
    with pytest.raises(ZeroDivisionError):
        shared.setdefault('e', Unpicklable())
    assert shared.copy() == {'a': 1, 'b': 2}


def test_comparison_text_and_iteration(small_hive, shared):
    shared.update(a=1, b=[2])
    same = Dict.in_hive(small_hive)
    same.update(b=[2], a=1)
    assert shared == same and shared == {'a': 1, 'b': [2]} and {'a': 1, 'b': [2]} == shared and not shared != same
    assert shared != {'a': 1} and shared != 5 and not shared == [('a', 1)]
    assert str(shared) == "{'a': 1, 'b': [2]}" and repr(shared) == "Dict({'a': 1, 'b': [2]})"
    assert list(shared) == ['a', 'b'] and list(reversed(shared)) == ['b', 'a'] and dict(shared) == shared and {**shared} == shared
    assert shared.keys() == ['a', 'b'] and shared.values() == [1, [2]] and shared.items() == [('a', 1), ('b', [2])]
    with pytest.raises(TypeError):
        hash(shared)
    for key in shared: # what it goes through stays as it was
        shared[key + key] = 0
        del shared[key]
    assert list(shared) == ['aa', 'bb'] and shared
    shared.clear()
    assert not shared and isinstance(shared, collections.abc.MutableMapping)


def test_a_long_walk_beside_a_dict(shared):
    model, numbers = {}, random.Random(5)
    keys = [numbers.choice([1, 1.5, 'k', b'k', (1,)]) * i if i else () for i in range(40)]
    for turn in range(4000):
        key, value = numbers.choice(keys), numbers.choice([turn, str(turn) * 20, [turn]])
        call = numbers.randrange(8)
        if call == 0:
            assert shared.pop(key, None) == model.pop(key, None)
        elif call == 1 and model:
            assert shared.popitem() == model.popitem()
        elif call == 2:
            assert shared.setdefault(key, value) == model.setdefault(key, value)
        elif call == 3:
            more = {numbers.choice(keys): turn + i for i in range(5)}
            shared.update(more)
            model.update(more)
        else:
            shared[key] = model[key] = value
        assert len(shared) == len(model)
        if turn % 50 == 0:
            assert shared.items() == list(model.items())
            assert all(shared.get(key) == model.get(key) for key in keys)
        if turn % 997 == 0:
            shared.clear()
            model.clear()


# --- references ---------------------------------------------------------------------------------------------------------------

def test_an_array_of_the_hive_is_held_by_reference():
    shared = skep.Dict(array=skep.zeros(10))
    shared['array'][3] = 3
    assert shared['array'][3] == 3
    array = shared.pop('array')
    assert array[3] == 3 and not shared


def test_containers_nest_and_are_the_same_object():
    inner, outer = skep.Dict(x=1), skep.Dict()
    outer['inner'], outer['space'] = inner, skep.Namespace(y=2)
    assert outer['inner'] is inner
    outer['inner']['x'] += 1
    assert inner['x'] == 2 and outer['space'].y == 2
    del inner
    gc.collect()
    assert outer['inner']['x'] == 2 and str(outer) == "{'inner': Dict({'x': 2}), 'space': Namespace(y=2)}"


def test_a_dict_that_holds_itself_can_be_shown():
    shared = skep.Dict()
    shared['self'] = shared
    assert shared['self'] is shared and repr(shared) == "Dict({'self': Dict(...)})"
    shared.clear()


def test_others_of_the_hive_in_a_pickle():
    shared = skep.Dict(parts=[skep.Lock(), skep.Queue(), skep.ones(3)])
    lock, queue, ones = shared['parts']
    with lock:
        queue.put(5)
    assert shared['parts'][1].get() == 5 and ones.sum() == 3


def test_what_it_holds_goes_with_it(small_hive):
    Dict.in_hive(small_hive)
    before = small_hive.stat()['blocks']
    shared = Dict.in_hive(small_hive)
    for number in range(100):
        shared[f'{number} is a key that is longer than its cell'] = [number] * 50
    shared['inner'] = Dict.in_hive(small_hive)
    shared['inner']['more'] = 'x' * 1000
    del shared
    gc.collect()
    assert small_hive.stat()['blocks'] == before


def test_found_by_name(small_hive):
    shared = Dict.in_hive(small_hive, capacity=1000, name='d')
    shared['a'] = 1
    assert Dict.open(small_hive, 'd').copy() == {'a': 1} and small_hive.names() == [('d', 'dict')]
    with pytest.raises(OSError, match='another kind'):
        Namespace.open(small_hive, 'd')
    with pytest.raises(FileExistsError):
        Dict.in_hive(small_hive, name='d')
    with pytest.raises(ValueError):
        Dict.in_hive(small_hive, capacity=-1)
    small_hive.forget('d')


def test_it_is_pickled_as_a_reference():
    shared = skep.Dict(a=1)
    same = pickle.loads(pickle.dumps(shared))
    assert same is shared


def test_a_full_hive_leaves_it_as_it_was():
    with skep.Hive.create(capacity=4 << 20, member_max=8) as hive:
        shared = Dict.in_hive(hive)
        number = 0
        with pytest.raises(MemoryError):
            while True:
                shared[number] = b'x' * 10000
                number += 1
        assert len(shared) == number and shared[number - 1] == b'x' * 10000
        with pytest.raises(MemoryError):
            shared.update({i: b'y' * 10000 for i in range(50)})
        assert set(shared.values()) == {b'x' * 10000}
        del shared


def test_a_closed_hive():
    hive = skep.Hive.create(capacity=4 << 20)
    shared = Dict.in_hive(hive)
    hive.close()
    for call in (lambda: shared['a'], lambda: len(shared), lambda: shared.keys(), lambda: shared.update(a=1), lambda: shared.add('n')):
        with pytest.raises(ValueError, match='closed'):
            call()


# --- what is new ----------------------------------------------------------------------------------------------------------------

def test_add(shared):
    assert shared.add('n') == 1 and shared.add('n', 5) == 6 and shared.add('n', -7) == -1 and shared.add('n', 0.5) == -0.5
    assert shared.add('x', 0.25) == 0.25 and shared.add('x', True) == 1.25
    shared['big'] = 2**63 - 1
    with pytest.raises(OverflowError):
        shared.add('big')
    with pytest.raises(OverflowError):
        shared.add('n', 2**64)
    shared['text'] = 'a'
    for key, number in (('text', 1), ('n', 'a'), ('n', None)):
        with pytest.raises(TypeError):
            shared.add(key, number)
    assert shared['big'] == 2**63 - 1 and shared['n'] == -0.5


def test_versions_and_compare_and_set(shared):
    assert shared.get_versioned('a') == (None, 0) and shared.get_versioned('a', 5) == (5, 0)
    assert not shared.set_if('a', 3, 1) and shared.set_if('a', 0, 1) and not shared.set_if('a', 0, 2)
    value, version = shared.get_versioned('a')
    assert value == 1 and shared.set_if('a', version, 2) and not shared.set_if('a', version, 3)
    assert not shared.delete_if('a', version) and shared.delete_if('a', shared.get_versioned('a')[1]) and not shared
    assert not shared.compare_and_set('a', 1, 2)
    shared['a'] = [1, 2]
    assert not shared.compare_and_set('a', [1], 5) and shared.compare_and_set('a', [1, 2], 5) and shared['a'] == 5
    assert shared.compare_and_set('a', 5.0, 'x') and shared['a'] == 'x'


def test_waiting_for_a_key(shared):
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        shared.wait_for('a', 0.05)
    assert time.monotonic() - started >= 0.05
    with pytest.raises(TimeoutError):
        shared.wait_for('a', timeout=0)
    threading.Timer(0.05, shared.__setitem__, ('a', 1)).start()
    assert shared.wait_for('a') == 1
    version = shared.get_versioned('a')[1]
    threading.Timer(0.05, shared.__setitem__, ('a', 2)).start()
    value, version = shared.wait_for_change('a', version)
    assert value == 2
    threading.Timer(0.05, shared.pop, ('a',)).start()
    assert shared.wait_for_change('a', version, 20) == (None, 0)


# --- several processes -----------------------------------------------------------------------------------------------------------

def run(context, function, *args):
    process = context.Process(target=function, args=args)
    process.start()
    return process


def test_processes_of_all_kinds_share_it(context):
    shared = skep.Dict(array=skep.zeros(5), inner=skep.Dict())
    processes = [run(context, dict_children.change_array, shared), run(context, dict_children.nest, shared)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert shared['array'][3] == 30 and shared['inner']['deep'] == [1, 2]


def test_no_addition_is_lost():
    context, shared = skep.get_context('fork'), skep.Dict(n=0)
    processes = [run(context, dict_children.count, shared, 7, 3000) for _ in range(2)]
    processes += [run(context, dict_children.compare_and_count, shared, 1000) for _ in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert shared.pop('n') == 2000 and sum(shared.values()) == 6000


def test_question_and_answer(context):
    shared = skep.Dict()
    process = run(context, dict_children.answer, shared)
    shared['question'] = 41
    assert shared.wait_for('answer', 20) == 42
    process.join()


def test_writers_are_killed_and_readers_and_writers_go_on():
    context, shared, numbers = skep.get_context('fork'), skep.Dict(), random.Random(3)
    shared.update({key: '0 is a text that is longer than its cell' for key in range(5)})
    for _ in range(12):
        ready = context.Event()
        process = run(context, dict_children.set_until_killed, shared, ready)
        ready.wait(20)
        for _ in range(numbers.randrange(1, 100)):
            assert shared[3].endswith('longer than its cell')
            texts = shared.values()[:5]
            assert len(set(texts)) == 1, 'an update that is half done'
        process.kill()
        process.join()
        shared['alive'] = 1
        assert shared['alive'] == 1 and len(shared) == len(shared.keys())
    skep.default_hive().reap()
    assert skep.default_hive().verify()['problems'] == 0, skep.default_hive().verify()


def test_what_a_killed_process_put_there_stays():
    context, shared = skep.get_context('fork'), skep.Dict()
    process = run(context, dict_children.die_holding, shared)
    process.join()
    assert shared['mine']['x'] == 'a' * 1000


# --- Namespace ---------------------------------------------------------------------------------------------------------------------

def test_namespace():
    space = skep.Namespace(x=1, open='a')
    space.y = [1, 2]
    space._mine = 5
    assert space.x == 1 and space.y == [1, 2] and space.open == 'a' and space._mine == 5
    assert repr(space) == "Namespace(open='a', x=1, y=[1, 2])"
    del space.open
    assert callable(space.open) and 'y' in dir(space)
    for call in (lambda: space.z, lambda: delattr(space, 'z')):
        with pytest.raises(AttributeError):
            call()
    for name in ('hive', 'reference'):
        with pytest.raises(AttributeError, match=name):
            setattr(space, name, 1)
    assert getattr(space, 'z', 3) == 3 and not hasattr(space, 'z')
    assert pickle.loads(pickle.dumps(space)) is space


def test_namespace_in_other_processes(context):
    space = skep.Namespace(x=1)
    process = run(context, dict_children.set_attribute, space)
    process.join()
    assert process.exitcode == 0 and space.y == 2


def test_namespace_by_name(small_hive):
    space = Namespace.in_hive(small_hive, name='n')
    space.x = 1
    assert Namespace.open(small_hive, 'n').x == 1 and small_hive.names() == [('n', 'namespace')]
    small_hive.forget('n')
