# SPDX-License-Identifier: Apache-2.0
"""Manager(): multiprocessing's shared types on the hive, with what proxies have, and without a server process."""
import array
import copy
import gc
import os
import pickle
import queue
import threading

import pytest

import skep
from skep import managers


@pytest.fixture
def manager(context):
    with context.Manager() as manager:
        yield manager


def use_all(objects, told):
    """In a child: each of them once."""
    objects['dict']['two'] = 2
    objects['dict'].add('one', 10)
    objects['list'].append(4)
    objects['list'].reverse()
    objects['Namespace'].x += 1
    objects['Namespace'].y = [1, 2]
    objects['Value'].value = objects['Value'].value.upper()
    objects['Lock'].acquire()
    objects['Lock'].release()
    with objects['RLock'], objects['RLock']:
        pass
    objects['Semaphore'].acquire()
    objects['BoundedSemaphore'].acquire()
    with objects['Condition']:
        objects['Condition'].notify_all()
    objects['Event'].set()
    objects['Queue'].put('from the child')
    objects['JoinableQueue'].get()
    objects['JoinableQueue'].task_done()
    objects['Array'][0] = -1
    objects['Array'][1:] = array.array('i', [7, 8])
    told.send(objects['Barrier'].wait(10))


def make_all(manager):
    return {'Lock': manager.Lock(), 'RLock': manager.RLock(), 'Semaphore': manager.Semaphore(2), 'BoundedSemaphore': manager.BoundedSemaphore(1),
            'Condition': manager.Condition(), 'Event': manager.Event(), 'Barrier': manager.Barrier(2), 'Queue': manager.Queue(),
            'dict': manager.dict({'one': 1}, nested=manager.list()), 'list': manager.list([1, 2, 3]), 'Namespace': manager.Namespace(x=1),
            'Value': manager.Value('i', 'any object'), 'JoinableQueue': manager.JoinableQueue(3), 'Array': manager.Array('i', [1, 2, 3])}


def test_a_child_uses_every_kind(manager, context):
    objects = make_all(manager)
    objects['JoinableQueue'].put('for the child')
    here, there = context.Pipe()
    process = context.Process(target=use_all, args=(objects, there))
    process.start()
    objects['JoinableQueue'].join()
    assert objects['Event'].wait(10)
    assert objects['Barrier'].wait(10) + here.recv() == 1
    process.join()
    assert process.exitcode == 0
    assert objects['Queue'].get(timeout=10) == 'from the child'
    assert objects['Array'][:] == array.array('i', [-1, 7, 8])
    assert objects['dict'].copy().keys() == {'one', 'nested', 'two'} and objects['dict']['one'] == 11
    assert objects['list'][:] == [4, 3, 2, 1] == objects['list']._getvalue()
    assert (objects['Namespace'].x, objects['Namespace'].y, objects['Value'].value) == (2, [1, 2], 'ANY OBJECT')
    assert objects['Semaphore'].acquire(False) and not objects['Semaphore'].acquire(False)


def test_there_is_no_server_process():
    before = len(skep.active_children())
    with skep.Manager() as manager:
        make_all(manager)
        assert len(skep.active_children()) == before and manager._process is None


def test_what_has_to_run_somewhere_has_a_server(manager):
    with manager.Pool(2) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
        assert pool.apply_async(abs, (-3,)).get() == 3
    process = manager._process
    assert process.is_alive()
    manager.shutdown()
    assert not process.is_alive()


def test_the_exceptions_are_those_of_threading_and_queue():
    with skep.Manager() as manager:
        for lock in manager.Lock(), manager.RLock():
            with pytest.raises(RuntimeError):
                lock.release()
        for call in manager.Condition().wait, manager.Condition().notify, manager.Condition().notify_all:
            with pytest.raises(RuntimeError):
                call()
        with pytest.raises(ValueError):
            manager.BoundedSemaphore(1).release()
        lock = manager.Lock()
        assert lock.acquire(True, -1) and not lock.acquire(blocking=False) and not lock.acquire(timeout=0.01)
        with pytest.raises(ValueError):
            lock.acquire(False, 1)
        bounded = manager.Queue(1)
        bounded.put(1)
        with pytest.raises(queue.Full):
            bounded.put_nowait(2)
        assert bounded.get() == 1
        with pytest.raises(queue.Empty):
            bounded.get(timeout=0.01)
        bounded.task_done()
        with pytest.raises(ValueError):
            bounded.task_done()
        numbers = manager.Array('b', [1, 2])
        with pytest.raises(OverflowError):
            numbers[0] = 1000
        with pytest.raises(TypeError):
            numbers[0] = 'text'
        with pytest.raises(IndexError):
            numbers[2]


def test_what_proxies_have():
    with skep.Manager() as manager:
        objects = make_all(manager)
        types = {'Condition': managers.ConditionProxy, 'Event': managers.EventProxy, 'Barrier': managers.BarrierProxy, 'Array': managers.ArrayProxy,
                 'dict': managers.DictProxy, 'list': managers.ListProxy, 'Namespace': managers.NamespaceProxy, 'Value': managers.ValueProxy,
                 'Queue': managers.BaseProxy, 'JoinableQueue': managers.BaseProxy}
        for typeid, made in objects.items():
            proxy = types.get(typeid, managers.AcquirerProxy)
            assert isinstance(made, proxy)
            name = f'AutoProxy[{typeid}]' if proxy is managers.BaseProxy else proxy.__name__
            assert repr(made).startswith(f'<{name} object, typeid {typeid!r} at 0x')
            assert str(made) == made._callmethod('__str__') != repr(made)
            with pytest.raises(managers.RemoteError):
                made._callmethod('no_such_method')
            with pytest.raises(managers.RemoteError):
                made._callmethod('__init__')
            if typeid not in ('Array', 'dict', 'list', 'Namespace', 'Value'):
                with pytest.raises(TypeError):
                    made._getvalue()
        assert objects['Queue']._callmethod('put', (1,), {'block': False}) is None
        assert objects['Queue']._callmethod('get', kwds={'timeout': 5}) == 1
        assert objects['Barrier']._callmethod('__getattribute__', ('parties',)) == 2
        assert objects['Array']._getvalue() == objects['Array']._callmethod('#GETVALUE') == array.array('i', [1, 2, 3])
        assert copy.deepcopy(objects['Array']) == array.array('i', [1, 2, 3])
        assert str(objects['Array']) == "array('i', [1, 2, 3])" and len(objects['Array']) == 3 and list(objects['Array']) == [1, 2, 3]
        assert str(objects['list']) == '[1, 2, 3]' and copy.deepcopy(objects['list']) == [1, 2, 3] and type(objects['list'][1:]) is list
        assert str(manager.dict(a=1)) == "{'a': 1}" and manager.dict(a=1)._getvalue() == {'a': 1}
        assert str(objects['Namespace']) == 'Namespace(x=1)' and objects['Namespace']._getvalue().x == 1
        assert str(objects['Value']) == "Value('i', 'any object')" and objects['Value']._getvalue().get() == 'any object'
        assert objects['dict']._callmethod('__len__') == 2 and objects['list']._callmethod('__getitem__', (0,)) == 1
        assert objects['Namespace']._callmethod('__getattribute__', ('x',)) == 1
        with pytest.raises(AttributeError):
            objects['Namespace'].nothing
        with pytest.raises(KeyError):
            objects['dict']['nothing']
        with pytest.raises(IndexError):
            objects['list'][9]


def test_containers_hold_one_another():
    with skep.Manager() as manager:
        outer, inner = manager.dict(), manager.list([1])
        outer['list'], outer['queue'], outer['lock'] = inner, manager.Queue(), manager.Lock()
        outer['list'].append(2)
        assert inner[:] == [1, 2] and type(outer['list']) is type(inner) and outer['list'] is inner
        outer['queue'].put(5)
        assert outer['queue'].get() == 5
        with outer['lock']:
            assert not outer['lock'].acquire(False)
        outer['plain'] = [1]
        outer['plain'].append(2)
        assert outer['plain'] == [1]  # a copy, as in multiprocessing
        del inner
        gc.collect()
        assert outer['list'][:] == [1, 2]


def add_many(counts, value, space, count):
    for _ in range(count):
        counts.add('n', 1)
        value.add(1)
        with space.lock:
            space.n += 1


def test_what_multiprocessing_cannot():
    with skep.Manager() as manager:
        counts, value, space = manager.dict(n=0), manager.Value('i', 0), manager.Namespace(n=0, lock=manager.Lock())
        processes = [skep.Process(target=add_many, args=(counts, value, space, 500)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert counts['n'] == value.value == space.n == 2000
        assert value.compare_and_set(2000, 'done') and not value.compare_and_set(2000, 'again') and value.get() == 'done'
        assert counts.compare_and_set('n', 2000, 0)
        threading.Timer(0.2, counts.__setitem__, ('later', 1)).start()
        assert counts.wait_for('later') == 1


def test_they_go_through_queues_and_into_one_another():
    with skep.Manager() as manager:
        through = manager.Queue()
        objects = make_all(manager)
        through.put(objects)
        back = through.get()
        objects['Lock'].acquire()
        assert not back['Lock'].acquire(False)
        assert pickle.loads(pickle.dumps(objects['Event'])) is objects['Event']
        back['Array'][0] = 9
        assert objects['Array'][0] == 9


def test_its_life():
    manager = skep.Manager()
    with pytest.raises(skep.ProcessError):
        manager.start()
    with pytest.raises(skep.ProcessError):
        manager.get_server()
    with pytest.raises(skep.ProcessError):
        manager.connect()
    with pytest.raises(TypeError):
        pickle.dumps(manager)
    lock, event = manager.Lock(), manager.Event()
    assert manager._number_of_objects() == 2 and 'AcquirerProxy' in manager._debug_info()
    del event
    gc.collect()
    assert manager._number_of_objects() == 1
    manager.shutdown()
    manager.shutdown()
    manager.join()
    assert lock.acquire()  # who has one keeps it
    with pytest.raises(AssertionError):
        manager.Lock()
    with pytest.raises(skep.ProcessError):
        manager.start()
    with pytest.raises(skep.ProcessError):
        manager.__enter__()


def acquire_and_die(lock):
    lock.acquire()
    os.kill(os.getpid(), 9)


def test_a_lock_of_a_killed_process_goes_to_the_next():
    with skep.Manager() as manager:
        lock = manager.Lock()
        process = skep.Process(target=acquire_and_die, args=(lock,))
        process.start()
        process.join()
        with pytest.warns(skep.OwnerDiedWarning):
            assert lock.acquire(True, 10)


def test_a_condition_with_a_lock_of_the_manager():
    with skep.Manager() as manager:
        lock = manager.Lock()
        condition = manager.Condition(lock)
        done = []

        def wait():
            with condition:
                done.append(condition.wait_for(lambda: done, 10))

        threads = [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        with condition:
            assert not lock.acquire(False)
            done.append('now')
            condition.notify_all()
        for thread in threads:
            thread.join()
        assert len(done) == 3
