# SPDX-License-Identifier: Apache-2.0
"""What the children of test_joinable_queue.py, test_asyncio.py and test_numpy_kinds.py do."""
import asyncio
import os
import signal


def work(queue, done):
    for item in iter(queue.get, None):
        done.put(item)
        queue.task_done()
    queue.task_done()


def work_and_be_killed(queue):
    queue.get()
    queue.task_done()
    queue.get()
    os.kill(os.getpid(), signal.SIGKILL)


def put_range(queue, count):
    for number in range(count):
        queue.put(number)


def say_and_put_for_ever(queue, ready):
    ready.put(None)
    while True:
        queue.put('x')


def task_done(there):
    there.get().task_done()


def get_in_loop(queue, back, tasks):
    """Each task takes until None; the others are sent what it took."""
    async def take():
        while (item := await queue.aget()) is not None:
            back.put(item)

    async def main():
        await asyncio.gather(*(take() for _ in range(tasks)))

    asyncio.run(main())


def put_in_loop(queue, items):
    async def main():
        await asyncio.gather(*(queue.aput(item) for item in items))

    asyncio.run(main())


def answer_about_array(there, back):
    """What the receiver sees, and a change of the first element if it may be changed."""
    array = there.get()
    back.put((array.dtype, array.shape, array.flags.writeable, array.tobytes()))
    if array.flags.writeable:
        array[0] = array[-1]
    back.put('changed')
