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
