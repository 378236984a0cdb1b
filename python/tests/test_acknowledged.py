# SPDX-License-Identifier: Apache-2.0
"""skep.Queue(acknowledge=True): what is taken and not acknowledged comes again.  ctest: timeout=120"""
import asyncio
import gc
import os
import pickle
import signal
import threading
import time
from queue import Empty

import pytest

import skep
from skep.deliveries import AcknowledgedQueue, Delivery

numpy = pytest.importorskip('numpy')

METHODS = ['fork', 'spawn', 'forkserver']


def take_and_say(queue, said, how):
    """Take all there is, acknowledge the first, say so; then end."""
    first = queue.take()
    got = [first.object] + [queue.get() for _ in range(2)]
    first.acknowledge()
    said.put([str(each) for each in got])
    if how == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    # 'return': in order, having acknowledged one of three


def crash_on(queue, poison):
    """Work through the queue; the poison kills."""
    while True:
        obj = queue.get()
        if obj == poison:
            os._exit(7)
        queue.acknowledge()
        if obj is None:
            return


class Unloadable:
    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise LookupError('cannot be loaded')


@pytest.fixture
def queue():
    return skep.Queue(acknowledge=True)


def put(queue, *objects):
    for obj in objects:
        queue.put(obj)


def test_get_and_acknowledge(queue):
    put(queue, 1, 'two', b'3')
    assert type(queue) is AcknowledgedQueue and isinstance(queue, skep.queues.Queue)
    assert queue.get() == 1 and queue.get_nowait() == 'two' and queue.qsize() == 1
    queue.acknowledge()
    assert queue.get(timeout=1) == b'3' and queue.empty()
    queue.reject()
    assert queue.qsize() == 1 and queue.get_many(5) == [b'3']
    queue.acknowledge()
    for finish in queue.acknowledge, queue.reject:
        with pytest.raises(ValueError, match='nothing was got'):
            finish()
    with pytest.raises(Empty):
        queue.take(False)
    with pytest.raises(Empty):
        queue.get(True, 0.01)
    with pytest.raises(ValueError, match='at least 1'):
        queue.get_many(0)


def test_a_delivery_is_for_with(queue):
    put(queue, 5)
    with pytest.raises(KeyError), queue.take() as delivery:
        assert (delivery.object, delivery.count, delivery.open, delivery.error) == (5, 1, True, None)
        raise KeyError
    assert not delivery.open
    with queue.take() as again:
        assert again.count == 2
    assert queue.empty()
    with pytest.raises(ValueError, match='already'):
        again.acknowledge()
    with pytest.raises(ValueError, match='already'):
        delivery.reject()
    put(queue, 6)
    with queue.take() as delivery:
        delivery.reject()  # an end of its own
    assert queue.qsize() == 1
    with pytest.raises(TypeError):
        Delivery()
    with pytest.raises(TypeError):
        pickle.dumps(delivery)


def test_what_nobody_can_acknowledge_goes_back(queue):
    put(queue, 1, 2)
    assert queue.take().object == 1  # dropped at once
    assert queue.qsize() == 2
    thread = threading.Thread(target=queue.get)
    thread.start()
    thread.join()
    gc.collect()
    assert queue.qsize() == 2 and sorted(queue.get_many(2)) == [1, 2]
    blocks = queue.hive.stat()['blocks']
    another = skep.Queue(acknowledge=True)
    put(another, *range(20))
    another.get_many(20)  # which refer to it
    del another
    gc.collect()
    assert queue.hive.stat()['blocks'] == blocks


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('how', ['kill', 'return'])
def test_what_the_dead_had_comes_again(method, how):
    context = skep.get_context(method)
    queue, said = context.Queue(acknowledge=True), context.Queue()
    array = skep.full(1000, 3, 'int32')
    put(queue, 'one', array, list(range(1000)))
    process = context.Process(target=take_and_say, args=(queue, said, how))
    process.start()
    assert len(said.get(timeout=30)) == 3
    process.join()
    first, second = queue.take(timeout=10), queue.take(timeout=10)
    assert (first.count, second.count) == (2, 2)
    arrays = [each.object for each in (first, second) if isinstance(each.object, numpy.ndarray)]
    assert len(arrays) == 1 and (arrays[0] == 3).all()
    array[0] = 9
    assert arrays[0][0] == 9  # the same memory
    first.acknowledge()
    second.acknowledge()
    assert queue.empty() and queue.dead_letters() == []


def test_a_poison_ends_as_a_dead_letter():
    context = skep.get_context('fork')
    queue = context.Queue(acknowledge=True, deliveries=3)
    put(queue, *range(5), 'poison', *range(5, 10), None)
    exits = []
    for _ in range(4):
        process = context.Process(target=crash_on, args=(queue, 'poison'))
        process.start()
        process.join(30)
        exits.append(process.exitcode)
        queue.hive.reap()  # so that the next one does not come to the end before
    assert exits == [7, 7, 7, 0]
    assert queue.empty()
    letter, = queue.dead_letters()
    assert (letter.object, letter.count) == ('poison', 3)
    assert queue.dead_letters() == []  # it is held
    letter.reject()
    with queue.dead_letters()[0] as letter:
        assert letter.object == 'poison'
    assert queue.dead_letters() == []


def test_what_cannot_be_loaded_is_rejected():
    queue = skep.Queue(acknowledge=True, deliveries=2)
    put(queue, Unloadable(), 1)
    for _ in range(2):
        with pytest.raises(LookupError):
            queue.get()
    assert queue.get() == 1
    letter, = queue.dead_letters()
    assert letter.object is None and isinstance(letter.error, LookupError)
    letter.acknowledge()


def test_a_forked_child_has_not_taken_it(queue):
    put(queue, 1)
    delivery = queue.take()
    pid = os.fork()
    if pid == 0:
        try:
            delivery.acknowledge()
        except RuntimeError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert queue.empty()
    delivery.reject()
    assert queue.get() == 1


def test_maxsize_counts_what_is_in_the_queue():
    queue = skep.Queue(1, acknowledge=True)
    held = []
    for number in range(100):
        queue.put(number, timeout=1)
        held.append(queue.take())
    assert [delivery.object for delivery in held] == list(range(100))
    for delivery in held:
        delivery.acknowledge()
    assert queue.empty()


def test_arguments():
    with pytest.raises(ValueError):
        skep.Queue(deliveries=3)
    for deliveries in -1, 65536:
        with pytest.raises(ValueError):
            skep.Queue(acknowledge=True, deliveries=deliveries)
    queue = skep.Queue(acknowledge=True)
    queue.close()
    with pytest.raises(ValueError, match='closed'):
        queue.take()
    with pytest.raises(ValueError, match='closed'):
        queue.get()
    with pytest.raises(TypeError):
        Delivery.take_dead(1)


def test_in_asyncio(queue):
    async def take():
        with await queue.atake() as delivery:
            return delivery.object

    async def main():
        tasks = [asyncio.create_task(take()) for _ in range(10)]
        await asyncio.sleep(0.01)
        for number in range(10):
            await queue.aput(number)
        return await asyncio.gather(*tasks)

    assert sorted(asyncio.run(main())) == list(range(10)) and queue.empty()


def test_kills_in_the_middle_of_anything():
    """Workers are killed while they take, work and acknowledge; every object is worked on to the end."""
    context = skep.get_context('fork')
    queue, done = context.Queue(acknowledge=True), context.Queue()
    count, workers, kills = 0, [], 0
    end = time.monotonic() + 60
    seen = set()
    while (kills < 50 or len(seen) < count or not queue.empty()) and time.monotonic() < end:
        if kills < 50:
            queue.put_many(range(count, count + 200))
            count += 200
        workers = [worker for worker in workers if worker.is_alive()]
        while len(workers) < 2:
            workers.append(context.Process(target=acknowledge_all, args=(queue, done), daemon=True))
            workers[-1].start()
        try:
            seen.update(done.get_many(1000, True, 0.02))
        except Empty:
            pass
        if kills < 50:
            workers[kills % 2].kill()
            kills += 1
        skep.default_hive().reap()
    for worker in workers:
        worker.kill()
        worker.join()
    assert seen == set(range(count)) and queue.empty() and kills == 50


def acknowledge_all(queue, done):
    while True:
        number = queue.get()
        done.put(number)
        queue.acknowledge()


def test_by_name():
    hive = skep.Hive.create(capacity=8 << 20)
    made = hive.queue('tasks', create=True, maxsize=3, acknowledge=True, deliveries=2)
    hive.queue('plain', create=True)
    made.put('a')
    found = hive.queue('tasks')
    assert type(found) is AcknowledgedQueue and found.acknowledges and found.maxsize == 3
    assert type(hive.queue('plain')) is skep.queues.Queue
    for count in 1, 2:
        delivery = found.take()
        assert delivery.count == count
        delivery.reject()
    assert made.empty() and made.dead_letters()[0].object == 'a'
    with pytest.raises(ValueError, match='not made with'):
        Delivery.take(hive.queue('plain'), False)
    with pytest.raises(ValueError):
        hive.queue(deliveries=1)
    hive.close()
