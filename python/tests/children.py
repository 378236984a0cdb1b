# SPDX-License-Identifier: Apache-2.0
"""What the children of the tests do; in a module of its own, so that spawned children can import it."""
import os
import signal
import time

import skep


def echo(there, back, count=1):
    for _ in range(count):
        back.put(there.get())


def put_all(queue, items):
    for item in items:
        queue.put(item)


def put_numbers(queue, who, count):
    for number in range(count):
        queue.put((who, number))


def get_forever(queue):
    while True:
        queue.get()


def say_ready_and_get(queue, ready):
    ready.put(os.getpid())
    queue.get()


def negate_in_place(there, back):
    array = there.get()
    array *= -1
    back.put('done')
    del array


def put_array_born_here(queue, shape):
    queue.put(skep.full(shape, 7, 'int32'))


def put_later(queue, item, seconds):
    time.sleep(seconds)
    queue.put(item)


def put_after_get(queue, later):
    later.get()
    queue.put('late')


def tell_descriptors(queue):
    queue.put(sorted(os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')
                     if os.path.exists(f'/proc/self/fd/{fd}')))


def tell_identity(queue, other):
    queue.put((skep.default_hive().identity == queue.hive.identity, queue is other, skep.get_start_method()))


def put_through(queue, item):
    queue.put(item)
    return item


def kill_self_after(queue, item):
    queue.put(item)
    os.kill(os.getpid(), signal.SIGKILL)


def answer_what_was_mentioned(work, results):
    message = work.get()
    message['array'][0] = 7
    message['view'] += 1
    results.put((message['inner'].get(), message['readonly'].flags.writeable, int(message['plain'].sum())))


# --- synchronisation ---

def acquire_and_die(lock, ready):
    lock.acquire()
    ready.set()
    time.sleep(60)


def acquire_and_leave(lock):
    lock.acquire()


def write_and_die(lock, ready):
    lock.acquire_write()
    ready.set()
    time.sleep(60)


def add_under(lock, value, count):
    for _ in range(count):
        with lock:
            value.value += 1


def add_atomically(value, count):
    for _ in range(count):
        value.add(1)


def wait_under(condition, ready, woken):
    with condition:
        ready.release()
        condition.wait()
        woken.release()


def wait_for_event(event, answers):
    answers.put(event.wait(20))


def wait_at(barrier, answers, rounds=1):
    import threading
    for _ in range(rounds):
        try:
            answers.put(barrier.wait(20))
        except threading.BrokenBarrierError:
            answers.put('broken')


def call_once(once, value):
    once.run(lambda: value.add(1))


def use_from_a_message(there, back):
    """Objects arrive inside messages; each is used, and something of it sent back."""
    lock = there.get()
    with lock:
        back.put(lock.owner == os.getpid())
    condition = there.get()
    with condition:
        condition.notify_all()
    back.put(True)
    event = there.get()
    event.set()
    back.put(True)
    value, array = there.get()
    with value.get_lock():
        value.value += 1
    array[0] = 7
    back.put(value.add(1))


def follow(data, back):
    import pickle
    try:
        pickle.loads(data)
        back.put('found')
    except Exception as error:
        back.put(type(error).__name__)


def set_all(values, new):
    for shared, item in zip(values, new):
        shared.value = item


def negate(value, array):
    value.value = 3.1415927
    for i in range(len(array)):
        array[i] = -array[i]


def fill_structures(points):
    for i, point in enumerate(points):
        point.x, point.y = i, i * 0.5


def change_later(value, new):
    time.sleep(0.2)
    value.value = new


def wait_and_end(barrier, how):
    barrier.wait(20)
    how()


def end_with_sys_exit():
    import sys
    sys.exit(3)


def end_with_os_exit():
    os._exit(3)


def end_with_an_exception():
    import sys
    sys.stderr = None  # not into the output of the tests
    raise KeyError('on purpose')
