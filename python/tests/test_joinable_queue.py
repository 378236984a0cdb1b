# SPDX-License-Identifier: Apache-2.0
"""skep.queues.JoinableQueue: the count of what is unfinished, whoever is killed meanwhile."""
import os
import queue as standard
import signal
import threading
import time

import pytest

import skep
from skep.queues import JoinableQueue, Queue

import queue_children as children


def unfinished(queue):
    return queue._unfinished()


def test_it_is_a_queue_and_picklable(context):
    queue = context.JoinableQueue(2)
    assert isinstance(queue, Queue) and isinstance(queue, JoinableQueue) and JoinableQueue[int]
    there = context.Queue()
    there.put(queue)
    assert there.get() is queue
    queue.join()


def test_task_done_is_counted():
    queue = skep.JoinableQueue()
    with pytest.raises(ValueError, match=r'^task_done\(\) called too many times$'):
        queue.task_done()
    queue.put(1)
    queue.put(obj=2, block=False)
    queue.put_nowait(3)
    assert queue.put_many([4, b'5', b'6', 7]) == 4
    for number in (1, 2, 3, 4, b'5', b'6', 7):
        assert queue.get() == number
        assert unfinished(queue)
        queue.task_done()
    queue.join()
    with pytest.raises(ValueError):
        queue.task_done()


def test_what_was_not_put_is_not_counted():
    queue = skep.JoinableQueue(2)
    with pytest.raises(Exception):
        queue.put(lambda: None)
    assert unfinished(queue) == 0
    with pytest.raises(standard.Full) as failure:
        queue.put_many([b'1', b'2', b'3', 4], timeout=0.01)
    assert failure.value.count == 2 and unfinished(queue) == 2
    for wait in ({'block': False}, {'timeout': 0.05}, {'timeout': -1}):
        with pytest.raises(standard.Full):
            queue.put(3, **wait)
    assert unfinished(queue) == 2
    assert [queue.get(), queue.get()] == [b'1', b'2']
    with pytest.raises(Exception) as failure:
        queue.put_many(['whole', lambda: None, 'not reached'])
    assert failure.value.count == 1 and unfinished(queue) == 3
    queue.close()
    with pytest.raises(ValueError, match='is closed'):
        queue.put(1)
    assert unfinished(queue) == 3


def test_workers_finish_what_is_joined(context, run):
    queue, done = context.JoinableQueue(5), context.Queue()
    for _ in range(2):
        run(children.work, queue, done)
    run(children.put_range, queue, 200)
    for number in range(200):
        queue.put(1000 + number)
    seen = [done.get(timeout=20) for _ in range(400)]
    queue.join()
    assert unfinished(queue) == 0 and done.empty()
    assert sorted(seen) == sorted([*range(200), *range(1000, 1200)])
    queue.put_many([None, None])
    queue.join()


def test_a_killed_worker_leaves_its_object_to_others(context):
    queue = context.JoinableQueue()
    queue.put_many(range(4))
    worker = context.Process(target=children.work_and_be_killed, args=(queue,))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL and unfinished(queue) == 3
    assert [queue.get(), queue.get()] == [2, 3]
    joiner = threading.Thread(target=queue.join)
    joiner.start()
    queue.task_done()
    queue.task_done()
    joiner.join(0.1)
    assert joiner.is_alive()  # that of the dead one
    queue.task_done()
    joiner.join(10)
    assert not joiner.is_alive()


def test_a_producer_killed_while_the_queue_is_full_does_no_harm(context):
    queue, ready = context.JoinableQueue(3), context.Queue()
    producer = context.Process(target=children.say_and_put_for_ever, args=(queue, ready))
    producer.start()
    ready.get()
    while not queue.full():
        time.sleep(0.01)
    time.sleep(0.2)  # it waits for space
    producer.kill()
    producer.join()
    assert unfinished(queue) == queue.qsize() == 3
    for _ in range(3):
        queue.get()
        queue.task_done()
    queue.join()


@pytest.mark.parametrize('maxsize', [0, 5])
def test_a_producer_killed_anywhere_in_put_leaves_the_figure_exact(context, maxsize):
    """What it had put is counted, and what it had not is not; so join() ends when that is done with."""
    queue = context.JoinableQueue(maxsize)
    for turn in range(12 if context.get_start_method() == 'fork' else 2):
        ready = context.Queue()
        producer = context.Process(target=children.say_and_put_for_ever, args=(queue, ready))
        producer.start()
        ready.get()
        until = time.monotonic() + 0.002 * turn
        while time.monotonic() < until:
            try:
                queue.get_nowait()
                queue.task_done()
            except standard.Empty:
                pass
        producer.kill()
        producer.join()
        while True:
            try:
                queue.get(timeout=0.2)  # past what it was writing
            except standard.Empty:
                break
            queue.task_done()
        queue.join()
        with pytest.raises(ValueError):
            queue.task_done()


def test_a_waiting_put_goes_on_when_there_is_space():
    queue = skep.JoinableQueue(1)
    queue.put('first')
    putter = threading.Thread(target=queue.put, args=('second',))
    putter.start()
    time.sleep(0.05)
    assert queue.get() == 'first'
    putter.join(10)
    assert not putter.is_alive() and queue.get() == 'second' and unfinished(queue) == 2


def test_a_waiting_put_ends_at_shutdown():
    queue = skep.JoinableQueue(1)
    queue.put('first')
    threading.Timer(0.05, queue.shutdown).start()
    with pytest.raises(ValueError, match='is closed'):
        queue.put('second')
    assert unfinished(queue) == 1


class Interrupt(Exception):
    pass


@pytest.mark.parametrize('what', ['join', 'put'])
def test_a_signal_ends_the_wait(what):
    def interrupt(signum, frame):
        raise Interrupt

    queue = skep.JoinableQueue(1)
    queue.put(1)
    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(Interrupt):
            queue.join() if what == 'join' else queue.put(2)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert unfinished(queue) == 1


def test_signals_between_the_steps_of_put_do_not_spoil_the_count():
    """Interrupted at any place, put() has either put and counted the object, or neither."""
    def interrupt(signum, frame):
        raise Interrupt

    queue = skep.JoinableQueue()
    previous = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for delay in range(1, 400):
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, delay * 1e-6)
                    for _ in range(10000):
                        queue.put(1)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupt:
                interrupted += 1
            assert unfinished(queue) == queue.qsize()
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert interrupted > 300


def test_another_process_says_task_done(context, run):
    queue, there = context.JoinableQueue(), context.Queue()
    queue.put('x')
    queue.get()
    run(children.task_done, there)
    there.put(queue)
    queue.join()
    assert unfinished(queue) == 0
