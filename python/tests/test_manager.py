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
from skep.managers.local import HiveManager


@pytest.fixture
def manager(context):
    with HiveManager(ctx=context) as manager:
        yield manager


def use_all(objects, told):
    """In a child: each of them once."""
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
            'JoinableQueue': manager.JoinableQueue(3), 'Array': manager.Array('i', [1, 2, 3])}


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
    assert objects['Semaphore'].acquire(False) and not objects['Semaphore'].acquire(False)


def test_there_is_no_server_process():
    before = len(skep.active_children())
    with HiveManager() as manager:
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
    with HiveManager() as manager:
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
    with HiveManager() as manager:
        objects = make_all(manager)
        types = {'Condition': managers.ConditionProxy, 'Event': managers.EventProxy, 'Barrier': managers.BarrierProxy, 'Array': managers.ArrayProxy,
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
            if typeid != 'Array':
                with pytest.raises(TypeError):
                    made._getvalue()
        assert objects['Queue']._callmethod('put', (1,), {'block': False}) is None
        assert objects['Queue']._callmethod('get', kwds={'timeout': 5}) == 1
        assert objects['Barrier']._callmethod('__getattribute__', ('parties',)) == 2
        assert objects['Array']._getvalue() == objects['Array']._callmethod('#GETVALUE') == array.array('i', [1, 2, 3])
        assert copy.deepcopy(objects['Array']) == array.array('i', [1, 2, 3])
        assert str(objects['Array']) == "array('i', [1, 2, 3])" and len(objects['Array']) == 3 and list(objects['Array']) == [1, 2, 3]


def test_they_go_through_queues_and_into_one_another():
    with HiveManager() as manager:
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
    manager = HiveManager()
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
    with HiveManager() as manager:
        lock = manager.Lock()
        process = skep.Process(target=acquire_and_die, args=(lock,))
        process.start()
        process.join()
        with pytest.warns(skep.OwnerDiedWarning):
            assert lock.acquire(True, 10)


def test_a_condition_with_a_lock_of_the_manager():
    with HiveManager() as manager:
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
