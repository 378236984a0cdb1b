# SPDX-License-Identifier: Apache-2.0
"""What the children of test_dict.py do; in a module of its own, so that spawned children can import it."""
import os
import signal


def count(shared, keys, times):
    for number in range(times):
        shared.add(number % keys)


def compare_and_count(shared, times):
    for _ in range(times):
        while not shared.compare_and_set('n', old := shared['n'], old + 1):
            pass


def answer(shared):
    shared['answer'] = shared.wait_for('question', 20) + 1


def change_array(shared):
    shared['array'][3] = 30


def set_attribute(namespace):
    namespace.y = namespace.x + 1


def nest(outer):
    outer['inner']['deep'] = [1, 2]


def set_until_killed(shared, ready):
    ready.set()
    number = 0
    while True:
        number += 1
        shared.update({key: f'{number} is a text that is longer than its cell' for key in range(5)})
        shared[f'new key that is longer than its cell {number % 50}'] = number
        shared.pop(f'new key that is longer than its cell {(number + 25) % 50}', None)


def die_holding(shared):
    shared['mine'] = type(shared)(x='a' * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
