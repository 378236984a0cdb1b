# SPDX-License-Identifier: Apache-2.0
"""skep.queues, as a user of multiprocessing.Queue expects it, and what is new."""
import collections
import functools
import os
import pickle
import queue as standard
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

import skep
from skep.queues import Queue, SimpleQueue

import children

Point = collections.namedtuple('Point', 'x y')

OBJECTS = [
    42, None, 'hello', b'', b'bytes', b'\0' * 100, 'grün 蜂 🐝', (), (1, (2, [3, {'a': None}])), {'k': [1.5, True]},
    3.25, 2 ** 100, True, 1j, {1, 2}, frozenset('ab'), bytearray(b'x'), range(3), Point(1, 2), ValueError('v'),
    list(range(1000)), 'x' * 70000, b'y' * 200, b'z' * 70000,
]


def same(a, b):
    return type(a) is type(b) and (a == b or repr(a) == repr(b))


def test_objects_come_back_as_they_were():
    queue = skep.Queue()
    for obj in OBJECTS:
        queue.put(obj)
    for obj in OBJECTS:
        assert same(queue.get(), obj)
    assert queue.empty()


def test_a_child_sends_back_what_it_got(context, run):
    there, back = context.Queue(), context.Queue()
    run(children.echo, there, back, len(OBJECTS))
    for obj in OBJECTS:
        there.put(obj)
    for obj in OBJECTS:
        assert same(back.get(), obj)


def test_ten_mebibytes_go_through(context, run):
    there, back = context.Queue(), context.Queue()
    run(children.echo, there, back, 2)
    large = os.urandom(10 << 20)
    there.put(large)
    there.put({'nested': large})
    assert back.get() == large
    assert back.get() == {'nested': large}


def test_the_class_is_what_the_function_returns():
    assert type(skep.Queue()) is skep.queues.Queue
    assert type(skep.get_context('spawn').SimpleQueue()) is skep.queues.SimpleQueue


def test_messages_of_one_producer_keep_their_order(context, run):
    queue = context.Queue()
    for who in range(3):
        run(children.put_numbers, queue, who, 500)
    last = {0: -1, 1: -1, 2: -1}
    for _ in range(1500):
        who, number = queue.get()
        assert number == last[who] + 1
        last[who] = number
    assert queue.empty()


def test_a_full_queue_refuses_and_a_get_makes_room():
    queue = skep.Queue(2)
    queue.put(1)
    queue.put('two')
    assert queue.full() and queue.qsize() == 2 and queue.maxsize == 2
    for attempt in (lambda: queue.put(3, False), lambda: queue.put(b'3', timeout=0.02), lambda: queue.put_nowait(3),
                    lambda: queue.put(3, timeout=-1), lambda: queue.put(b'3' * 100000, True, 0.01)):
        with pytest.raises(standard.Full):
            attempt()
    assert queue.get() == 1
    queue.put(3, timeout=0)
    assert [queue.get(), queue.get()] == ['two', 3]


def test_an_empty_queue_says_so_and_waits_as_long_as_asked():
    queue = skep.Queue()
    for attempt in (queue.get_nowait, lambda: queue.get(False), lambda: queue.get(timeout=-5), lambda: queue.get(False, 99)):
        with pytest.raises(standard.Empty):
            attempt()
    begin = time.monotonic()
    with pytest.raises(standard.Empty):
        queue.get(True, 0.25)
    assert 0.24 < time.monotonic() - begin < 2


def test_arguments_are_checked_as_elsewhere():
    queue = skep.Queue()
    for call in (lambda: queue.put(), lambda: queue.put(1, True, 1, 1), lambda: queue.get(nonsense=1),
                 lambda: queue.get(True, block=True), lambda: queue.get(timeout='1'), lambda: queue.put(1, timeout=[])):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError):
        queue.get(timeout=float('nan'))
    queue.put(obj=5, timeout=1, block=True)
    assert queue.get(timeout=1e300) == 5


def test_a_get_waits_for_a_later_put(context, run):
    queue = context.Queue()
    run(children.put_later, queue, 'late', 0.3)
    assert queue.get(timeout=20) == 'late'


def test_a_put_waits_for_a_later_get():
    queue = skep.Queue(1)
    queue.put(1)
    thread = threading.Thread(target=queue.put, args=(2,))
    thread.start()
    time.sleep(0.15)
    assert thread.is_alive()
    assert queue.get() == 1
    assert queue.get() == 2
    thread.join()


def test_waiting_releases_the_interpreter():
    queue = skep.Queue()
    thread = threading.Thread(target=queue.get)
    thread.start()
    ticks, end = 0, time.monotonic() + 0.2
    while time.monotonic() < end:
        ticks += 1
    assert ticks > 1000
    queue.put(0)
    thread.join()


def test_a_closed_queue_refuses():
    queue = skep.Queue()
    queue.put(1)
    queue.close()
    queue.close()
    for call in (lambda: queue.put(1), queue.get, queue.get_nowait, lambda: queue.put_many([1]), lambda: queue.get_many(1)):
        with pytest.raises(ValueError, match='is closed'):
            call()
    with pytest.raises(OSError, match='is closed'):
        queue.empty()
    queue.join_thread()


def test_closing_an_unused_queue_leaves_it_empty():
    queue = skep.Queue()
    queue.close()
    assert queue.empty()


def test_closing_is_this_process_only(context, run):
    queue, later = context.Queue(), context.Queue()
    run(children.put_after_get, queue, later)
    later.put(1)
    later.close()
    assert queue.get() == 'late'


def test_join_thread_needs_a_closed_queue():
    with pytest.raises(AssertionError):
        skep.Queue().join_thread()


def test_shutdown_ends_puts_and_drains_gets():
    queue = skep.Queue()
    queue.put(1)
    queue.shutdown()
    with pytest.raises(ValueError, match='is closed'):
        queue.put(2)
    assert queue.get() == 1
    with pytest.raises(ValueError, match='is closed'):
        queue.get()


def test_what_cannot_be_pickled_raises_in_put_and_nothing_is_lost():
    queue = skep.Queue()
    queue.put('before')
    for wrong in (lambda: 0, threading.Lock(), [1, (x for x in ())], {'deep': [open]} and {'deep': lambda: 0}):
        with pytest.raises(Exception) as caught:
            queue.put(wrong)
        assert isinstance(caught.value, (TypeError, AttributeError, pickle.PicklingError))
    queue.put('after')
    assert [queue.get(), queue.get()] == ['before', 'after']
    assert queue.empty()


class Bomb:
    def __reduce__(self):
        return explode, ()


def explode():
    raise LookupError('cannot be rebuilt')


def test_what_cannot_be_unpickled_raises_in_get_and_is_gone():
    queue = skep.Queue()
    queue.put(Bomb())
    queue.put('next')
    with pytest.raises(LookupError):
        queue.get()
    assert queue.get() == 'next'


def test_get_many_returns_what_it_has_before_it_meets_a_bad_one():
    queue = skep.Queue()
    queue.put_many([1, Bomb(), 2])
    assert queue.get_many(10) == [1]
    with pytest.raises(LookupError):
        queue.get_many(10)
    assert queue.get_many(10) == [2]


def test_reducers_of_multiprocessing_are_asked():
    """Partials and bound methods nested in plain containers travel as through a multiprocessing queue."""
    queue = skep.Queue()
    queue.put([functools.partial(int, '11', base=2), 'abc'.upper])
    partial, method = queue.get()
    assert partial() == 3 and method() == 'ABC'


class Odd:
    pass


def test_a_reducer_registered_late_is_asked():
    from multiprocessing.reduction import ForkingPickler
    queue = skep.Queue()
    ForkingPickler.register(Odd, lambda odd: (str, ('by reducer',)))
    try:
        queue.put((Odd(),))
    finally:
        del ForkingPickler._extra_reducers[Odd]
    assert queue.get() == ('by reducer',)


def test_many_are_put_and_got_at_once():
    queue = skep.Queue()
    items = [b'%d' % i for i in range(1000)] + ['text', 5, None] + [b'x' * 100000, b'']
    assert queue.put_many(iter(items)) == len(items)
    assert queue.get_many(10) == items[:10]
    got = []
    while len(got) < len(items) - 10:
        got += queue.get_many(len(items))
    assert got == items[10:]
    with pytest.raises(standard.Empty):
        queue.get_many(5, timeout=0.01)
    with pytest.raises(ValueError):
        queue.get_many(0)


def test_put_many_tells_how_many_fitted():
    queue = skep.Queue(3)
    for items in ([b'1', b'2', b'3', b'4'], [1, 2, 3, 4]):
        with pytest.raises(standard.Full) as caught:
            queue.put_many(items, timeout=0.02)
        assert caught.value.count == 3
        assert queue.get_many(9) == items[:3]


def test_without_a_limit_put_never_waits():
    """64 MB in small items, and nobody takes any."""
    queue = skep.Queue()
    item = b'i' * 1000
    for _ in range(64_000):
        queue.put(item, False)
    assert queue.qsize() == 64_000
    taken = 0
    while taken < 64_000:
        batch = queue.get_many(1000)
        assert batch[0] == item
        taken += len(batch)
    assert queue.empty()


def test_a_full_hive_is_a_memory_error_and_goes_on_after_freeing(small_hive):
    queue = small_hive.queue()
    count = 0
    with pytest.raises(MemoryError, match='bytes asked for'):
        while True:
            queue.put(b'm' * 500_000)
            count += 1
    assert count > 20
    with pytest.raises(MemoryError):
        queue.put([b'm' * 500_000])
    with pytest.raises(MemoryError):
        skep.empty(64 << 20, 'uint8', hive=small_hive)
    for _ in range(count):
        assert len(queue.get()) == 500_000
    for _ in range(3 * count):
        queue.put(b'm' * 500_000)
        queue.get()


def test_keyboard_interrupt_leaves_a_waiting_get():
    queue = skep.Queue()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        queue.get()
    queue.put('works on')
    assert queue.get() == 'works on'


def test_keyboard_interrupt_leaves_a_waiting_put():
    queue = skep.Queue(1)
    queue.put(1)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        queue.put(2)
    assert queue.get() == 1
    assert queue.empty()


def test_a_quiet_signal_handler_does_not_end_a_wait():
    queue, seen = skep.Queue(), []
    previous = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(standard.Empty):
            queue.get(timeout=0.4)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert seen == [1]


def test_a_killed_consumer_does_not_hang_the_survivors(context):
    queue, ready = context.Queue(), context.Queue()
    consumers = [context.Process(target=children.say_ready_and_get, args=(queue, ready)) for _ in range(2)]
    for process in consumers:
        process.start()
    for _ in consumers:
        ready.get()
    time.sleep(0.1)
    consumers[0].kill()
    consumers[0].join()
    queue.put('for the survivor')
    consumers[1].join(20)
    assert consumers[1].exitcode == 0
    for number in range(100):
        queue.put(number)
    assert [queue.get() for _ in range(100)] == list(range(100))


def test_what_a_killed_producer_has_put_is_there(context):
    queue = context.Queue()
    process = context.Process(target=children.kill_self_after, args=(queue, b'last words' * 1000))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert queue.get(timeout=10) == b'last words' * 1000


def test_a_consumer_killed_in_the_middle_loses_only_what_it_took(context):
    queue = context.Queue(16)
    process = context.Process(target=children.get_forever, args=(queue,))
    process.start()
    for number in range(2000):
        queue.put(number)
    process.kill()
    process.join()
    queue.hive.reap()
    rest = []
    while not queue.empty():
        rest.append(queue.get(timeout=10))
    assert sorted(rest) == list(range(2000 - len(rest), 2000))


def test_select_sees_a_queue_as_readable():
    queue = skep.Queue()
    assert select.select([queue], [], [], 0)[0] == []
    queue.put(1)
    assert select.select([queue], [], [], 10)[0] == [queue]
    assert queue.get() == 1
    assert select.select([queue], [], [], 0)[0] == []
    threading.Timer(0.1, queue.put, (2,)).start()
    assert select.select([queue.fileno()], [], [], 10)[0]
    assert queue.get() == 2


def test_wait_takes_the_reader_of_a_queue_beside_a_sentinel(context, run):
    from multiprocessing.connection import wait
    queue = context.Queue()
    process = run(children.put_all, queue, ['x'])
    assert queue._reader in wait([queue._reader], 20)
    assert queue.get() == 'x'
    assert wait([queue._reader, process.sentinel], 20) == [process.sentinel]


# --- references -------------------------------------------------------------------------------------------------------

def test_a_queue_can_be_pickled_at_any_time_and_is_the_same():
    queue = skep.Queue()
    again = pickle.loads(pickle.dumps(queue))
    assert again is queue


def test_a_queue_goes_through_a_queue(context, run):
    there, back = context.Queue(), context.Queue()
    run(children.put_after_get, back, there)
    queue = skep.Queue()
    queue.put(there)
    queue.get().put(back)
    assert back.get() == 'late'


def test_a_queue_is_an_argument_of_pool_tasks(context):
    queue = context.Queue()
    with context.Pool(2) as pool:
        later = context.Queue()  # younger than the workers
        assert pool.starmap(children.put_through, [(queue, 1), (later, 2)]) == [1, 2]
    assert (queue.get(), later.get()) == (1, 2)


def test_a_child_may_get_a_queue_that_its_parent_has_dropped(context):
    process = context.Process(target=children.put_all, args=(context.Queue(), [1, 2]))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_a_fork_context_queue_may_go_to_a_spawned_child():
    queue = skep.get_context('fork').Queue()
    process = skep.get_context('spawn').Process(target=children.put_all, args=(queue, ['crossed']))
    process.start()
    assert queue.get() == 'crossed'
    process.join()


def test_a_stranger_gets_a_clear_error():
    reference = pickle.dumps(skep.Queue())
    script = ('import pickle, sys\ntry:\n    pickle.loads(sys.stdin.buffer.read())\n'
              'except RuntimeError as error:\n    print(error)')
    answer = subprocess.run([sys.executable, '-c', script], input=reference, capture_output=True, check=True,
                            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert b'not a member of the hive' in answer.stdout


def test_a_reference_to_a_queue_that_is_gone_is_refused():
    reference = pickle.dumps(skep.Queue())
    with pytest.raises(skep.GoneError):
        pickle.loads(reference)


class Named(Queue):
    def __init__(self, label, **options):
        super().__init__(**options)
        self.label = label


def test_a_subclass_keeps_its_attributes(context, run):
    there, back = context.Queue(), context.Queue()
    queue = Named('mine', maxsize=3)
    run(children.echo, there, back)
    there.put(queue)
    again = back.get()
    assert again is queue and again.label == 'mine' and again.maxsize == 3


# --- SimpleQueue -------------------------------------------------------------------------------------------------------

def test_a_simple_queue_works_between_processes(context, run):
    there, back = context.SimpleQueue(), context.SimpleQueue()
    run(children.echo, there, back)
    there.put([42, None, 'hello'])
    assert back.get() == [42, None, 'hello']
    assert back.empty()


def test_a_closed_simple_queue_raises_os_error():
    queue = skep.SimpleQueue()
    queue.close()
    queue.close()
    for call in (queue.get, queue.empty, lambda: queue.put(1)):
        with pytest.raises(OSError):
            call()


def test_generic_aliases_exist():
    assert Queue[int] and SimpleQueue[str]


def test_a_message_keeps_what_it_mentions_and_shares_arrays(context):
    numpy = pytest.importorskip('numpy')
    work, results, inner = context.Queue(), context.Queue(), context.Queue()
    inner.put('from inside')
    array, readonly = skep.zeros((100, 1000)), skep.ones(10)
    readonly.flags.writeable = False
    work.put({'array': array, 'view': array[5:6], 'inner': inner, 'readonly': readonly, 'plain': numpy.arange(100000)})
    del inner, readonly  # the message has them
    process = context.Process(target=children.answer_what_was_mentioned, args=(work, results))
    process.start()
    assert results.get(timeout=30) == ('from inside', False, sum(range(100000)))
    process.join()
    assert array[0].tolist() == [7] * 1000 and array[5].tolist() == [1] * 1000
    assert array[1:5].sum() == 0


def test_what_a_message_mentioned_goes_with_it():
    pytest.importorskip('numpy')
    hive = skep.Hive.create(capacity=64 << 20)
    work = hive.queue()
    before = hive.stat()['blocks']
    work.put([skep.zeros(100, hive=hive), hive.queue(), skep.empty(1 << 20, 'u1', hive=hive)])
    assert hive.stat()['blocks'] > before + 3
    array, inner, large = work.get()
    inner.put(1)
    assert array.sum() == 0 and inner.get() == 1 and large.nbytes == 1 << 20
    work.put([array, large])
    del array, inner, large
    work.drain() if hasattr(work, 'drain') else work.get()
    assert hive.stat()['blocks'] == before
