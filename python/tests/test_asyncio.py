# SPDX-License-Identifier: Apache-2.0
"""Queues in asyncio: aget, aput, async for."""
import asyncio
import threading
import time

import pytest

import skep

import queue_children as children


def run_async(function):
    return asyncio.run(asyncio.wait_for(function, 20))


def test_others_run_while_a_task_waits():
    async def main():
        queue, ticks = skep.Queue(), 0
        getter = asyncio.create_task(queue.aget())
        for _ in range(5):
            await asyncio.sleep(0.01)
            ticks += 1
        assert not getter.done() and ticks == 5
        queue.put({'a': 1})
        assert await getter == {'a': 1}
        await queue.aput('at once')
        assert await queue.aget() == 'at once'

    run_async(main())


def test_many_tasks_wait_at_once_and_each_object_goes_to_one():
    async def main():
        queue = skep.Queue()
        getters = [asyncio.create_task(queue.aget()) for _ in range(20)]
        await asyncio.sleep(0.05)
        threading.Thread(target=queue.put_many, args=(range(20),)).start()
        assert sorted(await asyncio.gather(*getters)) == list(range(20))
        assert queue.empty()
        assert not queue._skep_waiters

    run_async(main())


def test_a_full_queue_holds_back_aput_alone():
    async def main():
        queue = skep.Queue(2)
        putters = [asyncio.create_task(queue.aput(number)) for number in range(10)]
        await asyncio.sleep(0.05)
        assert sum(putter.done() for putter in putters) == 2
        assert sorted([await queue.aget() for _ in range(10)]) == list(range(10))
        await asyncio.gather(*putters)

    run_async(main())


def test_cancellation_loses_no_object():
    async def main():
        queue, got = skep.Queue(), []
        for number in range(300):
            getters = [asyncio.create_task(queue.aget()) for _ in range(3)]
            await asyncio.sleep(0)
            queue.put(number)
            for _ in range(number % 4):
                await asyncio.sleep(0)
            if number % 7 == 0:
                await asyncio.sleep(0.002)
            for getter in getters:
                getter.cancel()
            results = await asyncio.gather(*getters, return_exceptions=True)
            got += [result for result in results if not isinstance(result, BaseException)]
            assert all(isinstance(result, (int, asyncio.CancelledError)) for result in results)
        while not queue.empty():
            got.append(queue.get_nowait())
        assert sorted(got) == list(range(300))

    run_async(main())


def test_a_timeout_leaves_the_queue_to_others():
    async def main():
        queue = skep.Queue(1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(queue.aget(), 0.02)
        await queue.aput(1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(queue.aput(2), 0.02)
        assert await queue.aget() == 1 and queue.empty()

    run_async(main())


def test_iteration_ends_at_shutdown():
    async def main():
        queue = skep.Queue()
        queue.put_many(range(3))
        threading.Timer(0.1, queue.shutdown).start()
        assert [item async for item in queue] == [0, 1, 2]
        with pytest.raises(ValueError, match='is closed'):
            await queue.aget()
        with pytest.raises(ValueError, match='is closed'):
            await queue.aput(1)

    run_async(main())


def test_iteration_ends_when_the_queue_is_closed_here():
    async def main():
        queue = skep.Queue()
        threading.Timer(0.1, queue.close).start()
        assert [item async for item in queue] == []

    run_async(main())


def fail_to_load():
    raise ValueError('not loaded')


class NotLoaded:
    def __reduce__(self):
        return fail_to_load, ()


def test_an_object_that_cannot_be_loaded_does_not_end_the_iteration_silently():
    async def main():
        queue = skep.Queue()
        queue.put(NotLoaded())
        queue.shutdown()
        with pytest.raises(ValueError, match='not loaded'):
            await queue.__anext__()

    run_async(main())


def test_it_works_beside_threads_that_get():
    async def main():
        queue, in_thread = skep.Queue(), []
        thread = threading.Thread(target=lambda: in_thread.extend(iter(queue.get, None)))
        thread.start()
        in_loop = []

        async def take():
            while (item := await queue.aget()) is not None:
                in_loop.append(item)

        tasks = [asyncio.create_task(take()) for _ in range(3)]
        for number in range(500):
            queue.put(number)
            if number % 50 == 0:
                await asyncio.sleep(0.001)
        for _ in range(4):
            queue.put(None)
        await asyncio.gather(*tasks)
        await asyncio.to_thread(thread.join)
        assert sorted(in_loop + in_thread) == list(range(500))

    run_async(main())


def test_processes_race_for_objects(context, run):
    queue, back, full = context.Queue(), context.Queue(), context.Queue(3)
    for _ in range(2):
        run(children.get_in_loop, queue, back, 4)
    run(children.put_in_loop, full, range(50))
    for number in range(200):
        queue.put(number)
        if number % 20 == 0:
            time.sleep(0.005)
    assert sorted(back.get(timeout=20) for _ in range(200)) == list(range(200))
    queue.put_many([None] * 8)
    assert sorted(full.get(timeout=20) for _ in range(50)) == list(range(50))


def test_two_loops_in_two_threads():
    queue, results = skep.Queue(), skep.Queue()

    async def take(count):
        for _ in range(count):
            results.put(await queue.aget())

    threads = [threading.Thread(target=asyncio.run, args=(take(50),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    queue.put_many(range(100))
    for thread in threads:
        thread.join()
    assert sorted(results.get() for _ in range(100)) == list(range(100))


def test_a_joinable_queue_counts_aput():
    async def main():
        queue = skep.JoinableQueue(1)
        await queue.aput(1)
        putter = asyncio.create_task(queue.aput(2))
        await asyncio.sleep(0.02)
        putter.cancel()
        await asyncio.gather(putter, return_exceptions=True)
        assert await queue.aget() == 1
        queue.task_done()
        queue.join()

    run_async(main())
