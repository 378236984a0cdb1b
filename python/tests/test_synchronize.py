# SPDX-License-Identifier: Apache-2.0
"""skep.synchronize: the standard library's semantics, and what happens when somebody dies."""
# ctest: timeout=150
import gc
import multiprocessing.queues
import multiprocessing.synchronize
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

import skep
from skep import synchronize

import children

MAKERS = {
    'Lock': skep.Lock, 'RLock': skep.RLock, 'Semaphore': skep.Semaphore, 'BoundedSemaphore': lambda: skep.BoundedSemaphore(1),
    'Condition': skep.Condition, 'Event': skep.Event, 'Barrier': lambda: skep.Barrier(2), 'RWLock': skep.RWLock, 'Once': skep.Once,
}
RELEASED_TOO_OFTEN = 'semaphore or lock released too many times'


def killed_holder(context, lock, target=children.acquire_and_die):
    """A child that has taken the lock and was killed."""
    ready = context.Event()
    process = context.Process(target=target, args=(lock, ready))
    process.start()
    assert ready.wait(20)
    process.kill()
    process.join()
    return process


# --- as in the standard library -----------------------------------------------------------------------------------------

def test_every_public_name_is_there():
    assert set(multiprocessing.synchronize.__all__) <= set(synchronize.__all__)
    for name in synchronize.__all__:
        assert isinstance(getattr(synchronize, name), type)
    assert isinstance(skep.Lock(), synchronize.Lock)
    assert issubclass(synchronize.BoundedSemaphore, synchronize.Semaphore)


def test_lock():
    lock = skep.Lock()
    assert lock.acquire() is True
    assert lock.acquire(False) is False
    assert lock.acquire(block=True, timeout=0.01) is False
    assert lock.acquire(True, -1) is False
    assert lock.locked() and lock.owner == os.getpid()
    assert lock.release() is None
    assert lock.owner is None and not lock.locked()
    with pytest.raises(ValueError, match=RELEASED_TOO_OFTEN):
        lock.release()
    with lock as entered:
        assert entered is True
    for bad in ((1, 2, 3), (True, 'soon')):
        with pytest.raises(TypeError):
            lock.acquire(*bad)
    with pytest.raises(TypeError):
        lock.acquire(blocking=True)
    with pytest.raises(ValueError):
        lock.acquire(True, float('nan'))


def test_a_lock_is_released_by_another_thread():
    lock = skep.Lock()
    lock.acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    assert lock.acquire(timeout=10)
    thread.join()


def test_rlock():
    lock = skep.RLock()
    for _ in range(3):
        assert lock.acquire()
    found = []
    thread = threading.Thread(target=lambda: found.append(lock.acquire(False)))
    thread.start()
    thread.join()
    assert found == [False]
    for _ in range(3):
        lock.release()
    with pytest.raises(AssertionError, match='not owned by thread'):
        lock.release()


def test_rlock_of_another_thread_cannot_be_released():
    lock = skep.RLock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    with pytest.raises(AssertionError):
        lock.release()


def test_semaphore():
    semaphore = skep.Semaphore(2)
    assert semaphore.acquire() and semaphore.acquire() and not semaphore.acquire(False)
    assert semaphore.get_value() == 0 and semaphore.locked()
    semaphore.release()
    semaphore.release(2)
    assert semaphore.get_value() == 3
    for bad in (-1, 2 ** 31):
        with pytest.raises(ValueError):
            skep.Semaphore(bad)
    with pytest.raises(TypeError):
        skep.Semaphore('many')
    for bad in (0, -1):
        with pytest.raises(ValueError):
            semaphore.release(bad)
    full = skep.Semaphore(2 ** 31 - 1)
    with pytest.raises(ValueError, match=RELEASED_TOO_OFTEN):
        full.release()


def test_bounded_semaphore():
    semaphore = skep.BoundedSemaphore(2)
    with semaphore:
        assert semaphore.get_value() == 1
    with pytest.raises(ValueError, match=RELEASED_TOO_OFTEN):
        semaphore.release()
    assert semaphore.get_value() == 2


def test_condition_needs_its_lock():
    for condition in (skep.Condition(), skep.Condition(skep.Lock())):
        with pytest.raises(AssertionError, match='must acquire'):
            condition.wait()
        for notify in (condition.notify, condition.notify_all):
            with pytest.raises(AssertionError, match='lock is not owned'):
                notify()
        with condition:
            assert condition.wait(0.01) is False
            condition.notify(2)
    with pytest.raises(TypeError):
        skep.Condition(threading.Lock())


def test_condition_lets_all_levels_of_an_rlock_go():
    condition = skep.Condition()
    notified = []

    def notify():
        with condition:
            notified.append(True)
            condition.notify()

    with condition, condition:
        thread = threading.Thread(target=notify)
        thread.start()
        assert condition.wait_for(lambda: notified, 10)
        assert condition._lock._count() == 2
    thread.join()
    assert not condition._lock.locked()


def test_wait_for_returns_what_the_predicate_did():
    condition = skep.Condition()
    with condition:
        assert condition.wait_for(lambda: 'yes') == 'yes'
        assert condition.wait_for(lambda: 0, 0.02) == 0
        assert condition.wait_for(lambda: [], -1) == []


def test_event():
    event = skep.Event()
    assert not event.is_set() and event.wait(0) is False and event.wait(timeout=0.01) is False
    event.set()
    event.set()
    assert event.is_set() and event.wait() is True
    event.clear()
    assert not event.is_set()
    with pytest.raises(TypeError):
        event.wait(1, 2)
    with pytest.raises(TypeError):
        event.wait(seconds=1)


def test_barrier():
    ran = []
    barrier = skep.Barrier(3, action=lambda: ran.append(barrier.n_waiting), timeout=10)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
    indices = []
    threads = [threading.Thread(target=lambda: indices.append(barrier.wait())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(indices) == [0, 1, 2] and len(ran) == 1 and not barrier.broken
    for bad in (0, -1):
        with pytest.raises(ValueError):
            skep.Barrier(bad)
    with pytest.raises(TypeError):
        skep.Barrier('two')


def test_a_barrier_breaks():
    barrier = skep.Barrier(2)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.01)
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken
    barrier.abort()
    assert barrier.broken

    def fails():
        raise KeyError('the action')

    barrier = skep.Barrier(1, action=fails)
    with pytest.raises(KeyError):
        barrier.wait()
    assert barrier.broken


def test_once():
    once, calls = skep.Once(), []
    with pytest.raises(KeyError):
        once.run(lambda: {}['nothing'])
    assert not once.done
    assert once.run(lambda: calls.append(1)) is True
    assert once.run(lambda: calls.append(2)) is False
    assert once.done and calls == [1]
    other = skep.Once()
    with pytest.raises(RuntimeError):
        other.run(lambda: other.run(print))


def test_rwlock():
    lock = skep.RWLock()
    with lock.read():
        found = []
        thread = threading.Thread(target=lambda: found.extend([lock.acquire_read(), lock.release(), lock.acquire_write(timeout=0.05)]))
        thread.start()
        thread.join()
        assert found == [True, None, False]
        with pytest.raises(RuntimeError):
            lock.acquire_write()
    with lock.write():
        assert lock.writer == os.getpid()
    assert lock.writer is None
    with pytest.raises(AssertionError):
        lock.release()


def test_reprs():
    lock = skep.Lock()
    assert repr(lock) == '<Lock(owner=None)>'
    with lock:
        assert repr(lock) == '<Lock(owner=MainProcess)>'
        found = []
        thread = threading.Thread(target=lambda: found.append(repr(lock)))
        thread.start()
        thread.join()
        assert found == ['<Lock(owner=SomeOtherThread)>']
    rlock = skep.RLock()
    assert repr(rlock) == '<RLock(None, 0)>'
    with rlock, rlock:
        assert repr(rlock) == '<RLock(MainProcess, 2)>'
    assert repr(skep.Semaphore(3)) == '<Semaphore(value=3)>'
    assert repr(skep.BoundedSemaphore(3)) == '<BoundedSemaphore(value=3, maxvalue=3)>'
    assert repr(skep.Condition(lock)) == '<Condition(<Lock(owner=None)>, 0)>'
    assert repr(skep.Event()).startswith('<Event at ') and repr(skep.Event()).endswith(' unset>')
    assert 'waiters=0/2' in repr(skep.Barrier(2))


def test_reprs_agree_with_multiprocessing():
    for name in ('Lock', 'RLock', 'Semaphore', 'BoundedSemaphore', 'Condition'):
        assert repr(getattr(skep, name)()) == repr(getattr(multiprocessing, name)())


def test_joinable_queue_of_the_standard_library_works_with_these_locks(context, run):
    queue = multiprocessing.queues.JoinableQueue(3, ctx=context)
    queue.put('x')
    assert queue.get() == 'x'
    queue.task_done()
    queue.join()
    with pytest.raises(ValueError):
        queue.task_done()


# --- between processes --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['Lock', 'RLock', 'Semaphore', 'Condition'])
def test_mutual_exclusion(context, run, name):
    lock, value = getattr(context, name)(), context.RawValue('i', 0)
    for _ in range(4):
        run(children.add_under, lock, value, 2000)
    for process in skep.active_children():
        process.join()
    assert value.value == 8000


def test_a_child_wakes_with_an_event(context, run):
    event, answers = context.Event(), context.Queue()
    for _ in range(3):
        run(children.wait_for_event, event, answers)
    time.sleep(0.1)
    event.set()
    assert [answers.get() for _ in range(3)] == [True] * 3


def test_notify_wakes_as_many_as_said(context, run):
    condition, ready, woken = context.Condition(), context.Semaphore(0), context.Semaphore(0)
    for _ in range(4):
        run(children.wait_under, condition, ready, woken)
    for _ in range(4):
        assert ready.acquire(timeout=20)
    for count, total in ((1, 1), (2, 3)):
        with condition:
            condition.notify(count)
        for _ in range(count):
            assert woken.acquire(timeout=10)
        time.sleep(0.1)
        assert woken.get_value() == 0
        assert condition._waiters() == 4 - total
    with condition:
        condition.notify_all()
    assert woken.acquire(timeout=10)


def test_processes_meet_at_a_barrier(context, run):
    barrier, answers = context.Barrier(3), context.Queue()
    for _ in range(3):
        run(children.wait_at, barrier, answers, 5)
    assert sorted(answers.get() for _ in range(15)) == [0] * 5 + [1] * 5 + [2] * 5


def test_a_party_that_ends_in_order_breaks_nothing(context):
    barrier, answers = context.Barrier(2), context.Queue()
    first = context.Process(target=children.wait_at, args=(barrier, answers))
    first.start()
    assert barrier.wait(20) in (0, 1)
    first.join()
    second = context.Process(target=children.wait_at, args=(barrier, answers))
    second.start()
    assert barrier.wait(20) in (0, 1)
    second.join()
    assert not barrier.broken


@pytest.mark.parametrize('how, breaks', [(children.end_with_sys_exit, False), (children.end_with_an_exception, False), (children.end_with_os_exit, True)])
def test_what_is_an_orderly_end(context, how, breaks):
    barrier = context.Barrier(2)
    child = context.Process(target=children.wait_and_end, args=(barrier, how))
    child.start()
    barrier.wait(20)
    child.join()
    assert child.exitcode in (1, 3)
    second = context.Process(target=children.wait_and_end, args=(barrier, int))
    if breaks:
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(20)
    else:
        second.start()
        barrier.wait(20)
        second.join()
        assert second.exitcode == 0


def test_only_one_process_does_what_is_done_once(context, run):
    once, value = context.Once(), context.Value('i', 0)
    for _ in range(4):
        run(children.call_once, once, value)
    for process in skep.active_children():
        process.join()
    assert value.value == 1 and once.done


def test_objects_inside_messages(context, run):
    there, back = context.Queue(), context.Queue()
    run(children.use_from_a_message, there, back)
    there.put(skep.Lock())  # nobody here holds it
    assert back.get() is True
    condition = context.Condition(context.Lock())
    with condition:
        there.put(condition)
        assert condition.wait(20)
    assert back.get() is True
    event = context.Event()
    there.put(event)
    assert event.wait(20) and back.get() is True
    value, array = context.Value('i', 5), context.Array('d', 3)
    there.put((value, array))
    assert back.get() == 6 and value.value == 7 and array[:] == [7.0, 0, 0]


def test_a_pool_task_takes_a_lock(context):
    lock, value = context.Lock(), context.Value('i', 0)
    with context.Pool(2) as pool:
        pool.starmap(children.add_under, [(lock, value, 100)] * 4)
    assert value.value == 400


# --- pickling -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('name', MAKERS)
def test_pickling_gives_the_same_object_here(name):
    obj = MAKERS[name]()
    assert pickle.loads(pickle.dumps(obj)) is obj


@pytest.mark.parametrize('name', MAKERS)
def test_what_is_gone_says_so(name):
    obj = MAKERS[name]()
    data = pickle.dumps(obj)
    del obj
    gc.collect()
    with pytest.raises(skep.GoneError):
        pickle.loads(data)


def test_another_hive_says_so():
    hive = skep.Hive.create(capacity=8 << 20)
    lock = skep.synchronize.Lock(hive=hive)
    data = pickle.dumps(lock)
    del lock
    hive.close()
    with pytest.raises(RuntimeError, match='not a member'):
        pickle.loads(data)
    with pytest.raises(ValueError, match='another hive'):
        skep.synchronize._core.Condition(skep.default_hive(), skep.synchronize.Lock(hive=skep.Hive.create(capacity=8 << 20)))


def test_a_reference_in_a_child(context, run):
    lock, back = context.Lock(), context.Queue()
    run(children.follow, pickle.dumps(lock), back)
    assert back.get() == 'found'
    gone = pickle.dumps(skep.Lock())
    gc.collect()
    run(children.follow, gone, back)
    assert back.get() == 'GoneError'


STRANGER = """
import sys, skep
from skep import synchronize
hive = skep.Hive.open(sys.argv[1])
lock, event, barrier = (getattr(synchronize, name).open(hive, name) for name in ('Lock', 'Event', 'Barrier'))
assert not lock.acquire(False) and barrier.parties == 2
event.set()
barrier.wait(20)
with lock:
    print(synchronize.Semaphore.open(hive, 'Semaphore').get_value())
"""


def test_a_stranger_opens_by_name():
    hive = skep.Hive.create(f'synchronize-{os.getpid()}', capacity=16 << 20)
    lock, event = synchronize.Lock(hive=hive, name='Lock'), synchronize.Event(hive=hive, name='Event')
    barrier, semaphore = synchronize.Barrier(2, hive=hive, name='Barrier'), synchronize.Semaphore(7, hive=hive, name='Semaphore')
    with pytest.raises(FileExistsError):
        synchronize.Lock(hive=hive, name='Lock')
    with pytest.raises(FileNotFoundError):
        synchronize.Lock.open(hive, 'nothing')
    with lock:
        stranger = subprocess.Popen([sys.executable, '-c', STRANGER, f'synchronize-{os.getpid()}'], stdout=subprocess.PIPE, text=True,
                                    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
        assert event.wait(20)
        barrier.wait(20)
    assert stranger.communicate(timeout=20)[0] == '7\n' and stranger.returncode == 0
    del lock, event, barrier, semaphore
    hive.close()


def test_attributes_travel_with_a_lock():
    lock = skep.Lock(on_owner_died='raise')
    _, arguments = lock.__reduce__()
    assert arguments[-1]['on_owner_died'] == 'raise'
    barrier = skep.Barrier(2, action=print, timeout=3)
    assert barrier.__reduce__()[1][-1] == {'_action': print, '_timeout': 3}


@pytest.mark.parametrize('name', MAKERS)
def test_a_closed_hive(name):
    hive = skep.Hive.create(capacity=8 << 20)
    makers = {'Barrier': lambda: synchronize.Barrier(2, hive=hive)}
    obj = makers.get(name, lambda: getattr(synchronize, name)(hive=hive))()
    hive.close()
    use = {'Event': lambda: obj.wait(0), 'Barrier': lambda: obj.n_waiting, 'RWLock': lambda: obj.acquire_read(), 'Once': lambda: obj.run(print)}
    with pytest.raises(ValueError, match='the hive is closed'):
        use.get(name, lambda: obj.acquire())()


def test_an_object_without_init():
    lock = synchronize.Lock.__new__(synchronize.Lock)
    for use in (lock.acquire, lock.release, lock.locked):
        with pytest.raises(ValueError, match='was not made'):
            use()
    made = skep.Lock()
    with pytest.raises(RuntimeError, match='already'):
        made.__init__()


# --- death --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['Lock', 'RLock'])
def test_the_next_one_gets_the_lock_of_the_dead(context, name):
    lock = getattr(context, name)()
    killed_holder(context, lock)
    assert not lock.owner_died  # nobody has looked yet
    with pytest.warns(skep.OwnerDiedWarning, match='died'):
        assert lock.acquire(timeout=10)
    assert lock.owner_died and lock.owner == os.getpid()
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with lock:  # told once
            assert lock.owner_died
    with pytest.raises(ValueError):
        lock.owner_died = True
    lock.owner_died = False
    assert not lock.owner_died
    lock.clear_owner_died()


def test_who_waits_gets_the_lock_of_the_dead(context):
    lock, ready = context.Lock(), context.Event()
    process = context.Process(target=children.acquire_and_die, args=(lock, ready))
    process.start()
    assert ready.wait(20)
    threading.Timer(0.2, process.kill).start()
    with pytest.warns(skep.OwnerDiedWarning):
        assert lock.acquire(timeout=10)
    process.join()


def test_a_lock_handed_over_by_ending_is_released_as_ever(context):
    lock = context.Lock()
    process = context.Process(target=children.acquire_and_leave, args=(lock,))
    process.start()
    process.join()
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert lock.acquire(False)


def test_the_news_as_an_exception(context):
    lock = context.Lock(on_owner_died='raise')
    killed_holder(context, lock)
    for _ in range(2):  # until somebody has repaired
        with pytest.raises(skep.OwnerDiedError):
            lock.acquire(timeout=10)
        assert not lock.locked() and lock.owner_died
    lock.on_owner_died = 'ignore'
    with lock:
        lock.owner_died = False
    lock.on_owner_died = 'raise'
    with lock:
        pass
    for bad in ('shout', 3):
        with pytest.raises((ValueError, TypeError)):
            lock.on_owner_died = bad
    with pytest.raises(ValueError):
        skep.Lock(on_owner_died='shout')


def test_a_warning_made_an_error_leaves_the_lock_free(context):
    lock = context.Lock()
    killed_holder(context, lock)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(skep.OwnerDiedWarning):
            lock.acquire(timeout=10)
    assert not lock.locked() and lock.owner_died


def test_a_condition_whose_lock_is_a_dead_ones(context):
    condition = context.Condition()
    killed_holder(context, condition)
    with pytest.warns(skep.OwnerDiedWarning):
        condition.acquire()
    condition.notify()
    condition.release()


def test_a_killed_waiter_takes_no_notification_with_it(context, run):
    condition, ready, woken = context.Condition(), context.Semaphore(0), context.Semaphore(0)
    victim = context.Process(target=children.wait_under, args=(condition, ready, woken))
    victim.start()
    assert ready.acquire(timeout=20)
    with condition:  # it waits now
        pass
    run(children.wait_under, condition, ready, woken)
    assert ready.acquire(timeout=20)
    os.kill(victim.pid, signal.SIGSTOP)
    with condition:
        condition.notify()  # for the victim, which has waited longest
    victim.kill()
    victim.join()
    assert woken.acquire(timeout=10)


def test_a_killed_waiter_of_a_lock_hangs_nobody(context, run):
    lock, value = context.Lock(), context.Value('i', 0)
    lock.acquire()
    victim = context.Process(target=children.add_under, args=(lock, value, 1))
    victim.start()
    run(children.add_under, lock, value, 1)
    time.sleep(0.5)
    victim.kill()
    victim.join()
    lock.release()
    for process in skep.active_children():
        process.join()
    assert value.value == 1


def test_a_killed_party_breaks_the_barrier(context, run):
    barrier, answers = context.Barrier(3), context.Queue()
    victim = context.Process(target=children.wait_at, args=(barrier, answers))
    victim.start()
    run(children.wait_at, barrier, answers)
    limit = time.monotonic() + 20
    while barrier.n_waiting < 2 and time.monotonic() < limit:
        time.sleep(0.01)
    victim.kill()
    victim.join()
    assert answers.get(timeout=10) == 'broken'
    assert barrier.broken


def test_a_tracking_semaphore_gets_back_what_the_dead_held(context):
    semaphore, ready = context.Semaphore(1, recover=True), context.Event()
    process = context.Process(target=children.acquire_and_die, args=(semaphore, ready))
    process.start()
    assert ready.wait(20)
    assert not semaphore.acquire(timeout=0.05)
    process.kill()
    process.join()
    with pytest.warns(skep.OwnerDiedWarning):
        assert semaphore.acquire(timeout=10)
    semaphore.release()
    with pytest.raises(ValueError):
        semaphore.release()
    with pytest.raises(ValueError):
        skep.Semaphore(0, recover=True)


def test_a_plain_semaphore_does_not(context):
    semaphore, ready = context.Semaphore(1), context.Event()
    process = context.Process(target=children.acquire_and_die, args=(semaphore, ready))
    process.start()
    assert ready.wait(20)
    process.kill()
    process.join()
    assert not semaphore.acquire(timeout=0.3)


def test_a_dead_writer_is_told(context):
    lock = context.RWLock()
    killed_holder(context, lock, children.write_and_die)
    with pytest.warns(skep.OwnerDiedWarning), lock.write():
        pass
    with lock.read():
        pass


# --- signals ------------------------------------------------------------------------------------------------------------

def waits():
    lock, semaphore, rwlock = skep.Lock(), skep.Semaphore(0), skep.RWLock()
    holder = threading.Thread(target=lambda: (lock.acquire(), rwlock.acquire_write(), time.sleep(1.5)))
    holder.start()
    condition = skep.Condition()
    condition.acquire()
    while not rwlock.writer:
        time.sleep(0.01)
    return {'Lock': lock.acquire, 'Semaphore': semaphore.acquire, 'Condition': condition.wait, 'wait_for': lambda: condition.wait_for(lambda: False),
            'Event': skep.Event().wait, 'Barrier': skep.Barrier(2).wait, 'recover': _empty_tracking().acquire,
            'RWLock read': rwlock.acquire_read, 'RWLock write': rwlock.acquire_write, 'Value': skep.Value('i').wait_for_change,
            'Queue': skep.Queue().get}, holder


def _empty_tracking():
    semaphore = skep.Semaphore(1, recover=True)
    semaphore.acquire()
    return semaphore


def test_keyboard_interrupt_leaves_every_wait():
    found, holder = waits()
    for name, wait in found.items():
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert time.monotonic() - start < 1, name
    holder.join()


def test_a_quiet_handler_leaves_a_wait_alone():
    event, calls = skep.Event(), []

    def handler(signum, frame):
        calls.append(signum)
        if len(calls) == 3:
            event.set()

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        for delay in (0.05, 0.1, 0.15):
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert event.wait(10) and len(calls) == 3
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_handler_may_wait_itself():
    event, other = skep.Event(), skep.Event()

    def handler(signum, frame):
        assert not other.wait(0.05)
        event.set()

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert event.wait(10)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        event.clear()
        with pytest.raises(KeyboardInterrupt):
            event.wait()
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_waits_let_other_threads_run():
    found, holder = waits()
    holder.join()
    event, ticks = skep.Event(), []
    thread = threading.Thread(target=lambda: (time.sleep(0.05), ticks.append(1), event.set()))
    thread.start()
    assert event.wait(10) and ticks
    thread.join()


def test_nothing_is_leaked():
    before = None
    for round_ in range(3):
        for make in MAKERS.values():
            obj = make()
            pickle.loads(pickle.dumps(obj))
            del obj
        skep.Value('i', 1)
        skep.Array('i', 100)
        gc.collect()
        blocks = skep.default_hive().stat()['blocks']
        assert before is None or blocks == before
        before = blocks
